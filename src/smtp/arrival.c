/* SPDX-License-Identifier: MIT */
#include "smtp/arrival.h"

#include "util/check.h"
#include "util/counters.h"
#include "util/list.h"
#include "util/log.h"
#include "net/loop.h"
#include "net/proxyproto.h"
#include "directory/settings.h"
#include "smtp/identity.h"
#include "smtp/server_private.h"
#include "smtp/session.h"

#include <errno.h>

/* ---- the greeting ---- */

void
arrival_greet(struct session *s)
{
	uint32_t delay = s->listener->settings->greet_delay;

	if (delay == 0) {
		session_greet(s);
		return;
	}
	s->state = SESSION_GREETING;
	s->deadline = loop_now(s->home->loop) + (uint64_t)delay * 1000;
}

static void
greet_now(struct session *s)
{
	session_greet(s);
	s->deadline = session_command_deadline(s);
}

bool
arrival_too_early(struct session *s, const char *when)
{
	bool refused = s->listener->settings->early_talkers == EARLY_REFUSE;
	struct log_record r;

	if (s->listener->settings->greet_delay == 0 || s->early)
		return false;
	s->early = true;
	counter_add(COUNTER_SESSIONS_EARLY_TALKERS, 1);
	log_begin(&r, LOG_INFO, "early_talker");
	session_log_client(&r, s);
	log_str(&r, "before", when);
	log_u64(&r, "code", refused ? 554 : 220);
	log_end(&r);
	return refused;
}

/* Something came while the greeting was held back. True: it is being carried out. */
static bool
on_early(struct session *s)
{
	char piece[INPUT_LINE_MAX];
	ssize_t n = io_recv(&s->io, piece, sizeof piece);

	if (n < 0 && errno == EAGAIN)
		return false; /* a record of TLS without data */
	if (n <= 0) {
		s->gone = true;
		counter_add(COUNTER_SESSIONS_LOST, 1);
	} else if (arrival_too_early(s, "greeting")) {
		session_last_word(s, 554, "5.5.1", "you spoke before the greeting");
		s->closing = true;
	} else {
		input_unread(&s->in, piece, (size_t)n);
		greet_now(s);
		if (!s->gone) {
			session_serve(s);
			return true;
		}
	}
	return false;
}

/* ---- the PROXY protocol ---- */

static void
log_connect(const struct session *s)
{
	struct log_record r;

	log_begin(&r, LOG_DEBUG, "connect");
	if (!r.live)
		return;
	session_log_client(&r, s);
	log_str(&r, "listener", s->listener->settings->name);
	log_end(&r);
}

/* The client is known. */
static void
arrived(struct session *s)
{
	const struct listener_settings *l = s->listener->settings;

	identity_authorise(s);
	s->may_xclient = identity_is_client(s) && networks_have(l->xclient, l->xclient_count, &s->peer);
	log_connect(s);
	if (l->tls == TLS_IMPLICIT)
		s->state = SESSION_HANDSHAKE;
	else
		arrival_greet(s);
}

static void
refuse_header(struct session *s, const char *why)
{
	struct log_record r;

	counter_add(COUNTER_SESSIONS_REFUSED_PROXY, 1);
	log_begin(&r, LOG_WARN, "proxy_failed");
	session_log_client(&r, s);
	log_str(&r, "listener", s->listener->settings->name);
	log_str(&r, "reason", why);
	log_end(&r);
	s->gone = true;
}

static void
introduced(struct session *s, const struct proxy_header *h)
{
	struct identity *id = s->id;
	const char *why;

	buf_fini(&id->head);
	if (h->known) {
		s->peer = h->source;
		id->local = h->destination;
		id->told = true;
	}
	id->counted = s->peer;
	s->deadline = session_command_deadline(s);
	why = server_client_enters(s->listener, &s->peer, id->told);
	s->counted = why == NULL;
	if (s->counted) {
		arrived(s);
		return;
	}
	if (s->listener->settings->tls != TLS_IMPLICIT)
		session_last_word(s, 421, "4.7.0", why);
	s->closing = true;
}

/* What is behind the header is left where it is: it may be a TLS handshake. */
static void
on_header(struct session *s)
{
	char piece[PROXY_V2_MAX];
	struct buf *head = &s->id->head;
	ssize_t n = io_peek(&s->io, piece, sizeof piece);
	struct proxy_header h;
	const char *why;
	size_t before = head->len, take;
	enum proxy_parse answer;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		s->gone = true;
		return;
	}
	buf_add(head, piece, (size_t)n);
	answer = proxy_parse(head->data, head->len, &h, &why);
	if (answer == PROXY_BAD) {
		refuse_header(s, why);
		return;
	}
	take = answer == PROXY_MORE ? (size_t)n : h.len - before;
	check(io_recv(&s->io, piece, take) == (ssize_t)take);
	if (answer == PROXY_HEADER)
		introduced(s, &h);
}

void
arrival_idle(struct io *io, bool timed_out)
{
	struct session *s = list_entry(io, struct session, io);

	if (s->state == SESSION_PROXY) {
		if (timed_out)
			refuse_header(s, "no header came in time");
		else
			on_header(s);
	} else if (timed_out) {
		greet_now(s);
	} else if (on_early(s)) {
		return;
	}
	session_rest(s);
}

void
session_start(struct server_loop *home, struct smtp_listener *listener, int fd, const struct addr *peer,
    bool proxied)
{
	struct session *s = xcalloc(1, sizeof *s);

	io_init(&s->io, fd);
	s->home = home;
	s->listener = listener;
	s->peer = *peer;
	s->stage = STAGE_CONNECT;
	s->counted = !proxied;
	s->deadline = session_command_deadline(s);
	list_append(&home->sessions, &s->link);
	if (proxied) {
		identity_of(s);
		s->state = SESSION_PROXY;
		s->deadline = loop_now(home->loop) + ARRIVAL_PROXY_MS;
	} else {
		arrived(s);
	}
	session_rest(s);
}
