/* SPDX-License-Identifier: MIT */
#include "directory/settings_route.h"
#include "directory/settings.h"
#include "directory/settings_fit.h"
#include "mail/idn.h"
#include "util/arena.h"
#include "util/map.h"
#include "util/str.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* One pattern of one route. */
struct entry {
	struct map_link link;
	const char *text;
	const struct route_settings *route;
	unsigned order; /* in the file */
};

struct route_index {
	struct map address; /* "user@dom" */
	struct map domain;  /* of "@dom" and "@.dom", what is behind the @ */
	struct map ours;    /* of domain blocks: "dom" and ".dom" */
	struct map key;
	struct map any;     /* routes without recipients, all under one hash */
};

static const struct entry *
entry_of(const struct map_link *l)
{
	return (const void *)((const char *)l - offsetof(struct entry, link));
}

static void
add(struct map *m, const char *text, const struct route_settings *r, unsigned order, struct arena *arena)
{
	struct entry *e = arena_zalloc(arena, sizeof *e);

	e->text = text;
	e->route = r;
	e->order = order;
	map_add(m, &e->link, hash_nocase(text));
}

static const struct entry *
find(const struct map *m, const char *text)
{
	const struct map_link *l;

	for (l = map_first(m, hash_nocase(text)); l != NULL; l = map_next(l))
		if (str_ieq(entry_of(l)->text, text))
			return entry_of(l);
	return NULL;
}

static void
add_domain(struct route_index *x, const char *name, const struct route_settings *r, unsigned order, struct arena *arena,
    struct conf_errors *errors)
{
	const struct entry *e = find(&x->ours, name);

	if (e == NULL)
		add(&x->ours, name, r, order, arena);
	else if (e->route == r)
		conf_error(errors, &r->place, "domain %s: '%s' is named twice", r->name, name);
	else
		conf_error(errors, &r->place, "domain %s: '%s' already belongs to domain %s of %s:%d", r->name, name,
		    e->route->name, e->route->place.file, e->route->place.line);
}

static void
add_route(struct route_index *x, const struct route_settings *r, unsigned order, struct arena *arena)
{
	const char *text;
	unsigned i;

	for (i = 0; i < r->recipient_count; i++) {
		text = r->recipient[i];
		if (text == NULL)
			continue; /* did not parse, which is an error already */
		if (*text == '@')
			add(&x->domain, text + 1, r, order, arena);
		else
			add(&x->address, text, r, order, arena);
	}
	if (r->recipient_count == 0)
		add(&x->any, "", r, order, arena);
}

struct route_index *
route_index_new(struct settings *s, struct arena *arena, struct conf_errors *errors)
{
	struct route_index *x = arena_zalloc(arena, sizeof *x);
	struct route_settings *r;
	unsigned i, k;

	for (i = 0; i < s->route_count; i++) {
		r = &s->route[i];
		r->key = arena_printf(arena, "%s:%s", r->block, r->name);
		add(&x->key, r->key, r, i, arena);
		if (strcmp(r->block, "domain") != 0) {
			add_route(x, r, i, arena);
			continue;
		}
		for (k = 0; k < r->domain_count; k++)
			if (r->domain[k] != NULL)
				add_domain(x, r->domain[k], r, i, arena, errors);
	}
	return x;
}

void
route_index_fini(struct route_index *x)
{
	map_fini(&x->address);
	map_fini(&x->domain);
	map_fini(&x->ours);
	map_fini(&x->key);
	map_fini(&x->any);
}

/* Of the routes under TEXT: the one that fits best beside the recipient, then the first of the file. */
static const struct route_settings *
best(const struct map *m, const char *text, const struct route_query *q)
{
	const struct route_settings *found = NULL;
	unsigned rank, found_rank = 0, order = UINT_MAX;
	const struct map_link *l;
	const struct entry *e;

	for (l = map_first(m, hash_nocase(text)); l != NULL; l = map_next(l)) {
		e = entry_of(l);
		if (!str_ieq(e->text, text))
			continue;
		rank = route_fit(e->route, q);
		if (rank == 0 || rank < found_rank || (rank == found_rank && e->order > order))
			continue;
		found = e->route;
		found_rank = rank;
		order = e->order;
	}
	return found;
}

