/* SPDX-License-Identifier: MIT */
#include "delivery/hop.h"

#include "delivery/schedule.h"
#include "util/check.h"
#include "util/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t
least(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

unsigned
hop_tier(const struct route_settings *route, unsigned i, unsigned rank)
{
	unsigned order = route->balance == BALANCE_FAILOVER ? i : 0;

	return (route->hop_count > 0 && route->hop[i].backup ? HOP_TIER_BACKUP : 0) + (order << 16) + (rank & 0xffff);
}

void
hop_spec_of(const struct route_settings *route, unsigned i, struct hop_spec *out)
{
	const struct next_hop *conf = &route->hop[i];

	*out = (struct hop_spec){ .host = conf->host, .address = conf->address, .port = conf->port,
		.lmtp = conf->lmtp, .weight = conf->weight ? conf->weight : 1, .tier = hop_tier(route, i, 0) };
}

static const char *
put_text(const struct hop_spec *spec, const char *mx, char *out)
{
	const char *protocol = spec->lmtp ? "lmtp:" : "";
	char address[ADDR_TEXT];

	if (spec->host != NULL)
		snprintf(out, HOP_TEXT, "%s%s%s:%u", protocol, mx, spec->host, spec->port);
	else
		snprintf(out, HOP_TEXT, "%s%s", protocol, addr_text(&spec->address, address));
	return out;
}

const char *
hop_text(const struct next_hop *conf, char *out)
{
	const struct hop_spec spec = { .host = conf->host, .address = conf->address, .port = conf->port,
		.lmtp = conf->lmtp };

	return put_text(&spec, conf->kind == NEXT_HOP_MX ? "mx:" : "", out);
}

static struct hop *
hop_new(const struct hops *h, const struct hop_spec *spec)
{
	struct hop *hop = xcalloc(1, sizeof(*hop));

	hop->address = spec->address;
	hop->port = spec->port;
	hop->host = spec->host != NULL ? xstrdup(spec->host) : NULL;
	hop->lmtp = spec->lmtp;
	put_text(spec, "", hop->text);
	hop->state = HOP_UNUSED;
	hop->limit_max = h->connections;
	hop->limit = 1000 * least(HOP_START_LIMIT, hop->limit_max);
	list_init(&hop->idle);
	list_init(&hop->busy);
	return hop;
}

void
hop_free(struct hop *hop)
{
	free(hop->host);
	free(hop);
}

static struct hop *
find(const struct hops *h, const struct hop_spec *spec)
{
	for (unsigned i = 0; i < h->count; i++) {
		struct hop *hop = h->hop[i];

		if (hop->retired || hop->lmtp != spec->lmtp || (hop->host == NULL) != (spec->host == NULL))
			continue;
		if (spec->host != NULL ? hop->port == spec->port && strcmp(hop->host, spec->host) == 0
		    : hop->address.len == spec->address.len &&
			memcmp(&hop->address.u, &spec->address.u, hop->address.len) == 0)
			return hop;
	}
	return NULL;
}

void
hops_set(struct hops *h, const struct hop_spec *spec, unsigned count, void (*gone)(struct hop *hop, void *arg), void *arg)
{
	struct hop **set = xcalloc(count ? count : 1, sizeof(struct hop *)), *hop;
	struct hop **old = h->hop;
	unsigned old_count = h->count, n = 0;

	/* "retired" marks the old ones until they are found again. */
	for (unsigned i = 0; i < count; i++) {
		hop = find(h, &spec[i]);
		if (hop == NULL)
			hop = hop_new(h, &spec[i]);
		else
			hop->retired = true;
		hop->weight = spec[i].weight;
		hop->tier = spec[i].tier;
		set[n++] = hop;
	}
	h->hop = set;
	h->count = n;
	for (unsigned i = 0; i < old_count; i++) {
		if (old[i]->retired) {
			old[i]->retired = false;
			continue;
		}
		gone(old[i], arg);
		old[i]->retired = true;
		if (list_empty(&old[i]->idle) && list_empty(&old[i]->busy))
			hop_free(old[i]);
	}
	free(old);
}

void
hops_apply(struct hops *h, const struct queue_settings *queue)
{
	h->retry_min = least(HOP_RETRY_MIN, (uint64_t)queue->retry_min * 1000);
	h->retry_max = least(HOP_RETRY_MAX, (uint64_t)queue->retry_max * 1000);
}

void
hops_init(struct hops *h, const struct route_settings *route, const struct queue_settings *queue)
{
	struct hop_spec spec[SETTINGS_HOPS_MAX];
	unsigned n = 0;

	memset(h, 0, sizeof(*h));
	h->connections = route->connections ? route->connections : 1;
	hops_apply(h, queue);
	for (unsigned i = 0; i < route->hop_count; i++)
		if (route->hop[i].kind != NEXT_HOP_MX)
			hop_spec_of(route, i, &spec[n++]);
	hops_set(h, spec, n, NULL, NULL);
}

static void
inherit(struct hop *hop, struct hop *old, uint64_t now)
{
	hop->state = old->state;
	hop->suspect = old->suspect;
	hop->failures = old->failures;
	hop->dead_until = old->dead_until;
	hop->calm_until = old->calm_until;
	hop->plain_until = old->plain_until;
	hop->limit = old->limit < 1000 * hop->limit_max ? old->limit : 1000 * hop->limit_max;
	hop->dot_us = old->dot_us;
	hop->delivered = old->delivered;
	hop->deferred = old->deferred;
	hop->refused = old->refused;
	hop->error_at = old->error_at;
	memcpy(hop->error, old->error, sizeof(hop->error));
	hop->error_status = old->error_status;
	hop->counted = old->counted;
	old->counted = false;
	if (hop->state != HOP_PROBING)
		return;
	hop->state = HOP_DEAD; /* the probe is the old one's */
	hop->dead_until = now;
}

void
hops_inherit(struct hops *h, struct hops *old, uint64_t now)
{
	for (unsigned i = 0; i < h->count; i++)
		for (unsigned k = 0; k < old->count; k++)
			if (strcmp(h->hop[i]->text, old->hop[k]->text) == 0)
				inherit(h->hop[i], old->hop[k], now);
}

void
hops_fini(struct hops *h)
{
	for (unsigned i = 0; i < h->count; i++)
		hop_free(h->hop[i]);
	free(h->hop);
	h->hop = NULL;
	h->count = 0;
}

static bool
is_alive(const struct hop *hop)
{
	return !hop->suspended && (hop->state == HOP_ALIVE || hop->state == HOP_UNUSED);
}

/* Silent hops stand behind backups: a hop that answers is worth more than the order of the file. */
static unsigned
rank(const struct hop *hop)
{
	return hop->tier + (hop->suspect ? HOP_TIER_SUSPECT : 0);
}

static const struct hop *
best_alive(const struct hops *h)
{
	const struct hop *best = NULL;

	for (unsigned i = 0; i < h->count; i++)
		if (is_alive(h->hop[i]) && (best == NULL || rank(h->hop[i]) < rank(best)))
			best = h->hop[i];
	return best;
}

bool
hops_alike(const struct hop *a, const struct hop *b)
{
	return is_alive(a) && is_alive(b) && rank(a) == rank(b);
}

bool
hops_any_alive(const struct hops *h)
{
	return best_alive(h) != NULL;
}

bool
hop_is_free(const struct hop *hop)
{
	return hop->idle_count > 0 || hop->conns == 0;
}

struct hop *
hops_choose(const struct hops *h, bool spill, const struct hop *asking)
{
	const struct hop *best = best_alive(h);
	struct hop *chosen = NULL;

	for (unsigned i = 0; i < h->count; i++) {
		struct hop *hop = h->hop[i];

		if (!is_alive(hop) || rank(hop) != rank(best))
			continue;
		if (spill && hop != asking && !hop_is_free(hop))
			continue;
		if (chosen == NULL || hop->credit + hop->weight > chosen->credit + chosen->weight)
			chosen = hop;
	}
	return chosen;
}

void
hops_charge(struct hops *h, struct hop *chosen)
{
	int64_t total = 0, bound;
	unsigned best = rank(chosen);

	for (unsigned i = 0; i < h->count; i++)
		if (is_alive(h->hop[i]) && rank(h->hop[i]) == best)
			total += h->hop[i]->weight;
	/* What a hop that was passed over may catch up with later is bounded: a few turns. */
	bound = 4 * total;
	for (unsigned i = 0; i < h->count; i++) {
		struct hop *hop = h->hop[i];

		if (!is_alive(hop) || rank(hop) != best)
			continue;
		hop->credit += hop->weight;
		if (hop == chosen)
			hop->credit -= total;
		if (hop->credit > bound)
			hop->credit = bound;
		if (hop->credit < -bound)
			hop->credit = -bound;
	}
}

struct hop *
hops_to_probe(const struct hops *h, uint64_t now)
{
	for (unsigned i = 0; i < h->count; i++)
		if (!h->hop[i]->suspended && h->hop[i]->state == HOP_DEAD && h->hop[i]->dead_until <= now)
			return h->hop[i];
	return NULL;
}

uint64_t
hops_next_probe(const struct hops *h)
{
	uint64_t next = 0;

	for (unsigned i = 0; i < h->count; i++)
		if (!h->hop[i]->suspended && h->hop[i]->state == HOP_DEAD && (next == 0 || h->hop[i]->dead_until < next))
			next = h->hop[i]->dead_until;
	return next;
}

unsigned
hop_room(const struct hop *hop, uint64_t now)
{
	unsigned allowed = hop->limit / 1000;

	if (!is_alive(hop) || hop->conns >= allowed || hop->full_until > now || (hop->conns > 0 && hop->calm_until > now))
		return 0;
	return allowed - hop->conns;
}

void
hop_shrink(struct hop *hop, uint64_t now)
{
	hop->limit = hop->limit >= 2000 ? hop->limit / 2 : 1000;
	hop->calm_until = now + HOP_CALM;
}

bool
hop_failed(const struct hops *h, struct hop *hop, uint64_t now, const char *why)
{
	uint64_t wait = h->retry_min;

	snprintf(hop->error, sizeof(hop->error), "%s", why);
	hop->error_at = clock_wall();
	hop_shrink(hop, now);
	if (hop->state == HOP_DEAD || (hop->conns > 0 && hop->state != HOP_PROBING))
		return false;
	for (unsigned i = 0; i < hop->failures && wait < h->retry_max; i++)
		wait *= 2;
	hop->failures++;
	hop->dead_until = now + schedule_jitter(least(wait, h->retry_max));
	hop->state = HOP_DEAD;
	hop->suspect = false;
	return true;
}

void
hop_probe(struct hop *hop)
{
	check(hop->state == HOP_DEAD);
	hop->state = HOP_PROBING;
	hop->dead_until = 0;
}

void
hop_try_again(struct hop *hop, uint64_t when)
{
	if (hop->state != HOP_PROBING)
		return;
	hop->state = HOP_DEAD;
	hop->dead_until = when;
}

bool
hop_established(struct hop *hop)
{
	bool was_dead = hop->state == HOP_PROBING || hop->state == HOP_DEAD;

	hop->state = HOP_ALIVE;
	hop->dead_until = 0;
	if (was_dead)
		hop->credit = 0;
	return was_dead;
}

void
hop_replied(struct hop *hop, uint64_t now)
{
	hop->progress_at = now;
	hop->suspect = false;
}

void
hop_transacted(struct hop *hop)
{
	uint32_t max = hop->limit_max * 1000;

	hop->failures = 0;
	if (hop->limit < max) {
		hop->limit += 1000 * 1000 / hop->limit;
		if (hop->limit > max)
			hop->limit = max;
	}
}

void
hop_timed(struct hop *hop, uint64_t us)
{
	uint32_t sample = least(us, UINT32_MAX / 2);

	hop->dot_us = hop->dot_us == 0 ? sample : hop->dot_us - hop->dot_us / 8 + sample / 8;
}
