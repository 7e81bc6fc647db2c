/* SPDX-License-Identifier: MIT */
#include "util/map.h"
#include "util/check.h"
#include "util/random.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static uint64_t secret[2];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
prepare(void)
{
	random_bytes(secret, sizeof secret);
}

static uint64_t
mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	h ^= h >> 32;
	return h;
}

uint64_t
hash_u64(uint64_t v)
{
	pthread_once(&once, prepare);
	return mix(v ^ secret[0]) ^ secret[1];
}

uint64_t
hash_bytes(const void *p, size_t n)
{
	const unsigned char *s = p;
	uint64_t h = hash_u64(n), v;

	for (; n >= 8; n -= 8, s += 8) {
		memcpy(&v, s, 8);
		h = mix(h ^ v);
	}
	v = 0;
	memcpy(&v, s, n);
	return mix(h ^ v);
}

uint64_t
hash_nocase(const char *s)
{
	uint64_t h = hash_u64(0x63);
	unsigned char c;

	for (; (c = (unsigned char)*s) != '\0'; s++) {
		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		h = (h ^ c) * 0x100000001b3u;
	}
	return mix(h);
}

/* Hashes are spread over the buckets again: some callers use a key with most of its bits the same as its hash. */
static size_t
place(uint64_t hash, size_t buckets)
{
	return (size_t)(hash * 0x9e3779b97f4a7c15u >> (64 - __builtin_ctzll(buckets)));
}

void
map_fini(struct map *m)
{
	free(m->bucket);
	memset(m, 0, sizeof *m);
}

static void
grow(struct map *m)
{
	size_t n = m->buckets ? m->buckets * 2 : 16, i;
	struct map_link **bucket = xcalloc(n, sizeof *bucket), *l, *next;

	for (i = 0; i < m->buckets; i++)
		for (l = m->bucket[i]; l != NULL; l = next) {
			next = l->next;
			l->next = bucket[place(l->hash, n)];
			bucket[place(l->hash, n)] = l;
		}
	free(m->bucket);
	m->bucket = bucket;
	m->buckets = n;
}

void
map_add(struct map *m, struct map_link *link, uint64_t hash)
{
	struct map_link **b;

	if (m->count >= m->buckets)
		grow(m);
	b = &m->bucket[place(hash, m->buckets)];
	link->hash = hash;
	link->next = *b;
	*b = link;
	m->count++;
}

void
map_remove(struct map *m, struct map_link *link)
{
	struct map_link **at;

	check(m->count > 0);
	at = &m->bucket[place(link->hash, m->buckets)];
	while (*at != link) {
		check(*at != NULL);
		at = &(*at)->next;
	}
	*at = link->next;
	link->next = NULL;
	m->count--;
}

struct map_link *
map_first(const struct map *m, uint64_t hash)
{
	struct map_link *l;

	if (m->count == 0)
		return NULL;
	for (l = m->bucket[place(hash, m->buckets)]; l != NULL; l = l->next)
		if (l->hash == hash)
			return l;
	return NULL;
}

struct map_link *
map_next(const struct map_link *link)
{
	struct map_link *l;

	for (l = link->next; l != NULL; l = l->next)
		if (l->hash == link->hash)
			return l;
	return NULL;
}

struct map_link *
map_any(const struct map *m)
{
	size_t i;

	for (i = 0; i < m->buckets; i++)
		if (m->bucket[i] != NULL)
			return m->bucket[i];
	return NULL;
}

void
map_each(struct map *m, void (*fn)(struct map_link *, void *), void *arg)
{
	struct map_link *l, *next;
	size_t i;

	for (i = 0; i < m->buckets; i++)
		for (l = m->bucket[i]; l != NULL; l = next) {
			next = l->next;
			fn(l, arg);
		}
}
