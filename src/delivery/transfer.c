/* SPDX-License-Identifier: MIT */
/* Transactions over an established connection. Where the next hop takes pipelining, a message costs one write and
 * about one read: its content goes out together with the envelope of the message behind it (RFC 2920 3.1 lets a
 * group begin with the end of the content), and the replies come back together. */
#include "delivery/conn.h"

#include "delivery/content.h"
#include "delivery/limit.h"
#include "delivery/site.h"
#include "mail/dsn.h"
#include "net/loop.h"
#include "mail/utf8.h"
#include "net/task.h"
#include "spool/spool.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/counters.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	AHEAD_SIZE = 128 * 1024, /* an envelope is sent ahead behind messages up to this */
	AHEAD_WAIT_US = 50000,   /* and to hops that answer the final dot within this */
	REASON_TEXT = 512,
	HOP_BINARY = HOP_OFFERS_CHUNKING | HOP_OFFERS_BINARYMIME,
};

static bool
draining(const struct conn *c)
{
	return site_is_ending(c->site);
}

static bool
aborting(const struct conn *c)
{
	return atomic_load_explicit(&c->site->delivery->aborting, memory_order_relaxed);
}

static bool
needs_utf8(const struct errand *a)
{
	const struct message *m = a->loaded.message;

	if (m->flags & MESSAGE_SMTPUTF8 || !utf8_is_ascii(m->sender))
		return true;
	for (unsigned i = 0; i < a->count; i++)
		if (!utf8_is_ascii(errand_recipient(a, i)->address))
			return true;
	return false;
}

/* What is decided without asking the next hop. BINARYMIME goes to where it is offered only (RFC 3030 3). 8-bit content is sent to hops without 8BITMIME as it is, as most
 * relays do: converting it would break signatures, and servers that mind have gone. */
static bool
decided_here(struct conn *c, struct errand *a)
{
	const struct message *m = a->loaded.message;
	char reason[REASON_TEXT];

	if (entry_bounce_wanted(a->entry)) {
		errand_return_to_sender(a);
		return true;
	}
	if (c->size_max > 0 && m->size > c->size_max) {
		snprintf(reason, sizeof(reason), "the message has %llu bytes, %s takes at most %llu",
		    (unsigned long long)m->size, c->peer, (unsigned long long)c->size_max);
		errand_settle_all(a, FATE_FAILED, reason, "5.3.4");
		return true;
	}
	if (!(c->offers & HOP_OFFERS_SMTPUTF8) && needs_utf8(a)) {
		snprintf(reason, sizeof(reason), "the message needs SMTPUTF8, which %s does not offer", c->peer);
		errand_settle_all(a, FATE_FAILED, reason, "5.6.7");
		return true;
	}
	if ((m->flags & MESSAGE_BINARYMIME) && (c->offers & HOP_BINARY) != HOP_BINARY) {
		snprintf(reason, sizeof(reason), "the message is BINARYMIME, which %s does not offer", c->peer);
		errand_settle_all(a, FATE_FAILED, reason, "5.6.3");
		return true;
	}
	return a->count == 0;
}

/* RFC 3461 5.2.2: a hop that knows no DSN will not report what it delivers. LMTP's 250 is the delivery. */
static uint8_t
success_action(const struct conn *c)
{
	if (c->offers & HOP_OFFERS_DSN)
		return 0;
	return c->hop->lmtp ? DSN_DELIVERED : DSN_RELAYED;
}

/* Loads the next entry that has to be sent. */
static struct errand *
next_errand(struct conn *c)
{
	struct errand *a = c->errand[0].entry == NULL ? &c->errand[0] : &c->errand[1];
	struct entry *e;

	check(a->entry == NULL);
	if (conn_is_worn(c)) {
		c->closing = true;
		return NULL;
	}
	while (!draining(c) && (e = site_take(c->site, c)) != NULL) {
		if (errand_begin(a, c->site, e) < 0)
			continue;
		a->peer = c->peer;
		a->source = c->source != NULL ? c->source->conf->text : NULL;
		a->success = success_action(c);
		c->messages++;
		if (c->limit != NULL)
			limit_count(c->limit, clock_us());
		if (!decided_here(c, a))
			return a;
		errand_end(a);
	}
	return NULL;
}

/* No transaction of it is under way and none will follow. */
static void
end_if_done(struct conn *c, struct errand *a)
{
	if (a->open == 0 && c->feed != a)
		errand_end(a);
}

