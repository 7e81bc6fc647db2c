/* SPDX-License-Identifier: MIT */
/* Between batches: segments that nobody needs are freed, and a disk that failed is tried. */
#include "spool/committer_private.h"
#include "spool/compact.h"

int
committer_sync(struct committer *c)
{
	uint32_t broken = 0;
	struct err err;

	if (!c->unsynced)
		return 0;
	if (spool_log_sync(c->spool->log, &broken, &err) < 0) {
		committer_note_failure(c, broken, &err);
		return -1;
	}
	committer_note_synced(c);
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
		if (u->number != current && u->free_after <= committer_now(c) && !usage_needed(u) && !is_doubtful(ix, u))
			return u;
		if (holds_later(u))
			break;
	}
	return NULL;
}

/* Records that made a segment unneeded must be durable before it goes: else what it held could come back without
 * what is known of it. */
void
committer_free_segments(struct committer *c, uint32_t current)
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
		freed = committer_sync(c) == 0 && spool_log_free(c->spool->log, u->number, &err) == 0;
		pthread_mutex_lock(&ix->lock);
		if (freed) {
			index_drop_usage(ix, u);
			continue;
		}
		/* Somebody reads it, or the disk fails: later. */
		u->free_after = committer_now(c) + (c->spool->config.foreground ? 1 : LOOK_MS);
		committer_look_within(c, LOOK_MS);
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
	if (committer_append(c, &c->parcel, &err) == 0) {
		pthread_mutex_lock(&c->spool->index.lock);
		index_usage(&c->spool->index, LOG_POS_SEGMENT(c->parcel.record[0].pos));
		pthread_mutex_unlock(&c->spool->index.lock);
	}
	parcel_clear(&c->parcel);
}

void
committer_housekeep(struct committer *c)
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
	committer_free_segments(c, current);
	atomic_store(&spool->log_full, !spool_log_room(spool->log));
	if (atomic_load(&spool->log_full) || atomic_load(&spool->degraded))
		committer_look_within(c, LOOK_MS);
}
