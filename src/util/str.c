/* SPDX-License-Identifier: MIT */
#include "util/str.h"

#include <string.h>

char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool
ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
ascii_is_alnum(char c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || ascii_is_digit(c);
}

bool
str_nieq(const char *a, const char *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
		if (a[i] == '\0')
			return true;
	}
	return true;
}

bool
str_ieq(const char *a, const char *b)
{
	return str_nieq(a, b, strlen(a) + 1);
}

bool
str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool
str_ends_nocase(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && str_ieq(s + n - m, suffix);
}

void
str_lower(char *s)
{
	for (; *s != '\0'; s++)
		*s = ascii_lower(*s);
}

int
str_u64(const char *s, size_t n, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	unsigned d;
	size_t i;

	if (n == 0)
		return -1;
	for (i = 0; i < n; i++) {
		if (!ascii_is_digit(s[i]))
			return -1;
		d = (unsigned)(s[i] - '0');
		if (v > (UINT64_MAX - d) / 10)
			return -1;
		v = v * 10 + d;
	}
	if (v > max)
		return -1;
	*out = v;
	return 0;
}

/* Digits before letters, so that text order is number order in ASCII. */
static const char base32[] = "234567abcdefghijklmnopqrstuvwxyz";

void
id_text(uint64_t id, char out[ID_TEXT])
{
	int i;

	for (i = 12; i >= 0; i--) {
		out[i] = base32[id & 31];
		id >>= 5;
	}
	out[13] = '\0';
}

int
id_parse(const char *s, uint64_t *id)
{
	uint64_t v = 0;
	const char *at;
	int i;

	for (i = 0; i < 13; i++) {
		if (s[i] == '\0' || (at = strchr(base32, ascii_lower(s[i]))) == NULL)
			return -1;
		if (i == 0 && at - base32 > 15)
			return -1;
		v = v << 5 | (uint64_t)(at - base32);
	}
	if (s[13] != '\0')
		return -1;
	*id = v;
	return 0;
}
