/* SPDX-License-Identifier: MIT */
#include "smtp/lockout.h"

#include "util/check.h"
#include "util/list.h"
#include "util/map.h"
#include "util/str.h"
#include "net/addr.h"
#include "directory/settings_auth.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 65536 };

static const uint64_t pair_life = 7ull * 86400 * 1000;

struct row {
	struct map_link link;
	struct list age; /* the least recently touched first */
	enum lockout_kind kind;
	uint32_t failures;
	uint64_t counts_until;
	uint64_t locked_until; /* 0: not locked; of a pair: how long it is known */
	char key[];
};

struct lockout {
	pthread_mutex_t lock;
	struct map map;
	struct list age;
};

struct lockout *
lockout_new(void)
{
	struct lockout *l = xcalloc(1, sizeof *l);

	check(pthread_mutex_init(&l->lock, NULL) == 0);
	list_init(&l->age);
	return l;
}

static void
row_free(struct lockout *l, struct row *row)
{
	map_remove(&l->map, &row->link);
	list_remove(&row->age);
	free(row);
}

void
lockout_free(struct lockout **lockout)
{
	struct lockout *l = *lockout;

	if (l == NULL)
		return;
	list_each_safe(link, &l->age)
		row_free(l, list_entry(link, struct row, age));
	map_fini(&l->map);
	pthread_mutex_destroy(&l->lock);
	free(l);
	*lockout = NULL;
}

/* An owner of IPv6 addresses has a /64 of them. */
static void
address_key(const struct addr *peer, char out[LOCKOUT_KEY])
{
	struct in6_addr net;
	char text[ADDR_TEXT];

	if (peer->u.sa.sa_family != AF_INET6) {
		snprintf(out, LOCKOUT_KEY, "%s", addr_ip_text(peer, text));
		return;
	}
	memset(&net, 0, sizeof net);
	memcpy(&net, &peer->u.in6.sin6_addr, 8);
	inet_ntop(AF_INET6, &net, text, sizeof text);
	snprintf(out, LOCKOUT_KEY, "%s/64", text);
}

static void
login_key(const char *login, char out[LOCKOUT_KEY])
{
	snprintf(out, LOCKOUT_KEY, "%s", login);
	str_lower(out);
}

struct keys {
	char address[LOCKOUT_KEY], login[LOCKOUT_KEY], pair[2 * LOCKOUT_KEY];
};

static void
make_keys(struct keys *k, const struct addr *peer, const char *login)
{
	address_key(peer, k->address);
	login_key(login, k->login);
	snprintf(k->pair, sizeof k->pair, "%s %s", k->address, k->login);
}

static struct row *
find(const struct lockout *l, enum lockout_kind kind, const char *key)
{
	struct map_link *link;
	struct row *row;

	for (link = map_first(&l->map, hash_nocase(key)); link != NULL; link = map_next(link)) {
		row = list_entry(link, struct row, link);
		if (row->kind == kind && strcmp(row->key, key) == 0)
			return row;
	}
	return NULL;
}

static struct row *
touch(struct lockout *l, enum lockout_kind kind, const char *key)
{
	struct row *row = find(l, kind, key);
	size_t n = strlen(key) + 1;

	if (row != NULL) {
		list_remove(&row->age);
	} else {
		if (l->map.count == ROWS_MAX)
			row_free(l, list_entry(l->age.next, struct row, age));
		row = xcalloc(1, sizeof *row + n);
		row->kind = kind;
		memcpy(row->key, key, n);
		map_add(&l->map, &row->link, hash_nocase(key));
	}
	list_append(&l->age, &row->age);
	return row;
}

static bool
locked(const struct lockout *l, enum lockout_kind kind, const char *key, uint64_t now)
{
	const struct row *row = find(l, kind, key);

	return row != NULL && row->locked_until > now;
}

