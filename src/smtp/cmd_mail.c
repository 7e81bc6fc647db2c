/* SPDX-License-Identifier: MIT */
#include "util/counters.h"
#include "util/err.h"
#include "util/log.h"
#include "directory/settings.h"
#include "spool/spool.h"
#include "smtp/defence.h"
#include "smtp/sender_match.h"
#include "smtp/server_private.h"
#include "smtp/verbs.h"

#include <stdio.h>

static int
refused(struct session *s, int code, const char *enhanced, const char *text)
{
	counter_add(COUNTER_SENDERS_REFUSED, 1);
	session_reply(s, code, enhanced, "%s", text);
	return -1;
}

/* RFC 5321 4.1.1.2: mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF */
int
mail_parse(struct session *s, struct call *call)
{
	const unsigned offers = OFFER_SIZE | OFFER_8BITMIME | OFFER_BINARYMIME | OFFER_DSN | OFFER_SMTPUTF8 |
	    (auth_is_to_be_had(s) ? OFFER_AUTH : 0);
	struct params_error error;
	const char *path, *why;
	size_t n;
	int used;

	path = command_after(&call->line, "FROM:", &n);
	if (path == NULL)
		return refused(s, 501, "5.5.4", "syntax: MAIL FROM:<sender>");
	/* Whether more than ASCII is allowed stands behind the address. */
	used = address_parse_path(path, n, ADDRESS_NULL | ADDRESS_UTF8, &call->path, &why);
	if (used < 0)
		call->path.text = NULL;
	if (used < 0)
		return refused(s, 501, "5.1.7", why);
	if (params_parse_mail(path + used, n - (size_t)used, offers, &call->params.mail, &error) < 0)
		return refused(s, error.code, error.enhanced, error.text);
	if (call->path.utf8 && !call->params.mail.smtputf8)
		return refused(s, 553, "5.6.7", "characters outside ASCII need SMTPUTF8");
	return 0;
}

/* A `client` sends as itself; whoever has logged in is somebody else. */
static int
may_send(struct session *s, const struct address *sender)
{
	const struct client_settings *client = session_client(s);
	char text[ADDRESS_MAX + 1];

	snprintf(text, sizeof text, "%.*s", (int)sender->len, sender->text);
	if (client != NULL && s->login == NULL && !client_may_send(client, text))
		return refused(s, 553, "5.7.1", "that sender is not yours to use");
	if (!sender_match_envelope(s, text))
		return refused(s, 553, "5.7.1", "that sender does not belong to your login");
	return 0;
}

static int
admitted(struct session *s, const struct mail_params *params)
{
	const struct limit_settings *limits = &session_settings(s)->limits;
	uint64_t declared = params->has_size ? params->size : 0;
	struct err err;

	if (limits->messages_per_session != 0 && s->messages >= limits->messages_per_session) {
		counter_add(COUNTER_SENDERS_REFUSED, 1);
		session_close(s, 421, "4.7.0", "%s too many messages in one session", session_settings(s)->hostname);
		return -1;
	}
	if (declared > limits->message_size) {
		counter_add(COUNTER_MESSAGES_REFUSED_SIZE, 1);
		return refused(s, 552, "5.3.4", "message is larger than allowed here");
	}
	if (!defence_message(s))
		return -1;
	if (spool_admit(session_spool(s), declared, &err) < 0) {
		counter_add(COUNTER_MESSAGES_REFUSED_SPACE, 1);
		log_event(LOG_DEBUG, "no_room", "%s", err.text);
		return refused(s, 452, "4.3.1", "no room for mail just now, try again later");
	}
	return 0;
}

void
mail_act(struct session *s, struct call *call)
{
	if (session_server(s)->draining) {
		session_close(s, 421, "4.3.2", "%s is shutting down, try again later", session_settings(s)->hostname);
		return;
	}
	if (admitted(s, &call->params.mail) < 0 || may_send(s, &call->path) < 0)
		return;
	mail_transaction_begin(s, &call->path, &call->params.mail);
	session_reply(s, 250, "2.1.0", "sender ok");
}
