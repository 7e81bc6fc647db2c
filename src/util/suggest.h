/* SPDX-License-Identifier: MIT */
/* "Did you mean": the nearest of some words by edit distance. */
#ifndef TMAIL_UTIL_SUGGEST_H
#define TMAIL_UTIL_SUGGEST_H

struct suggest {
	const char *word;
	const char *best; /* NULL: nothing near enough */
	unsigned distance;
};

void suggest_init(struct suggest *s, const char *word);

/* Considers one candidate; the first of equals stays. Borrowed. */
void suggest_try(struct suggest *s, const char *candidate);

/* Single insertions, deletions, replacements and swaps of neighbours that lead from A to B, case aside. Words longer
 * than 40 bytes are far from everything. */
unsigned suggest_distance(const char *a, const char *b);

#endif
