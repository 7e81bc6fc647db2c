/* SPDX-License-Identifier: MIT */
#include "delivery/delivery.h"

#include "delivery/limit.h"
#include "delivery/site.h"
#include "delivery/suspend.h"
#include "directory/settings.h"
#include "net/loop.h"
#include "spool/spool.h"
#include "util/check.h"

#include <stdlib.h>

static void
on_drain(struct post *post)
{
	struct home *home = list_entry(post, struct home, drain);

	list_each(link, &home->sites)
		site_drain(list_entry(link, struct site, link));
	list_each(old, &home->retired)
		site_drain(list_entry(old, struct site, link));
}

static void
on_abort(struct post *post)
{
	struct home *home = list_entry(post, struct home, abort);

	list_each(link, &home->sites)
		site_abort(list_entry(link, struct site, link));
	list_each(old, &home->retired)
		site_abort(list_entry(old, struct site, link));
}

static void
on_wake(struct post *post)
{
	struct home *home = list_entry(post, struct home, wake);

	atomic_store(&home->waking, false);
	list_each(link, &home->sites)
		site_wake(list_entry(link, struct site, link));
}

/* Domains mail was sent to come and go without end. */
static void
on_tidy(struct timer *timer)
{
	struct home *home = list_entry(timer, struct home, tidy);

	list_each_safe(link, &home->sites) {
		struct site *site = list_entry(link, struct site, link);
		struct queue *queue = site->queue;

		if (!site_is_idle(site))
			continue;
		timer_clear(&site->timer);
		timer_clear(&site->grow);
		queue_set_user(queue, NULL);
		site_free(&site);
		queue_drop(queue);
	}
	timer_set(&home->tidy, loop_now(home->loop) + TIDY_EVERY);
}

void
delivery_new(struct delivery **out, const struct delivery_config *config)
{
	struct delivery *d = xcalloc(1, sizeof(*d));

	pthread_mutex_init(&d->lock, NULL);
	d->settings = settings_ref(config->settings);
	d->spool = config->spool;
	d->tls = config->tls;
	d->tls_verify = config->tls_verify;
	d->limits = limits_new();
	d->suspensions = suspensions_new(config->suspended);
	d->count = config->loop_count;
	d->home = xcalloc(d->count, sizeof(*d->home));
	for (unsigned i = 0; i < d->count; i++) {
		struct home *home = &d->home[i];

		home->delivery = d;
		home->loop = config->loops[i];
		home->drain.fn = on_drain;
		home->abort.fn = on_abort;
		home->wake.fn = on_wake;
		home->settings = settings_ref(config->settings);
		timer_init(&home->tidy, on_tidy);
		list_init(&home->sites);
		list_init(&home->retired);
	}
	*out = d;
}

static void
free_sites(struct list *sites)
{
	list_each_safe(link, sites) {
		struct site *site = list_entry(link, struct site, link);

		site_free(&site);
	}
}

void
delivery_free(struct delivery **delivery)
{
	struct delivery *d = *delivery;

	if (d == NULL)
		return;
	for (unsigned i = 0; i < d->count; i++) {
		free_sites(&d->home[i].sites);
		free_sites(&d->home[i].retired);
		timer_clear(&d->home[i].tidy);
		settings_unref(&d->home[i].settings);
	}
	settings_unref(&d->settings);
	pthread_mutex_destroy(&d->lock);
	limits_free(&d->limits);
	suspensions_free(&d->suspensions);
	free(d->home);
	free(d);
	*delivery = NULL;
}

static struct home *
home_of(struct delivery *d, const struct loop *loop)
{
	for (unsigned i = 0; i < d->count; i++)
		if (d->home[i].loop == loop)
			return &d->home[i];
	return NULL;
}

void
delivery_ready(struct queue *queue, void *arg)
{
	struct delivery *d = arg;
	struct site *site = queue_user(queue);

	if (site == NULL) {
		struct home *home = home_of(d, loop_current());

		check(home != NULL);
		site = site_new(home, queue);
		if (!home->tidying)
			timer_set(&home->tidy, loop_now(home->loop) + TIDY_EVERY);
		home->tidying = true;
		queue_set_user(queue, site);
	}
	site_pump_later(site);
}

void
delivery_drain(struct delivery *d)
{
	if (atomic_exchange(&d->draining, true))
		return;
	for (unsigned i = 0; i < d->count; i++)
		loop_post(d->home[i].loop, &d->home[i].drain);
}

void
delivery_abort(struct delivery *d)
{
	delivery_drain(d);
	if (atomic_exchange(&d->aborting, true))
		return;
	for (unsigned i = 0; i < d->count; i++)
		loop_post(d->home[i].loop, &d->home[i].abort);
}

void
delivery_wake(struct delivery *d)
{
	for (unsigned i = 0; i < d->count; i++)
		if (!atomic_exchange(&d->home[i].waking, true))
			loop_post(d->home[i].loop, &d->home[i].wake);
}

unsigned
delivery_active(const struct delivery *d)
{
	return atomic_load(&((struct delivery *)(uintptr_t)d)->active);
}
