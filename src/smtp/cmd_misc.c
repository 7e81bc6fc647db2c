/* SPDX-License-Identifier: MIT */
#include "util/buf.h"
#include "util/counters.h"
#include "directory/settings.h"
#include "smtp/verbs.h"

void
rset_act(struct session *s, struct call *call)
{
	(void)call;
	session_end_transaction(s);
	session_reply(s, 250, "2.0.0", "ok");
}

/* RFC 5321 4.1.1.9: the parameter is ignored. */
void
noop_act(struct session *s, struct call *call)
{
	(void)call;
	session_reply(s, 250, "2.0.0", "ok");
}

/* RFC 5321 3.5.3: 252 says that the address was not verified, and tells nobody who exists. */
void
vrfy_act(struct session *s, struct call *call)
{
	(void)call;
	session_reply(s, 252, "2.0.0", "not verified; send some mail, it will be tried");
}

static void
help_on(struct session *s, const struct call *call)
{
	const struct verb *v = verb_find(call->line.args, call->line.args_len);

	if (v == NULL || v->help == NULL)
		session_reply(s, 504, "5.5.4", "no help on that");
	else
		session_reply(s, 214, "2.0.0", "syntax: %s", v->help);
}

void
help_act(struct session *s, struct call *call)
{
	struct buf text = { 0 };
	const struct verb *v;

	if (call->line.args_len > 0) {
		help_on(s, call);
		return;
	}
	buf_adds(&text, "commands:");
	for (v = verbs; v->name != NULL; v++)
		if (v->help != NULL)
			buf_printf(&text, " %s", v->name);
	session_reply(s, 214, "2.0.0", "%s", buf_str(&text));
	buf_fini(&text);
}

void
quit_act(struct session *s, struct call *call)
{
	(void)call;
	s->said_quit = true;
	session_close(s, 221, "2.0.0", "%s closing the connection", session_settings(s)->hostname);
}

void
unimplemented_act(struct session *s, struct call *call)
{
	session_reply(s, 502, "5.5.1", "%s is not implemented", call->verb->name);
}

/* Whatever follows was written by somebody who does not know that this is mail. */
void
not_smtp_act(struct session *s, struct call *call)
{
	(void)call;
	session_close(s, 421, "4.7.0", "%s this is a mail server", session_settings(s)->hostname);
}
