/* SPDX-License-Identifier: MIT */
/* The header of the PROXY protocol, versions 1 and 2, as HAProxy's specification (proxy-protocol.txt) has it: a proxy
 * says with the first bytes of a connection whose connection it passes on. Pure functions over bytes. */
#ifndef TMAIL_NET_PROXYPROTO_H
#define TMAIL_NET_PROXYPROTO_H

#include "net/addr.h"

#include <stdbool.h>
#include <stddef.h>

/* The longest header that is taken: section 2.1 ends version 1 at 107 octets; version 2 could announce 64 KiB, but what
 * proxies put behind the addresses is a few hundred. */
enum { PROXY_V1_MAX = 107, PROXY_V2_MAX = 4096 };

enum proxy_parse {
	PROXY_MORE = 0, /* good so far: every byte given belongs to the header, and so does the next */
	PROXY_HEADER,   /* a header; what is behind LEN is the client's */
	PROXY_BAD,      /* no header, or a wrong one: section 2 wants the connection closed */
};

struct proxy_header {
	size_t len;                      /* octets of the header */
	bool known;                      /* false: LOCAL, UNKNOWN or UNSPEC, the connection's own ends count */
	struct addr source, destination; /* of the client's connection; a v4-mapped address is given as v4 */
};

/* Reads the header at P. *WHY, a constant text, is set with PROXY_BAD. */
enum proxy_parse proxy_parse(const void *p, size_t n, struct proxy_header *out, const char **why);

#endif
