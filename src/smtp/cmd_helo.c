/* SPDX-License-Identifier: MIT */
#include "util/buf.h"
#include "util/check.h"
#include "util/str.h"
#include "directory/settings.h"
#include "smtp/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELO_MAX = 255, LIMIT_MAX = 999999 };

/* RFC 5321 4.1.1.1: ehlo = "EHLO" SP ( Domain / address-literal ). Many hosts call themselves something that is
 * neither, but none needs more than these characters. */
bool
helo_valid(const char *s, size_t n)
{
	size_t i;

	if (n > HELO_MAX)
		return false;
	for (i = 0; i < n; i++)
		if (!ascii_is_alnum(s[i]) && strchr(".-_:[]", s[i]) == NULL)
			return false;
	return true;
}

int
helo_parse(struct session *s, struct call *call)
{
	if (helo_valid(call->line.args, call->line.args_len))
		return 0;
	session_reply(s, 501, "5.5.4", "%s wants a host name or an address literal", call->verb->name);
	return -1;
}

/* A second greeting is as RSET (RFC 5321 4.1.4). */
static void
greeted(struct session *s, const struct call *call, bool esmtp)
{
	session_reset(s);
	s->helo = xstrndup(call->line.args, call->line.args_len);
	s->esmtp = esmtp;
	s->stage = STAGE_HELO;
}

void
helo_act(struct session *s, struct call *call)
{
	greeted(s, call, false);
	session_reply(s, 250, NULL, "%s", session_settings(s)->hostname);
}

/* RFC 9422: what is refused later anyway; values have six digits at most. */
static const char *
limits_keyword(const struct limit_settings *limits, char *out, size_t size)
{
	int n = snprintf(out, size, "\nLIMITS");

	if (limits->recipients <= LIMIT_MAX)
		n += snprintf(out + n, size - (size_t)n, " RCPTMAX=%u", limits->recipients);
	if (limits->messages_per_session > 0 && limits->messages_per_session <= LIMIT_MAX)
		n += snprintf(out + n, size - (size_t)n, " MAILMAX=%u", limits->messages_per_session);
	return strchr(out, '=') != NULL ? out : "";
}

void
ehlo_act(struct session *s, struct call *call)
{
	const struct settings *settings = session_settings(s);
	struct buf auth = { 0 };
	char limits[64];

	greeted(s, call, true);
	auth_add_offer(s, &auth);
	session_reply(s, 250, NULL,
	    "%s\nPIPELINING\nSIZE %llu\n8BITMIME\nCHUNKING\nBINARYMIME\nSMTPUTF8\nDSN\nENHANCEDSTATUSCODES%s%s%s%s\nHELP",
	    settings->hostname, (unsigned long long)settings->limits.message_size,
	    limits_keyword(&settings->limits, limits, sizeof limits),
	    session_offers_tls(s) ? "\nSTARTTLS" : "", xclient_offered(s), buf_str(&auth));
	buf_fini(&auth);
}
