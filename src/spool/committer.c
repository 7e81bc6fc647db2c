/* SPDX-License-Identifier: MIT */
#include "spool/committer.h"
#include "spool/committer_private.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/counters.h"
#include "util/log.h"
#include "util/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	LAZY_MS = 5,       /* unsynced records wait so long for company */
	AGAIN_MS = 200,    /* between attempts to write what failed */
	LAST_ATTEMPTS = 5, /* at the end, before state records are given up */
};

static void
append_job(struct job ***last, struct job *job)
{
	job->next = NULL;
	**last = job;
	*last = &job->next;
}

/* ---- handing over ---- */

void
committer_submit(struct spool *spool, struct job *first, struct job **last, bool urgent)
{
	struct committer *c = spool->committer;
	bool wake;

	pthread_mutex_lock(&c->lock);
	if (c->first == NULL)
		c->since = clock_ms();
	*c->last = first;
	c->last = last;
	c->urgent |= urgent;
	wake = c->rest == ASLEEP || (c->rest == NAPPING && urgent);
	pthread_mutex_unlock(&c->lock);
	if (wake)
		pthread_cond_signal(&c->more);
}

int
committer_run(struct spool *spool, struct job *job)
{
	sem_t done;

	sem_init(&done, 0, 0);
	job->waiter = &done;
	job->next = NULL;
	committer_submit(spool, job, &job->next, true);
	if (spool->config.foreground)
		committer_pass(spool);
	while (sem_wait(&done) < 0 && errno == EINTR)
		;
	sem_destroy(&done);
	return job->result;
}

void
committer_nudge(struct spool *spool)
{
	struct committer *c = spool->committer;

	pthread_mutex_lock(&c->lock);
	c->nudged = true;
	pthread_mutex_unlock(&c->lock);
	pthread_cond_signal(&c->more);
}

static void
wait_until(struct committer *c, uint64_t ms)
{
	struct timespec t = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };

	if (ms == UINT64_MAX)
		pthread_cond_wait(&c->more, &c->lock);
	else
		pthread_cond_timedwait(&c->more, &c->lock, &t);
}

static struct job *
take_jobs(struct committer *c)
{
	struct job *jobs = c->first;

	c->first = NULL;
	c->last = &c->first;
	c->urgent = c->nudged = false;
	return jobs;
}

/* Sleeps until there is something urgent, or lazy records have waited long enough, or it is time to look. */
static struct job *
wait_for_jobs(struct committer *c, bool *stop)
{
	struct job *jobs;
	uint64_t due;

	pthread_mutex_lock(&c->lock);
	while (!c->urgent && !c->nudged && !c->stop) {
		due = c->look_at ? c->look_at : UINT64_MAX;
		if (c->first != NULL && c->since + LAZY_MS < due)
			due = c->since + LAZY_MS;
		if (due != UINT64_MAX && clock_ms() >= due)
			break;
		c->rest = c->first != NULL ? NAPPING : ASLEEP;
		wait_until(c, due);
		c->rest = AWAKE;
	}
	jobs = take_jobs(c);
	*stop = c->stop;
	pthread_mutex_unlock(&c->lock);
	return jobs;
}

/* ---- telling ---- */

static void
tell(struct committer *c, struct job *job, int result)
{
	struct outbox *o;

	job->result = result;
	if (job->port == NULL) {
		sem_post(job->waiter);
		return;
	}
	o = &c->outbox[job->port->index];
	append_job(&o->last, job);
}

static void
deliver(struct committer *c)
{
	struct outbox *o;
	unsigned i;

	for (i = 0; i < c->spool->ports; i++) {
		o = &c->outbox[i];
		if (o->first == NULL && list_empty(&o->arrivals))
			continue;
		port_deliver(&c->spool->port[i], o->first, o->last, &o->arrivals);
		o->first = NULL;
		o->last = &o->first;
	}
}

/* ---- failures ---- */

void
committer_note_synced(struct committer *c)
{
	c->unsynced = false;
	if (atomic_exchange(&c->spool->degraded, false))
		log_event(LOG_WARN, "spool-recovered", "a sync succeeded: mail is accepted again");
}

