/* SPDX-License-Identifier: MIT */
#include "spool_rig.h"
#include "net/task.h"
#include "net/work.h"
#include "util/arena.h"
#include "util/check.h"
#include "util/clock.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void
rig_init(struct rig *r)
{
	memset(r, 0, sizeof *r);
	scratch_new(r->path);
	r->loops = 1;
	r->config.path = r->path;
	r->config.segment_size = 256 * 1024;
	r->config.memory_max = 4 << 20;
	r->config.memory_total = 64 << 20;
	r->config.cache = 16 << 20;
}

static void *
loop_main(void *arg)
{
	loop_run(arg);
	return NULL;
}

/* ---- delivery ---- */

static enum fate
decide(struct rig *r, struct entry *e, struct loaded *l, struct outcome *o, struct rcpt_state *rcpt)
{
	unsigned i;

	o->rcpt = rcpt;
	o->count_attempt = true;
	for (i = 0; i < l->count; i++)
		if (l->rcpt[i].status == RCPT_PENDING)
			rcpt[o->count++] = l->rcpt[i];
	if (r->fate != NULL)
		return r->fate(r, e, l, o, rcpt);
	for (i = 0; i < o->count; i++)
		rcpt[i].status = RCPT_DELIVERED;
	return FATE_FINISH;
}

static bool
attempt(struct rig *r, struct entry *e)
{
	struct outcome o = { 0 };
	struct rcpt_state *rcpt;
	struct loaded l;
	enum fate fate;
	struct err err;

	if (entry_load(e, &l, &err) < 0) {
		atomic_fetch_add(&r->load_failures, 1);
		entry_hold(e, err.text);
		return true;
	}
	atomic_fetch_add(&r->attempts, 1);
	rcpt = xcalloc(l.count + 1, sizeof *rcpt);
	fate = decide(r, e, &l, &o, rcpt);
	switch (fate) {
	case FATE_FINISH:
		entry_finish(e, &o);
		message_unref(&o.report);
		atomic_fetch_add(&r->finished, 1);
		break;
	case FATE_RETURN:
		entry_return(e, true);
		break;
	case FATE_HOLD:
		entry_hold(e, o.peer);
		break;
	case FATE_REKEY:
		entry_rekey(e, o.peer);
		break;
	case FATE_KEEP:
		break;
	}
	free(rcpt);
	loaded_fini(&l);
	return fate != FATE_RETURN;
}

struct drain {
	struct rig *rig;
	struct queue *queue;
};

static void
drain(void *arg)
{
	struct drain *d = arg;
	struct entry *e;

	while (!atomic_load(&d->rig->stopping) && (e = queue_take(d->queue)) != NULL)
		if (!attempt(d->rig, e))
			break;
	atomic_fetch_sub(&d->rig->drains, 1);
	free(d);
}

static void
on_ready(struct queue *queue, void *arg)
{
	struct rig *r = arg;
	struct drain *d;

	if (r->paused || atomic_load(&r->stopping))
		return;
	d = xmalloc(sizeof *d);
	d->rig = r;
	d->queue = queue;
	atomic_fetch_add(&r->drains, 1);
	check(task_start(drain, d, "drain") == 0);
}

/* ---- life ---- */

void
rig_start(struct rig *r)
{
	struct err err;
	unsigned i;

	for (i = 0; i < r->loops; i++)
		if (loop_new(&r->loop[i], i, &err) < 0)
			fatal("%s", err.text);
	r->config.loops = r->loop;
	r->config.loop_count = r->loops;
	atomic_store(&r->stopping, false);
	if (work_start(2, &err) < 0 || spool_open(&r->spool, &r->config, &err) < 0)
		fatal("%s", err.text);
	spool_start(r->spool, on_ready, r);
	for (i = 0; i < r->loops; i++)
		check(pthread_create(&r->thread[i], NULL, loop_main, r->loop[i]) == 0);
}

void
rig_stop(struct rig *r)
{
	const struct timespec pause = { .tv_nsec = 200000 };
	unsigned i;

	/* Tasks end by themselves; loops are stopped when none is left. */
	atomic_store(&r->stopping, true);
	while (atomic_load(&r->drains) > 0)
		nanosleep(&pause, NULL);
	for (i = 0; i < r->loops; i++) {
		loop_stop(r->loop[i]);
		pthread_join(r->thread[i], NULL);
	}
	work_stop();
	spool_close(&r->spool);
	for (i = 0; i < r->loops; i++)
		loop_free(&r->loop[i]);
}

