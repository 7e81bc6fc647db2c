/* SPDX-License-Identifier: MIT */
#include "delivery/errand_history.h"

#include "spool/message.h"
#include "spool/spool.h"

static enum history_kind
kind_of(const struct errand_rcpt *r)
{
	switch ((enum fate)r->fate) {
	case FATE_DELIVERED:
		return HISTORY_DELIVERED;
	case FATE_DEFERRED:
		return HISTORY_DEFERRED;
	case FATE_FAILED:
		return HISTORY_FAILED;
	default:
		return 0;
	}
}

static void
begin(struct history_event *e, const struct errand *a, const struct errand_rcpt *r, int64_t next)
{
	history_begin(e, kind_of(r), entry_id(a->entry));
	history_str(e, HISTORY_HOP, a->peer);
	history_str(e, HISTORY_REPLY, r->reply);
	history_u64(e, HISTORY_ATTEMPT, entry_attempts(a->entry) + 1);
	if (r->fate == FATE_DEFERRED)
		history_u64(e, HISTORY_NEXT, next > 0 ? (uint64_t)next : 0);
}

/* Who heard the same reply shares an event. */
void
errand_history_fates(const struct errand *a, unsigned first, unsigned count, enum fate only,
    int64_t next)
{
	const struct errand_rcpt *r, *before = NULL;
	struct history_event e;

	if (!history_on())
		return;
	e.live = false;
	for (unsigned i = first; i < first + count; i++) {
		r = &a->rcpt[i];
		if (kind_of(r) == 0 || (only != FATE_NONE && r->fate != only))
			continue;
		if (before == NULL || before->fate != r->fate || before->reply != r->reply ||
		    !history_str(&e, HISTORY_TO, errand_recipient(a, i)->address)) {
			history_end(&e);
			begin(&e, a, r, next);
			history_str(&e, HISTORY_TO, errand_recipient(a, i)->address);
		}
		before = r;
	}
	history_end(&e);
}

void
errand_history_done(const struct errand *a)
{
	struct history_event e;

	history_begin(&e, HISTORY_DONE, entry_id(a->entry));
	history_str(&e, HISTORY_ROUTE, queue_key(entry_queue(a->entry)));
	history_end(&e);
}

void
errand_history_report(const struct errand *a, enum history_kind kind, uint64_t report, unsigned count,
    const char *reason)
{
	struct history_event e;

	history_begin(&e, kind, entry_id(a->entry));
	history_str(&e, HISTORY_TO, a->loaded.message->sender);
	if (report != 0)
		history_u64(&e, HISTORY_REPORT, report);
	history_u64(&e, HISTORY_RCPTS, count);
	history_str(&e, HISTORY_REASON, reason);
	history_end(&e);
}

void
errand_history_rerouted(const struct errand *a, const char *key, uint64_t as)
{
	struct history_event e;

	history_begin(&e, HISTORY_REROUTED, entry_id(a->entry));
	history_str(&e, HISTORY_ROUTE, key);
	if (as != 0)
		history_u64(&e, HISTORY_AS, as);
	history_end(&e);
}

void
errand_history_made(const struct message *m, uint64_t about)
{
	struct history_event e;

	if (!history_on())
		return;
	history_begin(&e, HISTORY_RECEIVED, m->id);
	history_str(&e, HISTORY_FROM, m->sender);
	history_u64(&e, HISTORY_ABOUT, about);
	history_u64(&e, HISTORY_SIZE, m->size);
	history_u64(&e, HISTORY_RCPTS, m->rcpt_count);
	for (uint32_t i = 0; i < m->rcpt_count; i++) {
		if (history_str(&e, HISTORY_TO, m->rcpt[i].address))
			continue;
		history_end(&e);
		history_begin(&e, HISTORY_RECIPIENTS, m->id);
		history_str(&e, HISTORY_FROM, m->sender);
		history_str(&e, HISTORY_TO, m->rcpt[i].address);
	}
	history_end(&e);
}
