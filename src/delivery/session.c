/* SPDX-License-Identifier: MIT */
/* From the connection to the answer to EHLO, and the reading of replies. */
#include "delivery/conn.h"

#include "delivery/login.h"
#include "delivery/site.h"
#include "directory/settings.h"
#include "mail/sasl.h"
#include "net/loop.h"
#include "net/tls.h"
#include "util/counters.h"
#include "util/log.h"
#include "util/str.h"

#include <errno.h>
#include <string.h>

const struct settings *
conn_settings(const struct conn *c)
{
	return c->settings != NULL ? c->settings : c->site->settings;
}

/* Zero: a snapshot made without the option's default. */
static uint64_t
seconds(uint32_t set, uint32_t usual)
{
	return (uint64_t)(set ? set : usual) * 1000;
}

uint64_t
conn_connect_timeout(const struct conn *c)
{
	return seconds(conn_settings(c)->delivery.connect_timeout, 30);
}

uint64_t
conn_command_timeout(const struct conn *c)
{
	return seconds(conn_settings(c)->delivery.command_timeout, 300);
}

uint64_t
conn_data_timeout(const struct conn *c)
{
	return seconds(conn_settings(c)->delivery.data_timeout, 180);
}

uint64_t
conn_end_timeout(const struct conn *c)
{
	return seconds(conn_settings(c)->delivery.end_timeout, 600);
}

uint64_t
conn_idle_timeout(const struct conn *c)
{
	return seconds(conn_settings(c)->delivery.idle_timeout, 30);
}

static uint64_t
until(const struct conn *c, uint64_t timeout)
{
	uint64_t t = loop_now(c->loop) + timeout;

	return c->deadline != 0 && c->deadline < t ? c->deadline : t;
}

int
conn_flush(struct conn *c, uint64_t timeout)
{
	int rc = io_write(&c->io, c->out.data, c->out.len, until(c, timeout));

	c->out.len = 0;
	c->asked = true;
	return rc < 0 ? err_sys(&c->err, "cannot send") : 0;
}

static int
receive(struct conn *c, uint64_t deadline)
{
	ssize_t n;

	/* More is to come without our asking: this next hop writes its replies one by one. If it leaves Nagle's algorithm
	 * on, the next piece waits for our ACK, which the kernel would delay for 40 ms. It forgets that it was told
	 * otherwise with each write, so it is told here; a hop that answers in one piece never costs the call. */
	if (!c->asked)
		io_quick_ack(&c->io);
	c->asked = false;
	do {
		/* Replies take a round trip: waiting first saves a call that would find nothing. */
		if (io_wait_readable(&c->io, deadline) < 0)
			return err_sys(&c->err, "no reply");
		n = io_recv(&c->io, c->in, sizeof(c->in));
	} while (n < 0 && errno == EAGAIN);
	if (n < 0)
		return err_sys(&c->err, "connection lost");
	if (n == 0)
		return err_set(&c->err, "connection closed by the next hop");
	c->in_pos = 0;
	c->in_len = (unsigned)n;
	return 0;
}

int
conn_reply(struct conn *c, uint64_t timeout)
{
	uint64_t deadline = until(c, timeout);
	enum reply_state state;
	size_t used;

	reply_init(&c->reply);
	for (;;) {
		if (c->in_pos == c->in_len && receive(c, deadline) < 0)
			return -1;
		state = reply_feed(&c->reply, c->in + c->in_pos, c->in_len - c->in_pos, &used);
		c->in_pos += (unsigned)used;
		if (state == REPLY_BAD)
			return err_set(&c->err, "unusable reply: %.200s", c->reply.text);
		if (state == REPLY_DONE) {
			hop_replied(c->hop, loop_now(c->loop));
			return 0;
		}
	}
}

/* Sends a command made of up to three words and reads its reply. */
static int
ask(struct conn *c, const char *verb, const char *arg)
{
	buf_adds(&c->out, verb);
	if (arg != NULL) {
		buf_addc(&c->out, ' ');
		buf_adds(&c->out, arg);
	}
	buf_adds(&c->out, "\r\n");
	if (conn_flush(c, conn_command_timeout(c)) < 0 || conn_reply(c, conn_command_timeout(c)) < 0)
		return err_context(&c->err, "%s", verb);
	return 0;
}

static int
refused(struct conn *c, const char *what)
{
	return err_set(&c->err, "%s: %.400s", what, c->reply.text);
}

static void
learn_offers(struct conn *c)
{
	static const struct {
		const char *name;
		unsigned offer;
	} known[] = {
		{ "PIPELINING", HOP_OFFERS_PIPELINING }, { "SIZE", HOP_OFFERS_SIZE }, { "8BITMIME", HOP_OFFERS_8BITMIME },
		{ "SMTPUTF8", HOP_OFFERS_SMTPUTF8 }, { "DSN", HOP_OFFERS_DSN }, { "STARTTLS", HOP_OFFERS_STARTTLS },
		{ "CHUNKING", HOP_OFFERS_CHUNKING }, { "BINARYMIME", HOP_OFFERS_BINARYMIME },
	};
	struct ehlo_keyword k;

	c->offers = 0;
	c->mechanisms = 0;
	c->size_max = 0;
	c->limits = (struct hop_limits){ 0 };
	if (reply_ehlo_find(&c->reply, "LIMITS", &k))
		limits_learn(&c->limits, k.args, k.args_len);
	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (reply_ehlo_find(&c->reply, known[i].name, NULL))
			c->offers |= known[i].offer;
	/* "SIZE" alone and "SIZE 0" mean no fixed limit (RFC 1870 section 4). */
	if (reply_ehlo_find(&c->reply, "SIZE", &k) && str_u64(k.args, k.args_len, UINT64_MAX, &c->size_max) < 0)
		c->size_max = 0;
	if (reply_ehlo_find(&c->reply, "AUTH", &k))
		c->mechanisms = sasl_find_all(k.args, k.args_len);
}