static void
stop_feeding(struct conn *c)
{
	struct errand *a = c->feed;

	c->feed = NULL;
	if (a != NULL)
		end_if_done(c, a);
}

/* The next transaction; its commands are appended to c->out. False when there is none. */
static bool
begin(struct conn *c, struct transaction *t)
{
	struct errand *a;

	if (draining(c))
		stop_feeding(c);
	a = c->feed != NULL ? c->feed : next_errand(c);
	if (a == NULL)
		return false;
	transaction_begin(t, a, (c->offers & HOP_OFFERS_PIPELINING) != 0, c->need_rset);
	transaction_limit(t, limits_recipients(&c->limits, a, t->first, t->count));
	t->lmtp = c->hop->lmtp;
	if (++c->begun == c->limits.mail)
		c->closing = true;
	c->need_rset = false;
	c->feed = a->next < a->count ? a : NULL;
	transaction_commands(t, c->offers, &c->out);
	counter_add(COUNTER_DELIVERY_ATTEMPTS, 1);
	if (c->done > 0)
		counter_add(COUNTER_CONNECTIONS_REUSED, 1);
	return true;
}

static bool
may_send_ahead(const struct conn *c, const struct transaction *cur)
{
	return cur->pipelined && !c->closing && cur->errand->loaded.message->size <= AHEAD_SIZE &&
	    c->hop->dot_us <= AHEAD_WAIT_US;
}

/* The message, its final dot, and perhaps the envelope of the next one in the same write. */
static int
send_message(struct conn *c, struct transaction *cur, struct transaction *next)
{
	int rc;

	if (c->in_pos < c->in_len)
		return err_set(&c->err, "more replies than commands");
	c->out.len = 0;
	if (cur->chunked) {
		rc = content_send_chunk(c, cur->errand->loaded.message);
		transaction_sent(cur);
		return rc;
	}
	buf_adds(&c->out, ".\r\n");
	if (may_send_ahead(c, cur) && begin(c, next))
		task_set_message(entry_id(cur->errand->entry));
	rc = content_send(c, cur->errand->loaded.message, c->out.data, c->out.len);
	c->out.len = 0;
	transaction_sent(cur);
	return rc;
}

/* Undoes what was begun and not decided; its entry goes back to the queue unchanged. */
static void
take_back(struct conn *c, struct transaction *t)
{
	struct errand *a = t->errand;

	if (a == NULL)
		return;
	transaction_undo(t);
	t->errand = NULL;
	a->open--;
	if (c->feed == a)
		c->feed = NULL;
	end_if_done(c, a);
}

/* The reply to the final dot is late: the message whose envelope was sent ahead is not made to wait with it. That
 * envelope cannot be taken back from the next hop, so this connection ends after the reply. */
static int
await_end(struct conn *c, struct transaction *next)
{
	if (c->in_pos < c->in_len || io_wait_readable(&c->io, loop_now(c->loop) + PREFETCH_PATIENCE) == 0)
		return 0;
	if (errno != ETIMEDOUT)
		return err_sys(&c->err, "no reply");
	c->closing = c->stuck = true;
	take_back(c, next);
	site_pump_later(c->site);
	return 0;
}

static uint64_t
time_for(const struct conn *c, const struct transaction *t)
{
	uint64_t command = conn_command_timeout(c);

	if (t->await == AWAIT_END)
		return conn_end_timeout(c);
	return t->await == AWAIT_DATA && command > DATA_REPLY_MAX ? DATA_REPLY_MAX : command;
}

/* 354 though nobody is left to deliver to: the lone dot ends it (RFC 2920 3.1), its reply is of no interest. Over LMTP
 * it ought to have been 503, and whether a reply to the dot will come is anybody's guess. */
static int
send_nothing(struct conn *c)
{
	buf_adds(&c->out, ".\r\n");
	if (conn_flush(c, conn_command_timeout(c)) < 0)
		return -1;
	if (c->hop->lmtp) {
		c->closing = true;
		return 0;
	}
	if (conn_reply(c, conn_end_timeout(c)) < 0)
		return -1;
	if (c->reply.code == 421)
		c->closing = true;
	return 0;
}

