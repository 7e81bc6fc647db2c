/* SPDX-License-Identifier: MIT */
#include "smtp/session_history.h"

#include "spool/message.h"
#include "smtp/session.h"
#include "smtp/verbs.h"

#include <stdio.h>
#include <string.h>

/* In every event an address can be asked for: who sends, from where. */
static void
begin(struct history_event *e, enum history_kind kind, const struct session *s)
{
	const struct message *m = s->tx.m;

	history_begin(e, kind, m->id);
	history_str(e, HISTORY_FROM, m->sender);
	history_str(e, HISTORY_CLIENT, m->client);
}

static void
add_session(struct history_event *e, const struct session *s)
{
	history_str(e, HISTORY_HELO, s->helo);
	history_str(e, HISTORY_LOGIN, s->login);
	if (io_is_tls(&s->io))
		history_str(e, HISTORY_TLS, io_tls_version(&s->io));
}

/* All recipients, in further events where they are many. */
static void
add_recipients(struct history_event *e, const struct session *s)
{
	const struct message *m = s->tx.m;
	uint32_t i;

	for (i = 0; i < m->rcpt_count && e->live; i++) {
		if (history_str(e, HISTORY_TO, m->rcpt[i].address))
			continue;
		history_end(e);
		begin(e, HISTORY_RECIPIENTS, s);
		history_str(e, HISTORY_TO, m->rcpt[i].address);
	}
}

void
session_history_received(const struct session *s)
{
	const struct message *m = s->tx.m;
	struct history_event e;

	if (!history_on())
		return;
	begin(&e, HISTORY_RECEIVED, s);
	add_session(&e, s);
	history_str(&e, HISTORY_DIRECTION, m->flags & MESSAGE_OUTBOUND ? "outbound" : "inbound");
	history_u64(&e, HISTORY_SIZE, m->size);
	history_u64(&e, HISTORY_RCPTS, m->rcpt_count);
	add_recipients(&e, s);
	history_end(&e);
}

void
session_history_committed(const struct message *m)
{
	struct history_event e;

	history_begin(&e, HISTORY_COMMITTED, m->id);
	history_end(&e);
}

void
session_history_aborted(const struct session *s, uint64_t size, const char *reason)
{
	struct history_event e;

	if (!history_on())
		return;
	begin(&e, HISTORY_ABORTED, s);
	add_session(&e, s);
	history_u64(&e, HISTORY_SIZE, size);
	history_str(&e, HISTORY_REASON, reason);
	add_recipients(&e, s);
	history_end(&e);
}

void
session_history_refused(const struct session *s, int code, const char *enhanced, const char *text)
{
	const struct call *call = s->call;
	bool recipient = strcmp(call->verb->name, "RCPT") == 0;
	struct history_event e;
	char reply[512];

	if (!history_on() || s->tx.m == NULL || (!recipient && s->tx.m->rcpt_count == 0))
		return;
	begin(&e, HISTORY_REFUSED, s);
	add_session(&e, s);
	snprintf(reply, sizeof reply, "%d %s%s%s", code, enhanced != NULL ? enhanced : "", enhanced != NULL ? " " : "", text);
	history_str(&e, HISTORY_REPLY, reply);
	if (!recipient)
		add_recipients(&e, s);
	else if (call->path.text != NULL)
		history_bytes(&e, HISTORY_TO, call->path.text, call->path.len);
	else
		history_bytes(&e, HISTORY_TO, call->line.args, call->line.args_len);
	history_end(&e);
}
