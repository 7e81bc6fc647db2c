/* SPDX-License-Identifier: MIT */
/* What an operator does to single messages, and sees of them. From the control thread; loops do the work. */
#include "spool/committer.h"
#include "spool/load.h"
#include "spool/record.h"
#include "util/arena.h"
#include "util/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* An entry on its way between loops is looked for again, this often, a millisecond apart. */
enum { MOVING_TRIES = 1000 };

static struct stored *
find(struct spool *spool, uint64_t id)
{
	struct stored *s;

	pthread_mutex_lock(&spool->index.lock);
	s = index_find(&spool->index, id);
	if (s != NULL)
		stored_ref(s);
	pthread_mutex_unlock(&spool->index.lock);
	return s;
}

static bool
is_done(struct spool *spool, const struct entry *e)
{
	bool done;

	pthread_mutex_lock(&spool->index.lock);
	done = e->done;
	pthread_mutex_unlock(&spool->index.lock);
	return done;
}

/* ---- visiting a message's entries, each on its loop ---- */

struct visit {
	struct post post;
	sem_t done;
	struct port *port;
	struct stored *stored;
	bool *settled; /* for each entry: looked at by its loop */
	void (*fn)(struct visit *v, struct entry *e);
};

static void
on_visit(struct post *post)
{
	struct visit *v = list_entry(post, struct visit, post);
	struct entry *e;
	unsigned i;

	for (i = 0; i < v->stored->count; i++) {
		e = &v->stored->entry[i];
		if (v->settled[i] || atomic_load(&e->loop) != v->port->index)
			continue;
		v->settled[i] = true;
		if (e->state != 0)
			v->fn(v, e);
	}
	sem_post(&v->done);
}

static void
ask(struct visit *v, struct port *p)
{
	v->port = p;
	loop_post(p->loop, &v->post);
	while (sem_wait(&v->done) < 0 && errno == EINTR)
		;
}

/* Asks every loop that owns an entry not yet looked at. False: some are still on their way to a loop. */
static bool
ask_owners(struct spool *spool, struct visit *v)
{
	bool all = true;
	unsigned i, owner;

	for (i = 0; i < v->stored->count; i++) {
		if (v->settled[i])
			continue;
		owner = atomic_load(&v->stored->entry[i].loop);
		if (owner != LOOP_NONE)
			ask(v, &spool->port[owner]);
		all &= v->settled[i];
	}
	return all;
}

/* False: there is no such message. */
static bool
visit(struct spool *spool, uint64_t id, struct visit *v)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int tries;
	unsigned i;

	check(loop_current() == NULL);
	v->stored = find(spool, id);
	if (v->stored == NULL)
		return false;
	v->post.fn = on_visit;
	v->settled = xcalloc(v->stored->count, sizeof *v->settled);
	for (i = 0; i < v->stored->count; i++)
		v->settled[i] = is_done(spool, &v->stored->entry[i]);
	sem_init(&v->done, 0, 0);
	for (tries = 0; tries < MOVING_TRIES && !ask_owners(spool, v); tries++)
		nanosleep(&pause, NULL);
	sem_destroy(&v->done);
	free(v->settled);
	stored_unref(v->stored);
	return true;
}

/* ---- acting ---- */

struct act {
	struct visit visit;
	const char *key; /* NULL: all */
	enum spool_action action;
	const char *reason;
	int changed;
};

static void
act(struct visit *v, struct entry *e)
{
	struct act *a = list_entry(v, struct act, visit);

	if (e->state == 0)
		return;
	if (a->key == NULL || strcmp(e->queue->key, a->key) == 0)
		a->changed += entry_act(e, a->action, a->reason);
}

int
spool_act(struct spool *spool, uint64_t id, const char *key, enum spool_action action, const char *reason,
    struct err *err)
{
	struct act a = { .visit = { .fn = act }, .key = key, .action = action, .reason = reason };

	if (!visit(spool, id, &a.visit))
		return err_set(err, "no such message");
	return a.changed;
}

struct lookup {
	struct visit visit;
	struct entry_info *out;
	unsigned max, count;
};

static void
describe(struct visit *v, struct entry *e)
{
	struct lookup *l = list_entry(v, struct lookup, visit);

	if (l->count < l->max)
		entry_describe(e, &l->out[l->count++]);
}

unsigned
spool_lookup(struct spool *spool, uint64_t id, struct entry_info *out, unsigned max)
{
	struct lookup l = { .visit = { .fn = describe }, .out = out, .max = max };

	visit(spool, id, &l.visit);
	return l.count;
}

/* ---- looking ---- */

