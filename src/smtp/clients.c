/* SPDX-License-Identifier: MIT */
#include "smtp/clients.h"

#include "util/check.h"
#include "util/clock.h"
#include "util/list.h"
#include "util/map.h"
#include "net/addr.h"
#include "directory/settings.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Loops meet here once a connection: a few locks keep them apart. Clients without a session are remembered while their
 * rates say anything; the number is bounded, and whoever was longest away is forgotten first. */
enum { SHARDS = 16, ABSENT_MAX = 16384, FORGET_AT_ONCE = 4, KEY = 16 };

struct client {
	struct map_link link;
	struct list absent;         /* without a session: among those, by when they left */
	unsigned sessions;
	uint8_t family;
	uint8_t key[KEY];
	uint64_t next[RATE_COUNT];  /* microseconds: see take() */
};

struct shard {
	pthread_mutex_t lock;
	struct map map;
	struct list absent;
	unsigned absent_count;
};

struct clients {
	struct shard shard[SHARDS];
	_Atomic uint64_t next[RATE_COUNT]; /* of everybody */
};

struct clients *
clients_new(void)
{
	struct clients *c = xcalloc(1, sizeof *c);
	unsigned i;

	for (i = 0; i < SHARDS; i++) {
		check(pthread_mutex_init(&c->shard[i].lock, NULL) == 0);
		list_init(&c->shard[i].absent);
	}
	return c;
}

void
clients_free(struct clients **clients)
{
	struct clients *c = *clients;
	struct map_link *link;
	unsigned i;

	if (c == NULL)
		return;
	for (i = 0; i < SHARDS; i++) {
		while ((link = map_any(&c->shard[i].map)) != NULL) {
			map_remove(&c->shard[i].map, link);
			free(list_entry(link, struct client, link));
		}
		map_fini(&c->shard[i].map);
		pthread_mutex_destroy(&c->shard[i].lock);
	}
	free(c);
	*clients = NULL;
}

/* ---- who ---- */

static void
key_of(const struct addr *peer, struct client *out)
{
	uint64_t hash;

	memset(out->key, 0, sizeof out->key);
	out->family = (uint8_t)peer->u.sa.sa_family;
	if (peer->u.sa.sa_family == AF_INET) {
		memcpy(out->key, &peer->u.in.sin_addr, 4);
	} else if (peer->u.sa.sa_family == AF_INET6) {
		memcpy(out->key, &peer->u.in6.sin6_addr, 8);
	} else {
		hash = addr_host_hash(peer);
		memcpy(out->key, &hash, sizeof hash);
	}
}

static struct shard *
shard_of(struct clients *c, const struct addr *peer, struct client *key, uint64_t *hash)
{
	key_of(peer, key);
	*hash = hash_bytes(key->key, KEY);
	return &c->shard[*hash % SHARDS];
}

static struct client *
find(struct shard *shard, const struct client *key, uint64_t hash)
{
	struct map_link *link;
	struct client *client;

	for (link = map_first(&shard->map, hash); link != NULL; link = map_next(link)) {
		client = list_entry(link, struct client, link);
		if (client->family == key->family && memcmp(client->key, key->key, KEY) == 0)
			return client;
	}
	return NULL;
}

static void
forget(struct shard *shard, struct client *client)
{
	map_remove(&shard->map, &client->link);
	free(client);
}

static struct client *
first_absent(struct shard *shard)
{
	return list_entry(shard->absent.next, struct client, absent);
}

static void
absent(struct shard *shard, struct client *client)
{
	list_append(&shard->absent, &client->absent);
	shard->absent_count++;
}

/* A new one is absent. */
static struct client *
find_or_make(struct shard *shard, const struct client *key, uint64_t hash)
{
	struct client *client = find(shard, key, hash);

	if (client != NULL)
		return client;
	client = xcalloc(1, sizeof *client);
	client->family = key->family;
	memcpy(client->key, key->key, KEY);
	map_add(&shard->map, &client->link, hash);
	absent(shard, client);
	return client;
}

static bool
is_over(const struct client *client, uint64_t now)
{
	unsigned i;

	for (i = 0; i < RATE_COUNT; i++)
		if (client->next[i] > now)
			return false;
	return true;
}

static void
present(struct shard *shard, struct client *client)
{
	list_remove(&client->absent);
	shard->absent_count--;
}

