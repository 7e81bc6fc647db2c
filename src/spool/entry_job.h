/* SPDX-License-Identifier: MIT */
/* What is written of an entry: the jobs its loop hands to the committer. */
#ifndef TMAIL_SPOOL_ENTRY_JOB_H
#define TMAIL_SPOOL_ENTRY_JOB_H

#include "spool/committer.h"

struct arena;

/* An entry's end. */
struct job *entry_job_done(struct entry *e);

/* STATE with what it says now; KEY is recorded where it was moved. */
struct job *entry_job_state(struct entry *e, enum entry_state state, int64_t when, const char *reason,
    const char *key);

/* Adds a RCPTS record to a STATE job, which may move. */
struct job *entry_job_rcpts(struct job *job, const struct rcpt_state *rcpt, size_t count, const char *peer);

/* Adds a report, to be committed in the same transaction, to a job. */
void entry_job_report(struct job *job, struct message *report);

/* The recipients' absolute states: what was loaded, overlaid with what an attempt changed. ARENA is the caller's to
 * free. */
struct merged {
	struct arena *arena;
	struct rcpt_state *rcpt;
	size_t count, final;
	const char *peer;
};

void entry_merge(const struct entry *e, const struct outcome *o, struct merged *m);

#endif
