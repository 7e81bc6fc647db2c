/* SPDX-License-Identifier: MIT */
/* A message's recipients behind one next-hop key, from arrival to their end. On the owning loop's thread. */
#include "spool/entry_job.h"
#include "util/arena.h"
#include "util/check.h"

#include <stdlib.h>
#include <string.h>

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

/* ---- transitions ---- */

static void
submit_state(struct entry *e, enum entry_state state, const char *reason)
{
	port_submit(e->queue->port, entry_job_state(e, state, e->next_attempt, reason, e->queue->key));
}

/* An operator knows that it is not known who got it, and releases it: everybody is tried. */
static void
begin_anew(struct entry *e)
{
	struct job *job = entry_job_state(e, ENTRY_DUE, 0, NULL, e->queue->key);

	e->flags &= (uint8_t)~ENTRY_RCPTS_LOST;
	e->rcpt_pending = e->rcpt_count;
	port_submit(e->queue->port, entry_job_rcpts(job, NULL, 0, NULL));
}

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
	struct job *job = entry_job_done(e);

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
	if (want == 0 && (e->flags & ENTRY_BOUNCE) && reason != NULL) {
		attempt_get(e)->reason = reason; /* it waits for the next attempt */
		return;
	}
	if (want & ENTRY_WANT_DROP)
		entry_act(e, SPOOL_DROP, NULL);
	else if (want & ENTRY_WANT_HOLD)
		entry_act(e, SPOOL_HOLD, reason);
	else if (want & ENTRY_WANT_BOUNCE)
		entry_act(e, SPOOL_BOUNCE, reason);
	free(reason);
}

static void
keep_reason(struct entry *e, const char *reason)
{
	struct attempt *a = attempt_get(e);

	free(a->reason);
	a->reason = reason != NULL ? xstrdup(reason) : NULL;
}

static bool
act_on_active(struct entry *e, enum spool_action action, const char *reason)
{
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
		keep_reason(e, reason);
		want = ENTRY_WANT_HOLD;
		break;
	case SPOOL_DROP:
		want = ENTRY_WANT_DROP;
		break;
	case SPOOL_BOUNCE:
		keep_reason(e, reason);
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
		keep_reason(e, reason);
		settle(e, ENTRY_DUE, 0);
		submit_state(e, ENTRY_DUE, reason);
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
		entry_keep(p, e);
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
	job = entry_job_done(e);
	entry_job_report(job, o->report);
	job->then = THEN_LEAVE;
	e->flags |= ENTRY_FINISHING;
	port_submit(p, job);
}

static void
finish_deferred(struct entry *e, const struct outcome *o, const struct merged *m)
{
	struct port *p = e->queue->port;
	struct job *job = entry_job_state(e, ENTRY_DEFERRED, o->next_attempt, NULL, e->queue->key);

	if (m->count > 0)
		job = entry_job_rcpts(job, m->rcpt, m->count, m->peer);
	entry_forget(e);
	if (o->report != NULL) {
		entry_job_report(job, o->report);
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
		entry_merge(e, o, &m);
		e->rcpt_pending = e->rcpt_count - (uint32_t)m.final;
	}
	if (e->rcpt_pending == 0)
		finish_done(e, o);
	else
		finish_deferred(e, o, &m);
	arena_free(&m.arena);
}

void
entry_note(struct entry *e, const struct rcpt_state *rcpt, unsigned count, const char *peer)
{
	const struct outcome o = { .rcpt = rcpt, .count = count, .peer = peer };
	struct merged m = { 0 };
	struct job *job;

	check(e->state == ENTRY_ACTIVE && !(e->flags & ENTRY_FINISHING));
	entry_merge(e, &o, &m);
	e->rcpt_pending = e->rcpt_count - (uint32_t)m.final;
	check(e->rcpt_pending > 0);
	job = entry_job_rcpts(entry_job_state(e, ENTRY_DUE, 0, NULL, e->queue->key), m.rcpt, m.count, m.peer);
	entry_keep_rcpts(e, job->data + job->state_len + job->rcpts_head_len, job->rcpts_len);
	port_submit(e->queue->port, job);
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
	job = entry_job_state(e, ENTRY_DUE, 0, NULL, key);
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
