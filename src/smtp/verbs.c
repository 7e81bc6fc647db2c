/* SPDX-License-Identifier: MIT */
#include "smtp/verbs.h"

#include "util/counters.h"
#include "util/str.h"
#include "directory/settings.h"
#include "smtp/server.h"

#include <string.h>

enum { LINE_SHORT = 512 };

const struct verb verbs[] = {
	{ "EHLO", VERB_PLAIN | VERB_ARGS, STAGE_HELO, helo_parse, ehlo_act, "EHLO name" },
	{ "HELO", VERB_PLAIN | VERB_ARGS, STAGE_HELO, helo_parse, helo_act, "HELO name" },
	{ "MAIL", VERB_AFTER_HELO | VERB_NOT_IN_MAIL | VERB_AUTH | VERB_LONG | VERB_LOGGED, STAGE_MAIL, mail_parse, mail_act,
	    "MAIL FROM:<sender> [SIZE=octets] [BODY=7BIT|8BITMIME|BINARYMIME] [SMTPUTF8] [RET=FULL|HDRS] [ENVID=xtext]" },
	{ "RCPT", VERB_AFTER_HELO | VERB_IN_MAIL | VERB_AUTH | VERB_LONG | VERB_LOGGED, STAGE_RCPT, rcpt_parse, rcpt_act,
	    "RCPT TO:<recipient> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=type;xtext]" },
	{ "DATA", VERB_AFTER_HELO | VERB_IN_MAIL | VERB_AUTH | VERB_NO_ARGS | VERB_LOGGED, STAGE_DATA, NULL, data_act,
	    "DATA" },
	{ "BDAT", VERB_AFTER_HELO | VERB_IN_MAIL | VERB_AUTH | VERB_OCTETS | VERB_LOGGED, STAGE_DATA, NULL, bdat_act,
	    "BDAT octets [LAST]" },
	{ "RSET", VERB_NO_ARGS, STAGE_NONE, NULL, rset_act, "RSET" },
	{ "NOOP", VERB_PLAIN, STAGE_NONE, NULL, noop_act, "NOOP [anything]" },
	{ "VRFY", VERB_ARGS | VERB_AUTH, STAGE_NONE, NULL, vrfy_act, "VRFY address" },
	{ "HELP", 0, STAGE_NONE, NULL, help_act, "HELP [verb]" },
	{ "QUIT", VERB_PLAIN | VERB_NO_ARGS, STAGE_NONE, NULL, quit_act, "QUIT" },
	{ "STARTTLS", VERB_PLAIN | VERB_NO_ARGS, STAGE_NONE, NULL, starttls_act, "STARTTLS" },
	{ "AUTH", VERB_NOT_IN_MAIL | VERB_ARGS | VERB_LINE_OF_AUTH, STAGE_NONE, NULL, auth_act,
	    "AUTH mechanism [initial-response]" },
	{ "XCLIENT", VERB_NOT_IN_MAIL | VERB_ARGS | VERB_LONG | VERB_LOGGED, STAGE_NONE, NULL, xclient_act,
	    "XCLIENT attribute=value..." },
	{ "XFORWARD", VERB_NOT_IN_MAIL | VERB_ARGS | VERB_LONG | VERB_LOGGED, STAGE_NONE, NULL, xforward_act,
	    "XFORWARD attribute=value..." },
	{ "EXPN", 0, STAGE_NONE, NULL, unimplemented_act, NULL },
	{ "TURN", 0, STAGE_NONE, NULL, unimplemented_act, NULL },
	{ "ETRN", 0, STAGE_NONE, NULL, unimplemented_act, NULL },
	{ "SEND", 0, STAGE_NONE, NULL, unimplemented_act, NULL },
	{ "SOML", 0, STAGE_NONE, NULL, unimplemented_act, NULL },
	{ "SAML", 0, STAGE_NONE, NULL, unimplemented_act, NULL },
	{ "GET", VERB_PLAIN | VERB_NOT_SMTP, STAGE_NONE, NULL, not_smtp_act, NULL },
	{ "POST", VERB_PLAIN | VERB_NOT_SMTP, STAGE_NONE, NULL, not_smtp_act, NULL },
	{ "CONNECT", VERB_PLAIN | VERB_NOT_SMTP, STAGE_NONE, NULL, not_smtp_act, NULL },
	{ 0 },
};

