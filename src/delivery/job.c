/* SPDX-License-Identifier: MIT */
#include "delivery/job.h"

#include "delivery/bounce.h"
#include "delivery/schedule.h"
#include "delivery/site.h"
#include "directory/settings.h"
#include "net/task.h"
#include "util/arena.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/counters.h"
#include "util/log.h"

#include <stdlib.h>
#include <string.h>

/* Records and lines keep this much of a reply. */
enum { REPLY_KEPT = 512 };

static void
collect_pending(struct job *j)
{
	j->count = 0;
	for (unsigned i = 0; i < j->loaded.count; i++) {
		if (j->loaded.rcpt[i].status != RCPT_PENDING)
			continue;
		if (j->count == j->cap) {
			j->cap = j->cap ? j->cap * 2 : 4;
			j->rcpt = xrealloc(j->rcpt, j->cap * sizeof(*j->rcpt));
		}
		j->rcpt[j->count++] = (struct job_rcpt){ .state = i };
	}
}

int
job_begin(struct job *j, struct site *site, struct entry *entry)
{
	struct err err;

	task_set_message(entry_id(entry));
	if (entry_load(entry, &j->loaded, &err) < 0) {
		struct log_record r;

		log_begin(&r, LOG_ERROR, "unreadable");
		log_id(&r, "msg", entry_id(entry));
		log_str(&r, "reason", err.text);
		log_end(&r);
		entry_hold(entry, err.text);
		return -1;
	}
	j->site = site;
	j->entry = entry;
	j->next = j->open = 0;
	j->peer = NULL;
	collect_pending(j);
	return 0;
}

static const char *
keep(struct job *j, const char *reply)
{
	return reply != NULL ? arena_strndup(j->loaded.arena, reply, strnlen(reply, REPLY_KEPT)) : NULL;
}

void
job_settle(struct job *j, unsigned first, unsigned count, enum fate from, enum fate to, const char *reply,
    const char *status)
{
	const char *kept = NULL;

	for (unsigned i = first; i < first + count; i++) {
		struct job_rcpt *r = &j->rcpt[i];

		if (r->fate != from)
			continue;
		if (kept == NULL)
			kept = keep(j, reply);
		r->fate = (uint8_t)to;
		r->reply = kept;
		r->status = status;
	}
}

void
job_settle_all(struct job *j, enum fate to, const char *reply, const char *status)
{
	job_settle(j, 0, j->count, FATE_NONE, to, reply, status);
}

static void
release(struct job *j)
{
	loaded_fini(&j->loaded);
	j->entry = NULL;
	j->site = NULL;
	if (task_self() != NULL)
		task_set_message(0);
}

void
job_return(struct job *j)
{
	struct entry *e = j->entry;

	release(j);
	entry_return(e, true);
}

void
job_fini(struct job *j)
{
	check(j->entry == NULL);
	free(j->rcpt);
	j->rcpt = NULL;
	j->count = j->cap = 0;
}

static unsigned
count_fate(const struct job *j, enum fate fate)
{
	unsigned n = 0;

	for (unsigned i = 0; i < j->count; i++)
		n += j->rcpt[i].fate == fate;
	return n;
}

/* Too old for another try: what was put off has failed. A reason of our own goes with the last reply. */
static void
expire(struct job *j)
{
	for (unsigned i = 0; i < j->count; i++) {
		struct job_rcpt *r = &j->rcpt[i];

		if (r->fate != FATE_DEFERRED)
			continue;
		r->fate = FATE_FAILED;
		r->status = "5.4.7";
		r->reply = arena_printf(j->loaded.arena, "delivery time expired; last: %s",
		    r->reply != NULL ? r->reply : "no attempt");
	}
}

static const char *
event_name(enum fate fate)
{
	switch (fate) {
	case FATE_DELIVERED:
		return "delivered";
	case FATE_DEFERRED:
		return "deferred";
	default:
		return "failed";
	}
}

