/* SPDX-License-Identifier: MIT */
/* A new configuration in a running delivery. A site whose route is as it was goes on, connections and all; else another
 * site takes its queue over and the old one is retired: its attempts end by what they began with. */
#include "delivery/conn.h"
#include "delivery/delivery.h"
#include "delivery/exchange.h"
#include "delivery/site.h"
#include "directory/settings.h"
#include "net/loop.h"
#include "spool/spool.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/counters.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

/* One loop's part of delivery_apply(). */
struct change {
	struct post post;
	struct home *home;
	const struct settings *settings;
	bool same;
	sem_t *done;
};

static bool
same_text(struct buf *a, struct buf *b)
{
	bool same = a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);

	buf_fini(a);
	buf_fini(b);
	return same;
}

static bool
same_route(const struct route_settings *a, const struct route_settings *b)
{
	struct buf x = { 0 }, y = { 0 };

	settings_print_route(a, &x);
	settings_print_route(b, &y);
	return same_text(&x, &y);
}

/* What routes refer to by name, or go by unsaid. */
static bool
same_surroundings(const struct settings *a, const struct settings *b)
{
	static const char *const types[] = { "source", "secret", "destination", "dns", "tls" };
	struct buf x = { 0 }, y = { 0 };

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		settings_print_blocks(a, types[i], &x);
		settings_print_blocks(b, types[i], &y);
	}
	return same_text(&x, &y);
}

void
site_leave(struct site *site)
{
	if (!site->working && !site->posted && site->conns == 0 && !exchange_busy(site->exchange))
		site_free(&site);
}

static void
retire(struct site *site)
{
	site->retired = true;
	timer_clear(&site->timer);
	timer_clear(&site->grow);
	list_remove(&site->link);
	list_append(&site->home->retired, &site->link);
	for (unsigned i = 0; i < site->hops.count; i++)
		if (site->hops.hop[i]->counted) {
			counter_sub(COUNTER_NEXT_HOPS_DOWN, 1);
			site->hops.hop[i]->counted = false;
		}
	site_drain(site);
	site_pump_later(site);
}

/* SITE's queue goes to a site of the settings in force. */
static void
succeed(struct site *site)
{
	struct site *heir = site_new(site->home, site->queue);

	hops_inherit(&heir->hops, &site->hops, site_now(site));
	queue_set_user(site->queue, heir);
	retire(site);
	site_pump_later(heir);
}

void
site_apply(struct site *site, const struct settings *settings, bool same)
{
	const struct route_settings *route = settings_route_by_key(settings, queue_key(site->queue));

	if (route != NULL && site->route != NULL && same && same_route(site->route, route)) {
		hops_apply(&site->hops, &settings->queue);
		sources_apply(&site->sources, route->source);
	} else if (route != NULL || site->route != NULL) {
		succeed(site);
		return;
	}
	site->route = route;
	settings_unref(&site->settings);
	site->settings = settings_ref(settings);
}

static void
on_change(struct post *post)
{
	struct change *c = list_entry(post, struct change, post);
	struct home *home = c->home;
	struct list before;

	settings_unref(&home->settings);
	home->settings = settings_ref(c->settings);
	list_init(&before);
	while (!list_empty(&home->sites)) {
		struct list *link = home->sites.next;

		list_remove(link);
		list_append(&before, link);
	}
	while (!list_empty(&before)) {
		struct list *link = before.next;

		list_remove(link);
		list_append(&home->sites, link);
		site_apply(list_entry(link, struct site, link), c->settings, c->same);
	}
	sem_post(c->done);
}

static void
replace(struct delivery *d, const struct settings *settings)
{
	const struct settings *old;

	pthread_mutex_lock(&d->lock);
	old = d->settings;
	d->settings = settings_ref(settings);
	pthread_mutex_unlock(&d->lock);
	settings_unref(&old);
}

const struct settings *
delivery_settings(struct delivery *d)
{
	const struct settings *s;

	pthread_mutex_lock(&d->lock);
	s = settings_ref(d->settings);
	pthread_mutex_unlock(&d->lock);
	return s;
}

void
delivery_apply(struct delivery *d, const struct settings *settings)
{
	struct change *change = xcalloc(d->count, sizeof(*change));
	bool same = same_surroundings(d->settings, settings);
	sem_t done;

	check(sem_init(&done, 0, 0) == 0);
	replace(d, settings);
	for (unsigned i = 0; i < d->count; i++) {
		change[i] = (struct change){ .post.fn = on_change, .home = &d->home[i], .settings = settings,
			.same = same, .done = &done };
		loop_post(d->home[i].loop, &change[i].post);
	}
	for (unsigned i = 0; i < d->count; i++)
		while (sem_wait(&done) < 0)
			;
	sem_destroy(&done);
	free(change);
}
