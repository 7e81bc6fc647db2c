/* SPDX-License-Identifier: MIT */
/* A message's recipients behind one next-hop key, from arrival to their end. On the owning loop's thread. */
#include "spool/committer.h"
#include "spool/record.h"
#include "util/arena.h"
#include "util/check.h"
#include "util/pool.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)ENTRY_WARNED == (int)STATE_WARNED && (int)ENTRY_BOUNCE == (int)STATE_BOUNCE &&
    (int)ENTRY_REKEYED == (int)STATE_REKEYED, "an entry's flags are recorded as they are");

/* A cached message older than this makes room for a newer one: its next hop does not take mail. */
enum { CACHE_STALE_MS = 10000 };

enum { STORED_ONE = sizeof(struct stored) + sizeof(struct entry) };

struct pool stored_pool = POOL_INIT(stored_pool, (STORED_ONE + 15) / 16 * 16);

struct stored *
stored_new(uint64_t id, unsigned groups)
{
	size_t size = sizeof(struct stored) + groups * sizeof(struct entry);
	struct stored *s = groups == 1 ? pool_alloc(&stored_pool) : xmalloc(size);
	unsigned i;

	memset(s, 0, size);
	check(groups > 0 && groups < UINT16_MAX);
	s->link.hash = id;
	atomic_init(&s->refs, 1);
	list_init(&s->live);
	s->count = (uint16_t)groups;
	for (i = 0; i < groups; i++) {
		list_init(&s->entry[i].all);
		list_init(&s->entry[i].link);
		s->entry[i].group = (uint16_t)i;
		atomic_init(&s->entry[i].loop, LOOP_NONE);
	}
	return s;
}

struct stored *
stored_of(const struct entry *e)
{
	return list_entry(e - e->group, struct stored, entry);
}

