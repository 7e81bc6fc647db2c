/* SPDX-License-Identifier: MIT */
#include "smtp/content.h"

#include "util/buf.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/counters.h"
#include "util/err.h"
#include "util/log.h"
#include "util/str.h"
#include "net/task.h"
#include "mail/trace.h"
#include "directory/settings.h"
#include "spool/message.h"
#include "spool/spool.h"
#include "smtp/identity.h"
#include "smtp/sender_match.h"
#include "smtp/session.h"
#include "smtp/session_history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* First piece of a message that declared no SIZE: most mail fits, the usual 4 KiB test message does. */
	PIECE_FIRST = 6144,
	PIECE_NEXT = 65536,
	PIECE_BLOB = 131072,
	PIECE_NOWHERE = 16384,

	/* Beside the declared size: stuffed dots and the end of data pass through the piece too. */
	PIECE_SLACK = 512,

	/* Octets of a line. RFC 5321 4.5.3.1.6 asks for 1,000; longer lines are common and are relayed whole, but
	 * nothing legitimate is longer than this. */
	CONTENT_LINE_MAX = 65536,

	RATE_GRACE_MS = 30000,

	/* Receives in a row without a wait before others get their turn. */
	RECEIVES_A_TURN = 16,
};

/* From here on the message is refused; its bytes are not kept. The first reason stands. */
static void
refuse(struct content *c, enum counter counter, int code, const char *enhanced, const char *text)
{
	if (c->no.code != 0)
		return;
	c->no = (struct refusal){ code, enhanced, text };
	counter_add(counter, 1);
	if (c->sink == CONTENT_BLOB)
		spool_blob_drop(session_spool(c->s), c->m);
	c->sink = CONTENT_NOWHERE;
	c->piece_len = 0; /* the piece itself may hold what follows the message */
}

static void
refuse_for_space(struct content *c, const struct err *err)
{
	struct log_record r;

	log_begin(&r, LOG_WARN, "no_room");
	log_id(&r, "msg", c->m->id);
	log_str(&r, "reason", err->text);
	log_end(&r);
	refuse(c, COUNTER_MESSAGES_REFUSED_SPACE, 452, "4.3.1", "no room for this message just now, try again later");
}

/* RFC 5321 4.4. A single recipient is named; several could be strangers to each other. */
static void
add_received(struct content *c)
{
	struct session *s = c->s;
	struct message *m = c->m;
	char literal[ADDR_TEXT], id[ID_TEXT];
	struct buf out = { 0 };
	bool remote = s->peer.u.sa.sa_family == AF_INET || s->peer.u.sa.sa_family == AF_INET6;
	struct trace t = {
		.helo = s->helo,
		.literal = remote ? addr_literal(&s->peer, literal) : NULL,
		.client = s->id != NULL ? s->id->name : NULL,
		.by = session_settings(s)->hostname,
		.esmtp = s->esmtp,
		.auth = s->login != NULL,
		.tls_version = io_tls_version(&s->io),
		.tls_cipher = io_tls_cipher(&s->io),
		.tls_bits = io_tls_bits(&s->io),
		.id = id,
		.utf8 = (m->flags & MESSAGE_SMTPUTF8) != 0,
		.rcpt = m->rcpt_count == 1 ? m->rcpt[0].address : NULL,
		.when = clock_wall(),
	};

	id_text(m->id, id);
	m->received = t.when;
	trace_received(&out, &t);
	message_prepend(m, out.data, out.len);
	buf_fini(&out);
}

/* Memory is not for this one any more: what is there moves to a file, and the rest follows it. */
static void
to_blob(struct content *c)
{
	struct err err;

	add_received(c);
	if (spool_blob_begin(session_spool(c->s), c->m, &err) < 0)
		refuse_for_space(c, &err);
	else
		c->sink = CONTENT_BLOB;
}

