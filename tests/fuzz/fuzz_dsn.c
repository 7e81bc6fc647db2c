/* SPDX-License-Identifier: MIT */
/* Reports and Received fields made of hostile pieces: 7-bit, bounded lines, and only the fields we wrote. The input
 * is strings with NULs between them. */
#include "mail/dsn.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/trace.h"
#include "mail/utf8.h"
#include "util/buf.h"
#include "util/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *
next_string(char **at, char *end)
{
	char *s = *at;

	*at += strlen(s);
	*at += *at < end;
	return s;
}

/* The fields before the first empty line are these and no others. */
static void
check_header(const struct buf *b)
{
	static const char *const names[] = { "Date", "From", "To", "Subject", "Message-ID", "In-Reply-To", "References",
		"Auto-Submitted", "MIME-Version", "Content-Type" };
	struct header_field f;
	size_t at = 0, i = 0;

	while (header_next(b->data, b->len, &at, &f)) {
		while (i < 10 && (strlen(names[i]) != f.name_len || memcmp(names[i], f.name, f.name_len) != 0))
			i++;
		check(i++ < 10);
	}
	check(memcmp(b->data + at, "\r\n", 2) == 0);
}

/* Five lines begin with a boundary: three parts, the end; none comes from outside. */
static void
check_parts(const struct buf *b)
{
	static const char want[] = "\r\n--=_fuzz_";
	const char *p = b->data, *end = b->data + b->len;
	unsigned count = 0;

	while ((p = memmem(p, (size_t)(end - p), want, sizeof want - 1)) != NULL) {
		count++;
		p += sizeof want - 1;
	}
	check(count >= 4);
	check(memcmp(end - 4, "--\r\n", 4) == 0);
}

static void
check_trace(const struct dsn *d, const char *helo, const char *rcpt)
{
	struct trace t = { .helo = helo, .literal = "[192.0.2.1]", .by = "gw.example.net", .id = "x", .rcpt = rcpt,
		.esmtp = true, .when = d->now };
	struct header_field f;
	struct buf b = { 0 };
	size_t at = 0;

	trace_received(&b, &t);
	check(mime_is_plain(b.data, b.len));
	check(header_next(b.data, b.len, &at, &f) && at == b.len && f.name_len == 8);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dsn_recipient rcpt[2] = { { 0 } };
	struct dsn d = { .hostname = "gw.example.net", .id = "fuzz", .original_id = "x", .rcpt = rcpt, .count = 2,
		.now = 1 };
	struct buf b = { 0 };
	char *text, *at, *end;

	if (size < 1)
		return 0;
	text = at = xmalloc(size + 1);
	end = text + size;
	memcpy(text, data, size);
	*end = '\0';
	d.action = *at & 1 ? DSN_FAILED : DSN_DELAYED;
	rcpt[0].action = *at >> 4 & 7 && (*at >> 4 & 7) <= DSN_DELIVERED ? (enum dsn_action)(*at >> 4 & 7) : 0;
	d.full = *at & 2;
	d.content_size = (*at & 4) != 0;
	at++;
	d.to = next_string(&at, end);
	d.envid = next_string(&at, end);
	rcpt[0].address = next_string(&at, end);
	rcpt[0].reply = next_string(&at, end);
	rcpt[0].orcpt = next_string(&at, end);
	rcpt[0].peer = next_string(&at, end);
	rcpt[1].address = next_string(&at, end);
	rcpt[1].reply = next_string(&at, end);
	d.content = at;
	d.content_len = (size_t)(end - at);
	d.content_size += d.content_len;
	dsn_build(&b, &d);
	check(utf8_is_ascii(d.to) ? mime_is_plain(b.data, b.len) : mime_is_8bit(b.data, b.len));
	check(utf8_valid(b.data, b.len));
	check_header(&b);
	check_parts(&b);
	check_trace(&d, d.to, rcpt[0].address);
	buf_fini(&b);
	free(text);
	return 0;
}
