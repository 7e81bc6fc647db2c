/* SPDX-License-Identifier: MIT */
/* queue.retry, hold, release, bounce, drop and redirect: on ids, or on every entry a filter chooses. */
#include "control/commands.h"
#include "control/scan.h"
#include "delivery/delivery.h"
#include "directory/settings.h"
#include "util/arena.h"
#include "history/history.h"
#include "util/log.h"
#include "util/str.h"

#include <stdlib.h>

struct act {
	struct scan scan;       /* its filter has the ids too; walks only when the filter has more than those */
	const char *reason;     /* or NULL */
	const char *target;     /* redirect: a key */
	bool by_id;
	bool dry_run;           /* only count */
	unsigned at;            /* by_id: the next one */
	uint64_t before;        /* ids from here on came after the request: reports it causes are not its business */
	uint64_t matched, changed, failed;
};

static void
log_change(struct job *job, uint64_t id, const char *key)
{
	struct act *a = job->state;
	struct history_event e;
	struct log_record r;

	log_begin(&r, LOG_INFO, "admin");
	log_id(&r, "msg", id);
	log_str(&r, "command", job->command->name);
	log_str(&r, "hop", key);
	log_str(&r, "reason", a->reason);
	log_u64(&r, "uid", job->peer.uid);
	log_u64(&r, "pid", (uint64_t)job->peer.pid);
	log_end(&r);
	history_begin(&e, HISTORY_ADMIN, id);
	history_str(&e, HISTORY_COMMAND, job->command->name);
	history_str(&e, HISTORY_ROUTE, key);
	history_str(&e, HISTORY_REASON, a->reason);
	history_u64(&e, HISTORY_UID, job->peer.uid);
	history_end(&e);
}

/* One line about the whole request, however many messages it meant. */
static void
log_summary(struct job *job)
{
	struct act *a = job->state;
	char *args = json_dumps(job->args, JSON_COMPACT | JSON_ENSURE_ASCII);
	struct log_record r;

	log_begin(&r, LOG_INFO, "admin-request");
	log_str(&r, "command", job->command->name);
	log_str(&r, "args", args);
	log_u64(&r, "matched", a->matched);
	log_u64(&r, "changed", a->changed);
	log_u64(&r, "uid", job->peer.uid);
	log_u64(&r, "pid", (uint64_t)job->peer.pid);
	log_end(&r);
	free(args);
}

/* KEY NULL: all entries of the message. */
static void
act_on(struct job *job, uint64_t id, const char *key)
{
	struct act *a = job->state;
	struct err err = { 0 };
	char text[ID_TEXT];
	int n;

	n = spool_act(job->config->spool, id, key, (enum spool_action)job->command->variant,
	    a->target != NULL ? a->target : a->reason, &err);
	if (n > 0) {
		a->changed += (uint64_t)n;
		log_change(job, id, key);
	} else if (n < 0) {
		a->failed++;
		id_text(id, text);
		job_result(job, json_pack("{s:s,s:o}", "id", text, "error", json_peer(err.text)));
	}
	if (key == NULL && n >= 0)
		a->matched += n > 0 ? (uint64_t)n : 1;
}

/* What would change nothing is not asked of the entry's loop: 20,000 entries that are due already are not worth as
 * many turns of it. */
static bool
may_change(const struct job *job, const struct entry_info *e)
{
	switch ((enum spool_action)job->command->variant) {
	case SPOOL_RETRY:
		return e->state == ENTRY_DEFERRED;
	case SPOOL_RELEASE:
		return e->state == ENTRY_HELD || e->state == ENTRY_ACTIVE; /* it may be about to be held */
	case SPOOL_HOLD:
		return e->state != ENTRY_HELD;
	default:
		return true;
	}
}

static void
act_entry_found(struct job *job, const struct entry_info *e, const struct spool_detail *d)
{
	struct act *a = job->state;

	(void)d;
	if (e->id >= a->before)
		return;
	a->matched++;
	if (!a->dry_run && may_change(job, e))
		act_on(job, e->id, e->key);
}

/* A key no configuration has: delivery looks for the routes of its entries. */
static const char by_configuration[] = "as-configured";

