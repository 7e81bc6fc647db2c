/* SPDX-License-Identifier: MIT */
#include "control/job.h"

#include "control/filter.h"
#include "directory/settings.h"
#include "util/arena.h"
#include "util/check.h"
#include "util/counters.h"
#include "util/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
job_refuse(struct buf *out, const char *code, const char *text)
{
	json_t *line = json_pack("{s:{s:s,s:o}}", "error", "code", code, "text", json_peer(text));

	check(line != NULL);
	json_to_line(line, out);
	json_decref(line);
}

int
job_fail(struct job *job, const char *code, const char *fmt, ...)
{
	char text[500];
	va_list ap;

	if (job->failed)
		return -1;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	job_refuse(job->out, code, text);
	job->failed = true;
	return -1;
}

void
job_result(struct job *job, json_t *value)
{
	json_t *line;

	check(value != NULL);
	line = json_pack("{s:o}", "result", value);
	check(line != NULL);
	json_to_line(line, job->out);
	json_decref(line);
}

static const struct admin_arg *
find_arg(const struct admin_arg *table, const char *name)
{
	for (; table != NULL && table->name != NULL; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

static bool
all_texts(const json_t *array)
{
	size_t i;

	for (i = 0; i < json_array_size(array); i++)
		if (!json_is_string(json_array_get(array, i)))
			return false;
	return json_is_array(array);
}

static bool
arg_fits(const struct admin_arg *arg, const json_t *value)
{
	switch (arg->type) {
	case ARG_TEXT:
		return json_is_string(value);
	case ARG_NUMBER:
		return json_is_integer(value) && json_integer_value(value) >= 0;
	case ARG_FLAG:
		return json_is_boolean(value);
	case ARG_IDS:
		return all_texts(value);
	}
	return false;
}

static int
check_args(struct job *job)
{
	const struct admin_arg *arg;
	const char *name;
	json_t *value;

	json_object_foreach(job->args, name, value) {
		arg = find_arg(job->command->args, name);
		if (arg == NULL && job->command->filter)
			arg = find_arg(filter_args, name);
		if (arg == NULL)
			return job_fail(job, "bad-request", "%s does not take %s", job->command->name, name);
		if (!arg_fits(arg, value))
			return job_fail(job, "bad-request", "%s: wrong type", name);
	}
	return 0;
}

/* Takes REQUEST apart: {"command": NAME, "args": {...}}, args may be left out. */
static int
read_request(struct job *job, json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "command"));
	json_t *args = json_object_get(request, "args");

	if (name == NULL)
		return job_fail(job, "bad-request", "no command");
	if (json_object_size(request) != (args == NULL ? 1 : 2) || (args != NULL && !json_is_object(args)))
		return job_fail(job, "bad-request", "a request has a command and an object args");
	job->command = admin_command_find(name);
	if (job->command == NULL)
		return job_fail(job, "unknown-command", "unknown command: %s", name);
	job->args = args == NULL ? json_object() : json_incref(args);
	return check_args(job);
}

struct job *
job_new(const struct control_config *config, const struct ucred *peer, const char *line, size_t n, struct buf *out)
{
	struct job *job = xcalloc(1, sizeof *job);
	struct err err;
	json_t *request;

	job->config = config;
	job->settings = config->settings != NULL ? settings_ref(config->settings) : NULL;
	job->peer = *peer;
	job->out = out;
	job->arena = arena_new(0);
	counter_add(COUNTER_ADMIN_COMMANDS, 1);
	request = json_from_line(line, n, &err);
	if (request == NULL)
		job_fail(job, "bad-request", "%s", err.text);
	else
		read_request(job, request);
	json_decref(request);
	if (!job->failed) {
		job->state = arena_zalloc(job->arena, job->command->state_size + 1);
		if (job->command->begin != NULL)
			job->command->begin(job);
	}
	if (job->failed)
		job_free(&job);
	return job;
}

bool
job_step(struct job *job)
{
	if (job->command->step(job) && !job->failed)
		return true;
	if (!job->failed)
		buf_adds(job->out, "{\"ok\":true}\n");
	return false;
}

void
job_free(struct job **job)
{
	struct job *j = *job;

	if (j == NULL)
		return;
	if (j->state != NULL && j->command->end != NULL)
		j->command->end(j);
	json_decref(j->args);
	if (j->settings != NULL)
		settings_unref(&j->settings);
	arena_free(&j->arena);
	free(j);
	*job = NULL;
}
