/* SPDX-License-Identifier: MIT */
#include "mail/trace.h"

#include "mail/address.h"
#include "util/buf.h"
#include "util/clock.h"

#include <stdio.h>
#include <string.h>

enum { HELO_SHOWN = 100 };

/* What a peer said, inside a comment: no parenthesis, no backslash, no line end survives. */
static void
add_quoted(struct buf *out, const char *s)
{
	size_t i;

	buf_addc(out, '"');
	for (i = 0; s[i] != '\0' && i < HELO_SHOWN; i++)
		buf_addc(out, s[i] > ' ' && s[i] < 0x7f && strchr("()\\\"", s[i]) == NULL ? s[i] : '?');
	buf_addc(out, '"');
}

/* FROM Extended-Domain: the name a client gave, and what we know ourselves in parentheses. */
static void
add_from(struct buf *out, const struct trace *t)
{
	const char *helo = t->helo != NULL ? t->helo : "";
	bool literal = address_valid_literal(helo, strlen(helo));
	bool valid = literal || address_valid_domain(helo, strlen(helo), 0);
	const char *client = t->client;

	/* DNS names may hold any byte. */
	if (client != NULL && !address_valid_domain(client, strlen(client), 0))
		client = NULL;
	buf_adds(out, "Received: from ");
	if (valid)
		buf_adds(out, helo);
	else
		buf_adds(out, t->literal != NULL ? t->literal : "localhost");
	if (t->literal != NULL && client != NULL)
		buf_printf(out, "%s(%s %s)", strlen(helo) + strlen(client) > 50 ? "\r\n\t" : " ", client, t->literal);
	else if (t->literal != NULL)
		buf_printf(out, " (%s)", t->literal);
	if (!valid && *helo != '\0') {
		buf_adds(out, " (HELO ");
		add_quoted(out, helo);
		buf_addc(out, ')');
	}
}

/* RFC 3848 and RFC 6531 4.3 name what was spoken. */
static void
add_with(struct buf *out, const struct trace *t)
{
	buf_adds(out, " with ");
	if (!t->esmtp) {
		buf_adds(out, "SMTP");
	} else {
		buf_adds(out, t->utf8 ? "UTF8SMTP" : "ESMTP");
		buf_adds(out, t->tls_version != NULL ? "S" : "");
		buf_adds(out, t->auth ? "A" : "");
	}
	if (t->tls_version != NULL)
		buf_printf(out, "\r\n\t(using %s with cipher %s (%d bits))", t->tls_version,
		    t->tls_cipher != NULL ? t->tls_cipher : "unknown", t->tls_bits);
}

/* Is the address fit for a header field as it is? */
static bool
can_show(const char *rcpt, bool utf8)
{
	for (; *rcpt != '\0'; rcpt++) {
		if ((unsigned char)*rcpt < ' ' || *rcpt == 0x7f || (!utf8 && (unsigned char)*rcpt > 127))
			return false;
	}
	return true;
}

/* The text of a second is made once in it: time zones make it dear. */
static const char *
date_text(int64_t when)
{
	static _Thread_local char text[40];
	static _Thread_local int64_t of = INT64_MIN;

	if (of != when) {
		clock_rfc5322(when, text, sizeof text);
		of = when;
	}
	return text;
}

void
trace_received(struct buf *out, const struct trace *t)
{
	add_from(out, t);
	buf_adds(out, "\r\n\tby ");
	buf_adds(out, t->by);
	add_with(out, t);
	buf_adds(out, "\r\n\tid ");
	buf_adds(out, t->id);
	if (t->rcpt != NULL && can_show(t->rcpt, t->utf8)) {
		buf_adds(out, strlen(t->rcpt) > 50 ? "\r\n\tfor <" : " for <");
		buf_adds(out, t->rcpt);
		buf_addc(out, '>');
	}
	buf_adds(out, ";\r\n\t");
	buf_adds(out, date_text(t->when));
	buf_adds(out, "\r\n");
}
