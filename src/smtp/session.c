/* SPDX-License-Identifier: MIT */
#include "smtp/session.h"

#include "util/check.h"
#include "util/counters.h"
#include "util/log.h"
#include "net/task.h"
#include "mail/reply.h"
#include "directory/settings.h"
#include "spool/message.h"
#include "smtp/arrival.h"
#include "smtp/defence.h"
#include "smtp/identity.h"
#include "smtp/server_private.h"
#include "smtp/verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void serve(void *arg);

const struct settings *
session_settings(const struct session *s)
{
	return s->listener->snapshot;
}

const struct client_settings *
session_client(const struct session *s)
{
	return identity_is_client(s) ? settings_client(session_settings(s), &s->peer) : NULL;
}

struct spool *
session_spool(const struct session *s)
{
	return s->home->server->config.spool;
}

struct smtp_server *
session_server(const struct session *s)
{
	return s->home->server;
}

bool
session_offers_tls(const struct session *s)
{
	return s->listener->tls != NULL && s->listener->settings->tls != TLS_NONE && !io_is_tls(&s->io);
}

uint64_t
session_command_deadline(const struct session *s)
{
	return loop_now(s->home->loop) + (uint64_t)session_settings(s)->limits.command_timeout * 1000;
}

void
session_log_client(struct log_record *r, const struct session *s)
{
	char text[ADDR_TEXT];

	log_str(r, "client", addr_ip_text(&s->peer, text));
	log_str(r, "helo", s->helo);
	log_str(r, "login", s->login);
	if (s->id != NULL)
		identity_log(r, s);
}

/* How far the client came. */
static const char *
stage_name(const struct session *s)
{
	static const char *const names[] = {
		[STAGE_CONNECT] = "connect", [STAGE_HELO] = "helo", [STAGE_MAIL] = "mail", [STAGE_RCPT] = "rcpt",
		[STAGE_DATA] = "data", [STAGE_MESSAGE] = "message", [STAGE_OUTCOME] = "outcome",
	};

	return names[s->stage];
}

static void
log_ended(const struct session *s)
{
	struct log_record r;

	log_begin(&r, LOG_DEBUG, "disconnect");
	if (r.live) {
		session_log_client(&r, s);
		log_str(&r, "stage", stage_name(s));
		log_u64(&r, "commands", s->commands);
		log_u64(&r, "errors", s->errors);
		log_u64(&r, "messages", s->messages);
		log_end(&r);
	}
}

static void
session_free(struct session *s)
{
	log_ended(s);
	check(s->scratch == NULL);
	mail_transaction_end(&s->tx);
	io_close(&s->io);
	list_remove(&s->link);
	server_session_ended(s->home, s->counted ? identity_counted(s) : NULL);
	identity_free(&s->id);
	buf_fini(&s->held);
	smtp_listener_free(&s->listener);
	input_fini(&s->in);
	free(s->helo);
	auth_exchange_free(&s->auth);
	free(s->certificate);
	free(s->login);
	free(s);
}

void
session_drop(struct session *s)
{
	session_free(s);
}

void
session_last_word(struct session *s, int code, const char *enhanced, const char *text)
{
	struct buf out = { 0 };

	reply_addf(&out, code, enhanced, "%s %s", session_settings(s)->hostname, text);
	(void)io_send(&s->io, out.data, out.len);
	buf_fini(&out);
}

/* ---- the end ---- */

static void
on_linger(struct io *io, bool timed_out)
{
	struct session *s = list_entry(io, struct session, io);
	char trash[4096];
	ssize_t n = 1;

	while (!timed_out && s->lingered < SESSION_LINGER_MAX && (n = io_recv(io, trash, sizeof trash)) > 0)
		s->lingered += (uint32_t)n;
	if (timed_out || n >= 0 || errno != EAGAIN)
		session_free(s);
	else
		io_idle(io, on_linger, s->deadline);
}

/* Closing a socket with unread input sends a reset, which can destroy our last reply on its way: so a client that
 * did not expect the end is shown the end of the stream first and may go by itself. */
static void
finish(struct session *s)
{
	if (s->gone || s->said_quit || io_is_tls(&s->io) || shutdown(s->io.fd, SHUT_WR) < 0) {
		session_free(s);
		return;
	}
	mail_transaction_end(&s->tx);
	auth_exchange_free(&s->auth);
	input_fini(&s->in);
	s->state = SESSION_LINGER;
	s->deadline = loop_now(s->home->loop) + SESSION_LINGER_MS;
	io_idle(&s->io, on_linger, s->deadline);
}

/* ---- being idle ---- */

void
session_serve(struct session *s)
{
	if (task_start(serve, s, "smtp session") == 0)
		return;
	counter_add(COUNTER_SESSIONS_REFUSED_TASKS, 1);
	if (s->state == SESSION_COMMAND)
		session_last_word(s, 421, "4.3.2", "too busy, try again later");
	finish(s);
}

static void
on_idle(struct io *io, bool timed_out)
{
	struct session *s = list_entry(io, struct session, io);

	if (timed_out) {
		counter_add(COUNTER_SESSIONS_TIMED_OUT, 1);
		if (s->state == SESSION_COMMAND)
			session_last_word(s, 421, "4.4.2", "timeout, closing the connection");
		session_free(s);
	} else {
		session_serve(s);
	}
}

/* What becomes of a session that is not being served any more. */
void
session_rest(struct session *s)
{
	if (s->gone) {
		session_free(s);
	} else if (s->closing) {
		finish(s);
	} else if (s->home->server->aborting || (s->home->server->draining && s->tx.m == NULL)) {
		if (s->state == SESSION_COMMAND || s->state == SESSION_GREETING)
			session_last_word(s, 421, "4.3.2", "is shutting down, try again later");
		session_free(s); /* it was silent, so nothing of it is unread */
	} else if (s->tarpit) {
		defence_wait(s);
	} else {
		io_idle(&s->io, s->state <= SESSION_GREETING ? arrival_idle : on_idle, s->deadline);
	}
}

