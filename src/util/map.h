/* SPDX-License-Identifier: MIT */
/* Intrusive hash table: the link is a member of what is stored; no allocation a member. Not thread-safe. */
#ifndef TMAIL_UTIL_MAP_H
#define TMAIL_UTIL_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_link {
	struct map_link *next;
	uint64_t hash;
};

/* Zeroed memory is an empty table. */
struct map {
	struct map_link **bucket;
	size_t buckets; /* a power of two, or 0 */
	size_t count;
};

/* Frees the table's own memory; members are the caller's. */
void map_fini(struct map *m);

/* Adds LINK under HASH. Equal keys may stand side by side: look first where that matters. */
void map_add(struct map *m, struct map_link *link, uint64_t hash);

/* Takes LINK out; it must be in M. */
void map_remove(struct map *m, struct map_link *link);

/* First link under HASH, then the next one of the same HASH; the caller compares the key. NULL at the end. */
struct map_link *map_first(const struct map *m, uint64_t hash);
struct map_link *map_next(const struct map_link *link);

/* Any link at all (for tearing down), or NULL when empty. */
struct map_link *map_any(const struct map *m);

/* Calls FN for every link; FN may remove the link it is given. */
void map_each(struct map *m, void (*fn)(struct map_link *link, void *arg), void *arg);

/* Hashes keyed by a secret of this process, so that peers cannot aim at one bucket. */
uint64_t hash_bytes(const void *p, size_t n);
uint64_t hash_u64(uint64_t v);
/* ASCII letters in either case hash alike. */
uint64_t hash_nocase(const char *s);

#endif
