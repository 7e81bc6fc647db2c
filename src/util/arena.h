/* SPDX-License-Identifier: MIT */
/* Memory that is given back all at once: ending a session or a message is one call. Not thread-safe. */
#ifndef TMAIL_UTIL_ARENA_H
#define TMAIL_UTIL_ARENA_H

#include <stddef.h>

struct arena;

/* An arena whose first block holds FIRST bytes (0: a small default); later blocks double up to 64 KiB. */
struct arena *arena_new(size_t first);

/* Frees every block and nulls the caller's pointer. NULL is fine. */
void arena_free(struct arena **arena);

/* SIZE bytes, aligned for any type, not zeroed; never NULL. Large sizes get a block of their own. */
void *arena_alloc(struct arena *arena, size_t size) __attribute__((malloc, returns_nonnull));

/* As arena_alloc(), zeroed. */
void *arena_zalloc(struct arena *arena, size_t size) __attribute__((malloc, returns_nonnull));

/* Copies into the arena; strings are terminated. */
char *arena_strdup(struct arena *arena, const char *s);
char *arena_strndup(struct arena *arena, const char *s, size_t n);
char *arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Bytes this arena holds from the heap, its own bookkeeping included. */
size_t arena_size(const struct arena *arena);

#endif
