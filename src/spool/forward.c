/* SPDX-License-Identifier: MIT */
#include "spool/forward.h"
#include "spool/committer.h"
#include "spool/load.h"
#include "spool/record.h"
#include "util/check.h"
#include "util/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE_RECORDS = 512 };

/* A slice on its way to the committer. */
struct slice {
	struct copy *first, **last;
	uint64_t bytes;
	unsigned count;
	unsigned unread; /* could not be read */
};

static void
slice_init(struct slice *s)
{
	s->first = NULL;
	s->last = &s->first;
	s->bytes = 0;
	s->count = s->unread = 0;
}

static struct copy *
slice_add(struct slice *s, enum record_type type, uint64_t id, struct stored *stored)
{
	struct copy *c = xcalloc(1, sizeof *c);

	c->type = (uint8_t)type;
	c->id = id;
	c->stored = stored != NULL ? stored_ref(stored) : NULL;
	*s->last = c;
	s->last = &c->next;
	s->count++;
	return c;
}

static void
slice_fini(struct slice *s)
{
	struct copy *c, *next;
	unsigned i;

	for (c = s->first; c != NULL; c = next) {
		next = c->next;
		for (i = 0; i < c->parts; i++) {
			view_fini(&c->part[i].state);
			view_fini(&c->part[i].rcpts);
		}
		free(c->part);
		view_fini(&c->view);
		stored_unref(c->stored);
		free(c);
	}
	slice_init(s);
}

static int
slice_write(struct compactor *k, struct slice *s)
{
	struct job job = { .kind = JOB_COPY, .sync = true, .copy = s->first };

	return s->first == NULL ? 0 : committer_run(k->spool, &job);
}

/* ---- messages ---- */

/* The next live messages of a segment. */
static void
gather_messages(struct compactor *k, uint32_t number, struct slice *s)
{
	struct index *ix = &k->spool->index;
	struct stored *m;
	struct usage *u;

	pthread_mutex_lock(&ix->lock);
	u = index_have_usage(ix, number);
	if (u != NULL)
		list_each(link, &u->messages)
		{
			m = list_entry(link, struct stored, live);
			if (m->unread >= UNREAD_MAX)
				continue;
			if (s->count > 0 && (s->bytes + m->length > k->slice || s->count >= SLICE_RECORDS))
				break;
			s->bytes += m->length;
			slice_add(s, RECORD_MESSAGE, m->link.hash, m)->from = atomic_load(&m->pos);
		}
	pthread_mutex_unlock(&ix->lock);
}

/* Which groups are open, and where their states are, as of now: the committer looks again before it writes. */
static void
gather_parts(struct compactor *k, struct copy *c)
{
	struct stored *s = c->stored;
	struct copy_part *part;
	unsigned i;

	c->part = xcalloc(s->count, sizeof *c->part);
	pthread_mutex_lock(&k->spool->index.lock);
	for (i = 0; i < s->count; i++) {
		if (s->entry[i].done)
			continue;
		part = &c->part[c->parts++];
		part->group = (uint16_t)i;
		part->state_from = atomic_load(&s->entry[i].state_pos);
		part->rcpts_from = atomic_load(&s->entry[i].rcpts_pos);
	}
	pthread_mutex_unlock(&k->spool->index.lock);
}

/* Reads the record at POS if it still stands there; else leaves VIEW empty and the copy is found stale. */
static int
read_at(struct compactor *k, log_pos pos, struct log_view *view, struct err *err)
{
	struct spool_log *log = k->spool->log;
	int rc;

	if (pos == 0 || !spool_log_pin(log, LOG_POS_SEGMENT(pos)))
		return 0;
	rc = spool_log_read(log, pos, true, true, view, err);
	if (rc < 0)
		memset(view, 0, sizeof *view);
	spool_log_unpin(log, LOG_POS_SEGMENT(pos));
	return rc;
}

static int
read_message(struct compactor *k, struct copy *c, struct err *err)
{
	unsigned i;

	gather_parts(k, c);
	if (read_at(k, c->from, &c->view, err) < 0)
		return -1;
	for (i = 0; i < c->parts; i++)
		if (read_at(k, c->part[i].state_from, &c->part[i].state, err) < 0 ||
		    read_at(k, c->part[i].rcpts_from, &c->part[i].rcpts, err) < 0)
			return -1;
	return 0;
}

static void
note_unread(struct compactor *k, struct copy *c, const struct err *err)
{
	struct log_record line;
	bool gave_up;

	pthread_mutex_lock(&k->spool->index.lock);
	c->stored->unread = err->code == EBADMSG ? UNREAD_MAX : c->stored->unread + 1;
	gave_up = c->stored->unread >= UNREAD_MAX;
	pthread_mutex_unlock(&k->spool->index.lock);
	if (!gave_up)
		return;
	log_begin(&line, LOG_ERROR, "spool-damaged");
	log_id(&line, "msg", c->id);
	log_str(&line, "reason", err->text);
	log_end(&line);
}

/* What cannot be read stays where it is: the attempt to deliver it will say so to the operator. */
static void
drop_unread(struct compactor *k, struct slice *s, struct copy **at, const struct err *err)
{
	struct copy *c = *at;
	struct slice one;

	s->unread++;
	if (c->stored != NULL)
		note_unread(k, c, err);
	*at = c->next;
	if (*at == NULL)
		s->last = at;
	slice_init(&one);
	c->next = NULL;
	one.first = c;
	slice_fini(&one);
}

