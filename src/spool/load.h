/* SPDX-License-Identifier: MIT */
/* Reading back what is on disk. Any thread but a loop's; blocks. */
#ifndef TMAIL_SPOOL_LOAD_H
#define TMAIL_SPOOL_LOAD_H

#include "spool/store.h"

/* The record that WHERE names, also when compaction moves it meanwhile. Checked by its CRC. */
int load_record(struct spool *spool, const _Atomic log_pos *where, bool with_body, struct log_view *out,
    struct err *err);
void view_fini(struct log_view *v);

/* Envelope and content (CONTENT false: the content is dropped) of a stored message; its blob is checked. */
int load_message(struct spool *spool, const struct stored *s, bool content, struct message **out, struct err *err);

#endif
