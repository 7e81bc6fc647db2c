/* SPDX-License-Identifier: MIT */
#include "delivery/own.h"

#include "directory/settings.h"
#include "net/addr.h"
#include "util/str.h"

#include <sys/socket.h>
#include <unistd.h>

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

/* An address of this machine: the kernel would speak to it from itself. Nothing is sent. */
static bool
is_local(const struct addr *a)
{
	struct addr from = { .len = sizeof(from.u) };
	bool same;
	int fd;

	if (is_loopback(a))
		return true;
	fd = socket(a->u.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	same = connect(fd, &a->u.sa, a->len) == 0 && getsockname(fd, &from.u.sa, &from.len) == 0 &&
	    addr_same_host(&from, a);
	close(fd);
	return same;
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
