/* SPDX-License-Identifier: MIT */
#include "mail/utf8.h"

/* Octets a lead byte announces, and the smallest number that needs that many. */
static size_t
sequence_length(unsigned char lead, uint32_t *bits, uint32_t *least)
{
	if (lead < 0x80) {
		*bits = lead;
		*least = 0;
		return 1;
	}
	if ((lead & 0xe0) == 0xc0) {
		*bits = lead & 0x1f;
		*least = 0x80;
		return 2;
	}
	if ((lead & 0xf0) == 0xe0) {
		*bits = lead & 0x0f;
		*least = 0x800;
		return 3;
	}
	if ((lead & 0xf8) == 0xf0) {
		*bits = lead & 0x07;
		*least = 0x10000;
		return 4;
	}
	return 0;
}

size_t
utf8_next(const char *s, size_t n, uint32_t *cp)
{
	uint32_t c, least;
	size_t len, i;

	if (n == 0 || (len = sequence_length((unsigned char)s[0], &c, &least)) == 0 || len > n)
		return 0;
	for (i = 1; i < len; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	}
	if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	if (cp != NULL)
		*cp = c;
	return len;
}

bool
utf8_valid(const char *s, size_t n)
{
	size_t i, len;

	for (i = 0; i < n; i += len)
		if ((len = utf8_next(s + i, n - i, NULL)) == 0)
			return false;
	return true;
}

bool
utf8_is_ascii(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s > 127)
			return false;
	return true;
}
