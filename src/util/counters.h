/* SPDX-License-Identifier: MIT */
/* Counters: declared once in counters.def with their prose, added to from any thread, read by status and metrics. */
#ifndef TMAIL_UTIL_COUNTERS_H
#define TMAIL_UTIL_COUNTERS_H

#include <stdint.h>

enum counter_kind {
	COUNTER_TOTAL = 1, /* only grows */
	COUNTER_LEVEL      /* how many now */
};

enum counter {
#define COUNTER(NAME, name, kind, help) COUNTER_##NAME,
#include "util/counters.def"
#undef COUNTER
	COUNTER_COUNT
};

struct counter_info {
	const char *name;
	const char *help;
	enum counter_kind kind;
};

/* Indexed by enum counter. */
extern const struct counter_info counter_info[COUNTER_COUNT];

/* No lock, a few nanoseconds: threads add to cache lines of their own. */
void counter_add(enum counter c, uint64_t n);

/* For levels. The total of all threads never goes below zero when every sub follows its add. */
void counter_sub(enum counter c, uint64_t n);

uint64_t counter_get(enum counter c);

/* All of them. Threads that are adding meanwhile may show in one and not yet in another. */
void counters_read(uint64_t out[COUNTER_COUNT]);

#endif
