/* SPDX-License-Identifier: MIT */
#include "util/counters.h"
#include "util/check.h"

#include <stdalign.h>
#include <stdatomic.h>

/* More threads than shards share: the adds are atomic all the same. */
enum { SHARDS = 16 };

struct shard {
	alignas(64) _Atomic uint64_t value[COUNTER_COUNT];
};

static struct shard shard[SHARDS];
static _Atomic unsigned next_shard;

const struct counter_info counter_info[COUNTER_COUNT] = {
#define COUNTER(NAME, name, kind, help) [COUNTER_##NAME] = { #name, help, kind },
#include "util/counters.def"
#undef COUNTER
};

static struct shard *
mine(void)
{
	static _Thread_local struct shard *s;

	if (s == NULL)
		s = &shard[atomic_fetch_add_explicit(&next_shard, 1, memory_order_relaxed) % SHARDS];
	return s;
}

void
counter_add(enum counter c, uint64_t n)
{
	atomic_fetch_add_explicit(&mine()->value[c], n, memory_order_relaxed);
}

void
counter_sub(enum counter c, uint64_t n)
{
	/* One thread's part may wrap below zero; the sum modulo 2^64 is right. */
	atomic_fetch_sub_explicit(&mine()->value[c], n, memory_order_relaxed);
}

uint64_t
counter_get(enum counter c)
{
	uint64_t sum = 0;
	unsigned i;

	check(c < COUNTER_COUNT);
	for (i = 0; i < SHARDS; i++)
		sum += atomic_load_explicit(&shard[i].value[c], memory_order_relaxed);
	return sum;
}

void
counters_read(uint64_t out[COUNTER_COUNT])
{
	unsigned i;

	for (i = 0; i < COUNTER_COUNT; i++)
		out[i] = counter_get((enum counter)i);
}
