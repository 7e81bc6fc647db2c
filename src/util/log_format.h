/* SPDX-License-Identifier: MIT */
/* A record's text in other clothes, made by the log's writer: records cost nothing more where they arise. */
#ifndef TMAIL_UTIL_LOG_FORMAT_H
#define TMAIL_UTIL_LOG_FORMAT_H

#include <stddef.h>

struct buf;

/* Appends each of the lines in the N bytes at P, which begin with a line and end with one, as a JSON object: the same
 * keys, before them "time" and "level"; every value is a string. What is \xHH in the text stays so. */
void log_format_json(const char *p, size_t n, struct buf *out);

#endif
