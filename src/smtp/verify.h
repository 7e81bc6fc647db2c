/* SPDX-License-Identifier: MIT */
/* Which recipients exist, as the next hops have said: asked by call-outs, remembered over restarts. */
#ifndef TMAIL_SMTP_VERIFY_H
#define TMAIL_SMTP_VERIFY_H

#include <stdbool.h>

struct delivery;
struct route_settings;
struct session;
struct verify;

enum {
	VERIFY_GOOD_DAYS = 30,
	VERIFY_BAD_HOURS = 3,
	VERIFY_DOMAIN_HOURS = 24,   /* whether a domain's next hop takes every address is asked again */
	VERIFY_TIMEOUT_MS = 10000,  /* of a call-out */
	VERIFY_DOWN_MS = 30000,     /* a route whose next hop did not answer is not asked for so long */
	VERIFY_AT_ONCE = 20,        /* call-outs of a route */
	VERIFY_GOOD_MAX = 200000, VERIFY_BAD_MAX = 50000, /* remembered; the oldest go first */
};

enum verify_answer { VERIFY_ACCEPT, VERIFY_UNKNOWN, VERIFY_BUSY };

/* PATH: the file it is remembered in, NULL: nowhere. Reads it: before the loops run. DELIVERY NULL: all are accepted. */
struct verify *verify_new(const char *path, struct delivery *delivery);

/* After the loops, before the worker threads end. */
void verify_free(struct verify **v);

/* In the session's task. May park and unpark: what points into the input is no longer valid if *PARKED was set. ADDRESS
 * is the caller's own. s->gone may be set. */
enum verify_answer verify_recipient(struct verify *v, struct session *s, const struct route_settings *route,
    const char *address, bool *parked);

#endif
