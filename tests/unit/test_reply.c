/* SPDX-License-Identifier: MIT */
#include "mail/reply.h"
#include "util/buf.h"
#include "util/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void
replies_are_written_line_by_line(void **state)
{
	struct buf b = { 0 };

	(void)state;
	reply_add(&b, 250, "2.1.0", "Ok");
	reply_add(&b, 250, NULL, "gw.example.com\nPIPELINING\nSIZE 100");
	reply_addf(&b, 550, "5.1.1", "%s unknown", "x");
	reply_add(&b, 354, NULL, "");
	assert_string_equal(buf_str(&b),
	    "250 2.1.0 Ok\r\n"
	    "250-gw.example.com\r\n250-PIPELINING\r\n250 SIZE 100\r\n"
	    "550 5.1.1 x unknown\r\n"
	    "354 \r\n");
	buf_fini(&b);
}

static void
written_replies_hold_nothing_a_peer_can_inject(void **state)
{
	struct buf b = { 0 };
	char text[5000];

	(void)state;
	reply_add(&b, 550, "5.0.0", "a\rb\tc\033[2J\x7f\xc3\xb6");
	assert_string_equal(buf_str(&b), "550 5.0.0 a?b c?[2J???\r\n");
	b.len = 0;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	reply_add(&b, 550, "5.0.0", text);
	assert_int_equal(b.len, 512);
	assert_memory_equal(b.data + 510, "\r\n", 2);
	b.len = 0;
	reply_add(&b, 550, text, "x");
	assert_true(b.len <= 512);
	buf_fini(&b);
}

struct reply_case {
	const char *in;
	enum reply_state state;
	int code;
	const char *enhanced, *text;
	size_t rest; /* octets behind the reply */
};

static const struct reply_case reply_cases[] = {
	{ "250 Ok\r\n", REPLY_DONE, 250, "", "250 Ok", 0 },
	{ "250 2.0.0 Ok\r\n", REPLY_DONE, 250, "2.0.0", "250 2.0.0 Ok", 0 },
	{ "250\r\n", REPLY_DONE, 250, "", "250", 0 },
	{ "250\n", REPLY_DONE, 250, "", "250", 0 },
	{ "250 \r\n", REPLY_DONE, 250, "", "250", 0 },
	{ "250-\r\n250 \r\n", REPLY_DONE, 250, "", "250", 0 },
	{ "250-\r\n250 x\r\n", REPLY_DONE, 250, "", "250 x", 0 },
	{ "250-a\r\n250-\r\n250\r\n", REPLY_DONE, 250, "", "250 a", 0 },
	{ "250-a\r\n250-\r\n250 b\r\n", REPLY_DONE, 250, "", "250 a; b", 0 },
	{ "250 a\r\n354 b\r\n", REPLY_DONE, 250, "", "250 a", 7 },
	{ "550-5.1.1 No such user\r\n550-5.1.1  Really\r\n550 5.1.1 end\r\n", REPLY_DONE, 550, "5.1.1",
	    "550 5.1.1 No such user; Really; end", 0 },
	{ "550-5.1.1 No\r\n550 5.1.1\r\n", REPLY_DONE, 550, "5.1.1", "550 5.1.1 No", 0 },
	{ "550-5.1.1 No\r\n550 5.1.10\r\n", REPLY_DONE, 550, "5.1.1", "550 5.1.1 No; 5.1.10", 0 },
	/* a status of another class is none */
	{ "450 5.1.1 later\r\n", REPLY_DONE, 450, "", "450 5.1.1 later", 0 },
	{ "550 5.1.1x no\r\n", REPLY_DONE, 550, "", "550 5.1.1x no", 0 },
	{ "550 5.1111.1 no\r\n", REPLY_DONE, 550, "", "550 5.1111.1 no", 0 },
	/* codes that differ: inside a class the last one counts, else nothing is certain */
	{ "550-a\r\n554 b\r\n", REPLY_DONE, 554, "", "550 a; 554 b", 0 },
	{ "250-a\r\n451 b\r\n", REPLY_DONE, 451, "", "451 mixed codes: 250 a; 451 b", 0 },
	{ "550-5.1.1 a\r\n250 b\r\n", REPLY_DONE, 451, "", "451 mixed codes: 550 5.1.1 a; 250 b", 0 },
	{ "250-a\r\n550-b\r\n250 c\r\n", REPLY_DONE, 451, "", "451 mixed codes: 250 a; 550 b; c", 0 },
	/* control characters are gone */
	{ "250 a\tb\x01\x7f\xff\033[0m\r\n", REPLY_DONE, 250, "", "250 a b????[0m", 0 },
	{ "250 a\rb\r\r\n", REPLY_DONE, 250, "", "250 a?b?", 0 },
	/* not there yet */
	{ "", REPLY_MORE, 0, NULL, NULL, 0 },
	{ "25", REPLY_MORE, 0, NULL, NULL, 0 },
	{ "250-a\r\n", REPLY_MORE, 0, NULL, NULL, 0 },
	{ "250 a\r", REPLY_MORE, 0, NULL, NULL, 0 },
	/* rubbish */
	{ "\r\n", REPLY_BAD, 0, NULL, NULL, 0 },
	{ "SSH-2.0-x\r\n", REPLY_BAD, 0, NULL, NULL, 0 },
	{ "150 x\r\n", REPLY_BAD, 0, NULL, NULL, 0 },
	{ "600 x\r\n", REPLY_BAD, 0, NULL, NULL, 0 },
	{ "25x\r\n", REPLY_BAD, 0, NULL, NULL, 0 },
	{ "25\r\n", REPLY_BAD, 0, NULL, NULL, 0 },
	{ "250x\r\n", REPLY_BAD, 0, NULL, NULL, 0 },
	{ "2500\r\n", REPLY_BAD, 0, NULL, NULL, 0 },
	{ "250\rx\r\n", REPLY_BAD, 0, NULL, NULL, 0 },
	{ "250\r\r\n", REPLY_BAD, 0, NULL, NULL, 0 },
	{ "250-a\r\nrubbish\r\n", REPLY_BAD, 0, NULL, NULL, 0 },
};

