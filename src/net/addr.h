/* SPDX-License-Identifier: MIT */
/* Socket addresses and networks, numeric only: names are resolved elsewhere, never by getaddrinfo. */
#ifndef TMAIL_NET_ADDR_H
#define TMAIL_NET_ADDR_H

#include "util/err.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct addr {
	socklen_t len;
	bool dual; /* ":25": to listen on, [::] stands for IPv4 too */
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
};

enum { ADDR_TEXT = 128 };

/* "192.0.2.1:25", "[2001:db8::1]:25", ":25" (any address of both families; "[::]:25" is IPv6 alone), "unix:/path". A
 * missing port becomes DEFAULT_PORT; with DEFAULT_PORT 0 it is an error. */
int addr_parse(const char *text, uint16_t default_port, struct addr *out, struct err *err);

/* The address back as such a text. OUT holds ADDR_TEXT bytes. */
const char *addr_text(const struct addr *a, char *out);

/* Without the port: "192.0.2.1", "2001:db8::1", "unix:/path". v4-mapped addresses as v4. */
const char *addr_ip_text(const struct addr *a, char *out);

/* The RFC 5321 4.1.3 literal: "[192.0.2.1]", "[IPv6:2001:db8::1]". */
const char *addr_literal(const struct addr *a, char *out);

/* Such a literal back, with PORT; "IPv6:" in either case. -1: it is none. */
int addr_parse_literal(const char *text, uint16_t port, struct addr *out);

/* Turns ::ffff:a.b.c.d into a.b.c.d, once after accept. */
void addr_unmap(struct addr *a);

/* On this machine: 127.0.0.0/8, ::1, a unix socket. */
bool addr_is_loopback(const struct addr *a);

/* Equal host part, ports aside. */
bool addr_same_host(const struct addr *a, const struct addr *b);
uint64_t addr_host_hash(const struct addr *a);

struct network {
	int family;
	unsigned bits;
	unsigned char ip[16];
};

/* "10.0.0.0/8", "2001:db8::/32", a bare address is a host. Host bits that are set are an error. */
int network_parse(const char *text, struct network *out, struct err *err);
bool network_has(const struct network *n, const struct addr *a);

/* Is A in one of COUNT networks? */
bool networks_have(const struct network *n, unsigned count, const struct addr *a);

#endif
