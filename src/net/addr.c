/* SPDX-License-Identifier: MIT */
#include "net/addr.h"
#include "util/map.h"
#include "util/str.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static int
parse_unix(const char *path, struct addr *out, struct err *err)
{
	size_t n = strlen(path);

	if (path[0] != '/')
		return err_set(err, "unix:%s: the socket's path must be absolute", path);
	if (n >= sizeof out->u.un.sun_path)
		return err_set(err, "unix:%s: a socket's path has at most %zu characters", path,
		    sizeof out->u.un.sun_path - 1);
	out->u.un.sun_family = AF_UNIX;
	memcpy(out->u.un.sun_path, path, n + 1);
	out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	return 0;
}

static int
set_ip(struct addr *out, const char *host, uint16_t port)
{
	if (inet_pton(AF_INET, host, &out->u.in.sin_addr) == 1) {
		out->u.in.sin_family = AF_INET;
		out->u.in.sin_port = htons(port);
		out->len = sizeof out->u.in;
		return 0;
	}
	if (inet_pton(AF_INET6, host, &out->u.in6.sin6_addr) == 1) {
		out->u.in6.sin6_family = AF_INET6;
		out->u.in6.sin6_port = htons(port);
		out->len = sizeof out->u.in6;
		return 0;
	}
	return -1;
}

/* Splits HOST[:PORT]; brackets are needed for IPv6 with a port, allowed for both. */
static int
split(const char *text, char *host, size_t size, const char **port, struct err *err)
{
	const char *end, *colon;
	size_t n;

	*port = NULL;
	if (text[0] == '[') {
		end = strchr(text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return err_set(err, "%s is not [ADDRESS]:PORT", text);
		text++;
		n = (size_t)(end - text);
		if (end[1] == ':')
			*port = end + 2;
	} else {
		colon = strchr(text, ':');
		if (colon != NULL && strchr(colon + 1, ':') != NULL)
			colon = NULL; /* a bare IPv6 address */
		n = colon != NULL ? (size_t)(colon - text) : strlen(text);
		if (colon != NULL)
			*port = colon + 1;
	}
	if (n >= size)
		return err_set(err, "%s is not a numeric address", text);
	memcpy(host, text, n);
	host[n] = '\0';
	return 0;
}

int
addr_parse(const char *text, uint16_t default_port, struct addr *out, struct err *err)
{
	char host[64];
	const char *port;
	uint64_t number = default_port;

	memset(out, 0, sizeof *out);
	if (str_starts(text, "unix:"))
		return parse_unix(text + 5, out, err);
	if (split(text, host, sizeof host, &port, err) < 0)
		return -1;
	if (port != NULL && (str_u64(port, strlen(port), 65535, &number) < 0 || number == 0))
		return err_set(err, "%s: the port must be a number from 1 to 65535", text);
	if (number == 0)
		return err_set(err, "%s: a port is missing (ADDRESS:PORT)", text);
	if (set_ip(out, host[0] != '\0' ? host : "::", (uint16_t)number) < 0)
		return err_set(err, "%s is not a numeric address (192.0.2.1:25, [2001:db8::1]:25, unix:/path)", text);
	out->dual = host[0] == '\0';
	return 0;
}

const char *
addr_ip_text(const struct addr *a, char *out)
{
	struct addr plain = *a;

	switch (a->u.sa.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &a->u.in.sin_addr, out, ADDR_TEXT);
		break;
	case AF_INET6:
		addr_unmap(&plain);
		if (plain.u.sa.sa_family == AF_INET)
			return addr_ip_text(&plain, out);
		inet_ntop(AF_INET6, &a->u.in6.sin6_addr, out, ADDR_TEXT);
		break;
	case AF_UNIX:
		snprintf(out, ADDR_TEXT, "unix:%s", a->u.un.sun_path);
		break;
	default:
		snprintf(out, ADDR_TEXT, "unknown");
	}
	return out;
}

const char *
addr_text(const struct addr *a, char *out)
{
	char ip[ADDR_TEXT];

	addr_ip_text(a, ip);
	if (a->dual)
		snprintf(out, ADDR_TEXT, ":%u", ntohs(a->u.in6.sin6_port));
	else if (a->u.sa.sa_family == AF_INET)
		snprintf(out, ADDR_TEXT, "%.64s:%u", ip, ntohs(a->u.in.sin_port));
	else if (a->u.sa.sa_family == AF_INET6)
		snprintf(out, ADDR_TEXT, "[%.64s]:%u", ip, ntohs(a->u.in6.sin6_port));
	else
		snprintf(out, ADDR_TEXT, "%.*s", ADDR_TEXT - 1, ip);
	return out;
}

const char *
addr_literal(const struct addr *a, char *out)
{
	char ip[ADDR_TEXT];

	addr_ip_text(a, ip);
	snprintf(out, ADDR_TEXT, strchr(ip, ':') != NULL && a->u.sa.sa_family == AF_INET6 ? "[IPv6:%.64s]" : "[%.100s]", ip);
	return out;
}