void
rig_fini(struct rig *r)
{
	scratch_remove(r->path);
}

struct call {
	struct post post;
	void (*fn)(void *);
	void *arg;
	sem_t done;
};

static void
call_task(void *arg)
{
	struct call *c = arg;

	c->fn(c->arg);
	sem_post(&c->done);
}

static void
on_call(struct post *post)
{
	check(task_start(call_task, list_entry(post, struct call, post), "test") == 0);
}

void
rig_run(struct rig *r, unsigned index, void (*fn)(void *arg), void *arg)
{
	struct call c = { .post = { .fn = on_call }, .fn = fn, .arg = arg };

	sem_init(&c.done, 0, 0);
	loop_post(r->loop[index], &c.post);
	while (sem_wait(&c.done) < 0)
		;
	sem_destroy(&c.done);
}

/* ---- messages ---- */

static char
content_at(uint64_t id, uint64_t off)
{
	if (off % 64 >= 62)
		return off % 64 == 62 ? '\r' : '\n';
	return (char)('a' + (id * 31 + off * 7 + off / 64) % 26);
}

void
rig_fill(uint64_t id, uint64_t off, char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = content_at(id, off + i);
}

static void
fill(struct message *m, size_t size)
{
	size_t off, n;
	char piece[4096];

	for (off = 0; off < size; off += n) {
		n = size - off < sizeof piece ? size - off : sizeof piece;
		rig_fill(m->id, off, piece, n);
		message_append(m, piece, n);
	}
}

struct message *
rig_message(struct rig *r, size_t size, unsigned rcpts, const char *const *keys, unsigned nkeys)
{
	struct arena *a = arena_new(0);
	struct message *m;
	unsigned i;

	m = message_new(spool_next_id(r->spool), &a);
	m->received = clock_wall();
	m->sender = "sender@example.org";
	m->client = "192.0.2.1";
	m->helo = "client.example.org";
	m->login = "user@example.org";
	m->rcpt = arena_zalloc(m->arena, rcpts * sizeof *m->rcpt);
	m->rcpt_count = rcpts;
	for (i = 0; i < rcpts; i++) {
		m->rcpt[i].address = arena_printf(m->arena, "user%u@example.net", i);
		m->rcpt[i].group = message_group(m, keys[i % nkeys]);
	}
	check(spool_charge(r->spool, m, size) == 0 || size > r->config.memory_max);
	fill(m, size);
	return m;
}

bool
rig_content_ok(struct spool *spool, const struct message *m)
{
	char piece[5000];
	uint64_t off = 0;
	ssize_t n, i;

	while ((n = message_read(spool, m, off, piece, sizeof piece, NULL)) > 0) {
		for (i = 0; i < n; i++)
			if (piece[i] != content_at(m->id, off + (uint64_t)i))
				return false;
		off += (uint64_t)n;
	}
	return n == 0 && off == m->size;
}

struct commit {
	struct rig *rig;
	size_t size;
	unsigned rcpts, nkeys;
	const char *const *keys;
	uint64_t id;
};

static void
commit_task(void *arg)
{
	struct commit *c = arg;
	struct message *m = rig_message(c->rig, c->size, c->rcpts, c->keys, c->nkeys);
	struct err err;

	c->id = spool_commit(c->rig->spool, m, &err) == 0 ? m->id : 0;
	message_unref(&m);
}

uint64_t
rig_commit(struct rig *r, unsigned index, size_t size, unsigned rcpts, const char *const *keys, unsigned nkeys)
{
	struct commit c = { .rig = r, .size = size, .rcpts = rcpts, .keys = keys, .nkeys = nkeys };

	rig_run(r, index, commit_task, &c);
	return c.id;
}

/* ---- waiting ---- */

void
rig_until(bool (*fn)(struct rig *r, void *arg), struct rig *r, void *arg, const char *what)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t end = clock_ms() + 20000;

	while (!fn(r, arg)) {
		if (clock_ms() > end)
			fatal("waited too long for %s", what);
		nanosleep(&pause, NULL);
	}
}

static bool
has_entries(struct rig *r, void *arg)
{
	struct spool_stats s;

	spool_stats(r->spool, &s);
	return s.entries == *(uint64_t *)arg;
}

void
rig_until_entries(struct rig *r, uint64_t n)
{
	rig_until(has_entries, r, &n, "the number of entries");
}
