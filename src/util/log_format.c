/* SPDX-License-Identifier: MIT */
#include "util/log_format.h"
#include "util/buf.h"

#include <string.h>

static void
put_string(struct buf *out, const char *s, size_t n)
{
	size_t i;

	buf_addc(out, '"');
	for (i = 0; i < n; i++) {
		if (s[i] == '"' || s[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, s[i]);
	}
	buf_addc(out, '"');
}

/* A quoted value: its \" and \\ mean the same in JSON, its \xHH do not. Returns what is behind it. */
static const char *
put_quoted(struct buf *out, const char *p, const char *end)
{
	buf_addc(out, '"');
	for (p++; p < end && *p != '"'; p++) {
		if (*p != '\\' || p + 1 == end) {
			buf_addc(out, *p);
			continue;
		}
		buf_add(out, "\\", 1);
		if (p[1] == 'x')
			buf_addc(out, '\\');
		else
			buf_addc(out, *++p);
	}
	buf_addc(out, '"');
	return p < end ? p + 1 : end;
}

static const char *
until(const char *p, const char *end, char c)
{
	const char *found = memchr(p, c, (size_t)(end - p));

	return found != NULL ? found : end;
}

/* The bare words at a record's beginning. */
static const char *
put_word(struct buf *out, const char *key, const char *p, const char *end)
{
	const char *space = until(p, end, ' ');

	buf_adds(out, key);
	put_string(out, p, (size_t)(space - p));
	return space < end ? space + 1 : end;
}

static void
put_line(struct buf *out, const char *p, const char *end)
{
	const char *eq;

	p = put_word(out, "{\"time\":", p, end);
	p = put_word(out, ",\"level\":", p, end);
	while (p < end) {
		eq = until(p, end, '=');
		buf_addc(out, ',');
		put_string(out, p, (size_t)(eq - p));
		buf_addc(out, ':');
		p = eq < end ? eq + 1 : end;
		if (p < end && *p == '"') {
			p = put_quoted(out, p, end);
			p += p < end;
		} else
			p = put_word(out, "", p, end);
	}
	buf_adds(out, "}\n");
}

void
log_format_json(const char *p, size_t n, struct buf *out)
{
	const char *end = p + n, *line;

	for (; p < end; p = line + 1) {
		line = until(p, end, '\n');
		put_line(out, p, line);
	}
}
