/* SPDX-License-Identifier: MIT */
#include "mail/datastream.h"
#include "util/buf.h"
#include "util/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct datastream_limits no_limits;

struct result {
	struct datastream d;
	struct buf kept;
	size_t used;
};

/* A piece from a copy of exactly its size. */
static void
feed(struct result *r, const char *p, size_t n)
{
	char *copy = xmemdup(p, n ? n : 1);
	size_t used, kept;

	if (r->d.ended) {
		free(copy);
		return;
	}
	kept = datastream_feed(&r->d, copy, n, &used);
	assert_true(kept <= used && used <= n);
	assert_true(used == n || r->d.ended);
	assert_memory_equal(copy + used, p + used, n - used);
	buf_add(&r->kept, copy, kept);
	r->used += used;
	free(copy);
}

static void
begin(struct result *r, const struct datastream_limits *limits)
{
	memset(r, 0, sizeof *r);
	datastream_init(&r->d, limits);
}

static void
assert_same(const struct result *a, const struct result *b)
{
	assert_int_equal(a->d.ended, b->d.ended);
	assert_int_equal(a->d.flags, b->d.flags);
	assert_int_equal(a->used, b->used);
	assert_int_equal(a->kept.len, b->kept.len);
	if (a->kept.len > 0)
		assert_memory_equal(a->kept.data, b->kept.data, a->kept.len);
	assert_int_equal(a->d.size, b->d.size);
	assert_int_equal(a->d.longest, b->d.longest);
	assert_int_equal(a->d.long_lines, b->d.long_lines);
	assert_int_equal(a->d.received, b->d.received);
	assert_int_equal(a->d.header_size, b->d.header_size);
	assert_int_equal(a->d.header_ended, b->d.header_ended);
}

/* In one piece, in every pair of pieces and byte by byte: the same. The caller releases r->kept. */
static void
decode_all_ways(struct result *r, const struct datastream_limits *limits, const char *in, size_t n)
{
	struct result other;
	size_t at;

	begin(r, limits);
	feed(r, in, n);
	for (at = 0; at <= n; at++) {
		begin(&other, limits);
		feed(&other, in, at);
		feed(&other, in + at, n - at);
		assert_same(r, &other);
		buf_fini(&other.kept);
	}
	begin(&other, limits);
	for (at = 0; at < n; at++)
		feed(&other, in + at, 1);
	assert_same(r, &other);
	buf_fini(&other.kept);
}

static void
messages_are_decoded_the_same_in_every_split(void **state)
{
	static const struct {
		const char *in, *kept, *rest; /* rest NULL: the end was not seen */
		unsigned flags;
	} cases[] = {
		{ "a\r\n.\r\n", "a\r\n", "", 0 },
		{ "a\r\n.\r\nQUIT\r\n", "a\r\n", "QUIT\r\n", 0 },
		{ ".\r\n", "", "", 0 },
		{ ".\r\n.\r\n", "", ".\r\n", 0 },
		{ "\r\n.\r\n", "\r\n", "", 0 },
		{ "a\r\n..\r\n.\r\n", "a\r\n.\r\n", "", DATA_DOTS },
		{ "..\r\n.\r\n", ".\r\n", "", DATA_DOTS },
		{ "..a\r\n...b\r\n.\r\n", ".a\r\n..b\r\n", "", DATA_DOTS },
		{ ".a\r\n.b\r\nc.\r\n.\r\n", "a\r\nb\r\nc.\r\n", "", 0 },
		{ "a.\r\n.\r\n", "a.\r\n", "", 0 },
		{ "a\r\n.\r\n.\r\n", "a\r\n", ".\r\n", 0 },
		{ "\xc3\xb6\r\n.\r\n", "\xc3\xb6\r\n", "", DATA_8BIT },
		{ "a\r\n.\r\n\xc3\n", "a\r\n", "\xc3\n", 0 },
		{ "a\r\n", "a\r\n", NULL, 0 },
		{ "a\r\n.", "a\r\n", NULL, 0 },
		{ "a\r\n.\r", "a\r\n", NULL, 0 },
		{ "", "", NULL, 0 },
	};
	struct result r;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		n = strlen(cases[i].in);
		decode_all_ways(&r, &no_limits, cases[i].in, n);
		assert_int_equal(r.d.ended, cases[i].rest != NULL);
		assert_string_equal(buf_str(&r.kept), cases[i].kept);
		assert_int_equal(r.d.flags, cases[i].flags);
		if (cases[i].rest != NULL)
			assert_string_equal(cases[i].in + r.used, cases[i].rest);
		buf_fini(&r.kept);
	}
}

