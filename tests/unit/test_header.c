/* SPDX-License-Identifier: MIT */
#include "mail/header.h"
#include "mail/mime.h"
#include "util/buf.h"
#include "util/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void
fields_are_walked_with_their_folding(void **state)
{
	static const char in[] = "A: 1\r\nB:2\r\n\tmore\r\n  \r\nC : \r\nD:\r\n\r\nE: body\r\n";
	static const struct {
		const char *name, *value;
	} want[] = { { "A", " 1" }, { "B", "2\r\n\tmore\r\n  " }, { "C", " " }, { "D", "" } };
	struct header_field f;
	size_t at = 0, i;

	(void)state;
	for (i = 0; i < 4; i++) {
		assert_true(header_next(in, strlen(in), &at, &f));
		assert_int_equal(f.name_len, strlen(want[i].name));
		assert_memory_equal(f.name, want[i].name, f.name_len);
		assert_int_equal(f.value_len, strlen(want[i].value));
		assert_memory_equal(f.value, want[i].value, f.value_len);
		assert_ptr_equal(f.start + f.len, in + at);
	}
	assert_false(header_next(in, strlen(in), &at, &f));
	assert_int_equal(header_section(in, strlen(in)), strlen(in) - strlen("E: body\r\n"));
}

static void
the_section_ends_where_no_field_is(void **state)
{
	static const struct {
		const char *in;
		size_t len;
	} cases[] = { { "", 0 }, { "\r\n", 2 }, { "\n", 1 }, { "A: b", 4 }, { "A: b\n\nx", 6 }, { "A: b\r\n", 6 },
		{ "A: b\r\nx y: z\r\n", 6 }, { "A", 0 }, { "A:", 2 }, { ":", 0 }, { " A: b\r\n", 0 }, { "A\r\n: b", 0 },
		{ "\r", 0 }, { "A: b\r\n\r", 6 }, { "A: b\r\r\n\r\nx", 9 } };
	size_t i, n;
	char *copy;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		n = strlen(cases[i].in);
		copy = xmemdup(cases[i].in, n ? n : 1);
		if (header_section(copy, n) != cases[i].len)
			fail_msg("\"%s\": %zu", cases[i].in, header_section(copy, n));
		free(copy);
	}
}

static void
fields_are_found_by_name_in_either_case(void **state)
{
	static const char in[] = "received: a\r\nRECEIVED : b\r\nReceived-SPF: c\r\n"
	    "Message-Id:\r\n <x@y>\r\n\r\nReceived: d\r\n";
	struct header_field f;
	char text[8];

	(void)state;
	assert_int_equal(header_count(in, strlen(in), "Received"), 2);
	assert_true(header_find(in, strlen(in), "message-id", &f));
	assert_int_equal(header_unfold(&f, text, sizeof text), 5);
	assert_string_equal(text, "<x@y>");
	assert_int_equal(header_unfold(&f, text, 4), 3);
	assert_string_equal(text, "<x@");
	assert_int_equal(header_unfold(&f, text, 1), 0);
	assert_false(header_find(in, strlen(in), "Subject", &f));
}

static void
quoted_printable_is_plain_and_nothing_is_lost(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = { { "a=b\r\n", "a=3Db\r\n" }, { "\xc3\xb6\r\n", "=C3=B6\r\n" },
		{ "a \r\n\tb\t\r\n", "a=20\r\n\tb=09\r\n" },
		{ "a\rb\nc", "a=0Db=0Ac\r\n" }, { "", "" }, { "x ", "x=20\r\n" } };
	struct buf b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		b.len = 0;
		mime_add_quoted_printable(&b, cases[i].in, strlen(cases[i].in));
		assert_string_equal(buf_str(&b), cases[i].out);
		assert_true(mime_is_plain(b.data, b.len));
	}
	buf_fini(&b);
}

static void
long_lines_are_broken_softly(void **state)
{
	struct buf b = { 0 };
	size_t line = 0, i;
	char in[5000];

	(void)state;
	memset(in, 'x', sizeof in);
	assert_false(mime_is_plain(in, sizeof in));
	mime_add_quoted_printable(&b, in, sizeof in);
	for (i = 0; i < b.len; i++) {
		line = b.data[i] == '\n' ? 0 : line + 1;
		assert_true(line <= 77); /* 76 and the CR */
	}
	assert_true(mime_is_plain(b.data, b.len));
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_walked_with_their_folding),
		cmocka_unit_test(the_section_ends_where_no_field_is),
		cmocka_unit_test(fields_are_found_by_name_in_either_case),
		cmocka_unit_test(quoted_printable_is_plain_and_nothing_is_lost),
		cmocka_unit_test(long_lines_are_broken_softly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