/* ROUTE as `tmail queue list` shows it, or the name alone. */
static int
find_target(struct job *job)
{
	static const char *const blocks[] = { "", "route:", "domain:" };
	const char *name = json_string_value(json_object_get(job->args, "route"));
	const struct route_settings *route = NULL;
	struct act *a = job->state;
	unsigned i;

	if (json_is_true(json_object_get(job->args, "as_configured")) == (name != NULL))
		return job_fail(job, "bad-request", "say where to: a route, or as_configured");
	if (name == NULL) {
		a->target = by_configuration;
		return 0;
	}
	for (i = 0; route == NULL && i < sizeof blocks / sizeof *blocks; i++) {
		a->target = arena_printf(job->arena, "%s%s", blocks[i], name);
		route = settings_route_by_key(job->settings, a->target);
	}
	if (route == NULL)
		return job_fail(job, "bad-request", "route: there is no route \"%s\" with next hops", name);
	return 0;
}

static int
act_begin(struct job *job)
{
	struct act *a = job->state;

	a->reason = json_string_value(json_object_get(job->args, "reason"));
	a->dry_run = json_is_true(json_object_get(job->args, "dry_run"));
	if (scan_begin(&a->scan, job, false) < 0)
		return -1;
	if (job->command->variant == SPOOL_REDIRECT && find_target(job) < 0)
		return -1;
	if (filter_is_empty(&a->scan.filter))
		return job_fail(job, "bad-request", "say which: ids, a filter, or all");
	a->before = spool_next_id(job->config->spool);
	a->by_id = filter_is_ids(&a->scan.filter) && !a->dry_run;
	return 0;
}

static bool
act_by_id(struct job *job)
{
	struct act *a = job->state;

	act_on(job, a->scan.filter.ids[a->at++], NULL);
	return a->at < a->scan.filter.id_count;
}

/* Entries made due would else wait until a dead next hop's time comes. */
static bool
wants_attempts(const struct job *job)
{
	const struct act *a = job->state;

	return a->matched > 0 && !a->dry_run && job->command->variant != SPOOL_HOLD && job->command->variant != SPOOL_DROP;
}

static bool
act_step(struct job *job)
{
	struct act *a = job->state;

	if (a->by_id ? act_by_id(job) : scan_step(&a->scan, job, act_entry_found))
		return true;
	job_result(job, json_pack("{s:I,s:I,s:I}", "matched", (json_int_t)a->matched, "changed", (json_int_t)a->changed,
	    "failed", (json_int_t)a->failed));
	return false;
}

/* Also when the client went away in the middle: what was done until then is said. */
static void
act_end(struct job *job)
{
	struct act *a = job->state;

	scan_end(&a->scan);
	if (wants_attempts(job) && job->config->delivery != NULL)
		delivery_wake(job->config->delivery);
	if (!job->failed && !a->dry_run)
		log_summary(job);
}

static const struct admin_arg act_args[] = {
	{ "reason", ARG_TEXT },
	{ "dry_run", ARG_FLAG },
	{ 0 },
};

static const struct admin_arg redirect_args[] = {
	{ "reason", ARG_TEXT },
	{ "dry_run", ARG_FLAG },
	{ "route", ARG_TEXT },
	{ "as_configured", ARG_FLAG },
	{ 0 },
};

#define ACT_ROW .args = act_args, ACT_FUNCTIONS
#define ACT_FUNCTIONS .filter = true, .state_size = sizeof(struct act), .begin = act_begin, \
	.step = act_step, .end = act_end

const struct admin_command queue_retry_command = { .name = "queue.retry", .variant = SPOOL_RETRY, ACT_ROW };
const struct admin_command queue_hold_command = { .name = "queue.hold", .variant = SPOOL_HOLD, ACT_ROW };
const struct admin_command queue_release_command = { .name = "queue.release", .variant = SPOOL_RELEASE, ACT_ROW };
const struct admin_command queue_bounce_command = { .name = "queue.bounce", .variant = SPOOL_BOUNCE, ACT_ROW };
const struct admin_command queue_drop_command = { .name = "queue.drop", .variant = SPOOL_DROP, ACT_ROW };
const struct admin_command queue_redirect_command = { .name = "queue.redirect", .variant = SPOOL_REDIRECT,
	.args = redirect_args, ACT_FUNCTIONS };
