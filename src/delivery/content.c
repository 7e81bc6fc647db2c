/* SPDX-License-Identifier: MIT */
#include "delivery/content.h"

#include "delivery/conn.h"
#include "delivery/site.h"
#include "net/loop.h"
#include "spool/spool.h"
#include "util/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PIECES = 128,             /* of one write */
	WRITE_MAX = 1024 * 1024,  /* octets of one write, roughly: each has a time limit of its own */
	BLOB_PIECE = 256 * 1024,
};

struct sender {
	struct conn *c;
	struct iovec v[PIECES];
	int count;
	size_t bytes;    /* in v */
	uint64_t taken;  /* octets of the message so far */
	bool dots;       /* stuff them */
	char last[2];    /* octets sent so far end in these */
};

/* A next hop that has something to say before the message has ended can only be refusing it. What it says is for
 * the log: the message is tried again later. */
static int
early_reply(struct conn *c)
{
	size_t used;
	ssize_t n = io_recv(&c->io, c->in, sizeof(c->in));

	if (n < 0 && errno == EAGAIN)
		return 0;
	reply_init(&c->reply);
	if (n > 0 && reply_feed(&c->reply, c->in, (size_t)n, &used) == REPLY_DONE)
		return err_set(&c->err, "in the middle of the message: %.400s", c->reply.text);
	return err_set(&c->err, "connection lost in the middle of the message");
}

static int
flush(struct sender *s)
{
	struct conn *c = s->c;

	s->c->asked = true;
	if (s->count > 0 && io_writev(&c->io, s->v, s->count, loop_now(c->loop) + conn_data_timeout(c)) < 0) {
		err_sys(&c->err, "sending the message");
		if (errno != ETIMEDOUT && errno != ECANCELED)
			early_reply(c);
		return -1;
	}
	s->count = 0;
	s->bytes = 0;
	return 0;
}

static int
put(struct sender *s, const char *p, size_t n)
{
	if (s->count == PIECES || s->bytes >= WRITE_MAX)
		if (flush(s) < 0 || early_reply(s->c) < 0)
			return -1;
	s->v[s->count++] = (struct iovec){ .iov_base = (char *)(uintptr_t)p, .iov_len = n };
	s->bytes += n;
	return 0;
}

static void
remember(struct sender *s, const char *p, size_t n)
{
	s->last[0] = n > 1 ? p[n - 2] : s->last[1];
	s->last[1] = p[n - 1];
}

/* A dot at the start of a line gets another before it (RFC 5321 4.5.2). */
static int
feed(struct sender *s, const char *p, size_t n)
{
	s->taken += n;
	while (n > 0) {
		const char *dot = s->dots ? memmem(p, n, "\n.", 2) : NULL;
		size_t part = dot != NULL ? (size_t)(dot - p) + 1 : n;

		if (s->dots && s->last[1] == '\n' && *p == '.' && put(s, ".", 1) < 0)
			return -1;
		if (put(s, p, part) < 0)
			return -1;
		remember(s, p, part);
		p += part;
		n -= part;
	}
	return 0;
}

static int
feed_chunks(struct sender *s, const struct message *m)
{
	for (const struct chunk *k = m->first; k != NULL; k = k->next)
		if (k->len > 0 && feed(s, k->data, k->len) < 0)
			return -1;
	return 0;
}

static int
feed_blob(struct sender *s, const struct message *m)
{
	struct conn *c = s->c;
	char *piece = xmalloc(BLOB_PIECE);
	uint64_t off = 0;
	int rc = 0;

	while (rc == 0 && off < m->size) {
		ssize_t n = message_read(c->site->spool, m, off, piece, BLOB_PIECE, &c->err);

		if (n <= 0) {
			c->own_fault = true;
			rc = n < 0 ? err_context(&c->err, "reading the message")
			    : err_set(&c->err, "reading the message: it ends too early");
		} else if (feed(s, piece, (size_t)n) < 0 || flush(s) < 0)
			rc = -1;
		else
			off += (uint64_t)n;
	}
	free(piece);
	return rc;
}

static int
feed_message(struct sender *s, const struct message *m)
{
	struct conn *c = s->c;

	if ((m->blob[0] == '\0' || m->first != NULL ? feed_chunks(s, m) : feed_blob(s, m)) < 0)
		return -1;
	/* Whatever went wrong before us: a message that is not whole does not get its final dot. */
	if (s->taken != m->size) {
		c->own_fault = true;
		return err_set(&c->err, "the message has %llu bytes in place of %llu", (unsigned long long)s->taken,
		    (unsigned long long)m->size);
	}
	return 0;
}

int
content_send(struct conn *c, const struct message *m, const char *tail, size_t tail_len)
{
	struct sender s = { .c = c, .dots = (m->flags & MESSAGE_DOTS) != 0, .last = { '\r', '\n' } };

	if (feed_message(&s, m) < 0)
		return -1;
	if ((s.last[0] != '\r' || s.last[1] != '\n') && put(&s, "\r\n", 2) < 0)
		return -1;
	return put(&s, tail, tail_len) < 0 ? -1 : flush(&s);
}

/* What is not whole gets less than the octets announced and is no message for the next hop. */
int
content_send_chunk(struct conn *c, const struct message *m)
{
	struct sender s = { .c = c };
	char line[48];
	int n = snprintf(line, sizeof(line), "BDAT %llu LAST\r\n", (unsigned long long)m->size);

	if (put(&s, line, (size_t)n) < 0 || feed_message(&s, m) < 0)
		return -1;
	return flush(&s);
}
