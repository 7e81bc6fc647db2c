/* SPDX-License-Identifier: MIT */
#include "spool/spool.h"
#include "net/task.h"
#include "net/work.h"
#include "spool/blob.h"
#include "spool/committer.h"
#include "spool/compact.h"
#include "spool/recovery.h"
#include "util/arena.h"
#include "util/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening and closing ---- */

static int
open_parts(struct spool *s, struct err *err)
{
	struct log_config config = {
		.path = s->path,
		.segment_size = s->config.segment_size,
		.min_free = s->config.min_free,
		.discard = s->config.discard,
		.foreground = s->config.foreground,
		.disk = s->config.disk,
	};
	unsigned i;

	if (spool_log_open(&s->log, &config, err) < 0)
		return -1;
	s->epoch = spool_log_epoch(s->log);
	s->message_max = spool_log_append_max(s->log) / 4;
	if (s->config.memory_max < s->message_max)
		s->message_max = s->config.memory_max;
	/* 24 bits of epoch, 40 of counter: a restart a second for half a year, and years of mail in one life. */
	if (s->epoch >= 1u << 24)
		return err_set(err, "%s has seen too many restarts: move what is in it to a new spool", s->path);
	atomic_init(&s->next_id, (uint64_t)s->epoch << 40 | 1);
	if (blobs_open(&s->blobs, s->path, s->epoch, s->config.disk, err) < 0)
		return -1;
	s->ports = s->config.loop_count;
	s->port = xcalloc(s->ports, sizeof *s->port);
	for (i = 0; i < s->ports; i++)
		port_init(&s->port[i], s, s->config.loops[i], i);
	if (!s->config.discard && spool_recover(s, err) < 0)
		return -1;
	compactor_new(s);
	if (committer_start(s, err) < 0 || compactor_start(s, err) < 0)
		return -1;
	for (i = 0; i < s->ports; i++)
		port_hand_over(&s->port[i]); /* what recovery put on hold */
	committer_nudge(s);
	return 0;
}

int
spool_open(struct spool **spool, const struct spool_config *config, struct err *err)
{
	struct spool *s = xcalloc(1, sizeof *s);

	check(config->loop_count > 0 && config->loop_count < LOOP_NONE);
	s->config = *config;
	s->path = xstrdup(config->path);
	index_init(&s->index);
	if (open_parts(s, err) < 0) {
		spool_close(&s);
		return -1;
	}
	*spool = s;
	return 0;
}

static void
stored_clear(struct stored *s)
{
	unsigned i;

	if (s == NULL)
		return;
	stored_forget(s);
	for (i = 0; i < s->count; i++)
		entry_attempt_end(&s->entry[i]);
	stored_unref(s);
}

/* What came back after its loop had ended. */
static void
port_drain(struct port *p)
{
	struct job *job, *next;
	struct list *link;

	for (job = p->done; job != NULL; job = next) {
		next = job->next;
		if (job->kind == JOB_COMMIT)
			continue;
		stored_clear(job->stored);
		stored_clear(job->added);
		message_unref(&job->message);
		free(job);
	}
	while ((link = list_shift(&p->arrivals)) != NULL)
		;
}

static void
clear_message(struct map_link *link, void *arg)
{
	map_remove(arg, link);
	stored_clear(list_entry(link, struct stored, link));
}

void
spool_close(struct spool **spool)
{
	struct spool *s = *spool;
	unsigned i;

	if (s == NULL)
		return;
	for (i = 0; i < s->ports; i++)
		port_hand_over(&s->port[i]);
	compactor_stop(s);
	committer_stop(s);
	compactor_free(s);
	for (i = 0; i < s->ports; i++)
		port_drain(&s->port[i]);
	map_each(&s->index.messages, clear_message, &s->index.messages);
	for (i = 0; i < s->ports; i++)
		port_fini(&s->port[i]);
	free(s->port);
	blobs_close(&s->blobs);
	if (s->log != NULL)
		spool_log_close(&s->log);
	index_fini(&s->index);
	free(s->path);
	free(s);
	*spool = NULL;
}

static void
on_start(struct post *post)
{
	port_start(list_entry(post, struct port, start));
}

void
spool_start(struct spool *s, void (*ready)(struct queue *queue, void *arg), void *arg)
{
	unsigned i;

	s->ready = ready;
	s->ready_arg = arg;
	for (i = 0; i < s->ports; i++) {
		s->port[i].start.fn = on_start;
		loop_post(s->port[i].loop, &s->port[i].start);
	}
}

/* ---- receiving ---- */

uint64_t
spool_next_id(struct spool *s)
{
	return atomic_fetch_add_explicit(&s->next_id, 1, memory_order_relaxed);
}

int
spool_admit(struct spool *s, uint64_t size, struct err *err)
{
	if (atomic_load_explicit(&s->degraded, memory_order_relaxed))
		return err_set(err, "the spool's disk failed and no sync has succeeded since");
	if (atomic_load_explicit(&s->log_full, memory_order_relaxed)) {
		err_set(err, "the spool's disk is full");
		if (err != NULL)
			err->code = ENOSPC;
		return -1;
	}
	/* What does not fit into memory goes to a blob, but the first bytes have to fit. */
	if (size > s->message_max)
		size = 0;
	if (atomic_load_explicit(&s->budget.total, memory_order_relaxed) + size >= s->config.memory_total)
		return err_set(err, "queue { memory_total } is used up");
	return 0;
}