static void
succeed(struct committer *c, struct parcel *b)
{
	struct index *ix = &c->spool->index;
	unsigned i;

	pthread_mutex_lock(&ix->lock);
	for (i = 0; i < b->units; i++) {
		committer_apply(c, &b->unit[i]);
	}
	pthread_mutex_unlock(&ix->lock);
	for (i = 0; i < b->jobs; i++)
		tell(c, b->job[i], 0);
}

void
committer_note_failure(struct committer *c, uint32_t broken, const struct err *err)
{
	struct index *ix = &c->spool->index;
	struct usage *u;

	if (broken != 0) {
		pthread_mutex_lock(&ix->lock);
		u = index_usage(ix, broken);
		u->broken = true;
		u->closed = clock_ms();
		u->doubtful |= c->unsynced;
		ix->look = true;
		pthread_mutex_unlock(&ix->lock);
		c->unsynced = false; /* no sync helps them now */
	}
	if (err->code == ENOSPC) {
		atomic_store(&c->spool->log_full, true);
	} else if (!atomic_exchange(&c->spool->degraded, true)) {
		log_event(LOG_ERROR, "spool-failed", "%s: mail is refused until a sync succeeds", err->text);
	}
	committer_look_within(c, LOOK_MS);
}

static void
refuse(struct committer *c, struct job *job, const struct err *err)
{
	if (job->err != NULL)
		*job->err = *err;
	tell(c, job, -1);
}

/* New mail is refused; what must not be lost is written again later, in the same order. */
static void
fail(struct committer *c, struct parcel *b, const struct err *err)
{
	struct job *job;
	unsigned i;

	for (i = 0; i < b->jobs; i++) {
		job = b->job[i];
		if (job == NULL)
			continue;
		if (job->kind == JOB_STATE || job->kind == JOB_DONE) {
			append_job(&c->again_last, job);
			committer_look_within(c, AGAIN_MS);
		} else {
			refuse(c, job, err);
		}
	}
}

/* ---- writing ---- */

int
committer_append(struct committer *c, struct parcel *b, struct err *err)
{
	struct spool *spool = c->spool;
	uint64_t began = clock_us();
	uint32_t broken = 0;

	parcel_seal(b);
	if (spool_log_append(spool->log, b->log, b->units, b->messages ? LOG_ROOM_MESSAGES : LOG_ROOM_RESERVE, b->sync,
	    &broken, err) < 0) {
		committer_note_failure(c, broken, err);
		return -1;
	}
	atomic_fetch_add_explicit(&spool->batches, 1, memory_order_relaxed);
	if (!b->sync) {
		c->unsynced = true;
		return 0;
	}
	atomic_fetch_add_explicit(&spool->syncs, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&spool->sync_us, clock_us() - began, memory_order_relaxed);
	committer_note_synced(c);
	return 0;
}

/* The disk has no room for mail, but two segments are kept for what is known of mail already accepted. Reports wait:
 * nothing else is written of their entries meanwhile. */
static void
write_states_alone(struct committer *c, struct parcel *b, struct err *err)
{
	struct parcel rest;
	unsigned i;

	parcel_init(&rest);
	for (i = 0; i < b->jobs; i++)
		if (b->job[i]->message == NULL)
			parcel_add(&rest, b->job[i]);
	if (rest.units > 0 && committer_append(c, &rest, err) < 0) {
		fail(c, b, err);
	} else {
		succeed(c, &rest);
		for (i = 0; i < b->jobs; i++)
			if (b->job[i]->message == NULL)
				b->job[i] = NULL; /* written */
		fail(c, b, err);
	}
	parcel_fini(&rest);
}

static void
write_parcel(struct committer *c, struct parcel *b)
{
	struct err err = { 0 };

	if (b->units == 0 || committer_append(c, b, &err) == 0)
		succeed(c, b);
	else if (err.code == ENOSPC && b->messages)
		write_states_alone(c, b, &err);
	else
		fail(c, b, &err);
	parcel_clear(b);
}

