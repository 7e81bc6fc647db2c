/* SPDX-License-Identifier: MIT */
#include "delivery/errand.h"

#include "delivery/bounce.h"
#include "delivery/errand_history.h"
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
collect_pending(struct errand *a)
{
	a->count = 0;
	for (unsigned i = 0; i < a->loaded.count; i++) {
		if (a->loaded.rcpt[i].status != RCPT_PENDING)
			continue;
		if (a->count == a->cap) {
			a->cap = a->cap ? a->cap * 2 : 4;
			a->rcpt = xrealloc(a->rcpt, a->cap * sizeof(*a->rcpt));
		}
		a->rcpt[a->count++] = (struct errand_rcpt){ .state = i };
	}
}

/* What the disk will not give now it may give later; what is damaged stays so, and waits for an administrator. */
static void
set_aside(struct site *site, struct entry *entry, const struct err *err)
{
	const struct queue_settings *q = &site->settings->queue;
	struct outcome later = { .count_attempt = true };
	struct history_event e;
	struct log_record r;

	log_begin(&r, LOG_ERROR, "unreadable");
	log_id(&r, "msg", entry_id(entry));
	log_str(&r, "then", err->code != 0 ? "later" : "held");
	log_str(&r, "reason", err->text);
	log_end(&r);
	if (err->code == 0) {
		history_begin(&e, HISTORY_HELD, entry_id(entry));
		history_str(&e, HISTORY_REASON, err->text);
		history_end(&e);
		entry_hold(entry, err->text);
		return;
	}
	later.next_attempt = clock_wall() + q->retry_min;
	entry_finish(entry, &later);
}

int
errand_begin(struct errand *a, struct site *site, struct entry *entry)
{
	struct err err = { 0 };

	task_set_message(entry_id(entry));
	if (entry_load(entry, &a->loaded, &err) < 0) {
		set_aside(site, entry, &err);
		return -1;
	}
	a->site = site;
	a->entry = entry;
	a->next = a->open = 0;
	a->peer = a->source = NULL;
	a->hop_down = false;
	a->success = 0;
	collect_pending(a);
	return 0;
}

static const char *
keep(struct errand *a, const char *reply)
{
	return reply != NULL ? arena_strndup(a->loaded.arena, reply, strnlen(reply, REPLY_KEPT)) : NULL;
}

void
errand_settle(struct errand *a, unsigned first, unsigned count, enum fate from, enum fate to, const char *reply,
    const char *status)
{
	const char *kept = NULL;

	for (unsigned i = first; i < first + count; i++) {
		struct errand_rcpt *r = &a->rcpt[i];

		if (r->fate != from)
			continue;
		if (kept == NULL)
			kept = keep(a, reply);
		r->fate = (uint8_t)to;
		r->reply = kept;
		r->status = status;
	}
}

void
errand_settle_all(struct errand *a, enum fate to, const char *reply, const char *status)
{
	errand_settle(a, 0, a->count, FATE_NONE, to, reply, status);
}

void
errand_return_to_sender(struct errand *a)
{
	const char *reason = a->loaded.bounce_reason, *text = "returned by the administrator";

	if (reason != NULL)
		text = arena_printf(a->loaded.arena, "%s: %s", text, reason);
	errand_settle_all(a, FATE_FAILED, text, "5.0.0");
}

static void
release(struct errand *a)
{
	loaded_fini(&a->loaded);
	a->entry = NULL;
	a->site = NULL;
	if (task_self() != NULL)
		task_set_message(0);
}

static void
give_back(struct errand *a, bool front)
{
	struct entry *e = a->entry;

	release(a);
	entry_return(e, front);
}

void
errand_return(struct errand *a)
{
	give_back(a, true);
}

void
errand_return_last(struct errand *a)
{
	give_back(a, false);
}

void
errand_finish(struct errand *a, const struct outcome *outcome)
{
	struct message *report = outcome->report; /* the spool takes a reference of its own */

	entry_finish(a->entry, outcome);
	message_unref(&report);
	release(a);
}

void
errand_rekey(struct errand *a, const char *key)
{
	struct entry *e = a->entry;

	release(a);
	entry_rekey(e, key);
}

void
errand_fini(struct errand *a)
{
	check(a->entry == NULL);
	free(a->rcpt);
	a->rcpt = NULL;
	a->count = a->cap = 0;
}

static unsigned
count_fate(const struct errand *a, enum fate fate)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->count; i++)
		n += a->rcpt[i].fate == fate;
	return n;
}

