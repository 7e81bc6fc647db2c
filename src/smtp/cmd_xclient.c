/* SPDX-License-Identifier: MIT */
/* XCLIENT and XFORWARD, as Postfix documents them in XCLIENT_README and XFORWARD_README: a trusted client says for
 * whom it speaks. xclient-command = "XCLIENT" 1*( SP attribute-name "=" attribute-value ), the value as xtext, or
 * [UNAVAILABLE] for what does not exist, or [TEMPUNAVAIL] for what could not be found out. */
#include "smtp/verbs.h"

#include "util/check.h"
#include "util/str.h"
#include "net/addr.h"
#include "directory/settings.h"
#include "smtp/identity.h"
#include "smtp/server.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_MAX = 255 };

/* One attribute as it was said. */
struct value {
	bool said;
	bool unavailable;
	char text[VALUE_MAX + 1]; /* decoded, without control characters; empty where unavailable */
};

struct attribute {
	const char *name;
	bool (*valid)(const char *text); /* NULL: anything */
};

/* ---- the values ---- */

/* RFC 5321 4.1.3 writes IPv6 addresses with a prefix, and so does XCLIENT. */
static int
parse_ip(const char *text, struct addr *a)
{
	memset(a, 0, sizeof *a);
	if (inet_pton(AF_INET, text, &a->u.in.sin_addr) == 1) {
		a->u.in.sin_family = AF_INET;
		a->len = sizeof a->u.in;
		return 0;
	}
	if (str_nieq(text, "IPV6:", 5))
		text += 5;
	if (inet_pton(AF_INET6, text, &a->u.in6.sin6_addr) != 1)
		return -1;
	a->u.in6.sin6_family = AF_INET6;
	a->len = sizeof a->u.in6;
	addr_unmap(a);
	return 0;
}

static bool
valid_ip(const char *text)
{
	struct addr a;

	return parse_ip(text, &a) == 0;
}

static bool
valid_port(const char *text)
{
	uint64_t port;

	return str_u64(text, strlen(text), 65535, &port) == 0;
}

static bool
valid_protocol(const char *text)
{
	return str_ieq(text, "SMTP") || str_ieq(text, "ESMTP");
}

/* Names in DNS may hold more than is allowed in mail: as lenient as for EHLO. */
static bool
valid_name(const char *text)
{
	return helo_valid(text, strlen(text));
}

enum xclient { NAME, ADDR, PORT, PROTO, HELO, LOGIN, DESTADDR, DESTPORT, XCLIENT_COUNT };

static const struct attribute xclient_attribute[XCLIENT_COUNT + 1] = {
	[NAME] = { "NAME", valid_name }, [ADDR] = { "ADDR", valid_ip }, [PORT] = { "PORT", valid_port },
	[PROTO] = { "PROTO", valid_protocol }, [HELO] = { "HELO", valid_name }, [LOGIN] = { "LOGIN", NULL },
	[DESTADDR] = { "DESTADDR", valid_ip }, [DESTPORT] = { "DESTPORT", valid_port },
};

/* These are logged and nothing else, so nothing is asked of them: they come from strangers. */
static const struct attribute xforward_attribute[FORWARD_COUNT + 1] = {
	[FORWARD_NAME] = { "NAME", NULL }, [FORWARD_ADDR] = { "ADDR", NULL }, [FORWARD_PORT] = { "PORT", NULL },
	[FORWARD_PROTO] = { "PROTO", NULL }, [FORWARD_HELO] = { "HELO", NULL }, [FORWARD_IDENT] = { "IDENT", NULL },
	[FORWARD_SOURCE] = { "SOURCE", NULL },
};

/* ---- the command's line ---- */

static int
find(const struct attribute *table, const char *name, size_t n)
{
	int i;

	for (i = 0; table[i].name != NULL; i++)
		if (strlen(table[i].name) == n && str_nieq(table[i].name, name, n))
			return i;
	return -1;
}

static bool
is_word(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && str_nieq(s, word, n);
}

