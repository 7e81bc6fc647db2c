/* SPDX-License-Identifier: MIT */
/* What earlier lives left, folded into memory from record heads alone, in the order they were written. */
#include "spool/recovery.h"
#include "spool/blob.h"
#include "spool/record.h"
#include "util/check.h"
#include "util/log.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

struct blob_wanted {
	uint64_t id;
	uint64_t length;
	char name[32];
};

struct recovery {
	struct spool *spool;
	struct index *ix;
	struct blob_wanted *blob;
	size_t blobs, blob_cap;
	uint64_t unreadable;
};

/* ---- folding ---- */

static void
forget_state(struct index *ix, struct entry *e)
{
	index_state(ix, e, 0);
	index_rcpts(ix, e, 0);
	e->rcpt_pending = e->rcpt_count;
	e->state = ENTRY_DUE;
	e->flags = 0;
	e->attempts = 0;
	e->next_attempt = 0;
}

static void
note_blob(struct recovery *r, const struct message_head *h)
{
	struct blob_wanted *b;

	if (r->blobs == r->blob_cap) {
		r->blob_cap = r->blob_cap ? r->blob_cap * 2 : 64;
		r->blob = xrealloc(r->blob, r->blob_cap * sizeof *r->blob);
	}
	b = &r->blob[r->blobs++];
	b->id = h->id;
	b->length = h->blob_len;
	memcpy(b->name, h->blob, sizeof b->name);
}

/* The groups of a message's newest copy: all due, until later records say otherwise. */
static int
fold_groups(struct recovery *r, struct stored *s, struct message_head *h)
{
	const char *key;
	struct entry *e;
	struct port *p;
	uint32_t rcpts;
	unsigned i;
	size_t n;

	s->open = 0;
	for (i = 0; i < s->count; i++) {
		e = &s->entry[i];
		if (message_head_group(h, &key, &n, &rcpts) < 0)
			return -1;
		p = port_of_bytes(r->spool, key, n);
		e->queue = queue_get(p, key, n);
		e->rcpt_count = rcpts;
		e->done = rcpts == 0;
		s->open += rcpts > 0;
		forget_state(r->ix, e);
		if (e->done)
			e->state = 0;
	}
	return 0;
}

static int
fold_message(struct recovery *r, log_pos pos, const void *head, uint32_t head_len, uint64_t body_len)
{
	struct message_head h;
	struct stored *s;

	if (record_get_message(head, head_len, &h) < 0 || h.group_count == 0 || h.group_count >= UINT16_MAX)
		return -1;
	s = index_find(r->ix, h.id);
	if (s != NULL) {
		if (s->count != h.group_count)
			return -1;
		index_move(r->ix, s, pos);
		return fold_groups(r, s, &h);
	}
	s = stored_new(h.id, h.group_count);
	s->size = h.size;
	s->received = h.received;
	s->blob = h.blob[0] != '\0';
	if (fold_groups(r, s, &h) < 0) {
		stored_unref(s);
		return -1;
	}
	index_add(r->ix, s, pos, (uint32_t)(head_len + body_len));
	if (s->blob)
		note_blob(r, &h);
	return 0;
}

/* The entry a record is about; NULL when its message is gone: then the record is too. */
static struct entry *
find_entry(struct recovery *r, uint64_t id, uint16_t group)
{
	struct stored *s = index_find(r->ix, id);

	return s != NULL && group < s->count ? &s->entry[group] : NULL;
}

static int
fold_state(struct recovery *r, log_pos pos, const void *head, uint32_t head_len)
{
	struct state_head h;
	struct entry *e;

	if (record_get_state(head, head_len, &h) < 0)
		return -1;
	e = find_entry(r, h.id, h.group);
	if (e == NULL || e->done)
		return 0;
	index_state(r->ix, e, pos);
	e->state = h.state;
	e->flags = h.flags & (STATE_WARNED | STATE_BOUNCE | STATE_REKEYED);
	e->attempts = h.attempts;
	e->next_attempt = h.next_attempt;
	if (h.flags & STATE_REKEYED)
		e->queue = queue_get(port_of_bytes(r->spool, h.key, h.key_len), h.key, h.key_len);
	return 0;
}

static int
fold_rcpts(struct recovery *r, log_pos pos, const void *head, uint32_t head_len)
{
	struct rcpts_head h;
	struct entry *e;

	if (record_get_rcpts_head(head, head_len, &h) < 0)
		return -1;
	e = find_entry(r, h.id, h.group);
	if (e == NULL || e->done)
		return 0;
	if (h.pending > e->rcpt_count)
		return -1;
	index_rcpts(r->ix, e, pos);
	e->rcpt_pending = h.pending;
	return 0;
}

static int
fold_done(struct recovery *r, log_pos pos, const void *head, uint32_t head_len)
{
	struct done_head h;
	struct stored *s;
	struct entry *e;

	if (record_get_done(head, head_len, &h) < 0)
		return -1;
	e = find_entry(r, h.id, h.group);
	if (e == NULL)
		return 0;
	s = stored_of(e);
	index_done(r->ix, h.id, h.group, LOG_POS_SEGMENT(atomic_load(&s->pos)), pos);
	if (e->done)
		return 0;
	forget_state(r->ix, e);
	e->state = 0;
	e->done = 1;
	s->open--;
	return 0;
}

