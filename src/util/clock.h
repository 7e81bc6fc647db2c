/* SPDX-License-Identifier: MIT */
/* Time, replaceable for tests. Milliseconds are monotonic; wall time is seconds since 1970 UTC. */
#ifndef TMAIL_UTIL_CLOCK_H
#define TMAIL_UTIL_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Monotonic milliseconds; never goes back. */
uint64_t clock_ms(void);

/* Monotonic microseconds, for measuring. */
uint64_t clock_us(void);

/* Wall clock, seconds since the epoch. Shifted by TMAIL_TEST_CLOCK_OFFSET seconds (tests only). */
int64_t clock_wall(void);

/* The same in milliseconds. */
int64_t clock_wall_ms(void);

/* RFC 5322 3.3 date-time in local time, as "Sun, 22 Nov 2026 09:26:38 +0100". OUT holds 32 bytes at least. */
void clock_rfc5322(int64_t wall, char *out, size_t size);

/* "2026-11-22T09:26:38Z" (UTC). OUT holds 21 bytes at least. */
void clock_iso8601(int64_t wall, char *out, size_t size);

#endif
