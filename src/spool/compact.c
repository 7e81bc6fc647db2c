/* SPDX-License-Identifier: MIT */
/* Which segments are worth emptying, and the thread that has it done: forward.h copies. */
#include "spool/compact.h"
#include "spool/blob.h"
#include "spool/committer.h"
#include "spool/forward.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/thread.h"

#include <stdlib.h>
#include <string.h>

enum {
	FROM_SEGMENTS = 5,
	AGE_MS = 30000,      /* most mail is gone by then by itself */
	TICK_MS = 1000,
	AGAIN_MS = 10000,    /* before a segment that could not be emptied is tried again */
	SLICE_BYTES = 256 * 1024,
};

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
	note_tried(k, number, forward_states(k, number) == 0 && forward_dones(k, number) == 0);
	committer_nudge(k->spool);
}

static void
compact(struct compactor *k, uint32_t number)
{
	if (need_of(k, number) == NEED_RESCUE)
		rescue(k, number);
	if (need_of(k, number) == NEED_COPY && forward_messages(k, number) == 0 && forward_states(k, number) == 0)
		forward_dones(k, number);
	note_tried(k, number, false); /* if it is still there */
	committer_nudge(k->spool);
}

/* ---- the thread ---- */
bool
compactor_rest(struct compactor *k, uint64_t ms)
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
		while ((number = choose(k)) != 0 && compactor_rest(k, 0))
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
