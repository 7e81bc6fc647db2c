/* SPDX-License-Identifier: MIT */
/* A hashed timing wheel: setting a timer later costs nothing, setting and clearing are constant time. */
#ifndef TMAIL_NET_WHEEL_H
#define TMAIL_NET_WHEEL_H

#include "net/loop.h"

enum { WHEEL_TICK_MS = 20, WHEEL_SLOTS = 512 };

struct wheel {
	uint64_t tick; /* slots up to and including this one were looked at */
	unsigned count;
	struct list slot[WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now);
void wheel_set(struct wheel *w, struct timer *t, uint64_t when);
void wheel_clear(struct wheel *w, struct timer *t);

/* Fires what is due at NOW. Timers set meanwhile fire no earlier than the next call. */
void wheel_advance(struct wheel *w, uint64_t now);

/* When to look again, 0: never (nothing is set). */
uint64_t wheel_next(const struct wheel *w);

#endif
