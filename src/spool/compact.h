/* SPDX-License-Identifier: MIT */
/* The thread that makes room: copies what is still needed of mostly empty segments forward, so that they can be
 * freed, and removes blobs of finished messages. It reads; the committer writes. */
#ifndef TMAIL_SPOOL_COMPACT_H
#define TMAIL_SPOOL_COMPACT_H

#include "spool/store.h"

/* Made before the committer starts, which tells it things; started after it, and ended before it. */
void compactor_new(struct spool *spool);
int compactor_start(struct spool *spool, struct err *err);
void compactor_stop(struct spool *spool);
void compactor_free(struct spool *spool);

/* Foreground (tests): compacts one segment if one is worth it. */
bool compactor_pass(struct spool *spool);

/* Any thread: segments were closed or broke. */
void compactor_nudge(struct spool *spool);

/* Any thread: the message is done, durably. */
void compactor_remove_blob(struct spool *spool, uint64_t id);

#endif
