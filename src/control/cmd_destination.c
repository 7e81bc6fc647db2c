/* SPDX-License-Identifier: MIT */
/* destination.list, suspend and resume: what receivers are given, and what is stopped. */
#include "control/commands.h"
#include "delivery/delivery.h"
#include "delivery/limit.h"
#include "directory/settings.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/log.h"

#include <string.h>

enum { NAME_MAX_LEN = 255, STATUS_WAIT_MS = 2000 };
enum { SUSPEND = 1, RESUME };

/* ---- list ---- */

static json_t *
words(const char **list, unsigned count)
{
	json_t *array = json_array();
	unsigned i;

	for (i = 0; i < count; i++)
		json_array_append_new(array, json_peer(list[i]));
	return array;
}

static json_t *
destination_to_json(const struct destination_settings *d)
{
	struct buf place = { 0 };
	json_t *o;

	buf_printf(&place, "%s:%d", d->place.file, d->place.line);
	o = json_pack("{s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:s,s:[]}", "destination", json_peer(d->name), "place",
	    json_peer(buf_str(&place)), "mx", words(d->mx, d->mx_count), "domain", words(d->domain, d->domain_count),
	    "connections", (json_int_t)d->connections, "messages_per_connection",
	    (json_int_t)d->messages_per_connection, "rate_count", (json_int_t)d->rate.count, "rate_seconds",
	    (json_int_t)d->rate.seconds, "per", d->per == PER_SOURCE ? "source" : "node", "now");
	check(o != NULL);
	buf_fini(&place);
	return o;
}

struct listing {
	const struct destination_settings *d;
	json_t *now;
};

static void
limit_found(const struct limit_status *s, void *arg)
{
	struct listing *list = arg;

	if (strncmp(s->destination, list->d->name, sizeof s->destination - 1) != 0)
		return;
	json_array_append_new(list->now, json_pack("{s:o,s:o,s:i,s:I,s:I}", "group", json_peer(s->group), "source",
	    s->source[0] != '\0' ? json_peer(s->source) : json_null(), "connections", (int)s->connections, "sent",
	    (json_int_t)s->sent, "waited", (json_int_t)s->waited));
}

static void
suspension_found(const struct suspension *one, void *arg)
{
	json_array_append_new(arg, json_pack("{s:o,s:I,s:o}", "name", json_peer(one->name), "since",
	    (json_int_t)one->since, "reason", json_peer(one->reason)));
}

json_t *
suspensions_to_json(struct delivery *delivery)
{
	json_t *array = json_array();

	if (delivery != NULL)
		delivery_suspensions(delivery, suspension_found, array);
	return array;
}

static bool
list_step(struct job *job)
{
	const struct settings *s = job->settings;
	json_t *array = json_array(), *o;
	struct listing list;
	unsigned i;

	for (i = 0; s != NULL && i < s->destination_count; i++) {
		o = destination_to_json(&s->destination[i]);
		list = (struct listing){ &s->destination[i], json_object_get(o, "now") };
		if (job->config->delivery != NULL)
			delivery_limits(job->config->delivery, limit_found, &list);
		json_array_append_new(array, o);
	}
	job_result(job, json_pack("{s:o,s:o}", "destinations", array, "suspended",
	    suspensions_to_json(job->config->delivery)));
	return false;
}

const struct admin_command destination_list_command = { .name = "destination.list", .step = list_step };

/* ---- suspend, resume ---- */

static void
count_suspended(const struct hop_status *h, void *arg)
{
	*(unsigned *)arg += h->state == HOP_SUSPENDED;
}

static void
log_change(struct job *job, const char *name, const char *reason)
{
	struct log_record r;

	log_begin(&r, LOG_INFO, "admin-request");
	log_str(&r, "command", job->command->name);
	log_str(&r, "name", name);
	log_str(&r, "reason", reason);
	log_u64(&r, "uid", job->peer.uid);
	log_u64(&r, "pid", (uint64_t)job->peer.pid);
	log_end(&r);
}

static bool
change_step(struct job *job)
{
	const char *name = json_string_value(json_object_get(job->args, "name"));
	const char *reason = json_string_value(json_object_get(job->args, "reason"));
	struct delivery *d = job->config->delivery;
	unsigned hops = 0;
	struct err err;
	int rc;

	if (name == NULL || *name == '\0' || strlen(name) > NAME_MAX_LEN) {
		job_fail(job, "bad-request", "name: a destination, a next hop, a domain or a route is missing");
		return false;
	}
	if (d == NULL) {
		job_fail(job, "failed", "there is no delivery");
		return false;
	}
	rc = job->command->variant == SUSPEND ? delivery_suspend(d, name, reason, &err) : delivery_resume(d, name, &err);
	if (rc < 0) {
		job_fail(job, "failed", "%s", err.text);
		return false;
	}
	if (rc > 0)
		log_change(job, name, reason);
	delivery_status(d, STATUS_WAIT_MS, count_suspended, &hops);
	job_result(job, json_pack("{s:b,s:i}", "changed", rc > 0, "hops", (int)hops));
	return false;
}

static const struct admin_arg change_args[] = {
	{ "name", ARG_TEXT },
	{ "reason", ARG_TEXT },
	{ 0 },
};

const struct admin_command destination_suspend_command = {
	.name = "destination.suspend",
	.variant = SUSPEND,
	.args = change_args,
	.step = change_step,
};
const struct admin_command destination_resume_command = {
	.name = "destination.resume",
	.variant = RESUME,
	.args = change_args,
	.step = change_step,
};
