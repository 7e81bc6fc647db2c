/* SPDX-License-Identifier: MIT */
#include "delivery/transaction.h"

#include "delivery/errand.h"
#include "mail/reply.h"
#include "util/buf.h"
#include "util/check.h"

#include <string.h>

void
transaction_begin(struct transaction *t, struct errand *errand, bool pipelined, bool rset)
{
	unsigned left = errand->count - errand->next;

	check(left > 0);
	*t = (struct transaction){ .errand = errand, .first = errand->next, .pipelined = pipelined, .rset = rset };
	t->count = left < TRANSACTION_RCPT_MAX ? left : TRANSACTION_RCPT_MAX;
	errand->next += t->count;
	errand->open++;
	t->await = rset ? AWAIT_RSET : AWAIT_MAIL;
	t->chunked = (errand->loaded.message->flags & MESSAGE_BINARYMIME) != 0;
}

void
transaction_limit(struct transaction *t, unsigned count)
{
	if (count >= t->count)
		return;
	t->errand->next -= t->count - count;
	t->count = count;
}

static void
add_mail(const struct transaction *t, unsigned offers, struct buf *out)
{
	const struct message *m = t->errand->loaded.message;

	buf_adds(out, "MAIL FROM:<");
	buf_adds(out, m->sender);
	buf_addc(out, '>');
	if (offers & HOP_OFFERS_SIZE)
		buf_printf(out, " SIZE=%llu", (unsigned long long)m->size);
	if (t->chunked)
		buf_adds(out, " BODY=BINARYMIME");
	else if ((offers & HOP_OFFERS_8BITMIME) && (m->flags & MESSAGE_8BITMIME))
		buf_adds(out, " BODY=8BITMIME");
	if ((offers & HOP_OFFERS_SMTPUTF8) && (m->flags & MESSAGE_SMTPUTF8))
		buf_adds(out, " SMTPUTF8");
	if ((offers & HOP_OFFERS_DSN) && m->ret)
		buf_adds(out, m->ret == 'F' ? " RET=FULL" : " RET=HDRS");
	if ((offers & HOP_OFFERS_DSN) && m->envid != NULL) {
		buf_adds(out, " ENVID=");
		buf_adds(out, m->envid);
	}
	buf_adds(out, "\r\n");
}

static void
add_notify(uint8_t notify, struct buf *out)
{
	static const struct {
		uint8_t bit;
		const char *word;
	} words[] = { { NOTIFY_SUCCESS, "SUCCESS" }, { NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" } };
	const char *before = " NOTIFY=";

	if (notify & NOTIFY_NEVER) {
		buf_adds(out, " NOTIFY=NEVER");
		return;
	}
	for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!(notify & words[i].bit))
			continue;
		buf_adds(out, before);
		buf_adds(out, words[i].word);
		before = ",";
	}
}

static void
add_rcpt(const struct recipient *rcpt, unsigned offers, struct buf *out)
{
	buf_adds(out, "RCPT TO:<");
	buf_adds(out, rcpt->address);
	buf_addc(out, '>');
	if (offers & HOP_OFFERS_DSN) {
		add_notify(rcpt->notify, out);
		if (rcpt->orcpt != NULL) {
			buf_adds(out, " ORCPT=");
			buf_adds(out, rcpt->orcpt);
		}
	}
	buf_adds(out, "\r\n");
}

static void
send_rcpt(struct transaction *t, unsigned i, unsigned offers, struct buf *out)
{
	t->errand->rcpt[t->first + i].fate = FATE_SENT;
	add_rcpt(errand_recipient(t->errand, t->first + i), offers, out);
}

