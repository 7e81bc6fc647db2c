/* SPDX-License-Identifier: MIT */
/* Stackful coroutines of one loop's thread: code that waits reads top to bottom.
 *
 * A task runs until it waits; while it waits the loop serves others. It is never freed from outside: it is
 * woken with an error (cancelled) until it returns. It keeps no lock across a wait. Every wait has a deadline. */
#ifndef TMAIL_NET_TASK_H
#define TMAIL_NET_TASK_H

#include "util/list.h"

#include <stdbool.h>
#include <stdint.h>

struct task;

/* Starts FN(ARG) as a task of the current loop. NAME is a literal, for the watchdog and crash reports.
 * On the loop's own stack it runs at once up to its first wait; from inside a task it runs later in this pass.
 * -1 when the cap is reached (then nothing was started). */
int task_start(void (*fn)(void *arg), void *arg, const char *name);

/* The running task, or NULL on the loop's stack. */
struct task *task_self(void);

/* Caps the tasks of one loop. Default 16,000. */
void task_set_limit(unsigned limit);

/* Tasks of the current loop that exist now. */
unsigned task_count(void);

enum task_wake {
	TASK_WOKEN = 0,
	TASK_TIMEOUT = -1,   /* the deadline passed */
	TASK_CANCELLED = -2, /* task_cancel() was called; every later wait answers this at once */
};

enum { TASK_NEVER = 0 }; /* as a deadline: only for waits on our own threads, which always answer */

/* Suspends the running task until task_wake(), DEADLINE (loop_now() units) or cancellation. A wake that came
 * before the wait is not lost: the wait returns at once. */
enum task_wake task_wait(uint64_t deadline);

/* As task_wait(TASK_NEVER), but cancellation does not end it: for buffers other threads are using. */
void task_wait_always(void);

/* Same thread: TASK goes on later in this pass. */
void task_wake(struct task *task);
void task_cancel(struct task *task);

/* True once the running task was cancelled. */
bool task_cancelled(void);

/* Suspends for MS milliseconds; TASK_TIMEOUT is the normal answer. */
enum task_wake task_sleep(uint64_t ms);

/* Lets others run and goes on in the next pass: for long computations. */
void task_yield(void);

/* The message the running task handles (0: none): the supervisor reads it when the worker crashes. */
void task_set_message(uint64_t id);

/* Where the ids being handled are kept: shared memory with room for one slot a loop. Call before loops run. */
void task_set_crash_slots(volatile uint64_t *slots, unsigned count);

#endif
