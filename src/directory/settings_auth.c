/* SPDX-License-Identifier: MIT */
#include "directory/settings_auth.h"

#include "directory/settings.h"
#include "directory/settings_types.h"
#include "mail/sasl.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/file.h"
#include "util/list.h"
#include "util/str.h"
#include "util/suggest.h"

#include <netinet/in.h>
#include <string.h>

enum { SECRET_FILE_MAX = 4096 };

static uint16_t
port_of(const struct addr *a)
{
	switch (a->u.sa.sa_family) {
	case AF_INET:
		return ntohs(a->u.in.sin_port);
	case AF_INET6:
		return ntohs(a->u.in6.sin6_port);
	default:
		return 0;
	}
}

/* Ports 587 and 465 are for people who submit mail (RFC 6409, 8314). */
static bool
is_for_submission(const struct listener_settings *l)
{
	unsigned i;

	for (i = 0; i < l->address_count; i++)
		if (port_of(&l->address[i]) != 587 && port_of(&l->address[i]) != 465)
			return false;
	return l->address_count > 0;
}

static void
settle_listener(const struct settings *s, struct listener_settings *l, const struct option_context *c)
{
	if (l->auth == AUTH_AUTO)
		l->auth = is_for_submission(l) ? AUTH_REQUIRED : AUTH_NONE;
	if (l->auth == AUTH_NONE)
		return;
	if (s->auth.place.file == NULL && s->auth_user_count == 0)
		conf_error(c->errors, &l->place, "listener %s: clients are to log in, but nobody knows their passwords: "
		    "auth { source = { \"dovecot:unix:/run/dovecot/auth-tmail\" } }, or say auth = none", l->name);
	else if (l->tls == TLS_NONE && c->errors->count == 0)
		conf_error(c->errors, &l->place, "listener %s: clients are to log in, which they can under TLS only: "
		    "tls = required, or say auth = none", l->name);
}

static void
index_users(struct settings *s, const struct option_context *c)
{
	const struct user_settings *other;
	struct user_settings *u;
	unsigned i;

	for (i = 0; i < s->auth_user_count; i++) {
		u = &s->auth_user[i];
		other = settings_user(s, u->name);
		if (other != NULL)
			conf_error(c->errors, &u->place, "user %s: there is user %s already, at %s:%d; logins are the same "
			    "in either case", u->name, other->name, other->place.file, other->place.line);
		else
			map_add(&s->users, &u->link, hash_nocase(u->name));
		s->auth.directory_scram = s->auth.directory_scram || u->password.scheme == PASSWORD_SCRAM;
	}
}

static void
settle_login(const struct settings *s, struct route_settings *r, const struct option_context *c)
{
	struct suggest near;
	unsigned i;

	if (r->secret_name == NULL)
		return;
	suggest_init(&near, r->secret_name);
	for (i = 0; i < s->secret_count; i++) {
		suggest_try(&near, s->secret[i].name);
		if (strcmp(s->secret[i].name, r->secret_name) == 0)
			r->secret = &s->secret[i];
	}
	if (r->secret != NULL || c->partial)
		return;
	if (near.best != NULL)
		conf_error(c->errors, &r->place, "%s %s: there is no secret '%s', did you mean '%s'?", r->block, r->name,
		    r->secret_name, near.best);
	else
		conf_error(c->errors, &r->place, "%s %s: there is no secret '%s': secret %s { user = me  file = "
		    "\"/etc/tmail/secrets/provider\" }", r->block, r->name, r->secret_name, r->secret_name);
}

void
settings_settle_auth(struct settings *s, const struct option_context *c)
{
	unsigned i;

	for (i = 0; i < s->auth.mechanism_count; i++)
		s->auth.mechanisms |= (unsigned)s->auth.mechanism[i];
	index_users(s, c);
	for (i = 0; i < s->listener_count; i++)
		settle_listener(s, &s->listener[i], c);
	for (i = 0; i < s->route_count; i++)
		settle_login(s, &s->route[i], c);
}