static void
read_slice(struct compactor *k, struct slice *s)
{
	struct copy **at = &s->first;
	struct err err;
	int rc;

	while (*at != NULL) {
		if ((*at)->type == RECORD_MESSAGE)
			rc = read_message(k, *at, &err);
		else
			rc = read_at(k, (*at)->from, &(*at)->view, &err);
		if (rc < 0)
			drop_unread(k, s, at, &err);
		else
			at = &(*at)->next;
	}
}

int
forward_messages(struct compactor *k, uint32_t number)
{
	struct slice s;
	unsigned unread = 0;
	int rc = 0;

	slice_init(&s);
	do {
		gather_messages(k, number, &s);
		if (s.count == 0)
			return unread > 0 ? -1 : 0;
		read_slice(k, &s);
		unread += s.unread;
		rc = slice_write(k, &s);
		slice_fini(&s);
	} while (rc == 0 && compactor_rest(k, FORWARD_PAUSE_MS));
	return -1;
}

/* ---- states of messages that live elsewhere ---- */

struct scan {
	struct compactor *k;
	struct slice all;
};

static void
on_record(void *arg, log_pos pos, uint32_t unit, uint8_t type, const void *head, uint32_t head_len, uint64_t body_len)
{
	struct scan *scan = arg;
	struct index *ix = &scan->k->spool->index;
	struct state_head state;
	struct rcpts_head rcpts;
	const _Atomic log_pos *newest;
	struct stored *s;
	struct copy *c;
	uint64_t id;
	uint16_t group;

	(void)unit;
	(void)body_len;
	if (type == RECORD_STATE && record_get_state(head, head_len, &state) == 0) {
		id = state.id;
		group = state.group;
	} else if (type == RECORD_RCPTS && record_get_rcpts_head(head, head_len, &rcpts) == 0) {
		id = rcpts.id;
		group = rcpts.group;
	} else {
		return;
	}
	pthread_mutex_lock(&ix->lock);
	s = index_find(ix, id);
	if (s != NULL && group < s->count && s->unread < UNREAD_MAX) {
		newest = type == RECORD_STATE ? &s->entry[group].state_pos : &s->entry[group].rcpts_pos;
		if (atomic_load(newest) == pos) {
			c = slice_add(&scan->all, (enum record_type)type, id, s);
			c->from = pos;
			c->group = group;
		}
	}
	pthread_mutex_unlock(&ix->lock);
}

/* Takes the next few off the front of ALL. */
static void
slice_split(struct slice *all, struct slice *s)
{
	struct copy *c;

	slice_init(s);
	while ((c = all->first) != NULL && s->count < SLICE_RECORDS) {
		all->first = c->next;
		c->next = NULL;
		*s->last = c;
		s->last = &c->next;
		s->count++;
	}
	if (all->first == NULL)
		all->last = &all->first;
}

static int
write_all(struct compactor *k, struct slice *all)
{
	struct slice s;
	unsigned unread = 0;
	int rc = 0;

	while (rc == 0 && all->first != NULL) {
		slice_split(all, &s);
		read_slice(k, &s);
		unread += s.unread;
		rc = slice_write(k, &s);
		slice_fini(&s);
		if (rc == 0 && !compactor_rest(k, FORWARD_PAUSE_MS))
			rc = -1;
	}
	slice_fini(all);
	return rc < 0 || unread > 0 ? -1 : 0;
}

static bool
has_states(struct compactor *k, uint32_t number)
{
	struct index *ix = &k->spool->index;
	struct usage *u;
	bool yes;

	pthread_mutex_lock(&ix->lock);
	u = index_have_usage(ix, number);
	yes = u != NULL && u->states > 0;
	pthread_mutex_unlock(&ix->lock);
	return yes;
}

int
forward_states(struct compactor *k, uint32_t number)
{
	struct scan scan = { .k = k };
	struct err err;
	int rc;

	if (!has_states(k, number))
		return 0;
	slice_init(&scan.all);
	if (!spool_log_pin(k->spool->log, number))
		return 0;
	rc = spool_log_scan(k->spool->log, number, on_record, &scan, &err);
	spool_log_unpin(k->spool->log, number);
	if (rc < 0) {
		log_event(LOG_ERROR, "spool-damaged", "segment %u: %s", number, err.text);
		slice_fini(&scan.all);
		return -1;
	}
	return write_all(k, &scan.all);
}

/* ---- done records of messages that lie elsewhere ---- */

int
forward_dones(struct compactor *k, uint32_t number)
{
	struct index *ix = &k->spool->index;
	struct slice all;
	struct usage *u;
	struct copy *c;
	size_t i;

	slice_init(&all);
	pthread_mutex_lock(&ix->lock);
	u = index_have_usage(ix, number);
	for (i = 0; u != NULL && i < u->dones; i++) {
		if (index_have_usage(ix, u->done[i].home) == NULL)
			continue;
		c = slice_add(&all, RECORD_DONE, u->done[i].id, NULL);
		c->group = u->done[i].group;
		c->home = u->done[i].home;
	}
	pthread_mutex_unlock(&ix->lock);
	if (write_all(k, &all) < 0)
		return -1;
	pthread_mutex_lock(&ix->lock);
	u = index_have_usage(ix, number);
	if (u != NULL)
		index_forget_dones(ix, u);
	pthread_mutex_unlock(&ix->lock);
	return 0;
}
