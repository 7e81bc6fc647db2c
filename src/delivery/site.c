/* SPDX-License-Identifier: MIT */
#include "delivery/site.h"

#include "delivery/conn.h"
#include "delivery/limit.h"
#include "delivery/exchange.h"
#include "delivery/schedule.h"
#include "directory/settings.h"
#include "net/loop.h"
#include "net/task.h"
#include "spool/spool.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/counters.h"
#include "util/log.h"

#include <stdlib.h>

static void on_post(struct post *post);
static void on_timer(struct timer *timer);
static void on_grow(struct timer *timer);

uint64_t
site_now(const struct site *site)
{
	return loop_now(site->home->loop);
}

struct site *
site_new(struct home *home, struct queue *queue)
{
	struct site *site = xcalloc(1, sizeof(*site));

	site->home = home;
	site->delivery = home->delivery;
	site->settings = settings_ref(home->settings);
	site->spool = home->delivery->spool;
	site->queue = queue;
	site->route = settings_route_by_key(site->settings, queue_key(queue));
	site->post.fn = on_post;
	timer_init(&site->timer, on_timer);
	timer_init(&site->grow, on_grow);
	if (site->route != NULL) {
		hops_init(&site->hops, site->route, &site->settings->queue);
		sources_init(&site->sources, site->route->source);
	}
	site->exchange = exchange_new(site);
	list_append(&home->sites, &site->link);
	return site;
}

void
site_free(struct site **site)
{
	struct site *s = *site;

	if (s == NULL)
		return;
	list_remove(&s->link);
	timer_clear(&s->timer);
	timer_clear(&s->grow);
	exchange_free(&s->exchange);
	hops_fini(&s->hops);
	sources_fini(&s->sources);
	settings_unref(&s->settings);
	free(s);
	*site = NULL;
}

/* Entries nobody is on the way to take. */
static unsigned
unclaimed(const struct site *site)
{
	unsigned due = queue_due(site->queue);

	return due > site->woken ? due - site->woken : 0;
}

static bool
spilling(const struct site *site)
{
	return site->spill_until > site_now(site);
}

static void
start_grow(struct site *site)
{
	if (site->growing)
		return;
	site->growing = true;
	site->drained = false;
	timer_set(&site->grow, site_now(site) + GROW_TICK);
}

static void
set_timer(struct site *site, uint64_t when)
{
	if (when == 0)
		timer_clear(&site->timer);
	else
		timer_set(&site->timer, when);
}

static void
try_again_later(struct site *site)
{
	set_timer(site, site_now(site) + START_AGAIN);
}

/* For what comes first: a dead hop's time, or the end of a wait. */
static void
arm(struct site *site)
{
	uint64_t next = hops_next_probe(&site->hops);

	if (site->wait_until > site_now(site) && (next == 0 || site->wait_until < next))
		next = site->wait_until;
	set_timer(site, next);
}

void
site_wait(struct site *site, uint64_t when)
{
	if (site->wait_until <= site_now(site) || when < site->wait_until)
		site->wait_until = when;
	arm(site);
}

/* The idle connection used last, of those that may send. */
static struct conn *
ready_conn(struct site *site, struct hop *hop)
{
	list_each(link, &hop->idle) {
		struct conn *c = list_entry(link, struct conn, link);

		if (c->rate_until <= site_now(site))
			return c;
	}
	return NULL;
}

static void
open_another(struct site *site, struct hop *hop)
{
	if (hop->full_until > site_now(site))
		site_wait(site, hop->full_until);
	else if (conn_open(site, hop) < 0)
		try_again_later(site);
}

/* One entry goes to HOP. False when that has to wait. */
static bool
hand_over(struct site *site, struct hop *hop)
{
	struct conn *c = ready_conn(site, hop);

	if (c != NULL) {
		hops_charge(&site->hops, hop);
		if (conn_wake(c) == 0)
			return true;
		try_again_later(site);
		return false;
	}
	/* Another address of ours may have something left where this one has not. */
	if (hop->conns == 0 || (hop->idle_count > 0 && site->sources.count > 1 && hop_room(hop, site_now(site)) > 0))
		open_another(site, hop);
	return false;
}

static void
probe(struct site *site)
{
	struct hop *hop;

	while ((hop = hops_to_probe(&site->hops, site_now(site))) != NULL) {
		hop_probe(hop);
		if (conn_open(site, hop) == 0)
			continue;
		hop->state = HOP_DEAD;
		hop->dead_until = site_now(site) + START_AGAIN;
		return;
	}
}

/* Nobody to deliver to: one timer, whatever the length of the queue. How often messages are looked at for their age
 * depends on how many there are, so that it costs next to nothing. */
