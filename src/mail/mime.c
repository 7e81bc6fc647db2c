/* SPDX-License-Identifier: MIT */
#include "mail/mime.h"

#include "util/buf.h"

enum { ENCODED_LINE = 75, LINE_LIMIT = 998 };

static bool
lines_are_good(const char *s, size_t n, unsigned char highest)
{
	size_t i, line = 0;

	for (i = 0; i < n; i++) {
		if (s[i] == '\r' && i + 1 < n && s[i + 1] == '\n') {
			i++;
			line = 0;
		} else if (s[i] == '\r' || s[i] == '\n' || s[i] == '\0' || (unsigned char)s[i] > highest ||
		    ++line > LINE_LIMIT) {
			return false;
		}
	}
	return line == 0;
}

bool
mime_is_plain(const char *s, size_t n)
{
	return lines_are_good(s, n, 127);
}

bool
mime_is_8bit(const char *s, size_t n)
{
	return lines_are_good(s, n, 255);
}

void
mime_add_quoted_printable(struct buf *out, const char *s, size_t n)
{
	size_t i, column = 0;
	bool raw;

	for (i = 0; i < n; i++) {
		if (s[i] == '\r' && i + 1 < n && s[i + 1] == '\n') {
			buf_adds(out, "\r\n");
			i++;
			column = 0;
			continue;
		}
		raw = s[i] > ' ' && s[i] <= '~' && s[i] != '=';
		/* White space may not end a line. */
		raw = raw || ((s[i] == ' ' || s[i] == '\t') && i + 1 < n && s[i + 1] != '\r');
		if (column + (raw ? 1 : 3) > ENCODED_LINE) {
			buf_adds(out, "=\r\n");
			column = 0;
		}
		if (raw)
			buf_addc(out, s[i]);
		else
			buf_printf(out, "=%02X", (unsigned char)s[i]);
		column += raw ? 1 : 3;
	}
	if (column > 0)
		buf_adds(out, "\r\n");
}
