/* SPDX-License-Identifier: MIT */
#include "spool/committer.h"
#include "spool/compact.h"
#include "spool/parcel.h"
#include "spool/record.h"
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
	LOOK_MS = 500,     /* while the disk is full or refuses */
	LAST_ATTEMPTS = 5, /* at the end, before state records are given up */
};

enum rest { AWAKE, NAPPING, ASLEEP };

struct committer {
	struct spool *spool;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	/* Under the lock. */
	struct job *first, **last;
	uint64_t since;             /* clock_ms() of the first */
	bool urgent, nudged, stop;
	enum rest rest;
	/* The thread's own. */
	struct job *again, **again_last; /* records that could not be written */
	uint64_t look_at;           /* clock_ms(), 0: nothing to look at */
	uint64_t passes;            /* in the foreground */
	bool unsynced;              /* something was appended since the last sync */
	uint32_t current;
	struct parcel parcel;
	struct outbox *outbox;      /* one for each port */
};

/* What a port will be told. */
struct outbox {
	struct job *first, **last;
	struct list arrivals;
};

static void
append_job(struct job ***last, struct job *job)
{
	job->next = NULL;
	**last = job;
	*last = &job->next;
}

/* Tests count passes, so that they are the same every time. */
static uint64_t
now(const struct committer *c)
{
	return c->spool->config.foreground ? c->passes : clock_ms();
}

static void
look_within(struct committer *c, uint64_t ms)
{
	uint64_t at = now(c) + ms;

	if (c->look_at == 0 || c->look_at > at)
		c->look_at = at;
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
arrive(struct committer *c, struct stored *s, const struct message *m)
{
	unsigned i;

	for (i = 0; i < s->count; i++)
		if (!s->entry[i].done)
			list_append(&c->outbox[port_of_key(c->spool, m->group[i])->index].arrivals, &s->entry[i].link);
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

/* ---- what a batch on disk means ---- */

static void
added(struct committer *c, const struct unit *u, struct job *job)
{
	struct spool *spool = c->spool;

	if (spool->config.discard)
		return;
	index_add(&spool->index, stored_ref(job->added), u->record[u->message].pos,
	    (uint32_t)(u->record[u->message].head_len + u->record[u->message].body_len));
	arrive(c, job->added, job->message);
	if (job->added->blob)
		atomic_fetch_add(&spool->blob_count, 1);
}

static void
done(struct committer *c, const struct unit *u, struct job *job)
{
	struct index *ix = &c->spool->index;
	struct stored *s = job->stored;
	struct entry *e = job->entry;

	index_done(ix, s->link.hash, e->group, LOG_POS_SEGMENT(atomic_load(&s->pos)), u->record[0].pos);
	index_state(ix, e, 0);
	index_rcpts(ix, e, 0);
	e->done = 1;
	if (--s->open > 0)
		return;
	index_remove(ix, s);
	if (s->blob)
		compactor_remove_blob(c->spool, s->link.hash);
	stored_unref(s);
}

static void
copied_whole(struct index *ix, const struct unit *u)
{
	struct stored *s = u->copy->stored;
	const struct spool_record *r = u->record;
	struct entry *e;
	unsigned i;

	index_move(ix, s, r++->pos);
	for (i = 0; i < s->count; i++) {
		e = &s->entry[i];
		if (e->rcpt_count == 0)
			continue;
		if (e->done) {
			r++;
			continue;
		}
		if (atomic_load(&e->state_pos) != 0)
			index_state(ix, e, r++->pos);
		if (atomic_load(&e->rcpts_pos) != 0)
			index_rcpts(ix, e, r++->pos);
	}
	check(r == u->record + u->count);
	counter_add(COUNTER_SPOOL_COMPACTED, 1);
}

static void
copied(struct committer *c, const struct unit *u)
{
	struct index *ix = &c->spool->index;
	struct copy *copy = u->copy;

	copy->written = true;
	switch ((enum record_type)copy->type) {
	case RECORD_MESSAGE:
		copied_whole(ix, u);
		break;
	case RECORD_STATE:
		index_state(ix, &copy->stored->entry[copy->group], u->record[0].pos);
		break;
	case RECORD_RCPTS:
		index_rcpts(ix, &copy->stored->entry[copy->group], u->record[0].pos);
		break;
	case RECORD_DONE:
		/* Its message's segment may have gone in the meantime: then nobody needs it. */
		if (index_have_usage(ix, copy->home) != NULL)
			index_done(ix, copy->id, copy->group, copy->home, u->record[0].pos);
		else
			index_usage(ix, LOG_POS_SEGMENT(u->record[0].pos));
		break;
	case RECORD_PROBE:
		break;
	}
}

static void
wrote(struct committer *c, const struct unit *u)
{
	struct index *ix = &c->spool->index;
	struct job *job = u->job;

	switch (job->kind) {
	case JOB_COMMIT:
		added(c, u, job);
		atomic_fetch_add_explicit(&c->spool->commits, 1, memory_order_relaxed);
		break;
	case JOB_STATE:
		index_state(ix, job->entry, u->record[0].pos);
		if (job->rcpts_head_len > 0)
			index_rcpts(ix, job->entry, u->record[1].pos);
		break;
	case JOB_DONE:
		done(c, u, job);
		break;
	case JOB_COPY:
		copied(c, u);
		break;
	case JOB_BARRIER:
		break;
	}
	if (job->kind != JOB_COMMIT && job->message != NULL)
		added(c, u, job);
}

static void
note_synced(struct committer *c)
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
		wrote(c, &b->unit[i]);
	}
	pthread_mutex_unlock(&ix->lock);
	for (i = 0; i < b->jobs; i++)
		tell(c, b->job[i], 0);
}