/* Those whose rates have run out, a few at a time; and at the limit whoever it is. */
static void
forget_some(struct shard *shard, uint64_t now)
{
	struct client *client;
	unsigned i;

	for (i = 0; i < FORGET_AT_ONCE && shard->absent_count > 0; i++) {
		client = first_absent(shard);
		if (!is_over(client, now) && shard->absent_count <= ABSENT_MAX)
			return;
		present(shard, client);
		forget(shard, client);
	}
}

/* ---- how often ---- */

/* A rate allows COUNT at once and then one each time SECONDS / COUNT have passed. NEXT is when all that was taken would
 * have been used up at that pace: it may be ahead of now by all but one. */
static uint64_t
pace(const struct option_rate *rate)
{
	uint64_t us = rate->seconds * 1000000ull / rate->count;

	return us > 0 ? us : 1;
}

static bool
has_room(uint64_t next, const struct option_rate *rate, uint64_t now)
{
	return next <= now + pace(rate) * (rate->count - 1);
}

static bool
take(uint64_t *next, const struct option_rate *rate, uint64_t now)
{
	if (!has_room(*next, rate, now))
		return false;
	*next = (*next > now ? *next : now) + pace(rate);
	return true;
}

static enum clients_answer
enter(struct shard *shard, struct client *client, const struct limit_settings *limits, bool trusted, uint64_t now)
{
	const struct option_rate *rate = limits->rate_per_client;

	if (limits->sessions_per_client != 0 && client->sessions >= limits->sessions_per_client)
		return CLIENTS_SESSIONS;
	if (!trusted && rate[RATE_ERRORS].count != 0 && !has_room(client->next[RATE_ERRORS], &rate[RATE_ERRORS], now))
		return CLIENTS_RATE;
	if (!trusted && rate[RATE_CONNECTIONS].count != 0 &&
	    !take(&client->next[RATE_CONNECTIONS], &rate[RATE_CONNECTIONS], now))
		return CLIENTS_RATE;
	if (client->sessions++ == 0)
		present(shard, client);
	return CLIENTS_IN;
}

enum clients_answer
clients_enter(struct clients *c, const struct limit_settings *limits, const struct addr *peer, bool trusted)
{
	struct client key, *client;
	uint64_t hash, now = clock_us();
	struct shard *shard = shard_of(c, peer, &key, &hash);
	enum clients_answer answer;

	pthread_mutex_lock(&shard->lock);
	forget_some(shard, now);
	client = find_or_make(shard, &key, hash);
	answer = enter(shard, client, limits, trusted, now);
	pthread_mutex_unlock(&shard->lock);
	return answer;
}

void
clients_leave(struct clients *c, const struct addr *peer)
{
	struct client key, *client;
	uint64_t hash;
	struct shard *shard = shard_of(c, peer, &key, &hash);

	pthread_mutex_lock(&shard->lock);
	client = find(shard, &key, hash);
	check(client != NULL && client->sessions > 0);
	if (--client->sessions == 0 && is_over(client, clock_us()))
		forget(shard, client);
	else if (client->sessions == 0)
		absent(shard, client);
	pthread_mutex_unlock(&shard->lock);
}

bool
clients_take(struct clients *c, const struct limit_settings *limits, const struct addr *peer, enum client_rate which)
{
	const struct option_rate *rate = &limits->rate_per_client[which];
	struct client key, *client;
	struct shard *shard;
	uint64_t hash;
	bool room;

	if (rate->count == 0)
		return true;
	shard = shard_of(c, peer, &key, &hash);
	pthread_mutex_lock(&shard->lock);
	client = find_or_make(shard, &key, hash); /* new: known by XCLIENT alone, its session is counted elsewhere */
	room = take(&client->next[which], rate, clock_us());
	forget_some(shard, clock_us());
	pthread_mutex_unlock(&shard->lock);
	return room;
}

bool
clients_take_all(struct clients *c, const struct limit_settings *limits, enum client_rate which)
{
	const struct option_rate *rate = &limits->rate[which];
	uint64_t now, seen, next;

	if (rate->count == 0)
		return true;
	now = clock_us();
	seen = c->next[which];
	do {
		next = seen;
		if (!take(&next, rate, now))
			return false;
	} while (!atomic_compare_exchange_weak(&c->next[which], &seen, next));
	return true;
}
