/* SPDX-License-Identifier: MIT */
/* The mail exchangers of a domain, in the order of RFC 5321 5.1. */
#ifndef TMAIL_DNS_MX_H
#define TMAIL_DNS_MX_H

#include "dns/dns.h"

enum mx_status {
	MX_FOUND = 1,
	MX_NULL,       /* the domain takes no mail (RFC 7505) */
	MX_NO_DOMAIN,  /* the domain does not exist, or can be no domain */
	MX_TEMPORARY,  /* not known now: `reason` */
};

enum { MX_MAX = 32, MX_REASON_TEXT = 200 }; /* of more exchangers the best are taken */

struct mx_host {
	char name[DNS_NAME_TEXT];
	unsigned preference;
};

struct mx {
	enum mx_status status;
	bool implicit;  /* there is no MX record: the domain is its own exchanger (RFC 5321 5.1) */
	bool secure;
	uint32_t ttl;
	unsigned count;
	struct mx_host host[MX_MAX]; /* the best first; equal ones in an order of chance */
	char reason[MX_REASON_TEXT];
};

/* In a task. OUT is large: not on a task's stack. Whether the exchangers have addresses was not asked. */
void mx_lookup(const char *domain, uint64_t deadline, struct mx *out);

#endif
