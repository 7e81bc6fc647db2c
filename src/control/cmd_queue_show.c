/* SPDX-License-Identifier: MIT */
/* queue.show: all there is about a message but its content. queue.why: what binds each of its entries. */
#include "control/commands.h"
#include "control/filter.h"
#include "delivery/delivery.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/str.h"

#include <string.h>

enum { ENTRIES_MAX = 64, STATUS_WAIT_MS = 2000 };

struct show {
	struct spool_detail detail;
	bool loaded;
	struct entry_info entry[ENTRIES_MAX];
	unsigned count;
};

static int
show_begin(struct job *job)
{
	const char *text = json_string_value(json_object_get(job->args, "id"));
	struct show *s = job->state;
	struct err err;
	uint64_t id;

	if (text == NULL || id_parse(text, &id) < 0)
		return job_fail(job, "bad-request", "\"%s\" is not a message id", text == NULL ? "" : text);
	if (spool_inspect(job->config->spool, id, false, &s->detail, &err) < 0)
		return job_fail(job, "not-found", "%s: %s", text, err.text);
	s->loaded = true;
	s->count = spool_lookup(job->config->spool, id, s->entry, ENTRIES_MAX);
	return 0;
}

static void
show_end(struct job *job)
{
	struct show *s = job->state;

	if (s->loaded)
		spool_detail_fini(&s->detail);
}

static json_t *
recipient_to_json(const struct spool_detail *d, unsigned i)
{
	static const char *const names[] = { [RCPT_PENDING] = "pending", [RCPT_DELIVERED] = "delivered",
		[RCPT_FAILED] = "failed" };
	const struct message *m = d->message;
	const struct recipient *r = &m->rcpt[d->rcpt[i].index];
	json_t *o;

	o = json_pack("{s:o,s:s,s:o,s:o}", "address", json_peer(r->address), "status", names[d->rcpt[i].status], "reply",
	    json_peer(d->rcpt[i].reply), "hop", json_peer(r->group < m->group_count ? m->group[r->group] : NULL));
	check(o != NULL);
	if (r->orcpt != NULL)
		json_object_set_new(o, "orcpt", json_peer(r->orcpt));
	return o;
}

static json_t *
flags_to_json(const struct message *m)
{
	static const struct {
		enum message_flag flag;
		const char *name;
	} names[] = {
		{ MESSAGE_8BITMIME, "8bitmime" },
		{ MESSAGE_OUTBOUND, "outbound" },
		{ MESSAGE_BOUNCE, "report" },
		{ MESSAGE_SMTPUTF8, "smtputf8" },
	};
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < sizeof names / sizeof *names; i++)
		if ((m->flags & names[i].flag) != 0)
			json_array_append_new(array, json_string(names[i].name));
	return array;
}

static json_t *
message_to_json(const struct spool_detail *d)
{
	const struct message *m = d->message;
	char id[ID_TEXT];
	json_t *o, *to = json_array();
	unsigned i;

	id_text(m->id, id);
	for (i = 0; i < d->count; i++)
		json_array_append_new(to, recipient_to_json(d, i));
	o = json_pack("{s:s,s:o,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "id", id, "from", json_peer(m->sender), "received",
	    (json_int_t)m->received, "size", (json_int_t)m->size, "client", json_peer(m->client), "helo",
	    json_peer(m->helo), "envid", json_peer(m->envid), "flags", flags_to_json(m), "reason",
	    json_peer(d->hold_reason), "recipients", to);
	check(o != NULL);
	return o;
}

static bool
show_step(struct job *job)
{
	struct show *s = job->state;
	json_t *o, *entries;
	unsigned i;

	entries = json_array();
	for (i = 0; i < s->count; i++)
		json_array_append_new(entries, entry_to_json(&s->entry[i]));
	o = message_to_json(&s->detail);
	json_object_set_new(o, "entries", entries);
	job_result(job, o);
	return false;
}

/* The next hops of one entry's key, with what there is to know about each. */
struct hops {
	const char *key;
	json_t *array;
	unsigned count, dead, full, suspended;
	int64_t until; /* when the first dead one is tried again */
};