/* DOMAIN itself, then ".x" for each domain x it is below, the longest first. */
static const struct route_settings *
best_domain(const struct map *m, const char *domain, const struct route_query *q)
{
	const struct route_settings *r = best(m, domain, q);

	while (r == NULL && (domain = strchr(domain + (*domain == '.'), '.')) != NULL)
		r = best(m, domain, q);
	return r;
}

static const struct route_settings *
route_ascii(const struct settings *s, const struct route_query *q)
{
	const struct route_index *x = s->index;
	const char *at = strrchr(q->recipient, '@');
	const struct route_settings *r = best(&x->address, q->recipient, q);

	if (r == NULL && at != NULL && at[1] != '\0')
		r = best_domain(&x->domain, at + 1, q);
	if (r == NULL && at != NULL && at[1] != '\0')
		r = best_domain(&x->ours, at + 1, q);
	return r != NULL ? r : best(&x->any, "", q);
}

/* What is none of a domain's spellings is left as it is, and matches nothing. */
static const char *
ascii(const char *text, char *out)
{
	const char *plain = idn_ascii(text, out);

	return plain != NULL ? plain : text;
}

const struct route_settings *
settings_route(const struct settings *s, const struct route_query *q)
{
	struct route_query plain = *q;
	char sender[IDN_TEXT], recipient[IDN_TEXT];

	plain.sender = ascii(q->sender, sender);
	plain.recipient = ascii(q->recipient, recipient);
	return route_ascii(s, &plain);
}

static const struct route_settings *
find_key(const struct settings *s, const char *key)
{
	const struct map_link *l;

	for (l = map_first(&s->index->key, hash_nocase(key)); l != NULL; l = map_next(l))
		if (strcmp(entry_of(l)->text, key) == 0)
			return entry_of(l)->route;
	return NULL;
}

const struct route_settings *
settings_route_by_key(const struct settings *s, const char *key)
{
	const struct route_settings *r = find_key(s, key);
	const char *at = strrchr(key, '@');
	char name[SETTINGS_KEY_TEXT];

	if (r != NULL && r->hop_count > 0)
		return r;
	if (at == NULL || (size_t)(at - key) >= sizeof name)
		return NULL;
	memcpy(name, key, (size_t)(at - key));
	name[at - key] = '\0';
	r = find_key(s, name);
	return r != NULL && r->hop_count == 0 ? r : NULL;
}

const char *
settings_key(const struct route_settings *route, const char *address, char *out)
{
	const char *at = strrchr(address, '@');
	char domain[IDN_TEXT];

	if (route->hop_count > 0)
		return route->key;
	snprintf(out, SETTINGS_KEY_TEXT, "%s@%s", route->key, at != NULL ? ascii(at + 1, domain) : "");
	str_lower(out + strlen(route->key));
	return out;
}

const char *
settings_key_domain(const struct route_settings *route, const char *key)
{
	return route->hop_count > 0 ? NULL : key + strlen(route->key) + 1;
}

bool
settings_is_ours(const struct settings *s, const char *domain)
{
	static const struct route_query nobody = { .sender = "", .recipient = "" };
	char text[IDN_TEXT];

	return *domain != '\0' && best_domain(&s->index->ours, ascii(domain, text), &nobody) != NULL;
}

bool
settings_is_proxy(const struct settings *s, const struct addr *peer)
{
	unsigned i;

	for (i = 0; i < s->listener_count; i++)
		if (networks_have(s->listener[i].proxy, s->listener[i].proxy_count, peer))
			return true;
	return false;
}
