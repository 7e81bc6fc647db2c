/* SPDX-License-Identifier: MIT */
/* The committer's inside: committer.c takes and writes, committer_apply.c keeps the index of what was written,
 * committer_house.c frees segments and finds out whether a failing disk works again. */
#ifndef TMAIL_SPOOL_COMMITTER_PRIVATE_H
#define TMAIL_SPOOL_COMMITTER_PRIVATE_H

#include "spool/committer.h"
#include "spool/parcel.h"
#include "util/clock.h"

#include <pthread.h>

/* While the disk is full or refuses, ms. */
enum { LOOK_MS = 500 };

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

/* Tests count passes, so that they are the same every time. */
static inline uint64_t
committer_now(const struct committer *c)
{
	return c->spool->config.foreground ? c->passes : clock_ms();
}

static inline void
committer_look_within(struct committer *c, uint64_t ms)
{
	uint64_t at = committer_now(c) + ms;

	if (c->look_at == 0 || c->look_at > at)
		c->look_at = at;
}

/* Seals the parcel and appends it as one batch; -1: it does not count, and what follows from the failure is noted. */
int committer_append(struct committer *c, struct parcel *b, struct err *err);

/* A write or sync failed; BROKEN is the segment it broke, or 0. */
void committer_note_failure(struct committer *c, uint32_t broken, const struct err *err);
void committer_note_synced(struct committer *c);

/* U is on disk: the index, and the ports that are told at the end of the pass, learn what it means. The index's lock
 * is held. */
void committer_apply(struct committer *c, const struct unit *u);

/* Syncs what was appended unsynced. -1: it failed, and that is noted. */
int committer_sync(struct committer *c);

/* Frees what nobody needs but the segment CURRENT. */
void committer_free_segments(struct committer *c, uint32_t current);

/* After each pass. */
void committer_housekeep(struct committer *c);

#endif
