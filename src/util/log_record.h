/* SPDX-License-Identifier: MIT */
/* The text of a record, apart from where it goes; used by log.c alone. */
#ifndef TMAIL_UTIL_LOG_RECORD_H
#define TMAIL_UTIL_LOG_RECORD_H

struct log_record;

/* The mark of a record that was cut, and the line end: the text is what is written. */
void log_record_finish(struct log_record *r);

#endif
