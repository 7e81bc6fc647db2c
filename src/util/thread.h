/* SPDX-License-Identifier: MIT */
/* Threads of the worker: each has a name; signals but for its own faults are for the main thread. */
#ifndef TMAIL_UTIL_THREAD_H
#define TMAIL_UTIL_THREAD_H

#include <pthread.h>

struct err;

/* Starts FN(ARG) in a thread with every signal blocked that another process could send. NAME, a literal of at most 15
 * bytes, is what top, perf and gdb show. 0, or -1 with ERR (may be NULL): the system gives no more threads. */
int thread_start(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg, struct err *err);

#endif
