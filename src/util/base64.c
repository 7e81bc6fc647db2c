/* SPDX-License-Identifier: MIT */
#include "util/base64.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(const void *p, size_t n, struct buf *out)
{
	const unsigned char *at = p;
	char *to = buf_reserve(out, (n + 2) / 3 * 4);
	uint32_t v;

	out->len += (n + 2) / 3 * 4;
	for (; n > 0; at += 3, to += 4) {
		v = (uint32_t)at[0] << 16 | (n > 1 ? (uint32_t)at[1] << 8 : 0) | (n > 2 ? at[2] : 0);
		to[0] = alphabet[v >> 18];
		to[1] = alphabet[v >> 12 & 63];
		to[2] = n > 1 ? alphabet[v >> 6 & 63] : '=';
		to[3] = n > 2 ? alphabet[v & 63] : '=';
		n -= n < 3 ? n : 3;
	}
}

static int
value_of(char c)
{
	const char *at = c == '\0' ? NULL : strchr(alphabet, c);

	return at == NULL ? -1 : (int)(at - alphabet);
}

/* The characters of a group that are not padding: 2, 3 or 4. Padding ends the text. */
static size_t
group_length(const char *s, size_t left)
{
	if (left == 4 && s[3] == '=')
		return s[2] == '=' ? 2 : 3;
	return 4;
}

int
base64_decode(const char *s, size_t n, struct buf *out)
{
	size_t start = out->len, len, i;
	uint32_t v;
	int digit;

	if (n % 4 != 0)
		return -1;
	for (; n > 0; s += 4, n -= 4) {
		len = group_length(s, n);
		for (v = 0, i = 0; i < 4; i++) {
			digit = i < len ? value_of(s[i]) : 0;
			if (digit < 0)
				goto bad;
			v = v << 6 | (uint32_t)digit;
		}
		if ((len == 2 && (v & 0xffff) != 0) || (len == 3 && (v & 0xff) != 0))
			goto bad; /* bits that stand for nothing: two texts would mean the same */
		for (i = 0; i + 1 < len; i++)
			buf_add_u8(out, (uint8_t)(v >> (16 - 8 * i)));
	}
	return 0;
bad:
	out->len = start;
	return -1;
}
