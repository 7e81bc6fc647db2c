/* SPDX-License-Identifier: MIT */
#include "net/proxyproto.h"

#include "util/crc32c.h"
#include "util/str.h"

#include <arpa/inet.h>
#include <string.h>

/* Version 2: signature, version and command, family, length; then addresses, then type-length-value triples. */
enum {
	V2_SIGNATURE = 12, V2_HEAD = 16,
	V2_LOCAL = 0x20, V2_PROXY = 0x21,
	V2_UNSPEC = 0x00, V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_UNIX = 0x31,
	V2_IP4 = 12, V2_IP6 = 36, V2_PATH = 108,
	TLV_HEAD = 3, TLV_CRC32C = 0x03,
};

static const unsigned char signature[V2_SIGNATURE] = "\r\n\r\n\0\r\nQUIT\n";

static enum proxy_parse
bad(const char **why, const char *text)
{
	*why = text;
	return PROXY_BAD;
}

static size_t
min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void
set_ip4(struct addr *a, const void *ip, uint16_t port)
{
	a->u.in.sin_family = AF_INET;
	memcpy(&a->u.in.sin_addr, ip, sizeof a->u.in.sin_addr);
	a->u.in.sin_port = htons(port);
	a->len = sizeof a->u.in;
}

static void
set_ip6(struct addr *a, const void *ip, uint16_t port)
{
	a->u.in6.sin6_family = AF_INET6;
	memcpy(&a->u.in6.sin6_addr, ip, sizeof a->u.in6.sin6_addr);
	a->u.in6.sin6_port = htons(port);
	a->len = sizeof a->u.in6;
	addr_unmap(a);
}

/* ---- version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" ---- */

/* The next word and the one space behind it; the last word ends with the line. */
static const char *
word(char **rest)
{
	char *start = *rest, *space;

	if (start == NULL || *start == '\0' || *start == ' ')
		return NULL;
	space = strchr(start, ' ');
	if (space != NULL)
		*space++ = '\0';
	*rest = space;
	return start;
}

static int
v1_ip(struct addr *a, int family, const char *text)
{
	unsigned char ip[16];

	if (text == NULL || inet_pton(family, text, ip) != 1)
		return -1;
	if (family == AF_INET)
		set_ip4(a, ip, 0);
	else
		set_ip6(a, ip, 0);
	return 0;
}

static int
v1_port(struct addr *a, const char *text)
{
	uint64_t port;

	if (text == NULL || (text[0] == '0' && text[1] != '\0') || str_u64(text, strlen(text), 65535, &port) < 0)
		return -1;
	if (a->u.sa.sa_family == AF_INET)
		a->u.in.sin_port = htons((uint16_t)port);
	else
		a->u.in6.sin6_port = htons((uint16_t)port);
	return 0;
}

/* LINE is behind "PROXY ". UNKNOWN may be followed by anything. */
static enum proxy_parse
v1_line(char *line, struct proxy_header *out, const char **why)
{
	const char *protocol = word(&line);
	int family;

	if (protocol == NULL)
		return bad(why, "the protocol is missing");
	if (strcmp(protocol, "UNKNOWN") == 0)
		return PROXY_HEADER;
	if (strcmp(protocol, "TCP4") == 0)
		family = AF_INET;
	else if (strcmp(protocol, "TCP6") == 0)
		family = AF_INET6;
	else
		return bad(why, "the protocol is none of TCP4, TCP6 and UNKNOWN");
	if (v1_ip(&out->source, family, word(&line)) < 0 || v1_ip(&out->destination, family, word(&line)) < 0)
		return bad(why, "an address is missing or wrong");
	if (v1_port(&out->source, word(&line)) < 0 || v1_port(&out->destination, word(&line)) < 0)
		return bad(why, "a port is missing or wrong");
	if (line != NULL)
		return bad(why, "something follows the ports");
	out->known = true;
	return PROXY_HEADER;
}

static enum proxy_parse
v1(const char *p, size_t n, struct proxy_header *out, const char **why)
{
	static const char keyword[] = "PROXY ";
	const size_t key = sizeof keyword - 1;
	const char *lf = memchr(p, '\n', min(n, PROXY_V1_MAX));
	char line[PROXY_V1_MAX + 1];
	size_t len;

	if (memcmp(p, keyword, min(n, key)) != 0)
		return bad(why, "no header of the PROXY protocol");
	if (lf == NULL)
		return n < PROXY_V1_MAX ? PROXY_MORE : bad(why, "the line has no end");
	len = (size_t)(lf - p);
	if (len <= key || p[len - 1] != '\r')
		return bad(why, "the line does not end with CR LF");
	out->len = len + 1;
	len -= key + 1;
	memcpy(line, p + key, len);
	line[len] = '\0';
	if (strlen(line) != len)
		return bad(why, "the line holds a NUL");
	return v1_line(line, out, why);
}

