/* SPDX-License-Identifier: MIT */
#include "smtp/clients.h"

#include "util/check.h"
#include "util/list.h"
#include "util/map.h"
#include "net/addr.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Loops meet here once a connection: a few locks keep them apart. */
enum { SHARDS = 16 };

struct client {
	struct map_link link;
	struct addr addr;
	unsigned sessions;
};

struct shard {
	pthread_mutex_t lock;
	struct map map;
};

struct clients {
	atomic_uint limit;
	struct shard shard[SHARDS];
};

struct clients *
clients_new(unsigned limit)
{
	struct clients *c = xcalloc(1, sizeof *c);
	unsigned i;

	c->limit = limit;
	for (i = 0; i < SHARDS; i++)
		check(pthread_mutex_init(&c->shard[i].lock, NULL) == 0);
	return c;
}

void
clients_set_limit(struct clients *c, unsigned limit)
{
	atomic_store_explicit(&c->limit, limit, memory_order_relaxed);
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

static struct client *
find(struct shard *shard, const struct addr *peer, uint64_t hash)
{
	struct map_link *link;
	struct client *client;

	for (link = map_first(&shard->map, hash); link != NULL; link = map_next(link)) {
		client = list_entry(link, struct client, link);
		if (addr_same_host(&client->addr, peer))
			return client;
	}
	return NULL;
}

static bool
enter_locked(struct shard *shard, unsigned limit, const struct addr *peer, uint64_t hash)
{
	struct client *client = find(shard, peer, hash);

	if (client == NULL) {
		client = xcalloc(1, sizeof *client);
		client->addr = *peer;
		map_add(&shard->map, &client->link, hash);
	} else if (limit != 0 && client->sessions >= limit) {
		return false;
	}
	client->sessions++;
	return true;
}

bool
clients_enter(struct clients *c, const struct addr *peer)
{
	uint64_t hash = addr_host_hash(peer);
	struct shard *shard = &c->shard[hash % SHARDS];
	bool in;

	pthread_mutex_lock(&shard->lock);
	in = enter_locked(shard, c->limit, peer, hash);
	pthread_mutex_unlock(&shard->lock);
	return in;
}

void
clients_leave(struct clients *c, const struct addr *peer)
{
	uint64_t hash = addr_host_hash(peer);
	struct shard *shard = &c->shard[hash % SHARDS];
	struct client *client;

	pthread_mutex_lock(&shard->lock);
	client = find(shard, peer, hash);
	check(client != NULL && client->sessions > 0);
	if (--client->sessions == 0) {
		map_remove(&shard->map, &client->link);
		free(client);
	}
	pthread_mutex_unlock(&shard->lock);
}
