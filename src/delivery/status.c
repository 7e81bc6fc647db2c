/* SPDX-License-Identifier: MIT */
/* What the sites know about their next hops, gathered for the control thread: each loop copies its own. */
#include "delivery/delivery.h"

#include "delivery/exchange.h"
#include "delivery/site.h"
#include "directory/settings.h"
#include "net/loop.h"
#include "spool/spool.h"
#include "util/check.h"
#include "util/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A question to one loop. Who drops it last frees it: the asker may have gone when the loop answers. */
struct question {
	struct post post;
	struct home *home;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	unsigned refs;
	bool done;
	struct hop_status *hop;
	size_t count;
};

const char *
hop_state_name(enum hop_state state)
{
	static const char *names[] = { [HOP_UNUSED] = "unused", [HOP_ALIVE] = "alive", [HOP_DEAD] = "dead",
		[HOP_PROBING] = "probing", [HOP_SUSPENDED] = "suspended" };

	return names[state];
}

static void
describe_route(const struct route_settings *route, unsigned i, struct hop_status *out)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->key, sizeof(out->key), "%s", route->key);
	hop_text(&route->hop[i], out->hop);
	out->weight = route->hop[i].weight;
	out->backup = route->hop[i].backup;
	out->state = HOP_UNUSED;
	out->limit_max = route->connections;
}

static void
describe_hop(const struct site *site, unsigned i, struct hop_status *out)
{
	const struct hop *hop = site->hops.hop[i];
	uint64_t now = site_now(site);

	memset(out, 0, sizeof(*out));
	snprintf(out->key, sizeof(out->key), "%s", queue_key(site->queue));
	memcpy(out->hop, hop->text, sizeof(out->hop));
	out->weight = hop->weight;
	out->backup = hop->tier >= HOP_TIER_BACKUP;
	out->limit_max = site->route->connections;
	out->state = hop->suspended ? HOP_SUSPENDED : hop->state;
	if (out->state == HOP_DEAD)
		out->dead_until = clock_wall() +
		    (hop->dead_until > now ? (int64_t)((hop->dead_until - now + 999) / 1000) : 0);
	out->failures = hop->failures;
	out->connections = hop->conns;
	out->idle = hop->idle_count;
	out->limit = hop->limit / 1000;
	out->delivered = hop->delivered;
	out->deferred = hop->deferred;
	out->refused = hop->refused;
	out->error_at = hop->error_at;
	memcpy(out->error, hop->error, sizeof(out->error));
}

/* A site that does not know its hops: one row for what it waits for. */
static void
describe_exchange(const struct site *site, struct hop_status *out)
{
	const struct exchange *x = site->exchange;
	uint64_t now = site_now(site), next = exchange_next(x);

	memset(out, 0, sizeof(*out));
	snprintf(out->key, sizeof(out->key), "%s", queue_key(site->queue));
	snprintf(out->hop, sizeof(out->hop), "%s", exchange_name(x));
	out->weight = 1;
	out->limit_max = site->route->connections;
	out->state = HOP_UNUSED;
	out->failures = exchange_failures(x);
	if (out->failures == 0)
		return;
	out->state = HOP_DEAD;
	out->dead_until = clock_wall() + (next > now ? (int64_t)((next - now + 999) / 1000) : 0);
	out->error_at = exchange_trouble_at(x);
	snprintf(out->error, sizeof(out->error), "%s", exchange_trouble(x));
}

static void
question_drop(struct question *q)
{
	unsigned left;

	pthread_mutex_lock(&q->lock);
	left = --q->refs;
	pthread_mutex_unlock(&q->lock);
	if (left > 0)
		return;
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->answered);
	free(q->hop);
	free(q);
}

static void
answer(struct post *post)
{
	struct question *q = list_entry(post, struct question, post);
	size_t count = 0;

	pthread_mutex_lock(&q->lock);
	list_each(link, &q->home->sites)
		count += list_entry(link, struct site, link)->hops.count + 1;
	q->hop = xcalloc(count ? count : 1, sizeof(*q->hop));
	list_each(link, &q->home->sites)
	{
		const struct site *site = list_entry(link, struct site, link);

		for (unsigned i = 0; i < site->hops.count; i++)
			describe_hop(site, i, &q->hop[q->count++]);
		if (site->hops.count == 0 && site->exchange != NULL)
			describe_exchange(site, &q->hop[q->count++]);
	}
	q->done = true;
	pthread_cond_signal(&q->answered);
	pthread_mutex_unlock(&q->lock);
	question_drop(q);
}

static struct question *
ask(struct home *home)
{
	struct question *q = xcalloc(1, sizeof(*q));
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->answered, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&q->lock, NULL);
	q->home = home;
	q->refs = 2;
	q->post.fn = answer;
	loop_post(home->loop, &q->post);
	return q;
}

static bool
await(struct question *q, unsigned timeout_ms)
{
	struct timespec until;
	bool done;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&q->lock);
	while (!q->done && pthread_cond_timedwait(&q->answered, &q->lock, &until) != ETIMEDOUT)
		;
	done = q->done;
	pthread_mutex_unlock(&q->lock);
	return done;
}

/* Is it the route's key, or that of a domain it delivers to by MX? */
static bool
belongs(const struct route_settings *route, const char *key)
{
	size_t n = strlen(route->key);

	return strncmp(key, route->key, n) == 0 && key[n] == (route->hop_count > 0 ? '\0' : '@');
}

/* The rows of ROUTE, from place *AT of answer *K on; NULL at the end. */
static const struct hop_status *
next_of(struct question **q, unsigned count, const struct route_settings *route, unsigned *k, size_t *at)
{
	for (; *k < count; (*k)++, *at = 0)
		while (q[*k] != NULL && *at < q[*k]->count)
			if (belongs(route, q[*k]->hop[(*at)++].key))
				return &q[*k]->hop[*at - 1];
	return NULL;
}

/* What is known of a route's hops, or what the configuration says of them when nothing was sent there. */
static void
tell_route(struct question **q, unsigned count, const struct route_settings *route,
    void (*fn)(const struct hop_status *hop, void *arg), void *arg)
{
	const struct hop_status *hop;
	struct hop_status unused;
	unsigned k = 0;
	size_t at = 0;
	bool any = false;

	while ((hop = next_of(q, count, route, &k, &at)) != NULL) {
		any = true;
		fn(hop, arg);
	}
	for (unsigned i = 0; !any && i < route->hop_count; i++) {
		describe_route(route, i, &unused);
		fn(&unused, arg);
	}
}

int
delivery_status(struct delivery *d, unsigned timeout_ms, void (*fn)(const struct hop_status *hop, void *arg), void *arg)
{
	struct question **q = xcalloc(d->count, sizeof(struct question *));
	const struct settings *s = delivery_settings(d);
	int rc = 0;

	for (unsigned i = 0; i < d->count; i++)
		q[i] = ask(&d->home[i]);
	for (unsigned i = 0; i < d->count; i++) {
		if (await(q[i], timeout_ms))
			continue;
		question_drop(q[i]);
		q[i] = NULL;
		rc = -1;
	}
	for (unsigned r = 0; rc == 0 && r < s->route_count; r++)
		tell_route(q, d->count, &s->route[r], fn, arg);
	for (unsigned i = 0; i < d->count; i++)
		if (q[i] != NULL)
			question_drop(q[i]);
	free(q);
	settings_unref(&s);
	return rc;
}
