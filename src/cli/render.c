/* SPDX-License-Identifier: MIT */
#include "cli/render.h"

#include "util/check.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Reads a UTF-8 character of at most N bytes; its length, 0 when there is none. */
static size_t
utf8_read(const unsigned char *p, size_t n, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len, i;

	if (p[0] < 0x80) {
		*c = p[0];
		return 1;
	}
	len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || len > n)
		return 0;
	*c = p[0] & (0x7fu >> len);
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (p[i] & 0x3fu);
	}
	if (*c < least[len] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
		return 0;
	return len;
}

/* Characters that move the cursor, change its direction or cannot be seen. */
static bool
is_hidden(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{ 0x00, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x61c, 0x61c }, { 0x180e, 0x180e }, { 0x200b, 0x200f },
		{ 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xfff0, 0xfffb },
		{ 0xe0000, 0xe0fff },
	};
	size_t i;

	for (i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

static size_t
render_character(struct buf *out, const char *p, size_t n)
{
	uint32_t c;
	size_t len = utf8_read((const unsigned char *)p, n, &c);

	if (len == 0 || (len == 1 && is_hidden(c))) {
		buf_printf(out, "\\x%02x", (unsigned char)*p);
		return 1;
	}
	if (is_hidden(c))
		buf_printf(out, "\\u{%x}", c);
	else
		buf_add(out, p, len);
	return len;
}

void
render_text(struct buf *out, const char *text)
{
	size_t n = strlen(text), len;

	for (; n > 0; text += len, n -= len)
		len = render_character(out, text, n);
}

void
render_content(struct buf *out, const char *p, size_t n)
{
	size_t len;

	for (; n > 0; p += len, n -= len) {
		len = 1;
		if (*p == '\n' || *p == '\t')
			buf_addc(out, *p);
		else if (*p != '\r' || n == 1 || p[1] != '\n')
			len = render_character(out, p, n);
	}
}

void
render_age(struct buf *out, int64_t s)
{
	if (s < 0)
		s = 0;
	if (s < 60)
		buf_printf(out, "%llds", (long long)s);
	else if (s < 3600)
		buf_printf(out, "%lldmin", (long long)(s / 60));
	else if (s < 86400)
		buf_printf(out, "%lldh%02lldm", (long long)(s / 3600), (long long)(s / 60 % 60));
	else
		buf_printf(out, "%lldd%lldh", (long long)(s / 86400), (long long)(s / 3600 % 24));
}

void
render_size(struct buf *out, uint64_t bytes)
{
	static const char units[] = "kMGTPE";
	double v = (double)bytes / 1000;
	unsigned i = 0;

	if (bytes < 1000) {
		buf_printf(out, "%llu", (unsigned long long)bytes);
		return;
	}
	for (; v >= 999.5 && units[i + 1] != '\0'; i++)
		v /= 1000;
	buf_printf(out, v < 9.95 ? "%.1f%c" : "%.0f%c", v, units[i]);
}

void
render_time(struct buf *out, int64_t wall)
{
	time_t t = (time_t)wall;
	struct tm tm;
	char text[32];

	localtime_r(&t, &tm);
	strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	buf_adds(out, text);
}

void
render_json(const json_t *value)
{
	struct buf line = { 0 };

	json_to_line(value, &line);
	fwrite(line.data, 1, line.len, stdout);
	buf_fini(&line);
}

/* Characters, not bytes: what follows a first byte takes no room. */
static unsigned
text_width(const char *s)
{
	unsigned n = 0;

	for (; *s != '\0'; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static bool
is_right(const struct table *t, unsigned i)
{
	return t->title[i][0] == '>';
}

void
table_init(struct table *t, const char *const *title)
{
	memset(t, 0, sizeof *t);
	t->title = title;
	for (; title[t->columns] != NULL; t->columns++) {
		check(t->columns < TABLE_COLUMNS);
		t->width[t->columns] = text_width(title[t->columns] + is_right(t, t->columns));
	}
}

static void
print_cell(const struct table *t, unsigned i, const char *text)
{
	unsigned width = text_width(text), pad = width < t->width[i] ? t->width[i] - width : 0;

	if (is_right(t, i))
		printf("%*s%s", (int)pad, "", text);
	else if (i + 1 == t->columns)
		fputs(text, stdout);
	else
		printf("%s%*s", text, (int)pad, "");
	fputs(i + 1 == t->columns ? "\n" : "  ", stdout);
}

static void
print_kept(struct table *t)
{
	unsigned i;

	if (!t->started && t->rows > 0) {
		for (i = 0; i < t->columns; i++)
			print_cell(t, i, t->title[i] + is_right(t, i));
		t->started = true;
	}
	for (i = 0; i < t->rows * t->columns; i++) {
		print_cell(t, i % t->columns, t->kept[i]);
		free(t->kept[i]);
	}
	t->rows = 0;
}

struct buf *
table_cell(struct table *t)
{
	check(t->at < t->columns);
	return &t->now[t->at++];
}

void
table_text(struct table *t, const char *text)
{
	render_text(table_cell(t), text == NULL ? "-" : text);
}

void
table_number(struct table *t, int64_t n)
{
	buf_printf(table_cell(t), "%lld", (long long)n);
}

static void
keep_row(struct table *t)
{
	unsigned i, width;
	char *text;

	for (i = 0; i < t->columns; i++) {
		text = xstrdup(buf_str(&t->now[i]));
		width = text_width(text);
		if (width > t->width[i])
			t->width[i] = width;
		t->kept[t->rows * t->columns + i] = text;
	}
	t->rows++;
}

void
table_row(struct table *t)
{
	unsigned i;

	if (t->started)
		for (i = 0; i < t->columns; i++)
			print_cell(t, i, buf_str(&t->now[i]));
	else
		keep_row(t);
	for (i = 0; i < t->columns; i++)
		t->now[i].len = 0;
	t->at = 0;
	if (t->rows == TABLE_KEPT)
		print_kept(t);
}

void
table_end(struct table *t)
{
	unsigned i;

	print_kept(t);
	for (i = 0; i < t->columns; i++)
		buf_fini(&t->now[i]);
}
