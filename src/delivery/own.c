/* SPDX-License-Identifier: MIT */
#include "delivery/own.h"

#include "directory/settings.h"
#include "net/addr.h"
#include "util/str.h"

#include <ifaddrs.h>
#include <string.h>

bool
own_name(const struct settings *s, const char *name)
{
	return str_ieq(s->hostname, name);
}

static unsigned
port_of(const struct addr *a)
{
	return a->u.sa.sa_family == AF_INET ? a->u.in.sin_port : a->u.sa.sa_family == AF_INET6 ? a->u.in6.sin6_port : 0;
}

static bool
is_any(const struct addr *a)
{
	if (a->u.sa.sa_family == AF_INET)
		return a->u.in.sin_addr.s_addr == INADDR_ANY;
	return a->u.sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->u.in6.sin6_addr);
}

static bool
is_loopback(const struct addr *a)
{
	return a->u.sa.sa_family == AF_INET ? ntohl(a->u.in.sin_addr.s_addr) >> 24 == 127
	    : IN6_IS_ADDR_LOOPBACK(&a->u.in6.sin6_addr);
}

/* An address of this machine; one system call or two, only where we listen on all of them. */
static bool
is_local(const struct addr *a)
{
	struct ifaddrs *list, *i;
	bool found = false;

	if (is_loopback(a))
		return true;
	if (getifaddrs(&list) < 0)
		return false;
	for (i = list; i != NULL && !found; i = i->ifa_next) {
		struct addr own = { 0 };

		if (i->ifa_addr == NULL || i->ifa_addr->sa_family != a->u.sa.sa_family)
			continue;
		own.len = a->len;
		memcpy(&own.u, i->ifa_addr, a->len);
		found = addr_same_host(&own, a);
	}
	freeifaddrs(list);
	return found;
}

static bool
listens_at(const struct addr *listener, const struct addr *a)
{
	if (port_of(listener) != port_of(a))
		return false;
	if (!is_any(listener))
		return addr_same_host(listener, a);
	if (listener->u.sa.sa_family != a->u.sa.sa_family && !listener->dual)
		return false;
	return is_local(a);
}

bool
own_address(const struct settings *s, const struct addr *a)
{
	for (unsigned i = 0; i < s->listener_count; i++)
		for (unsigned k = 0; k < s->listener[i].address_count; k++)
			if (listens_at(&s->listener[i].address[k], a))
				return true;
	return is_any(a);
}
