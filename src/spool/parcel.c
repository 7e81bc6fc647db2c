/* SPDX-License-Identifier: MIT */
#include "spool/parcel.h"
#include "spool/record.h"
#include "util/arena.h"
#include "util/check.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_FIRST = 64 * 1024, OVERHEAD = 128 };

void
parcel_init(struct parcel *b)
{
	memset(b, 0, sizeof *b);
}

void
parcel_fini(struct parcel *b)
{
	parcel_clear(b);
	buf_fini(&b->head);
	buf_fini(&b->envelope);
	free(b->job);
	free(b->unit);
	free(b->log);
	free(b->record);
}

void
parcel_clear(struct parcel *b)
{
	arena_free(&b->arena);
	b->jobs = b->units = b->records = 0;
	b->bytes = 0;
	b->sync = b->messages = false;
}

uint64_t
parcel_size_of(const struct job *job)
{
	uint64_t n = OVERHEAD + job->state_len + job->rcpts_head_len + job->rcpts_len;
	const struct copy *c;

	for (c = job->copy; c != NULL; c = c->next)
		n += OVERHEAD * 4 + c->view.head_len + c->view.body_len;
	if (job->message != NULL)
		n += OVERHEAD + (job->message->first != NULL ? job->message->size : 0) + job->message->rcpt_count * 128u;
	return n;
}

static void *
keep(struct parcel *b, const void *p, size_t n)
{
	void *copy;

	if (b->arena == NULL)
		b->arena = arena_new(ARENA_FIRST);
	copy = arena_alloc(b->arena, n);
	memcpy(copy, p, n);
	return copy;
}

static struct unit *
add_unit(struct parcel *b, struct job *job)
{
	struct unit *u;

	if (b->units == b->unit_cap) {
		b->unit_cap = b->unit_cap ? b->unit_cap * 2 : 64;
		b->unit = xrealloc(b->unit, b->unit_cap * sizeof *b->unit);
		b->log = xrealloc(b->log, b->unit_cap * sizeof *b->log);
	}
	u = &b->unit[b->units++];
	memset(u, 0, sizeof *u);
	u->job = job;
	u->first = b->records;
	return u;
}

/* HEAD stays where it is until the batch is cleared. */
static struct spool_record *
add_record(struct parcel *b, enum record_type type, const void *head, size_t head_len)
{
	struct spool_record *r;

	if (b->records == b->record_cap) {
		b->record_cap = b->record_cap ? b->record_cap * 2 : 64;
		b->record = xrealloc(b->record, b->record_cap * sizeof *b->record);
	}
	r = &b->record[b->records++];
	memset(r, 0, sizeof *r);
	r->type = (uint8_t)type;
	r->head = head;
	r->head_len = (uint32_t)head_len;
	b->bytes += OVERHEAD + head_len;
	b->unit[b->units - 1].count++;
	return r;
}

static void
set_body(struct parcel *b, struct spool_record *r, const struct iovec *iov, unsigned count, uint64_t len)
{
	r->body = iov;
	r->body_count = count;
	r->body_len = len;
	b->bytes += len;
}

static void
add_message(struct parcel *b, const struct message *m)
{
	struct spool_record *r;
	const struct chunk *c;
	struct iovec *iov;
	unsigned n = 1;
	uint64_t len;

	b->head.len = b->envelope.len = 0;
	record_put_message(&b->head, &b->envelope, m);
	r = add_record(b, RECORD_MESSAGE, keep(b, b->head.data, b->head.len), b->head.len);
	for (c = m->first; c != NULL; c = c->next)
		n++;
	iov = arena_alloc(b->arena, n * sizeof *iov);
	iov[0].iov_base = keep(b, b->envelope.data, b->envelope.len);
	iov[0].iov_len = len = b->envelope.len;
	n = 1;
	for (c = m->first; c != NULL; c = c->next) {
		if (c->len == 0)
			continue;
		iov[n].iov_base = (char *)(uintptr_t)c->data;
		iov[n++].iov_len = c->len;
		len += c->len;
	}
	set_body(b, r, iov, n, len);
	b->messages = true;
}

static void
add_body(struct parcel *b, struct spool_record *r, const void *p, size_t n)
{
	struct iovec iov = { .iov_base = (char *)(uintptr_t)p, .iov_len = n };

	set_body(b, r, keep(b, &iov, sizeof iov), 1, n);
}

static void
add_state(struct parcel *b, const struct job *job)
{
	struct spool_record *r;
	const char *at = job->data + job->state_len;

	add_record(b, RECORD_STATE, job->data, job->state_len);
	if (job->rcpts_head_len == 0)
		return;
	r = add_record(b, RECORD_RCPTS, at, job->rcpts_head_len);
	add_body(b, r, at + job->rcpts_head_len, job->rcpts_len);
}

