/* SPDX-License-Identifier: MIT */
#include "delivery/login.h"

#include "delivery/conn.h"
#include "delivery/site.h"
#include "directory/settings.h"
#include "mail/sasl.h"
#include "mail/scram.h"
#include "net/work.h"
#include "util/base64.h"
#include "util/counters.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* RFC 5321 4.5.3.1.4: what does not fit into a command line follows after a challenge. */
enum { COMMAND_MAX = 510 };

/* Of the snapshot the connection goes by, which stays while others may come. */
static const struct secret_settings *
find_secret(const struct conn *c)
{
	const struct route_settings *r = c->site->route;

	r = r != NULL ? settings_route_by_key(conn_settings(c), r->key) : NULL;
	return r != NULL ? r->secret : NULL;
}

/* A line of the exchange, and the reply to it. */
static int
say(struct conn *c, const char *before, const struct buf *message)
{
	buf_adds(&c->out, before);
	if (message != NULL)
		base64_encode(message->data, message->len, &c->out);
	buf_adds(&c->out, "\r\n");
	if (conn_flush(c, conn_command_timeout(c)) < 0)
		return -1;
	explicit_bzero(c->out.data, c->out.cap); /* it was perhaps a password */
	return conn_reply(c, conn_command_timeout(c));
}

static int
wants_more(struct conn *c)
{
	return c->reply.code == 334 ? 0 : err_set(&c->err, "%.300s", c->reply.text);
}

static int
accepted(struct conn *c)
{
	return c->reply.code == 235 ? 0 : err_set(&c->err, "%.300s", c->reply.text);
}

/* What a 334 brings. */
static int
take_challenge(struct conn *c, struct buf *out)
{
	const struct reply *r = &c->reply;

	if (wants_more(c) < 0)
		return -1;
	if (r->lines != 1 || base64_decode(r->text + r->line[0].off, r->line[0].len, out) < 0)
		return err_set(&c->err, "the challenge is not base64");
	return 0;
}

/* "AUTH MECHANISM INITIAL", or without INITIAL and that as the answer to an empty challenge. */
static int
begin(struct conn *c, const char *command, const struct buf *initial)
{
	char line[64];

	if (strlen(command) + 1 + (initial->len + 2) / 3 * 4 > COMMAND_MAX) {
		if (say(c, command, NULL) < 0 || wants_more(c) < 0)
			return -1;
		return say(c, "", initial);
	}
	snprintf(line, sizeof line, "%s ", command);
	return say(c, line, initial);
}

static int
login_plain(struct conn *c)
{
	const struct secret_settings *secret = c->secret;
	struct buf message = { 0 };
	int rc;

	sasl_plain_add(&message, secret->user, secret->password);
	rc = begin(c, "AUTH PLAIN", &message);
	sasl_forget(&message);
	return rc < 0 ? -1 : accepted(c);
}

static int
login_login(struct conn *c)
{
	const struct secret_settings *secret = c->secret;
	struct buf user = { 0 }, password = { 0 };
	int rc;

	buf_adds(&user, secret->user);
	buf_adds(&password, secret->password);
	rc = say(c, "AUTH LOGIN", NULL);
	if (rc == 0 && (rc = wants_more(c)) == 0)
		rc = say(c, "", &user);
	if (rc == 0 && (rc = wants_more(c)) == 0)
		rc = say(c, "", &password);
	buf_fini(&user);
	sasl_forget(&password);
	return rc < 0 ? -1 : accepted(c);
}

/* The slow part, on a worker thread. */
struct answer {
	struct scram_client *scram;
	const char *password;
	const struct buf *challenge;
	struct buf *out;
	struct err *err;
	int rc;
};

static void
answer_run(void *arg)
{
	struct answer *a = arg;

	a->rc = scram_client_final(a->scram, a->password, a->challenge->data, a->challenge->len, a->out, a->err);
}

/* The server shows last that it knows the password, too: before 235, or else it is not believed. */
static int
scram_exchange(struct conn *c, struct scram_client *scram, struct buf *message, struct buf *challenge)
{
	struct answer a = { scram, c->secret->password, challenge, message, &c->err, -1 };
	char nonce[SCRAM_NONCE + 1];

	scram_nonce(nonce);
	scram_client_first(scram, c->secret->user, nonce, message);
	if (begin(c, "AUTH SCRAM-SHA-256", message) < 0 || take_challenge(c, challenge) < 0)
		return -1;
	message->len = 0;
	work_run_slow(answer_run, &a);
	if (a.rc < 0 || say(c, "", message) < 0)
		return -1;
	challenge->len = 0;
	if (c->reply.code == 235)
		return err_set(&c->err, "SCRAM: the server did not show that it knows the password");
	if (take_challenge(c, challenge) < 0 ||
	    scram_client_verify(scram, challenge->data != NULL ? challenge->data : "", challenge->len, &c->err) < 0)
		return -1;
	return say(c, "", NULL) < 0 ? -1 : accepted(c);
}

static int
login_scram(struct conn *c)
{
	struct scram_client scram = { 0 };
	struct buf message = { 0 }, challenge = { 0 };
	int rc = scram_exchange(c, &scram, &message, &challenge);

	scram_client_fini(&scram);
	sasl_forget(&message);
	buf_fini(&challenge);
	return rc;
}

/* May a password be told as it is? */
static bool
is_private(const struct conn *c)
{
	struct addr peer = { .len = sizeof peer.u };

	if (io_is_tls(&c->io))
		return true;
	return getpeername(c->io.fd, &peer.u.sa, &peer.len) == 0 && addr_is_loopback(&peer);
}

static int
log_in(struct conn *c)
{
	if (c->mechanisms & SASL_SCRAM_SHA_256)
		return login_scram(c);
	if (c->mechanisms == 0)
		return err_set(&c->err, "the next hop offers none of SCRAM-SHA-256, PLAIN and LOGIN");
	if (!is_private(c))
		return err_set(&c->err, "the next hop would have the password in clear, and there is no TLS");
	return c->mechanisms & SASL_PLAIN ? login_plain(c) : login_login(c);
}

int
conn_login(struct conn *c)
{
	const struct secret_settings *secret = c->secret = find_secret(c);

	if (secret == NULL)
		return 0;
	if (log_in(c) < 0) {
		counter_add(COUNTER_LOGINS_FAILED, 1);
		return err_context(&c->err, "log-in as %.100s (secret %.100s)", secret->user, secret->name);
	}
	return 0;
}
