/* SPDX-License-Identifier: MIT */
/* From a next hop to a connection: the addresses of its name, IPv6 first, IPv4 beside it when that takes long, each from
 * an address of ours where the route names a source. */
#include "delivery/conn.h"

#include "delivery/hop.h"
#include "delivery/limit.h"
#include "delivery/site.h"
#include "directory/settings.h"
#include "dns/host.h"
#include "net/loop.h"
#include "spool/spool.h"
#include "util/clock.h"

#include <stdio.h>
#include <string.h>

/* Our side of a connection to an address of one family, or to any where the system chooses: an address, and leave to
 * use it. Chosen once for all of the hop's addresses of that family. */
struct origin {
	bool chosen, allowed;
	struct source *source; /* NULL: the system chooses, or there is none */
	struct limit *limit;   /* NULL: no destination limits it */
};

struct origins {
	struct origin v4, v6, any;
	const struct destination_settings *destination;
	char host[HOP_TEXT];
	uint64_t wait_us;      /* until the first is allowed again */
};

static void
find_destination(struct conn *c, struct origins *o)
{
	const struct route_settings *route = c->site->route;
	/* A call-out has no queue: it asks about a domain of the configuration. */
	const char *domain = c->site->queue != NULL ? settings_key_domain(route, queue_key(c->site->queue)) : NULL;

	if (domain == NULL && route->domain_count > 0)
		domain = route->domain[0];
	if (c->hop->host != NULL)
		snprintf(o->host, sizeof(o->host), "%s", c->hop->host);
	else
		addr_ip_text(&c->hop->address, o->host);
	if (c->site->settings->destination_count > 0 && c->hop->address.u.sa.sa_family != AF_UNIX)
		o->destination = settings_destination(c->site->settings, o->host, domain);
}

static bool
allow(struct conn *c, struct origins *o, struct origin *own)
{
	char ip[ADDR_TEXT] = "";
	uint64_t wait_us;

	if (o->destination == NULL)
		return true;
	if (own->source != NULL)
		addr_ip_text(&own->source->conf->address, ip);
	own->limit = limits_take(c->site->delivery->limits, o->destination, destination_group(o->destination, o->host),
	    ip, c->hop->conns == 1, clock_us(), &wait_us);
	if (own->limit == NULL && (o->wait_us == 0 || wait_us < o->wait_us))
		o->wait_us = wait_us;
	return own->limit != NULL;
}

/* The next source in turn that may be used now. */
static void
choose_source(struct conn *c, struct origins *o, struct origin *own, int family)
{
	struct sources *sources = &c->site->sources;
	uint64_t now = loop_now(c->loop), tried = 0;
	uint64_t avoid = c->hop->avoid_until > now ? c->hop->avoid : 0;

	while ((own->source = sources_choose(sources, family, avoid | tried, now)) != NULL &&
	    (tried & source_bit(sources, own->source)) == 0) {
		own->allowed = allow(c, o, own);
		if (own->allowed)
			return;
		tried |= source_bit(sources, own->source);
	}
	own->source = NULL;
}

static struct origin *
origin_for(struct conn *c, struct origins *o, int family)
{
	bool free_choice = c->site->sources.conf == NULL || family == AF_UNIX;
	struct origin *own = free_choice ? &o->any : family == AF_INET ? &o->v4 : &o->v6;

	if (own->chosen)
		return own;
	own->chosen = true;
	if (free_choice)
		own->allowed = allow(c, o, own);
	else
		choose_source(c, o, own, family);
	return own;
}

/* Those of the COUNT addresses we can go to, each with where we go from. */
static unsigned
aim(struct conn *c, struct origins *o, const struct addr *to, unsigned count, struct io_target *target)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++) {
		struct origin *own = origin_for(c, o, to[i].u.sa.sa_family);

		if (own->allowed)
			target[n++] = (struct io_target){ &to[i],
				own->source != NULL ? &own->source->conf->address : NULL };
	}
	return n;
}

/* The connection goes from OWN (NULL: it was not made); leave to use the others is given back. */
static void
settle(struct conn *c, struct origins *o, struct origin *own)
{
	struct origin *all[] = { &o->v4, &o->v6, &o->any };

	if (own != NULL) {
		c->limit = own->limit;
		own->limit = NULL;
	}
	for (unsigned i = 0; i < 3; i++)
		limits_release(c->site->delivery->limits, &all[i]->limit);
}

static int
connect_to(struct conn *c, const struct addr *to, unsigned count, uint64_t deadline, const struct addr **reached)
{
	struct io_target target[HOST_ADDRESSES_MAX];
	struct origins o = { 0 };
	struct origin *own;
	unsigned n, chosen;

	find_destination(c, &o);
	n = aim(c, &o, to, count, target);
	if (n == 0) {
		c->held_ms = o.wait_us > 0 ? o.wait_us / 1000 + 1 : 0;
		return err_set(&c->err, c->held_ms > 0 ? "destination %s is at its limit"
		    : "source %s has no address that can be used towards it",
		    c->held_ms > 0 ? o.destination->name : c->site->sources.conf->name);
	}
	/* For the blame, should it fail; which one it was is known only when it does not. */
	c->source = o.v4.source != NULL ? o.v4.source : o.v6.source;
	if (io_connect_any(&c->io, target, n, V4_PATIENCE, deadline, &chosen, &c->err) < 0) {
		settle(c, &o, NULL);
		return -1;
	}
	*reached = target[chosen].to;
	own = origin_for(c, &o, (*reached)->u.sa.sa_family);
	c->source = own->source;
	settle(c, &o, own);
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