static void
add_done(struct parcel *b, uint64_t id, uint16_t group)
{
	struct done_head d = { .id = id, .group = group };

	b->head.len = 0;
	record_put_done(&b->head, &d);
	add_record(b, RECORD_DONE, keep(b, b->head.data, b->head.len), b->head.len);
}

static void
add_view(struct parcel *b, enum record_type type, const struct log_view *v)
{
	struct spool_record *r = add_record(b, type, v->head, v->head_len);

	if (v->body_len > 0)
		add_body(b, r, v->body, v->body_len);
}

static bool
is_same(const _Atomic log_pos *where, log_pos from, const struct log_view *view)
{
	return atomic_load(where) == from && (from == 0 || view->head != NULL);
}

/* What compaction read is still the newest there is. Everything written in the meantime was accounted for before;
 * what is in this batch comes behind the copy. */
static bool
is_fresh(const struct copy *c)
{
	const struct entry *e;
	unsigned i;

	if (c->type == RECORD_DONE)
		return true;
	if (c->stored->open == 0 || c->view.head == NULL)
		return false;
	if (c->type != RECORD_MESSAGE) {
		e = &c->stored->entry[c->group];
		return atomic_load(c->type == RECORD_STATE ? &e->state_pos : &e->rcpts_pos) == c->from;
	}
	for (i = 0; i < c->parts; i++) {
		e = &c->stored->entry[c->part[i].group];
		if (!e->done && (!is_same(&e->state_pos, c->part[i].state_from, &c->part[i].state) ||
		    !is_same(&e->rcpts_pos, c->part[i].rcpts_from, &c->part[i].rcpts)))
			return false;
	}
	return atomic_load(&c->stored->pos) == c->from;
}

/* The message with the absolute state of all its groups: what stands before it on disk counts no more. */
static void
add_whole(struct parcel *b, const struct copy *c)
{
	const struct stored *s = c->stored;
	const struct copy_part *part;
	unsigned i, next = 0;

	add_view(b, RECORD_MESSAGE, &c->view);
	for (i = 0; i < s->count; i++) {
		part = next < c->parts && c->part[next].group == i ? &c->part[next++] : NULL;
		if (s->entry[i].rcpt_count == 0)
			continue;
		if (s->entry[i].done) {
			add_done(b, c->id, (uint16_t)i);
			continue;
		}
		check(part != NULL);
		if (part->state_from != 0)
			add_view(b, RECORD_STATE, &part->state);
		if (part->rcpts_from != 0)
			add_view(b, RECORD_RCPTS, &part->rcpts);
	}
}

static void
add_copies(struct parcel *b, struct job *job)
{
	struct copy *c;

	for (c = job->copy; c != NULL; c = c->next) {
		c->written = false;
		if (!is_fresh(c))
			continue;
		add_unit(b, job)->copy = c;
		if (c->type == RECORD_MESSAGE)
			add_whole(b, c);
		else if (c->type == RECORD_DONE)
			add_done(b, c->id, c->group);
		else
			add_view(b, (enum record_type)c->type, &c->view);
	}
}

void
parcel_add(struct parcel *b, struct job *job)
{
	struct unit *u;

	if (b->jobs == b->job_cap) {
		b->job_cap = b->job_cap ? b->job_cap * 2 : 64;
		b->job = xrealloc(b->job, b->job_cap * sizeof(*b->job));
	}
	b->job[b->jobs++] = job;
	b->sync |= job->sync;
	if (job->kind == JOB_COPY) {
		add_copies(b, job);
		return;
	}
	u = add_unit(b, job);
	if (job->kind == JOB_STATE)
		add_state(b, job);
	else if (job->kind == JOB_DONE)
		add_done(b, job->stored->link.hash, job->entry->group);
	u->message = u->count;
	if (job->message != NULL)
		add_message(b, job->message);
}

void
parcel_add_probe(struct parcel *b)
{
	add_unit(b, NULL);
	b->head.len = 0;
	record_put_probe(&b->head);
	add_record(b, RECORD_PROBE, keep(b, b->head.data, b->head.len), b->head.len);
	b->sync = true;
}

void
parcel_seal(struct parcel *b)
{
	struct unit *u;
	unsigned i;

	for (i = 0; i < b->units; i++) {
		u = &b->unit[i];
		u->record = &b->record[u->first];
		b->log[i].record = u->record;
		b->log[i].count = u->count;
	}
}