/* ---- version 2 ---- */

static unsigned
u16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* A path may hold any byte, and it is going to be logged and written into header fields: an odd one is left out. */
static void
set_path(struct addr *a, const unsigned char *path)
{
	size_t n = strnlen((const char *)path, V2_PATH), i;

	a->u.un.sun_family = AF_UNIX;
	a->len = sizeof a->u.un;
	if (n >= sizeof a->u.un.sun_path)
		return;
	for (i = 0; i < n; i++)
		if (path[i] <= ' ' || path[i] >= 0x7f)
			return;
	memcpy(a->u.un.sun_path, path, n);
}

/* The checksum is over the whole header, with its own four octets as zeros (section 2.2.3). */
static bool
crc_matches(const unsigned char *p, size_t n, const unsigned char *value)
{
	static const unsigned char zeros[4];
	size_t before = (size_t)(value - p);
	uint32_t crc = crc32c(0, p, before);

	crc = crc32c(crc, zeros, sizeof zeros);
	crc = crc32c(crc, value + 4, n - before - 4);
	return crc == ((uint32_t)u16(value) << 16 | u16(value + 2));
}

/* The triples from AT on to the end of the header, N octets from P. Nothing in them is of use here but the checksum. */
static enum proxy_parse
v2_triples(const unsigned char *p, size_t n, size_t at, const char **why)
{
	size_t len;

	while (at < n) {
		if (n - at < TLV_HEAD || n - at - TLV_HEAD < (len = u16(p + at + 1)))
			return bad(why, "a value goes beyond the header");
		if (p[at] == TLV_CRC32C && (len != 4 || !crc_matches(p, n, p + at + TLV_HEAD)))
			return bad(why, "the checksum is wrong");
		at += TLV_HEAD + len;
	}
	return PROXY_HEADER;
}

/* How many octets the addresses take; -1: a family or transport section 2.2 tells to reject, or not one of ours. */
static int
v2_size(unsigned char family)
{
	switch (family) {
	case V2_UNSPEC:
		return 0;
	case V2_TCP4:
		return V2_IP4;
	case V2_TCP6:
		return V2_IP6;
	case V2_UNIX:
		return 2 * V2_PATH;
	default:
		return -1;
	}
}

static void
v2_addresses(const unsigned char *p, unsigned char family, struct proxy_header *out)
{
	out->known = family != V2_UNSPEC;
	if (family == V2_TCP4) {
		set_ip4(&out->source, p, (uint16_t)u16(p + 8));
		set_ip4(&out->destination, p + 4, (uint16_t)u16(p + 10));
	} else if (family == V2_TCP6) {
		set_ip6(&out->source, p, (uint16_t)u16(p + 32));
		set_ip6(&out->destination, p + 16, (uint16_t)u16(p + 34));
	} else if (family == V2_UNIX) {
		set_path(&out->source, p);
		set_path(&out->destination, p + V2_PATH);
	}
}

static enum proxy_parse
v2(const unsigned char *p, size_t n, struct proxy_header *out, const char **why)
{
	size_t len;
	int size;

	if (n < V2_HEAD)
		return PROXY_MORE;
	len = V2_HEAD + u16(p + 14);
	if (p[12] != V2_LOCAL && p[12] != V2_PROXY)
		return bad(why, "an unknown version or command");
	size = p[12] == V2_LOCAL ? 0 : v2_size(p[13]); /* of LOCAL everything else is ignored */
	if (size < 0)
		return bad(why, "an address family or transport that is not allowed");
	if (len > PROXY_V2_MAX)
		return bad(why, "the header is too long");
	if (len < V2_HEAD + (size_t)size)
		return bad(why, "the header is too short for its addresses");
	if (n < len)
		return PROXY_MORE;
	out->len = len;
	if (p[12] == V2_LOCAL)
		return PROXY_HEADER;
	v2_addresses(p + V2_HEAD, p[13], out);
	return p[13] == V2_UNSPEC ? PROXY_HEADER : v2_triples(p, len, V2_HEAD + (size_t)size, why);
}

enum proxy_parse
proxy_parse(const void *p, size_t n, struct proxy_header *out, const char **why)
{
	memset(out, 0, sizeof *out);
	if (n == 0)
		return PROXY_MORE;
	if (memcmp(p, signature, min(n, sizeof signature)) == 0)
		return v2(p, n, out, why);
	return v1(p, n, out, why);
}
