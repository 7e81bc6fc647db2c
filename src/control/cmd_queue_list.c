/* SPDX-License-Identifier: MIT */
/* queue.list and queue.count. */
#include "control/commands.h"
#include "control/scan.h"
#include "util/check.h"
#include "util/str.h"

/* A message to thousands is one line: `show` has them all. */
enum { RECIPIENTS_SHOWN = 10 };

json_t *
entry_to_json(const struct entry_info *e)
{
	char id[ID_TEXT];
	json_t *o;

	id_text(e->id, id);
	o = json_pack("{s:s,s:o,s:s,s:I,s:I,s:I,s:i,s:i,s:i,s:b}", "id", id, "hop", json_peer(e->key), "state",
	    entry_state_name(e->state), "received", (json_int_t)e->received, "next_attempt",
	    (json_int_t)e->next_attempt, "size", (json_int_t)e->size, "attempts", (int)e->attempts, "recipients",
	    (int)e->rcpt_count, "pending", (int)e->rcpt_pending, "warned", (int)e->warned);
	check(o != NULL);
	return o;
}

static void
list_entry_found(struct job *job, const struct entry_info *e, const struct spool_detail *d)
{
	json_t *o = entry_to_json(e), *to;
	unsigned i;

	if (d != NULL) {
		json_object_set_new(o, "from", json_peer(d->message->sender));
		to = json_array();
		for (i = 0; i < d->count && json_array_size(to) < RECIPIENTS_SHOWN; i++)
			if (filter_waits(d, i, e->key))
				json_array_append_new(to, json_peer(d->message->rcpt[d->rcpt[i].index].address));
		json_object_set_new(o, "to", to);
		if (d->hold_reason != NULL && e->state == ENTRY_HELD)
			json_object_set_new(o, "reason", json_peer(d->hold_reason));
	}
	job_result(job, o);
}

static int
list_begin(struct job *job)
{
	return scan_begin(job->state, job, !json_is_false(json_object_get(job->args, "envelope")));
}

static bool
list_step(struct job *job)
{
	return scan_step(job->state, job, list_entry_found);
}

static void
list_end(struct job *job)
{
	scan_end(job->state);
}

static const struct admin_arg list_args[] = {
	{ "envelope", ARG_FLAG }, /* false: without sender and recipients, nothing is read from disk for them */
	{ 0 },
};

const struct admin_command queue_list_command = {
	.name = "queue.list",
	.args = list_args,
	.filter = true,
	.state_size = sizeof(struct scan),
	.begin = list_begin,
	.step = list_step,
	.end = list_end,
};

struct count {
	struct scan scan;
	json_int_t bytes, recipients;
	json_int_t state[ENTRY_HELD + 1];
};

static void
count_entry_found(struct job *job, const struct entry_info *e, const struct spool_detail *d)
{
	struct count *c = job->state;

	(void)d;
	c->bytes += (json_int_t)e->size;
	c->recipients += e->rcpt_pending;
	if (e->state <= ENTRY_HELD)
		c->state[e->state]++;
}

static int
count_begin(struct job *job)
{
	return scan_begin(&((struct count *)job->state)->scan, job, false);
}

static bool
count_step(struct job *job)
{
	struct count *c = job->state;

	if (scan_step(&c->scan, job, count_entry_found))
		return true;
	job_result(job, json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "entries", (json_int_t)c->scan.matched, "recipients",
	    c->recipients, "bytes", c->bytes, "due", c->state[ENTRY_DUE], "active", c->state[ENTRY_ACTIVE],
	    "deferred", c->state[ENTRY_DEFERRED], "held", c->state[ENTRY_HELD]));
	return false;
}

static void
count_end(struct job *job)
{
	scan_end(&((struct count *)job->state)->scan);
}

const struct admin_command queue_count_command = {
	.name = "queue.count",
	.filter = true,
	.state_size = sizeof(struct count),
	.begin = count_begin,
	.step = count_step,
	.end = count_end,
};
