/* SPDX-License-Identifier: MIT */
#include "util/pool.h"
#include "util/check.h"
#include "util/list.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Sanitizers and valgrind see more when each block is an allocation of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define POOL_PLAIN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define POOL_PLAIN 1
#endif
#endif

#ifdef POOL_PLAIN

void *
pool_alloc(void)
{
	return xmalloc(POOL_BLOCK);
}

void
pool_free(void *block)
{
	free(block);
}

#else

enum {
	REGION_SIZE = 2 << 20,
	REGION_BLOCKS = REGION_SIZE / POOL_BLOCK,
	SPARE_MAX = 2, /* empty regions kept, so that a level that goes up and down costs no system calls */
};

/* At the beginning of a region, which is aligned to its size; the first block is lost to it. */
struct region {
	struct list link;
	struct block *free;
	unsigned used;
	unsigned fresh; /* blocks from this one on were never given out: untouched memory */
};

struct block {
	struct block *next;
};

static struct {
	pthread_mutex_t lock;
	struct list some; /* regions with a free block */
	unsigned empty;   /* of them without a used one */
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .some = { &pool.some, &pool.some } };

static bool
is_full(const struct region *r)
{
	return r->free == NULL && r->fresh == REGION_BLOCKS;
}

static struct region *
region_new(void)
{
	char *p = mmap(NULL, 2 * REGION_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before;
	struct region *r;

	if (p == MAP_FAILED)
		fatal("out of memory: no further %d bytes for messages", REGION_SIZE);
	before = (size_t)(-(uintptr_t)p & (REGION_SIZE - 1));
	if (before > 0)
		munmap(p, before);
	munmap(p + before + REGION_SIZE, REGION_SIZE - before);
	r = (struct region *)(p + before);
	madvise(r, REGION_SIZE, MADV_HUGEPAGE);
	r->fresh = 1;
	list_append(&pool.some, &r->link);
	pool.empty++;
	return r;
}

static struct region *
region_of(void *block)
{
	return (struct region *)((uintptr_t)block & ~(uintptr_t)(REGION_SIZE - 1));
}

void *
pool_alloc(void)
{
	struct region *r;
	struct block *b;

	pthread_mutex_lock(&pool.lock);
	r = list_empty(&pool.some) ? region_new() : list_entry(pool.some.next, struct region, link);
	b = r->free;
	if (b != NULL)
		r->free = b->next;
	else
		b = (struct block *)((char *)r + (size_t)r->fresh++ * POOL_BLOCK);
	pool.empty -= r->used++ == 0;
	if (is_full(r))
		list_remove(&r->link);
	pthread_mutex_unlock(&pool.lock);
	return b;
}

void
pool_free(void *block)
{
	struct region *r = region_of(block);
	struct block *b = block;
	bool unmap = false;

	pthread_mutex_lock(&pool.lock);
	if (is_full(r))
		list_prepend(&pool.some, &r->link);
	b->next = r->free;
	r->free = b;
	if (--r->used == 0) {
		list_remove(&r->link);
		unmap = pool.empty >= SPARE_MAX;
		if (!unmap) {
			list_append(&pool.some, &r->link); /* used last, so that few regions are in use */
			pool.empty++;
		}
	}
	pthread_mutex_unlock(&pool.lock);
	if (unmap)
		munmap(r, REGION_SIZE);
}

#endif
