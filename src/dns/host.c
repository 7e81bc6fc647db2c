/* SPDX-License-Identifier: MIT */
#include "dns/host.h"

#include <stdio.h>

static void
add(struct host *h, const struct dns_answer *a, unsigned i, unsigned turn, uint16_t port)
{
	struct addr *to = &h->addr[h->count];

	if (i >= a->count || h->count == HOST_ADDRESSES_MAX)
		return;
	*to = a->record[(i + turn) % a->count].address;
	if (to->u.sa.sa_family == AF_INET6)
		to->u.in6.sin6_port = htons(port);
	else
		to->u.in.sin_port = htons(port);
	h->count++;
}

static void
explain(struct host *h, const char *name, const struct dns_answer *v6, const struct dns_answer *v4)
{
	const struct dns_answer *a = v4->status == DNS_TEMPORARY ? v4 : v6;

	if (a->status == DNS_TEMPORARY) {
		h->status = DNS_TEMPORARY;
		snprintf(h->reason, sizeof h->reason, "DNS: the addresses of %.80s: %.80s", name, a->reason);
		return;
	}
	h->status = v4->status == DNS_NXDOMAIN || v6->status == DNS_NXDOMAIN ? DNS_NXDOMAIN : DNS_NODATA;
	snprintf(h->reason, sizeof h->reason, h->status == DNS_NXDOMAIN ? "DNS: %.150s does not exist"
	    : "DNS: %.150s has no address", name);
}

void
host_lookup(const char *name, uint16_t port, unsigned turn, uint64_t deadline, struct host *out)
{
	const struct dns_answer *v6, *v4;

	dns_lookup_addresses(name, deadline, &v6, &v4);
	out->count = 0;
	out->reason[0] = '\0';
	for (unsigned i = 0; i < HOST_ADDRESSES_MAX && (i < v6->count || i < v4->count); i++) {
		add(out, v6, i, turn, port);
		add(out, v4, i, turn, port);
	}
	out->status = DNS_FOUND;
	out->secure = v6->secure && v4->secure;
	if (out->count == 0)
		explain(out, name, v6, v4);
	dns_release(&v6);
	dns_release(&v4);
}
