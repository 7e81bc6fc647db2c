/* SPDX-License-Identifier: MIT */
#include "mail/header.h"

#include "util/str.h"

#include <string.h>

static bool
is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* Behind the end of the line at I. */
static size_t
line_end(const char *data, size_t n, size_t i)
{
	const char *lf = memchr(data + i, '\n', n - i);

	return lf != NULL ? (size_t)(lf - data) + 1 : n;
}

static bool
is_empty_line(const char *data, size_t n, size_t i)
{
	return data[i] == '\n' || (data[i] == '\r' && i + 1 < n && data[i + 1] == '\n');
}

/* field-name = 1*ftext, then white space (RFC 5322 4.5.8), then a colon. Returns where the colon is, or 0. */
static size_t
name_end(const char *data, size_t n, size_t i, size_t *name_len)
{
	size_t start = i;

	while (i < n && data[i] > ' ' && data[i] < 0x7f && data[i] != ':')
		i++;
	*name_len = i - start;
	if (i == start)
		return 0;
	while (i < n && is_wsp(data[i]))
		i++;
	return i < n && data[i] == ':' ? i : 0;
}

bool
header_next(const char *data, size_t n, size_t *at, struct header_field *out)
{
	size_t start = *at, end, colon, last;

	if (start >= n || (colon = name_end(data, n, start, &out->name_len)) == 0)
		return false;
	end = line_end(data, n, start);
	while (end < n && is_wsp(data[end]))
		end = line_end(data, n, end);
	last = end;
	if (last > colon + 1 && data[last - 1] == '\n') {
		last--;
		last -= last > colon + 1 && data[last - 1] == '\r';
	}
	out->name = data + start;
	out->value = data + colon + 1;
	out->value_len = last - colon - 1;
	out->start = data + start;
	out->len = end - start;
	*at = end;
	return true;
}

size_t
header_section(const char *data, size_t n)
{
	struct header_field f;
	size_t at = 0;

	while (header_next(data, n, &at, &f))
		;
	return at < n && is_empty_line(data, n, at) ? line_end(data, n, at) : at;
}

static bool
is_named(const struct header_field *f, const char *name)
{
	return strlen(name) == f->name_len && str_nieq(f->name, name, f->name_len);
}

bool
header_find(const char *data, size_t n, const char *name, struct header_field *out)
{
	size_t at = 0;

	while (header_next(data, n, &at, out)) {
		if (is_named(out, name))
			return true;
	}
	return false;
}

unsigned
header_count(const char *data, size_t n, const char *name)
{
	struct header_field f;
	unsigned count = 0;
	size_t at = 0;

	while (header_next(data, n, &at, &f))
		count += is_named(&f, name);
	return count;
}

size_t
header_unfold(const struct header_field *f, char *out, size_t size)
{
	size_t i, len = 0;

	for (i = 0; i < f->value_len && len + 1 < size; i++) {
		if (f->value[i] == '\r' || f->value[i] == '\n' || (len == 0 && is_wsp(f->value[i])))
			continue;
		out[len++] = f->value[i];
	}
	while (len > 0 && is_wsp(out[len - 1]))
		len--;
	out[len] = '\0';
	return len;
}
