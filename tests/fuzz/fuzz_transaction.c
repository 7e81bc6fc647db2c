/* SPDX-License-Identifier: MIT */
/* A next hop that says anything: the client's reading of it. The first byte chooses pipelining, LMTP and the number of
 * recipients, the rest is what the next hop sends. Whatever it is, a recipient counts as delivered only when its RCPT
 * and the final dot were both answered 2xx, and refused only by a 5xx. */
#include "delivery/errand.h"
#include "delivery/transaction.h"
#include "mail/reply.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/check.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RCPT_MAX = 16 };

struct world {
	struct message message;
	struct recipient rcpt[RCPT_MAX];
	struct rcpt_state state[RCPT_MAX];
	struct errand_rcpt errand_rcpt[RCPT_MAX];
	struct errand errand;
	struct transaction t;
	struct buf out;
	int rcpt_code[RCPT_MAX]; /* what each RCPT was answered */
	int mail_code, data_code;
	int end_code[RCPT_MAX]; /* what it was told of the end of the message; LMTP: each by itself */
};

/* The first accepted recipient without a reply, or all of them. */
static void
note_end(struct world *w, int code)
{
	for (unsigned i = 0; i < w->errand.count; i++) {
		if (w->rcpt_code[i] / 100 != 2 || w->end_code[i] != 0)
			continue;
		w->end_code[i] = code;
		if (w->t.lmtp)
			break;
	}
}

static void
note(struct world *w, const struct reply *r)
{
	switch (w->t.await) {
	case AWAIT_MAIL:
		w->mail_code = r->code;
		break;
	case AWAIT_RCPT:
		w->rcpt_code[w->t.answered] = r->code;
		break;
	case AWAIT_DATA:
		w->data_code = r->code;
		break;
	case AWAIT_END:
		note_end(w, r->code);
		break;
	default:
		break;
	}
}

static void
judge(const struct world *w)
{
	for (unsigned i = 0; i < w->errand.count; i++) {
		const struct errand_rcpt *r = &w->errand.rcpt[i];

		check(r->fate != FATE_SENT && r->fate != FATE_ACCEPTED);
		if (r->fate == FATE_DELIVERED)
			check(w->mail_code / 100 == 2 && w->rcpt_code[i] / 100 == 2 && w->data_code == 354 &&
			    w->end_code[i] / 100 == 2);
		if (r->fate == FATE_FAILED)
			check(w->mail_code / 100 == 5 || w->rcpt_code[i] / 100 == 5 || w->data_code / 100 == 5 ||
			    w->end_code[i] / 100 == 5);
	}
}

/* One transaction over the bytes that are left. False when the connection would be closed. */
static bool
run(struct world *w, bool pipelined, bool lmtp, unsigned count, const char **p, const char *end)
{
	enum transaction_step step = STEP_WAIT;
	struct reply reply;
	size_t used;

	memset(w->errand_rcpt, 0, sizeof(w->errand_rcpt));
	memset(w->rcpt_code, 0, sizeof(w->rcpt_code));
	memset(w->end_code, 0, sizeof(w->end_code));
	w->mail_code = w->data_code = 0;
	w->errand.next = w->errand.open = 0;
	w->errand.count = count;
	for (unsigned i = 0; i < count; i++)
		w->errand_rcpt[i].state = i;
	transaction_begin(&w->t, &w->errand, pipelined, false);
	w->t.lmtp = lmtp;
	transaction_commands(&w->t, 0, &w->out);
	while (*p < end) {
		reply_init(&reply);
		if (reply_feed(&reply, *p, (size_t)(end - *p), &used) != REPLY_DONE)
			break;
		*p += used;
		note(w, &reply);
		step = transaction_reply(&w->t, &reply);
		if (step == STEP_CONTENT)
			transaction_sent(&w->t);
		else if (step == STEP_COMMAND)
			transaction_commands(&w->t, 0, &w->out);
		else if (step != STEP_WAIT)
			break;
	}
	if (step == STEP_CLOSING && w->t.hop_fault)
		transaction_undo(&w->t);
	else if (step != STEP_OVER && step != STEP_EMPTY)
		transaction_defer(&w->t, "broken");
	judge(w);
	return step == STEP_OVER;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .message = { .sender = "s@example.com" } };
	const char *p, *end;

	if (size < 1)
		return 0;
	p = (const char *)data + 1;
	end = (const char *)data + size;
	w.message.rcpt = w.rcpt;
	w.errand.rcpt = w.errand_rcpt;
	w.errand.loaded = (struct loaded){ .message = &w.message, .rcpt = w.state, .arena = arena_new(0) };
	for (unsigned i = 0; i < RCPT_MAX; i++) {
		w.rcpt[i].address = "r@example.net";
		w.state[i].index = i;
	}
	while (p < end && run(&w, data[0] & 1, data[0] & 0x80, 1 + (data[0] >> 1) % RCPT_MAX, &p, end))
		;
	arena_free(&w.errand.loaded.arena);
	buf_fini(&w.out);
	return 0;
}
