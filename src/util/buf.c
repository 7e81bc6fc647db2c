/* SPDX-License-Identifier: MIT */
#include "util/buf.h"
#include "util/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
buf_fini(struct buf *b)
{
	free(b->data);
	memset(b, 0, sizeof *b);
}

char *
buf_reserve(struct buf *b, size_t n)
{
	size_t cap;

	check(n < SIZE_MAX / 4 && b->len < SIZE_MAX / 4);
	if (b->cap - b->len >= n && b->data != NULL)
		return b->data + b->len;
	cap = b->cap ? b->cap : 64;
	while (cap < b->len + n)
		cap *= 2;
	b->data = xrealloc(b->data, cap);
	b->cap = cap;
	return b->data + b->len;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf_reserve(b, n), p, n);
	b->len += n;
}

void
buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_addc(struct buf *b, char c)
{
	*buf_reserve(b, 1) = c;
	b->len++;
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	size_t room = b->cap - b->len;
	int n;

	va_copy(again, ap);
	n = vsnprintf(b->data ? b->data + b->len : NULL, room, fmt, ap);
	check(n >= 0);
	if ((size_t)n >= room) {
		buf_reserve(b, (size_t)n + 1);
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
	}
	va_end(again);
	b->len += (size_t)n;
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

static void
add_le(struct buf *b, uint64_t v, size_t n)
{
	char *p = buf_reserve(b, n);
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (char)(v >> (8 * i));
	b->len += n;
}

void
buf_add_u8(struct buf *b, uint8_t v)
{
	add_le(b, v, 1);
}

void
buf_add_u16(struct buf *b, uint16_t v)
{
	add_le(b, v, 2);
}

void
buf_add_u32(struct buf *b, uint32_t v)
{
	add_le(b, v, 4);
}

void
buf_add_u64(struct buf *b, uint64_t v)
{
	add_le(b, v, 8);
}

void
buf_drop(struct buf *b, size_t n)
{
	check(n <= b->len);
	if (n == 0)
		return;
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

char *
buf_str(struct buf *b)
{
	*buf_reserve(b, 1) = '\0';
	return b->data;
}

char *
buf_take(struct buf *b)
{
	char *p = buf_str(b);

	memset(b, 0, sizeof *b);
	return p;
}
