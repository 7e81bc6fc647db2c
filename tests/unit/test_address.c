/* SPDX-License-Identifier: MIT */
#include "mail/address.h"
#include "mail/utf8.h"
#include "util/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct path_case {
	const char *in;
	unsigned flags;
	int result;       /* octets consumed, or the failure */
	const char *text; /* what is kept */
	const char *domain;
};

/* From a copy of exactly this size, so that a sanitizer sees the first byte read too far. */
static int
parse_path(const char *in, size_t n, unsigned flags, struct address *a, char **copy)
{
	const char *why = NULL;
	int rc;

	*copy = xmemdup(in, n ? n : 1);
	rc = address_parse_path(*copy, n, flags, a, &why);
	assert_true((rc < 0) == (why != NULL));
	return rc;
}

static void
check_path(const struct path_case *c)
{
	struct address a;
	char *copy;
	int rc = parse_path(c->in, strlen(c->in), c->flags, &a, &copy);

	if (rc != c->result)
		fail_msg("%s: %d, not %d", c->in, rc, c->result);
	if (rc >= 0) {
		assert_int_equal(a.len, strlen(c->text));
		assert_memory_equal(a.text, c->text, a.len);
		assert_int_equal(a.domain_len, strlen(c->domain));
		assert_memory_equal(a.domain_len ? a.domain : "", c->domain, a.domain_len);
		assert_int_equal(a.domain == NULL, *c->domain == '\0');
		if (a.domain != NULL)
			assert_int_equal(a.local_len + 1 + a.domain_len, a.len);
	}
	free(copy);
}

