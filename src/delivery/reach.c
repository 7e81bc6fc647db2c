/* SPDX-License-Identifier: MIT */
/* From a next hop to a connection: the addresses of its name, IPv6 first, IPv4 beside it when that takes long, each from
 * an address of ours where the route names a source. */
#include "delivery/conn.h"

#include "delivery/hop.h"
#include "delivery/site.h"
#include "directory/settings.h"
#include "dns/host.h"
#include "net/loop.h"

#include <stdio.h>
#include <string.h>

/* Our own address towards one of a family; chosen once for all of the hop's that are of that family. */
struct origin {
	struct source *v4, *v6;
	bool chose_v4, chose_v6;
};

static struct source *
origin_for(struct conn *c, struct origin *o, int family)
{
	struct source **source = family == AF_INET ? &o->v4 : &o->v6;
	bool *chosen = family == AF_INET ? &o->chose_v4 : &o->chose_v6;
	uint64_t now = loop_now(c->loop);

	if (!*chosen)
		*source = sources_choose(&c->site->sources, family, c->hop->avoid_until > now ? c->hop->avoid : 0, now);
	*chosen = true;
	return *source;
}

/* Those of the COUNT addresses we can go to, each with where we go from. */
static unsigned
aim(struct conn *c, struct origin *o, const struct addr *to, unsigned count, struct io_target *target)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++) {
		int family = to[i].u.sa.sa_family;
		struct source *source = NULL;

		if (c->site->sources.conf != NULL && family != AF_UNIX && (source = origin_for(c, o, family)) == NULL)
			continue;
		target[n++] = (struct io_target){ &to[i], source != NULL ? &source->conf->address : NULL };
	}
	return n;
}

static int
connect_to(struct conn *c, const struct addr *to, unsigned count, uint64_t deadline, const struct addr **reached)
{
	struct io_target target[HOST_ADDRESSES_MAX];
	struct origin o = { 0 };
	unsigned n = aim(c, &o, to, count, target), chosen;

	if (n == 0)
		return err_set(&c->err, "source %s has no address that can be used towards it", c->site->sources.conf->name);
	/* For the blame, should it fail; which one it was is known only when it does not. */
	c->source = o.v4 != NULL ? o.v4 : o.v6;
	if (io_connect_any(&c->io, target, n, V4_PATIENCE, deadline, &chosen, &c->err) < 0)
		return -1;
	*reached = target[chosen].to;
	c->source = (*reached)->u.sa.sa_family == AF_INET ? o.v4 : o.v6;
	return 0;
}

static int
reach_host(struct conn *c, uint64_t deadline)
{
	const struct addr *reached;
	char ip[ADDR_TEXT];
	struct host host;

	host_lookup(c->hop->host, c->hop->port, c->hop->turn++, deadline, &host);
	if (host.status != DNS_FOUND)
		return err_set(&c->err, "%s", host.reason);
	if (connect_to(c, host.addr, host.count, deadline, &reached) < 0)
		return -1;
	snprintf(c->peer, sizeof(c->peer), "%s%s[%s]:%u", c->hop->lmtp ? "lmtp:" : "", c->hop->host,
	    addr_ip_text(reached, ip), c->hop->port);
	return 0;
}

int
conn_reach(struct conn *c, uint64_t deadline)
{
	const struct addr *reached;

	if (c->hop->host != NULL)
		return reach_host(c, deadline);
	memcpy(c->peer, c->hop->text, sizeof(c->hop->text));
	return connect_to(c, &c->hop->address, 1, deadline, &reached);
}

bool
conn_blames_source(struct conn *c)
{
	struct hop *hop = c->hop;
	uint64_t now = loop_now(c->loop);

	if (c->source == NULL)
		return false;
	if (hop->avoid_until <= now)
		hop->avoid = 0;
	hop->avoid |= source_bit(&c->site->sources, c->source);
	hop->avoid_until = now + SOURCE_REST;
	if (sources_have_other(&c->site->sources, c->source, hop->avoid))
		return true;
	hop->avoid = 0;
	return false;
}

const char *
conn_hostname(const struct conn *c)
{
	const char *own = c->source != NULL ? c->source->conf->hostname : NULL;

	return own != NULL ? own : conn_settings(c)->hostname;
}
