/* SPDX-License-Identifier: MIT */
/* What is suspended, and the hops of sites. */
#include "delivery/conn.h"
#include "delivery/limit.h"
#include "delivery/site.h"
#include "delivery/suspend.h"
#include "directory/settings.h"
#include "net/loop.h"
#include "spool/spool.h"

#include <stdio.h>

static bool
is_suspended(const struct site *site, const struct hop *hop)
{
	const struct destination_settings *d;
	struct suspension_names names = { .route = site->route->key, .hop = hop->text,
		.domain = settings_key_domain(site->route, queue_key(site->queue)) };
	char host[HOP_TEXT];

	if (hop->host != NULL)
		snprintf(host, sizeof(host), "%s", hop->host);
	else
		addr_ip_text(&hop->address, host);
	names.host = host;
	if (names.domain == NULL && site->route->domain_count > 0)
		names.domain = site->route->domain[0];
	d = settings_destination(site->settings, host, names.domain);
	names.destination = d != NULL ? d->name : NULL;
	return suspensions_match(site->delivery->suspensions, &names);
}

void
site_look_at_suspensions(struct site *site)
{
	bool any = suspensions_any(site->delivery->suspensions), found = false;

	for (unsigned i = 0; (any || site->suspended) && i < site->hops.count; i++) {
		struct hop *hop = site->hops.hop[i];

		hop->suspended = any && is_suspended(site, hop);
		found = found || hop->suspended;
		if (!hop->suspended)
			continue;
		list_each_safe(link, &hop->idle)
			conn_quit(list_entry(link, struct conn, link));
	}
	site->suspended = found;
}

static void
on_review(struct post *post)
{
	struct home *home = list_entry(post, struct home, review);

	atomic_store(&home->reviewing, false);
	list_each(link, &home->sites) {
		struct site *site = list_entry(link, struct site, link);

		if (site->route == NULL)
			continue;
		site_look_at_suspensions(site);
		site_pump_later(site);
	}
}

static void
review(struct delivery *d)
{
	for (unsigned i = 0; i < d->count; i++) {
		if (atomic_exchange(&d->home[i].reviewing, true))
			continue;
		d->home[i].review.fn = on_review;
		loop_post(d->home[i].loop, &d->home[i].review);
	}
}

int
delivery_suspend(struct delivery *d, const char *name, const char *reason, struct err *err)
{
	int rc = suspensions_add(d->suspensions, name, reason, err);

	if (rc > 0)
		review(d);
	return rc;
}

int
delivery_resume(struct delivery *d, const char *name, struct err *err)
{
	int rc = suspensions_remove(d->suspensions, name, err);

	if (rc > 0)
		review(d);
	return rc;
}

void
delivery_suspensions(struct delivery *d, void (*fn)(const struct suspension *one, void *arg), void *arg)
{
	suspensions_each(d->suspensions, fn, arg);
}

void
delivery_limits(struct delivery *d, void (*fn)(const struct limit_status *s, void *arg), void *arg)
{
	limits_each(d->limits, fn, arg);
}