void
session_drain(struct session *s)
{
	if (s->task != NULL || s->state == SESSION_LINGER || s->tx.m != NULL)
		return;
	io_busy(&s->io);
	session_rest(s);
}

void
session_abort(struct session *s)
{
	if (s->task != NULL) {
		task_cancel(s->task);
		return;
	}
	io_busy(&s->io);
	if (s->state == SESSION_LINGER)
		session_free(s);
	else
		session_rest(s);
}

void
session_greet(struct session *s)
{
	char text[300];
	int n = snprintf(text, sizeof text, "220 %s ESMTP\r\n", session_settings(s)->hostname);

	s->state = SESSION_COMMAND;
	if (io_send(&s->io, text, (size_t)n) < 0)
		s->gone = true;
}

/* ---- being served ---- */

void
session_end_transaction(struct session *s)
{
	mail_transaction_end(&s->tx);
	if (s->id != NULL)
		identity_forget_forward(s->id);
}

void
session_reset(struct session *s)
{
	session_end_transaction(s);
	free(s->helo);
	s->helo = NULL;
	s->esmtp = false;
	s->stage = STAGE_CONNECT;
}

static enum tls_ask
what_to_ask(const struct session *s)
{
	switch (s->listener->settings->client_certificate) {
	case CLIENT_CERTIFICATE_OPTIONAL:
		return TLS_ASK_OPTIONAL;
	case CLIENT_CERTIFICATE_REQUIRED:
		return TLS_ASK_REQUIRED;
	default:
		return TLS_ASK_NOTHING;
	}
}

static void
log_certificate(const struct session *s)
{
	const struct tls_peer *p = s->certificate;
	struct log_record r;

	log_begin(&r, LOG_INFO, "client-certificate");
	session_log_client(&r, s);
	log_str(&r, "verified", p->verified ? "yes" : "no");
	log_str(&r, "name", p->name);
	log_str(&r, "fingerprint", p->fingerprint);
	log_str(&r, "reason", p->reason);
	log_end(&r);
}

int
session_handshake(struct session *s)
{
	struct log_record r;
	struct err err;

	if (io_tls_accept(&s->io, s->listener->tls, what_to_ask(s), session_command_deadline(s), &err) == 0) {
		counter_add(COUNTER_TLS_ACCEPTED, 1);
		s->certificate = io_tls_peer(&s->io);
		if (s->certificate != NULL)
			log_certificate(s);
		return 0;
	}
	s->gone = true;
	counter_add(COUNTER_TLS_REFUSED, 1);
	log_begin(&r, LOG_INFO, "tls_failed");
	session_log_client(&r, s);
	log_str(&r, "reason", err.text);
	log_end(&r);
	return -1;
}

/* One line of the input, if there is one. */
static bool
next_command(struct session *s)
{
	const char *line;
	size_t n;

	switch (input_line(&s->in, &line, &n)) {
	case INPUT_MORE:
		return false;
	case INPUT_LINE:
		if (s->auth != NULL)
			auth_answer(s, line, n);
		else if (!s->esmtp && input_waiting(&s->in) > 0 && arrival_too_early(s, "EHLO"))
			session_close(s, 554, "5.5.1", "you spoke before your turn");
		else
			verbs_run(s, line, n);
		break;
	case INPUT_TOO_LONG:
		if (s->auth != NULL)
			auth_line_too_long(s);
		else
			session_reply(s, 500, "5.5.2", "line too long");
		break;
	case INPUT_BARE_LF:
		session_close(s, 500, "5.5.2", "lines end with CR LF, not with LF alone");
		break;
	case INPUT_FLOOD:
		session_close(s, 421, "4.7.0", "%s that line has no end", session_settings(s)->hostname);
		break;
	}
	return true;
}

static void
run_commands(struct session *s)
{
	uint32_t before = s->errors;

	while (!s->closing && !s->gone && next_command(s)) {
		if (s->errors != before)
			defence_errors(s, before);
		if (s->tarpit)
			return;
		before = s->errors;
		s->deadline = session_command_deadline(s);
		if (s->scratch == NULL || s->scratch->out.len < SESSION_OUTPUT)
			continue;
		if (session_park(s) < 0)
			return;
		session_unpark(s);
	}
}

/* One receive a wake-up. */
static bool
receive(struct session *s)
{
	size_t room;
	char *p = input_room(&s->in, &room);
	ssize_t n = io_recv(&s->io, p, room);

	if (n > 0) {
		input_filled(&s->in, (size_t)n);
		return true;
	}
	if (n == 0 || errno != EAGAIN) {
		s->gone = true;
		counter_add(COUNTER_SESSIONS_LOST, 1);
	}
	return false;
}

static void
serve(void *arg)
{
	struct session *s = arg;

	s->task = task_self();
	if (s->tx.m != NULL)
		task_set_message(s->tx.m->id);
	if (s->state == SESSION_HANDSHAKE && session_handshake(s) == 0)
		arrival_greet(s);
	else if (s->state == SESSION_COMMAND) {
		do {
			if (s->held.len > 0)
				defence_release(s);
			session_unpark(s);
			if (receive(s) || input_waiting(&s->in) > 0)
				run_commands(s);
			if (s->tarpit && s->scratch != NULL)
				defence_hold(s);
			if (s->scratch != NULL)
				session_park(s);
		} while (!s->tarpit && !s->closing && !s->gone && io_pending(&s->io));
	}
	s->task = NULL;
	session_rest(s);
}