static void
pause_queue(struct site *site)
{
	uint64_t now = site_now(site), next = site->hops.count > 0 ? hops_next_probe(&site->hops)
	    : exchange_next(site->exchange);
	uint64_t wait = queue_due(site->queue) / 10;

	if (site->sweep_at == 0 || site->sweep_at > now + SWEEP_MAX) {
		wait = wait < SWEEP_MIN ? SWEEP_MIN : wait > SWEEP_MAX ? SWEEP_MAX : wait;
		site->sweep_at = now + wait;
	}
	if (site->sweep_at <= now && !site->working) {
		site->sweep_at = 0;
		site_sweep(site);
		return; /* it pumps when it ends */
	}
	if (next == 0 || next > site->sweep_at)
		next = site->sweep_at;
	set_timer(site, next);
}

static void
pump(struct site *site)
{
	struct hop *hop;
	bool alive;

	if (site->retired) {
		site_leave(site);
		return;
	}
	if (site_is_ending(site) || queue_due(site->queue) == 0)
		return;
	site->used_at = site_now(site);
	if (site->route == NULL) {
		if (!site->working)
			site_reroute(site);
		return;
	}
	if (site->exchange != NULL && !exchange_ready(site)) {
		if (exchange_waits(site->exchange))
			pause_queue(site);
		return;
	}
	site_look_at_suspensions(site);
	probe(site);
	alive = hops_any_alive(&site->hops);
	queue_set_stalled(site->queue, !alive);
	if (!alive) {
		pause_queue(site);
		return;
	}
	arm(site);
	while (unclaimed(site) > 0) {
		hop = hops_choose(&site->hops, spilling(site), NULL);
		if (hop == NULL || !hand_over(site, hop))
			break;
	}
	if (unclaimed(site) > 0)
		start_grow(site);
}

static void
on_post(struct post *post)
{
	struct site *site = list_entry(post, struct site, post);

	site->posted = false;
	pump(site);
}

static void
on_timer(struct timer *timer)
{
	pump(list_entry(timer, struct site, timer));
}

void
site_pump_later(struct site *site)
{
	if (site->posted)
		return;
	site->posted = true;
	loop_post(site->home->loop, &site->post);
}

void
site_work(struct site *site, void (*fn)(void *site), const char *name)
{
	site->working = true;
	site->work_settings = settings_ref(site->settings);
	atomic_fetch_add(&site->delivery->active, 1);
	if (task_start(fn, site, name) == 0)
		return;
	site->working = false;
	settings_unref(&site->work_settings);
	atomic_fetch_sub(&site->delivery->active, 1);
	try_again_later(site);
}

void
site_work_ended(struct site *site)
{
	site->working = false;
	settings_unref(&site->work_settings);
	atomic_fetch_sub(&site->delivery->active, 1);
	site_pump_later(site);
}

static void
log_hop(const struct site *site, const struct hop *hop, enum log_level level, const char *event, const char *why)
{
	struct log_record r;

	log_begin(&r, level, event);
	log_str(&r, "key", queue_key(site->queue));
	log_str(&r, "hop", hop->text);
	if (hop->state == HOP_DEAD) {
		log_u64(&r, "retry_ms", hop->dead_until - site_now(site));
		log_u64(&r, "failures", hop->failures);
	}
	log_str(&r, "reason", why);
	log_end(&r);
}

static void
look_for_silence(struct site *site, struct hop *hop)
{
	if (hop->suspect || hop->conns == 0 || hop->idle_count > 0 ||
	    site_now(site) < hop->progress_at + HOP_SILENCE)
		return;
	hop->suspect = true;
	log_hop(site, hop, LOG_WARN, "hop-silent", "no reply while mail waits");
}

/* Doubles the connections at most, one step a tick, and not while earlier ones are still being opened. */
static bool
grow(struct site *site, struct hop *hop)
{
	unsigned n = hop->opening > 0 ? 0 : hop_room(hop, site_now(site));
	unsigned most = hop->conns > 1 ? hop->conns : 1;

	if (n > most)
		n = most;
	if (n > unclaimed(site))
		n = unclaimed(site);
	for (unsigned i = 0; i < n; i++)
		if (conn_open(site, hop) < 0)
			break;
	return n > 0;
}

