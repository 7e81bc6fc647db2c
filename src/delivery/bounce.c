/* SPDX-License-Identifier: MIT */
#include "delivery/bounce.h"

#include "delivery/errand.h"
#include "delivery/errand_history.h"
#include "delivery/routing.h"
#include "delivery/site.h"
#include "directory/settings.h"
#include "mail/datastream.h"
#include "mail/utf8.h"
#include "spool/spool.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/counters.h"
#include "util/log.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

/* What is to be said of a recipient; 0: nothing. RFC 3461 4.1: without NOTIFY failures are reported, and delays as the
 * server likes: we do; success only where it was asked for. */
static enum dsn_action
action_for(const struct errand *a, unsigned i, bool delays)
{
	uint8_t notify = errand_recipient(a, i)->notify;

	switch ((enum fate)a->rcpt[i].fate) {
	case FATE_FAILED:
		return notify == 0 || (notify & NOTIFY_FAILURE) ? DSN_FAILED : 0;
	case FATE_DEFERRED:
		return delays && (notify == 0 || (notify & NOTIFY_DELAY)) ? DSN_DELAYED : 0;
	case FATE_DELIVERED:
	case FATE_NOTED:
		return notify & NOTIFY_SUCCESS ? a->success : 0;
	default:
		return 0;
	}
}

static unsigned
collect(const struct errand *a, bool delays, int64_t now, struct dsn_recipient *out, unsigned *failed)
{
	enum dsn_action action;
	unsigned n = 0;

	*failed = 0;
	for (unsigned i = 0; i < a->count; i++) {
		const struct recipient *to = errand_recipient(a, i);

		if ((action = action_for(a, i, delays)) == 0)
			continue;
		*failed += action == DSN_FAILED;
		out[n++] = (struct dsn_recipient){
			.action = action,
			.address = to->address,
			.orcpt = to->orcpt,
			.reply = a->rcpt[i].reply,
			.status = a->rcpt[i].status,
			.peer = a->peer,
			.last_attempt = a->peer != NULL ? now : 0,
		};
	}
	return n;
}

static void
log_bounce(const struct errand *a, const char *event, uint64_t report, unsigned count, const char *reason)
{
	struct log_record r;

	log_begin(&r, LOG_INFO, event);
	log_id(&r, "msg", entry_id(a->entry));
	log_str(&r, "to", a->loaded.message->sender);
	if (report != 0)
		log_id(&r, "report", report);
	log_u64(&r, "recipients", count);
	log_str(&r, "reason", reason);
	log_end(&r);
}

static void
dropped(const struct errand *a, unsigned failed, const char *reason)
{
	if (failed == 0)
		return;
	counter_add(COUNTER_BOUNCES_DROPPED, 1);
	log_bounce(a, "bounce-dropped", 0, failed, reason);
	errand_history_report(a, HISTORY_UNREPORTED, 0, failed, reason);
}

static void
made(const struct errand *a, uint64_t report, const struct dsn *dsn, unsigned failed, bool delays)
{
	if (failed > 0) {
		counter_add(COUNTER_BOUNCES_SENT, 1);
		log_bounce(a, "bounced", report, dsn->count, NULL);
		errand_history_report(a, HISTORY_BOUNCED, report, dsn->count, NULL);
	} else if (delays) {
		counter_add(COUNTER_WARNINGS_SENT, 1);
		log_bounce(a, "delay-warning", report, dsn->count, NULL);
		errand_history_report(a, HISTORY_WARNED, report, dsn->count, NULL);
	} else {
		counter_add(COUNTER_SUCCESSES_REPORTED, 1);
		log_bounce(a, "success-reported", report, dsn->count, NULL);
		errand_history_report(a, HISTORY_CONFIRMED, report, dsn->count, NULL);
	}
}

/* The text of the report; the beginning of the original goes into it. */
static void
write_report(struct errand *a, struct dsn *dsn, struct buf *out)
{
	const struct message *m = a->loaded.message;
	char *original = xmalloc(DSN_FULL_MAX);
	ssize_t n = message_read(a->site->spool, m, 0, original, DSN_FULL_MAX, NULL);

	dsn->content = original;
	dsn->content_len = n > 0 ? (size_t)n : 0;
	dsn->content_size = m->size;
	dsn_build(out, dsn);
	free(original);
}

static struct message *
as_message(struct errand *a, uint64_t id, int64_t now, const char *key, const struct buf *text)
{
	struct arena *arena = arena_new(0);
	struct message *report = message_new(id, &arena);

	report->received = now;
	report->flags = MESSAGE_BOUNCE;
	if (datastream_has_dots(text->data, text->len))
		report->flags |= MESSAGE_DOTS;
	if (!utf8_is_ascii(a->loaded.message->sender))
		report->flags |= MESSAGE_SMTPUTF8 | MESSAGE_8BITMIME;
	report->sender = "";
	report->rcpt = arena_zalloc(report->arena, sizeof(*report->rcpt));
	report->rcpt_count = 1;
	report->rcpt[0].address = arena_strdup(report->arena, a->loaded.message->sender);
	report->rcpt[0].group = message_group(report, key);
	/* Over the budget it is kept all the same: it is small, and refusing it would lose it. */
	(void)spool_charge(a->site->spool, report, text->len);
	message_append(report, text->data, text->len);
	return report;
}

static struct message *
make(struct errand *a, struct dsn *dsn, const char *key)
{
	struct message *report;
	struct buf text = { 0 };
	char id_buf[ID_TEXT], original_buf[ID_TEXT];
	uint64_t id = spool_next_id(a->site->spool);

	id_text(id, id_buf);
	id_text(entry_id(a->entry), original_buf);
	dsn->id = id_buf;
	dsn->original_id = original_buf;
	write_report(a, dsn, &text);
	report = as_message(a, id, dsn->now, key, &text);
	buf_fini(&text);
	return report;
}

struct message *
bounce_new(struct errand *a, bool delays, int64_t now, int64_t retry_until)
{
	const struct settings *s = a->site->settings;
	const struct message *m = a->loaded.message;
	struct dsn_recipient *rcpt = arena_alloc(a->loaded.arena, a->count * sizeof(*rcpt));
	unsigned failed;
	struct dsn dsn = {
		.action = DSN_FAILED, .hostname = s->hostname, .to = m->sender, .envid = m->envid, .now = now,
		.arrival = m->received, .retry_until = retry_until, .rcpt = rcpt, .full = m->ret == 'F',
		.count = collect(a, delays, now, rcpt, &failed),
	};
	const struct route_settings *route;
	char key[SETTINGS_KEY_TEXT];
	struct message *report;

	if (dsn.count == 0)
		return NULL;
	if (m->sender[0] == '\0') {
		dropped(a, failed, "null sender");
		return NULL;
	}
	route = routing_of_report(s, m->sender);
	if (route == NULL) {
		dropped(a, failed, "no route to the sender");
		return NULL;
	}
	report = make(a, &dsn, settings_key(route, m->sender, key));
	made(a, report->id, &dsn, failed, delays);
	errand_history_made(report, entry_id(a->entry));
	return report;
}
