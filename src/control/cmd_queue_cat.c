/* SPDX-License-Identifier: MIT */
/* queue.cat: the message as it would be sent, in pieces. */
#include "control/commands.h"
#include "util/base64.h"
#include "util/str.h"

enum { PIECE = 24576 }; /* a multiple of three: pieces of base64 can be put together */

struct cat {
	struct spool_detail detail;
	bool loaded;
	uint64_t offset;
};

static int
cat_begin(struct job *job)
{
	const char *text = json_string_value(json_object_get(job->args, "id"));
	struct cat *c = job->state;
	struct err err;
	uint64_t id;

	if (text == NULL || id_parse(text, &id) < 0)
		return job_fail(job, "bad-request", "\"%s\" is not a message id", text == NULL ? "" : text);
	if (spool_inspect(job->config->spool, id, true, &c->detail, &err) < 0)
		return job_fail(job, "not-found", "%s: %s", text, err.text);
	c->loaded = true;
	return 0;
}

static bool
cat_step(struct job *job)
{
	struct cat *c = job->state;
	char piece[PIECE];
	struct buf text = { 0 };
	struct err err;
	ssize_t n;

	n = message_read(job->config->spool, c->detail.message, c->offset, piece, sizeof piece, &err);
	if (n < 0) {
		job_fail(job, "failed", "%s", err.text);
		return false;
	}
	if (n == 0)
		return false;
	base64_encode(piece, (size_t)n, &text);
	job_result(job, json_pack("{s:I,s:s}", "offset", (json_int_t)c->offset, "base64", buf_str(&text)));
	buf_fini(&text);
	c->offset += (uint64_t)n;
	return c->offset < c->detail.message->size;
}

static void
cat_end(struct job *job)
{
	struct cat *c = job->state;

	if (c->loaded)
		spool_detail_fini(&c->detail);
}

static const struct admin_arg cat_args[] = {
	{ "id", ARG_TEXT },
	{ 0 },
};

const struct admin_command queue_cat_command = {
	.name = "queue.cat",
	.args = cat_args,
	.state_size = sizeof(struct cat),
	.begin = cat_begin,
	.step = cat_step,
	.end = cat_end,
};
