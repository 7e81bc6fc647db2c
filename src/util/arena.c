/* SPDX-License-Identifier: MIT */
#include "util/arena.h"
#include "util/check.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_FIRST = 1024, ARENA_BLOCK_MAX = 65536 };

struct block {
	struct block *next;
	size_t size;
	size_t used;
	alignas(max_align_t) char data[];
};

/* The arena sits in its own first block, so that a small one costs one allocation. */
struct arena {
	struct block *head;
	size_t next_size;
	size_t total;
};

static size_t
aligned(size_t n)
{
	const size_t a = alignof(max_align_t);

	return (n + a - 1) & ~(a - 1);
}

static struct block *
block_new(size_t size)
{
	struct block *b = xmalloc(sizeof *b + size);

	b->next = NULL;
	b->size = size;
	b->used = 0;
	return b;
}

struct arena *
arena_new(size_t first)
{
	size_t self = aligned(sizeof(struct arena));
	size_t size = aligned(first ? first : ARENA_FIRST) + self;
	struct block *b = block_new(size);
	struct arena *a = (struct arena *)b->data;

	b->used = self;
	a->head = b;
	a->next_size = size;
	a->total = sizeof *b + size;
	return a;
}

void
arena_free(struct arena **arena)
{
	struct block *b, *next;

	if (*arena == NULL)
		return;
	for (b = (*arena)->head; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	*arena = NULL;
}

static void *
alloc_slow(struct arena *a, size_t size)
{
	struct block *b;

	if (size > a->next_size / 2 && size > ARENA_FIRST) {
		/* A large piece gets its own block behind the head, whose room stays in use. */
		b = block_new(size);
		b->used = size;
		b->next = a->head->next;
		a->head->next = b;
		a->total += sizeof *b + size;
		return b->data;
	}
	if (a->next_size < ARENA_BLOCK_MAX)
		a->next_size *= 2;
	b = block_new(a->next_size > size ? a->next_size : size);
	b->used = size;
	b->next = a->head;
	a->head = b;
	a->total += sizeof *b + b->size;
	return b->data;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	struct block *b = a->head;
	void *p;

	check(size < SIZE_MAX / 2);
	size = aligned(size);
	if (b->size - b->used < size)
		return alloc_slow(a, size);
	p = b->data + b->used;
	b->used += size;
	return p;
}

void *
arena_zalloc(struct arena *a, size_t size)
{
	return memset(arena_alloc(a, size), 0, size);
}

char *
arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);

	memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *
arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	int n;
	char *p;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	check(n >= 0);
	p = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

size_t
arena_size(const struct arena *a)
{
	return a->total;
}