int
addr_parse_literal(const char *text, uint16_t port, struct addr *out)
{
	char ip[INET6_ADDRSTRLEN];
	size_t n = strlen(text);
	bool six = n > 6 && str_nieq(text + 1, "IPv6:", 5);

	if (n < 3 || text[0] != '[' || text[n - 1] != ']')
		return -1;
	text += six ? 6 : 1;
	n -= six ? 7 : 2;
	if (n >= sizeof ip)
		return -1;
	memcpy(ip, text, n);
	ip[n] = '\0';
	memset(out, 0, sizeof *out);
	if (six && inet_pton(AF_INET6, ip, &out->u.in6.sin6_addr) == 1) {
		out->len = sizeof out->u.in6;
		out->u.in6.sin6_family = AF_INET6;
		out->u.in6.sin6_port = htons(port);
		return 0;
	}
	if (six || inet_pton(AF_INET, ip, &out->u.in.sin_addr) != 1)
		return -1;
	out->len = sizeof out->u.in;
	out->u.in.sin_family = AF_INET;
	out->u.in.sin_port = htons(port);
	return 0;
}

void
addr_unmap(struct addr *a)
{
	struct in_addr ip;
	in_port_t port;

	if (a->u.sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->u.in6.sin6_addr))
		return;
	memcpy(&ip, a->u.in6.sin6_addr.s6_addr + 12, sizeof ip);
	port = a->u.in6.sin6_port;
	memset(a, 0, sizeof *a);
	a->u.in.sin_family = AF_INET;
	a->u.in.sin_addr = ip;
	a->u.in.sin_port = port;
	a->len = sizeof a->u.in;
}

static size_t
host_bytes(const struct addr *a, const void **p)
{
	switch (a->u.sa.sa_family) {
	case AF_INET:
		*p = &a->u.in.sin_addr;
		return sizeof a->u.in.sin_addr;
	case AF_INET6:
		*p = &a->u.in6.sin6_addr;
		return sizeof a->u.in6.sin6_addr;
	case AF_UNIX:
		*p = a->u.un.sun_path;
		return strlen(a->u.un.sun_path);
	default:
		*p = "";
		return 0;
	}
}

bool
addr_is_loopback(const struct addr *a)
{
	switch (a->u.sa.sa_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return ntohl(a->u.in.sin_addr.s_addr) >> 24 == 127;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&a->u.in6.sin6_addr);
	default:
		return false;
	}
}

bool
addr_same_host(const struct addr *a, const struct addr *b)
{
	const void *p, *q;
	size_t n = host_bytes(a, &p), m = host_bytes(b, &q);

	return a->u.sa.sa_family == b->u.sa.sa_family && n == m && memcmp(p, q, n) == 0;
}

uint64_t
addr_host_hash(const struct addr *a)
{
	const void *p;
	size_t n = host_bytes(a, &p);

	return hash_bytes(p, n);
}

static bool
host_bits_set(const struct network *n, size_t bytes)
{
	size_t i;
	unsigned keep;

	for (i = 0; i < bytes; i++) {
		keep = n->bits >= (i + 1) * 8 ? 8 : n->bits > i * 8 ? n->bits - (unsigned)i * 8 : 0;
		if (n->ip[i] & (0xff >> keep))
			return true;
	}
	return false;
}

int
network_parse(const char *text, struct network *out, struct err *err)
{
	const char *slash = strchr(text, '/');
	char host[64];
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
	uint64_t bits, max;

	memset(out, 0, sizeof *out);
	if (n >= sizeof host)
		return err_set(err, "%s is not a network (192.0.2.0/24, 2001:db8::/32)", text);
	memcpy(host, text, n);
	host[n] = '\0';
	if (inet_pton(AF_INET, host, out->ip) == 1)
		out->family = AF_INET;
	else if (inet_pton(AF_INET6, host, out->ip) == 1)
		out->family = AF_INET6;
	else
		return err_set(err, "%s is not a network (192.0.2.0/24, 2001:db8::/32)", text);
	bits = max = out->family == AF_INET ? 32 : 128;
	if (slash != NULL && str_u64(slash + 1, strlen(slash + 1), max, &bits) < 0)
		return err_set(err, "%s: the prefix length must be a number from 0 to %u", text, (unsigned)max);
	out->bits = (unsigned)bits;
	if (host_bits_set(out, max / 8))
		return err_set(err, "%s: bits after the prefix are set (write the network's address, or /%u for a host)",
		    text, (unsigned)max);
	return 0;
}

bool
network_has(const struct network *n, const struct addr *a)
{
	const void *p;
	const unsigned char *ip;
	size_t whole = n->bits / 8;
	unsigned rest = n->bits % 8;

	if (a->u.sa.sa_family != n->family)
		return false;
	host_bytes(a, &p);
	ip = p;
	if (memcmp(ip, n->ip, whole) != 0)
		return false;
	return rest == 0 || ((ip[whole] ^ n->ip[whole]) & (0xff00 >> rest & 0xff)) == 0;
}

bool
networks_have(const struct network *n, unsigned count, const struct addr *a)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (network_has(&n[i], a))
			return true;
	return false;
}
