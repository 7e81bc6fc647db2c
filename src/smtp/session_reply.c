/* SPDX-License-Identifier: MIT */
#include "smtp/session.h"

#include "util/check.h"
#include "util/counters.h"
#include "util/log.h"
#include "mail/reply.h"
#include "spool/message.h"
#include "smtp/server_private.h"
#include "smtp/session_history.h"
#include "smtp/verbs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void
log_refused(const struct session *s, int code, const char *text)
{
	const struct call *call = s->call;
	struct log_record r;

	log_begin(&r, LOG_INFO, "refused");
	if (!r.live)
		return;
	if (s->tx.m != NULL)
		log_id(&r, "msg", s->tx.m->id);
	session_log_client(&r, s);
	log_str(&r, "verb", call->verb->name);
	if (s->tx.m != NULL)
		log_str(&r, "from", s->tx.m->sender);
	if (call->path.text != NULL)
		log_bytes(&r, s->tx.m != NULL ? "to" : "from", call->path.text, call->path.len);
	else if (call->line.args_len > 0)
		log_bytes(&r, "args", call->line.args, call->line.args_len < 200 ? call->line.args_len : 200);
	log_u64(&r, "code", (uint64_t)code);
	log_str(&r, "reason", text);
	log_end(&r);
}

static void
vreply(struct session *s, int code, const char *enhanced, const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof text, fmt, ap);
	reply_add(&s->scratch->out, code, enhanced, text);
	if (code < 400)
		return;
	s->errors++;
	counter_add(COUNTER_COMMANDS_REFUSED, 1);
	if (s->call != NULL && (s->call->verb->flags & VERB_LOGGED)) {
		log_refused(s, code, text);
		session_history_refused(s, code, enhanced, text);
	}
}

void
session_reply(struct session *s, int code, const char *enhanced, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vreply(s, code, enhanced, fmt, ap);
	va_end(ap);
}

void
session_close(struct session *s, int code, const char *enhanced, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vreply(s, code, enhanced, fmt, ap);
	va_end(ap);
	s->closing = true;
}

/* Sends what fits; the rest, which is rare, is copied so that a client that does not read holds no buffers. */
int
session_park(struct session *s)
{
	struct buf *out = &s->scratch->out;
	char *left = NULL;
	ssize_t n = 0;
	size_t size = out->len;

	if (size > 0 && !s->gone) {
		n = io_send(&s->io, out->data, size);
		if (n < 0 && errno != EAGAIN)
			s->gone = true;
		n = n < 0 ? 0 : n;
		if ((size_t)n < size && !s->gone)
			left = xmemdup(out->data + n, size - (size_t)n);
	}
	input_park(&s->in);
	server_scratch_give(s->home, &s->scratch);
	if (left != NULL && io_write(&s->io, left, size - (size_t)n, session_command_deadline(s)) < 0)
		s->gone = true;
	free(left);
	return s->gone ? -1 : 0;
}

void
session_unpark(struct session *s)
{
	s->scratch = server_scratch_take(s->home);
	if (input_fits(&s->in, SCRATCH_INPUT))
		input_borrow(&s->in, s->scratch->in, SCRATCH_INPUT);
}
