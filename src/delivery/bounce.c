/* SPDX-License-Identifier: MIT */
#include "delivery/bounce.h"

#include "delivery/errand.h"
#include "delivery/errand_history.h"
#include "delivery/site.h"
#include "directory/settings.h"
#include "mail/datastream.h"
#include "spool/spool.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/counters.h"
#include "util/log.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

/* RFC 3461 4.1: without NOTIFY failures are reported, and delays as the server likes: we do. */
static bool
wants(const struct recipient *to, enum dsn_action action)
{
	if (to->notify == 0)
		return true;
	if (to->notify & NOTIFY_NEVER)
		return false;
	return (to->notify & (action == DSN_FAILED ? NOTIFY_FAILURE : NOTIFY_DELAY)) != 0;
}

static unsigned
collect(const struct errand *a, enum dsn_action action, int64_t now, struct dsn_recipient *out)
{
	enum fate fate = action == DSN_FAILED ? FATE_FAILED : FATE_DEFERRED;
	unsigned n = 0;

	for (unsigned i = 0; i < a->count; i++) {
		const struct recipient *to = errand_recipient(a, i);

		if (a->rcpt[i].fate != fate || !wants(to, action))
			continue;
		out[n++] = (struct dsn_recipient){
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
dropped(const struct errand *a, enum dsn_action action, unsigned count, const char *reason)
{
	if (action != DSN_FAILED)
		return;
	counter_add(COUNTER_BOUNCES_DROPPED, 1);
	log_bounce(a, "bounce-dropped", 0, count, reason);
	errand_history_report(a, HISTORY_UNREPORTED, 0, count, reason);
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
bounce_new(struct errand *a, enum dsn_action action, int64_t now, int64_t retry_until)
{
	const struct settings *s = a->site->settings;
	const struct message *m = a->loaded.message;
	struct dsn_recipient *rcpt = arena_alloc(a->loaded.arena, a->count * sizeof(*rcpt));
	struct dsn dsn = {
		.action = action, .hostname = s->hostname, .to = m->sender, .envid = m->envid, .now = now,
		.arrival = m->received, .retry_until = retry_until, .rcpt = rcpt, .full = m->ret == 'F',
		.count = collect(a, action, now, rcpt),
	};
	const struct route_settings *route;
	struct message *report;

	if (dsn.count == 0)
		return NULL;
	if (m->sender[0] == '\0') {
		dropped(a, action, dsn.count, "null sender");
		return NULL;
	}
	route = settings_route(s, "", m->sender);
	if (route == NULL) {
		dropped(a, action, dsn.count, "no route to the sender");
		return NULL;
	}
	report = make(a, &dsn, route->key);
	counter_add(action == DSN_FAILED ? COUNTER_BOUNCES_SENT : COUNTER_WARNINGS_SENT, 1);
	log_bounce(a, action == DSN_FAILED ? "bounced" : "delay-warning", report->id, dsn.count, NULL);
	errand_history_report(a, action == DSN_FAILED ? HISTORY_BOUNCED : HISTORY_WARNED, report->id, dsn.count, NULL);
	errand_history_made(report, entry_id(a->entry));
	return report;
}
