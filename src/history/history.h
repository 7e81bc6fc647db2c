/* SPDX-License-Identifier: MIT */
/* History: what happened to every message and every refused recipient, kept for `history`. Any thread adds events, at
 * the cost of a copy; one thread writes them, about once a second, into files of STATE/history. A crash loses the last
 * second of it. Trouble with the disk loses history and is counted; it never touches mail. doc/history.md. */
#ifndef TMAIL_HISTORY_HISTORY_H
#define TMAIL_HISTORY_HISTORY_H

#include "history/event.h" /* and its history_str(), history_u64() */
#include "util/err.h"

struct history_config {
	const char *path;    /* STATE/history; exists */
	uint32_t keep;       /* seconds; 0: nothing is kept, and what there is goes */
	uint64_t size;       /* bytes of all files together; the oldest go first */
	uint64_t min_free;   /* bytes to leave on the file system */
};

/* Starts the writer; before it, and with KEEP 0, events are no-ops. One at a time in a process. -1: no thread was to be
 * had. A folder that cannot be used is no failure: it is said in the log, and tried again. */
int history_open(const struct history_config *config, struct err *err);

/* Writes what there is and ends. When nobody adds any more. */
void history_close(void);

/* Is history kept? */
bool history_on(void);

/* An event about message ID, now. Add fields with history_str() and its kin, then end it. */
void history_begin(struct history_event *e, enum history_kind kind, uint64_t id);
void history_end(struct history_event *e);

/* What was added before is in the files, or lost, when this returns; gives up after MS. Not from a loop. */
void history_flush(unsigned ms);

/* STATE/history, while it is open; else NULL. */
const char *history_path(void);

#endif