int
spool_charge(struct spool *s, struct message *m, size_t n)
{
	uint64_t total;

	if (m->memory + n > s->message_max)
		return -1;
	total = atomic_fetch_add_explicit(&s->budget.total, n, memory_order_relaxed) + n;
	if (total > s->config.memory_total) {
		atomic_fetch_sub_explicit(&s->budget.total, n, memory_order_relaxed);
		return -1;
	}
	m->budget = &s->budget;
	m->memory += n;
	return 0;
}

struct blob_call {
	struct spool *spool;
	struct message *m;
	const void *p;
	size_t n;
	int rc;
	struct err *err;
};

/* Outside a task (tests) the caller waits for the disk itself. */
static int
call(void (*fn)(void *arg), struct blob_call *c)
{
	if (task_self() != NULL)
		work_run(fn, c);
	else
		fn(c);
	return c->rc;
}

static void
run_begin(void *arg)
{
	struct blob_call *c = arg;
	const struct chunk *piece;

	c->rc = blob_create(c->spool->blobs, c->m, c->err);
	for (piece = c->m->first; c->rc == 0 && piece != NULL; piece = piece->next)
		c->rc = blob_append(c->spool->blobs, c->m, piece->data, piece->len, c->err);
}

int
spool_blob_begin(struct spool *s, struct message *m, struct err *err)
{
	struct blob_call c = { .spool = s, .m = m, .err = err };

	if (call(run_begin, &c) == 0)
		message_release(m);
	return c.rc;
}

static void
run_append(void *arg)
{
	struct blob_call *c = arg;

	c->rc = blob_append(c->spool->blobs, c->m, c->p, c->n, c->err);
}

int
spool_blob_append(struct spool *s, struct message *m, const void *p, size_t n, struct err *err)
{
	struct blob_call c = { .spool = s, .m = m, .p = p, .n = n, .err = err };

	if (call(run_append, &c) == 0)
		m->size += n;
	return c.rc;
}

static void
run_end(void *arg)
{
	struct blob_call *c = arg;

	c->rc = blob_finish(c->spool->blobs, c->m, c->err);
}

int
spool_blob_end(struct spool *s, struct message *m, struct err *err)
{
	struct blob_call c = { .spool = s, .m = m, .err = err };

	return call(run_end, &c);
}

/* Large files take long to remove. */
struct removal {
	struct work_job job;
	struct spool *spool;
	struct message *m;
};

static void
run_removal(struct work_job *job)
{
	struct removal *r = list_entry(job, struct removal, job);

	blob_remove(r->spool->blobs, r->m);
	message_unref(&r->m);
	free(r);
}

void
spool_blob_drop(struct spool *s, struct message *m)
{
	struct removal *r;

	if (m->blob[0] == '\0')
		return;
	r = xcalloc(1, sizeof *r);
	r->job.fn = run_removal;
	r->spool = s;
	r->m = message_ref(m);
	work_post(&r->job);
}

int
commit_begin(struct port *p, struct message *m, struct job *job)
{
	if (m->rcpt_count == 0)
		return err_set(job->err, "the message has no recipients");
	if (m->blob_fd >= 0)
		return err_set(job->err, "the message's blob is not finished");
	job->kind = JOB_COMMIT;
	job->sync = true;
	job->message = m;
	message_charge_rest(m, &p->spool->budget);
	job->added = stored_from_message(m, loop_now(p->loop));
	port_submit(p, job);
	return 0;
}

int
spool_commit(struct spool *s, struct message *m, struct err *err)
{
	struct loop *loop = loop_current();
	struct job job = { .task = task_self(), .err = err };

	check(job.task != NULL && s->port[loop_index(loop)].loop == loop);
	if (commit_begin(&s->port[loop_index(loop)], m, &job) < 0)
		return -1;
	while (!job.written)
		task_wait_always();
	return job.result;
}

/* ---- numbers ---- */

void
spool_stats(struct spool *s, struct spool_stats *out)
{
	const struct port *p;
	unsigned i;

	memset(out, 0, sizeof *out);
	for (i = 0; i < s->ports; i++) {
		p = &s->port[i];
		out->due += atomic_load_explicit(&p->due, memory_order_relaxed);
		out->active += atomic_load_explicit(&p->active, memory_order_relaxed);
		out->deferred += atomic_load_explicit(&p->deferred, memory_order_relaxed);
		out->held += atomic_load_explicit(&p->held, memory_order_relaxed);
	}
	out->entries = out->due + out->active + out->deferred + out->held;
	pthread_mutex_lock(&s->index.lock);
	out->messages = s->index.messages.count;
	out->segments = s->index.count;
	list_each(link, &s->index.order)
		out->disk_bytes += spool_log_used(s->log, list_entry(link, struct usage, order)->number);
	pthread_mutex_unlock(&s->index.lock);
	out->memory = atomic_load_explicit(&s->budget.total, memory_order_relaxed);
	out->blobs = atomic_load_explicit(&s->blob_count, memory_order_relaxed);
	out->commits = atomic_load_explicit(&s->commits, memory_order_relaxed);
	out->batches = atomic_load_explicit(&s->batches, memory_order_relaxed);
	out->syncs = atomic_load_explicit(&s->syncs, memory_order_relaxed);
	out->sync_us = atomic_load_explicit(&s->sync_us, memory_order_relaxed);
	out->degraded = atomic_load_explicit(&s->degraded, memory_order_relaxed);
}
