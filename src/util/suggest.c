/* SPDX-License-Identifier: MIT */
#include "util/suggest.h"
#include "util/str.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

enum { LONGEST = 40, PREFIX = 3 };

void
suggest_init(struct suggest *s, const char *word)
{
	*s = (struct suggest){ word, NULL, UINT_MAX };
}

static unsigned
min3(unsigned a, unsigned b, unsigned c)
{
	if (b < a)
		a = b;
	return c < a ? c : a;
}

unsigned
suggest_distance(const char *a, const char *b)
{
	unsigned row[3][LONGEST + 1], *now = row[0], *last = row[1], *before = row[2], *spare;
	size_t n = strlen(a), m = strlen(b), i, j;

	if (n > LONGEST || m > LONGEST)
		return UINT_MAX;
	for (j = 0; j <= m; j++)
		now[j] = (unsigned)j;
	for (i = 1; i <= n; i++) {
		spare = before;
		before = last;
		last = now;
		now = spare;
		now[0] = (unsigned)i;
		for (j = 1; j <= m; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1,
			    last[j - 1] + (ascii_lower(a[i - 1]) != ascii_lower(b[j - 1])));
			if (i > 1 && j > 1 && ascii_lower(a[i - 1]) == ascii_lower(b[j - 2]) &&
			    ascii_lower(a[i - 2]) == ascii_lower(b[j - 1]) && before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
	}
	return now[m];
}

void
suggest_try(struct suggest *s, const char *candidate)
{
	size_t n = strlen(s->word);
	unsigned d = suggest_distance(s->word, candidate), far = n < 6 ? 1 : n < 9 ? 2 : 3;

	if (n >= PREFIX && str_nieq(candidate, s->word, n))
		d = 1; /* the beginning of a word means the word */
	if (n >= 4 && far < 2)
		far = 2;
	if (d <= far && d < s->distance) {
		s->distance = d;
		s->best = candidate;
	}
}
