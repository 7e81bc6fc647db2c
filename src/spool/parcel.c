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
	free(b->unit);
	free(b->log);
	free(b->record);
}

void
parcel_clear(struct parcel *b)
{
	arena_free(&b->arena);
	b->units = b->records = 0;
	b->bytes = 0;
	b->sync = b->messages = false;
}

uint64_t
parcel_size_of(const struct job *job)
{
	uint64_t n = OVERHEAD + job->state_len + job->rcpts_head_len + job->rcpts_len;

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

void
parcel_add(struct parcel *b, struct job *job)
{
	struct unit *u = add_unit(b, job);

	if (job->kind == JOB_STATE)
		add_state(b, job);
	else if (job->kind == JOB_DONE)
		add_done(b, job->stored->link.hash, job->entry->group);
	u->message = u->count;
	if (job->message != NULL)
		add_message(b, job->message);
	b->sync |= job->sync;
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
