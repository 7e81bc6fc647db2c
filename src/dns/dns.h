/* SPDX-License-Identifier: MIT */
/* Asynchronous DNS: one resolver per loop, asked from tasks in straight-line code.
 *
 * Equal questions asked at the same time are one question; answers are kept, parsed, for as long as they may be
 * (their TTL). Everything that is not a definite answer of the DNS, as SERVFAIL, REFUSED, silence, rubbish or a
 * signature that does not verify, is DNS_TEMPORARY: nothing may be concluded from it. */
#ifndef TMAIL_DNS_DNS_H
#define TMAIL_DNS_DNS_H

#include "net/addr.h"
#include "net/loop.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52,
};

enum dns_status {
	DNS_FOUND = 1, /* at least one record */
	DNS_NODATA,    /* the name exists, without records of this type (RFC 2308 2.2) */
	DNS_NXDOMAIN,  /* the name does not exist, or can be no name */
	DNS_TEMPORARY, /* not known: ask again later */
};

enum {
	DNS_NAME_TEXT = 1025,     /* a name in presentation form, every octet escaped, with its end */
	DNS_TTL_MAX = 24 * 3600,  /* seconds an answer is kept at most */
	DNS_TIMEOUT = 10,         /* seconds for one question, unless configured */
	DNS_V6_PATIENCE = 3000,   /* milliseconds */
	DNS_RECORDS_MAX = 1000,   /* of one answer; more is rubbish */
};

/* One record of the type asked for. Names are lower case, without the dot at their end; "" is the root. */
struct dns_record {
	struct addr address;     /* A, AAAA; its port is 0 */
	unsigned preference;     /* MX */
	const char *name;        /* MX, CNAME, PTR */
	const uint8_t *data;     /* TXT: its strings joined (RFC 7208 3.3); others: the RDATA */
	size_t len;
};

/* Immutable; of one loop; released by dns_release(). */
struct dns_answer {
	enum dns_status status;
	bool secure;             /* DNSSEC proved it, a denial too (RFC 4035 4.3); for DANE */
	uint32_t ttl;            /* seconds, from when it came */
	const char *canonical;   /* the name the records stand under: the last of a CNAME chain; DNS_FOUND only */
	const char *reason;      /* DNS_TEMPORARY: what went wrong, in words; else NULL */
	const struct dns_record *record;
	unsigned count;
};

struct dns_config {
	const struct addr *forward; /* servers to ask, port included; none: the authoritative ones */
	unsigned forward_count;
	const char *const *anchor;  /* DNSKEY or DS records as text; none: nothing is validated */
	unsigned anchor_count;
	uint32_t timeout;           /* seconds for one question; 0: DNS_TIMEOUT */
};

/* Any thread but a loop's: can resolvers be made of CONFIG? Asks nobody. */
int dns_check(const struct dns_config *config, struct err *err);

/* Before loops run: a resolver for each. CONFIG is not needed afterwards. */
int dns_start(struct loop **loops, unsigned count, const struct dns_config *config, struct err *err);

/* After the loops have ended. Harmless when never started. */
void dns_stop(void);

/* One thread, loops running: from soon on questions are asked as CONFIG says and what was known is forgotten;
 * questions under way are answered as they were asked. Does nothing when that is how they are asked. -1: CONFIG is of no
 * use, nothing has changed. */
int dns_configure(const struct dns_config *config, struct err *err);

/* In a task: what the DNS says, at the latest at DEADLINE (loop_now() units) or after the configured time. Never NULL;
 * a cancelled task gets DNS_TEMPORARY. NAME is plain text, with or without a dot at its end, no escapes. */
const struct dns_answer *dns_lookup(const char *name, enum dns_type type, uint64_t deadline);

/* Both at the same time. Where IPv4 addresses are known, those of IPv6 are waited for DNS_V6_PATIENCE at most. */
void dns_lookup_addresses(const char *name, uint64_t deadline, const struct dns_answer **v6,
    const struct dns_answer **v4);

/* In a task: asks for the addresses of NAME without waiting, so that a later look-up finds them sooner. */
void dns_prefetch_addresses(const char *name);

/* Gives ANSWER back and nulls the pointer. */
void dns_release(const struct dns_answer **answer);

/* Keeps it for another owner of the same loop. */
const struct dns_answer *dns_hold(const struct dns_answer *answer);

/* "A", "MX", ...; "type" for others. */
const char *dns_type_name(enum dns_type type);

#endif
