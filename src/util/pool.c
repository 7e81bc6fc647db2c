/* SPDX-License-Identifier: MIT */
#include "util/pool.h"
#include "util/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Sanitizers see more when each block is an allocation of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define POOL_PLAIN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define POOL_PLAIN 1
#endif
#endif

#ifdef POOL_PLAIN

void *
pool_alloc(struct pool *pool)
{
	return xmalloc(pool->size);
}

void
pool_free(struct pool *pool, void *block)
{
	(void)pool;
	free(block);
}

size_t
pool_bytes(struct pool *pool)
{
	(void)pool;
	return 0;
}

#else

enum {
	REGION_SIZE = 2 << 20,
	REGION_HEAD = 64, /* keeps blocks aligned */
	SPARE_MAX = 2,    /* empty regions kept, so that a level that goes up and down costs no system calls */
};

/* At the beginning of a region, which is aligned to its size. */
struct region {
	struct list link;
	struct block *free;
	size_t used;
	size_t fresh; /* the offset from which on blocks were never given out: untouched memory */
};

struct block {
	struct block *next;
};

_Static_assert(sizeof(struct region) <= REGION_HEAD, "the head of a region has its room");

static bool
is_full(const struct pool *pool, const struct region *r)
{
	return r->free == NULL && r->fresh + pool->size > REGION_SIZE;
}

static struct region *
region_new(struct pool *pool)
{
	char *p = mmap(NULL, 2 * REGION_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before;
	struct region *r;

	if (p == MAP_FAILED)
		fatal("out of memory: no further %d bytes", REGION_SIZE);
	before = (size_t)(-(uintptr_t)p & (REGION_SIZE - 1));
	if (before > 0)
		munmap(p, before);
	munmap(p + before + REGION_SIZE, REGION_SIZE - before);
	r = (struct region *)(p + before);
	madvise(r, REGION_SIZE, MADV_HUGEPAGE);
	r->fresh = REGION_HEAD;
	list_append(&pool->some, &r->link);
	pool->regions++;
	pool->empty++;
	return r;
}

void *
pool_alloc(struct pool *pool)
{
	struct region *r;
	struct block *b;

	pthread_mutex_lock(&pool->lock);
	r = list_empty(&pool->some) ? region_new(pool) : list_entry(pool->some.next, struct region, link);
	b = r->free;
	if (b != NULL) {
		r->free = b->next;
	} else {
		b = (struct block *)((char *)r + r->fresh);
		r->fresh += pool->size;
	}
	pool->empty -= r->used++ == 0;
	if (is_full(pool, r))
		list_remove(&r->link);
	pthread_mutex_unlock(&pool->lock);
	return b;
}

void
pool_free(struct pool *pool, void *block)
{
	struct region *r = (struct region *)((uintptr_t)block & ~(uintptr_t)(REGION_SIZE - 1));
	struct block *b = block;
	bool unmap = false;

	pthread_mutex_lock(&pool->lock);
	if (is_full(pool, r))
		list_prepend(&pool->some, &r->link);
	b->next = r->free;
	r->free = b;
	if (--r->used == 0) {
		list_remove(&r->link);
		unmap = pool->empty >= SPARE_MAX;
		if (unmap) {
			pool->regions--;
		} else {
			list_append(&pool->some, &r->link); /* used last, so that few regions are in use */
			pool->empty++;
		}
	}
	pthread_mutex_unlock(&pool->lock);
	if (unmap)
		munmap(r, REGION_SIZE);
}

size_t
pool_bytes(struct pool *pool)
{
	size_t bytes;

	pthread_mutex_lock(&pool->lock);
	bytes = (size_t)pool->regions * REGION_SIZE;
	pthread_mutex_unlock(&pool->lock);
	return bytes;
}

#endif
