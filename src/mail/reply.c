/* SPDX-License-Identifier: MIT */
#include "mail/reply.h"

#include "util/buf.h"
#include "util/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_OCTETS = 512 }; /* RFC 5321 4.5.3.1.5, CRLF included */

static char
printable(char c)
{
	if (c == '\t')
		return ' ';
	return c >= ' ' && c <= '~' ? c : '?';
}

/* ---- writing ---- */

static void
add_line(struct buf *out, int code, char separator, const char *enhanced, const char *text, size_t n)
{
	char *start = buf_reserve(out, LINE_MAX_OCTETS), *p = start, *end = start + LINE_MAX_OCTETS - 2;

	*p++ = (char)('0' + code / 100 % 10);
	*p++ = (char)('0' + code / 10 % 10);
	*p++ = (char)('0' + code % 10);
	*p++ = separator;
	if (enhanced != NULL) {
		while (*enhanced != '\0' && p < end - 1)
			*p++ = *enhanced++;
		*p++ = ' ';
	}
	for (; n > 0 && p < end; n--)
		*p++ = printable(*text++);
	*p++ = '\r';
	*p++ = '\n';
	out->len += (size_t)(p - start);
}

void
reply_add(struct buf *out, int code, const char *enhanced, const char *text)
{
	const char *nl;

	while ((nl = strchr(text, '\n')) != NULL) {
		add_line(out, code, '-', enhanced, text, (size_t)(nl - text));
		text = nl + 1;
	}
	add_line(out, code, ' ', enhanced, text, strlen(text));
}

void
reply_addf(struct buf *out, int code, const char *enhanced, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	reply_add(out, code, enhanced, text);
}

/* ---- reading ---- */

static size_t
digits(const char *s, size_t n, size_t most)
{
	size_t i = 0;

	while (i < n && i < most && ascii_is_digit(s[i]))
		i++;
	return i;
}

/* class "." 1*3DIGIT "." 1*3DIGIT (RFC 2034 4, RFC 3463 2) */
size_t
reply_enhanced_length(const char *s, size_t n, int class)
{
	size_t at, len;

	if (n < 5 || s[0] != '0' + class || s[1] != '.' || (len = digits(s + 2, n - 2, 3)) == 0)
		return 0;
	at = 2 + len;
	if (at == n || s[at] != '.' || (len = digits(s + at + 1, n - at - 1, 3)) == 0)
		return 0;
	at += 1 + len;
	return at == n || s[at] == ' ' ? at : 0;
}

void
reply_init(struct reply *r)
{
	/* The arrays are big and always written before they are read. */
	r->state = REPLY_MORE;
	r->code = r->line_code = 0;
	r->mixed = r->classes_differ = r->cr = false;
	r->enhanced[0] = r->text[0] = '\0';
	r->len = r->mark = r->start = 0;
	r->lines = 0;
	r->column = 0;
	r->read = 0;
}

static void
add_text(struct reply *r, const char *p, size_t n)
{
	for (; n > 0 && r->len < REPLY_TEXT_MAX - 1; n--)
		r->text[r->len++] = printable(*p++);
	r->text[r->len] = '\0';
}

static void
add_code(struct reply *r, int code)
{
	char text[3] = { (char)('0' + code / 100), (char)('0' + code / 10 % 10), (char)('0' + code % 10) };

	add_text(r, text, sizeof text);
}

static enum reply_state
refuse(struct reply *r, const char *why, const char *p, size_t n)
{
	r->len = 0;
	add_text(r, why, strlen(why));
	add_text(r, p, n < 80 ? n : 80);
	r->code = 0;
	r->enhanced[0] = '\0';
	r->lines = 0;
	return r->state = REPLY_BAD;
}

/* The three digits of a line are complete: what goes before its text. */
static void
begin_text(struct reply *r)
{
	if (r->lines == 0) {
		r->code = r->line_code;
		add_code(r, r->code);
		r->mark = r->len;
		add_text(r, " ", 1);
	} else {
		r->mark = r->len;
		if (r->len > 3)
			add_text(r, "; ", 2);
		else
			add_text(r, " ", 1);
		if (r->line_code != r->code) {
			r->mixed = true;
			r->classes_differ = r->classes_differ || r->line_code / 100 != r->code / 100;
			add_code(r, r->line_code);
			add_text(r, " ", 1);
		}
	}
	r->start = r->len;
}

/* Takes the status off a line where it only repeats the first line's. */
static void
drop_repeated_status(struct reply *r)
{
	size_t status = strlen(r->enhanced), n = r->len - r->start;

	if (status == 0 || n < status || memcmp(r->text + r->start, r->enhanced, status) != 0)
		return;
	if (n > status && r->text[r->start + status] != ' ')
		return;
	while (status < n && r->text[r->start + status] == ' ')
		status++;
	memmove(r->text + r->start, r->text + r->start + status, n - status);
	r->len -= status;
}