static size_t
next_piece(const struct content *c)
{
	uint64_t declared = c->s->tx.declared, want = PIECE_FIRST;

	if (declared > c->stream.size)
		want = declared - c->stream.size + PIECE_SLACK;
	else if (c->m->first != NULL)
		want = PIECE_NEXT;
	else if (c->stream.chunked && c->left > PIECE_FIRST)
		want = c->left;
	return message_piece(want < PIECE_NEXT ? (size_t)want : PIECE_NEXT);
}

static char *
room_in_memory(struct content *c, size_t *room)
{
	struct message *m = c->m;
	uint64_t most = session_settings(c->s)->queue.memory_max;
	size_t want;

	if (m->last != NULL && m->last->len < m->last->cap)
		return message_room(m, 1, room);
	want = next_piece(c);
	if (c->stream.size >= most || c->s->tx.declared > most || spool_charge(session_spool(c->s), m, want) < 0) {
		to_blob(c);
		return NULL;
	}
	return message_room(m, want, room);
}

/* Where the next bytes go. */
static char *
room_for_bytes(struct content *c, size_t *room)
{
	char *p;

	if (c->sink == CONTENT_MEMORY && (p = room_in_memory(c, room)) != NULL)
		return p;
	if (c->piece == NULL)
		c->piece = xmalloc(c->sink == CONTENT_BLOB ? PIECE_BLOB : PIECE_NOWHERE);
	*room = c->sink == CONTENT_BLOB ? PIECE_BLOB - c->piece_len : PIECE_NOWHERE;
	return c->piece + c->piece_len;
}

static void
kept_in_blob(struct content *c, size_t n)
{
	struct err err;

	c->piece_len += n;
	if (c->piece_len < PIECE_BLOB && !c->stream.ended && c->left > 0)
		return;
	if (spool_blob_append(session_spool(c->s), c->m, c->piece, c->piece_len, &err) < 0)
		refuse_for_space(c, &err);
	c->piece_len = 0;
}

static void
judge(struct content *c)
{
	const struct limit_settings *limits = &session_settings(c->s)->limits;
	uint32_t flags = c->stream.flags;

	if (c->m->flags & MESSAGE_BINARYMIME)
		flags &= ~(uint32_t)(DATA_NUL | DATA_BARE_CR | DATA_BARE_LF | DATA_LINE_TOO_LONG);
	if (flags & DATA_NUL)
		refuse(c, COUNTER_MESSAGES_REFUSED_SYNTAX, 550, "5.6.0", "the message has a NUL octet");
	else if (flags & (DATA_BARE_CR | DATA_BARE_LF))
		refuse(c, COUNTER_MESSAGES_REFUSED_SYNTAX, 550, "5.6.0",
		    "the message has a bare CR or LF; lines end with CR LF");
	else if (flags & DATA_LINE_TOO_LONG)
		refuse(c, COUNTER_MESSAGES_REFUSED_SYNTAX, 550, "5.6.0", "the message has a line that is too long");
	else if (flags & DATA_HEADER_TOO_BIG)
		refuse(c, COUNTER_MESSAGES_REFUSED_SYNTAX, 552, "5.3.4",
		    "the message's header is larger than allowed here");
	else if (flags & DATA_TOO_MANY_HOPS)
		refuse(c, COUNTER_MESSAGES_REFUSED_LOOP, 554, "5.4.6", "too many Received fields: a mail loop");
	else if (c->stream.size > limits->message_size)
		refuse(c, COUNTER_MESSAGES_REFUSED_SIZE, 552, "5.3.4", "the message is larger than allowed here");
}

/* KEPT octets of the message are at P. Some of its body are kept with the header, which knows its end. */
static void
keep_header(struct content *c, const char *p, size_t kept)
{
	if (c->header_whole || c->no.code != 0)
		return;
	buf_add(&c->header, p, kept);
	c->header_whole = c->stream.header_ended;
}