static void
hop_found(const struct hop_status *h, void *arg)
{
	struct hops *hops = arg;

	if (strcmp(h->key, hops->key) != 0)
		return;
	hops->count++;
	if (h->state == HOP_DEAD) {
		hops->dead++;
		if (hops->until == 0 || h->dead_until < hops->until)
			hops->until = h->dead_until;
	} else if (h->state == HOP_SUSPENDED) {
		hops->suspended++;
	} else if (h->limit > 0 && h->connections >= h->limit) {
		hops->full++;
	}
	json_array_append_new(hops->array, json_pack("{s:o,s:s,s:I,s:i,s:i,s:o}", "hop", json_peer(h->hop), "state",
	    hop_state_name(h->state), "dead_until", (json_int_t)h->dead_until, "connections", (int)h->connections,
	    "limit", (int)h->limit, "error", json_peer(h->error[0] == '\0' ? NULL : h->error)));
}

/* What an entry waits for: a word for programs; the text is for people. */
static const char *
why_entry(const struct show *s, const struct entry_info *e, const struct hops *hops, struct buf *text)
{
	char when[32];

	if (e->state == ENTRY_HELD) {
		buf_printf(text, "held: %s", s->detail.hold_reason == NULL ? "no reason was given" :
		    s->detail.hold_reason);
		return "held";
	}
	if (e->state == ENTRY_ACTIVE) {
		buf_adds(text, "an attempt is in progress");
		return "active";
	}
	if (hops->count == 0) {
		buf_adds(text, "the configuration has no such route any more");
		return "no-route";
	}
	if (hops->suspended > 0 && hops->dead + hops->suspended == hops->count) {
		buf_adds(text, "delivery there is suspended: tmail destination list");
		return "suspended";
	}
	if (hops->dead == hops->count) {
		clock_iso8601(hops->until, when, sizeof when);
		buf_printf(text, "every next hop is dead; the first is tried again at %s", when);
		return "hops-dead";
	}
	if (e->state == ENTRY_DEFERRED) {
		clock_iso8601(e->next_attempt, when, sizeof when);
		buf_printf(text, "attempt %u failed; the next one is at %s", e->attempts, when);
		return "retry-wait";
	}
	if (hops->dead + hops->full == hops->count) {
		buf_adds(text, "due; all connections its next hops take are in use");
		return "at-limit";
	}
	buf_adds(text, "due; waiting for its turn");
	return "waiting-turn";
}

static json_t *
replies_to_json(const struct spool_detail *d, const char *key)
{
	json_t *array = json_array();
	unsigned i;

	for (i = 0; i < d->count; i++)
		if (filter_waits(d, i, key))
			json_array_append_new(array, recipient_to_json(d, i));
	return array;
}

static void
why_result(struct job *job, const struct entry_info *e)
{
	struct show *s = job->state;
	struct hops hops = { .key = e->key, .array = json_array() };
	struct buf text = { 0 };
	const char *why;
	json_t *o = entry_to_json(e);

	if (job->config->delivery != NULL)
		delivery_status(job->config->delivery, STATUS_WAIT_MS, hop_found, &hops);
	why = why_entry(s, e, &hops, &text);
	json_object_set_new(o, "why", json_string(why));
	json_object_set_new(o, "text", json_peer(buf_str(&text)));
	json_object_set_new(o, "hops", hops.array);
	json_object_set_new(o, "waiting", replies_to_json(&s->detail, e->key));
	buf_fini(&text);
	job_result(job, o);
}

static bool
why_step(struct job *job)
{
	struct show *s = job->state;
	unsigned i;

	for (i = 0; i < s->count; i++)
		why_result(job, &s->entry[i]);
	return false;
}

static const struct admin_arg show_args[] = {
	{ "id", ARG_TEXT },
	{ 0 },
};

const struct admin_command queue_show_command = {
	.name = "queue.show",
	.args = show_args,
	.state_size = sizeof(struct show),
	.begin = show_begin,
	.step = show_step,
	.end = show_end,
};

const struct admin_command queue_why_command = {
	.name = "queue.why",
	.args = show_args,
	.state_size = sizeof(struct show),
	.begin = show_begin,
	.step = why_step,
	.end = show_end,
};
