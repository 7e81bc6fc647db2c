/* SPDX-License-Identifier: MIT */
#include "util/counters.h"
#include "directory/settings.h"
#include "spool/message.h"
#include "smtp/server.h"
#include "smtp/server_private.h"
#include "smtp/verbs.h"
#include "smtp/verify.h"

#include <stdio.h>
#include <string.h>

/* RFC 3461 4.2: at most 500 octets. */
struct rcpt_room {
	char orcpt[INPUT_LINE_MAX];
};

static int
refused(struct session *s, enum counter counter, int code, const char *enhanced, const char *text)
{
	counter_add(counter, 1);
	s->tx.refused++;
	session_reply(s, code, enhanced, "%s", text);
	return -1;
}

/* RFC 5321 4.1.1.3: rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path )
 * [SP Rcpt-parameters] CRLF */
int
rcpt_parse(struct session *s, struct call *call)
{
	struct params_error error;
	const char *path, *why;
	size_t n;
	bool utf8;
	int used;

	path = command_after(&call->line, "TO:", &n);
	if (path == NULL)
		return refused(s, COUNTER_RECIPIENTS_REFUSED_OTHER, 501, "5.5.4", "syntax: RCPT TO:<recipient>");
	utf8 = (s->tx.m->flags & MESSAGE_SMTPUTF8) != 0;
	used = address_parse_path(path, n, ADDRESS_POSTMASTER | (utf8 ? ADDRESS_UTF8 : 0), &call->path, &why);
	if (used < 0)
		call->path.text = NULL;
	if (used == ADDRESS_NOT_ASCII)
		return refused(s, COUNTER_RECIPIENTS_REFUSED_OTHER, 553, "5.6.7", why);
	if (used < 0)
		return refused(s, COUNTER_RECIPIENTS_REFUSED_OTHER, 501, "5.1.3", why);
	if (params_parse_rcpt(path + used, n - (size_t)used, OFFER_DSN | (utf8 ? OFFER_SMTPUTF8 : 0), &call->params.rcpt,
	    &error) < 0)
		return refused(s, COUNTER_RECIPIENTS_REFUSED_OTHER, error.code, error.enhanced, error.text);
	return 0;
}

/* The domain whose postmaster a bare <Postmaster> is: our host name where it is routed here, else the first domain
 * of ours, since somebody has to read it (RFC 5321 4.5.1). */
static const char *
postmaster_domain(const struct settings *settings)
{
	const struct route_settings *route;
	unsigned i, j;

	if (settings_is_ours(settings, settings->hostname))
		return settings->hostname;
	for (i = 0; i < settings->route_count; i++) {
		route = &settings->route[i];
		for (j = 0; j < route->domain_count; j++)
			if (route->domain[j][0] != '.')
				return route->domain[j];
	}
	return settings->hostname;
}

/* The recipient as the rest of tmail knows it. */
static void
full_address(struct session *s, const struct address *path, char *out, size_t size)
{
	if (path->domain != NULL)
		snprintf(out, size, "%.*s", (int)path->len, path->text);
	else
		snprintf(out, size, "%.*s@%s", (int)path->len, path->text, postmaster_domain(session_settings(s)));
}

/* By the client alone so far; RFC 5321 3.3 lets a server put off what it cannot take together. */
static enum direction
direction_of(const struct session *s)
{
	return s->may_relay ? DIRECTION_OUTBOUND : DIRECTION_INBOUND;
}

static const struct route_settings *
routed(struct session *s, const struct address *path, const char *address)
{
	const struct settings *settings = session_settings(s);
	struct route_query q = { .sender = s->tx.m->sender, .recipient = address, .login = s->tx.m->login,
		.group = settings_group(settings, s->tx.m->login, &s->peer),
		.listener = s->listener->settings->name };
	const struct route_settings *route;

	if (!settings_may_reach(settings, s->listener->settings, s->may_relay,
	    path->domain != NULL ? strrchr(address, '@') + 1 : NULL)) {
		refused(s, COUNTER_RECIPIENTS_REFUSED_RELAY, 550, "5.7.1", "relaying denied");
		return NULL;
	}
	route = settings_route(settings, &q);
	if (route == NULL)
		refused(s, COUNTER_RECIPIENTS_REFUSED_ROUTE, 550, "5.4.4", "no route to that recipient");
	return route;
}

/* Does the recipient exist, as far as that can be told? The line it came in may be gone afterwards: what is still
 * needed of it is kept in the caller's room. */
static int
exists(struct session *s, struct call *call, const struct route_settings *route, char *address, struct rcpt_room *room)
{
	struct rcpt_params *params = &call->params.rcpt;
	enum verify_answer answer;
	bool parked = false;

	if (route->recipients == RECIPIENTS_ANY)
		return 0;
	if (params->orcpt != NULL && params->orcpt_len <= sizeof room->orcpt)
		params->orcpt = memcpy(room->orcpt, params->orcpt, params->orcpt_len);
	answer = verify_recipient(s->home->server->verify, s, route, address, &parked);
	if (parked) {
		call->line.args_len = 0;
		call->path.text = address;
		call->path.len = strlen(address);
	}
	if (s->gone)
		return -1;
	if (answer == VERIFY_UNKNOWN)
		return refused(s, COUNTER_RECIPIENTS_REFUSED_UNKNOWN, 550, "5.1.1", "no such recipient here");
	if (answer == VERIFY_BUSY)
		return refused(s, COUNTER_RECIPIENTS_REFUSED_OTHER, 451, "4.3.0", "cannot verify it now, try again later");
	return 0;
}

void
rcpt_act(struct session *s, struct call *call)
{
	struct mail_transaction *tx = &s->tx;
	const struct route_settings *route;
	char address[ADDRESS_MAX + 1 + ADDRESS_DOMAIN_MAX + 1];
	struct rcpt_room room;

	full_address(s, &call->path, address, sizeof address);
	route = routed(s, &call->path, address);
	if (route == NULL)
		return;
	if (!mail_transaction_has(tx, address)) {
		if (tx->m->rcpt_count >= session_settings(s)->limits.recipients) {
			refused(s, COUNTER_RECIPIENTS_REFUSED_LIMIT, 452, "4.5.3", "too many recipients");
			return;
		}
		if (tx->direction != DIRECTION_NONE && tx->direction != direction_of(s)) {
			refused(s, COUNTER_RECIPIENTS_REFUSED_OTHER, 452, "4.5.3", "send separately");
			return;
		}
		if (exists(s, call, route, address, &room) < 0)
			return;
		tx->direction = direction_of(s);
		mail_transaction_add(tx, address, route, &call->params.rcpt);
	}
	session_reply(s, 250, "2.1.5", "recipient ok");
}
