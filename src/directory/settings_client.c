/* SPDX-License-Identifier: MIT */
/* One table a prefix length in use, the longest first: a look-up costs as many hashes as there are lengths, however
 * many customers there are. */
#include "directory/settings_client.h"
#include "directory/settings.h"
#include "directory/settings_fit.h"
#include "util/arena.h"
#include "util/map.h"

#include <arpa/inet.h>
#include <string.h>

enum { PREFIXES = 33 + 129, IP_MAX = 16 };

struct entry {
	struct map_link link;
	const struct network *network;
	const struct client_settings *client;
};

struct prefix {
	int family;
	unsigned bits;
	struct map map;
};

struct client_index {
	struct prefix prefix[PREFIXES];
	unsigned count;
};

/* The first BITS of IP, the rest zero. */
static void
mask(const unsigned char *ip, unsigned bits, unsigned char out[IP_MAX])
{
	unsigned whole = bits / 8, rest = bits % 8;

	memset(out, 0, IP_MAX);
	memcpy(out, ip, whole);
	if (rest > 0)
		out[whole] = (unsigned char)(ip[whole] & 0xff00 >> rest);
}

static const struct entry *
find(const struct prefix *p, const unsigned char ip[IP_MAX])
{
	const struct entry *e;
	struct map_link *l;

	for (l = map_first(&p->map, hash_bytes(ip, IP_MAX)); l != NULL; l = map_next(l)) {
		e = (const void *)((const char *)l - offsetof(struct entry, link));
		if (memcmp(e->network->ip, ip, IP_MAX) == 0)
			return e;
	}
	return NULL;
}

/* Kept in order: longest first. */
static struct prefix *
prefix_of(struct client_index *x, const struct network *n)
{
	unsigned i;

	for (i = 0; i < x->count && x->prefix[i].bits >= n->bits; i++)
		if (x->prefix[i].bits == n->bits && x->prefix[i].family == n->family)
			return &x->prefix[i];
	memmove(&x->prefix[i + 1], &x->prefix[i], (x->count - i) * sizeof *x->prefix);
	x->prefix[i] = (struct prefix){ .family = n->family, .bits = n->bits };
	x->count++;
	return &x->prefix[i];
}

static void
add(struct client_index *x, const struct client_settings *c, const struct network *n, struct arena *arena,
    struct conf_errors *errors)
{
	struct prefix *p = prefix_of(x, n);
	const struct entry *other = find(p, n->ip);
	char text[INET6_ADDRSTRLEN];
	struct entry *e;

	if (other != NULL) {
		conf_error(errors, &c->place, "client %s: the network %s/%u already belongs to client %s of %s:%d", c->name,
		    inet_ntop(n->family, n->ip, text, sizeof text), n->bits, other->client->name,
		    other->client->place.file, other->client->place.line);
		return;
	}
	e = arena_zalloc(arena, sizeof *e);
	e->network = n;
	e->client = c;
	map_add(&p->map, &e->link, hash_bytes(n->ip, IP_MAX));
}

struct client_index *
client_index_new(struct settings *s, struct arena *arena, struct conf_errors *errors)
{
	struct client_index *x = arena_zalloc(arena, sizeof *x);
	unsigned i, k;

	for (i = 0; i < s->client_count; i++)
		for (k = 0; k < s->client[i].network_count; k++)
			if (s->client[i].network[k].family != 0) /* else it did not parse, which is an error already */
				add(x, &s->client[i], &s->client[i].network[k], arena, errors);
	return x;
}

void
client_index_fini(struct client_index *x)
{
	unsigned i;

	for (i = 0; i < x->count; i++)
		map_fini(&x->prefix[i].map);
}

const struct client_settings *
settings_client(const struct settings *s, const struct addr *client)
{
	const struct client_index *x = s->clients;
	unsigned char ip[IP_MAX];
	const unsigned char *from;
	const struct entry *e;
	unsigned i;

	if (x == NULL || x->count == 0)
		return NULL;
	if (client->u.sa.sa_family == AF_INET)
		from = (const unsigned char *)&client->u.in.sin_addr;
	else if (client->u.sa.sa_family == AF_INET6)
		from = client->u.in6.sin6_addr.s6_addr;
	else
		return NULL;
	for (i = 0; i < x->count; i++) {
		if (x->prefix[i].family != client->u.sa.sa_family)
			continue;
		mask(from, x->prefix[i].bits, ip);
		e = find(&x->prefix[i], ip);
		if (e != NULL)
			return e->client;
	}
	return NULL;
}

bool
client_may_send(const struct client_settings *c, const char *sender)
{
	unsigned i;

	if (c->sender_count == 0 || *sender == '\0')
		return true;
	for (i = 0; i < c->sender_count; i++)
		if (pattern_fit(c->sender[i], sender) > 0)
			return true;
	return false;
}

const char *
settings_group(const struct settings *s, const char *login, const struct addr *client)
{
	const struct user_settings *u = login != NULL ? settings_user(s, login) : NULL;
	const struct client_settings *c = login == NULL && client != NULL ? settings_client(s, client) : NULL;

	if (u != NULL)
		return u->group;
	return c != NULL ? c->group : NULL;
}

bool
settings_may_relay(const struct settings *s, const struct addr *client)
{
	unsigned i;

	for (i = 0; i < s->relay_from_count; i++)
		if (network_has(&s->relay_from[i], client))
			return true;
	return settings_client(s, client) != NULL;
}

bool
settings_may_reach(const struct settings *s, const struct listener_settings *listener, bool may_relay,
    const char *domain)
{
	if (may_relay)
		return true;
	if (listener != NULL && listener->relay == RELAY_ONLY)
		return false;
	return domain == NULL || settings_is_ours(s, domain);
}
