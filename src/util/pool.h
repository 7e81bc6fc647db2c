/* SPDX-License-Identifier: MIT */
/* Blocks of one size, cut from 2 MiB regions that the kernel may back with huge pages. For what comes in great numbers:
 * the content of messages, where memory is fresh while mail arrives faster than it leaves and a fault for each 4 KiB
 * of it would cost a tenth of the loop's time; the index of the queue, which must not share pages with what is freed
 * soon. Any thread; a region goes back to the kernel when its last block is free. */
#ifndef TMAIL_UTIL_POOL_H
#define TMAIL_UTIL_POOL_H

#include "util/list.h"

#include <pthread.h>

struct pool {
	size_t size;      /* of a block */
	pthread_mutex_t lock;
	struct list some; /* regions with a free block */
	unsigned regions; /* in all */
	unsigned empty;   /* without a used block */
};

/* For static storage: blocks of SIZE bytes, a multiple of 16. */
#define POOL_INIT(self, block_size) \
	{ .size = (block_size), .lock = PTHREAD_MUTEX_INITIALIZER, .some = { &(self).some, &(self).some } }

/* A block, aligned for any type, not zeroed; never NULL. */
void *pool_alloc(struct pool *pool) __attribute__((returns_nonnull));
void pool_free(struct pool *pool, void *block);

/* Bytes it holds from the kernel. */
size_t pool_bytes(struct pool *pool);

#endif
