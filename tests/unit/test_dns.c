/* SPDX-License-Identifier: MIT */
/* DNS messages to answers: what is believed, and what is not. */
#include "dns/answer.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { RESPONSE = 0x8180, NXDOMAIN = 0x8183, SERVFAIL = 0x8182, TRUNCATED = 0x8380 };

/* A message under construction. */
struct packet {
	uint8_t p[4096];
	size_t n;
};

static void
put(struct packet *m, const void *p, size_t n)
{
	assert_true(n <= sizeof m->p - m->n);
	memcpy(m->p + m->n, p, n);
	m->n += n;
}

static void
put16(struct packet *m, unsigned v)
{
	put(m, (uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

static void
put32(struct packet *m, uint32_t v)
{
	put16(m, v >> 16);
	put16(m, v & 0xffff);
}

static void
put_name(struct packet *m, const char *name)
{
	while (*name != '\0') {
		size_t n = strcspn(name, ".");

		put(m, &(uint8_t){ (uint8_t)n }, 1);
		put(m, name, n);
		name += n + (name[n] == '.');
	}
	put(m, "", 1);
}

static void
begin(struct packet *m, unsigned flags, unsigned answers, unsigned authority, const char *name, unsigned type)
{
	m->n = 0;
	put16(m, 0x1234);
	put16(m, flags);
	put16(m, 1);
	put16(m, answers);
	put16(m, authority);
	put16(m, 0);
	put_name(m, name);
	put16(m, type);
	put16(m, 1);
}

static void
put_rr(struct packet *m, const char *name, unsigned type, uint32_t ttl, const void *data, size_t n)
{
	put_name(m, name);
	put16(m, type);
	put16(m, 1);
	put32(m, ttl);
	put16(m, (unsigned)n);
	put(m, data, n);
}

static struct answer *
parse(const struct packet *m, const char *name, enum dns_type type)
{
	return answer_parse(m->p, m->n, name, type);
}

static void
expect(const struct packet *m, const char *name, enum dns_type type, enum dns_status status)
{
	struct answer *a = parse(m, name, type);

	assert_int_equal(a->pub.status, status);
	assert_true((a->pub.reason != NULL) == (status == DNS_TEMPORARY));
	answer_drop(a);
}

static void
addresses_are_read_and_the_least_ttl_counts(void **state)
{
	struct packet m;
	struct answer *a;

	(void)state;
	begin(&m, RESPONSE, 3, 0, "Mail.Example.NET", DNS_A);
	put_rr(&m, "mail.example.net", DNS_A, 300, "\300\000\002\001", 4);
	put_rr(&m, "other.example.net", DNS_A, 1, "\300\000\002\011", 4);
	put_rr(&m, "MAIL.example.net", DNS_A, 60, "\300\000\002\002", 4);
	a = parse(&m, "mail.example.net.", DNS_A);
	assert_int_equal(a->pub.status, DNS_FOUND);
	assert_int_equal(a->pub.count, 2);
	assert_int_equal(a->pub.ttl, 60);
	assert_int_equal(a->pub.record[1].address.u.in.sin_addr.s_addr, htonl(0xc0000202));
	assert_string_equal(a->pub.canonical, "mail.example.net");
	answer_drop(a);
}

static void
cname_chains_are_followed_in_any_order(void **state)
{
	struct packet m;
	struct answer *a;

	(void)state;
	begin(&m, RESPONSE, 3, 0, "a.example", DNS_MX);
	put_rr(&m, "c.example", DNS_MX, 50, "\000\012\002mx\001d\000", 8);
	put_rr(&m, "b.example", DNS_CNAME, 7, "\001c\007example\000", 11);
	put_rr(&m, "a.example", DNS_CNAME, 70, "\001b\007EXAMPLE\000", 11);
	a = parse(&m, "a.example", DNS_MX);
	assert_int_equal(a->pub.status, DNS_FOUND);
	assert_int_equal(a->pub.count, 1);
	assert_int_equal(a->pub.ttl, 7);
	assert_int_equal(a->pub.record[0].preference, 10);
	assert_string_equal(a->pub.record[0].name, "mx.d");
	assert_string_equal(a->pub.canonical, "c.example");
	answer_drop(a);
}

static void
cname_circles_end(void **state)
{
	struct packet m;

	(void)state;
	begin(&m, RESPONSE, 2, 0, "a.example", DNS_A);
	put_rr(&m, "a.example", DNS_CNAME, 7, "\001b\007example\000", 11);
	put_rr(&m, "b.example", DNS_CNAME, 7, "\001a\007example\000", 11);
	expect(&m, "a.example", DNS_A, DNS_TEMPORARY);
}

static void
denials_are_kept_as_long_as_the_soa_says(void **state)
{
	static const char soa[] = "\000\000\000\000\000\001\000\000\000\002\000\000\000\003\000\000\000\004\000\000\000\031";
	struct packet m;
	struct answer *a;

	(void)state;
	begin(&m, NXDOMAIN, 0, 1, "a.example", DNS_MX);
	put_rr(&m, "example", 6, 900, soa, sizeof soa - 1);
	a = parse(&m, "a.example", DNS_MX);
	assert_int_equal(a->pub.status, DNS_NXDOMAIN);
	assert_int_equal(a->pub.ttl, 25);
	answer_drop(a);
	begin(&m, RESPONSE, 0, 0, "a.example", DNS_MX);
	a = parse(&m, "a.example", DNS_MX);
	assert_int_equal(a->pub.status, DNS_NODATA);
	assert_int_equal(a->pub.ttl, 0);
	answer_drop(a);
}

static void
text_strings_are_joined(void **state)
{
	struct packet m;
	struct answer *a;

	(void)state;
	begin(&m, RESPONSE, 1, 0, "a.example", DNS_TXT);
	put_rr(&m, "a.example", DNS_TXT, 5, "\007v=spf1 \000\004-all", 14);
	a = parse(&m, "a.example", DNS_TXT);
	assert_int_equal(a->pub.record[0].len, 11);
	assert_memory_equal(a->pub.record[0].data, "v=spf1 -all", 11);
	answer_drop(a);
}

static void
rubbish_is_temporary(void **state)
{
	struct packet m;

	(void)state;
	expect(&(struct packet){ .n = 5 }, "a.example", DNS_A, DNS_TEMPORARY);
	begin(&m, RESPONSE & 0x7fff, 0, 0, "a.example", DNS_A);
	expect(&m, "a.example", DNS_A, DNS_TEMPORARY);
	begin(&m, SERVFAIL, 0, 0, "a.example", DNS_A);
	expect(&m, "a.example", DNS_A, DNS_TEMPORARY);
	begin(&m, TRUNCATED, 0, 0, "a.example", DNS_A);
	expect(&m, "a.example", DNS_A, DNS_TEMPORARY);
	begin(&m, RESPONSE, 0, 0, "b.example", DNS_A);
	expect(&m, "a.example", DNS_A, DNS_TEMPORARY);
	begin(&m, RESPONSE, 0, 0, "a.example", DNS_AAAA);
	expect(&m, "a.example", DNS_A, DNS_TEMPORARY);
	begin(&m, RESPONSE, 1, 0, "a.example", DNS_A);
	expect(&m, "a.example", DNS_A, DNS_TEMPORARY);
	put_rr(&m, "a.example", DNS_A, 5, "\300\000\002", 3);
	expect(&m, "a.example", DNS_A, DNS_TEMPORARY);
	begin(&m, NXDOMAIN, 1, 0, "a.example", DNS_A);
	put_rr(&m, "a.example", DNS_A, 5, "\300\000\002\001", 4);
	expect(&m, "a.example", DNS_A, DNS_TEMPORARY);
	begin(&m, RESPONSE, 1, 0, "a.example", DNS_MX);
	put_rr(&m, "a.example", DNS_MX, 5, "\000\012\300\377", 4); /* a pointer forwards */
	expect(&m, "a.example", DNS_MX, DNS_TEMPORARY);
	begin(&m, RESPONSE, 1, 0, "a.example", DNS_TXT);
	put_rr(&m, "a.example", DNS_TXT, 5, "\005ab", 3);
	expect(&m, "a.example", DNS_TXT, DNS_TEMPORARY);
}

static void
names_are_escaped_and_bounded(void **state)
{
	char out[DNS_NAME_TEXT], label[300];

	(void)state;
	assert_int_equal(dns_name_text("Ex_ample.COM.", out), 0);
	assert_string_equal(out, "ex_ample.com");
	assert_int_equal(dns_name_text("a b\\c.\303\274", out), 0);
	assert_string_equal(out, "a\\032b\\092c.\\195\\188");
	assert_int_equal(dns_name_text("", out), -1);
	assert_int_equal(dns_name_text(".", out), -1);
	assert_int_equal(dns_name_text("a..b", out), -1);
	assert_int_equal(dns_name_text(".a", out), -1);
	memset(label, 'x', sizeof label);
	label[64] = '\0';
	assert_int_equal(dns_name_text(label, out), -1);
	label[63] = '\0';
	assert_int_equal(dns_name_text(label, out), 0);
	for (unsigned i = 0; i < 298; i++)
		label[i] = i % 2 ? '.' : '\001';
	label[255] = '\0';
	assert_int_equal(dns_name_text(label, out), -1);
	label[253] = '\0';
	assert_int_equal(dns_name_text(label, out), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_and_the_least_ttl_counts),
		cmocka_unit_test(cname_chains_are_followed_in_any_order),
		cmocka_unit_test(cname_circles_end),
		cmocka_unit_test(denials_are_kept_as_long_as_the_soa_says),
		cmocka_unit_test(text_strings_are_joined),
		cmocka_unit_test(rubbish_is_temporary),
		cmocka_unit_test(names_are_escaped_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