static void
judge_sender(struct content *c)
{
	const char *why;

	if (!c->look || c->no.code != 0)
		return;
	why = sender_match_header(c->s, c->header.data, c->header.len);
	if (why != NULL)
		refuse(c, COUNTER_SENDERS_REFUSED, 550, "5.7.1", why);
}

/* N octets came to lie at P, as room_for_bytes() said. Returns how many belong to this message. */
static size_t
take(struct content *c, char *p, size_t n)
{
	size_t used, kept = datastream_feed(&c->stream, p, n, &used);

	c->octets += used;
	if (c->look)
		keep_header(c, p, kept);
	c->left -= used;
	if (c->sink == CONTENT_MEMORY)
		message_filled(c->m, kept);
	judge(c);
	if (c->sink == CONTENT_BLOB)
		kept_in_blob(c, kept);
	return used;
}

/* Refused, and what follows the message has been taken out of its pieces: whoever goes on sending for an hour does so
 * at the cost of one small piece. */
static void
give_back(struct content *c)
{
	if (c->sink != CONTENT_NOWHERE || c->gave_back)
		return;
	c->gave_back = true;
	message_release(c->m);
	free(c->piece);
	c->piece = NULL;
}

/* Bytes the client sent together with DATA, without waiting for 354, or with BDAT. */
static void
take_waiting(struct content *c)
{
	struct input *in = &c->s->in;
	size_t room, n;
	char *p;

	while (!c->stream.ended && c->left > 0 && (n = input_waiting(in)) > 0) {
		p = room_for_bytes(c, &room);
		n = n < room ? n : room;
		n = n < c->left ? n : (size_t)c->left;
		memcpy(p, in->data + in->pos, n);
		in->pos += take(c, p, n);
		give_back(c);
	}
}

/* Until when more must have come: the client may pause, but neither for long nor often (the average rate). */
static uint64_t
deadline(const struct content *c, bool *slow)
{
	const struct limit_settings *limits = &session_settings(c->s)->limits;
	uint64_t now = loop_now(loop_current());
	uint64_t until = now + (uint64_t)limits->data_timeout * 1000;
	uint64_t whole = c->started + (uint64_t)limits->message_timeout * 1000;
	uint64_t grace = (uint64_t)limits->message_timeout * 500, rate;

	*slow = false;
	if (grace > RATE_GRACE_MS)
		grace = RATE_GRACE_MS;
	if (limits->min_rate > 0) {
		rate = c->octets * 1000 / limits->min_rate;
		rate = c->started + (rate > grace ? rate : grace);
		*slow = rate < until && rate < whole;
		until = rate < until ? rate : until;
	}
	return until < whole ? until : whole;
}

/* Says it to the client, if it is still there. */
static int
lost(struct content *c, const char *reason)
{
	struct session *s = c->s;
	struct log_record r;

	log_begin(&r, LOG_INFO, "aborted");
	log_id(&r, "msg", c->m->id);
	session_log_client(&r, s);
	log_str(&r, "from", c->m->sender);
	log_u64(&r, "size", c->stream.size);
	log_str(&r, "reason", reason);
	log_end(&r);
	session_history_aborted(s, c->stream.size, reason);
	counter_add(COUNTER_MESSAGES_ABORTED, 1);
	return -1;
}

static int
timed_out(struct content *c, bool slow)
{
	session_unpark(c->s);
	session_close(c->s, 421, "4.4.2", slow ? "%s that is too slow" : "%s timeout in the message",
	    session_settings(c->s)->hostname);
	counter_add(COUNTER_SESSIONS_TIMED_OUT, 1);
	session_park(c->s);
	return lost(c, slow ? "too slow" : "timeout");
}

static int
broken(struct content *c)
{
	c->s->gone = true;
	return lost(c, task_cancelled() ? "shutdown" : "the client has gone");
}

