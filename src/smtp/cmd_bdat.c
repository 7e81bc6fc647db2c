/* SPDX-License-Identifier: MIT */
/* BDAT (RFC 3030 2): the message in counted chunks. Whatever becomes of a chunk, its octets are read before the reply:
 * they are a message, never commands. */
#include "net/loop.h"
#include "directory/settings.h"
#include "spool/message.h"
#include "smtp/content.h"
#include "smtp/verbs.h"

#include <errno.h>

/* Octets that are not there yet; the session is parked. */
static int
discard_rest(struct session *s, uint64_t n)
{
	const struct limit_settings *limits = &session_settings(s)->limits;
	uint64_t end = loop_now(loop_current()) + (uint64_t)limits->message_timeout * 1000, until;
	char trash[8192];
	ssize_t got;

	while (n > 0) {
		until = loop_now(loop_current()) + (uint64_t)limits->data_timeout * 1000;
		if (io_wait_readable(&s->io, until < end ? until : end) < 0)
			return -1;
		got = io_recv(&s->io, trash, n < sizeof trash ? (size_t)n : sizeof trash);
		if (got < 0 && errno == EAGAIN)
			continue;
		if (got <= 0) {
			errno = ECONNRESET;
			return -1;
		}
		n -= (uint64_t)got;
	}
	return 0;
}

/* -1: the session is over. */
static int
discard(struct session *s, uint64_t n)
{
	size_t waiting = input_waiting(&s->in);
	int rc;

	if (n <= waiting) {
		s->in.pos += (size_t)n;
		return 0;
	}
	s->in.pos += waiting;
	if (session_park(s) < 0)
		return -1;
	rc = discard_rest(s, n - waiting);
	if (rc < 0 && errno != ETIMEDOUT) {
		s->gone = true;
		return -1;
	}
	session_unpark(s);
	if (rc < 0)
		session_close(s, 421, "4.4.2", "%s timeout in the message", session_settings(s)->hostname);
	return rc;
}

/* A part of the message is missing now, so that nothing can become of the rest: chunks that were sent without waiting
 * for this reply hear the same (RFC 3030 2). */
static void
fail(struct session *s, const struct refusal *no, bool last)
{
	struct refusal kept = *no;

	content_free(&s->tx.chunks, NULL);
	mail_transaction_end(&s->tx);
	if (!last)
		s->tx.discard = kept;
	s->stage = STAGE_OUTCOME;
}

/* How many octets follow nobody can tell. */
static void
refuse_unsized(struct session *s)
{
	session_reply(s, 501, "5.5.4", "syntax: BDAT octets [LAST]");
	mail_transaction_end(&s->tx);
	if (input_waiting(&s->in) > 0)
		session_close(s, 421, "4.7.0", "%s what follows may be a message", session_settings(s)->hostname);
}

static struct refusal
refusal(const struct session *s, const struct call *call, bool malformed)
{
	struct refusal no;

	if (s->tx.discard.code != 0)
		return s->tx.discard;
	no = verb_out_of_order(s, call->verb);
	if (no.code == 0 && malformed)
		no = (struct refusal){ 501, "5.5.4", "syntax: BDAT octets [LAST]" };
	if (no.code == 0 && s->tx.m->rcpt_count == 0)
		no = s->tx.refused > 0 ? (struct refusal){ 554, "5.5.1", "no valid recipients" } :
		    (struct refusal){ 503, "5.5.1", "need RCPT first" };
	return no;
}

static void
refuse(struct session *s, const struct bdat *b, struct refusal no)
{
	if (discard(s, b->size) < 0)
		return;
	session_reply(s, no.code, no.enhanced, "%s", no.text);
	if (s->tx.m != NULL && s->tx.m->rcpt_count > 0)
		fail(s, &no, b->last);
	else if (b->last)
		s->tx.discard = (struct refusal){ 0 };
}

static void
chunk_taken(struct session *s, const struct bdat *b, bool parked)
{
	if (b->last) {
		if (!parked)
			session_park(s);
		data_commit(s, s->tx.chunks);
		content_free(&s->tx.chunks, NULL);
		mail_transaction_end(&s->tx);
		s->stage = STAGE_OUTCOME;
		return;
	}
	if (parked)
		session_unpark(s);
	session_reply(s, 250, "2.0.0", "%llu octets taken", (unsigned long long)b->size);
}

static void
receive(struct session *s, const struct bdat *b)
{
	struct refusal no;
	bool parked;

	if (s->tx.chunks == NULL)
		s->tx.chunks = content_new(s);
	parked = content_waits(s->tx.chunks, b->size);
	if (parked && session_park(s) < 0)
		return;
	s->state = SESSION_DATA;
	switch (content_chunk(s->tx.chunks, b->size, b->last)) {
	case CONTENT_WHOLE:
		chunk_taken(s, b, parked);
		break;
	case CONTENT_REFUSED:
		if (parked)
			session_unpark(s);
		no = s->tx.chunks->no;
		session_reply(s, no.code, no.enhanced, "%s", no.text);
		fail(s, &no, b->last);
		break;
	case CONTENT_LOST:
		content_free(&s->tx.chunks, NULL);
		mail_transaction_end(&s->tx);
		break;
	}
	s->state = SESSION_COMMAND;
}

void
bdat_act(struct session *s, struct call *call)
{
	struct bdat b;
	bool malformed = bdat_parse(call->line.args, call->line.args_len, &b) < 0;
	struct refusal no;

	if (!b.sized) {
		refuse_unsized(s);
		return;
	}
	no = refusal(s, call, malformed);
	call->line.args_len = 0; /* the line goes when the session waits, the log's record comes behind that */
	if (no.code != 0)
		refuse(s, &b, no);
	else
		receive(s, &b);
}
