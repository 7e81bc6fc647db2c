/* SPDX-License-Identifier: MIT */
#include "mail/header.h"
#include "mail/trace.h"
#include "util/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct trace plain = {
	.helo = "client.example.com",
	.literal = "[192.0.2.1]",
	.by = "gw.example.net",
	.esmtp = true,
	.id = "2222222222234",
	.when = 864000,
};

static void
received_says_who_gave_us_what(void **state)
{
	struct trace t = plain;
	struct buf b = { 0 };

	(void)state;
	trace_received(&b, &t);
	assert_string_equal(buf_str(&b),
	    "Received: from client.example.com ([192.0.2.1])\r\n"
	    "\tby gw.example.net with ESMTP\r\n"
	    "\tid 2222222222234;\r\n"
	    "\tSun, 11 Jan 1970 00:00:00 +0000\r\n");
	b.len = 0;
	t.client = "host.example.com";
	t.tls_version = "TLSv1.3";
	t.tls_cipher = "TLS_AES_256_GCM_SHA384";
	t.tls_bits = 256;
	t.rcpt = "a@example.org";
	t.when = 950400;
	trace_received(&b, &t);
	assert_string_equal(buf_str(&b),
	    "Received: from client.example.com (host.example.com [192.0.2.1])\r\n"
	    "\tby gw.example.net with ESMTPS\r\n"
	    "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256 bits))\r\n"
	    "\tid 2222222222234 for <a@example.org>;\r\n"
	    "\tMon, 12 Jan 1970 00:00:00 +0000\r\n");
	buf_fini(&b);
}

static void
the_protocol_is_named_as_registered(void **state)
{
	static const struct {
		bool esmtp, tls, auth, utf8;
		const char *with;
	} cases[] = { { false, false, false, false, " with SMTP\r\n" },
		{ true, false, false, false, " with ESMTP\r\n" },
		{ true, false, true, false, " with ESMTPA\r\n" }, { true, true, false, false, " with ESMTPS\r\n" },
		{ true, true, true, false, " with ESMTPSA\r\n" }, { true, true, true, true, " with UTF8SMTPSA\r\n" },
		{ false, true, false, false, " with SMTP\r\n" } };
	struct buf b = { 0 };
	struct trace t;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		t = plain;
		t.esmtp = cases[i].esmtp;
		t.auth = cases[i].auth;
		t.utf8 = cases[i].utf8;
		t.tls_version = cases[i].tls ? "TLSv1.3" : NULL;
		b.len = 0;
		trace_received(&b, &t);
		assert_non_null(strstr(buf_str(&b), cases[i].with));
	}
	buf_fini(&b);
}

/* Whatever a peer chose: one field, three or four lines, parentheses in pairs, all ASCII. */
static void
assert_harmless(struct buf *b)
{
	const char *s = buf_str(b);
	struct header_field f;
	size_t at = 0, i;
	int depth = 0;

	assert_true(header_next(b->data, b->len, &at, &f));
	assert_int_equal(at, b->len);
	assert_int_equal(f.name_len, strlen("Received"));
	for (i = 0; i < b->len; i++) {
		assert_true((s[i] >= ' ' && s[i] <= '~') || s[i] == '\t' || s[i] == '\r' || s[i] == '\n');
		assert_int_equal(s[i] == '\r', s[i + 1] == '\n');
		depth += s[i] == '(' ? 1 : s[i] == ')' ? -1 : 0;
		assert_in_range(depth, 0, 2);
	}
	assert_int_equal(depth, 0);
}

static void
a_hostile_helo_stays_in_its_comment(void **state)
{
	static const struct {
		const char *helo, *shown;
	} cases[] = {
		{ "x\r\nX-Evil: 1", "\"x??X-Evil:?1\"" },
		{ "a)(b", "\"a??b\"" },
		{ "a\\", "\"a?\"" },
		{ "\"", "\"?\"" },
		{ "\xc3\xb6.example", "\"??.example\"" },
		{ "-bad-", "\"-bad-\"" },
		{ "a b", "\"a?b\"" },
	};
	struct buf b = { 0 };
	struct trace t = plain;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		b.len = 0;
		t.helo = t.client = cases[i].helo;
		trace_received(&b, &t);
		assert_harmless(&b);
		assert_non_null(strstr(buf_str(&b), cases[i].shown));
		assert_non_null(strstr(buf_str(&b), "from [192.0.2.1] ([192.0.2.1]) (HELO "));
	}
	buf_fini(&b);
}

static void
what_is_unknown_is_left_out(void **state)
{
	struct buf b = { 0 };
	struct trace t = plain;
	char helo[3000];

	(void)state;
	t.helo = NULL;
	t.literal = NULL;
	trace_received(&b, &t);
	assert_non_null(strstr(buf_str(&b), "from localhost\r\n"));
	assert_harmless(&b);
	b.len = 0;
	t.rcpt = "a\r\nb@example.com";
	trace_received(&b, &t);
	assert_null(strstr(buf_str(&b), " for "));
	b.len = 0;
	t.rcpt = "\xc3\xb6@example.com";
	trace_received(&b, &t);
	assert_null(strstr(buf_str(&b), " for "));
	b.len = 0;
	t.utf8 = true;
	trace_received(&b, &t);
	assert_non_null(strstr(buf_str(&b), " for <\xc3\xb6@example.com>;"));
	b.len = 0;
	memset(helo, '(', sizeof helo - 1);
	helo[sizeof helo - 1] = '\0';
	t = plain;
	t.helo = helo;
	trace_received(&b, &t);
	assert_harmless(&b);
	assert_true(b.len < 500);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(received_says_who_gave_us_what),
		cmocka_unit_test(the_protocol_is_named_as_registered),
		cmocka_unit_test(a_hostile_helo_stays_in_its_comment),
		cmocka_unit_test(what_is_unknown_is_left_out),
	};

	setenv("TZ", "UTC0", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
