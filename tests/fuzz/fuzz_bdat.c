/* SPDX-License-Identifier: MIT */
/* The arguments of BDAT against a parser written for the reader; then the rest of the input as a message that comes in
 * chunks: however it is cut, nothing is added, dropped or overlooked. The first line is the arguments. */
#include "mail/bdat.h"
#include "mail/datastream.h"
#include "util/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_last(const char *s, size_t n)
{
	static const char upper[] = "LAST", lower[] = "last";

	for (size_t i = 0; i < 4 && n == 4; i++)
		if (s[i] != upper[i] && s[i] != lower[i])
			return false;
	return n == 4;
}

static void
check_arguments(const char *s, size_t n)
{
	struct bdat b;
	size_t i, at;
	uint64_t size = 0;
	bool sized, fits = true;
	int rc = bdat_parse(s, n, &b);

	for (i = 0; i < n && s[i] >= '0' && s[i] <= '9'; i++)
		fits = fits && !__builtin_mul_overflow(size, (uint64_t)10, &size) &&
		    !__builtin_add_overflow(size, (uint64_t)(s[i] - '0'), &size);
	sized = i > 0 && fits && (i == n || s[i] == ' ');
	check(b.sized == sized);
	check(!sized || b.size == size);
	for (at = i; at < n && s[at] == ' '; at++)
		;
	check((rc == 0) == (sized && (i == n || is_last(s + at, n - at))));
	check(b.last == (rc == 0 && i < n));
}

/* In pieces of at most STEP octets. */
static void
decode(struct datastream *d, const char *s, size_t n, size_t step)
{
	static const struct datastream_limits limits = { 2000, 4000, 5 };
	size_t at, piece, used;
	char *copy;

	datastream_init(d, &limits);
	d->chunked = true;
	for (at = 0; at < n; at += piece) {
		piece = n - at < step ? n - at : step;
		copy = xmemdup(s + at, piece);
		check(datastream_feed(d, copy, piece, &used) == piece && used == piece && !d->ended);
		check(memcmp(copy, s + at, piece) == 0);
		free(copy);
	}
	datastream_end(d);
	check(d->ended && d->size == n);
}

static uint32_t
reference(const char *s, size_t n)
{
	uint32_t flags = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\n' && (i == 0 || s[i - 1] != '\r'))
			flags |= DATA_BARE_LF;
		if (s[i] == '\r' && (i + 1 == n || s[i + 1] != '\n'))
			flags |= DATA_BARE_CR;
		if (s[i] == '\0')
			flags |= DATA_NUL;
		if ((unsigned char)s[i] > 127)
			flags |= DATA_8BIT;
		if (s[i] == '.' && (i == 0 || (i > 1 && s[i - 1] == '\n' && s[i - 2] == '\r')))
			flags |= DATA_DOTS;
	}
	return flags;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t compared = DATA_BARE_LF | DATA_BARE_CR | DATA_NUL | DATA_8BIT | DATA_DOTS;
	const char *s = (const char *)data, *lf = size > 0 ? memchr(s, '\n', size) : NULL;
	size_t line = lf != NULL ? (size_t)(lf - s) : size, rest = lf != NULL ? size - line - 1 : 0;
	struct datastream whole, cut;

	check_arguments(s, line);
	if (lf == NULL)
		return 0;
	decode(&whole, lf + 1, rest, SIZE_MAX);
	check((whole.flags & compared) == reference(lf + 1, rest));
	for (size_t step = 1; step < 80; step = step * 3 + 1) {
		decode(&cut, lf + 1, rest, step);
		check(cut.flags == whole.flags && cut.header_size == whole.header_size && cut.received == whole.received);
	}
	return 0;
}