struct barrier {
	struct post post;
	sem_t done;
	struct port *port;
};

static void
on_barrier(struct post *post)
{
	struct barrier *b = list_entry(post, struct barrier, post);

	port_hand_over(b->port);
	sem_post(&b->done);
}

/* What loops did so far is on disk, or failed and will be written again. */
static void
pass_barrier(struct spool *spool)
{
	struct barrier b = { .post = { .fn = on_barrier } };
	struct job job = { .kind = JOB_BARRIER };
	unsigned i;

	sem_init(&b.done, 0, 0);
	for (i = 0; i < spool->ports; i++) {
		b.port = &spool->port[i];
		loop_post(b.port->loop, &b.post);
		while (sem_wait(&b.done) < 0 && errno == EINTR)
			;
	}
	sem_destroy(&b.done);
	committer_run(spool, &job);
}

static int
show_reason(struct spool *spool, struct entry *e, struct spool_detail *out, struct err *err)
{
	struct state_head h;
	struct log_view v;

	if (atomic_load(&e->state_pos) == 0)
		return 0;
	if (load_record(spool, &e->state_pos, false, &v, err) < 0)
		return is_done(spool, e) ? 0 : -1;
	if (record_get_state(v.head, v.head_len, &h) == 0 && h.state == ENTRY_HELD && h.reason != NULL)
		out->hold_reason = arena_strndup(out->arena, h.reason, h.reason_len);
	view_fini(&v);
	return 0;
}

static int
show_rcpts(struct spool *spool, struct entry *e, struct spool_detail *out, struct err *err)
{
	struct rcpt_state *known;
	const char *peer;
	struct log_view v;
	size_t n, i;
	int rc;

	if (atomic_load(&e->rcpts_pos) == 0)
		return 0;
	if (load_record(spool, &e->rcpts_pos, true, &v, err) < 0)
		return is_done(spool, e) || err->code == EBADMSG ? 0 : -1; /* damaged: nothing is known of them */
	rc = record_get_rcpts(v.body, v.body_len, out->arena, &known, &n, &peer);
	view_fini(&v);
	if (rc < 0)
		return err_set(err, "the record of the recipients is damaged");
	for (i = 0; i < n; i++)
		if (known[i].index < out->count)
			out->rcpt[known[i].index] = known[i];
	return 0;
}

/* Of a group that is done only that is known. */
static void
show_done(unsigned group, struct spool_detail *out)
{
	uint32_t i;

	for (i = 0; i < out->count; i++)
		if (out->message->rcpt[i].group == group) {
			out->rcpt[i].status = RCPT_DELIVERED;
			out->rcpt[i].reply = arena_strdup(out->arena, "finished");
		}
}

static int
show(struct spool *spool, struct stored *s, bool content, struct spool_detail *out, struct err *err)
{
	struct entry *e;
	uint32_t i;

	if (load_message(spool, s, content, &out->message, err) < 0)
		return -1;
	if (!content)
		message_release(out->message);
	out->count = out->message->rcpt_count;
	out->rcpt = arena_zalloc(out->arena, (out->count + 1) * sizeof *out->rcpt);
	for (i = 0; i < out->count; i++)
		out->rcpt[i].index = i;
	for (i = 0; i < s->count; i++) {
		e = &s->entry[i];
		if (is_done(spool, e))
			show_done(i, out);
		else if (show_rcpts(spool, e, out, err) < 0 || show_reason(spool, e, out, err) < 0)
			return -1;
	}
	return 0;
}

static int
inspect(struct spool *spool, uint64_t id, bool content, struct spool_detail *out, struct err *err)
{
	struct stored *s = find(spool, id);
	struct err local;
	int rc;

	if (err == NULL)
		err = &local;
	memset(out, 0, sizeof *out);
	if (s == NULL)
		return err_set(err, "no such message");
	out->arena = arena_new(0);
	rc = show(spool, s, content, out, err);
	stored_unref(s);
	if (rc < 0)
		spool_detail_fini(out);
	return rc;
}

int
spool_inspect(struct spool *spool, uint64_t id, bool content, struct spool_detail *out, struct err *err)
{
	check(loop_current() == NULL);
	pass_barrier(spool);
	return inspect(spool, id, content, out, err);
}

int
spool_glance(struct spool *spool, uint64_t id, struct spool_detail *out, struct err *err)
{
	check(loop_current() == NULL);
	return inspect(spool, id, false, out, err);
}

void
spool_detail_fini(struct spool_detail *d)
{
	message_unref(&d->message);
	arena_free(&d->arena);
	memset(d, 0, sizeof *d);
}