/* Work has waited for a whole tick: another connection where there may be one; else others take it. */
static void
relieve(struct site *site)
{
	struct hop *hop = hops_choose(&site->hops, false, NULL);

	if (hop == NULL)
		return;
	look_for_silence(site, hop);
	if (grow(site, hop))
		return;
	site->spill_until = site_now(site) + SPILL_TIME;
	for (unsigned i = 0; i < site->hops.count; i++)
		if (site->hops.hop[i] != hop && hops_alike(hop, site->hops.hop[i]) &&
		    site->hops.hop[i]->idle_count == 0)
			grow(site, site->hops.hop[i]);
}

static void
on_grow(struct timer *timer)
{
	struct site *site = list_entry(timer, struct site, grow);

	site->growing = false;
	if (site_is_ending(site) || unclaimed(site) == 0 || site->route == NULL)
		return;
	if (!site->drained)
		relieve(site);
	pump(site);
}

/* Its destination's rate holds it back. */
static bool
must_wait(struct site *site, struct conn *c)
{
	uint64_t wait = c->limit != NULL && !site_is_ending(site) ? limit_wait(c->limit, clock_us()) : 0;

	if (wait == 0 || queue_due(site->queue) == 0)
		return false;
	c->rate_until = site_now(site) + wait / 1000 + 1;
	site_wait(site, c->rate_until);
	return true;
}

struct entry *
site_take(struct site *site, struct conn *c)
{
	bool meant = c->woken;
	struct hop *hop;

	if (meant)
		site->woken--;
	c->woken = false;
	if (c->hop->suspended || must_wait(site, c))
		return NULL;
	while (!site_is_ending(site) && queue_due(site->queue) > (meant ? 0 : site->woken)) {
		if (meant)
			return queue_take(site->queue);
		hop = hops_choose(&site->hops, spilling(site), c->hop);
		if (hop == c->hop) {
			hops_charge(&site->hops, hop);
			return queue_take(site->queue);
		}
		if (hop == NULL || !hand_over(site, hop)) {
			start_grow(site);
			return NULL;
		}
	}
	site->drained = true;
	return NULL;
}

bool
site_may_return(struct site *site, uint64_t id)
{
	if (site->blamed != id) {
		site->blamed = id;
		site->blame = 0;
	}
	if (++site->blame <= site->hops.count)
		return true;
	site->blamed = 0;
	return false;
}

void
site_hop_failed(struct site *site, struct hop *hop, const char *why)
{
	if (hop_failed(&site->hops, hop, site_now(site), why)) {
		if (!hop->counted)
			counter_add(COUNTER_NEXT_HOPS_DOWN, 1);
		hop->counted = true;
		log_hop(site, hop, LOG_WARN, "hop-dead", why);
	} else
		log_hop(site, hop, LOG_INFO, "hop-refuses", why);
	site_pump_later(site);
}

void
site_hop_established(struct site *site, struct hop *hop)
{
	if (!hop_established(hop) || site->retired)
		return;
	if (hop->counted)
		counter_sub(COUNTER_NEXT_HOPS_DOWN, 1);
	hop->counted = false;
	log_hop(site, hop, LOG_INFO, "hop-alive", NULL);
	site_pump_later(site);
}

void
site_drain(struct site *site)
{
	if (site->exchange != NULL)
		exchange_stop(site->exchange);
	for (unsigned i = 0; i < site->hops.count; i++) {
		list_each_safe(link, &site->hops.hop[i]->idle)
			conn_quit(list_entry(link, struct conn, link));
		list_each_safe(busy, &site->hops.hop[i]->busy)
			conn_stop_opening(list_entry(busy, struct conn, link));
	}
}

void
site_wake(struct site *site)
{
	uint64_t now = site_now(site);
	struct hop *hop;

	for (unsigned i = 0; i < site->hops.count; i++) {
		hop = site->hops.hop[i];
		if (hop->state != HOP_DEAD)
			continue;
		hop->dead_until = now;
		/* Should it fail, the pause after it is as long as the one cut short here, not longer. */
		if (hop->failures > 0)
			hop->failures--;
	}
	site->sweep_at = now;
	if (site->exchange != NULL)
		exchange_wake(site->exchange);
	site_pump_later(site);
}

bool
site_is_idle(const struct site *site)
{
	return exchange_of_recipients(site->exchange) && site->conns == 0 && !site->posted && !site->growing && !site->working &&
	    !exchange_busy(site->exchange) && queue_is_empty(site->queue) &&
	    site->used_at + LINGER < site_now(site);
}

void
site_abort(struct site *site)
{
	for (unsigned i = 0; i < site->hops.count; i++) {
		list_each_safe(link, &site->hops.hop[i]->idle)
			conn_abort(list_entry(link, struct conn, link));
		list_each_safe(busy, &site->hops.hop[i]->busy)
			conn_abort(list_entry(busy, struct conn, link));
	}
}