/* One receive; -1: the end never comes. */
static int
receive_some(struct content *c)
{
	struct session *s = c->s;
	size_t room, used;
	bool slow;
	uint64_t until = deadline(c, &slow);
	ssize_t n;
	char *p;

	if (until <= loop_now(loop_current()))
		return timed_out(c, slow);
	if (io_wait_readable(&s->io, until) < 0)
		return errno == ETIMEDOUT ? timed_out(c, slow) : broken(c);
	p = room_for_bytes(c, &room);
	n = io_recv(&s->io, p, room < c->left ? room : (size_t)c->left);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return broken(c);
	used = take(c, p, (size_t)n);
	if (used < (size_t)n)
		input_unread(&s->in, p + used, (size_t)n - used);
	give_back(c);
	return 0;
}

static enum content_result
finish(struct content *c)
{
	struct err err;

	judge_sender(c);
	if (c->sink == CONTENT_MEMORY)
		add_received(c);
	else if (c->sink == CONTENT_BLOB && spool_blob_end(session_spool(c->s), c->m, &err) < 0)
		refuse_for_space(c, &err);
	return c->sink == CONTENT_NOWHERE ? CONTENT_REFUSED : CONTENT_WHOLE;
}

static void
begin(struct content *c, struct session *s)
{
	const struct limit_settings *limits = &session_settings(s)->limits;
	const struct datastream_limits stream = { CONTENT_LINE_MAX, limits->header_size, limits->hops };

	*c = (struct content){ .s = s, .m = s->tx.m, .sink = CONTENT_MEMORY, .left = UINT64_MAX };
	c->look = sender_match_wants_header(s);
	c->started = loop_now(loop_current());
	datastream_init(&c->stream, &stream);
}

static void
drop_blob(struct content *c)
{
	if (c->sink == CONTENT_BLOB)
		spool_blob_drop(session_spool(c->s), c->m);
}

/* What the client has sent and will send, up to the end of the message or the chunk; -1: that never comes. */
static int
receive(struct content *c)
{
	unsigned turn = 0;

	take_waiting(c);
	while (!c->stream.ended && c->left > 0) {
		if (receive_some(c) < 0)
			return -1;
		if (++turn % RECEIVES_A_TURN == 0)
			task_yield();
	}
	return 0;
}

enum content_result
content_receive(struct content *c, struct session *s)
{
	enum content_result result = CONTENT_LOST;

	begin(c, s);
	if (receive(c) == 0)
		result = finish(c);
	else
		drop_blob(c);
	free(c->piece);
	buf_fini(&c->header);
	return result;
}

/* ---- in chunks ---- */

struct content *
content_new(struct session *s)
{
	struct content *c = xmalloc(sizeof *c);

	begin(c, s);
	c->stream.chunked = true;
	c->left = 0;
	return c;
}

bool
content_waits(const struct content *c, uint64_t n)
{
	return n > input_waiting(&c->s->in) || c->sink == CONTENT_BLOB ||
	    n + c->stream.size > session_settings(c->s)->queue.memory_max;
}

enum content_result
content_chunk(struct content *c, uint64_t n, bool last)
{
	const struct limit_settings *limits = &session_settings(c->s)->limits;
	int rc;

	c->left = n;
	/* Nothing is kept of what will be too large. */
	if (c->stream.size > limits->message_size || n > limits->message_size - c->stream.size)
		refuse(c, COUNTER_MESSAGES_REFUSED_SIZE, 552, "5.3.4", "the message is larger than allowed here");
	rc = receive(c);
	free(c->piece);
	c->piece = NULL;
	if (rc < 0)
		return CONTENT_LOST;
	if (!last || c->sink == CONTENT_NOWHERE)
		return c->sink == CONTENT_NOWHERE ? CONTENT_REFUSED : CONTENT_WHOLE;
	datastream_end(&c->stream);
	judge(c);
	return finish(c);
}

void
content_free(struct content **content, const char *why)
{
	struct content *c = *content;

	*content = NULL;
	if (c == NULL)
		return;
	if (why != NULL)
		lost(c, why);
	if (!c->stream.ended)
		drop_blob(c);
	free(c->piece);
	buf_fini(&c->header);
	free(c);
}
