/* SPDX-License-Identifier: MIT */
/* Randomness from the kernel, and cheap numbers for jitter. */
#ifndef TMAIL_UTIL_RANDOM_H
#define TMAIL_UTIL_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills with unpredictable bytes; a kernel without them is fatal. */
void random_bytes(void *p, size_t n);

/* A number in [0, LIMIT), LIMIT > 0; per-thread generator, not for secrets. */
uint64_t random_below(uint64_t limit);

#endif