static void
write_job(struct committer *c, struct job *job)
{
	const uint64_t max = spool_log_append_max(c->spool->log) / 2;
	struct parcel *b = &c->parcel;

	if (job->kind == JOB_BARRIER) {
		write_parcel(c, b);
		tell(c, job, 0);
		return;
	}
	if (b->units > 0 && (b->bytes + parcel_size_of(job) > max || b->units >= PARCEL_UNITS))
		write_parcel(c, b);
	parcel_add(b, job);
}

/* Copies go first: what else is known of their messages stands behind them then, and counts. */
static void
write_jobs(struct committer *c, struct job *jobs)
{
	struct job *rest = NULL, **last = &rest, *job, *next;

	for (job = jobs; job != NULL; job = next) {
		next = job->next;
		if (job->kind == JOB_COPY)
			write_job(c, job);
		else
			append_job(&last, job);
	}
	for (job = rest; job != NULL; job = next) {
		next = job->next;
		write_job(c, job);
	}
	write_parcel(c, &c->parcel);
}

/* What failed before comes first, so that an entry's records keep their order. */
static struct job *
with_again(struct committer *c, struct job *jobs)
{
	struct job *first = c->again;

	if (first == NULL)
		return jobs;
	*c->again_last = jobs;
	c->again = NULL;
	c->again_last = &c->again;
	return first;
}

static void
finish(struct committer *c)
{
	struct job *job;
	int attempts;

	for (attempts = 0; c->again != NULL && attempts < LAST_ATTEMPTS; attempts++)
		write_jobs(c, with_again(c, NULL));
	if (c->again != NULL)
		log_event(LOG_ERROR, "spool-failed", "state records could not be written: some mail may be sent twice");
	committer_sync(c);
	c->spool->index.look = true;
	committer_free_segments(c, 0);
	while ((job = c->again) != NULL) {
		c->again = job->next;
		tell(c, job, -1);
	}
}

void
committer_pass(struct spool *spool)
{
	struct committer *c = spool->committer;

	c->passes++;
	write_jobs(c, with_again(c, take_jobs(c)));
	deliver(c);
	committer_housekeep(c);
}

/* A broken segment may have lost the end of a message that it still holds. */
bool
committer_settled(struct spool *spool)
{
	const struct committer *c = spool->committer;

	list_each(link, &spool->index.order)
		if (list_entry(link, struct usage, order)->broken)
			return false;
	return c->first == NULL && c->again == NULL && !c->unsynced;
}

static void *
committer_main(void *arg)
{
	struct committer *c = arg;
	struct job *jobs;
	bool stop = false;

	while (!stop) {
		jobs = wait_for_jobs(c, &stop);
		write_jobs(c, with_again(c, jobs));
		deliver(c);
		committer_housekeep(c);
	}
	finish(c);
	deliver(c);
	return NULL;
}

int
committer_start(struct spool *spool, struct err *err)
{
	struct committer *c = xcalloc(1, sizeof *c);
	pthread_condattr_t attr;
	unsigned i;

	c->spool = spool;
	c->last = &c->first;
	c->again_last = &c->again;
	c->outbox = xcalloc(spool->ports, sizeof *c->outbox);
	for (i = 0; i < spool->ports; i++) {
		c->outbox[i].last = &c->outbox[i].first;
		list_init(&c->outbox[i].arrivals);
	}
	parcel_init(&c->parcel);
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->more, &attr);
	pthread_condattr_destroy(&attr);
	spool->committer = c;
	if (spool->config.foreground)
		return 0;
	if (thread_start(&c->thread, "committer", committer_main, c, err) == 0)
		return 0;
	spool->committer = NULL;
	pthread_cond_destroy(&c->more);
	pthread_mutex_destroy(&c->lock);
	free(c->outbox);
	free(c);
	return -1;
}

void
committer_stop(struct spool *spool)
{
	struct committer *c = spool->committer;

	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_mutex_unlock(&c->lock);
	pthread_cond_signal(&c->more);
	if (spool->config.foreground)
		committer_main(c);
	else
		pthread_join(c->thread, NULL);
	pthread_cond_destroy(&c->more);
	pthread_mutex_destroy(&c->lock);
	parcel_fini(&c->parcel);
	free(c->outbox);
	free(c);
	spool->committer = NULL;
}
