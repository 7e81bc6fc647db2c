/* SPDX-License-Identifier: MIT */
#include "spool/compact.h"
#include "spool/blob.h"
#include "spool/committer.h"
#include "spool/load.h"
#include "spool/record.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	FROM_SEGMENTS = 5,
	AGE_MS = 30000,      /* most mail is gone by then by itself */
	TICK_MS = 1000,
	AGAIN_MS = 10000,    /* before a segment that could not be emptied is tried again */
	SLICE_BYTES = 256 * 1024,
	SLICE_RECORDS = 512,
	PAUSE_MS = 10,       /* between slices: new mail goes first */
};

struct compactor {
	struct spool *spool;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	bool nudged, stop;
	bool running; /* whoever opens and closes */
	uint64_t *blob; /* ids whose blobs go */
	size_t blobs, blob_cap;
	uint64_t slice;
};

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

/* False when it is time to end. */
static bool
rest(struct compactor *k, uint64_t ms)
{
	uint64_t until = clock_ms() + ms;
	struct timespec t = { .tv_sec = (time_t)(until / 1000), .tv_nsec = (long)(until % 1000) * 1000000 };
	bool stop;

	if (k->spool->config.foreground)
		return true;
	pthread_mutex_lock(&k->lock);
	while (!k->stop && pthread_cond_timedwait(&k->more, &k->lock, &t) == 0)
		;
	stop = k->stop;
	pthread_mutex_unlock(&k->lock);
	return !stop;
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

static int
copy_messages(struct compactor *k, uint32_t number)
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
	} while (rc == 0 && rest(k, PAUSE_MS));
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
		if (rc == 0 && !rest(k, PAUSE_MS))
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

static int
copy_states(struct compactor *k, uint32_t number)
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

static int
copy_dones(struct compactor *k, uint32_t number)
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

/* ---- choosing ---- */

static bool
has_copies(const struct usage *u)
{
	size_t i;

	for (i = 0; i < u->refs; i++)
		if (u->ref[i].copies > 0)
			return true;
	return false;
}

/* A newer copy in it must stay until the segment with the older one is gone. */
static bool
is_worthwhile(struct compactor *k, const struct usage *u, uint64_t now)
{
	struct spool *spool = k->spool;
	unsigned from = spool->config.compact_from ? spool->config.compact_from : FROM_SEGMENTS;
	uint64_t age = spool->config.compact_age ? spool->config.compact_age : AGE_MS;
	uint64_t again = AGAIN_MS;

	if (spool->config.foreground)
		age = again = 0;
	if (u->closed == 0 || u->foreign || now - u->tried < again)
		return false;
	if (u->doubtful)
		return true;
	if (!usage_needed(u) || has_copies(u))
		return false;
	if (u->broken)
		return true;
	if (spool->index.count < from || (now - u->closed < age && !atomic_load(&spool->log_full)))
		return false;
	return usage_bytes(u) * 2 < spool_log_used(spool->log, u->number);
}

/* The oldest that is worth it; 0: none. */
static uint32_t
choose(struct compactor *k)
{
	struct index *ix = &k->spool->index;
	uint64_t now = clock_ms();
	uint32_t number = 0;
	struct usage *u;

	pthread_mutex_lock(&ix->lock);
	list_each(link, &ix->order)
	{
		u = list_entry(link, struct usage, order);
		if (!is_worthwhile(k, u, now))
			continue;
		if (number == 0 || u->broken)
			number = u->number;
		if (u->broken)
			break;
	}
	pthread_mutex_unlock(&ix->lock);
	return number;
}

enum need { NEED_NOTHING, NEED_RESCUE, NEED_COPY };

static enum need
need_of(struct compactor *k, uint32_t number)
{
	struct index *ix = &k->spool->index;
	enum need need = NEED_NOTHING;
	struct usage *u;

	pthread_mutex_lock(&ix->lock);
	u = index_have_usage(ix, number);
	if (u != NULL)
		need = u->doubtful ? NEED_RESCUE : has_copies(u) ? NEED_NOTHING : NEED_COPY;
	pthread_mutex_unlock(&ix->lock);
	return need;
}

static void
note_tried(struct compactor *k, uint32_t number, bool rescued)
{
	struct index *ix = &k->spool->index;
	struct usage *u;

	pthread_mutex_lock(&ix->lock);
	u = index_have_usage(ix, number);
	if (u != NULL) {
		u->tried = clock_ms();
		u->doubtful &= !rescued;
		ix->look = true;
	}
	pthread_mutex_unlock(&ix->lock);
}

