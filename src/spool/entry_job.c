/* SPDX-License-Identifier: MIT */
#include "spool/entry_job.h"
#include "spool/record.h"
#include "util/arena.h"
#include "util/check.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)ENTRY_WARNED == (int)STATE_WARNED && (int)ENTRY_BOUNCE == (int)STATE_BOUNCE &&
    (int)ENTRY_REKEYED == (int)STATE_REKEYED, "an entry's flags are recorded as they are");

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

struct job *
entry_job_done(struct entry *e)
{
	return job_new(e, JOB_DONE, 0);
}

struct job *
entry_job_state(struct entry *e, enum entry_state state, int64_t when, const char *reason, const char *key)
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

struct job *
entry_job_rcpts(struct job *job, const struct rcpt_state *rcpt, size_t count, const char *peer)
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

void
entry_job_report(struct job *job, struct message *report)
{
	struct port *p = job->entry->queue->port;

	message_charge_rest(report, &p->spool->budget);
	job->message = message_ref(report);
	job->added = stored_from_message(report, loop_now(p->loop));
	job->sync = true;
}

static int
by_index(const void *a, const void *b)
{
	const struct rcpt_state *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

void
entry_merge(const struct entry *e, const struct outcome *o, struct merged *m)
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