/* Too old for another try: what was put off has failed. A reason of our own goes with the last reply. */
static void
expire(struct errand *a)
{
	for (unsigned i = 0; i < a->count; i++) {
		struct errand_rcpt *r = &a->rcpt[i];

		if (r->fate != FATE_DEFERRED)
			continue;
		r->fate = FATE_FAILED;
		r->status = "5.4.7";
		r->reply = arena_printf(a->loaded.arena, "delivery time expired; last: %s",
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
log_recipient(const struct errand *a, const struct errand_rcpt *rcpt, int64_t now, int64_t next)
{
	const struct recipient *to = &a->loaded.message->rcpt[a->loaded.rcpt[rcpt->state].index];
	struct log_record r;

	log_begin(&r, LOG_INFO, event_name(rcpt->fate));
	if (!r.live)
		return;
	log_id(&r, "msg", entry_id(a->entry));
	log_str(&r, "to", to->address);
	log_str(&r, "hop", a->peer);
	if (a->source != NULL)
		log_str(&r, "source", a->source);
	log_str(&r, "reply", rcpt->reply);
	log_u64(&r, "delay", now > a->loaded.message->received ? (uint64_t)(now - a->loaded.message->received) : 0);
	log_u64(&r, "attempt", entry_attempts(a->entry) + 1);
	if (rcpt->fate == FATE_DEFERRED)
		log_u64(&r, "next", next > now ? (uint64_t)(next - now) : 0);
	log_end(&r);
}

/* Loaded states become the new absolute ones, those that changed first in line, and their number is returned. */
static unsigned
collect_changes(struct errand *a, int64_t now, int64_t next)
{
	static const enum rcpt_status status[] = { [FATE_DELIVERED] = RCPT_DELIVERED,
		[FATE_DEFERRED] = RCPT_PENDING, [FATE_FAILED] = RCPT_FAILED };
	struct rcpt_state *out = a->loaded.rcpt;
	unsigned n = 0;

	for (unsigned i = 0; i < a->count; i++) {
		struct errand_rcpt *r = &a->rcpt[i];
		struct rcpt_state changed;

		if (r->fate < FATE_DELIVERED || r->fate == FATE_NOTED)
			continue;
		log_recipient(a, r, now, next);
		changed = (struct rcpt_state){ .index = out[r->state].index, .status = status[r->fate],
			.reply = r->fate == FATE_DELIVERED ? NULL : (char *)(uintptr_t)r->reply };
		/* r->state >= i >= n: nothing that is still needed is overwritten. */
		out[n++] = changed;
	}
	return n;
}

static void
count_fates(const struct errand *a, unsigned delivered, unsigned deferred, unsigned failed)
{
	if (delivered > 0) {
		counter_add(COUNTER_RECIPIENTS_DELIVERED, delivered);
		counter_add(COUNTER_BYTES_DELIVERED, a->loaded.message->size);
	}
	if (deferred > 0)
		counter_add(COUNTER_RECIPIENTS_DEFERRED, deferred);
	if (failed > 0)
		counter_add(COUNTER_RECIPIENTS_FAILED, failed);
}

void
errand_note(struct errand *a, unsigned first, unsigned count)
{
	struct rcpt_state *done;
	int64_t now = clock_wall();
	unsigned n = 0;

	for (unsigned i = first; i < first + count; i++)
		n += a->rcpt[i].fate == FATE_DELIVERED;
	if (n == 0)
		return;
	errand_history_fates(a, first, count, FATE_DELIVERED, 0);
	done = arena_alloc(a->loaded.arena, n * sizeof(*done));
	n = 0;
	for (unsigned i = first; i < first + count; i++) {
		struct errand_rcpt *r = &a->rcpt[i];

		if (r->fate != FATE_DELIVERED)
			continue;
		log_recipient(a, r, now, 0);
		r->fate = FATE_NOTED;
		done[n++] = (struct rcpt_state){ .index = a->loaded.rcpt[r->state].index, .status = RCPT_DELIVERED };
	}
	count_fates(a, n, 0, 0);
	entry_note(a->entry, done, n, a->peer);
}

/* The report that goes with the outcome, or NULL; *WARNED is set when the delay warning's turn has come. Failures
 * come first: the warning has time until the next attempt. */
static struct message *
make_report(struct errand *a, unsigned deferred, unsigned failed, int64_t now, bool *warned)
{
	const struct queue_settings *q = &a->site->settings->queue;
	const struct message *m = a->loaded.message;

	*warned = failed == 0 && deferred > 0 && schedule_warn(q, m->received, entry_warned(a->entry), now);
	if (failed == 0 && !*warned && a->success == 0)
		return NULL;
	return bounce_new(a, *warned, now, schedule_end(q, m->received, m->sender[0] == '\0'));
}

void
errand_end(struct errand *a)
{
	const struct queue_settings *q = &a->site->settings->queue;
	const struct message *m = a->loaded.message;
	bool null_sender = m->sender[0] == '\0';
	struct outcome outcome = { .peer = a->peer };
	int64_t now = clock_wall();
	unsigned delivered = count_fate(a, FATE_DELIVERED), deferred = count_fate(a, FATE_DEFERRED), failed;

	if (deferred > 0 && now >= schedule_end(q, m->received, null_sender)) {
		expire(a);
		deferred = 0;
	}
	failed = count_fate(a, FATE_FAILED);
	if (delivered + deferred + failed == 0 && a->count > 0) {
		errand_return(a);
		return;
	}
	count_fates(a, delivered, deferred, failed);
	outcome.report = make_report(a, deferred, failed, now, &outcome.warned);
	outcome.count_attempt = deferred > 0 && !a->hop_down;
	outcome.next_attempt = outcome.count_attempt
	    ? schedule_next(q, entry_attempts(a->entry), m->received, null_sender, now) : now;
	errand_history_fates(a, 0, a->count, FATE_NONE, outcome.next_attempt);
	if (delivered + failed + count_fate(a, FATE_NOTED) == a->count)
		errand_history_done(a);
	outcome.count = collect_changes(a, now, outcome.next_attempt);
	outcome.rcpt = a->loaded.rcpt;
	errand_finish(a, &outcome);
}
