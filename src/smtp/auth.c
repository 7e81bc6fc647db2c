/* SPDX-License-Identifier: MIT */
#include "smtp/auth.h"

#include "util/base64.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/random.h"
#include "net/digest.h"
#include "net/loop.h"
#include "net/work.h"
#include "mail/sasl.h"
#include "directory/settings.h"
#include "smtp/lockout.h"
#include "smtp/server_private.h"
#include "smtp/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	CACHE = 1024,             /* passwords remembered; each has one place */
	CACHE_MS = 5 * 60 * 1000,
	SLOW_MAX = 200,           /* checks that may wait for a thread; at 20 ms each two seconds */
	DECOY_ITERATIONS = 65536, /* as tmail user hash makes them */
};

/* A password that was good: not itself but its HMAC under a key of this process. */
struct remembered {
	uint8_t digest[DIGEST_SIZE];
	uint64_t until;
};

struct auth_home {
	struct list dovecots;
	uint8_t key[DIGEST_SIZE];
	struct remembered cache[CACHE];
};

struct auth_home *
auth_home_new(void)
{
	struct auth_home *home = xcalloc(1, sizeof *home);

	list_init(&home->dovecots);
	random_bytes(home->key, sizeof home->key);
	return home;
}

void
auth_home_free(struct auth_home **home)
{
	struct list *link;
	struct dovecot *d;

	if (*home == NULL)
		return;
	while ((link = (*home)->dovecots.next) != &(*home)->dovecots) {
		d = (struct dovecot *)(void *)link; /* its first member */
		dovecot_free(&d);
	}
	free(*home);
	*home = NULL;
}

static struct auth_home *
home_of(const struct session *s)
{
	if (s->home->auth == NULL)
		s->home->auth = auth_home_new();
	return s->home->auth;
}

static const struct auth_settings *
rules(const struct session *s)
{
	return &session_settings(s)->auth;
}

static struct dovecot *
dovecot_of(const struct session *s, const struct auth_source *source)
{
	return dovecot_get(&home_of(s)->dovecots, &source->address);
}

bool
session_offers_auth(const struct session *s)
{
	return s->listener->settings->auth != AUTH_NONE;
}

/* The first Dovecot that says it can do SCRAM-SHA-256, or NULL. */
static struct dovecot *
scram_dovecot(const struct session *s)
{
	const struct auth_settings *a = rules(s);
	struct dovecot *d;
	unsigned i;

	for (i = 0; i < a->source_count; i++) {
		if (!a->source[i].dovecot)
			continue;
		d = dovecot_of(s, &a->source[i]);
		if (dovecot_mechanisms(d) & SASL_SCRAM_SHA_256)
			return d;
	}
	return NULL;
}

static bool
asks_directory(const struct auth_settings *a)
{
	unsigned i;

	for (i = 0; i < a->source_count; i++)
		if (!a->source[i].dovecot)
			return true;
	return false;
}

unsigned
auth_mechanisms(const struct session *s)
{
	const struct auth_settings *a = rules(s);
	unsigned set = a->mechanisms;

	if ((set & SASL_SCRAM_SHA_256) && !(asks_directory(a) && a->directory_scram) && scram_dovecot(s) == NULL)
		set &= ~(unsigned)SASL_SCRAM_SHA_256;
	return set;
}

/* ---- user blocks ---- */

struct check_job {
	const struct password *password;
	const char *given;
	size_t n;
	bool good;
};

static void
check_run(void *arg)
{
	struct check_job *job = arg;

	job->good = password_check(job->password, job->given, job->n);
}

static struct remembered *
remembered(struct auth_home *home, const struct user_settings *u, const char *given, size_t n,
    uint8_t digest[DIGEST_SIZE])
{
	struct buf b = { 0 };
	uint32_t place;

	buf_add(&b, u->name, strlen(u->name) + 1);
	buf_add(&b, u->password_text, strlen(u->password_text) + 1);
	buf_add(&b, given, n);
	digest_hmac(home->key, sizeof home->key, b.data, b.len, digest);
	sasl_forget(&b);
	memcpy(&place, digest, sizeof place);
	return &home->cache[place % CACHE];
}

