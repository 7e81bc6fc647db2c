/* SPDX-License-Identifier: MIT */
#include "spool/message.h"
#include "spool/disk.h"
#include "util/arena.h"
#include "util/check.h"
#include "util/map.h"
#include "util/pool.h"

#include <stdlib.h>
#include <string.h>

/* A piece from the pool is told by its size. Smaller ones would waste too much of a block. */
enum { PIECE_BLOCK = 8192, PIECE_POOLED = PIECE_BLOCK - sizeof(struct chunk), PIECE_SMALL = PIECE_BLOCK / 4 };

static struct pool pieces = POOL_INIT(pieces, PIECE_BLOCK);

struct message *
message_new(uint64_t id, struct arena **arena)
{
	struct message *m = arena_zalloc(*arena, sizeof *m);

	atomic_init(&m->refs, 1);
	m->id = id;
	m->arena = *arena;
	*arena = NULL;
	m->sender = "";
	m->blob_fd = -1;
	return m;
}

struct message *
message_ref(struct message *m)
{
	atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
	return m;
}

static void
give_back(struct message *m)
{
	if (m->budget == NULL)
		return;
	atomic_fetch_sub_explicit(&m->budget->total, m->memory, memory_order_relaxed);
	if (atomic_load_explicit(&m->cached, memory_order_relaxed))
		atomic_fetch_sub_explicit(&m->budget->cached, m->memory, memory_order_relaxed);
}

void
message_release(struct message *m)
{
	struct chunk *c, *next;

	give_back(m);
	m->memory = 0;
	for (c = m->first; c != NULL; c = next) {
		next = c->next;
		if (c->cap == PIECE_POOLED)
			pool_free(&pieces, c);
		else
			free(c);
	}
	m->first = m->last = NULL;
}

void
message_unref(struct message **message)
{
	struct message *m = *message;
	struct arena *arena;

	*message = NULL;
	if (m == NULL || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) > 1)
		return;
	message_release(m);
	if (m->blob_fd >= 0)
		m->blob_disk->close(m->blob_disk, m->blob_fd);
	arena = m->arena;
	arena_free(&arena);
}

void
message_charge_rest(struct message *m, struct message_budget *budget)
{
	size_t bytes = (size_t)(m->size - m->blob_len);

	if (m->memory >= bytes)
		return;
	atomic_fetch_add_explicit(&budget->total, bytes - m->memory, memory_order_relaxed);
	m->budget = budget;
	m->memory = bytes;
}

/* The array grows by doubling: capacity is the power of two not below the count. */
static void
add_group(struct message *m, const char *key, uint32_t hash)
{
	const char **grown;
	uint32_t n = m->group_count, *hashes;

	if ((n & (n - 1)) == 0) {
		grown = arena_alloc(m->arena, (n ? n * 2 : 1) * sizeof *grown);
		if (n > 0)
			memcpy(grown, m->group, n * sizeof *grown);
		m->group = grown;
		hashes = arena_alloc(m->arena, (n ? n * 2 : 1) * sizeof *hashes);
		if (n > 0)
			memcpy(hashes, m->group_hash, n * sizeof *hashes);
		m->group_hash = hashes;
	}
	m->group_hash[n] = hash;
	m->group[m->group_count++] = arena_strdup(m->arena, key);
}

uint16_t
message_group(struct message *m, const char *key)
{
	uint32_t i, hash = (uint32_t)hash_bytes(key, strlen(key));

	check(m->group_count == 0 || m->group_hash != NULL); /* not on one that was read back */
	for (i = m->group_count; i > 0; i--)
		if (m->group_hash[i - 1] == hash && strcmp(m->group[i - 1], key) == 0)
			return (uint16_t)(i - 1);
	check(m->group_count < UINT16_MAX);
	add_group(m, key, hash);
	return (uint16_t)(m->group_count - 1);
}

size_t
message_piece(size_t want)
{
	return want > PIECE_SMALL && want <= PIECE_POOLED ? PIECE_POOLED : want;
}

static struct chunk *
chunk_new(size_t want)
{
	size_t cap = message_piece(want);
	struct chunk *c = cap == PIECE_POOLED ? pool_alloc(&pieces) : xmalloc(sizeof *c + cap);

	c->next = NULL;
	c->len = 0;
	c->cap = cap;
	return c;
}

char *
message_room(struct message *m, size_t want, size_t *room)
{
	struct chunk *c = m->last;

	if (c == NULL || c->len == c->cap) {
		c = chunk_new(want ? want : 4096);
		if (m->last != NULL)
			m->last->next = c;
		else
			m->first = c;
		m->last = c;
	}
	*room = c->cap - c->len;
	return c->data + c->len;
}

void
message_filled(struct message *m, size_t n)
{
	check(m->last != NULL && n <= m->last->cap - m->last->len);
	m->last->len += n;
	m->size += n;
}

void
message_append(struct message *m, const void *p, size_t n)
{
	const char *from = p;
	size_t room;
	char *to;

	while (n > 0) {
		to = message_room(m, n < 4096 ? 4096 : n, &room);
		if (room > n)
			room = n;
		memcpy(to, from, room);
		message_filled(m, room);
		from += room;
		n -= room;
	}
}

void
message_prepend(struct message *m, const void *p, size_t n)
{
	struct chunk *c;

	if (n == 0)
		return;
	c = chunk_new(n);
	memcpy(c->data, p, n);
	c->len = n;
	c->next = m->first;
	m->first = c;
	if (m->last == NULL)
		m->last = c;
	m->size += n;
}