static void
log_recipient(const struct job *j, const struct job_rcpt *rcpt, int64_t now, int64_t next)
{
	const struct recipient *to = &j->loaded.message->rcpt[j->loaded.rcpt[rcpt->state].index];
	struct log_record r;

	log_begin(&r, LOG_INFO, event_name(rcpt->fate));
	if (!r.live)
		return;
	log_id(&r, "msg", entry_id(j->entry));
	log_str(&r, "to", to->address);
	log_str(&r, "hop", j->peer);
	log_str(&r, "reply", rcpt->reply);
	log_u64(&r, "delay", now > j->loaded.message->received ? (uint64_t)(now - j->loaded.message->received) : 0);
	log_u64(&r, "attempt", entry_attempts(j->entry) + 1);
	if (rcpt->fate == FATE_DEFERRED)
		log_u64(&r, "next", next > now ? (uint64_t)(next - now) : 0);
	log_end(&r);
}

/* Loaded states become the new absolute ones, those that changed first in line, and their number is returned. */
static unsigned
collect_changes(struct job *j, int64_t now, int64_t next)
{
	static const enum rcpt_status status[] = { [FATE_DELIVERED] = RCPT_DELIVERED,
		[FATE_DEFERRED] = RCPT_PENDING, [FATE_FAILED] = RCPT_FAILED };
	struct rcpt_state *out = j->loaded.rcpt;
	unsigned n = 0;

	for (unsigned i = 0; i < j->count; i++) {
		struct job_rcpt *r = &j->rcpt[i];
		struct rcpt_state changed;

		if (r->fate < FATE_DELIVERED)
			continue;
		log_recipient(j, r, now, next);
		changed = (struct rcpt_state){ .index = out[r->state].index, .status = status[r->fate],
			.reply = r->fate == FATE_DELIVERED ? NULL : (char *)(uintptr_t)r->reply };
		/* r->state >= i >= n: nothing that is still needed is overwritten. */
		out[n++] = changed;
	}
	return n;
}

static void
count_fates(const struct job *j, unsigned delivered, unsigned deferred, unsigned failed)
{
	if (delivered > 0) {
		counter_add(COUNTER_RECIPIENTS_DELIVERED, delivered);
		counter_add(COUNTER_BYTES_DELIVERED, j->loaded.message->size);
	}
	if (deferred > 0)
		counter_add(COUNTER_RECIPIENTS_DEFERRED, deferred);
	if (failed > 0)
		counter_add(COUNTER_RECIPIENTS_FAILED, failed);
}

/* The report that goes with the outcome, or NULL; *WARNED is set when the delay warning's turn has come. Failures
 * come first: one report says one thing, and the warning has time until the next attempt. */
static struct message *
make_report(struct job *j, unsigned deferred, unsigned failed, int64_t now, bool *warned)
{
	const struct queue_settings *q = &j->site->settings->queue;
	const struct message *m = j->loaded.message;
	bool null_sender = m->sender[0] == '\0';
	struct message *report;

	if (failed > 0)
		return bounce_new(j, DSN_FAILED, now, 0);
	if (deferred == 0 || !schedule_warn(q, m->received, null_sender, entry_warned(j->entry), now))
		return NULL;
	report = bounce_new(j, DSN_DELAYED, now, schedule_end(q, m->received, null_sender));
	*warned = true;
	return report;
}

void
job_end(struct job *j)
{
	const struct queue_settings *q = &j->site->settings->queue;
	const struct message *m = j->loaded.message;
	bool null_sender = m->sender[0] == '\0';
	struct outcome outcome = { .peer = j->peer };
	int64_t now = clock_wall();
	unsigned delivered = count_fate(j, FATE_DELIVERED), deferred = count_fate(j, FATE_DEFERRED), failed;

	if (deferred > 0 && now >= schedule_end(q, m->received, null_sender)) {
		expire(j);
		deferred = 0;
	}
	failed = count_fate(j, FATE_FAILED);
	if (delivered + deferred + failed == 0) {
		job_return(j);
		return;
	}
	count_fates(j, delivered, deferred, failed);
	outcome.report = make_report(j, deferred, failed, now, &outcome.warned);
	outcome.count_attempt = deferred > 0;
	outcome.next_attempt = deferred > 0
	    ? schedule_next(q, entry_attempts(j->entry), m->received, null_sender, now) : now;
	outcome.count = collect_changes(j, now, outcome.next_attempt);
	outcome.rcpt = j->loaded.rcpt;
	entry_finish(j->entry, &outcome);
	release(j);
}
