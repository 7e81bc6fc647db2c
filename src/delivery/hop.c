/* SPDX-License-Identifier: MIT */
#include "delivery/hop.h"

#include "delivery/schedule.h"
#include "util/check.h"
#include "util/clock.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t
least(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

const char *
hop_text(const struct next_hop *hop, char *out)
{
	char address[ADDR_TEXT];

	snprintf(out, HOP_TEXT, "%s%s", hop->lmtp ? "lmtp:" : "", addr_text(&hop->address, address));
	return out;
}

void
hops_init(struct hops *h, const struct route_settings *route, const struct queue_settings *queue)
{
	h->count = route->hop_count;
	h->hop = xcalloc(h->count ? h->count : 1, sizeof(*h->hop));
	h->balance = route->balance;
	h->retry_min = least(HOP_RETRY_MIN, (uint64_t)queue->retry_min * 1000);
	h->retry_max = least(HOP_RETRY_MAX, (uint64_t)queue->retry_max * 1000);
	for (unsigned i = 0; i < h->count; i++) {
		struct hop *hop = &h->hop[i];

		hop->conf = &route->hop[i];
		hop_text(hop->conf, hop->text);
		hop->state = HOP_UNUSED;
		hop->limit_max = route->connections ? route->connections : 1;
		hop->limit = 1000 * least(HOP_START_LIMIT, hop->limit_max);
		list_init(&hop->idle);
		list_init(&hop->busy);
	}
}

void
hops_fini(struct hops *h)
{
	free(h->hop);
	h->hop = NULL;
	h->count = 0;
}

static bool
is_alive(const struct hop *hop)
{
	return hop->state == HOP_ALIVE || hop->state == HOP_UNUSED;
}

/* 0 is best. Silent hops stand behind backups: a hop that answers is worth more than the order of the file. */
static int
rank(const struct hop *hop)
{
	return (hop->suspect ? 2 : 0) + (hop->conf->backup ? 1 : 0);
}

static int
best_rank(const struct hops *h)
{
	int best = 4;

	for (unsigned i = 0; i < h->count; i++)
		if (is_alive(&h->hop[i]) && rank(&h->hop[i]) < best)
			best = rank(&h->hop[i]);
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
	return best_rank(h) < 4;
}

bool
hop_is_free(const struct hop *hop)
{
	return hop->idle_count > 0 || hop->conns == 0;
}

static int64_t
weight(const struct hop *hop)
{
	return hop->conf->weight ? hop->conf->weight : 1;
}

struct hop *
hops_choose(const struct hops *h, bool spill, const struct hop *asking)
{
	int best = best_rank(h);
	struct hop *chosen = NULL;

	for (unsigned i = 0; i < h->count; i++) {
		struct hop *hop = &h->hop[i];

		if (!is_alive(hop) || rank(hop) != best)
			continue;
		if (h->balance == BALANCE_FAILOVER)
			return hop;
		if (spill && hop != asking && !hop_is_free(hop))
			continue;
		if (chosen == NULL || hop->credit + weight(hop) > chosen->credit + weight(chosen))
			chosen = hop;
	}
	return chosen;
}

void
hops_charge(struct hops *h, struct hop *chosen)
{
	int64_t total = 0, bound;
	int best = rank(chosen);

	if (h->balance == BALANCE_FAILOVER)
		return;
	for (unsigned i = 0; i < h->count; i++)
		if (is_alive(&h->hop[i]) && rank(&h->hop[i]) == best)
			total += weight(&h->hop[i]);
	/* What a hop that was passed over may catch up with later is bounded: a few turns. */
	bound = 4 * total;
	for (unsigned i = 0; i < h->count; i++) {
		struct hop *hop = &h->hop[i];

		if (!is_alive(hop) || rank(hop) != best)
			continue;
		hop->credit += weight(hop);
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
		if (h->hop[i].state == HOP_DEAD && h->hop[i].dead_until <= now)
			return &h->hop[i];
	return NULL;
}

uint64_t
hops_next_probe(const struct hops *h)
{
	uint64_t next = 0;

	for (unsigned i = 0; i < h->count; i++)
		if (h->hop[i].state == HOP_DEAD && (next == 0 || h->hop[i].dead_until < next))
			next = h->hop[i].dead_until;
	return next;
}

unsigned
hop_room(const struct hop *hop, uint64_t now)
{
	unsigned allowed = hop->limit / 1000;

	if (!is_alive(hop) || hop->conns >= allowed || (hop->conns > 0 && hop->calm_until > now))
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