/* What may be lost is written again at once, so that older segments can be freed again. */
static void
rescue(struct compactor *k, uint32_t number)
{
	note_tried(k, number, copy_states(k, number) == 0 && copy_dones(k, number) == 0);
	committer_nudge(k->spool);
}

static void
compact(struct compactor *k, uint32_t number)
{
	if (need_of(k, number) == NEED_RESCUE)
		rescue(k, number);
	if (need_of(k, number) == NEED_COPY && copy_messages(k, number) == 0 && copy_states(k, number) == 0)
		copy_dones(k, number);
	note_tried(k, number, false); /* if it is still there */
	committer_nudge(k->spool);
}

/* ---- the thread ---- */

static void
remove_blobs(struct compactor *k)
{
	uint64_t id;

	pthread_mutex_lock(&k->lock);
	while (k->blobs > 0) {
		id = k->blob[--k->blobs];
		pthread_mutex_unlock(&k->lock);
		blob_remove_id(k->spool->blobs, id);
		atomic_fetch_sub(&k->spool->blob_count, 1);
		pthread_mutex_lock(&k->lock);
	}
	pthread_mutex_unlock(&k->lock);
}

static bool
wait_for_work(struct compactor *k)
{
	uint64_t until = clock_ms() + TICK_MS;
	struct timespec t = { .tv_sec = (time_t)(until / 1000), .tv_nsec = (long)(until % 1000) * 1000000 };
	bool stop;

	pthread_mutex_lock(&k->lock);
	while (!k->stop && !k->nudged && k->blobs == 0)
		if (pthread_cond_timedwait(&k->more, &k->lock, &t) != 0)
			break;
	k->nudged = false;
	stop = k->stop;
	pthread_mutex_unlock(&k->lock);
	return !stop;
}

bool
compactor_pass(struct spool *spool)
{
	struct compactor *k = spool->compactor;
	uint32_t number = choose(k);

	remove_blobs(k);
	if (number != 0)
		compact(k, number);
	return number != 0;
}

static void *
compactor_main(void *arg)
{
	struct compactor *k = arg;
	uint32_t number;

	while (wait_for_work(k)) {
		remove_blobs(k);
		while ((number = choose(k)) != 0 && rest(k, 0))
			compact(k, number);
	}
	remove_blobs(k);
	return NULL;
}

void
compactor_nudge(struct spool *spool)
{
	struct compactor *k = spool->compactor;

	pthread_mutex_lock(&k->lock);
	k->nudged = true;
	pthread_mutex_unlock(&k->lock);
	pthread_cond_signal(&k->more);
}

void
compactor_remove_blob(struct spool *spool, uint64_t id)
{
	struct compactor *k = spool->compactor;

	pthread_mutex_lock(&k->lock);
	if (k->blobs == k->blob_cap) {
		k->blob_cap = k->blob_cap ? k->blob_cap * 2 : 64;
		k->blob = xrealloc(k->blob, k->blob_cap * sizeof *k->blob);
	}
	k->blob[k->blobs++] = id;
	pthread_mutex_unlock(&k->lock);
	pthread_cond_signal(&k->more);
}

void
compactor_new(struct spool *spool)
{
	struct compactor *k = xcalloc(1, sizeof *k);
	pthread_condattr_t attr;

	k->spool = spool;
	k->slice = spool_log_append_max(spool->log) / 4 < SLICE_BYTES ? spool_log_append_max(spool->log) / 4 : SLICE_BYTES;
	pthread_mutex_init(&k->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->more, &attr);
	pthread_condattr_destroy(&attr);
	spool->compactor = k;
}

int
compactor_start(struct spool *spool, struct err *err)
{
	struct compactor *k = spool->compactor;

	if (spool->config.foreground)
		return 0;
	if (thread_start(&k->thread, "compactor", compactor_main, k, err) < 0)
		return -1;
	k->running = true;
	return 0;
}

void
compactor_stop(struct spool *spool)
{
	struct compactor *k = spool->compactor;

	if (k == NULL || !k->running)
		return;
	pthread_mutex_lock(&k->lock);
	k->stop = true;
	pthread_mutex_unlock(&k->lock);
	pthread_cond_broadcast(&k->more);
	pthread_join(k->thread, NULL);
	k->running = false;
}

/* The committer has ended too: what it left is removed here. */
void
compactor_free(struct spool *spool)
{
	struct compactor *k = spool->compactor;

	if (k == NULL)
		return;
	remove_blobs(k);
	pthread_cond_destroy(&k->more);
	pthread_mutex_destroy(&k->lock);
	free(k->blob);
	free(k);
	spool->compactor = NULL;
}