static void
fold(void *arg, log_pos pos, uint32_t unit, uint8_t type, const void *head, uint32_t head_len, uint64_t body_len)
{
	struct recovery *r = arg;
	struct usage *u = index_usage(r->ix, LOG_POS_SEGMENT(pos));
	int rc = -1;

	(void)unit;
	u->closed = 1;
	switch (type) {
	case RECORD_MESSAGE:
		rc = fold_message(r, pos, head, head_len, body_len);
		break;
	case RECORD_STATE:
		rc = fold_state(r, pos, head, head_len);
		break;
	case RECORD_RCPTS:
		rc = fold_rcpts(r, pos, head, head_len);
		break;
	case RECORD_DONE:
		rc = fold_done(r, pos, head, head_len);
		break;
	case RECORD_PROBE:
		rc = 0;
		break;
	}
	if (rc == 0)
		return;
	/* Whole, by its checksum, but not ours to read: of another version. It must not be freed. */
	if (!u->foreign)
		log_event(LOG_ERROR, "spool-unreadable", "a record of type %u in segment %u cannot be read: the segment is kept",
		    type, u->number);
	u->foreign = true;
	r->unreadable++;
}

static void
alarm_damaged(void *arg, const char *file, const char *what)
{
	(void)arg;
	log_event(LOG_ERROR, "spool-damaged", "%s: %s", file, what);
}

/* ---- taking over ---- */

static void
enqueue(struct entry *e)
{
	struct queue *q = e->queue;
	enum entry_state state = (enum entry_state)e->state;

	e->state = 0;
	list_append(&q->port->entries, &e->all);
	atomic_store(&e->loop, (uint16_t)q->port->index);
	if (state == ENTRY_DEFERRED)
		queue_add_deferred(q, e, e->next_attempt);
	else if (state == ENTRY_HELD)
		queue_add_held(q, e);
	else
		queue_add_due(q, e, false);
}

static void
take_over(struct recovery *r, struct usage *u)
{
	struct stored *s;
	unsigned i;

	list_each_safe(link, &u->messages)
	{
		s = list_entry(link, struct stored, live);
		if (s->open == 0) {
			index_remove(r->ix, s);
			stored_unref(s);
			continue;
		}
		for (i = 0; i < s->count; i++)
			if (!s->entry[i].done)
				enqueue(&s->entry[i]);
	}
}

/* Held by us, not by an operator: says so in the log and on disk. */
static void
put_aside(struct recovery *r, uint64_t id, const char *reason)
{
	struct stored *s = index_find(r->ix, id);
	struct log_record line;
	unsigned i;

	if (s == NULL)
		return;
	log_begin(&line, LOG_ERROR, "held");
	log_id(&line, "msg", id);
	log_str(&line, "reason", reason);
	log_end(&line);
	for (i = 0; i < s->count; i++)
		if (!s->entry[i].done)
			entry_act(&s->entry[i], SPOOL_HOLD, reason);
}

static void
check_blobs(struct recovery *r)
{
	struct err err;
	size_t i;

	for (i = 0; i < r->blobs; i++)
		if (index_find(r->ix, r->blob[i].id) != NULL &&
		    blob_length_ok(r->spool->blobs, r->blob[i].name, r->blob[i].length, &err) < 0)
			put_aside(r, r->blob[i].id, err.text);
}

static int
blob_wanted(void *arg, uint64_t id)
{
	struct stored *s = index_find(arg, id);

	return s != NULL && s->blob;
}

static void
report(struct recovery *r, int epochs)
{
	struct log_record line;

	if (r->ix->count == 0)
		return;
	log_begin(&line, LOG_INFO, "adopted");
	log_u64(&line, "lives", (uint64_t)epochs);
	log_u64(&line, "messages", r->ix->messages.count);
	log_u64(&line, "segments", r->ix->count);
	if (r->unreadable > 0)
		log_u64(&line, "unreadable", r->unreadable);
	log_end(&line);
}

int
spool_recover(struct spool *spool, struct err *err)
{
	struct recovery r = { .spool = spool, .ix = &spool->index };
	unsigned i;
	int epochs;

	pthread_mutex_lock(&r.ix->lock);
	epochs = spool_log_adopt(spool->log, fold, alarm_damaged, &r, err);
	if (epochs >= 0) {
		list_each(link, &r.ix->order)
			take_over(&r, list_entry(link, struct usage, order));
		report(&r, epochs);
		check_blobs(&r);
		for (i = 0; i < spool->config.crashed_count; i++)
			put_aside(&r, spool->config.crashed[i], "handling it crashed the worker twice");
		/* Of a record that cannot be read nobody knows which blob it names. */
		if (r.unreadable == 0)
			atomic_store(&spool->blob_count, blobs_sweep(spool->blobs, blob_wanted, r.ix));
		r.ix->look = true;
	}
	pthread_mutex_unlock(&r.ix->lock);
	free(r.blob);
	return epochs < 0 ? -1 : 0;
}
