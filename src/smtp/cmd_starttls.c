/* SPDX-License-Identifier: MIT */
#include "smtp/verbs.h"

/* RFC 3207 4.2: all that was learnt in plain text is forgotten, and nothing sent in plain text may be taken for
 * something said under TLS: a client that did not wait for 220 is let go. */
void
starttls_act(struct session *s, struct call *call)
{
	if (io_is_tls(&s->io)) {
		session_reply(s, 503, "5.5.1", "TLS is active already");
		return;
	}
	if (!session_offers_tls(s)) {
		session_reply(s, 502, "5.5.1", "%s is not offered", call->verb->name);
		return;
	}
	if (input_waiting(&s->in) > 0) {
		session_close(s, 554, "5.5.1", "nothing may follow %s before its reply", call->verb->name);
		return;
	}
	session_reply(s, 220, "2.0.0", "ready to start TLS");
	if (session_park(s) < 0)
		return;
	session_reset(s);
	if (session_handshake(s) == 0)
		session_unpark(s);
}
