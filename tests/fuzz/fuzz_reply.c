/* SPDX-License-Identifier: MIT */
/* A next hop's replies, read in pieces of different sizes: the same result, bounded, and nothing that could break a
 * line of ours. */
#include "delivery/limits.h"
#include "mail/dsn.h"
#include "mail/reply.h"
#include "util/buf.h"
#include "util/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(const struct reply *r)
{
	size_t i;

	check(r->len < REPLY_TEXT_MAX && r->text[r->len] == '\0' && strlen(r->text) == r->len);
	for (i = 0; i < r->len; i++)
		check(r->text[i] >= ' ' && r->text[i] <= '~');
}

static void
check_done(const struct reply *r)
{
	struct hop_limits limits;
	struct ehlo_keyword k;
	unsigned at = 0, count = 0;
	char status[DSN_STATUS_TEXT];
	struct buf b = { 0 };

	check(r->code >= 200 && r->code <= 599 && reply_class(r) == r->code / 100);
	check(strlen(r->enhanced) < sizeof r->enhanced);
	check(r->enhanced[0] == '\0' || r->enhanced[0] == '0' + r->code / 100);
	while (reply_ehlo_next(r, &at, &k)) {
		check(k.name > r->text && k.name + k.name_len <= k.args && k.args + k.args_len <= r->text + r->len);
		check(++count < REPLY_LINES_MAX);
		limits_learn(&limits, k.args, k.args_len);
		check(limits.mail <= 999999 && limits.rcpt <= 999999 && limits.domains <= 999999);
	}
	dsn_status(r->text, DSN_FAILED, status);
	check(status[0] == '4' || status[0] == '5');
	reply_add(&b, r->code, r->enhanced[0] ? r->enhanced : NULL, r->text);
	check(b.len <= 512 && memchr(b.data, '\n', b.len) == b.data + b.len - 1);
	buf_fini(&b);
}

/* One reply from S in pieces of STEP; returns the octets used. */
static size_t
read_reply(struct reply *r, const char *s, size_t n, size_t step)
{
	size_t at = 0, piece, used;
	char *copy;

	reply_init(r);
	while (at < n && r->state == REPLY_MORE) {
		piece = n - at < step ? n - at : step;
		copy = xmemdup(s + at, piece);
		reply_feed(r, copy, piece, &used);
		check(used <= piece && (used == piece || r->state != REPLY_MORE));
		at += used;
		free(copy);
	}
	check_text(r);
	if (r->state == REPLY_DONE)
		check_done(r);
	return at;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct reply a, b;
	const char *s = (const char *)data;
	size_t used, other;

	while (size > 0) {
		used = read_reply(&a, s, size, size);
		other = read_reply(&b, s, size, 1);
		check(a.state == b.state && used == other);
		if (a.state != REPLY_DONE)
			return 0;
		check(a.code == b.code && a.mixed == b.mixed && a.lines == b.lines);
		check(strcmp(a.text, b.text) == 0 && strcmp(a.enhanced, b.enhanced) == 0);
		s += used;
		size -= used;
	}
	return 0;
}