void
transaction_commands(struct transaction *t, unsigned offers, struct buf *out)
{
	switch (t->await) {
	case AWAIT_RSET:
		buf_adds(out, "RSET\r\n");
		if (!t->pipelined)
			return;
		/* fallthrough */
	case AWAIT_MAIL:
		add_mail(t, offers, out);
		if (!t->pipelined)
			return;
		for (unsigned i = 0; i < t->count; i++)
			send_rcpt(t, i, offers, out);
		if (!t->chunked)
			buf_adds(out, "DATA\r\n");
		return;
	case AWAIT_RCPT:
		send_rcpt(t, t->answered, offers, out);
		return;
	case AWAIT_DATA:
		buf_adds(out, "DATA\r\n");
		return;
	default:
		check(!"a command is due");
	}
}

void
transaction_sent(struct transaction *t)
{
	check(t->await == AWAIT_DATA);
	t->await = AWAIT_END;
}

/* The reply in the words records keep, "no text" aside. */
static const char *
words(const struct reply *reply)
{
	return reply->len > 0 ? reply->text : NULL;
}

static enum fate
fate_of(int class)
{
	return class == 2 ? FATE_DELIVERED : class == 5 ? FATE_FAILED : FATE_DEFERRED;
}

/* MAIL or RCPT was refused for the whole transaction: the fate of everybody not yet decided. */
static void
settle_rest(struct transaction *t, enum fate fate, const char *reply)
{
	errand_settle(t->errand, t->first, t->count, FATE_NONE, fate, reply, NULL);
	errand_settle(t->errand, t->first, t->count, FATE_SENT, fate, reply, NULL);
	errand_settle(t->errand, t->first, t->count, FATE_ACCEPTED, fate, reply, NULL);
}

void
transaction_defer(struct transaction *t, const char *reason)
{
	settle_rest(t, FATE_DEFERRED, reason);
}

void
transaction_undo(struct transaction *t)
{
	settle_rest(t, FATE_NONE, NULL);
}

/* Answers to MAIL that speak of the server's state: "system full", "not accepting messages" (RFC 3463 x.3.1 and
 * x.3.2), or that it is leaving. Another hop may be better off, and every other message would hear the same. */
static bool
is_hop_fault(const struct reply *reply)
{
	return reply->code == 421 || strcmp(reply->enhanced, "4.3.1") == 0 || strcmp(reply->enhanced, "4.3.2") == 0;
}

static enum transaction_step
on_rset(struct transaction *t, int class)
{
	if (class != 2)
		return STEP_BROKEN;
	t->await = AWAIT_MAIL;
	return t->pipelined ? STEP_WAIT : STEP_COMMAND;
}

static enum transaction_step
on_mail(struct transaction *t, const struct reply *reply, int class)
{
	t->replied = true;
	t->mail_ok = class == 2;
	t->await = AWAIT_RCPT;
	if (class == 2)
		return t->pipelined ? STEP_WAIT : STEP_COMMAND;
	if (is_hop_fault(reply)) {
		t->hop_fault = true;
		transaction_undo(t);
		return STEP_CLOSING;
	}
	settle_rest(t, fate_of(class), words(reply));
	if (t->pipelined)
		return STEP_WAIT;
	t->await = AWAIT_NOTHING;
	return STEP_OVER;
}

/* 552 for "too many recipients" means 452 (RFC 5321 4.5.3.1.10); but a full mailbox says 552 too. Only behind
 * recipients that were accepted can it be the number of them. */
static bool
is_too_many(const struct transaction *t, const struct reply *reply)
{
	if (t->accepted == 0 || (reply->code != 452 && reply->code != 552))
		return false;
	return strcmp(reply->enhanced, "4.5.3") == 0 || strcmp(reply->enhanced, "5.5.3") == 0 ||
	    reply->enhanced[0] == '\0';
}

static void
judge_rcpt(struct transaction *t, unsigned i, const struct reply *reply, int class)
{
	if (class == 2) {
		t->errand->rcpt[i].fate = FATE_ACCEPTED;
		t->accepted++;
	} else if (is_too_many(t, reply))
		t->errand->rcpt[i].fate = FATE_AGAIN;
	else
		errand_settle(t->errand, i, 1, FATE_SENT, fate_of(class), words(reply), NULL);
}

