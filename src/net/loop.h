/* SPDX-License-Identifier: MIT */
/* An event loop: one thread, its own event base. Loops talk through loop_post() alone. */
#ifndef TMAIL_NET_LOOP_H
#define TMAIL_NET_LOOP_H

#include "util/err.h"
#include "util/list.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct event_base;

/* A loop that is not yet running; INDEX numbers it from 0. */
int loop_new(struct loop **loop, unsigned index, struct err *err);
void loop_free(struct loop **loop);

/* Serves until loop_stop(); the calling thread becomes the loop's thread. */
void loop_run(struct loop *loop);

/* Any thread: the loop ends after the current pass. */
void loop_stop(struct loop *loop);

/* The loop of this thread, or NULL on a thread that runs none. */
struct loop *loop_current(void);
unsigned loop_index(const struct loop *loop);
struct event_base *loop_base(struct loop *loop);

/* Monotonic milliseconds, read once a pass: cheap and good enough for deadlines. */
uint64_t loop_now(const struct loop *loop);

/* Work for a loop's thread. Embedded in what is posted; the poster keeps it valid until FN ran. */
struct post {
	struct post *next;
	void (*fn)(struct post *post);
};

/* Any thread, the loop's own included: FN runs on the loop's thread, in order of posting. */
void loop_post(struct loop *loop, struct post *post);

/* Runs at the end of each pass, after all its events, tasks and posts (for hand-overs once per pass). */
struct loop_hook {
	struct list link;
	void (*fn)(struct loop_hook *hook);
};
void loop_add_hook(struct loop *loop, struct loop_hook *hook);

/* A coarse timer (about 20 ms) of the current loop. Zero it with timer_init(). Setting it later is free. */
struct timer {
	struct list link;
	uint64_t when;  /* 0: not set */
	uint64_t slot;  /* when the wheel looks at it; at most `when` */
	void (*fn)(struct timer *timer);
};
void timer_init(struct timer *timer, void (*fn)(struct timer *timer));

/* FN runs on the loop's stack at or soon after WHEN (loop_now() units). Replaces an earlier setting. */
void timer_set(struct timer *timer, uint64_t when);
void timer_clear(struct timer *timer);

/* What the loop has done since it began, for `tmail status`. Read from any thread, values may be a little old. */
struct loop_stats {
	uint64_t passes;
	uint64_t busy_us;
	uint64_t longest_us; /* the longest pass */
};
void loop_stats(const struct loop *loop, struct loop_stats *out);

#endif
