/* SPDX-License-Identifier: MIT */
/* AUTH (RFC 4954). The exchange that follows is state of the session, not a task: between a challenge and its answer
 * the session is as idle as between two commands, under the same deadline. */
#include "util/base64.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/counters.h"
#include "util/log.h"
#include "util/str.h"
#include "mail/sasl.h"
#include "directory/settings.h"
#include "smtp/auth.h"
#include "smtp/identity.h"
#include "smtp/lockout.h"
#include "smtp/server_private.h"
#include "smtp/verbs.h"

#include <stdlib.h>
#include <string.h>

struct auth_exchange {
	enum sasl_mechanism mechanism;
	unsigned step;          /* of LOGIN: 0 wants the login, 1 the password */
	struct buf login;       /* terminated; for the log */
	struct auth_scram scram;
};

void
auth_exchange_free(struct auth_exchange **exchange)
{
	struct auth_exchange *x = *exchange;

	if (x == NULL)
		return;
	auth_scram_fini(&x->scram);
	buf_fini(&x->login);
	free(x);
	*exchange = NULL;
}

static void
log_auth(const struct session *s, const struct auth_exchange *x, const char *result, const char *reason)
{
	struct log_record r;

	log_begin(&r, LOG_INFO, "auth");
	session_log_client(&r, s);
	if (s->login == NULL && x->login.len > 0)
		log_bytes(&r, "user", x->login.data, x->login.len);
	log_str(&r, "mechanism", sasl_name(x->mechanism));
	log_str(&r, "result", result);
	log_str(&r, "reason", reason);
	log_end(&r);
}

static void
log_locked(const struct session *s, const struct auth_exchange *x, unsigned kinds)
{
	struct log_record r;
	char text[ADDR_TEXT];

	if (kinds == 0)
		return;
	counter_add(COUNTER_AUTH_LOCKOUTS, 1);
	log_begin(&r, LOG_WARN, "lockout");
	log_str(&r, "client", addr_ip_text(&s->peer, text));
	log_bytes(&r, "user", x->login.data, x->login.len);
	log_str(&r, "locked", kinds == 1u << LOCKOUT_ADDRESS ? "address" : kinds == 1u << LOCKOUT_LOGIN ? "login" : "both");
	log_u64(&r, "seconds", session_settings(s)->auth.lockout.lock);
	log_end(&r);
}

static void
accepted(struct session *s, struct auth_exchange *x, char *login)
{
	counter_add(COUNTER_AUTH_ACCEPTED, 1);
	free(s->login);
	s->login = login;
	identity_authorise(s);
	lockout_succeeded(session_server(s)->lockout, &s->peer, login, clock_ms());
	log_auth(s, x, "ok", NULL);
	session_reply(s, 235, "2.7.0", "authenticated");
}

/* RFC 4954 6. */
static void
refused(struct session *s, struct auth_exchange *x, enum auth_result result, const char *why)
{
	const struct lockout_rule *rule = &session_settings(s)->auth.lockout;

	switch (result) {
	case AUTH_BAD:
		counter_add(COUNTER_AUTH_REFUSED, 1);
		log_auth(s, x, "refused", why);
		log_locked(s, x, lockout_failed(session_server(s)->lockout, rule, &s->peer, buf_str(&x->login), clock_ms()));
		session_reply(s, 535, "5.7.8", "wrong login or password");
		break;
	case AUTH_LOCKED:
		counter_add(COUNTER_AUTH_REFUSED, 1);
		log_auth(s, x, "locked", "too many failures");
		session_reply(s, 454, "4.7.0", "too many failures to log in, try again later");
		break;
	case AUTH_UNAVAILABLE:
		counter_add(COUNTER_AUTH_UNAVAILABLE, 1);
		log_auth(s, x, "unavailable", why);
		session_reply(s, 454, "4.7.0", "cannot check that just now, try again later");
		break;
	default:
		log_auth(s, x, "malformed", NULL);
		session_reply(s, 501, "5.5.2", "that is not what %s sends", sasl_name(x->mechanism));
	}
}

/* The exchange is over. Takes LOGIN. */
static void
finish(struct session *s, enum auth_result result, char *login, const char *why)
{
	struct auth_exchange *x = s->auth;

	s->auth = NULL;
	if (result == AUTH_GOOD)
		accepted(s, x, login);
	else
		refused(s, x, result, why);
	auth_exchange_free(&x);
}

/* Nothing the client has sent before it saw the challenge can be an answer to it: commands for one, which must not be
 * taken for a password. */
static void
challenge(struct session *s, const struct buf *text)
{
	struct buf base64 = { 0 };

	if (input_waiting(&s->in) > 0) {
		auth_exchange_free(&s->auth);
		session_close(s, 554, "5.5.1", "nothing may follow AUTH before its reply");
		return;
	}
	base64_encode(text->data, text->len, &base64);
	buf_printf(&s->scratch->out, "334 %s\r\n", buf_str(&base64)); /* may be longer than lines of replies are */
	buf_fini(&base64);
}

static void
challenge_text(struct session *s, const char *text)
{
	struct buf b = { 0 };

	buf_adds(&b, text);
	challenge(s, &b);
	buf_fini(&b);
}

static void
check_password(struct session *s, const char *password, size_t n)
{
	struct auth_exchange *x = s->auth;
	const char *given = buf_str(&x->login), *why = NULL;
	enum auth_result result = AUTH_LOCKED;
	char *login = NULL;

	if (session_settings(s)->auth.lockout.failures == 0 ||
	    lockout_blocks(session_server(s)->lockout, &s->peer, given, clock_ms()) == 0) {
		if (session_park(s) < 0)
			return;
		result = auth_password(s, given, password, n, &login, &why);
		session_unpark(s);
	}
	finish(s, result, login, why);
}