const struct verb *
verb_find(const char *name, size_t n)
{
	const struct verb *v;

	for (v = verbs; v->name != NULL; v++)
		if (str_nieq(name, v->name, n) && v->name[n] == '\0')
			return v;
	return NULL;
}

struct refusal
verb_out_of_order(const struct session *s, const struct verb *v)
{
	if (s->listener->settings->tls == TLS_REQUIRED && !io_is_tls(&s->io) && !(v->flags & VERB_PLAIN))
		return (struct refusal){ 530, "5.7.0", "must issue a STARTTLS command first" };
	if ((v->flags & VERB_AFTER_HELO) && s->helo == NULL)
		return (struct refusal){ 503, "5.5.1", "say EHLO or HELO first" };
	if ((v->flags & VERB_AUTH) && s->listener->settings->auth == AUTH_REQUIRED && s->login == NULL)
		return (struct refusal){ 530, "5.7.0", "authentication required" };
	if ((v->flags & VERB_IN_MAIL) && s->tx.m == NULL)
		return (struct refusal){ 503, "5.5.1", "need MAIL first" };
	if ((v->flags & VERB_NOT_IN_MAIL) && s->tx.m != NULL)
		return (struct refusal){ 503, "5.5.1", "a transaction is under way already" };
	/* RFC 3030 2: what begins with BDAT ends with BDAT. */
	if ((v->flags & VERB_IN_MAIL) && !(v->flags & VERB_OCTETS) && s->tx.chunks != NULL)
		return (struct refusal){ 503, "5.5.1", "the message has begun with BDAT" };
	return (struct refusal){ 0 };
}

/* Has the session come to where this verb may be said? */
static int
in_order(struct session *s, const struct verb *v)
{
	struct refusal no = verb_out_of_order(s, v);

	if (no.code == 0)
		return 0;
	session_reply(s, no.code, no.enhanced, "%s", no.text);
	return -1;
}

static size_t
line_limit(const struct verb *v)
{
	if (v->flags & VERB_LINE_OF_AUTH)
		return SIZE_MAX; /* the session's input has a limit of its own */
	return v->flags & VERB_LONG ? INPUT_LINE_MAX : LINE_SHORT;
}

/* What holds for the line whatever the verb makes of it. */
static int
well_formed(struct session *s, const struct call *call, size_t n)
{
	const struct verb *v = call->verb;

	if (n + 2 > line_limit(v)) {
		session_reply(s, 500, "5.5.2", "line too long");
		return -1;
	}
	if (call->line.eight_bit && !(v->flags & VERB_LONG)) {
		session_reply(s, 501, "5.5.2", "only ASCII is allowed here");
		return -1;
	}
	if ((v->flags & VERB_NO_ARGS) && call->line.args_len > 0) {
		session_reply(s, 501, "5.5.4", "%s takes no argument", v->name);
		return -1;
	}
	if ((v->flags & VERB_ARGS) && call->line.args_len == 0) {
		session_reply(s, 501, "5.5.4", "syntax: %s", v->help);
		return -1;
	}
	return 0;
}

static void
run(struct session *s, struct call *call, size_t n)
{
	const struct verb *v = call->verb;

	if (!(v->flags & VERB_OCTETS) && (in_order(s, v) < 0 || well_formed(s, call, n) < 0))
		return;
	if (v->parse != NULL && v->parse(s, call) < 0)
		return;
	if (v->stage != STAGE_NONE)
		s->stage = v->stage;
	v->act(s, call);
}

void
verbs_run(struct session *s, const char *line, size_t n)
{
	struct call call = { 0 };
	const char *why;

	s->commands++;
	counter_add(COUNTER_COMMANDS, 1);
	if (command_split(line, n, &call.line, &why) < 0) {
		session_reply(s, 500, "5.5.2", "%s", why);
		return;
	}
	call.verb = verb_find(call.line.verb, call.line.verb_len);
	if (call.verb == NULL) {
		session_reply(s, 500, "5.5.1", "unknown command");
		return;
	}
	s->call = &call;
	run(s, &call, n);
	s->call = NULL;
}
