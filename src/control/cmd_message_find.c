/* SPDX-License-Identifier: MIT */
/* message.find: the newest messages that match, with what became of them. First history is read backwards, file by
 * file, until enough are found; then forwards from there, for their later events. */
#include "control/client.h"
#include "control/commands.h"
#include "control/trace.h"
#include "history/history.h"
#include "history/scan.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/list.h"
#include "util/map.h"
#include "util/str.h"

#include <stdlib.h>

enum { STEP_MS = 20, FLUSH_MS = 2000, LIMIT = 100, LIMIT_MAX = 10000, TO_SHOWN = 10 };

/* A message, and what its events say together. */
struct found {
	struct map_link link; /* by id */
	struct list list;
	uint64_t id;
	int64_t when;
	json_t *o, *to;
	uint64_t named, recipients, delivered, failed;
	uint8_t last; /* kind of the last event that says where it stands */
	bool received, dropped;
};

enum phase { PHASE_CHOOSE, PHASE_GATHER, PHASE_TELL };

struct find {
	struct trace_filter filter;
	struct history_scan scan;
	bool scanning, in_file;
	enum phase phase;
	unsigned file;     /* the one being read, + 1 while choosing */
	unsigned limit, count;
	struct map ids;
	struct list chosen; /* oldest first */
	struct list here;   /* of this file */
	unsigned here_count;
};

static int
find_begin(struct job *job)
{
	struct find *f = job->state;
	int64_t limit = json_integer_value(json_object_get(job->args, "limit"));
	const char *path;
	struct err err;

	list_init(&f->chosen);
	list_init(&f->here);
	f->limit = limit == 0 ? LIMIT : limit > LIMIT_MAX ? LIMIT_MAX : (unsigned)limit;
	if (trace_filter_read(&f->filter, job->args, &err) < 0)
		return job_fail(job, "bad-request", "%s", err.text);
	history_flush(FLUSH_MS);
	path = history_path();
	if (path == NULL)
		return job_fail(job, "failed", "no history is kept: the configuration says history = 0s");
	if (history_scan_begin(&f->scan, path, &err) < 0)
		return job_fail(job, "failed", "%s", err.text);
	f->scanning = true;
	f->file = f->scan.files.count;
	return 0;
}

static void
found_free(struct find *f, struct found *m)
{
	map_remove(&f->ids, &m->link);
	list_remove(&m->list);
	json_decref(m->o);
	json_decref(m->to);
	free(m);
}

static void
find_end(struct job *job)
{
	struct find *f = job->state;

	list_each_safe(link, &f->chosen)
		found_free(f, list_entry(link, struct found, list));
	list_each_safe(other, &f->here)
		found_free(f, list_entry(other, struct found, list));
	map_fini(&f->ids);
	if (f->scanning)
		history_scan_end(&f->scan);
}

static struct found *
find_id(const struct find *f, uint64_t id)
{
	struct map_link *l;

	for (l = map_first(&f->ids, hash_u64(id)); l != NULL; l = map_next(l))
		if (list_entry(l, struct found, link)->id == id)
			return list_entry(l, struct found, link);
	return NULL;
}

/* ---- choosing ---- */

static bool
choose_wants(const struct history_block *b, const void *filter, void *arg)
{
	const struct find *f = arg;

	return trace_filter_wants(&f->filter, b, filter);
}

static void
choose_seen(const struct history_view *e, void *arg)
{
	struct find *f = arg;
	struct found *m;

	if (!trace_filter_matches(&f->filter, e) || find_id(f, e->id) != NULL)
		return;
	m = xcalloc(1, sizeof *m);
	m->id = e->id;
	m->when = e->when;
	map_add(&f->ids, &m->link, hash_u64(e->id));
	list_append(&f->here, &m->list);
	/* The newest are wanted. */
	if (++f->here_count + f->count > f->limit) {
		found_free(f, list_entry(f->here.next, struct found, list));
		f->here_count--;
	}
}

static void
file_chosen(struct find *f)
{
	list_splice(&f->here, &f->chosen);
	list_splice(&f->chosen, &f->here);
	f->count += f->here_count;
	f->here_count = 0;
}

/* False when choosing has ended. */
static bool
next_to_choose(struct find *f)
{
	if (f->count >= f->limit || f->file == 0 || f->scan.files.file[f->file - 1].last < f->filter.since / 1000)
		return false;
	history_scan_enter(&f->scan, --f->file);
	f->in_file = true;
	return true;
}

/* ---- gathering ---- */

static bool
gather_wants(const struct history_block *b, const void *filter, void *arg)
{
	const struct find *f = arg;

	list_each(link, &f->chosen)
		if (history_block_may_have(b, filter, history_key_id(list_entry(link, struct found, list)->id)))
			return true;
	return false;
}

static uint64_t
count_to(const struct history_view *e)
{
	struct history_value v;
	uint64_t n = 0;
	size_t at = 0;

	while (history_next(e, &at, &v))
		n += v.field == HISTORY_TO;
	return n;
}

