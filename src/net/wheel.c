/* SPDX-License-Identifier: MIT */
#include "net/wheel.h"
#include "net/loop_private.h"
#include "util/check.h"

void
wheel_init(struct wheel *w, uint64_t now)
{
	int i;

	w->tick = now / WHEEL_TICK_MS;
	w->count = 0;
	for (i = 0; i < WHEEL_SLOTS; i++)
		list_init(&w->slot[i]);
}

/* A time beyond the wheel's span waits in its last slot and is looked at again then. */
static void
insert(struct wheel *w, struct timer *t)
{
	uint64_t tick = (t->when + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;

	if (tick <= w->tick)
		tick = w->tick + 1;
	if (tick > w->tick + WHEEL_SLOTS - 1)
		tick = w->tick + WHEEL_SLOTS - 1;
	t->slot = tick * WHEEL_TICK_MS;
	list_append(&w->slot[tick % WHEEL_SLOTS], &t->link);
	w->count++;
}

void
wheel_set(struct wheel *w, struct timer *t, uint64_t when)
{
	check(when > 0);
	t->when = when;
	if (t->slot != 0 && t->slot <= when)
		return; /* it is looked at early enough, and put off then */
	if (t->slot != 0) {
		list_remove(&t->link);
		w->count--;
	}
	insert(w, t);
}

void
wheel_clear(struct wheel *w, struct timer *t)
{
	t->when = 0;
	if (t->slot == 0)
		return;
	list_remove(&t->link);
	t->slot = 0;
	w->count--;
}

static void
look_at_slot(struct wheel *w, struct list *slot, uint64_t now)
{
	struct list due, *link;
	struct timer *t;

	list_init(&due);
	list_splice(&due, slot);
	while ((link = list_shift(&due)) != NULL) {
		t = list_entry(link, struct timer, link);
		t->slot = 0;
		w->count--;
		if (t->when > now) {
			insert(w, t);
			continue;
		}
		t->when = 0;
		t->fn(t);
	}
}

void
wheel_advance(struct wheel *w, uint64_t now)
{
	uint64_t target = now / WHEEL_TICK_MS, tick;

	if (target - w->tick > WHEEL_SLOTS && target > WHEEL_SLOTS)
		w->tick = target - WHEEL_SLOTS; /* each slot once is enough after a long sleep */
	for (tick = w->tick + 1; tick <= target; tick++) {
		w->tick = tick;
		if (!list_empty(&w->slot[tick % WHEEL_SLOTS]))
			look_at_slot(w, &w->slot[tick % WHEEL_SLOTS], now);
	}
}

uint64_t
wheel_next(const struct wheel *w)
{
	uint64_t tick;

	if (w->count == 0)
		return 0;
	for (tick = w->tick + 1; tick < w->tick + WHEEL_SLOTS; tick++)
		if (!list_empty(&w->slot[tick % WHEEL_SLOTS]))
			break;
	return tick * WHEEL_TICK_MS;
}

static struct wheel *
here(void)
{
	struct loop *l = loop_current();

	check(l != NULL);
	return &l->wheel;
}

void
timer_init(struct timer *t, void (*fn)(struct timer *))
{
	list_init(&t->link);
	t->when = t->slot = 0;
	t->fn = fn;
}

void
timer_set(struct timer *t, uint64_t when)
{
	wheel_set(here(), t, when);
}

void
timer_clear(struct timer *t)
{
	if (t->slot == 0) {
		t->when = 0;
	} else if (loop_current() == NULL) {
		/* The loops have ended: what they leave is taken apart by the thread that joined theirs. */
		list_remove(&t->link);
		t->when = t->slot = 0;
	} else {
		wheel_clear(here(), t);
	}
}