/* The line's text is text[start .. len). */
static void
end_line(struct reply *r)
{
	size_t status;

	while (r->len > r->start && r->text[r->len - 1] == ' ')
		r->len--;
	if (r->lines == 0) {
		status = reply_enhanced_length(r->text + r->start, r->len - r->start, r->code / 100);
		memcpy(r->enhanced, r->text + r->start, status);
		r->enhanced[status] = '\0';
	} else {
		drop_repeated_status(r);
	}
	/* Nothing remains of a line without text, its separator neither. */
	if (r->len == r->start)
		r->len = r->start = r->mark;
	if (r->lines < REPLY_LINES_MAX) {
		r->line[r->lines].off = (uint16_t)r->start;
		r->line[r->lines].len = (uint16_t)(r->len - r->start);
	}
	r->text[r->len] = '\0';
	r->lines++;
	r->column = 0;
}

/* Lines of two classes contradict each other: nothing is known but that something is wrong with the peer now. */
static void
resolve_classes(struct reply *r)
{
	static const char prefix[] = "451 mixed codes: ";
	size_t shift = sizeof prefix - 1, room = REPLY_TEXT_MAX - 1 - shift;

	if (r->len > room)
		r->len = room;
	memmove(r->text + shift, r->text, r->len);
	memcpy(r->text, prefix, shift);
	r->len += shift;
	r->text[r->len] = '\0';
	r->code = 451;
	r->enhanced[0] = '\0';
	r->lines = 0;
}

static enum reply_state
finish(struct reply *r)
{
	if (r->classes_differ)
		resolve_classes(r);
	else
		r->code = r->line_code;
	return r->state = REPLY_DONE;
}

/* One octet that is no line end. False: this is not SMTP. */
static bool
line_octet(struct reply *r, char c)
{
	if (r->column > 3) {
		if (r->cr)
			add_text(r, "\r", 1);
		r->cr = c == '\r';
		if (!r->cr)
			add_text(r, &c, 1);
		return true;
	}
	if (r->cr)
		return false;
	if (r->column == 3) {
		r->cr = c == '\r';
		r->separator = c;
		r->column += !r->cr;
		return r->cr || c == ' ' || c == '-';
	}
	if (r->column == 0 ? c < '2' || c > '5' : !ascii_is_digit(c))
		return false;
	r->line_code = (r->column == 0 ? 0 : r->line_code * 10) + (c - '0');
	if (++r->column == 3) {
		r->separator = ' ';
		begin_text(r);
	}
	return true;
}

enum reply_state
reply_feed(struct reply *r, const char *p, size_t n, size_t *used)
{
	size_t i;

	*used = 0;
	for (i = 0; i < n && r->state == REPLY_MORE; i++) {
		*used = i + 1;
		if (++r->read > REPLY_READ_MAX)
			return refuse(r, "reply is endless: ", p + i, n - i);
		if (p[i] != '\n') {
			if (!line_octet(r, p[i]))
				return refuse(r, "reply is not SMTP: ", p + i, n - i);
			continue;
		}
		if (r->column < 3)
			return refuse(r, "reply is not SMTP: ", p + i, n - i);
		r->cr = false;
		end_line(r);
		if (r->separator != '-')
			return finish(r);
	}
	return r->state;
}

int
reply_class(const struct reply *r)
{
	return r->code / 100;
}

bool
reply_ehlo_next(const struct reply *r, unsigned *at, struct ehlo_keyword *out)
{
	const char *s;
	size_t n, i;

	/* The first line is the greeting. */
	while (++*at < r->lines && *at < REPLY_LINES_MAX) {
		s = r->text + r->line[*at].off;
		n = r->line[*at].len;
		/* "AUTH=LOGIN" was written by servers before RFC 4954 and still is. */
		for (i = 0; i < n && (ascii_is_alnum(s[i]) || s[i] == '-'); i++)
			;
		if (i == 0)
			continue;
		out->name = s;
		out->name_len = i;
		while (i < n && (s[i] == ' ' || s[i] == '='))
			i++;
		out->args = s + i;
		out->args_len = n - i;
		return true;
	}
	return false;
}

bool
reply_ehlo_find(const struct reply *r, const char *name, struct ehlo_keyword *out)
{
	struct ehlo_keyword k;
	unsigned at = 0;

	while (reply_ehlo_next(r, &at, &k)) {
		if (k.name_len != strlen(name) || !str_nieq(k.name, name, k.name_len))
			continue;
		if (out != NULL)
			*out = k;
		return true;
	}
	return false;
}