static void
set_text(struct found *m, const struct history_view *e, enum history_field field)
{
	struct history_value v;

	if (history_find(e, field, &v))
		json_object_set_new(m->o, history_field_name(field), trace_text(&v));
}

static void
add_envelope(struct found *m, const struct history_view *e)
{
	struct history_value v;
	size_t at = 0;

	if (m->o == NULL) {
		m->when = e->when;
		m->o = json_object();
		m->to = json_array();
		set_text(m, e, HISTORY_FROM);
		set_text(m, e, HISTORY_CLIENT);
		set_text(m, e, HISTORY_LOGIN);
	}
	set_text(m, e, HISTORY_REPLY);
	if (history_find(e, HISTORY_SIZE, &v))
		json_object_set_new(m->o, "size", json_integer((json_int_t)v.number));
	if (history_find(e, HISTORY_RCPTS, &v))
		m->recipients = v.number;
	while (history_next(e, &at, &v))
		if (v.field == HISTORY_TO && m->named++ < TO_SHOWN)
			json_array_append_new(m->to, trace_text(&v));
}

static void
note_outcome(struct found *m, const struct history_view *e)
{
	struct history_value v;

	switch (e->kind) {
	case HISTORY_DELIVERED:
		m->delivered += count_to(e);
		break;
	case HISTORY_FAILED:
		m->failed += count_to(e);
		break;
	case HISTORY_DEFERRED:
		break;
	case HISTORY_ADMIN:
		if (history_find(e, HISTORY_COMMAND, &v) && v.len == 10 && str_nieq(v.text, "queue.drop", 10))
			m->dropped = true;
		return;
	default:
		return;
	}
	m->last = e->kind;
	if (m->o != NULL)
		set_text(m, e, HISTORY_REPLY);
}

static void
gather_seen(const struct history_view *e, void *arg)
{
	struct find *f = arg;
	struct found *m = find_id(f, e->id);

	if (m == NULL)
		return;
	if (e->kind == HISTORY_RECEIVED)
		m->received = true;
	if (e->kind <= HISTORY_ABORTED) {
		add_envelope(m, e);
		m->last = m->received && e->kind == HISTORY_RECIPIENTS ? m->last : e->kind;
	} else
		note_outcome(m, e);
}

/* ---- telling ---- */

static const char *
status_of(const struct found *m)
{
	if (!m->received || m->last == HISTORY_REFUSED || m->last == HISTORY_ABORTED)
		return m->last == HISTORY_ABORTED ? "aborted" : "refused";
	if (m->recipients > 0 && m->delivered + m->failed >= m->recipients)
		return m->failed == 0 ? "delivered" : m->delivered == 0 ? "failed" : "partly-failed";
	if (m->dropped)
		return "dropped";
	return m->last == HISTORY_DEFERRED ? "deferred" : "queued";
}

static void
tell(struct job *job, struct found *m)
{
	char text[ID_TEXT];

	if (m->o == NULL) /* its first event was damaged in the meantime */
		return;
	id_text(m->id, text);
	json_object_set_new(m->o, "id", json_string(text));
	json_object_set_new(m->o, "time", json_integer((json_int_t)(m->when / 1000)));
	json_object_set_new(m->o, "status", json_string(status_of(m)));
	json_object_set_new(m->o, "recipients", json_integer((json_int_t)(m->received ? m->recipients : m->named)));
	json_object_set(m->o, "to", m->to);
	job_result(job, json_incref(m->o));
}

static bool
tell_some(struct job *job)
{
	struct find *f = job->state;
	struct list *link;

	while (job->out->len < CLIENT_OUT_MAX && (link = f->chosen.next) != &f->chosen) {
		tell(job, list_entry(link, struct found, list));
		found_free(f, list_entry(link, struct found, list));
	}
	return !list_empty(&f->chosen);
}

static bool
find_step(struct job *job)
{
	struct find *f = job->state;
	bool choosing = f->phase == PHASE_CHOOSE;

	if (f->in_file) {
		f->in_file = history_scan_step(&f->scan, clock_ms() + STEP_MS, choosing ? choose_wants : gather_wants,
		    choosing ? choose_seen : gather_seen, f);
		if (choosing && !f->in_file)
			file_chosen(f);
		return true;
	}
	switch (f->phase) {
	case PHASE_CHOOSE:
		if (next_to_choose(f))
			return true;
		f->phase = list_empty(&f->chosen) ? PHASE_TELL : PHASE_GATHER;
		return true;
	case PHASE_GATHER:
		if (f->file == f->scan.files.count) {
			f->phase = PHASE_TELL;
			return true;
		}
		history_scan_enter(&f->scan, f->file++);
		f->in_file = true;
		return true;
	default:
		return tell_some(job);
	}
}

static const struct admin_arg find_args[] = {
	{ "from", ARG_TEXT },
	{ "to", ARG_TEXT },
	{ "client", ARG_TEXT },
	{ "since", ARG_NUMBER },
	{ "limit", ARG_NUMBER },
	{ 0 },
};

const struct admin_command message_find_command = {
	.name = "message.find",
	.args = find_args,
	.state_size = sizeof(struct find),
	.begin = find_begin,
	.step = find_step,
	.end = find_end,
};