static void
step_plain(struct session *s, struct buf *message)
{
	struct auth_exchange *x = s->auth;
	struct sasl_plain plain;

	if (sasl_plain_parse(message, &plain) < 0) {
		finish(s, AUTH_MALFORMED, NULL, NULL);
		return;
	}
	buf_adds(&x->login, plain.login);
	if (*plain.authzid != '\0' && strcmp(plain.authzid, plain.login) != 0)
		finish(s, AUTH_BAD, NULL, "may not act for another");
	else
		check_password(s, plain.password, plain.password_len);
}

static void
step_login(struct session *s, struct buf *message)
{
	struct auth_exchange *x = s->auth;

	if (x->step++ == 0) {
		if (!sasl_login_valid(message->data, message->len)) {
			finish(s, AUTH_MALFORMED, NULL, NULL);
			return;
		}
		buf_add(&x->login, message->data, message->len);
		challenge_text(s, "Password:");
	} else if (message->len == 0 || message->len > SASL_PASSWORD_MAX ||
	    memchr(message->data, '\0', message->len) != NULL) {
		finish(s, AUTH_MALFORMED, NULL, NULL);
	} else {
		buf_str(message);
		check_password(s, message->data, message->len);
	}
}

static void
step_scram(struct session *s, struct buf *message)
{
	struct auth_exchange *x = s->auth;
	enum auth_result result;
	struct buf out = { 0 };
	const char *why = NULL;
	char *login = NULL;

	if (session_park(s) < 0)
		return;
	result = auth_scram_step(s, &x->scram, message, &out, &login, &why);
	session_unpark(s);
	if (x->login.len == 0)
		buf_add(&x->login, x->scram.server.login.data, x->scram.server.login.len);
	if (result == AUTH_PENDING)
		challenge(s, &out);
	else
		finish(s, result, login, why);
	buf_fini(&out);
}

static void
step(struct session *s, struct buf *message)
{
	switch (s->auth->mechanism) {
	case SASL_PLAIN:
		step_plain(s, message);
		break;
	case SASL_LOGIN:
		step_login(s, message);
		break;
	case SASL_SCRAM_SHA_256:
		step_scram(s, message);
		break;
	}
}

static void
give_up(struct session *s, int code, const char *enhanced, const char *text)
{
	auth_exchange_free(&s->auth);
	session_reply(s, code, enhanced, "%s", text);
}

/* Under TLS alone: who says a password in clear has lost it already. */
bool
auth_is_to_be_had(const struct session *s)
{
	return session_offers_auth(s) && io_is_tls(&s->io);
}

void
auth_add_offer(struct session *s, struct buf *out)
{
	if (!auth_is_to_be_had(s))
		return;
	s->in.line_max = SASL_LINE_MAX + sizeof "AUTH SCRAM-SHA-256 \r\n";
	if (s->login != NULL)
		return;
	buf_adds(out, "\nAUTH");
	sasl_add_names(out, auth_mechanisms(s));
}

/* The client's answer to a challenge: a line of base64, or "*". */
void
auth_answer(struct session *s, const char *line, size_t n)
{
	struct buf message = { 0 };

	if (n == 1 && *line == '*')
		give_up(s, 501, "5.7.0", "authentication cancelled");
	else if (n > SASL_LINE_MAX)
		auth_line_too_long(s);
	else if (base64_decode(line, n, &message) < 0)
		give_up(s, 501, "5.5.2", "that is not base64");
	else
		step(s, &message);
	sasl_forget(&message);
}

void
auth_line_too_long(struct session *s)
{
	give_up(s, 500, "5.5.6", "authentication exchange line is too long");
}

/* "AUTH" SP sasl-mech [SP initial-response], the latter base64 or "=" for an empty one. */
void
auth_act(struct session *s, struct call *call)
{
	const char *name = call->line.args, *space = memchr(name, ' ', call->line.args_len), *initial = NULL;
	size_t name_len = space != NULL ? (size_t)(space - name) : call->line.args_len, n = 0;
	enum sasl_mechanism mechanism = sasl_find(name, name_len);
	struct buf message = { 0 };

	if (!session_offers_auth(s)) {
		session_reply(s, 502, "5.5.1", "AUTH is not offered");
		return;
	}
	if (s->helo == NULL) {
		session_reply(s, 503, "5.5.1", "say EHLO first");
		return;
	}
	if (!io_is_tls(&s->io)) {
		session_reply(s, 538, "5.7.11", "that needs encryption: STARTTLS first");
		return;
	}
	if (s->login != NULL) {
		session_reply(s, 503, "5.5.1", "already authenticated");
		return;
	}
	if (!(auth_mechanisms(s) & (unsigned)mechanism)) {
		session_reply(s, 504, "5.5.4", "unknown authentication mechanism");
		return;
	}
	if (space != NULL) {
		initial = space + 1 + strspn(space + 1, " ");
		n = (size_t)(name + call->line.args_len - initial);
	}
	if (initial != NULL && !(n == 1 && *initial == '=') && base64_decode(initial, n, &message) < 0) {
		session_reply(s, 501, "5.5.2", "the initial response is not base64");
		return;
	}
	s->auth = xcalloc(1, sizeof *s->auth);
	s->auth->mechanism = mechanism;
	if (initial != NULL)
		step(s, &message);
	else
		challenge_text(s, mechanism == SASL_LOGIN ? "Username:" : "");
	sasl_forget(&message);
}