static enum auth_result
ask_directory(struct session *s, const char *login, const char *given, size_t n, char **canonical, const char **why)
{
	const struct settings *settings = session_settings(s);
	const struct user_settings *u = settings_user(settings, login), *decoy = settings_decoy(settings, login);
	struct check_job job = { .given = given, .n = n };
	struct remembered *r = NULL;
	uint8_t digest[DIGEST_SIZE];

	*why = "wrong login or password";
	if (decoy == NULL)
		return AUTH_BAD;
	if (u != NULL)
		r = remembered(home_of(s), u, given, n, digest);
	if (r == NULL || r->until <= clock_ms() || !digest_equal(r->digest, digest, sizeof digest)) {
		if (work_slow_waiting() >= SLOW_MAX) {
			*why = "too many passwords to check";
			return AUTH_UNAVAILABLE;
		}
		job.password = &(u != NULL ? u : decoy)->password;
		work_run_slow(check_run, &job);
		if (u == NULL || !job.good)
			return AUTH_BAD;
		memcpy(r->digest, digest, sizeof digest);
		r->until = clock_ms() + CACHE_MS;
	}
	*canonical = xstrdup(u->name);
	return AUTH_GOOD;
}

/* ---- Dovecot ---- */

struct client_text {
	struct authline_client client;
	char rip[ADDR_TEXT], lip[ADDR_TEXT];
};

static uint16_t
port_of(const struct addr *a)
{
	return a->u.sa.sa_family == AF_INET6 ? ntohs(a->u.in6.sin6_port) : ntohs(a->u.in.sin_port);
}

static void
describe(const struct session *s, struct client_text *t)
{
	struct addr local = { .len = sizeof local.u };

	memset(t, 0, sizeof *t);
	t->client.secured = io_is_tls(&s->io);
	if (s->peer.u.sa.sa_family == AF_UNIX)
		return;
	t->client.rip = addr_ip_text(&s->peer, t->rip);
	t->client.rport = port_of(&s->peer);
	if (getsockname(s->io.fd, &local.u.sa, &local.len) < 0 || local.u.sa.sa_family == AF_UNIX)
		return;
	addr_unmap(&local);
	t->client.lip = addr_ip_text(&local, t->lip);
	t->client.lport = port_of(&local);
}

static uint64_t
deadline(const struct session *s)
{
	return loop_now(s->home->loop) + (uint64_t)rules(s)->timeout * 1000;
}

static enum auth_result
judge(const struct dovecot_request *r, const char *login, char **canonical, const char **why)
{
	switch (r->answer) {
	case DOVECOT_OK:
		*canonical = xstrdup(sasl_login_valid(r->text.data, r->text.len) ? r->text.data : login);
		return AUTH_GOOD;
	case DOVECOT_CONT:
		return AUTH_PENDING;
	case DOVECOT_FAIL:
		*why = "wrong login or password";
		return AUTH_BAD;
	default:
		*why = "the source of passwords does not answer"; /* and said more in the log */
		return AUTH_UNAVAILABLE;
	}
}

static enum auth_result
ask_dovecot(struct session *s, const struct auth_source *source, const char *login, const char *given, char **canonical,
    const char **why)
{
	struct buf plain = { 0 }, base64 = { 0 };
	struct dovecot_request r = { 0 };
	struct client_text client;
	enum auth_result result;

	describe(s, &client);
	sasl_plain_add(&plain, login, given);
	base64_encode(plain.data, plain.len, &base64);
	dovecot_begin(dovecot_of(s, source), &r, "PLAIN", &client.client, buf_str(&base64), deadline(s));
	result = judge(&r, login, canonical, why);
	if (result == AUTH_PENDING)
		result = AUTH_UNAVAILABLE; /* PLAIN has nothing to go on with */
	dovecot_end(&r);
	sasl_forget(&plain);
	sasl_forget(&base64);
	return result;
}

enum auth_result
auth_password(struct session *s, const char *login, const char *password, size_t n, char **canonical, const char **why)
{
	const struct auth_settings *a = rules(s);
	enum auth_result result = AUTH_BAD, one;
	const char *reason = "nobody knows passwords";
	unsigned i;

	*why = reason;
	for (i = 0; i < a->source_count; i++) {
		one = a->source[i].dovecot ? ask_dovecot(s, &a->source[i], login, password, canonical, &reason)
		    : ask_directory(s, login, password, n, canonical, &reason);
		if (one == AUTH_GOOD)
			return AUTH_GOOD;
		if (one == AUTH_UNAVAILABLE || result == AUTH_BAD) {
			result = one;
			*why = reason;
		}
	}
	return result;
}

/* ---- SCRAM-SHA-256 ---- */

void
auth_scram_fini(struct auth_scram *x)
{
	scram_server_fini(&x->server);
	dovecot_end(&x->dovecot);
}

