/* SPDX-License-Identifier: MIT */
/* DNS messages (RFC 1035 4) to answers. Pure; fuzzed: the bytes are a stranger's. */
#ifndef TMAIL_DNS_ANSWER_H
#define TMAIL_DNS_ANSWER_H

#include "dns/dns.h"

/* What dns_lookup() hands out begins here; the rest is one allocation. */
struct answer {
	struct dns_answer pub;
	struct arena *arena;
	unsigned refs;
};

/* The answer to the question (NAME, TYPE) in the message P of N bytes. What does not follow the grammar, belongs to
 * another question, or has a CNAME chain that is not one is DNS_TEMPORARY. One reference is the caller's. */
struct answer *answer_parse(const void *p, size_t n, const char *name, enum dns_type type);

/* DNS_TEMPORARY for REASON; DNS_NXDOMAIN without one. */
struct answer *answer_new(const char *reason);

void answer_drop(struct answer *answer);

/* NAME as the DNS's presentation form wants it (RFC 1035 5.1: odd octets as \DDD, lower case, no dot at the end).
 * -1: too long, an empty label: no such name can be. */
int dns_name_text(const char *name, char out[DNS_NAME_TEXT]);

#endif
