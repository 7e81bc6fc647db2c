/* SPDX-License-Identifier: MIT */
#include "delivery/limit.h"

#include "directory/settings.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/list.h"
#include "util/map.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SECOND = 1000 * 1000,
	WANTED_TIME = 3 * SECOND,  /* who was told to wait asks again within a second */
	KEPT_MAX = 1000,           /* without connections, for their rates and numbers */
};

struct limit {
	struct map_link link;
	char *destination, *group, *source;
	unsigned connections;              /* under the table's lock */
	unsigned connections_max;          /* 0: any */
	uint32_t messages;
	_Atomic uint64_t interval;         /* microseconds between two messages; 0: no rate */
	_Atomic uint64_t slack;            /* how far ahead of an even spread messages may be */
	_Atomic uint64_t free_at;          /* when the next message's place in the spread is */
	_Atomic uint64_t wanted_until;
	_Atomic uint64_t sent, waited;
};

struct limits {
	pthread_mutex_t lock;
	struct map map;
};

struct limits *
limits_new(void)
{
	struct limits *l = xcalloc(1, sizeof(*l));

	pthread_mutex_init(&l->lock, NULL);
	return l;
}

static struct limit *
limit_of(struct map_link *link)
{
	return (struct limit *)((char *)link - offsetof(struct limit, link));
}

static void
limit_free(struct limit *limit)
{
	free(limit->destination);
	free(limit->group);
	free(limit->source);
	free(limit);
}

void
limits_free(struct limits **limits)
{
	struct limits *l = *limits;
	struct map_link *link;

	if (l == NULL)
		return;
	while ((link = map_any(&l->map)) != NULL) {
		map_remove(&l->map, link);
		limit_free(limit_of(link));
	}
	map_fini(&l->map);
	pthread_mutex_destroy(&l->lock);
	free(l);
	*limits = NULL;
}

static uint64_t
hash(const char *destination, const char *group, const char *source)
{
	return hash_nocase(destination) * 31 + hash_nocase(group) * 7 + hash_nocase(source);
}

static struct limit *
find(const struct limits *l, const char *destination, const char *group, const char *source)
{
	for (struct map_link *k = map_first(&l->map, hash(destination, group, source)); k != NULL; k = map_next(k)) {
		struct limit *limit = limit_of(k);

		if (strcmp(limit->destination, destination) == 0 && strcmp(limit->group, group) == 0 &&
		    strcmp(limit->source, source) == 0)
			return limit;
	}
	return NULL;
}

/* A second's worth may go at once: loops wake by the millisecond, not for every message. */
static void
set_numbers(struct limit *limit, const struct destination_settings *d)
{
	uint64_t interval = 0, slack = 0;

	limit->connections_max = d->connections;
	limit->messages = d->messages_per_connection;
	if (d->rate.count > 0) {
		interval = (uint64_t)d->rate.seconds * SECOND / d->rate.count;
		interval = interval > 0 ? interval : 1;
		slack = interval < SECOND ? SECOND - interval : 0;
	}
	atomic_store_explicit(&limit->interval, interval, memory_order_relaxed);
	atomic_store_explicit(&limit->slack, slack, memory_order_relaxed);
}

static struct limit *
get(struct limits *l, const struct destination_settings *d, const char *group, const char *source)
{
	struct limit *limit = find(l, d->name, group, source);

	if (limit == NULL) {
		limit = xcalloc(1, sizeof(*limit));
		limit->destination = xstrdup(d->name);
		limit->group = xstrdup(group);
		limit->source = xstrdup(source);
		map_add(&l->map, &limit->link, hash(d->name, group, source));
	}
	set_numbers(limit, d);
	return limit;
}

struct limit *
limits_take(struct limits *l, const struct destination_settings *d, const char *group, const char *source,
    bool starving, uint64_t now_us, uint64_t *wait_us)
{
	struct limit *limit;

	pthread_mutex_lock(&l->lock);
	limit = get(l, d, group, d->per == PER_SOURCE ? source : "");
	*wait_us = limit_wait(limit, now_us);
	if (limit->connections_max > 0 && limit->connections >= limit->connections_max) {
		if (starving && *wait_us == 0)
			atomic_store_explicit(&limit->wanted_until, now_us + WANTED_TIME, memory_order_relaxed);
		*wait_us = *wait_us > SECOND ? *wait_us : SECOND;
	}
	if (*wait_us == 0)
		limit->connections++;
	else
		atomic_fetch_add_explicit(&limit->waited, 1, memory_order_relaxed);
	pthread_mutex_unlock(&l->lock);
	return *wait_us == 0 ? limit : NULL;
}

void
limits_release(struct limits *l, struct limit **taken)
{
	struct limit *limit = *taken;

	if (limit == NULL)
		return;
	pthread_mutex_lock(&l->lock);
	check(limit->connections > 0);
	limit->connections--;
	if (limit->connections == 0 && l->map.count > KEPT_MAX && atomic_load(&limit->free_at) <= clock_us()) {
		map_remove(&l->map, &limit->link);
		limit_free(limit);
	}
	pthread_mutex_unlock(&l->lock);
	*taken = NULL;
}

uint64_t
limit_wait(const struct limit *limit, uint64_t now_us)
{
	struct limit *m = (struct limit *)(uintptr_t)limit;
	uint64_t slack = atomic_load_explicit(&m->slack, memory_order_relaxed);
	uint64_t free_at = atomic_load_explicit(&m->free_at, memory_order_relaxed);

	if (atomic_load_explicit(&m->interval, memory_order_relaxed) == 0 || free_at <= now_us + slack)
		return 0;
	return free_at - now_us - slack;
}

void
limit_count(struct limit *limit, uint64_t now_us)
{
	uint64_t interval = atomic_load_explicit(&limit->interval, memory_order_relaxed);
	uint64_t at = atomic_load_explicit(&limit->free_at, memory_order_relaxed), next;

	atomic_fetch_add_explicit(&limit->sent, 1, memory_order_relaxed);
	do
		next = (at > now_us ? at : now_us) + interval;
	while (interval > 0 && !atomic_compare_exchange_weak_explicit(&limit->free_at, &at, next, memory_order_relaxed,
	    memory_order_relaxed));
}

bool
limit_wanted(const struct limit *limit, uint64_t now_us)
{
	return atomic_load_explicit(&((struct limit *)(uintptr_t)limit)->wanted_until, memory_order_relaxed) > now_us;
}

uint32_t
limit_messages(const struct limit *limit)
{
	return limit->messages;
}

struct each {
	void (*fn)(const struct limit_status *s, void *arg);
	void *arg;
};

static void
tell(struct map_link *link, void *arg)
{
	const struct each *each = arg;
	struct limit *limit = limit_of(link);
	struct limit_status s = { .connections = limit->connections, .connections_max = limit->connections_max,
		.sent = atomic_load(&limit->sent), .waited = atomic_load(&limit->waited) };

	snprintf(s.destination, sizeof(s.destination), "%s", limit->destination);
	snprintf(s.group, sizeof(s.group), "%s", limit->group);
	snprintf(s.source, sizeof(s.source), "%s", limit->source);
	each->fn(&s, each->arg);
}

void
limits_each(struct limits *l, void (*fn)(const struct limit_status *s, void *arg), void *arg)
{
	struct each each = { fn, arg };

	pthread_mutex_lock(&l->lock);
	map_each(&l->map, tell, &each);
	pthread_mutex_unlock(&l->lock);
}