/* A challenge for somebody who has no verifier, always the same one, as a real one is. */
static void
make_decoy(const struct settings *settings, const char *login, struct scram_verifier *v)
{
	const struct user_settings *u = settings_decoy(settings, login);
	const char *seed = u != NULL ? u->password_text : "";
	uint8_t digest[DIGEST_SIZE];

	memset(v, 0, sizeof *v);
	digest_hmac(seed, strlen(seed), login, strlen(login), digest);
	v->iterations = u != NULL && u->password.scheme == PASSWORD_SCRAM ? u->password.verifier.iterations : DECOY_ITERATIONS;
	v->salt_len = u != NULL && u->password.scheme == PASSWORD_SCRAM ? u->password.verifier.salt_len : 16;
	memcpy(v->salt, digest, v->salt_len < sizeof digest ? v->salt_len : sizeof digest);
	random_bytes(v->stored_key, sizeof v->stored_key);
}

static enum auth_result
begin_here(struct session *s, struct auth_scram *x, struct buf *out)
{
	const struct user_settings *u = settings_user(session_settings(s), x->server.login.data);
	struct scram_verifier decoy;
	char nonce[SCRAM_NONCE + 1];

	x->known = u != NULL && u->password.scheme == PASSWORD_SCRAM;
	if (!x->known)
		make_decoy(session_settings(s), x->server.login.data, &decoy);
	scram_nonce(nonce);
	scram_server_challenge(&x->server, x->known ? &u->password.verifier : &decoy, nonce, out);
	return AUTH_PENDING;
}

static enum auth_result
go_on_with_dovecot(struct session *s, struct auth_scram *x, struct dovecot *d, const struct buf *message,
    struct buf *out, char **canonical, const char **why)
{
	struct buf base64 = { 0 };
	struct client_text client;
	enum auth_result result;

	base64_encode(message->data, message->len, &base64);
	describe(s, &client);
	if (d != NULL)
		dovecot_begin(d, &x->dovecot, sasl_name(SASL_SCRAM_SHA_256), &client.client, buf_str(&base64), deadline(s));
	else
		dovecot_continue(&x->dovecot, buf_str(&base64), deadline(s));
	result = judge(&x->dovecot, buf_str(&x->server.login), canonical, why);
	if (result == AUTH_PENDING && base64_decode(x->dovecot.text.data, x->dovecot.text.len, out) < 0)
		result = AUTH_UNAVAILABLE;
	buf_fini(&base64);
	return result;
}

static enum auth_result
begin(struct session *s, struct auth_scram *x, const struct buf *message, struct buf *out, char **canonical,
    const char **why)
{
	struct dovecot *d = scram_dovecot(s);
	const char *login;

	if (scram_server_begin(&x->server, message->data, message->len) < 0)
		return AUTH_MALFORMED;
	login = x->server.login.data;
	if (!sasl_login_valid(login, x->server.login.len) ||
	    (x->server.authzid.len > 0 && strcmp(x->server.authzid.data, login) != 0))
		return AUTH_MALFORMED;
	if (rules(s)->lockout.failures > 0 &&
	    lockout_blocks(session_server(s)->lockout, &s->peer, login, clock_ms()) != 0)
		return AUTH_LOCKED;
	x->by_dovecot = d != NULL &&
	    (!asks_directory(rules(s)) || settings_user(session_settings(s), login) == NULL);
	if (x->by_dovecot)
		return go_on_with_dovecot(s, x, d, message, out, canonical, why);
	return begin_here(s, x, out);
}

enum auth_result
auth_scram_step(struct session *s, struct auth_scram *x, const struct buf *message, struct buf *out, char **canonical,
    const char **why)
{
	const struct user_settings *u;

	*why = "malformed";
	if (x->server.login.len == 0)
		return begin(s, x, message, out, canonical, why);
	if (x->by_dovecot)
		return go_on_with_dovecot(s, x, NULL, message, out, canonical, why);
	if (!x->shown) {
		switch (scram_server_finish(&x->server, message->data, message->len, out)) {
		case SCRAM_MALFORMED:
			return AUTH_MALFORMED;
		case SCRAM_GOOD:
			if (x->known)
				break;
			/* fall through */
		case SCRAM_WRONG:
			*why = "wrong login or password";
			return AUTH_BAD;
		}
		x->shown = true;
		return AUTH_PENDING;
	}
	u = settings_user(session_settings(s), x->server.login.data);
	if (message->len > 0 || u == NULL)
		return AUTH_MALFORMED;
	*canonical = xstrdup(u->name);
	return AUTH_GOOD;
}
