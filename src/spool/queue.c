/* SPDX-License-Identifier: MIT */
/* The queue of one next-hop key: what is due in order, what waits for its time, what is held. Its loop's alone. */
#include "spool/store.h"
#include "util/check.h"
#include "util/clock.h"

#include <stdlib.h>
#include <string.h>

/* The wall clock may jump: look again at least this often. */
enum { LOOK_MS = 60000 };

static void on_timer(struct timer *timer);

struct queue *
queue_get(struct port *p, const char *key, size_t len)
{
	uint64_t hash = hash_bytes(key, len);
	struct map_link *l;
	struct queue *q;

	for (l = map_first(&p->queues, hash); l != NULL; l = map_next(l)) {
		q = list_entry(l, struct queue, link);
		if (strlen(q->key) == len && memcmp(q->key, key, len) == 0)
			return q;
	}
	q = xcalloc(1, sizeof *q + len + 1);
	memcpy(q->key, key, len);
	q->port = p;
	list_init(&q->due);
	list_init(&q->held);
	list_init(&q->announce);
	timer_init(&q->timer, on_timer);
	map_add(&p->queues, &q->link, hash);
	list_append(&p->queue_list, &q->all);
	return q;
}

void
queue_free(struct queue *q)
{
	map_remove(&q->port->queues, &q->link);
	list_remove(&q->all);
	list_remove(&q->announce);
	list_remove(&q->timer.link);
	free(q->heap);
	free(q);
}

static void
count(_Atomic uint64_t *n, int by)
{
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + (uint64_t)(int64_t)by,
	    memory_order_relaxed);
}

/* ---- the heap of deferred entries, by next_attempt ---- */

static void
place(struct queue *q, struct entry *e, uint32_t at)
{
	q->heap[at] = e;
	e->heap = at;
}

static void
sift_up(struct queue *q, struct entry *e, uint32_t at)
{
	uint32_t up;

	for (; at > 0; at = up) {
		up = (at - 1) / 2;
		if (q->heap[up]->next_attempt <= e->next_attempt)
			break;
		place(q, q->heap[up], at);
	}
	place(q, e, at);
}

static void
sift_down(struct queue *q, struct entry *e, uint32_t at)
{
	uint32_t down;

	for (;; at = down) {
		down = at * 2 + 1;
		if (down >= q->heap_count)
			break;
		if (down + 1 < q->heap_count && q->heap[down + 1]->next_attempt < q->heap[down]->next_attempt)
			down++;
		if (e->next_attempt <= q->heap[down]->next_attempt)
			break;
		place(q, q->heap[down], at);
	}
	place(q, e, at);
}

static void
heap_add(struct queue *q, struct entry *e)
{
	if (q->heap_count == q->heap_cap) {
		q->heap_cap = q->heap_cap ? q->heap_cap + q->heap_cap / 2 : 8;
		q->heap = xrealloc(q->heap, q->heap_cap * sizeof *q->heap);
	}
	sift_up(q, e, q->heap_count++);
}

static void
heap_remove(struct queue *q, struct entry *e)
{
	struct entry *last = q->heap[--q->heap_count];

	if (last == e)
		return;
	if (e->heap > 0 && last->next_attempt < q->heap[(e->heap - 1) / 2]->next_attempt)
		sift_up(q, last, e->heap);
	else
		sift_down(q, last, e->heap);
}

/* One timer a queue, for the first of the heap. */
void
queue_arm(struct queue *q)
{
	uint64_t now, ms = LOOK_MS;
	int64_t wall;

	if (!q->port->started)
		return;
	if (q->heap_count == 0) {
		timer_clear(&q->timer);
		return;
	}
	now = loop_now(q->port->loop);
	wall = clock_wall();
	if (q->heap[0]->next_attempt <= wall)
		ms = 1;
	else if (q->heap[0]->next_attempt - wall < LOOK_MS / 1000)
		ms = (uint64_t)(q->heap[0]->next_attempt - wall) * 1000;
	timer_set(&q->timer, now + ms);
}

