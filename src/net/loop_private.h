/* SPDX-License-Identifier: MIT */
/* What loop.c, task.c, wheel.c and io.c share; nobody else includes it. */
#ifndef TMAIL_NET_LOOP_PRIVATE_H
#define TMAIL_NET_LOOP_PRIVATE_H

#include "net/loop.h"
#include "net/wheel.h"

#include <stdatomic.h>

struct event;
struct task;

struct loop {
	struct event_base *base;
	unsigned index;
	int wakeup; /* eventfd */
	struct event *wakeup_event, *tick;
	uint64_t tick_at; /* what `tick` is set to, 0: not set */
	_Atomic(struct post *) posts;
	atomic_bool stop;
	struct list hooks;
	struct wheel wheel;
	uint64_t now, pass_began;
	bool in_pass;
	struct loop_stats stats;

	/* tasks */
	struct list runnable, yielded;
	struct task *running;
	void *loop_context;       /* where the loop's own stack goes on */
	const void *stack_bottom; /* of the loop's thread, learnt by the sanitizer */
	size_t stack_size;
	void *fiber;              /* ThreadSanitizer's name for the loop's own stack */
	struct task *spare;       /* finished tasks whose stacks are kept */
	unsigned spare_count, task_count;
	const char *last_task;
};

/* First thing in every call-back of libevent: reads the clock once a pass. */
void loop_touch(struct loop *loop);

/* Runs what is runnable now; true if there was anything. */
bool task_run_ready(struct loop *loop);
void task_thread_init(void);
void task_loop_fini(struct loop *loop);

#endif
