/* SPDX-License-Identifier: MIT */
/* Blocks of one size for the content of messages. They are cut from 2 MiB regions that the kernel may back with huge
 * pages: where mail arrives faster than it leaves, memory is fresh, and a fault for each 4 KiB of it would cost a tenth
 * of the loop's time. Any thread; a region goes back to the kernel when its last block is free. */
#ifndef TMAIL_UTIL_POOL_H
#define TMAIL_UTIL_POOL_H

/* Bytes of a block. */
enum { POOL_BLOCK = 8192 };

/* A block, aligned for any type, not zeroed; never NULL. */
void *pool_alloc(void) __attribute__((returns_nonnull));
void pool_free(void *block);

#endif
