/* SPDX-License-Identifier: MIT */
/* The DATA decoder against a decoder written for the reader, and against itself fed in other pieces. */
#include "mail/datastream.h"
#include "mail/header.h"
#include "util/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	struct datastream d;
	char *kept;
	size_t len, used;
};

/* Feeds all of S in pieces; NEXT says how long the one at an offset is. */
static void
decode(struct result *r, const struct datastream_limits *limits, const char *s, size_t n,
    size_t (*next)(size_t at, uint32_t seed), uint32_t seed)
{
	size_t piece, used, kept;
	char *copy;

	memset(r, 0, sizeof *r);
	r->kept = xmalloc(n + 1);
	datastream_init(&r->d, limits);
	while (r->used < n && !r->d.ended) {
		piece = next(r->used, seed);
		if (piece == 0 || piece > n - r->used)
			piece = n - r->used;
		copy = xmemdup(s + r->used, piece);
		kept = datastream_feed(&r->d, copy, piece, &used);
		check(kept <= used && used <= piece && (used == piece || r->d.ended));
		check(memcmp(copy + used, s + r->used + used, piece - used) == 0);
		memcpy(r->kept + r->len, copy, kept);
		r->len += kept;
		r->used += used;
		free(copy);
	}
	check(r->d.size == r->len);
}

static size_t
all(size_t at, uint32_t seed)
{
	(void)at;
	(void)seed;
	return 0;
}

static size_t
one(size_t at, uint32_t seed)
{
	(void)at;
	(void)seed;
	return 1;
}

static size_t
two_pieces(size_t at, uint32_t seed)
{
	return at == 0 ? seed : 0;
}

static size_t
mixed(size_t at, uint32_t seed)
{
	return 1 + (at * 2654435761u + seed) % 97;
}

static bool
at(const char *s, size_t n, size_t i, const char *what)
{
	return i + strlen(what) <= n && memcmp(s + i, what, strlen(what)) == 0;
}

/* What the message is, line by line. Sets kept, len, used, ended and the flags of bytes. */
static void
reference(struct result *r, const char *s, size_t n)
{
	bool bol = true;
	size_t i = 0;

	memset(r, 0, sizeof *r);
	r->kept = xmalloc(n + 1);
	while (i < n) {
		if (bol && at(s, n, i, ".\r\n")) {
			r->d.ended = true;
			i += 3;
			break;
		}
		if (bol && s[i] == '.') {
			i++;
			bol = false;
			if (i < n && s[i] == '\r') {
				if (i + 1 < n)
					r->d.flags |= DATA_BARE_CR;
				i++;
			} else if (i < n && s[i] == '.') {
				r->d.flags |= DATA_DOTS;
			}
			continue;
		}
		bol = at(s, n, i, "\r\n");
		if (bol) {
			memcpy(r->kept + r->len, "\r\n", 2);
			r->len += 2;
			i += 2;
			continue;
		}
		r->d.flags |= s[i] == '\n' ? DATA_BARE_LF : s[i] == '\r' && i + 1 < n ? DATA_BARE_CR :
		    s[i] == '\0' ? DATA_NUL : (unsigned char)s[i] > 127 ? DATA_8BIT : 0;
		r->kept[r->len++] = s[i++];
	}
	r->used = i;
}

/* Lines of what was kept. */
static void
reference_lines(struct result *r)
{
	size_t start = 0, i, length;

	for (i = 0; i < r->len; i++) {
		if (!at(r->kept, r->len, i, "\r\n"))
			continue;
		length = i - start;
		r->d.longest = length > r->d.longest ? length : r->d.longest;
		r->d.long_lines += length > 998;
		start = i + 2;
	}
	length = r->len - start;
	if (length > 0 && r->kept[r->len - 1] == '\r')
		length--;
	r->d.longest = length > r->d.longest ? length : r->d.longest;
}

static void
reference_limits(struct result *r, const struct datastream_limits *limits)
{
	if (r->d.longest > 998)
		r->d.flags |= DATA_LONG_LINE;
	if (r->d.longest > 998 && limits->line != 0 && r->d.longest > limits->line)
		r->d.flags |= DATA_LINE_TOO_LONG;
	r->d.header_size = header_section(r->kept, r->len);
	r->d.received = header_count(r->kept, r->len, "Received");
	if (limits->hops != 0 && r->d.received > limits->hops)
		r->d.flags |= DATA_TOO_MANY_HOPS;
	if (limits->header != 0 && r->d.header_size > limits->header)
		r->d.flags |= DATA_HEADER_TOO_BIG;
}

static void
same(const struct result *a, const struct result *b)
{
	check(a->d.ended == b->d.ended && a->used == b->used && a->len == b->len);
	check(memcmp(a->kept, b->kept, a->len) == 0);
	check(a->d.flags == b->d.flags);
	check(a->d.longest == b->d.longest && a->d.long_lines == b->d.long_lines);
	check(a->d.received == b->d.received && a->d.header_size == b->d.header_size);
	check(a->d.header_ended == b->d.header_ended);
}

static void
same_as_reference(const struct result *a, struct result *ref, const struct datastream_limits *limits)
{
	const unsigned broken = DATA_BARE_CR | DATA_BARE_LF | DATA_NUL, late = DATA_TOO_MANY_HOPS | DATA_HEADER_TOO_BIG;

	reference_lines(ref);
	reference_limits(ref, limits);
	check(a->d.ended == ref->d.ended && a->used == ref->used && a->len == ref->len);
	check(memcmp(a->kept, ref->kept, a->len) == 0);
	check((a->d.flags & ~late) == (ref->d.flags & ~late));
	check(a->d.longest == ref->d.longest && a->d.long_lines == ref->d.long_lines);
	/* Of a broken message nobody asks for the header; of half a message its last line is not known yet. */
	if ((a->d.flags & broken) || !a->d.ended)
		return;
	check(a->d.flags == ref->d.flags);
	check(a->d.header_size == ref->d.header_size && a->d.received == ref->d.received);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct datastream_limits limits = { 0, 0, 0 };
	struct result whole, other, ref;
	const char *s;
	size_t i;

	if (size < 3)
		return 0;
	limits.line = data[0] ? 998 + data[0] * 8u : 0;
	limits.header = data[1] * 4u;
	limits.hops = data[2] % 8u;
	s = (const char *)data + 3;
	size -= 3;
	decode(&whole, &limits, s, size, all, 0);
	reference(&ref, s, size);
	same_as_reference(&whole, &ref, &limits);
	free(ref.kept);
	decode(&other, &limits, s, size, one, 0);
	same(&whole, &other);
	free(other.kept);
	for (i = 1; i < size && i < 300; i++) {
		decode(&other, &limits, s, size, two_pieces, (uint32_t)i);
		same(&whole, &other);
		free(other.kept);
	}
	decode(&other, &limits, s, size, mixed, data[0] * 256u + data[1]);
	same(&whole, &other);
	free(other.kept);
	free(whole.kept);
	return 0;
}
