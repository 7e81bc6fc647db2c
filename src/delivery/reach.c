/* SPDX-License-Identifier: MIT */
/* From a next hop to a connection: the addresses of its name, IPv6 first, IPv4 beside it when that takes long. */
#include "delivery/conn.h"

#include "delivery/hop.h"
#include "dns/host.h"

#include <stdio.h>
#include <string.h>

static int
reach_host(struct conn *c, uint64_t deadline)
{
	struct io_target target[HOST_ADDRESSES_MAX];
	char ip[ADDR_TEXT];
	struct host host;
	unsigned chosen;

	host_lookup(c->hop->host, c->hop->port, c->hop->turn++, deadline, &host);
	if (host.status != DNS_FOUND)
		return err_set(&c->err, "%s", host.reason);
	for (unsigned i = 0; i < host.count; i++)
		target[i] = (struct io_target){ .to = &host.addr[i] };
	if (io_connect_any(&c->io, target, host.count, V4_PATIENCE, deadline, &chosen, &c->err) < 0)
		return -1;
	snprintf(c->peer, sizeof(c->peer), "%s%s[%s]:%u", c->hop->lmtp ? "lmtp:" : "", c->hop->host,
	    addr_ip_text(&host.addr[chosen], ip), c->hop->port);
	return 0;
}

int
conn_reach(struct conn *c, uint64_t deadline)
{
	if (c->hop->host != NULL)
		return reach_host(c, deadline);
	memcpy(c->peer, c->hop->text, sizeof(c->hop->text));
	return io_connect(&c->io, &c->hop->address, NULL, deadline, &c->err);
}
