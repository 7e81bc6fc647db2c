/* SPDX-License-Identifier: MIT */
#include "util/buf.h"
#include "util/counters.h"
#include "util/err.h"
#include "util/log.h"
#include "util/str.h"
#include "mail/utf8.h"
#include "directory/settings.h"
#include "spool/message.h"
#include "spool/spool.h"
#include "smtp/content.h"
#include "smtp/session_history.h"
#include "smtp/verbs.h"

/* Recipients listed in the log line of a message; their number is always there. */
enum { LOGGED_RCPTS = 10 };

/* "a@x,b@x": the first few recipients. */
static void
log_recipients(struct log_record *r, const struct message *m)
{
	struct buf list = { 0 };
	uint32_t i;

	if (m->rcpt_count == 1) {
		log_str(r, "to", m->rcpt[0].address);
		return;
	}
	for (i = 0; i < m->rcpt_count && i < LOGGED_RCPTS; i++)
		buf_printf(&list, "%s%s", i > 0 ? "," : "", m->rcpt[i].address);
	if (m->rcpt_count > LOGGED_RCPTS)
		buf_adds(&list, ",...");
	log_bytes(r, "to", list.data, list.len);
	buf_fini(&list);
}

static void
log_received(const struct session *s, const struct message *m)
{
	struct log_record r;

	log_begin(&r, LOG_INFO, "received");
	if (!r.live)
		return;
	log_id(&r, "msg", m->id);
	session_log_client(&r, s);
	log_str(&r, "from", m->sender);
	log_u64(&r, "rcpts", m->rcpt_count);
	log_recipients(&r, m);
	log_u64(&r, "size", m->size);
	log_str(&r, "tls", io_is_tls(&s->io) ? io_tls_version(&s->io) : "none");
	if (s->certificate != NULL && s->certificate->verified)
		log_str(&r, "certificate", s->certificate->name);
	log_str(&r, "direction", m->flags & MESSAGE_OUTBOUND ? "outbound" : "inbound");
	log_end(&r);
}

static void
accepted(struct session *s, const struct message *m)
{
	char id[ID_TEXT];

	id_text(m->id, id);
	log_received(s, m);
	session_history_committed(m);
	s->messages++;
	counter_add(COUNTER_MESSAGES_RECEIVED, 1);
	counter_add(COUNTER_RECIPIENTS_RECEIVED, m->rcpt_count);
	counter_add(COUNTER_BYTES_RECEIVED, m->size);
	session_reply(s, 250, "2.0.0", "queued as %s", id);
}

static bool
envelope_is_ascii(const struct message *m)
{
	uint32_t i;

	for (i = 0; i < m->rcpt_count; i++)
		if (!utf8_is_ascii(m->rcpt[i].address) || (m->rcpt[i].orcpt != NULL && !utf8_is_ascii(m->rcpt[i].orcpt)))
			return false;
	return utf8_is_ascii(m->sender);
}

/* Does mail that was given as SMTPUTF8 need it? What is ASCII in envelope and header can go anywhere (RFC 6531 3.2: the
 * parameter is for messages that need it), and many clients say it always. */
static bool
needs_smtputf8(const struct message *m, const struct content *c)
{
	uint64_t left = m->size - c->stream.size + c->stream.header_size;
	const struct chunk *k;
	size_t i;

	if (!envelope_is_ascii(m) || m->blob[0] != '\0')
		return true;
	for (k = m->first; k != NULL && left > 0; k = k->next)
		for (i = 0; i < k->len && left > 0; i++, left--)
			if ((unsigned char)k->data[i] > 127)
				return true;
	return false;
}

/* From here to 250 nothing asks whether the client is still there: once the message is committed it is ours, and a
 * client that did not see the reply sends it again (RFC 1047). */
void
data_commit(struct session *s, const struct content *c)
{
	struct message *m = s->tx.m;
	char id[ID_TEXT];
	struct err err;
	int rc;

	if (c->stream.flags & DATA_DOTS)
		m->flags |= MESSAGE_DOTS;
	if (c->stream.flags & DATA_8BIT)
		m->flags |= MESSAGE_8BITMIME;
	if ((m->flags & MESSAGE_SMTPUTF8) && !needs_smtputf8(m, c))
		m->flags &= ~(uint32_t)MESSAGE_SMTPUTF8;
	if (s->tx.direction == DIRECTION_OUTBOUND)
		m->flags |= MESSAGE_OUTBOUND;
	s->stage = STAGE_MESSAGE;
	session_history_received(s);
	rc = spool_commit(session_spool(s), m, &err);
	if (rc < 0 && m->blob[0] != '\0')
		spool_blob_drop(session_spool(s), m);
	session_unpark(s);
	if (rc == 0) {
		accepted(s, m);
		return;
	}
	id_text(m->id, id);
	counter_add(COUNTER_MESSAGES_REFUSED_SPOOL, 1);
	log_event(LOG_ERROR, "commit_failed", "msg %s: %s", id, err.text);
	session_reply(s, 451, "4.3.0", "the message could not be stored, try again later");
}

/* A client may send nothing behind DATA before it has the reply (RFC 2920 3.1). What is there although DATA was
 * refused is a message and must not be taken for commands. */
static void
refused(struct session *s, int code, const char *text)
{
	session_reply(s, code, "5.5.1", "%s", text);
	if (input_waiting(&s->in) > 0)
		session_close(s, 421, "4.7.0", "%s wait for the reply to DATA", session_settings(s)->hostname);
}

void
data_act(struct session *s, struct call *call)
{
	struct content content;

	(void)call;
	if (s->tx.m->rcpt_count == 0) {
		refused(s, 554, s->tx.refused > 0 ? "no valid recipients" : "need RCPT before DATA");
		return;
	}
	if (s->tx.m->flags & MESSAGE_BINARYMIME) {
		refused(s, 503, "BINARYMIME needs BDAT"); /* RFC 3030 3 */
		return;
	}
	session_reply(s, 354, NULL, "go ahead; end with <CRLF>.<CRLF>");
	if (session_park(s) < 0)
		return;
	s->state = SESSION_DATA;
	switch (content_receive(&content, s)) {
	case CONTENT_WHOLE:
		data_commit(s, &content);
		break;
	case CONTENT_REFUSED:
		session_unpark(s);
		session_reply(s, content.no.code, content.no.enhanced, "%s", content.no.text);
		break;
	case CONTENT_LOST:
		break;
	}
	session_end_transaction(s);
	s->stage = STAGE_OUTCOME;
	s->state = SESSION_COMMAND;
}