enum lockout_kind
lockout_blocks(struct lockout *l, const struct addr *peer, const char *login, uint64_t now)
{
	enum lockout_kind kind = 0;
	struct keys k;

	make_keys(&k, peer, login);
	pthread_mutex_lock(&l->lock);
	if (locked(l, LOCKOUT_ADDRESS, k.address, now))
		kind = LOCKOUT_ADDRESS;
	else if (locked(l, LOCKOUT_LOGIN, k.login, now) && !locked(l, LOCKOUT_PAIR, k.pair, now))
		kind = LOCKOUT_LOGIN;
	pthread_mutex_unlock(&l->lock);
	return kind;
}

/* True when this failure locks. */
static bool
count(struct lockout *l, const struct lockout_rule *rule, enum lockout_kind kind, const char *key, uint64_t now)
{
	struct row *row = touch(l, kind, key);

	if (row->counts_until <= now) {
		row->failures = 0;
		row->counts_until = now + (uint64_t)rule->within * 1000;
	}
	if (++row->failures < rule->failures || row->locked_until > now)
		return false;
	row->locked_until = row->counts_until = now + (uint64_t)rule->lock * 1000;
	return true;
}

unsigned
lockout_failed(struct lockout *l, const struct lockout_rule *rule, const struct addr *peer, const char *login,
    uint64_t now)
{
	unsigned kinds = 0;
	struct keys k;

	if (rule->failures == 0)
		return 0;
	make_keys(&k, peer, login);
	pthread_mutex_lock(&l->lock);
	if (count(l, rule, LOCKOUT_ADDRESS, k.address, now))
		kinds |= 1u << LOCKOUT_ADDRESS;
	if (count(l, rule, LOCKOUT_LOGIN, k.login, now))
		kinds |= 1u << LOCKOUT_LOGIN;
	pthread_mutex_unlock(&l->lock);
	return kinds;
}

static void
forget(struct lockout *l, enum lockout_kind kind, const char *key, uint64_t now)
{
	struct row *row = find(l, kind, key);

	if (row != NULL && row->locked_until <= now)
		row_free(l, row);
}

void
lockout_succeeded(struct lockout *l, const struct addr *peer, const char *login, uint64_t now)
{
	struct keys k;

	make_keys(&k, peer, login);
	pthread_mutex_lock(&l->lock);
	forget(l, LOCKOUT_ADDRESS, k.address, now);
	forget(l, LOCKOUT_LOGIN, k.login, now);
	touch(l, LOCKOUT_PAIR, k.pair)->locked_until = now + pair_life;
	pthread_mutex_unlock(&l->lock);
}

static bool
is_listed(const struct row *row, uint64_t now)
{
	return row->kind != LOCKOUT_PAIR && (row->counts_until > now || row->locked_until > now);
}

size_t
lockout_list(struct lockout *l, struct lockout_row **rows, uint64_t now)
{
	struct lockout_row *out;
	const struct row *row;
	size_t n = 0;

	pthread_mutex_lock(&l->lock);
	*rows = xcalloc(l->map.count + 1, sizeof **rows);
	list_each_safe(link, &l->age) {
		row = list_entry(link, struct row, age);
		if (!is_listed(row, now))
			continue;
		out = &(*rows)[n++];
		out->kind = row->kind;
		out->failures = row->failures;
		out->seconds = row->locked_until > now ? (uint32_t)((row->locked_until - now + 999) / 1000) : 0;
		snprintf(out->key, sizeof out->key, "%s", row->key);
	}
	pthread_mutex_unlock(&l->lock);
	return n;
}

unsigned
lockout_clear(struct lockout *l, const char *key, uint64_t now)
{
	struct row *row;
	unsigned n = 0;

	pthread_mutex_lock(&l->lock);
	list_each_safe(link, &l->age) {
		row = list_entry(link, struct row, age);
		if (row->kind == LOCKOUT_PAIR || (key != NULL && !str_ieq(row->key, key)))
			continue;
		n += is_listed(row, now);
		row_free(l, row);
	}
	pthread_mutex_unlock(&l->lock);
	return n;
}