const struct user_settings *
settings_user(const struct settings *s, const char *login)
{
	const struct user_settings *u;
	struct map_link *l;

	for (l = map_first(&s->users, hash_nocase(login)); l != NULL; l = map_next(l)) {
		u = list_entry(l, struct user_settings, link);
		if (str_ieq(u->name, login))
			return u;
	}
	return NULL;
}

const struct user_settings *
settings_decoy(const struct settings *s, const char *login)
{
	return s->auth_user_count > 0 ? &s->auth_user[hash_nocase(login) % s->auth_user_count] : NULL;
}

/* ---- who owns an address ---- */

/* Is ADDRESS LOCAL@DOMAIN, with or without a detail? */
static bool
is_mailbox(const char *address, const char *local, size_t local_len, const char *domain)
{
	const char *at = strrchr(address, '@');

	if (at == NULL || (size_t)(at - address) < local_len || !str_nieq(address, local, local_len) ||
	    (address[local_len] != '@' && address[local_len] != '+'))
		return false;
	return str_ieq(at + 1, domain);
}

static bool
owns_by_pattern(const char *pattern, const char *address)
{
	const char *at = strrchr(address, '@'), *mailbox = strrchr(pattern, '@');

	if (at == NULL)
		return false;
	if (mailbox != pattern)
		return is_mailbox(address, pattern, (size_t)(mailbox - pattern), mailbox + 1);
	return pattern[1] == '.' ? str_ends_nocase(at + 1, pattern + 1) : str_ieq(at, pattern);
}

/* "eve" on smtp.univ.example is eve@univ.example, eve@smtp.univ.example and eve in every domain of ours. */
static bool
owns_by_name(const struct settings *s, const char *login, const char *address)
{
	const char *at = strrchr(login, '@'), *domain = strrchr(address, '@'), *above;

	if (at != NULL)
		return is_mailbox(address, login, (size_t)(at - login), at + 1);
	if (domain == NULL || !is_mailbox(address, login, strlen(login), domain + 1))
		return false;
	domain++;
	above = strchr(s->hostname, '.');
	return settings_is_ours(s, domain) || str_ieq(domain, s->hostname) ||
	    (above != NULL && strchr(above + 1, '.') != NULL && str_ieq(domain, above + 1));
}

bool
settings_login_owns(const struct settings *s, const char *login, const char *address)
{
	const struct user_settings *u = settings_user(s, login);
	unsigned i;

	for (i = 0; u != NULL && i < u->address_count; i++)
		if (owns_by_pattern(u->address[i], address))
			return true;
	return owns_by_name(s, login, address);
}

/* ---- secrets ---- */

static int
read_secret(struct settings *s, struct secret_settings *secret, struct err *err)
{
	struct buf b = { 0 };
	int rc = -1;

	if (file_read(secret->file, SECRET_FILE_MAX, &b, err) < 0)
		return err_context(err, "%s:%d: secret %s", secret->place.file, secret->place.line, secret->name);
	while (b.len > 0 && (b.data[b.len - 1] == '\n' || b.data[b.len - 1] == '\r'))
		b.len--;
	if (b.len == 0 || b.len > SASL_PASSWORD_MAX || memchr(b.data, '\0', b.len) != NULL ||
	    memchr(b.data, '\n', b.len) != NULL) {
		err_set(err, "%s:%d: secret %s: %s is to hold the password, on one line of at most %d characters",
		    secret->place.file, secret->place.line, secret->name, secret->file, SASL_PASSWORD_MAX);
	} else {
		secret->password = arena_strndup(s->arena, b.data, b.len);
		rc = 0;
	}
	sasl_forget(&b);
	return rc;
}

int
secrets_read(struct settings *s, struct err *err)
{
	unsigned i;

	for (i = 0; i < s->secret_count; i++)
		if (s->secret[i].file != NULL && read_secret(s, &s->secret[i], err) < 0)
			return -1;
	return 0;
}
