/* SPDX-License-Identifier: MIT */
#include "util/log_record.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/str.h"

#include <string.h>

#define TRUNCATED " truncated=yes"

const char *
log_level_name(enum log_level level)
{
	static const char *const name[] = { "none", "error", "warn", "info", "debug" };

	return name[level <= LOG_DEBUG ? level : 0];
}

/* Room that is always left for the end of the record. */
static size_t
room(const struct log_record *r)
{
	const size_t tail = sizeof TRUNCATED; /* its terminator pays for the line end */

	return r->len + tail >= sizeof r->text ? 0 : sizeof r->text - tail - r->len;
}

static void
put(struct log_record *r, const void *p, size_t n)
{
	if (n > room(r)) {
		r->cut = true;
		return;
	}
	memcpy(r->text + r->len, p, n);
	r->len += n;
}

/* " key=", or nothing at all when the record is full: a key without its value would mislead. */
static bool
put_key(struct log_record *r, const char *key)
{
	size_t n = strlen(key);

	if (!r->live || r->cut)
		return false;
	if (n + 2 + 20 > room(r)) { /* the longest number fits behind it */
		r->cut = true;
		return false;
	}
	r->text[r->len++] = ' ';
	memcpy(r->text + r->len, key, n);
	r->len += n;
	r->text[r->len++] = '=';
	return true;
}

/* The second is formatted once a second and thread. */
static void
put_time(struct log_record *r)
{
	static _Thread_local int64_t cached = INT64_MIN;
	static _Thread_local char text[32];
	int64_t now = clock_wall_ms(), sec = now / 1000;
	unsigned ms = (unsigned)(now % 1000);
	char *p = r->text;

	if (sec != cached) {
		clock_iso8601(sec, text, sizeof text);
		cached = sec;
	}
	memcpy(p, text, 19);
	p[19] = '.';
	p[20] = (char)('0' + ms / 100);
	p[21] = (char)('0' + ms / 10 % 10);
	p[22] = (char)('0' + ms % 10);
	p[23] = 'Z';
	p[24] = ' ';
	r->len = 25;
}

void
log_begin(struct log_record *r, enum log_level level, const char *event)
{
	const char *name;

	r->live = log_wants(level);
	if (!r->live)
		return;
	r->cut = false;
	put_time(r);
	name = log_level_name(level);
	put(r, name, strlen(name));
	put(r, " event=", 7);
	put(r, event, strlen(event));
}

static bool
is_bare(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

/* One byte inside quotes; returns how many bytes that takes. */
static size_t
quote_byte(unsigned char c, char out[4])
{
	static const char hex[] = "0123456789abcdef";

	if (c == '"' || c == '\\') {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	if (c >= ' ' && c < 0x7f) {
		out[0] = (char)c;
		return 1;
	}
	out[0] = '\\';
	out[1] = 'x';
	out[2] = hex[c >> 4];
	out[3] = hex[c & 15];
	return 4;
}

static void
put_quoted(struct log_record *r, const unsigned char *s, size_t n)
{
	size_t limit = room(r), i, k;
	char *start = r->text + r->len, *p = start, piece[4];

	if (limit > LOG_VALUE_MAX)
		limit = LOG_VALUE_MAX;
	else
		r->cut = true; /* unless it turns out to fit */
	*p++ = '"';
	for (i = 0; i < n; i++) {
		k = quote_byte(s[i], piece);
		if ((size_t)(p - start) + k + 4 > limit)
			break;
		memcpy(p, piece, k);
		p += k;
	}
	if (i < n) {
		memcpy(p, "...", 3);
		p += 3;
	} else {
		r->cut = false;
	}
	*p++ = '"';
	r->len += (size_t)(p - start);
}

void
log_bytes(struct log_record *r, const char *key, const void *p, size_t n)
{
	const unsigned char *s = p;
	size_t i;

	if (!put_key(r, key))
		return;
	for (i = 0; i < n && is_bare(s[i]); i++)
		;
	if (n > 0 && i == n && n <= LOG_VALUE_MAX && n <= room(r))
		put(r, s, n);
	else
		put_quoted(r, s, n);
}

void
log_str(struct log_record *r, const char *key, const char *value)
{
	if (r->live && value != NULL)
		log_bytes(r, key, value, strlen(value));
}

void
log_u64(struct log_record *r, const char *key, uint64_t value)
{
	char digits[20];
	size_t at = sizeof digits;

	if (!put_key(r, key))
		return;
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	put(r, digits + at, sizeof digits - at);
}

void
log_id(struct log_record *r, const char *key, uint64_t id)
{
	char text[ID_TEXT];

	if (!put_key(r, key))
		return;
	id_text(id, text);
	put(r, text, ID_TEXT - 1);
}

void
log_record_finish(struct log_record *r)
{
	if (r->cut) {
		memcpy(r->text + r->len, TRUNCATED, sizeof TRUNCATED - 1);
		r->len += sizeof TRUNCATED - 1;
	}
	r->text[r->len++] = '\n';
}