/* First and second piece from copies of exactly their size. */
static void
feed_split(struct reply *r, const char *in, size_t n, size_t at, size_t *used)
{
	char *first = xmemdup(in, at ? at : 1), *second = xmemdup(in + at, n - at ? n - at : 1);
	size_t more = 0;

	reply_init(r);
	if (reply_feed(r, first, at, used) == REPLY_MORE) {
		assert_int_equal(*used, at);
		reply_feed(r, second, n - at, &more);
		*used += more;
	}
	free(first);
	free(second);
}

static void
replies_are_read_the_same_in_every_split(void **state)
{
	const struct reply_case *c;
	size_t i, at, n, used;
	struct reply r;

	(void)state;
	for (i = 0; i < sizeof reply_cases / sizeof *reply_cases; i++) {
		c = &reply_cases[i];
		n = strlen(c->in);
		for (at = 0; at <= n; at++) {
			feed_split(&r, c->in, n, at, &used);
			if (r.state != c->state)
				fail_msg("\"%s\" at %zu: state %d", c->in, at, r.state);
			if (c->state != REPLY_DONE)
				continue;
			assert_int_equal(r.code, c->code);
			assert_string_equal(r.enhanced, c->enhanced);
			assert_string_equal(r.text, c->text);
			assert_int_equal(r.len, strlen(r.text));
			assert_int_equal(n - used, c->rest);
			assert_int_equal(reply_class(&r), c->code / 100);
		}
	}
}

static void
nul_does_not_survive(void **state)
{
	struct reply r;
	size_t used;

	(void)state;
	reply_init(&r);
	assert_int_equal(reply_feed(&r, "250 a\0b\r\n", 9, &used), REPLY_DONE);
	assert_string_equal(r.text, "250 a?b");
	reply_init(&r);
	assert_int_equal(reply_feed(&r, "\0\0\0", 3, &used), REPLY_BAD);
	assert_true(strlen(r.text) > 3);
}

static void
long_lines_and_many_lines_are_cut(void **state)
{
	struct buf b = { 0 };
	struct reply r;
	size_t used, i;

	(void)state;
	buf_adds(&b, "550 5.7.1 ");
	for (i = 0; i < 30000; i++)
		buf_addc(&b, 'x');
	buf_adds(&b, "\r\n");
	reply_init(&r);
	assert_int_equal(reply_feed(&r, b.data, b.len, &used), REPLY_DONE);
	assert_int_equal(used, b.len);
	assert_int_equal(r.code, 550);
	assert_string_equal(r.enhanced, "5.7.1");
	assert_int_equal(r.len, REPLY_TEXT_MAX - 1);
	b.len = 0;
	for (i = 0; i < 3000; i++)
		buf_adds(&b, "250-line\r\n");
	buf_adds(&b, "451 end\r\n");
	reply_init(&r);
	assert_int_equal(reply_feed(&r, b.data, b.len, &used), REPLY_DONE);
	assert_int_equal(r.code, 451);
	assert_true(r.mixed);
	assert_int_equal(r.len, REPLY_TEXT_MAX - 1);
	buf_fini(&b);
}

