/* SPDX-License-Identifier: MIT */
/* message.show: the events of one message in order, from history, and where it stands now if it is queued. */
#include "control/client.h"
#include "control/commands.h"
#include "control/filter.h"
#include "control/trace.h"
#include "history/history.h"
#include "history/scan.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/str.h"

enum { ENTRIES_MAX = 64, STEP_MS = 20, FLUSH_MS = 2000 };

struct show {
	uint64_t id, key;
	struct history_scan scan;
	bool scanning, in_file;
	unsigned next;  /* file */
	uint64_t found;
	struct job *job;
};

static int
show_begin(struct job *job)
{
	const char *text = json_string_value(json_object_get(job->args, "id")), *path;
	struct show *s = job->state;
	struct err err;

	if (text == NULL || id_parse(text, &s->id) < 0)
		return job_fail(job, "bad-request", "\"%s\" is not a message id", text == NULL ? "" : text);
	s->job = job;
	s->key = history_key_id(s->id);
	history_flush(FLUSH_MS);
	path = history_path();
	if (path == NULL)
		return 0;
	if (history_scan_begin(&s->scan, path, &err) < 0)
		return job_fail(job, "failed", "%s", err.text);
	s->scanning = true;
	return 0;
}

static void
show_end(struct job *job)
{
	struct show *s = job->state;

	if (s->scanning)
		history_scan_end(&s->scan);
}

static bool
wanted(const struct history_block *b, const void *filter, void *arg)
{
	const struct show *s = arg;

	return history_block_may_have(b, filter, s->key);
}

static void
seen(const struct history_view *e, void *arg)
{
	struct show *s = arg;

	if (e->id != s->id)
		return;
	s->found++;
	job_result(s->job, trace_to_json(e));
}

/* What history has lost, or was not kept yet, the queue still knows. */
static bool
show_envelope(struct job *job)
{
	struct show *s = job->state;
	const char *text = json_string_value(json_object_get(job->args, "id"));
	struct spool_detail d;
	const struct message *m;
	json_t *o, *to = json_array();
	struct err err;
	uint32_t i;

	if (spool_glance(job->config->spool, s->id, &d, &err) < 0) {
		json_decref(to);
		return false;
	}
	m = d.message;
	for (i = 0; i < m->rcpt_count; i++)
		json_array_append_new(to, json_peer(m->rcpt[i].address));
	o = json_pack("{s:s,s:I,s:I,s:s,s:o,s:o,s:o,s:I,s:I,s:o}", "id", text, "time", (json_int_t)m->received, "ms",
	    (json_int_t)0, "event", "received", "from", json_peer(m->sender), "client", json_peer(m->client), "helo",
	    json_peer(m->helo), "size", (json_int_t)m->size, "recipients", (json_int_t)m->rcpt_count, "to", to);
	check(o != NULL);
	job_result(job, o);
	spool_detail_fini(&d);
	return true;
}

static void
show_queued(struct job *job)
{
	struct show *s = job->state;
	struct entry_info entry[ENTRIES_MAX];
	unsigned count = spool_lookup(job->config->spool, s->id, entry, ENTRIES_MAX), i;
	int64_t now = clock_wall_ms();
	char text[ID_TEXT];

	if (count > 0 && s->found == 0)
		s->found += show_envelope(job);
	s->found += count;
	id_text(s->id, text);
	for (i = 0; i < count; i++)
		job_result(job, json_pack("{s:s,s:I,s:I,s:s,s:s,s:s,s:I,s:I,s:I}", "id", text, "time", (json_int_t)(now / 1000),
		    "ms", (json_int_t)(now % 1000), "event", "queued", "state", entry_state_name(entry[i].state), "route",
		    entry[i].key, "pending", (json_int_t)entry[i].rcpt_pending, "attempts", (json_int_t)entry[i].attempts,
		    "next_attempt", (json_int_t)entry[i].next_attempt));
}

static bool
show_step(struct job *job)
{
	struct show *s = job->state;

	if (s->scanning && s->in_file) {
		s->in_file = history_scan_step(&s->scan, clock_ms() + STEP_MS, wanted, seen, s);
		return true;
	}
	if (s->scanning && s->next < s->scan.files.count) {
		history_scan_enter(&s->scan, s->next++);
		s->in_file = true;
		return true;
	}
	show_queued(job);
	if (s->found == 0)
		job_fail(job, "not-found", "%s: no such message%s", json_string_value(json_object_get(job->args, "id")),
		    s->scanning ? "" : " is queued, and no history is kept");
	return false;
}

static const struct admin_arg show_args[] = {
	{ "id", ARG_TEXT },
	{ 0 },
};

const struct admin_command message_show_command = {
	.name = "message.show",
	.args = show_args,
	.state_size = sizeof(struct show),
	.begin = show_begin,
	.step = show_step,
	.end = show_end,
};
