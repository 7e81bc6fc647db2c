/* SPDX-License-Identifier: MIT */
/* A walk over the entries of the queue that pass a filter, one slice a step: what list, count, shape and the bulk
 * changes have in common. */
#ifndef TMAIL_CONTROL_SCAN_H
#define TMAIL_CONTROL_SCAN_H

#include "control/filter.h"
#include "control/job.h"
#include "spool/spool.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	SCAN_SLICE = 256,     /* entries asked for at a time */
	SCAN_STEP_MS = 20,    /* then other clients get their turn */
};

struct scan {
	struct filter filter;
	bool envelope;           /* FN wants the envelope even if the filter does not need it */
	struct spool_walk *walk;  /* NULL: the filter names ids */
	unsigned next_id;
	struct entry_info *slice;
	unsigned count, at;
	int64_t now;             /* wall seconds when it began */
	uint64_t matched;
};

/* Reads the filter out of the job's arguments. -1 after job_fail(). */
int scan_begin(struct scan *s, struct job *job, bool envelope);

/* Calls FN for each match of a slice; D is NULL when the envelope was not asked for or cannot be read. Returns
 * early when time is up or much output waits. True: there is more. */
bool scan_step(struct scan *s, struct job *job,
    void (*fn)(struct job *job, const struct entry_info *e, const struct spool_detail *d));
void scan_end(struct scan *s);

#endif
