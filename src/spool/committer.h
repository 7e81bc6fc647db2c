/* SPDX-License-Identifier: MIT */
/* The thread that writes: takes what the loops hand over once a pass, appends it to the log as one batch with one
 * sync, and gives each loop one list of what is done. */
#ifndef TMAIL_SPOOL_COMMITTER_H
#define TMAIL_SPOOL_COMMITTER_H

#include "spool/store.h"

#include <semaphore.h>

enum job_kind {
	JOB_COMMIT = 1, /* a new message; its task waits */
	JOB_STATE,      /* an entry's STATE, perhaps with RCPTS and a report */
	JOB_DONE,       /* an entry's end, perhaps with a report */
	JOB_COPY,       /* what compaction read */
	JOB_BARRIER,    /* nothing: comes back when all before it was written or failed */
};

/* What becomes of the entry when its record is written; before, it stays ACTIVE. */
enum job_then { THEN_NOTHING = 0, THEN_SETTLE, THEN_LEAVE, THEN_MOVE };

struct copy;

struct job {
	struct job *next;
	enum job_kind kind;
	enum job_then then;
	bool written;            /* COMMIT: RESULT and ERR are set */
	bool sync;               /* to be synced, and at once; else within LAZY_MS, unsynced */
	uint8_t state;           /* THEN_SETTLE: enum entry_state */
	int result;
	int64_t when;            /* THEN_SETTLE: next_attempt */
	struct port *port;       /* who is told; NULL: WAITER */
	struct stored *stored;   /* of ENTRY; a reference */
	struct entry *entry;
	struct message *message; /* COMMIT: the task's; else a report, a reference */
	struct stored *added;    /* that message's; the index's reference once it is written */
	struct task *task;       /* COMMIT */
	struct err *err;         /* COMMIT */
	struct copy *copy;       /* COPY */
	sem_t *waiter;           /* COPY, BARRIER */
	uint32_t state_len, rcpts_head_len, rcpts_len;
	char data[];             /* STATE's head, RCPTS's head, RCPTS's body */
};

/* A message or a state record on its way to a newer segment. */
struct copy_part {
	uint16_t group;
	log_pos state_from, rcpts_from; /* what was read; stale when they changed since */
	struct log_view state, rcpts;
};

struct copy {
	struct copy *next;
	uint8_t type;            /* enum record_type */
	bool written;
	log_pos from;            /* where it stood */
	uint64_t id;
	uint16_t group;          /* STATE, RCPTS, DONE */
	uint32_t home;           /* DONE: the segment of the message it ends */
	struct stored *stored;   /* a reference; NULL for DONE */
	struct log_view view;    /* but for DONE */
	struct copy_part *part;  /* MESSAGE: groups that are not done */
	unsigned parts;
};

/* Hands M over; JOB is the caller's until job->written. */
int commit_begin(struct port *p, struct message *m, struct job *job);

int committer_start(struct spool *spool, struct err *err);

/* Writes what was handed over, syncs, ends the thread. */
void committer_stop(struct spool *spool);

/* Any thread. LAST is the end of the list. URGENT: something in it has to be written at once. */
void committer_submit(struct spool *spool, struct job *first, struct job **last, bool urgent);

/* Any thread but the committer's: one job that is not a loop's; waits until it is done. */
int committer_run(struct spool *spool, struct job *job);

/* Foreground (tests): does what the thread would do now. */
void committer_pass(struct spool *spool);

/* Foreground (tests): everything submitted so far is on stable storage. */
bool committer_settled(struct spool *spool);

/* There may be something to free or to look at. */
void committer_nudge(struct spool *spool);

#endif