static int
next_reply(struct conn *c, struct transaction *cur, struct transaction *next)
{
	uint64_t sent = 0;
	int rc;

	if (cur->await == AWAIT_END) {
		sent = clock_us();
		if (next->errand != NULL && await_end(c, next) < 0)
			return -1;
	}
	rc = conn_reply(c, time_for(c, cur));
	if (rc == 0 && sent != 0 && cur->ended == 0)
		hop_timed(c->hop, clock_us() - sent);
	return rc;
}

/* Leads CUR, whose commands were sent, to its end. -1: the connection broke. */
static int
exchange(struct conn *c, struct transaction *cur, struct transaction *next)
{
	bool ended = false;

	task_set_message(entry_id(cur->errand->entry));
	for (;;) {
		if (next_reply(c, cur, next) < 0)
			return -1;
		switch (transaction_reply(cur, &c->reply)) {
		case STEP_WAIT:
			break;
		case STEP_COMMAND:
			transaction_commands(cur, c->offers, &c->out);
			if (conn_flush(c, conn_command_timeout(c)) < 0)
				return -1;
			break;
		case STEP_CONTENT:
			if (send_message(c, cur, next) < 0)
				return -1;
			ended = true;
			break;
		case STEP_EMPTY:
			if (send_nothing(c) < 0)
				return -1;
			return 0;
		case STEP_OVER:
			c->need_rset = !ended;
			return 0;
		case STEP_CLOSING:
			return err_set(&c->err, "%.490s", c->reply.text);
		case STEP_BROKEN:
			return err_set(&c->err, "unexpected reply: %.400s", c->reply.text);
		}
	}
}

/* The connection broke while CUR was under way: what becomes of it. A connection that has worked before and breaks
 * before the first reply, or instead of it, was closed by the next hop at the wrong moment: nobody's fault. */
static void
judge_break(struct conn *c, struct transaction *cur)
{
	bool hop_fault = cur->hop_fault || !cur->replied;
	bool stale = c->done > 0 && (!cur->replied || (cur->hop_fault && c->reply.code == 421));

	if (aborting(c) || stale) {
		transaction_undo(cur);
		return;
	}
	c->blame = !c->own_fault && (hop_fault || c->done == 0);
	if (hop_fault && site_may_return(c->site, entry_id(cur->errand->entry)))
		transaction_undo(cur);
	else
		transaction_defer(cur, c->err.text);
	if (!c->blame && !c->own_fault)
		hop_shrink(c->hop, site_now(c->site));
}

/* For `tmail status`. */
static void
tally(struct conn *c, const struct transaction *t)
{
	for (unsigned i = t->first; i < t->first + t->count; i++)
		switch ((enum fate)t->errand->rcpt[i].fate) {
		case FATE_DELIVERED:
			c->hop->delivered++;
			break;
		case FATE_DEFERRED:
			c->hop->deferred++;
			break;
		case FATE_FAILED:
			c->hop->refused++;
			break;
		default:
			break;
		}
}

static void
finish(struct conn *c, struct transaction *t)
{
	struct errand *a = t->errand;

	tally(c, t);
	t->errand = NULL;
	a->open--;
	c->done++;
	hop_transacted(c->hop);
	if (a->open > 0 || c->feed == a)
		errand_note(a, t->first, t->count);
	end_if_done(c, a);
}

/* The current one last, so that it is first in line again. */
static void
break_off(struct conn *c, struct transaction *cur, struct transaction *next)
{
	struct errand *a = cur->errand;

	take_back(c, next);
	judge_break(c, cur);
	tally(c, cur);
	cur->errand = NULL;
	a->open--;
	if (c->feed == a)
		c->feed = NULL;
	stop_feeding(c);
	end_if_done(c, a);
}

int
conn_transact(struct conn *c)
{
	struct transaction *cur = &c->tx[0], *next = &c->tx[1], *other;

	while (!c->closing && begin(c, cur)) {
		if (conn_flush(c, conn_command_timeout(c)) < 0) {
			break_off(c, cur, next);
			return -1;
		}
		while (cur->errand != NULL) {
			if (exchange(c, cur, next) < 0) {
				break_off(c, cur, next);
				return -1;
			}
			finish(c, cur);
			other = cur;
			cur = next;
			next = other;
		}
	}
	stop_feeding(c);
	if (c->limits.mail > 0 && c->begun >= c->limits.mail)
		site_pump_later(c->site); /* another connection for what is left */
	if (c->in_pos < c->in_len)
		c->closing = true;
	return c->stuck ? -1 : 0;
}
