/* SPDX-License-Identifier: MIT */
/* Reading history back, a slice at a time, from one file after the other. Blocks: never on a loop. What is damaged is
 * passed over; what follows it is found. */
#ifndef TMAIL_HISTORY_SCAN_H
#define TMAIL_HISTORY_SCAN_H

#include "history/block.h"
#include "history/files.h"

/* Is a block worth reading, whose head is B and whose filter stands at FILTER? */
typedef bool history_wanted(const struct history_block *b, const void *filter, void *arg);
typedef void history_seen(const struct history_view *e, void *arg);

struct history_scan {
	struct history_files files; /* as they were when it began */
	int dir, fd;
	uint64_t pos, end;          /* in the file */
	char *buf;
	uint64_t buf_pos;           /* what stands in BUF, from there on */
	size_t buf_len;
	uint64_t blocks_read, blocks_passed, damaged;
};

/* The folder's files. -1: it cannot be read. */
int history_scan_begin(struct history_scan *s, const char *path, struct err *err);
void history_scan_end(struct history_scan *s);

/* Goes to file I of S->files; one that has gone in the meantime is empty. */
void history_scan_enter(struct history_scan *s, unsigned i);

/* The same with an open descriptor, taken (tests). */
void history_scan_enter_fd(struct history_scan *s, int fd);

/* Reads on until clock_ms() UNTIL, or to the end of the file. Calls SEEN for every event of every block WANTED wants
 * (NULL: all). True: there is more in this file. */
bool history_scan_step(struct history_scan *s, uint64_t until, history_wanted *wanted, history_seen *seen, void *arg);

#endif