static void
endless_replies_are_rubbish(void **state)
{
	struct reply r;
	size_t used, fed = 0;

	(void)state;
	reply_init(&r);
	while (reply_feed(&r, "250-0123456789\r\n", 16, &used) == REPLY_MORE)
		assert_true((fed += used) <= REPLY_READ_MAX);
	assert_int_equal(r.state, REPLY_BAD);
	assert_true(fed > REPLY_READ_MAX - 16);
	assert_int_equal(reply_feed(&r, "250 x\r\n", 7, &used), REPLY_BAD);
	assert_int_equal(used, 0);
}

static void
pipelined_replies_are_taken_one_by_one(void **state)
{
	static const char in[] = "250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n";
	static const int codes[] = { 250, 250, 354 };
	size_t at = 0, used, i;
	struct reply r;

	(void)state;
	for (i = 0; i < 3; i++, at += used) {
		reply_init(&r);
		assert_int_equal(reply_feed(&r, in + at, strlen(in) - at, &used), REPLY_DONE);
		assert_int_equal(r.code, codes[i]);
	}
	assert_int_equal(at, strlen(in));
}

static void
ehlo_keywords_are_found(void **state)
{
	static const char in[] = "250-mx.example.net SIZE AUTH\r\n250-PIPELINING\r\n250-size 52428800\r\n250-\r\n"
	    "250-AUTH=LOGIN PLAIN\r\n250-8BITMIME \r\n250 STARTTLS\r\n";
	static const char *const names[] = { "PIPELINING", "size", "AUTH", "8BITMIME", "STARTTLS" };
	struct ehlo_keyword k;
	struct reply r;
	unsigned at = 0, i;
	size_t used;

	(void)state;
	reply_init(&r);
	assert_int_equal(reply_feed(&r, in, strlen(in), &used), REPLY_DONE);
	for (i = 0; i < 5; i++) {
		assert_true(reply_ehlo_next(&r, &at, &k));
		assert_int_equal(k.name_len, strlen(names[i]));
		assert_memory_equal(k.name, names[i], k.name_len);
	}
	assert_false(reply_ehlo_next(&r, &at, &k));
	assert_true(reply_ehlo_find(&r, "SIZE", &k));
	assert_int_equal(k.args_len, 8);
	assert_memory_equal(k.args, "52428800", 8);
	assert_true(reply_ehlo_find(&r, "auth", &k));
	assert_memory_equal(k.args, "LOGIN PLAIN", 11);
	assert_true(reply_ehlo_find(&r, "STARTTLS", NULL));
	assert_false(reply_ehlo_find(&r, "START", NULL));
	assert_false(reply_ehlo_find(&r, "DSN", NULL));
}

static void
ehlo_of_one_line_or_of_many_has_no_keywords_beyond_it(void **state)
{
	struct buf b = { 0 };
	struct reply r;
	unsigned at = 0;
	struct ehlo_keyword k;
	size_t used, i;

	(void)state;
	reply_init(&r);
	assert_int_equal(reply_feed(&r, "250 mx SIZE\r\n", 13, &used), REPLY_DONE);
	assert_false(reply_ehlo_next(&r, &at, &k));
	for (i = 0; i < 500; i++)
		buf_adds(&b, "250-X\r\n");
	buf_adds(&b, "250 X\r\n");
	reply_init(&r);
	assert_int_equal(reply_feed(&r, b.data, b.len, &used), REPLY_DONE);
	for (i = 0, at = 0; reply_ehlo_next(&r, &at, &k); i++)
		assert_true(k.name + k.name_len <= r.text + r.len);
	assert_int_equal(i, REPLY_LINES_MAX - 1);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies_are_written_line_by_line),
		cmocka_unit_test(written_replies_hold_nothing_a_peer_can_inject),
		cmocka_unit_test(replies_are_read_the_same_in_every_split),
		cmocka_unit_test(nul_does_not_survive),
		cmocka_unit_test(long_lines_and_many_lines_are_cut),
		cmocka_unit_test(endless_replies_are_rubbish),
		cmocka_unit_test(pipelined_replies_are_taken_one_by_one),
		cmocka_unit_test(ehlo_keywords_are_found),
		cmocka_unit_test(ehlo_of_one_line_or_of_many_has_no_keywords_beyond_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