static int
decode(const struct attribute *a, const char *s, size_t n, struct value *v)
{
	char text[3 * VALUE_MAX];
	long len, i;

	v->said = true;
	v->unavailable = is_word(s, n, "[UNAVAILABLE]") || is_word(s, n, "[TEMPUNAVAIL]");
	v->text[0] = '\0';
	if (v->unavailable)
		return 0;
	if (n == 0 || n > sizeof text || (len = xtext_decode(s, n, text)) < 0 || len > VALUE_MAX)
		return -1;
	for (i = 0; i < len; i++)
		v->text[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	v->text[len] = '\0';
	return a->valid == NULL || a->valid(v->text) ? 0 : -1;
}

/* Every NAME=VALUE of the arguments into its place; -1: refused. */
static int
read_attributes(struct session *s, const struct call *call, const struct attribute *table, struct value *values)
{
	const char *p = call->line.args, *end = p + call->line.args_len, *equals;
	size_t n;
	int i;

	while (p < end) {
		for (n = 0; p + n < end && p[n] != ' '; n++)
			;
		equals = memchr(p, '=', n);
		i = equals != NULL ? find(table, p, (size_t)(equals - p)) : -1;
		if (i < 0) {
			session_reply(s, 501, "5.5.4", "syntax: %s", call->verb->help);
			return -1;
		}
		if (decode(&table[i], equals + 1, (size_t)(p + n - equals - 1), &values[i]) < 0) {
			session_reply(s, 501, "5.5.4", "bad value of %s", table[i].name);
			return -1;
		}
		for (p += n; p < end && *p == ' '; p++)
			;
	}
	return 0;
}

static bool
allowed(struct session *s, const struct call *call)
{
	if (s->may_xclient)
		return true;
	session_reply(s, 550, "5.7.0", "%s is not for you", call->verb->name);
	return false;
}

/* ---- what it changes ---- */

static void
set_text(char **text, const struct value *v)
{
	if (!v->said)
		return;
	free(*text);
	*text = v->unavailable ? NULL : xstrdup(v->text);
}

static void
set_address(struct addr *a, const struct value *ip, const struct value *port)
{
	in_port_t number = port->said && !port->unavailable ? htons((uint16_t)atoi(port->text)) : 0;

	if (ip->said && (ip->unavailable || parse_ip(ip->text, a) < 0))
		memset(a, 0, sizeof *a); /* unknown */
	if (!port->said && !ip->said)
		return;
	if (a->u.sa.sa_family == AF_INET)
		a->u.in.sin_port = number;
	else if (a->u.sa.sa_family == AF_INET6)
		a->u.in6.sin6_port = number;
}

/* The session begins anew as if the client it speaks for had connected; it stays counted where it was. */
static void
become(struct session *s, const struct value *v)
{
	struct identity *id = identity_of(s);

	session_reset(s);
	if (!v[NAME].said && v[ADDR].said) {
		free(id->name); /* of another client */
		id->name = NULL;
	}
	set_text(&id->name, &v[NAME]);
	free(s->login); /* whoever it was */
	s->login = NULL;
	set_text(&s->login, &v[LOGIN]);
	set_text(&s->helo, &v[HELO]);
	set_address(&s->peer, &v[ADDR], &v[PORT]);
	set_address(&id->local, &v[DESTADDR], &v[DESTPORT]);
	s->esmtp = str_ieq(v[PROTO].text, "ESMTP");
	if (s->helo != NULL)
		s->stage = STAGE_HELO;
	id->told = id->told || v[ADDR].said;
	identity_authorise(s);
}

void
xclient_act(struct session *s, struct call *call)
{
	struct value v[XCLIENT_COUNT] = { 0 };

	if (!allowed(s, call) || read_attributes(s, call, xclient_attribute, v) < 0)
		return;
	if (v[LOGIN].said && !s->listener->settings->xclient_login) {
		session_reply(s, 550, "5.7.0", "LOGIN is not believed here");
		return;
	}
	become(s, v);
	session_reply(s, 220, NULL, "%s ESMTP", session_settings(s)->hostname);
}

void
xforward_act(struct session *s, struct call *call)
{
	struct value v[FORWARD_COUNT] = { 0 };
	struct identity *id;
	unsigned i;

	if (!allowed(s, call) || read_attributes(s, call, xforward_attribute, v) < 0)
		return;
	id = identity_of(s);
	for (i = 0; i < FORWARD_COUNT; i++)
		set_text(&id->forward[i], &v[i]);
	session_reply(s, 250, "2.0.0", "ok");
}

const char *
xclient_offered(const struct session *s)
{
	if (!s->may_xclient)
		return "";
	return s->listener->settings->xclient_login
	    ? "\nXCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\nXFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"
	    : "\nXCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT\nXFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE";
}
