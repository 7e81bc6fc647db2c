/* SPDX-License-Identifier: MIT */
/* A spool on a temporary folder with loops in threads of their own, and a delivery whose answers a test decides.
 * The test's thread stands where the control thread does. Loop threads use check(), never cmocka's assertions. */
#ifndef TMAIL_TESTS_SPOOL_RIG_H
#define TMAIL_TESTS_SPOOL_RIG_H

#include "scratch.h"
#include "spool/spool.h"

#include <pthread.h>
#include <stdatomic.h>

enum { RIG_LOOPS = 4 };

enum fate {
	FATE_FINISH = 1, /* the outcome goes to entry_finish() */
	FATE_RETURN,     /* entry_return() and stop looking at this queue */
	FATE_HOLD,       /* entry_hold() with outcome.peer as the reason */
	FATE_REKEY,      /* entry_rekey() to outcome.peer */
	FATE_KEEP,       /* nothing: the test finishes it later */
};

struct rig {
	struct spool *spool;
	struct spool_config config;
	struct loop *loop[RIG_LOOPS];
	pthread_t thread[RIG_LOOPS];
	unsigned loops;
	char path[SCRATCH_PATH];
	/* Fills OUTCOME; RCPT is room for all the entry's recipients, filled with the pending ones. NULL: all delivered. */
	enum fate (*fate)(struct rig *rig, struct entry *e, struct loaded *l, struct outcome *o, struct rcpt_state *rcpt);
	void *user;
	bool paused;             /* no delivery at all */
	_Atomic unsigned attempts, finished;
	_Atomic unsigned load_failures;
	_Atomic unsigned drains; /* delivering tasks */
	atomic_bool stopping;
};

/* Defaults that tests change before rig_start(): one loop, small segments. */
void rig_init(struct rig *r);
void rig_start(struct rig *r);
void rig_stop(struct rig *r);
void rig_fini(struct rig *r); /* removes the folder */

/* Runs FN(ARG) as a task on loop INDEX and waits for its end. */
void rig_run(struct rig *r, unsigned index, void (*fn)(void *arg), void *arg);

/* A message to RCPTS recipients, recipient i with key KEYS[i % n]; content of SIZE bytes that follow from the id. */
struct message *rig_message(struct rig *r, size_t size, unsigned rcpts, const char *const *keys, unsigned nkeys);

/* Builds and commits one from a task on loop INDEX. Its id, or 0 when refused. */
uint64_t rig_commit(struct rig *r, unsigned index, size_t size, unsigned rcpts, const char *const *keys,
    unsigned nkeys);

/* N bytes of that content from OFF on. */
void rig_fill(uint64_t id, uint64_t off, char *p, size_t n);

/* The content is what rig_message() made. */
bool rig_content_ok(struct spool *spool, const struct message *m);


/* Waits until FN(ARG) is true. */
void rig_until(bool (*fn)(struct rig *r, void *arg), struct rig *r, void *arg, const char *what);

/* Until N entries are queued in all. */
void rig_until_entries(struct rig *r, uint64_t n);

#endif