struct stored *
stored_ref(struct stored *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

static void
stored_free(struct stored *s)
{
	if (s->count == 1)
		pool_free(&stored_pool, s);
	else
		free(s);
}

void
stored_unref(struct stored *s)
{
	if (s != NULL && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
		stored_free(s);
}

struct stored *
stored_from_message(struct message *m, uint64_t now)
{
	struct cached *cached = arena_alloc(m->arena, m->group_count * sizeof *cached);
	struct stored *s = stored_new(m->id, m->group_count);
	struct entry *e;
	uint32_t i;

	s->size = m->size;
	s->received = m->received;
	s->blob = m->blob[0] != '\0';
	for (i = 0; i < m->rcpt_count; i++)
		s->entry[m->rcpt[i].group].rcpt_count++;
	for (i = 0; i < m->group_count; i++) {
		e = &s->entry[i];
		e->rcpt_pending = e->rcpt_count;
		e->done = e->rcpt_count == 0;
		if (e->done)
			continue;
		s->open++;
		list_init(&cached[i].link);
		cached[i].entry = e;
		cached[i].message = message_ref(m);
		cached[i].since = now;
		e->cached = &cached[i];
	}
	return s;
}

void
stored_forget(struct stored *s)
{
	unsigned i;

	for (i = 0; i < s->count; i++)
		entry_forget(&s->entry[i]);
}

/* ---- the message's bytes ---- */

void
entry_forget(struct entry *e)
{
	struct message *m;

	if (e->cached == NULL)
		return;
	list_remove(&e->cached->link);
	m = e->cached->message;
	e->cached = NULL; /* it lives in the message */
	message_unref(&m);
}

/* While no attempt is near, or the cache is full, the newcomer stays on disk only, unless an old one waits in vain. */
static void
cache_admit(struct port *p, struct entry *e)
{
	struct message_budget *b = &p->spool->budget;
	struct message *m = e->cached->message;
	uint64_t now = loop_now(p->loop), limit = p->spool->config.cache;
	struct cached *oldest;

	if (e->queue->stalled) {
		entry_forget(e);
		return;
	}
	if (!atomic_exchange(&m->cached, true))
		atomic_fetch_add_explicit(&b->cached, m->memory, memory_order_relaxed);
	while (atomic_load_explicit(&b->cached, memory_order_relaxed) > limit && !list_empty(&p->cached)) {
		oldest = list_entry(p->cached.next, struct cached, link);
		if (now - oldest->since < CACHE_STALE_MS)
			break;
		entry_forget(oldest->entry);
	}
	if (atomic_load_explicit(&b->cached, memory_order_relaxed) > limit) {
		entry_forget(e);
		return;
	}
	e->cached->since = now;
	list_append(&p->cached, &e->cached->link);
}

static struct attempt *
attempt_get(struct entry *e)
{
	if (e->attempt == NULL)
		e->attempt = xcalloc(1, sizeof *e->attempt);
	return e->attempt;
}

void
entry_attempt_end(struct entry *e)
{
	if (e->attempt == NULL)
		return;
	free(e->attempt->rcpts);
	free(e->attempt->reason);
	free(e->attempt->key);
	free(e->attempt);
	e->attempt = NULL;
}

/* ---- jobs ---- */

static struct job *
job_new(struct entry *e, enum job_kind kind, size_t room)
{
	struct job *job = xmalloc(sizeof *job + room);

	memset(job, 0, sizeof *job);
	job->kind = kind;
	job->entry = e;
	job->stored = stored_ref(stored_of(e));
	return job;
}

static struct job *
state_job(struct entry *e, enum entry_state state, int64_t when, const char *reason, const char *key)
{
	struct buf *b = &e->queue->port->scratch;
	struct state_head h = {
		.id = entry_id(e),
		.group = e->group,
		.state = (uint8_t)state,
		.flags = e->flags & (ENTRY_WARNED | ENTRY_BOUNCE | ENTRY_REKEYED),
		.attempts = e->attempts,
		.next_attempt = when,
		.key = key,
		.reason = reason,
	};
	struct job *job;

	b->len = 0;
	record_put_state(b, &h);
	job = job_new(e, JOB_STATE, b->len);
	memcpy(job->data, b->data, b->len);
	job->state_len = (uint32_t)b->len;
	job->state = (uint8_t)state;
	job->when = when;
	return job;
}

/* Adds a RCPTS record to a STATE job. */
static struct job *
add_rcpts(struct job *job, const struct rcpt_state *rcpt, size_t count, const char *peer)
{
	struct entry *e = job->entry;
	struct buf *b = &e->queue->port->scratch;
	struct rcpts_head h = { .id = entry_id(e), .group = e->group, .pending = e->rcpt_pending };

	b->len = 0;
	record_put_rcpts_head(b, &h);
	job->rcpts_head_len = (uint32_t)b->len;
	record_put_rcpts(b, rcpt, count, peer);
	job->rcpts_len = (uint32_t)(b->len - job->rcpts_head_len);
	job = xrealloc(job, sizeof *job + job->state_len + b->len);
	memcpy(job->data + job->state_len, b->data, b->len);
	e->unwritten = job;
	return job;
}

static void
submit_state(struct entry *e, enum entry_state state, const char *reason)
{
	port_submit(e->queue->port, state_job(e, state, e->next_attempt, reason, e->queue->key));
}

/* An operator knows that it is not known who got it, and releases it: everybody is tried. */
static void
begin_anew(struct entry *e)
{
	struct job *job = state_job(e, ENTRY_DUE, 0, NULL, e->queue->key);

	e->flags &= (uint8_t)~ENTRY_RCPTS_LOST;
	e->rcpt_pending = e->rcpt_count;
	port_submit(e->queue->port, add_rcpts(job, NULL, 0, NULL));
}

static void
add_report(struct job *job, struct message *report)
{
	struct port *p = job->entry->queue->port;

	message_charge_rest(report, &p->spool->budget);
	job->message = message_ref(report);
	job->added = stored_from_message(report, loop_now(p->loop));
	job->sync = true;
}

/* ---- transitions ---- */

static void
settle(struct entry *e, enum entry_state state, int64_t when)
{
	struct queue *q = e->queue;

	queue_remove(e);
	if (state == ENTRY_DUE)
		queue_add_due(q, e, false);
	else if (state == ENTRY_DEFERRED)
		queue_add_deferred(q, e, when);
	else
		queue_add_held(q, e);
}

static void
leave(struct entry *e)
{
	queue_remove(e);
	list_remove(&e->all);
	entry_forget(e);
	entry_attempt_end(e);
	e->queue = NULL; /* it may be dropped now */
}

static void
hold(struct entry *e, const char *reason)
{
	settle(e, ENTRY_HELD, 0);
	entry_forget(e);
	submit_state(e, ENTRY_HELD, reason);
}

static void
drop(struct entry *e)
{
	struct port *p = e->queue->port;
	struct job *job = job_new(e, JOB_DONE, 0);

	leave(e);
	job->sync = stored_of(e)->blob; /* its blob goes only after the record is durable */
	port_submit(p, job);
}

/* What was asked for while the attempt ran. */
static void
apply_wants(struct entry *e)
{
	uint8_t want = e->flags & (ENTRY_WANT_HOLD | ENTRY_WANT_DROP | ENTRY_WANT_BOUNCE);
	char *reason = NULL;

	if (e->attempt != NULL) {
		reason = e->attempt->reason;
		e->attempt->reason = NULL;
	}
	entry_attempt_end(e);
	e->flags &= (uint8_t)~want;
	if (want & ENTRY_WANT_DROP)
		entry_act(e, SPOOL_DROP, NULL);
	else if (want & ENTRY_WANT_HOLD)
		entry_act(e, SPOOL_HOLD, reason);
	else if (want & ENTRY_WANT_BOUNCE)
		entry_act(e, SPOOL_BOUNCE, NULL);
	free(reason);
}

static bool
act_on_active(struct entry *e, enum spool_action action, const char *reason)
{
	struct attempt *a;
	uint8_t want = 0;

	switch (action) {
	case SPOOL_RETRY:
	case SPOOL_REDIRECT:
		return false;
	case SPOOL_RELEASE:
		want = e->flags & ENTRY_WANT_HOLD;
		e->flags &= (uint8_t)~ENTRY_WANT_HOLD;
		return want != 0;
	case SPOOL_HOLD:
		a = attempt_get(e);
		free(a->reason);
		a->reason = reason != NULL ? xstrdup(reason) : NULL;
		want = ENTRY_WANT_HOLD;
		break;
	case SPOOL_DROP:
		want = ENTRY_WANT_DROP;
		break;
	case SPOOL_BOUNCE:
		want = ENTRY_WANT_BOUNCE;
		break;
	}
	e->flags |= want;
	return true;
}

bool
entry_act(struct entry *e, enum spool_action action, const char *reason)
{
	if (e->state == 0)
		return false;
	if (e->state == ENTRY_ACTIVE)
		return act_on_active(e, action, reason);
	switch (action) {
	case SPOOL_RETRY:
		if (e->state != ENTRY_DEFERRED)
			return false;
		settle(e, ENTRY_DUE, 0);
		return true;
	case SPOOL_HOLD:
		if (e->state == ENTRY_HELD)
			return false;
		hold(e, reason);
		return true;
	case SPOOL_RELEASE:
		if (e->state != ENTRY_HELD)
			return false;
		settle(e, ENTRY_DUE, 0);
		if (e->flags & ENTRY_RCPTS_LOST)
			begin_anew(e);
		else
			submit_state(e, ENTRY_DUE, NULL);
		return true;
	case SPOOL_DROP:
		drop(e);
		return true;
	case SPOOL_BOUNCE:
		e->flags |= ENTRY_BOUNCE;
		settle(e, ENTRY_DUE, 0);
		submit_state(e, ENTRY_DUE, NULL);
		return true;
	case SPOOL_REDIRECT:
		if (e->state == ENTRY_HELD || strcmp(e->queue->key, reason) == 0)
			return false;
		queue_activate(e);
		entry_rekey(e, reason);
		return true;
	}
	return false;
}

void
entry_arrive(struct port *p, struct entry *e)
{
	const char *key;

	key = e->attempt != NULL && e->attempt->key != NULL ? e->attempt->key : e->cached->message->group[e->group];
	e->queue = queue_get(p, key, strlen(key));
	if (e->attempt != NULL) {
		free(e->attempt->key);
		e->attempt->key = NULL;
		if (e->attempt->rcpts == NULL && e->attempt->reason == NULL)
			entry_attempt_end(e);
	}
	list_append(&p->entries, &e->all);
	atomic_store(&e->loop, (uint16_t)p->index);
	if (e->cached != NULL)
		cache_admit(p, e);
	queue_add_due(e->queue, e, false);
	apply_wants(e);
}

static void
move(struct entry *e)
{
	struct spool *spool = e->queue->port->spool;
	struct list arrivals;

	queue_remove(e);
	list_remove(&e->all);
	if (e->cached != NULL)
		list_remove(&e->cached->link);
	e->queue = NULL;
	atomic_store(&e->loop, LOOP_NONE);
	list_init(&arrivals);
	list_append(&arrivals, &e->link);
	port_deliver(port_of_key(spool, e->attempt->key), NULL, NULL, &arrivals);
}

void
entry_written(struct job *job)
{
	struct entry *e = job->entry;

	if (e->unwritten == job)
		e->unwritten = NULL;
	if (job->then != THEN_NOTHING)
		e->flags &= (uint8_t)~ENTRY_FINISHING;
	switch (job->then) {
	case THEN_NOTHING:
		break;
	case THEN_SETTLE:
		settle(e, (enum entry_state)job->state, job->when);
		apply_wants(e);
		break;
	case THEN_LEAVE:
		leave(e);
		break;
	case THEN_MOVE:
		move(e);
		break;
	}
	stored_unref(job->stored);
	stored_unref(job->added);
	message_unref(&job->message);
	free(job);
}

/* ---- what delivery says ---- */

static int
by_index(const void *a, const void *b)
{
	const struct rcpt_state *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

/* The recipients' absolute states: what was loaded, overlaid with what changed. */
struct merged {
	struct arena *arena;
	struct rcpt_state *rcpt;
	size_t count, final;
	const char *peer;
};

static void
merge(struct entry *e, const struct outcome *o, struct merged *m)
{
	struct rcpt_state *old = NULL, *new;
	size_t olds = 0, i = 0, j = 0;

	/* Without what was there before, absolute states cannot be written: entry_load() comes first. */
	check((atomic_load(&e->rcpts_pos) == 0 && e->unwritten == NULL) ||
	    (e->attempt != NULL && e->attempt->rcpts != NULL));
	m->arena = arena_new(512);
	if (e->attempt != NULL && e->attempt->rcpts != NULL)
		check(record_get_rcpts(e->attempt->rcpts, e->attempt->rcpts_len, m->arena, &old, &olds, &m->peer) == 0);
	if (o->peer != NULL)
		m->peer = o->peer;
	new = arena_alloc(m->arena, (o->count + 1) * sizeof *new);
	memcpy(new, o->rcpt, o->count * sizeof *new);
	qsort(new, o->count, sizeof *new, by_index);
	m->rcpt = arena_alloc(m->arena, (olds + o->count + 1) * sizeof *m->rcpt);
	while (i < olds || j < o->count) {
		if (j == o->count || (i < olds && old[i].index < new[j].index)) {
			m->rcpt[m->count++] = old[i++];
			continue;
		}
		if (i < olds && old[i].index == new[j].index)
			i++;
		check(j == 0 || new[j].index != new[j - 1].index);
		m->rcpt[m->count++] = new[j++];
	}
	for (i = 0; i < m->count; i++)
		m->final += m->rcpt[i].status != RCPT_PENDING;
	check(m->final <= e->rcpt_count);
}

static bool
all_final(const struct entry *e, const struct outcome *o)
{
	unsigned i;

	if (o->count != e->rcpt_pending)
		return false;
	for (i = 0; i < o->count; i++)
		if (o->rcpt[i].status == RCPT_PENDING)
			return false;
	return true;
}

static void
finish_done(struct entry *e, const struct outcome *o)
{
	struct port *p = e->queue->port;
	struct job *job;

	if (o->report == NULL) {
		drop(e);
		return;
	}
	job = job_new(e, JOB_DONE, 0);
	add_report(job, o->report);
	job->then = THEN_LEAVE;
	e->flags |= ENTRY_FINISHING;
	port_submit(p, job);
}

static void
finish_deferred(struct entry *e, const struct outcome *o, const struct merged *m)
{
	struct port *p = e->queue->port;
	struct job *job = state_job(e, ENTRY_DEFERRED, o->next_attempt, NULL, e->queue->key);

	if (m->count > 0)
		job = add_rcpts(job, m->rcpt, m->count, m->peer);
	entry_forget(e);
	if (o->report != NULL) {
		add_report(job, o->report);
		job->then = THEN_SETTLE;
		e->flags |= ENTRY_FINISHING;
	}
	port_submit(p, job);
	if (o->report == NULL) {
		settle(e, ENTRY_DEFERRED, o->next_attempt);
		apply_wants(e);
	}
}

void
entry_finish(struct entry *e, const struct outcome *o)
{
	struct merged m = { 0 };

	check(e->state == ENTRY_ACTIVE && !(e->flags & ENTRY_FINISHING));
	if (o->count_attempt && e->attempts < UINT16_MAX)
		e->attempts++;
	if (o->warned)
		e->flags |= ENTRY_WARNED;
	if (all_final(e, o)) {
		e->rcpt_pending = 0;
		finish_done(e, o);
		return;
	}
	if (o->count > 0) {
		merge(e, o, &m);
		e->rcpt_pending = e->rcpt_count - (uint32_t)m.final;
	}
	if (e->rcpt_pending == 0)
		finish_done(e, o);
	else
		finish_deferred(e, o, &m);
	arena_free(&m.arena);
}

void
entry_return(struct entry *e, bool front)
{
	struct queue *q = e->queue;
	bool told = list_empty(&q->announce);

	check(e->state == ENTRY_ACTIVE && !(e->flags & ENTRY_FINISHING));
	queue_remove(e);
	queue_add_due(q, e, front);
	if (told)
		list_remove(&q->announce); /* delivery knows: it gave the entry back */
	apply_wants(e);
}

void
entry_hold(struct entry *e, const char *reason)
{
	if (e->state != ENTRY_ACTIVE || (e->flags & ENTRY_FINISHING)) {
		entry_act(e, SPOOL_HOLD, reason);
		return;
	}
	hold(e, reason);
	e->flags &= (uint8_t)~ENTRY_WANT_HOLD;
	apply_wants(e);
}

void
entry_rekey(struct entry *e, const char *key)
{
	struct job *job;

	check(e->state == ENTRY_ACTIVE && !(e->flags & ENTRY_FINISHING));
	attempt_get(e)->key = xstrdup(key);
	e->flags |= ENTRY_REKEYED | ENTRY_FINISHING;
	job = state_job(e, ENTRY_DUE, 0, NULL, key);
	job->then = THEN_MOVE;
	port_submit(e->queue->port, job);
}

uint64_t
entry_id(const struct entry *e)
{
	return stored_of(e)->link.hash;
}

struct queue *
entry_queue(const struct entry *e)
{
	return e->queue;
}

int64_t
entry_received(const struct entry *e)
{
	return stored_of(e)->received;
}

unsigned
entry_attempts(const struct entry *e)
{
	return e->attempts;
}

bool
entry_warned(const struct entry *e)
{
	return (e->flags & ENTRY_WARNED) != 0;
}

bool
entry_bounce_wanted(const struct entry *e)
{
	return (e->flags & ENTRY_BOUNCE) != 0;
}
