/* SPDX-License-Identifier: MIT */
/* reload: the supervisor reads the configuration again; its answer tells what came of it. */
#include "control/commands.h"
#include "control/desk.h"
#include "util/log.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

enum { SLICE_MS = 20 };

struct wait {
	uint32_t serial;
};

static int
reload_begin(struct job *job)
{
	struct wait *w = job->state;
	struct log_record r;
	struct err err;

	if (job->config->desk == NULL)
		return job_fail(job, "failed", "there is no supervisor to reload");
	log_begin(&r, LOG_INFO, "admin-request");
	log_str(&r, "command", "reload");
	log_u64(&r, "uid", job->peer.uid);
	log_u64(&r, "pid", (uint64_t)job->peer.pid);
	log_end(&r);
	w->serial = desk_ask_reload(job->config->desk, &err);
	return w->serial != 0 ? 0 : job_fail(job, "failed", "%s", err.text);
}

/* "applied" or "refused", then a line a remark or error. */
static void
give_answer(struct job *job, char *text)
{
	char *rest = text, *line = strsep(&rest, "\n");
	json_t *lines = json_array();
	bool applied = strcmp(line, "applied") == 0;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			json_array_append_new(lines, json_peer(line));
	job_result(job, json_pack("{s:b,s:o}", "applied", applied, applied ? "remarks" : "errors", lines));
}

static bool
reload_step(struct job *job)
{
	struct wait *w = job->state;
	char *text = desk_await(job->config->desk, w->serial, SLICE_MS);

	if (text == NULL)
		return true;
	give_answer(job, text);
	free(text);
	return false;
}

static void
reload_end(struct job *job)
{
	struct wait *w = job->state;

	if (w->serial != 0)
		desk_forget(job->config->desk, w->serial);
}

const struct admin_command reload_command = {
	.name = "reload",
	.state_size = sizeof(struct wait),
	.begin = reload_begin,
	.step = reload_step,
	.end = reload_end,
};
