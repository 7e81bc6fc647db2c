/* SPDX-License-Identifier: MIT */
/* lockout.list and lockout.clear: who failed to log in. */
#include "control/commands.h"
#include "smtp/lockout.h"
#include "smtp/server.h"
#include "util/clock.h"
#include "util/log.h"

#include <stdlib.h>

enum { SLICE = 256 };

struct listing {
	struct lockout_row *rows;
	size_t count, at;
};

static int
list_begin(struct job *job)
{
	struct listing *l = job->state;

	if (job->config->smtp != NULL)
		l->count = lockout_list(smtp_server_lockout(job->config->smtp), &l->rows, clock_ms());
	return 0;
}

static bool
list_step(struct job *job)
{
	struct listing *l = job->state;
	const struct lockout_row *row;
	unsigned n;

	for (n = 0; n < SLICE && l->at < l->count; n++) {
		row = &l->rows[l->at++];
		job_result(job, json_pack("{s:s,s:o,s:I,s:I}", "kind", row->kind == LOCKOUT_ADDRESS ? "address" : "login", "key",
		    json_peer(row->key), "failures", (json_int_t)row->failures, "seconds", (json_int_t)row->seconds));
	}
	return l->at < l->count;
}

static void
list_end(struct job *job)
{
	free(((struct listing *)job->state)->rows);
}

static bool
clear_step(struct job *job)
{
	const char *key = json_string_value(json_object_get(job->args, "key"));
	unsigned n = 0;

	if (key == NULL && !json_is_true(json_object_get(job->args, "all"))) {
		job_fail(job, "bad-request", "neither a key nor all is given");
		return false;
	}
	if (job->config->smtp != NULL)
		n = lockout_clear(smtp_server_lockout(job->config->smtp), key, clock_ms());
	log_event(LOG_INFO, "lockout-cleared", "%u forgotten by uid %u", n, (unsigned)job->peer.uid);
	job_result(job, json_pack("{s:I}", "cleared", (json_int_t)n));
	return false;
}

static const struct admin_arg clear_args[] = {
	{ "key", ARG_TEXT },
	{ "all", ARG_FLAG },
	{ 0 },
};

const struct admin_command lockout_list_command = {
	.name = "lockout.list",
	.state_size = sizeof(struct listing),
	.begin = list_begin,
	.step = list_step,
	.end = list_end,
};

const struct admin_command lockout_clear_command = {
	.name = "lockout.clear",
	.args = clear_args,
	.step = clear_step,
};
