/* SPDX-License-Identifier: MIT */
/* The addresses of a host, in the order in which they are to be tried. */
#ifndef TMAIL_DNS_HOST_H
#define TMAIL_DNS_HOST_H

#include "dns/dns.h"

enum { HOST_ADDRESSES_MAX = 16, HOST_REASON_TEXT = 200 };

struct host {
	enum dns_status status;  /* DNS_FOUND: some addresses. DNS_TEMPORARY: none are known, but there may be some */
	bool secure;             /* DNSSEC proved every part of it */
	unsigned count;
	struct addr addr[HOST_ADDRESSES_MAX];
	char reason[HOST_REASON_TEXT]; /* without addresses: why, in words */
};

/* In a task: the addresses of NAME, with PORT: IPv6, IPv4, IPv6, ... (RFC 8305 4). Those of a family are in the order
 * of the DNS, begun TURN places later, so that calls with another TURN share the load. */
void host_lookup(const char *name, uint16_t port, unsigned turn, uint64_t deadline, struct host *out);

#endif