/* At most so many at a time, so that a million becoming due at once do not hold the loop. */
enum { DUE_SLICE = 2000 };

static void
on_timer(struct timer *timer)
{
	struct queue *q = list_entry(timer, struct queue, timer);
	int64_t wall = clock_wall();
	struct entry *e;
	int n;

	for (n = 0; n < DUE_SLICE && q->heap_count > 0 && q->heap[0]->next_attempt <= wall; n++) {
		e = q->heap[0];
		queue_remove(e);
		queue_add_due(q, e, false);
	}
	queue_arm(q);
	port_announce(q->port);
}

/* ---- places ---- */

void
queue_add_due(struct queue *q, struct entry *e, bool front)
{
	if (list_empty(&q->due) && list_empty(&q->announce))
		list_append(&q->port->announce, &q->announce);
	if (front)
		list_prepend(&q->due, &e->link);
	else
		list_append(&q->due, &e->link);
	q->due_count++;
	count(&q->port->due, 1);
	e->state = ENTRY_DUE;
	e->next_attempt = 0;
}

void
queue_add_deferred(struct queue *q, struct entry *e, int64_t when)
{
	bool first;

	e->next_attempt = when;
	e->state = ENTRY_DEFERRED;
	heap_add(q, e);
	first = q->heap[0] == e;
	count(&q->port->deferred, 1);
	if (first)
		queue_arm(q);
}

void
queue_add_held(struct queue *q, struct entry *e)
{
	e->state = ENTRY_HELD;
	e->next_attempt = 0;
	list_append(&q->held, &e->link);
	count(&q->port->held, 1);
}

void
queue_remove(struct entry *e)
{
	struct queue *q = e->queue;

	switch ((enum entry_state)e->state) {
	case ENTRY_DUE:
		list_remove(&e->link);
		q->due_count--;
		count(&q->port->due, -1);
		break;
	case ENTRY_DEFERRED:
		heap_remove(q, e);
		count(&q->port->deferred, -1);
		break;
	case ENTRY_HELD:
		list_remove(&e->link);
		count(&q->port->held, -1);
		break;
	case ENTRY_ACTIVE:
		q->active--;
		count(&q->port->active, -1);
		break;
	}
	e->state = 0;
}

void
queue_activate(struct entry *e)
{
	struct queue *q = e->queue;

	queue_remove(e);
	e->state = ENTRY_ACTIVE;
	q->active++;
	count(&q->port->active, 1);
}

struct entry *
queue_take(struct queue *q)
{
	struct list *link = q->due.next;
	struct entry *e;

	if (link == &q->due)
		return NULL;
	e = list_entry(link, struct entry, link);
	queue_activate(e);
	return e;
}

unsigned
queue_due(const struct queue *q)
{
	return q->due_count;
}

const char *
queue_key(const struct queue *q)
{
	return q->key;
}

void
queue_set_stalled(struct queue *q, bool stalled)
{
	q->stalled = stalled;
}

void *
queue_user(const struct queue *q)
{
	return q->user;
}

void
queue_set_user(struct queue *q, void *user)
{
	q->user = user;
}

static unsigned
length(const struct list *l)
{
	unsigned n = 0;

	list_each(pos, l)
		n++;
	return n;
}

void
spool_each_queue(struct spool *spool, void (*fn)(struct queue *q, unsigned count, void *arg), void *arg)
{
	struct port *p = &spool->port[loop_index(loop_current())];
	unsigned count;

	list_each(l, &p->queue_list) {
		struct queue *q = list_entry(l, struct queue, all);

		count = q->due_count + q->heap_count + length(&q->held);
		if (count > 0)
			fn(q, count, arg);
	}
}

bool
queue_is_empty(const struct queue *q)
{
	return q->due_count == 0 && q->active == 0 && q->heap_count == 0 && list_empty(&q->held);
}

void
queue_drop(struct queue *q)
{
	check(queue_is_empty(q) && q->user == NULL);
	timer_clear(&q->timer);
	queue_free(q);
}