/* CVE-2023-51764 and its kin: none of these ends a message, each gets it refused, at its real end. */
static void
smuggling_sequences_never_end_a_message(void **state)
{
	static const struct {
		const char *s;
		size_t n;
	} sequences[] = {
#define SEQUENCE(text) { text, sizeof text - 1 }
		SEQUENCE("\n.\n"), SEQUENCE("\n.\r\n"), SEQUENCE("\r\n.\n"), SEQUENCE("\r.\r"), SEQUENCE("\r.\r\n"),
		SEQUENCE("\r\n.\r"), SEQUENCE("\n.\r"), SEQUENCE("\r.\n"), SEQUENCE("\r\n.\r\r\n"),
		SEQUENCE("\r\r\n.\r\r\n"), SEQUENCE("\r\n\0.\r\n"), SEQUENCE("\r\n.\0\r\n"), SEQUENCE("\n\n.\n\n"),
		SEQUENCE("\r\n.\n\n"), SEQUENCE("\n.\r\r\n"), SEQUENCE("\r\0\n.\r\n"), SEQUENCE("\r\n.\r\0\n"),
	};
	static const char before[] = "Subject: x\r\n\r\nbody",
	    after[] = "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n";
	struct result r;
	struct buf b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof sequences / sizeof *sequences; i++) {
		b.len = 0;
		buf_adds(&b, before);
		buf_add(&b, sequences[i].s, sequences[i].n);
		buf_adds(&b, after);
		decode_all_ways(&r, &no_limits, b.data, b.len);
		assert_true(r.d.ended);
		if (r.used != b.len - strlen("QUIT\r\n"))
			fail_msg("sequence %zu ends the message at %zu", i, r.used);
		if (!(r.d.flags & DATA_REFUSED))
			fail_msg("sequence %zu is not refused", i);
		buf_fini(&r.kept);
	}
	buf_fini(&b);
}

/* CRLF "." CRLF is the end, whatever stands before it. */
static void
the_end_is_found_behind_bare_line_ends(void **state)
{
	static const struct {
		const char *in;
		unsigned flags;
	} cases[] = {
		{ "a\r\r\n.\r\n", DATA_BARE_CR },
		{ "a\n\r\n.\r\n", DATA_BARE_LF },
		{ "a\n.\n\r\n.\r\n", DATA_BARE_LF },
		{ "\n\r\n.\r\n", DATA_BARE_LF },
		{ "a\rb\nc\r\n.\r\n", DATA_BARE_CR | DATA_BARE_LF },
	};
	struct result r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		decode_all_ways(&r, &no_limits, cases[i].in, strlen(cases[i].in));
		assert_true(r.d.ended);
		assert_int_equal(r.used, strlen(cases[i].in));
		assert_int_equal(r.d.flags, cases[i].flags);
		buf_fini(&r.kept);
	}
}

/* At each offset in blocks and between them, each kind of fault is seen, and only that one. */
static void
faults_are_seen_at_every_offset(void **state)
{
	static const struct {
		char byte;
		unsigned flag;
	} faults[] = { { '\r', DATA_BARE_CR }, { '\n', DATA_BARE_LF }, { '\0', DATA_NUL }, { '\x80', DATA_8BIT },
		{ '.', 0 } };
	char text[300];
	struct result r;
	size_t i, at;

	(void)state;
	for (i = 0; i < sizeof faults / sizeof *faults; i++) {
		for (at = 1; at < sizeof text - 6; at++) {
			memset(text, 'x', sizeof text);
			memcpy(text + sizeof text - 5, "\r\n.\r\n", 5);
			text[at] = faults[i].byte;
			begin(&r, &no_limits);
			feed(&r, text, sizeof text);
			assert_true(r.d.ended);
			assert_int_equal(r.d.flags, faults[i].flag);
			assert_int_equal(r.kept.len, sizeof text - 3);
			assert_memory_equal(r.kept.data, text, sizeof text - 3);
			buf_fini(&r.kept);
		}
	}
}

static void
line_lengths_are_measured_without_line_end_and_stuffing(void **state)
{
	struct datastream_limits limits = { .line = 2000 };
	static const size_t lengths[] = { 997, 998, 999, 2000, 2001 };
	struct buf b = { 0 };
	struct result r;
	unsigned want;
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		b.len = 0;
		buf_adds(&b, "..");
		for (j = 1; j < lengths[i]; j++)
			buf_addc(&b, 'x');
		buf_adds(&b, "\r\nshort\r\n.\r\n");
		decode_all_ways(&r, &limits, b.data, b.len);
		assert_int_equal(r.d.longest, lengths[i]);
		assert_int_equal(r.d.long_lines, lengths[i] > 998);
		want = DATA_DOTS | (lengths[i] > 998 ? DATA_LONG_LINE : 0);
		want |= lengths[i] > 2000 ? DATA_LINE_TOO_LONG : 0;
		assert_int_equal(r.d.flags, want);
		buf_fini(&r.kept);
	}
	buf_fini(&b);
}

static void
a_line_without_end_is_noticed_while_it_comes(void **state)
{
	struct datastream_limits limits = { .line = 5000 };
	struct result r;
	char x[1000];
	int i;

	(void)state;
	memset(x, 'x', sizeof x);
	begin(&r, &limits);
	for (i = 0; i < 5; i++)
		feed(&r, x, sizeof x);
	assert_int_equal(r.d.flags, DATA_LONG_LINE);
	feed(&r, x, 1);
	assert_int_equal(r.d.flags, DATA_LONG_LINE | DATA_LINE_TOO_LONG);
	buf_fini(&r.kept);
}

