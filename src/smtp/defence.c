/* SPDX-License-Identifier: MIT */
#include "smtp/defence.h"

#include "util/check.h"
#include "util/counters.h"
#include "util/list.h"
#include "net/loop.h"
#include "directory/settings.h"
#include "smtp/clients.h"
#include "smtp/server_private.h"
#include "smtp/session.h"

#include <stdlib.h>

/* Within the rates of everybody and, unless it may relay, of its client? */
static bool
within(struct session *s, enum client_rate rate)
{
	const struct limit_settings *limits = &session_settings(s)->limits;
	struct clients *clients = s->home->server->clients;

	return clients_take_all(clients, limits, rate) &&
	    (s->may_relay || clients_take(clients, limits, &s->peer, rate));
}

static void
too_many_errors(struct session *s, const char *text)
{
	counter_add(COUNTER_SESSIONS_ENDED_ERRORS, 1);
	session_close(s, 421, "4.7.0", "%s %s", session_settings(s)->hostname, text);
}

void
defence_errors(struct session *s, uint32_t before)
{
	const struct limit_settings *limits = &session_settings(s)->limits;
	uint32_t now = s->errors;
	bool good = true;

	for (; before < now; before++)
		good = within(s, RATE_ERRORS) && good;
	if (s->closing || s->gone)
		return;
	if (limits->errors != 0 && now >= limits->errors)
		too_many_errors(s, "too many errors");
	else if (!good)
		too_many_errors(s, "too many errors, try again later");
	else
		s->tarpit = limits->tarpit != 0 && now > limits->tarpit_after;
}

bool
defence_message(struct session *s)
{
	if (within(s, RATE_MESSAGES))
		return true;
	counter_add(COUNTER_MESSAGES_REFUSED_RATE, 1);
	session_reply(s, 450, "4.7.1", "too many messages, try again later");
	return false;
}

void
defence_hold(struct session *s)
{
	struct buf *out = &s->scratch->out;

	buf_fini(&s->held);
	buf_add(&s->held, out->data, out->len);
	out->len = 0;
}

static void
on_over(struct io *io, bool timed_out)
{
	struct session *s = list_entry(io, struct session, io);

	(void)timed_out;
	s->tarpit = false;
	session_serve(s);
}

void
defence_wait(struct session *s)
{
	counter_add(COUNTER_REPLIES_HELD_BACK, 1);
	io_pause(&s->io, on_over, loop_now(s->home->loop) + (uint64_t)session_settings(s)->limits.tarpit * 1000);
}

void
defence_release(struct session *s)
{
	if (s->held.len > 0 && io_write(&s->io, s->held.data, s->held.len, session_command_deadline(s)) < 0)
		s->gone = true;
	buf_fini(&s->held);
	s->deadline = session_command_deadline(s);
}
