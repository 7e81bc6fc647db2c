/* SPDX-License-Identifier: MIT */
#include "control/scan.h"

#include "control/client.h"
#include "util/arena.h"
#include "util/clock.h"

int
scan_begin(struct scan *s, struct job *job, bool envelope)
{
	struct err err;

	if (filter_read(&s->filter, job, &err) < 0)
		return job_fail(job, "bad-request", "%s", err.text);
	s->envelope = envelope;
	s->slice = arena_alloc(job->arena, SCAN_SLICE * sizeof *s->slice);
	s->now = clock_wall();
	if (s->filter.id_count == 0)
		s->walk = spool_walk_begin(job->config->spool);
	return 0;
}

/* Named messages are looked up; nobody walks a million entries for one. */
static unsigned
next_slice(struct scan *s, struct job *job)
{
	unsigned count = 0;

	if (s->walk != NULL)
		return spool_walk_next(s->walk, s->slice, SCAN_SLICE);
	while (count == 0 && s->next_id < s->filter.id_count)
		count = spool_lookup(job->config->spool, s->filter.ids[s->next_id++], s->slice, SCAN_SLICE);
	return count;
}

static void
examine(struct scan *s, struct job *job, const struct entry_info *e,
    void (*fn)(struct job *job, const struct entry_info *e, const struct spool_detail *d))
{
	bool needed = filter_needs_envelope(&s->filter);
	struct spool_detail detail = { 0 };

	if (!filter_matches(&s->filter, e, s->now))
		return;
	if (!needed && !s->envelope) {
		s->matched++;
		fn(job, e, NULL);
		return;
	}
	if (spool_glance(job->config->spool, e->id, &detail, NULL) < 0) {
		if (!needed) {
			s->matched++;
			fn(job, e, NULL);
		}
		return;
	}
	if (filter_matches_envelope(&s->filter, e, &detail)) {
		s->matched++;
		fn(job, e, &detail);
	}
	spool_detail_fini(&detail);
}

bool
scan_step(struct scan *s, struct job *job,
    void (*fn)(struct job *job, const struct entry_info *e, const struct spool_detail *d))
{
	uint64_t until = clock_ms() + SCAN_STEP_MS;

	do {
		if (s->at == s->count) {
			s->at = 0;
			s->count = next_slice(s, job);
			if (s->count == 0)
				return false;
		}
		examine(s, job, &s->slice[s->at++], fn);
		if (s->filter.limit > 0 && s->matched == s->filter.limit)
			return false;
	} while (!job->failed && job->out->len < CLIENT_OUT_MAX && clock_ms() < until);
	return true;
}

void
scan_end(struct scan *s)
{
	if (s->walk != NULL)
		spool_walk_end(&s->walk);
}