/* ---- failures ---- */

static void
note_failure(struct committer *c, uint32_t broken, const struct err *err)
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
	look_within(c, LOOK_MS);
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
			look_within(c, AGAIN_MS);
		} else {
			refuse(c, job, err);
		}
	}
}

/* ---- writing ---- */

static int
append(struct committer *c, struct parcel *b, struct err *err)
{
	struct spool *spool = c->spool;
	uint64_t began = clock_us();
	uint32_t broken = 0;

	parcel_seal(b);
	if (spool_log_append(spool->log, b->log, b->units, b->messages ? LOG_ROOM_MESSAGES : LOG_ROOM_RESERVE, b->sync,
	    &broken, err) < 0) {
		note_failure(c, broken, err);
		return -1;
	}
	atomic_fetch_add_explicit(&spool->batches, 1, memory_order_relaxed);
	if (!b->sync) {
		c->unsynced = true;
		return 0;
	}
	atomic_fetch_add_explicit(&spool->syncs, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&spool->sync_us, clock_us() - began, memory_order_relaxed);
	note_synced(c);
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
	if (rest.units > 0 && append(c, &rest, err) < 0) {
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

	if (b->units == 0 || append(c, b, &err) == 0)
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

/* ---- housekeeping ---- */

static int
sync_log(struct committer *c)
{
	uint32_t broken = 0;
	struct err err;

	if (!c->unsynced)
		return 0;
	if (spool_log_sync(c->spool->log, &broken, &err) < 0) {
		note_failure(c, broken, &err);
		return -1;
	}
	note_synced(c);
	return 0;
}

/* Records may be lost with another segment that made this one unneeded. Until compaction has written what counts of
 * them again, it stays. */
static bool
is_doubtful(struct index *ix, const struct usage *u)
{
	list_each(link, &ix->order)
		if (list_entry(link, struct usage, order) != u && list_entry(link, struct usage, order)->doubtful)
			return true;
	return false;
}

/* What failed to be written to a broken segment may come back after a crash unless something later proves that it
 * failed: so later segments stay as long as it does. But for messages that cannot be read it would stay for ever. */
static bool
holds_later(const struct usage *u)
{
	if (!u->broken)
		return false;
	list_each(link, &u->messages)
		if (list_entry(link, struct stored, live)->unread < UNREAD_MAX)
			return true;
	return u->live == 0 || u->states > 0 || u->refs > 0;
}

static struct usage *
unneeded(struct committer *c, uint32_t current)
{
	struct index *ix = &c->spool->index;
	struct usage *u;

	list_each(link, &ix->order)
	{
		u = list_entry(link, struct usage, order);
		if (u->number != current && u->free_after <= now(c) && !usage_needed(u) && !is_doubtful(ix, u))
			return u;
		if (holds_later(u))
			break;
	}
	return NULL;
}

/* Records that made a segment unneeded must be durable before it goes: else what it held could come back without
 * what is known of it. */
static void
free_segments(struct committer *c, uint32_t current)
{
	struct index *ix = &c->spool->index;
	struct usage *u;
	struct err err;
	bool freed;

	if (!atomic_exchange(&ix->look, false))
		return;
	pthread_mutex_lock(&ix->lock);
	while ((u = unneeded(c, current)) != NULL) {
		pthread_mutex_unlock(&ix->lock);
		freed = sync_log(c) == 0 && spool_log_free(c->spool->log, u->number, &err) == 0;
		pthread_mutex_lock(&ix->lock);
		if (freed) {
			index_drop_usage(ix, u);
			continue;
		}
		/* Somebody reads it, or the disk fails: later. */
		u->free_after = now(c) + (c->spool->config.foreground ? 1 : LOOK_MS);
		look_within(c, LOOK_MS);
	}
	pthread_mutex_unlock(&ix->lock);
}

static void
close_segment(struct committer *c, uint32_t number)
{
	struct index *ix = &c->spool->index;
	struct usage *s;

	pthread_mutex_lock(&ix->lock);
	s = index_have_usage(ix, number);
	if (s != NULL)
		s->closed = clock_ms();
	ix->look = true;
	pthread_mutex_unlock(&ix->lock);
	compactor_nudge(c->spool);
}

static void
probe(struct committer *c)
{
	struct err err;

	parcel_add_probe(&c->parcel);
	if (append(c, &c->parcel, &err) == 0) {
		pthread_mutex_lock(&c->spool->index.lock);
		index_usage(&c->spool->index, LOG_POS_SEGMENT(c->parcel.record[0].pos));
		pthread_mutex_unlock(&c->spool->index.lock);
	}
	parcel_clear(&c->parcel);
}

static void
housekeep(struct committer *c)
{
	struct spool *spool = c->spool;
	uint32_t current = spool_log_current(spool->log);

	if (c->look_at != 0 && (spool->config.foreground || clock_ms() >= c->look_at)) {
		c->look_at = 0;
		spool->index.look = true;
		if (atomic_load(&spool->degraded))
			probe(c);
	}
	if (current != c->current) {
		close_segment(c, c->current);
		c->current = current;
	}
	free_segments(c, current);
	atomic_store(&spool->log_full, !spool_log_room(spool->log));
	if (atomic_load(&spool->log_full) || atomic_load(&spool->degraded))
		look_within(c, LOOK_MS);
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
	sync_log(c);
	c->spool->index.look = true;
	free_segments(c, 0);
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
	housekeep(c);
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
		housekeep(c);
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