static void
paths_are_read_as_rfc5321_writes_them(void **state)
{
	static const struct path_case cases[] = {
		{ "<a@example.com>", 0, 15, "a@example.com", "example.com" },
		{ "<a@example.com> SIZE=1", 0, 15, "a@example.com", "example.com" },
		{ "<a@b>", 0, 5, "a@b", "b" },
		{ "<a.b.c@x-y.example>", 0, 19, "a.b.c@x-y.example", "x-y.example" },
		{ "<!#$%&'*+-/=?^_`{|}~@example.com>", 0, 33, "!#$%&'*+-/=?^_`{|}~@example.com", "example.com" },
		{ "<\"a b\"@example.com>", 0, 19, "\"a b\"@example.com", "example.com" },
		{ "<\"a\\\"b\\\\\"@example.com>", 0, 22, "\"a\\\"b\\\\\"@example.com", "example.com" },
		{ "<\"a@b>c\"@example.com>", 0, 21, "\"a@b>c\"@example.com", "example.com" },
		{ "<\"\"@example.com>", 0, 16, "\"\"@example.com", "example.com" },
		{ "<a@[192.0.2.1]>", 0, 15, "a@[192.0.2.1]", "[192.0.2.1]" },
		{ "<a@[IPv6:2001:db8::1]>", 0, 22, "a@[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]" },
		{ "<a@[ipv6:::ffff:192.0.2.1]>", 0, 27, "a@[ipv6:::ffff:192.0.2.1]", "[ipv6:::ffff:192.0.2.1]" },
		{ "<@x.test:a@example.com>", 0, 23, "a@example.com", "example.com" },
		{ "<@x.test,@y.test:a@example.com>", 0, 31, "a@example.com", "example.com" },
		{ "<a@under_score.example>", 0, 23, "a@under_score.example", "under_score.example" },
		{ "<>", ADDRESS_NULL, 2, "", "" },
		{ "<> BODY=7BIT", ADDRESS_NULL, 2, "", "" },
		{ "<Postmaster>", ADDRESS_POSTMASTER, 12, "Postmaster", "" },
		{ "<pOSTMASTER>", ADDRESS_POSTMASTER, 12, "pOSTMASTER", "" },
		{ "<j\xc3\xb6rg@b\xc3\xbc" "cher.example>", ADDRESS_UTF8, 23, "j\xc3\xb6rg@b\xc3\xbc" "cher.example",
		    "b\xc3\xbc" "cher.example" },
		{ "<\"j\xc3\xb6 rg\"@example.com>", ADDRESS_UTF8, 22, "\"j\xc3\xb6 rg\"@example.com", "example.com" },
		/* verbatim: nothing of this means anything to us */
		{ "<${run{x}}@example.com>", 0, 23, "${run{x}}@example.com", "example.com" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++)
		check_path(&cases[i]);
}

static void
paths_that_are_none_are_refused(void **state)
{
	static const struct path_case cases[] = {
		{ "", 0, ADDRESS_BAD, NULL, NULL },
		{ "<", ADDRESS_NULL, ADDRESS_BAD, NULL, NULL },
		{ "<>", 0, ADDRESS_BAD, NULL, NULL },
		{ "a@example.com", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@example.com", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<@example.com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@b@example.com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "< a@example.com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@example.com >", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a b@example.com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<.a@example.com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a.@example.com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a..b@example.com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@.example.com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@example.com.>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@example..com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@-example.com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@example-.com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@exa mple.com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@exam(ple).com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<\"a@example.com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<\"a\\", 0, ADDRESS_BAD, NULL, NULL },
		{ "<\"a\"b@example.com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<\"a\tb\"@example.com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@[192.0.2.256]>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@[192.0.2]>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@[]>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@[192.0.2.1>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@[IPv6:2001:db8:::1]>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@[2001:db8::1]>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<a@[X-other:thing]>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<@x.test,a@example.com>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<@x.test:>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<;cmd;>", ADDRESS_NULL, ADDRESS_BAD, NULL, NULL },
		{ "<Postmaster>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<Postmasters>", ADDRESS_POSTMASTER, ADDRESS_BAD, NULL, NULL },
		{ "<\"postmaster\">", ADDRESS_POSTMASTER, ADDRESS_BAD, NULL, NULL },
		{ "<a@example.com\r\n>", 0, ADDRESS_BAD, NULL, NULL },
		{ "<j\xc3\xb6rg@example.com>", 0, ADDRESS_NOT_ASCII, NULL, NULL },
		{ "<j@b\xc3\xbc" "cher.example>", 0, ADDRESS_NOT_ASCII, NULL, NULL },
		{ "<\"j\xc3\xb6\"@example.com>", 0, ADDRESS_NOT_ASCII, NULL, NULL },
		{ "<j\xc3rg@example.com>", ADDRESS_UTF8, ADDRESS_BAD, NULL, NULL },
		{ "<j\xc0\xafrg@example.com>", ADDRESS_UTF8, ADDRESS_BAD, NULL, NULL },
		{ "<j\xed\xa0\x80rg@example.com>", ADDRESS_UTF8, ADDRESS_BAD, NULL, NULL },
		{ "<j\xc2\x85rg@example.com>", ADDRESS_UTF8, ADDRESS_BAD, NULL, NULL },
		{ "<\"j\\\xc3\xb6\"@example.com>", ADDRESS_UTF8, ADDRESS_BAD, NULL, NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++)
		check_path(&cases[i]);
}

static void
nul_is_no_part_of_an_address(void **state)
{
	static const char in[] = "<a\0b@example.com>", literal[] = "<a@[192.0.2.1\0]>";
	struct address a;
	char *copy;

	(void)state;
	assert_int_equal(parse_path(in, sizeof in - 1, 0, &a, &copy), ADDRESS_BAD);
	free(copy);
	assert_int_equal(parse_path(literal, sizeof literal - 1, 0, &a, &copy), ADDRESS_BAD);
	free(copy);
}

/* "<", LOCAL times 'l', "@", then DOMAIN octets of labels, ">". */
static int
parse_long(size_t local, size_t domain)
{
	struct address a;
	char text[2048], *p = text, *copy;
	size_t i;
	int rc;

	*p++ = '<';
	memset(p, 'l', local);
	p += local;
	*p++ = '@';
	for (i = 0; i < domain; i++)
		*p++ = i % 32 == 31 && i + 1 < domain ? '.' : 'd';
	*p++ = '>';
	rc = parse_path(text, (size_t)(p - text), 0, &a, &copy);
	free(copy);
	return rc;
}

static void
lengths_are_limited_where_documented(void **state)
{
	(void)state;
	assert_int_equal(parse_long(64, 189), 1 + 64 + 1 + 189 + 1);
	assert_int_equal(parse_long(ADDRESS_LOCAL_MAX, ADDRESS_DOMAIN_MAX), ADDRESS_MAX + 2);
	assert_int_equal(parse_long(ADDRESS_LOCAL_MAX + 1, 20), ADDRESS_TOO_LONG);
	assert_int_equal(parse_long(20, ADDRESS_DOMAIN_MAX + 1), ADDRESS_TOO_LONG);
}

static void
labels_and_source_routes_have_limits(void **state)
{
	struct address a;
	char text[1200] = "<a@", *copy;
	size_t i, n = 3;

	(void)state;
	memset(text + n, 'x', 63);
	memcpy(text + n + 63, ">", 2);
	assert_int_equal(parse_path(text, strlen(text), 0, &a, &copy), 67);
	free(copy);
	memset(text + n, 'x', 64);
	memcpy(text + n + 64, ">", 2);
	assert_int_equal(parse_path(text, strlen(text), 0, &a, &copy), ADDRESS_TOO_LONG);
	free(copy);
	for (i = 0, n = 1; i < 60; i++, n += 10)
		memcpy(text + n, "@abcdefgh,", 11);
	memcpy(text + n - 1, ":a@example.com>", 16);
	assert_int_equal(parse_path(text, strlen(text), 0, &a, &copy), ADDRESS_TOO_LONG);
	free(copy);
}

static void
bare_mailboxes_are_the_whole_text(void **state)
{
	static const struct {
		const char *in;
		int result;
	} cases[] = { { "a@example.com", 0 }, { "\"a b\"@[192.0.2.1]", 0 }, { "a@example.com ", ADDRESS_BAD },
		{ "<a@example.com>", ADDRESS_BAD }, { "postmaster", ADDRESS_BAD }, { "", ADDRESS_BAD },
		{ "a@example.com>", ADDRESS_BAD }, { "postmaster>", ADDRESS_BAD } };
	struct address a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(address_parse(cases[i].in, strlen(cases[i].in), ADDRESS_POSTMASTER | ADDRESS_NULL, &a,
		    NULL), cases[i].result);
	assert_int_equal(address_parse("a@[IPv6:::1]", 12, 0, &a, NULL), 0);
	assert_true(a.literal && !a.quoted && a.local_len == 1);
}

static void
domains_and_literals_are_told_from_rubbish(void **state)
{
	(void)state;
	assert_true(address_valid_domain("mail.example.com", 16, 0));
	assert_true(address_valid_domain("WIN_PC01", 8, 0));
	assert_false(address_valid_domain("mail.example.com ", 17, 0));
	assert_false(address_valid_domain("", 0, 0));
	assert_false(address_valid_domain("a\r\nb", 4, 0));
	assert_true(address_valid_literal("[192.0.2.1]", 11));
	assert_true(address_valid_literal("[IPv6:::1]", 10));
	assert_false(address_valid_literal("[", 1));
	assert_false(address_valid_literal("[]", 2));
	assert_false(address_valid_literal("[1.2.3.4]]", 10));
	assert_false(address_valid_literal("192.0.2.1", 9));
}

static void
stored_addresses_compare_by_domain_in_either_case(void **state)
{
	(void)state;
	assert_true(address_is_null(""));
	assert_false(address_is_null("a@b"));
	assert_string_equal(address_domain("\"a@b\"@Example.com"), "Example.com");
	assert_string_equal(address_domain("Postmaster"), "");
	assert_true(address_eq("a@Example.COM", "a@example.com"));
	assert_false(address_eq("A@example.com", "a@example.com"));
	assert_false(address_eq("a@example.com", "a@example.org"));
	assert_false(address_eq("a", "a@example.com"));
	assert_true(address_eq("", ""));
	assert_true(address_domain_eq("EXAMPLE.com", 11, "example.COM", 11));
	assert_false(address_domain_eq("example.com", 11, "example.comx", 12));
}

static void
utf8_is_strict(void **state)
{
	static const struct {
		const char *in;
		size_t len;
		uint32_t cp;
	} cases[] = { { "a", 1, 'a' }, { "\xc3\xa9", 2, 0xe9 }, { "\xe2\x82\xac", 3, 0x20ac },
		{ "\xf0\x9f\x93\xa7", 4, 0x1f4e7 }, { "\x80", 0, 0 }, { "\xc1\x81", 0, 0 }, { "\xe0\x80\x80", 0, 0 },
		{ "\xed\xbf\xbf", 0, 0 }, { "\xf4\x90\x80\x80", 0, 0 }, { "\xf8\x88\x80\x80\x80", 0, 0 },
		{ "\xe2\x82", 0, 0 }, { "\xe2\x28\xa1", 0, 0 } };
	uint32_t cp;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(utf8_next(cases[i].in, strlen(cases[i].in), &cp), cases[i].len);
		if (cases[i].len > 0)
			assert_int_equal(cp, cases[i].cp);
	}
	assert_int_equal(utf8_next("", 0, &cp), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_read_as_rfc5321_writes_them),
		cmocka_unit_test(paths_that_are_none_are_refused),
		cmocka_unit_test(nul_is_no_part_of_an_address),
		cmocka_unit_test(lengths_are_limited_where_documented),
		cmocka_unit_test(labels_and_source_routes_have_limits),
		cmocka_unit_test(bare_mailboxes_are_the_whole_text),
		cmocka_unit_test(domains_and_literals_are_told_from_rubbish),
		cmocka_unit_test(stored_addresses_compare_by_domain_in_either_case),
		cmocka_unit_test(utf8_is_strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
