/* SPDX-License-Identifier: MIT */
/* A call-out: asks a route's next hop whether it would take a recipient, and sends nothing. */
#ifndef TMAIL_DELIVERY_CALLOUT_H
#define TMAIL_DELIVERY_CALLOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct delivery;
struct route_settings;
struct settings;

enum callout_result {
	CALLOUT_NONE = 0, /* no answer that tells: nobody there, 4xx, a refusal of something else than the address */
	CALLOUT_GOOD,     /* 2xx */
	CALLOUT_BAD,      /* 5xx */
	CALLOUT_ANY,      /* 2xx, and so for an address that nobody can have */
};

struct callout {
	const char *address; /* "user@dom" */
	bool probe;          /* asks for a random address of the domain, too */
	uint64_t timeout;    /* milliseconds for all of it */
	enum callout_result result;
	char text[256];      /* what the next hop said last, or why there is no answer */
};

/* In a task of any loop. The connection is one of its own, as delivery's, over before the deadline: next hops in their
 * order, TLS as the route wants it; a next hop by MX is not asked. SETTINGS and ROUTE are of one snapshot. */
void callout_ask(struct delivery *d, const struct settings *settings, const struct route_settings *route,
    struct callout *call);

#endif
