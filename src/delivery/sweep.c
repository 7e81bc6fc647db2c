/* SPDX-License-Identifier: MIT */
/* While no next hop of a site can be reached its queue stands still. Messages still get old: their sender is warned
 * once, and told when it is over. An administrator's bounce does not wait for a next hop either. */
#include "delivery/errand.h"
#include "delivery/exchange.h"
#include "delivery/schedule.h"
#include "delivery/site.h"
#include "directory/settings.h"
#include "net/loop.h"
#include "net/task.h"
#include "spool/spool.h"
#include "util/clock.h"

#include <stdio.h>

enum { SLICE = 500 }; /* entries looked at in one turn of the loop */

/* Nothing is loaded to find out: null senders, whose life may be shorter, are looked at when the shorter is over. */
static bool
needs_a_look(const struct site *site, const struct entry *e, int64_t now)
{
	const struct queue_settings *q = &site->settings->queue;
	uint32_t life = q->lifetime < q->bounce_lifetime ? q->lifetime : q->bounce_lifetime;

	return entry_bounce_wanted(e) || now - entry_received(e) >= (int64_t)life ||
	    schedule_warn(q, entry_received(e), entry_warned(e), now);
}

/* What keeps the queue waiting: the last error of the first hop that has one, and its status. */
static const char *
describe(const struct site *site, char *out, size_t size)
{
	if (site->hops.count == 0 && site->exchange != NULL) {
		snprintf(out, size, "%s", exchange_trouble(site->exchange));
		return "4.4.3"; /* RFC 3463: directory server failure */
	}
	for (unsigned i = 0; i < site->hops.count; i++) {
		const struct hop *hop = site->hops.hop[i];

		if (hop->suspended) {
			snprintf(out, size, "delivery to %s is suspended by the administrator", hop->text);
			return "4.3.2"; /* RFC 3463: not accepting network messages */
		}
		if (hop->error[0] == '\0')
			continue;
		snprintf(out, size, "next hop %s cannot be reached: %s", hop->text, hop->error);
		return hop->error_status != NULL ? hop->error_status : "4.4.1";
	}
	snprintf(out, size, "no next hop can be reached");
	return "4.4.1";
}

static void
look(struct site *site, struct errand *a, struct entry *e, int64_t now)
{
	const struct queue_settings *q = &site->settings->queue;
	char reason[HOP_ERROR_TEXT + HOP_TEXT + 64];
	const struct message *m;
	const char *status;

	if (errand_begin(a, site, e) < 0)
		return;
	m = a->loaded.message;
	a->hop_down = true;
	if (entry_bounce_wanted(e))
		errand_return_to_sender(a);
	else if (now >= schedule_end(q, m->received, m->sender[0] == '\0') ||
	    schedule_warn(q, m->received, entry_warned(e), now)) {
		status = describe(site, reason, sizeof(reason));
		errand_settle_all(a, FATE_DEFERRED, reason, status);
	}
	if (a->count > 0 && a->rcpt[0].fate == FATE_NONE)
		errand_return_last(a);
	else
		errand_end(a);
}

static void
sweep(void *arg)
{
	struct site *site = arg;
	struct errand a = { 0 };
	unsigned total = queue_due(site->queue);
	int64_t now = clock_wall();
	struct entry *e;

	for (unsigned n = 0; n < total; n++) {
		if (site_is_ending(site) || hops_any_alive(&site->hops))
			break;
		if ((e = queue_take(site->queue)) == NULL)
			break;
		if (needs_a_look(site, e, now))
			look(site, &a, e, now);
		else
			entry_return(e, false);
		if (n % SLICE == SLICE - 1)
			task_yield();
	}
	errand_fini(&a);
	site_work_ended(site);
}

void
site_sweep(struct site *site)
{
	site_work(site, sweep, "sweep");
}