/* LHLO has no older form (RFC 2033 4.1). */
static int
hello(struct conn *c)
{
	const char *name = conn_hostname(c);
	bool lmtp = c->hop->lmtp;

	if (ask(c, lmtp ? "LHLO" : "EHLO", name) < 0)
		return -1;
	c->offers = c->mechanisms = 0;
	if (reply_class(&c->reply) == 2) {
		learn_offers(c);
		return 0;
	}
	if (lmtp || reply_class(&c->reply) != 5)
		return refused(c, lmtp ? "LHLO" : "EHLO");
	if (ask(c, "HELO", name) < 0)
		return -1;
	return reply_class(&c->reply) == 2 ? 0 : refused(c, "HELO");
}

static int
greet(struct conn *c)
{
	struct err *err = &c->err;

	c->in_pos = c->in_len = 0;
	c->asked = true;
	if (conn_reach(c, until(c, conn_connect_timeout(c))) < 0)
		return -1;
	counter_add(COUNTER_CONNECTIONS_OPENED, 1);
	if (conn_reply(c, conn_command_timeout(c)) < 0)
		return err_context(err, "greeting");
	if (c->reply.code != 220)
		return refused(c, "greeting");
	return hello(c);
}

/* What the next hop's certificate has to be for: its name; its address where that is all there is. */
static const char *
name_for_tls(const struct conn *c, char address[ADDR_TEXT])
{
	const struct addr *a = &c->hop->address;

	if (c->hop->host != NULL)
		return c->hop->host;
	return a->u.sa.sa_family == AF_UNIX ? NULL : addr_ip_text(a, address);
}

/* 0: done; 1: the next hop will not now, in words, and the session goes on in plain text; -1: the connection is of
 * no use any more. What was learnt in plain text is forgotten (RFC 3207 4.2). */
static int
start_tls(struct conn *c)
{
	struct tls_ctx *ctx = c->site->route->tls == TLS_VERIFY ? c->site->delivery->tls_verify
	    : c->site->delivery->tls;
	char address[ADDR_TEXT];

	if (ask(c, "STARTTLS", NULL) < 0)
		return -1;
	if (c->reply.code != 220) {
		refused(c, "STARTTLS");
		return c->reply.code == 421 ? -1 : 1;
	}
	if (c->in_pos < c->in_len)
		return err_set(&c->err, "STARTTLS: the next hop sent more behind its reply");
	c->status = "4.7.5";
	if (io_tls_connect(&c->io, ctx, name_for_tls(c, address), until(c, conn_command_timeout(c)), &c->err) < 0)
		return -1;
	c->status = NULL;
	counter_add(COUNTER_TLS_DELIVERY, 1);
	return hello(c);
}

/* 0: as the route wants it; 1: TLS broke and plain text will do, on a new connection; -1: the hop failed. */
static int
secure(struct conn *c)
{
	enum tls_mode mode = c->site->route->tls;
	bool optional = mode == TLS_OPTIONAL;
	int rc;

	if (mode == TLS_NONE || (optional && c->hop->plain_until > loop_now(c->loop)))
		return 0;
	if (optional && c->hop->host == NULL && c->hop->address.u.sa.sa_family == AF_UNIX)
		return 0; /* nobody listens between two ends of one machine */
	if (!(c->offers & HOP_OFFERS_STARTTLS) && optional)
		return 0;
	if (!(c->offers & HOP_OFFERS_STARTTLS)) {
		c->status = "4.7.4";
		return err_set(&c->err, "TLS is required, but the next hop does not offer STARTTLS");
	}
	rc = start_tls(c);
	if (rc == 0)
		return 0;
	counter_add(COUNTER_TLS_DELIVERY_FAILED, 1);
	if (optional && rc == 1)
		return 0;
	if (!optional)
		return err_context(&c->err, "TLS is required");
	c->status = NULL;
	c->hop->plain_until = loop_now(c->loop) + HOP_PLAIN;
	return 1;
}

static void
log_broken_tls(const struct conn *c)
{
	struct log_record r;

	log_begin(&r, LOG_WARN, "tls-broken");
	log_str(&r, "hop", c->hop->text);
	log_str(&r, "reason", c->err.text);
	log_u64(&r, "plain_seconds", HOP_PLAIN / 1000);
	log_end(&r);
}

int
conn_establish(struct conn *c)
{
	int rc;

	if (greet(c) < 0)
		return -1;
	rc = secure(c);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return conn_login(c);
	log_broken_tls(c);
	io_close(&c->io);
	return greet(c) < 0 ? -1 : conn_login(c);
}
