/* SPDX-License-Identifier: MIT */
/* What a destination is given at a time, over all sites and loops: connections and a rate. Over a limit means later,
 * never failure. The lock is taken when a connection is opened or ends; a message costs an atomic operation, and only
 * where there is a rate. */
#ifndef TMAIL_DELIVERY_LIMIT_H
#define TMAIL_DELIVERY_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct destination_settings;
struct limit;
struct limits;

struct limits *limits_new(void);
void limits_free(struct limits **l);

/* One connection more to GROUP of the destination D, from SOURCE ("": the system chooses). NULL: there may be no other
 * just now, or no message might be sent before *WAIT_US have passed. STARVING: who asks has no connection of it, so that
 * those that have are to make room. NOW_US: clock_us(). */
struct limit *limits_take(struct limits *l, const struct destination_settings *d, const char *group, const char *source,
    bool starving, uint64_t now_us, uint64_t *wait_us);

/* It ended. Nulls the pointer. */
void limits_release(struct limits *l, struct limit **limit);

/* Microseconds until a message may be sent; 0: now. */
uint64_t limit_wait(const struct limit *limit, uint64_t now_us);

/* A message is sent. */
void limit_count(struct limit *limit, uint64_t now_us);

/* Does somebody who has none wait for a connection of it? Then those that are there are to end before long. */
bool limit_wanted(const struct limit *limit, uint64_t now_us);

/* Messages over one connection; 0: any number. */
uint32_t limit_messages(const struct limit *limit);

struct limit_status {
	char destination[64], group[256], source[64];
	unsigned connections, connections_max; /* 0: any */
	uint64_t sent;                         /* messages, since it was first used */
	uint64_t waited;                       /* times somebody was told to wait */
};

/* Any thread; FN must not call back. */
void limits_each(struct limits *l, void (*fn)(const struct limit_status *s, void *arg), void *arg);

#endif