/* The last recipient was answered, and no DATA asks whether the message is wanted. */
static enum transaction_step
on_last_rcpt_chunked(struct transaction *t)
{
	if (!t->mail_ok && t->accepted > 0)
		return STEP_BROKEN;
	if (t->accepted > 0)
		return STEP_CONTENT;
	t->await = AWAIT_NOTHING;
	return STEP_OVER;
}

static enum transaction_step
on_rcpt(struct transaction *t, const struct reply *reply, int class)
{
	if (t->mail_ok)
		judge_rcpt(t, t->first + t->answered, reply, class);
	else if (class == 2)
		t->accepted++; /* after MAIL was refused: nonsense; a 354 now must not be followed */
	if (++t->answered == t->count)
		t->await = AWAIT_DATA;
	if (t->chunked && t->answered == t->count)
		return on_last_rcpt_chunked(t);
	if (t->pipelined)
		return STEP_WAIT;
	if (t->answered < t->count || t->accepted > 0)
		return STEP_COMMAND;
	t->await = AWAIT_NOTHING;
	return STEP_OVER;
}

static enum transaction_step
on_data(struct transaction *t, const struct reply *reply, int class)
{
	if (reply->code == 354) {
		if (!t->mail_ok && t->accepted > 0)
			return STEP_BROKEN;
		return t->accepted > 0 ? STEP_CONTENT : STEP_EMPTY;
	}
	if (class < 4)
		return STEP_BROKEN;
	/* Refused after some recipients were taken: it speaks for them all. */
	settle_rest(t, fate_of(class), words(reply));
	t->await = AWAIT_NOTHING;
	return STEP_OVER;
}

/* The replies come in the order of the accepted recipients: this one's fate, and whether another is to come. */
static enum transaction_step
on_end_lmtp(struct transaction *t, const struct reply *reply, int class)
{
	const struct errand_rcpt *rcpt = &t->errand->rcpt[t->first];

	while (rcpt[t->ended].fate != FATE_ACCEPTED)
		t->ended++;
	errand_settle(t->errand, t->first + t->ended, 1, FATE_ACCEPTED, fate_of(class), words(reply), NULL);
	while (t->ended < t->count && rcpt[t->ended].fate != FATE_ACCEPTED)
		t->ended++;
	if (t->ended < t->count)
		return STEP_WAIT;
	t->await = AWAIT_NOTHING;
	return STEP_OVER;
}

static enum transaction_step
on_end(struct transaction *t, const struct reply *reply, int class)
{
	if (t->lmtp)
		return on_end_lmtp(t, reply, class);
	errand_settle(t->errand, t->first, t->count, FATE_ACCEPTED, fate_of(class), words(reply), NULL);
	t->await = AWAIT_NOTHING;
	return STEP_OVER;
}

enum transaction_step
transaction_reply(struct transaction *t, const struct reply *reply)
{
	int class = reply_class(reply);

	/* 354 answers DATA alone, and nothing else is answered 1xx or 3xx. 221 says goodbye: it answers nothing. */
	if (class < 2 || class > 5 || (class == 3 && (t->await != AWAIT_DATA || reply->code != 354)) ||
	    reply->code == 221)
		return STEP_BROKEN;
	if (reply->code == 421 && t->await != AWAIT_MAIL && t->await != AWAIT_RSET) {
		transaction_defer(t, words(reply));
		return STEP_CLOSING;
	}
	switch (t->await) {
	case AWAIT_RSET:
		return on_rset(t, class);
	case AWAIT_MAIL:
		return on_mail(t, reply, class);
	case AWAIT_RCPT:
		return on_rcpt(t, reply, class);
	case AWAIT_DATA:
		return on_data(t, reply, class);
	case AWAIT_END:
		return on_end(t, reply, class);
	default:
		return STEP_BROKEN;
	}
}