static void
the_header_section_is_measured_and_its_hops_counted(void **state)
{
	static const struct {
		const char *in;
		size_t header;
		unsigned received;
		bool ended;
	} cases[] = {
		{ "A: b\r\n\r\nbody: x\r\nReceived: no\r\n", 8, 0, true },
		{ "Received: a\r\nReceived: b\r\n\tReceived: c\r\nreceived : d\r\n\r\n", 56, 3, true },
		{ "Received: a\r\n \r\nReceived: b\r\n\r\nReceived: c\r\n", 31, 2, true },
		{ "Received-SPF: x\r\nX-Received: y\r\nReceive: z\r\n\r\n", 46, 0, true },
		{ "\r\nReceived: a\r\n", 2, 0, true },
		{ "Subject: x\r\nthis is text\r\nReceived: a\r\n", 12, 0, true },
		{ "plain\r\nReceived: a\r\n", 0, 0, true },
		{ " Received: a\r\nReceived: b\r\n", 0, 0, true },
		{ ": a\r\nReceived: b\r\n", 0, 0, true },
		{ "From a@example.com Sat\r\nReceived: b\r\n", 0, 0, true },
		{ "R\xc3\xb6: a\r\nReceived: b\r\n", 0, 0, true },
		{ "Received: a\r\n", 13, 1, false },
		{ "..X: y\r\n.Received: a\r\n\r\n", 22, 1, true },
		{ "", 0, 0, false },
	};
	struct buf b = { 0 };
	struct result r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		b.len = 0;
		buf_printf(&b, "%s.\r\n", cases[i].in);
		decode_all_ways(&r, &no_limits, b.data, b.len);
		assert_true(r.d.ended);
		if (r.d.header_size != cases[i].header || r.d.received != cases[i].received)
			fail_msg("%s: header %lu, received %u", cases[i].in, (unsigned long)r.d.header_size,
			    r.d.received);
		assert_int_equal(r.d.header_ended, cases[i].ended);
		buf_fini(&r.kept);
	}
	buf_fini(&b);
}

static void
loops_are_noticed_by_their_hops(void **state)
{
	struct datastream_limits limits = { .hops = 50 };
	struct buf b = { 0 };
	struct result r;
	int i;

	(void)state;
	for (i = 0; i < 50; i++)
		buf_adds(&b, "Received: from a by b\r\n\tid c\r\n");
	begin(&r, &limits);
	feed(&r, b.data, b.len);
	assert_int_equal(r.d.flags, 0);
	feed(&r, "RECEIVED:\r\n", 11);
	assert_int_equal(r.d.flags, DATA_TOO_MANY_HOPS);
	assert_int_equal(r.d.received, 51);
	buf_fini(&r.kept);
	buf_fini(&b);
}

/* Exim's CVE-2020-28020: continuation lines count too. */
static void
an_oversize_header_is_noticed(void **state)
{
	struct datastream_limits limits = { .header = 1000 };
	struct buf b = { 0 };
	struct result r;

	(void)state;
	buf_adds(&b, "A: b\r\n");
	while (b.len < 998)
		buf_adds(&b, " c\r\n");
	buf_adds(&b, "\r\nbody body body\r\n.\r\n");
	decode_all_ways(&r, &limits, b.data, b.len);
	assert_int_equal(r.d.header_size, 1000);
	assert_false(r.d.flags & DATA_HEADER_TOO_BIG);
	buf_fini(&r.kept);
	b.len = 998;
	buf_adds(&b, " \r\n\r\nbody\r\n.\r\n");
	decode_all_ways(&r, &limits, b.data, b.len);
	assert_true(r.d.flags & DATA_HEADER_TOO_BIG);
	buf_fini(&r.kept);
	buf_fini(&b);
}

static void
stored_lines_with_dots_are_found(void **state)
{
	(void)state;
	assert_true(datastream_has_dots(".a\r\n", 4));
	assert_true(datastream_has_dots("a\r\n.b", 5));
	assert_false(datastream_has_dots("a.\r\nb.", 6));
	assert_false(datastream_has_dots("", 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_decoded_the_same_in_every_split),
		cmocka_unit_test(smuggling_sequences_never_end_a_message),
		cmocka_unit_test(the_end_is_found_behind_bare_line_ends),
		cmocka_unit_test(faults_are_seen_at_every_offset),
		cmocka_unit_test(line_lengths_are_measured_without_line_end_and_stuffing),
		cmocka_unit_test(a_line_without_end_is_noticed_while_it_comes),
		cmocka_unit_test(the_header_section_is_measured_and_its_hops_counted),
		cmocka_unit_test(loops_are_noticed_by_their_hops),
		cmocka_unit_test(an_oversize_header_is_noticed),
		cmocka_unit_test(stored_lines_with_dots_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
