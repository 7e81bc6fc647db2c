/* SPDX-License-Identifier: MIT */
/* A pool of threads for what would block a loop: disk reads, file syncs, password hashing. */
#ifndef TMAIL_NET_WORK_H
#define TMAIL_NET_WORK_H

#include "net/loop.h"
#include "util/err.h"

int work_start(unsigned threads, struct err *err);

/* Ends the threads after the work queued so far. */
void work_stop(void);

/* In a task: runs FN(ARG) on a worker thread and waits for its end (not cancellable: FN may use our stack). */
void work_run(void (*fn)(void *arg), void *arg);

/* The same for what computes for long (passwords): at most half of the threads do so at a time, so that disk reads
 * find one. Looks how many wait before it asks for more. */
void work_run_slow(void (*fn)(void *arg), void *arg);
unsigned work_slow_waiting(void);

/* From any thread: runs FN(job) on a worker thread; nobody waits. The job is the caller's until FN returns. */
struct work_job {
	struct work_job *next;
	void (*fn)(struct work_job *job);
};
void work_post(struct work_job *job);

#endif
