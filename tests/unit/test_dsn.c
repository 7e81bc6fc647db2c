/* SPDX-License-Identifier: MIT */
#include "mail/dsn.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "util/buf.h"
#include "util/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char original[] =
    "Received: from client.example.com ([192.0.2.1])\r\n\tby gw.example.net with ESMTP\r\n\tid x;\r\n"
    "Message-ID: <first@example.com>\r\n"
    "Subject: hello\r\n"
    "\r\n"
    "the body\r\n.dot\r\n";

static struct dsn
dsn_of(const struct dsn_recipient *rcpt, unsigned count)
{
	return (struct dsn){
		.action = DSN_FAILED,
		.hostname = "gw.example.net",
		.id = "2222222222299",
		.original_id = "2222222222234",
		.to = "sender@example.com",
		.now = 864000,
		.arrival = 860000,
		.rcpt = rcpt,
		.count = count,
		.content = original,
		.content_len = sizeof original - 1,
		.content_size = sizeof original - 1,
	};
}

/* What Python's email package makes of the report; NULL where there is no Python. */
static char *
python_summary(const struct buf *report)
{
	const char *srcdir = getenv("srcdir"), *base = getenv("TMPDIR");
	struct buf command = { 0 }, out = { 0 };
	char path[4096];
	ssize_t n;
	FILE *p;
	int fd;

	if (system("python3 -c 'import email' >/dev/null 2>&1") != 0)
		return NULL;
	snprintf(path, sizeof path, "%s/test_dsn.XXXXXX", base != NULL ? base : "/tmp");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	n = write(fd, report->data, report->len);
	close(fd);
	assert_int_equal(n, report->len);
	buf_printf(&command, "python3 '%s/tests/unit/dsn_summary.py' < '%s' 2>&1", srcdir ? srcdir : ".", path);
	p = popen(buf_str(&command), "r");
	assert_non_null(p);
	while ((n = (ssize_t)fread(buf_reserve(&out, 4096), 1, 4096, p)) > 0)
		out.len += (size_t)n;
	pclose(p);
	unlink(path);
	buf_fini(&command);
	return buf_take(&out);
}

static void
assert_summary(const struct dsn *d, const char *want)
{
	struct buf b = { 0 };
	char *got;

	dsn_build(&b, d);
	assert_true(mime_is_plain(b.data, b.len));
	got = python_summary(&b);
	buf_fini(&b);
	if (got == NULL)
		skip();
	if (strcmp(got, want) != 0)
		print_error("%s", got);
	assert_string_equal(got, want);
	free(got);
}

static void
a_bounce_reads_back_whole(void **state)
{
	static const struct dsn_recipient rcpt[] = {
		{ .address = "user@example.org", .orcpt = "rfc822;Bob+2BTag@example.org", .peer = "192.0.2.7:25",
		    .reply = "550 5.1.1 <user@example.org>: Recipient address rejected: User unknown in the local "
			     "table; please see https://example.org/why for the reasons of this",
		    .last_attempt = 863000 },
		{ .address = "\"o d d\"@example.org", .reply = "no answer for 5 days", .status = "4.4.7" },
	};
	struct dsn d = dsn_of(rcpt, 2);

	(void)state;
	d.envid = "QQ+2B1";
	assert_summary(&d,
	    "defects []\n"
	    "multipart/report delivery-status\n"
	    "From: Mail Delivery System <MAILER-DAEMON@gw.example.net>\n"
	    "To: sender@example.com\n"
	    "Subject: Your message could not be delivered\n"
	    "Message-ID: <2222222222299@gw.example.net>\n"
	    "In-Reply-To: <first@example.com>\n"
	    "Auto-Submitted: auto-replied\n"
	    "MIME-Version: 1.0\n"
	    "date 1970-01-11T00:00:00+00:00\n"
	    "text/plain us-ascii\n"
	    "message/delivery-status\n"
	    "block\n"
	    "  Reporting-MTA: dns; gw.example.net\n"
	    "  Original-Envelope-Id: QQ+1\n"
	    "  Arrival-Date: Sat, 10 Jan 1970 22:53:20 +0000\n"
	    "block\n"
	    "  Original-Recipient: rfc822; Bob+Tag@example.org\n"
	    "  Final-Recipient: rfc822; user@example.org\n"
	    "  Action: failed\n"
	    "  Status: 5.1.1\n"
	    "  Remote-MTA: dns; [192.0.2.7]\n"
	    "  Diagnostic-Code: smtp; 550 5.1.1 <user@example.org>: Recipient address rejected: User unknown "
	    "in the local table; please see https://example.org/why for the reasons of this\n"
	    "  Last-Attempt-Date: Sat, 10 Jan 1970 23:43:20 +0000\n"
	    "block\n"
	    "  Final-Recipient: rfc822; \"o d d\"@example.org\n"
	    "  Action: failed\n"
	    "  Status: 4.4.7\n"
	    "  Diagnostic-Code: x-tmail; no answer for 5 days\n"
	    "text/rfc822-headers\n"
	    "  Received: from client.example.com ([192.0.2.1])\\r\\n\\tby gw.example.net with ESMTP\\r\\n\\tid x;\n"
	    "  Message-ID: <first@example.com>\n"
	    "  Subject: hello\n");
}

static void
a_warning_says_how_long_it_is_tried(void **state)
{
	static const struct dsn_recipient rcpt[] = {
		{ .address = "user@example.org", .peer = "[2001:db8::1]:25", .reply = "554 5.3.2 not now" } };
	struct dsn d = dsn_of(rcpt, 1);

	(void)state;
	d.action = DSN_DELAYED;
	d.retry_until = 1296000;
	d.full = true;
	assert_summary(&d,
	    "defects []\n"
	    "multipart/report delivery-status\n"
	    "From: Mail Delivery System <MAILER-DAEMON@gw.example.net>\n"
	    "To: sender@example.com\n"
	    "Subject: Your message is delayed\n"
	    "Message-ID: <2222222222299@gw.example.net>\n"
	    "In-Reply-To: <first@example.com>\n"
	    "Auto-Submitted: auto-replied\n"
	    "MIME-Version: 1.0\n"
	    "date 1970-01-11T00:00:00+00:00\n"
	    "text/plain us-ascii\n"
	    "message/delivery-status\n"
	    "block\n"
	    "  Reporting-MTA: dns; gw.example.net\n"
	    "  Arrival-Date: Sat, 10 Jan 1970 22:53:20 +0000\n"
	    "block\n"
	    "  Final-Recipient: rfc822; user@example.org\n"
	    "  Action: delayed\n"
	    "  Status: 4.3.2\n"
	    "  Remote-MTA: dns; [IPv6:2001:db8::1]\n"
	    "  Diagnostic-Code: smtp; 554 5.3.2 not now\n"
	    "  Will-Retry-Until: Fri, 16 Jan 1970 00:00:00 +0000\n"
	    "text/rfc822-headers\n"
	    "  Received: from client.example.com ([192.0.2.1])\\r\\n\\tby gw.example.net with ESMTP\\r\\n\\tid x;\n"
	    "  Message-ID: <first@example.com>\n"
	    "  Subject: hello\n");
}

static bool
contains(const struct buf *b, const char *s)
{
	return memmem(b->data, b->len, s, strlen(s)) != NULL;
}

static void
ret_full_returns_a_small_clean_message_and_only_that(void **state)
{
	static const struct dsn_recipient rcpt[] = { { .address = "user@example.org", .reply = "550 no" } };
	struct dsn d = dsn_of(rcpt, 1);
	struct buf b = { 0 }, big = { 0 };

	(void)state;
	d.full = true;
	dsn_build(&b, &d);
	assert_true(contains(&b, "Content-Type: message/rfc822\r\n\r\nReceived: "));
	assert_true(contains(&b, "\r\nthe body\r\n.dot\r\n\r\n--=_"));
	/* only its beginning is at hand */
	b.len = 0;
	d.content_size++;
	dsn_build(&b, &d);
	assert_false(contains(&b, "the body"));
	/* 8-bit */
	b.len = 0;
	d.content = "Subject: x\r\n\r\nb\xc3\xb6" "dy\r\n";
	d.content_size = d.content_len = strlen(d.content);
	dsn_build(&b, &d);
	assert_false(contains(&b, "dy\r\n"));
	assert_true(contains(&b, "text/rfc822-headers\r\n\r\nSubject: x\r\n"));
	assert_true(mime_is_plain(b.data, b.len));
	/* too large */
	buf_adds(&big, "Subject: x\r\n\r\n");
	while (big.len <= DSN_FULL_MAX)
		buf_adds(&big, "the body\r\n");
	b.len = 0;
	d.content = big.data;
	d.content_size = d.content_len = big.len;
	dsn_build(&b, &d);
	assert_false(contains(&b, "the body"));
	buf_fini(&big);
	buf_fini(&b);
}

static void
headers_beyond_ascii_are_encoded(void **state)
{
	static const struct dsn_recipient rcpt[] = { { .address = "user@example.org", .reply = "550 no" } };
	struct dsn d = dsn_of(rcpt, 1);
	struct buf b = { 0 };

	(void)state;
	d.content = "Subject: h\xc3\xb6 = \r\nX: y\r\n\r\nbody\r\n";
	d.content_size = d.content_len = strlen(d.content);
	dsn_build(&b, &d);
	assert_true(mime_is_plain(b.data, b.len));
	assert_true(contains(&b,
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\nSubject: h=C3=B6 =3D=20\r\nX: y\r\n"));
	assert_false(contains(&b, "body\r\n"));
	buf_fini(&b);
}

static void
returned_headers_are_cut_at_a_field(void **state)
{
	static const struct dsn_recipient rcpt[] = { { .address = "user@example.org", .reply = "550 no" } };
	struct dsn d = dsn_of(rcpt, 1);
	struct buf b = { 0 }, big = { 0 };

	(void)state;
	d.content = "Subject: whole\r\nX: cut off he";
	d.content_len = strlen(d.content);
	d.content_size = 5000;
	dsn_build(&b, &d);
	assert_true(contains(&b, "Subject: whole\r\n\r\n--=_"));
	assert_false(contains(&b, "cut off"));
	while (big.len < 2 * DSN_HEADERS_MAX)
		buf_adds(&big, "X-Field: value\r\n");
	b.len = 0;
	d.content = big.data;
	d.content_size = d.content_len = big.len;
	dsn_build(&b, &d);
	assert_in_range(b.len, DSN_HEADERS_MAX, DSN_HEADERS_MAX + 4000);
	assert_true(contains(&b, "X-Field: value\r\n\r\n--=_"));
	b.len = 0;
	d.content = NULL;
	d.content_size = d.content_len = 0;
	dsn_build(&b, &d);
	assert_true(mime_is_plain(b.data, b.len));
	buf_fini(&big);
	buf_fini(&b);
}

static void
nothing_from_a_peer_becomes_a_field_or_a_part(void **state)
{
	static const struct dsn_recipient rcpt[] = {
		{ .address = "a\r\nBcc: x@example.com\r\n\r\n@example.org", .orcpt = "rfc822;a+0D+0AEvil:+20yes",
		    .peer = "mx\r\nEvil: yes", .reply = "550 5.1.1 x\r\nEvil: yes\r\n\r\n--=_2222222222299_0\r\n\r\nz",
		    .status = "5.1.1" } };
	struct dsn d = dsn_of(rcpt, 1);
	struct buf b = { 0 };

	(void)state;
	d.to = "s\r\nEvil: yes@example.com";
	d.envid = "x+0D+0AEvil:+20yes";
	d.content = "Message-ID: <a b\r\n Evil: yes>\r\nSubject: x\r\n\r\n--=_2222222222299_0\r\n";
	d.content_size = d.content_len = strlen(d.content);
	d.full = true;
	dsn_build(&b, &d);
	assert_true(mime_is_plain(b.data, b.len));
	assert_false(contains(&b, "\nEvil"));
	assert_false(contains(&b, "\nBcc"));
	assert_false(contains(&b, "In-Reply-To"));
	/* the boundary is another one than what the content holds */
	assert_true(contains(&b, "boundary=\"=_2222222222299_1\""));
	buf_fini(&b);
}

static void
long_words_stay_within_the_line_limit(void **state)
{
	char *word = xmalloc(5001), *address = xmalloc(5001);
	struct dsn_recipient rcpt = { .reply = word, .address = address, .peer = word };
	struct dsn d = dsn_of(&rcpt, 1);
	struct buf b = { 0 };

	(void)state;
	memset(word, 'w', 5000);
	memset(address, '\xc3', 5000);
	word[5000] = address[5000] = '\0';
	d.to = word;
	dsn_build(&b, &d);
	assert_true(mime_is_plain(b.data, b.len));
	buf_fini(&b);
	free(word);
	free(address);
}

static void
addresses_beyond_ascii_are_written_as_rfc6533_wants(void **state)
{
	static const struct dsn_recipient rcpt[] = { { .address = "j\xc3\xb6@example.org" } };
	struct dsn d = dsn_of(rcpt, 1);
	struct buf b = { 0 };

	(void)state;
	/* The sender's server may know nothing of SMTPUTF8: the report stays 7-bit. */
	d.content = "Subject: sch\xc3\xb6n\r\n\r\nb\xc3\xb6" "dy\r\n";
	d.content_size = d.content_len = strlen(d.content);
	d.full = true;
	dsn_build(&b, &d);
	assert_true(mime_is_plain(b.data, b.len));
	assert_true(contains(&b, "Content-Type: message/global-delivery-status\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\nReporting-MTA: "));
	assert_true(contains(&b, "Final-Recipient: utf-8; j=C3=B6@example.org\r\n"));
	assert_true(contains(&b, "Content-Type: message/global\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "Subject: sch=C3=B6n\r\n\r\nb=C3=B6dy\r\n"));
	b.len = 0;
	d.full = false;
	dsn_build(&b, &d);
	assert_true(contains(&b, "Content-Type: message/global-headers\r\n"));
	assert_false(contains(&b, "dy\r\n"));
	/* A sender beyond ASCII is reached with SMTPUTF8 only. */
	b.len = 0;
	d.to = "s\xc3\xb6@example.com";
	dsn_build(&b, &d);
	assert_false(mime_is_plain(b.data, b.len));
	assert_true(mime_is_8bit(b.data, b.len));
	assert_true(contains(&b, "To: <s\xc3\xb6@example.com>\r\n"));
	assert_true(contains(&b, "Content-Transfer-Encoding: 8bit\r\n\r\nReporting-MTA: "));
	assert_true(contains(&b, "Final-Recipient: utf-8; j\xc3\xb6@example.org\r\n"));
	/* What is not UTF-8 does not get in, nor do controls. */
	b.len = 0;
	d.to = "s\xc3\xb6\xc2\x85\xff@example.com";
	dsn_build(&b, &d);
	assert_true(contains(&b, "To: <s\xc3\xb6??" "@example.com>\r\n"));
	buf_fini(&b);
}

static void
each_recipient_has_its_action(void **state)
{
	static const struct dsn_recipient rcpt[] = {
		{ .action = DSN_RELAYED, .address = "a@example.org", .reply = "250 2.0.0 ok", .peer = "192.0.2.7:25" },
		{ .action = DSN_DELIVERED, .address = "b@example.org", .reply = "250 ok" },
		{ .action = DSN_FAILED, .address = "c@example.org", .reply = "550 5.1.1 no" },
	};
	struct dsn d = dsn_of(rcpt, 2);
	struct buf b = { 0 };

	(void)state;
	d.full = true;
	dsn_build(&b, &d);
	assert_true(contains(&b, "Subject: Your message was handed on\r\n"));
	assert_true(contains(&b, "a@example.org\r\nAction: relayed\r\nStatus: 2.0.0\r\n"));
	assert_true(contains(&b, "b@example.org\r\nAction: delivered\r\nStatus: 2.0.0\r\n"));
	/* RFC 3461 4.3: RET=FULL is about failures */
	assert_false(contains(&b, "the body"));
	b.len = 0;
	d.count = 3;
	dsn_build(&b, &d);
	assert_true(contains(&b, "Subject: Your message could not be delivered\r\n"));
	assert_true(contains(&b, "c@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n"));
	assert_true(contains(&b, "the body"));
	buf_fini(&b);
}

static void
the_text_tells_a_person_what_to_do(void **state)
{
	static const struct dsn_recipient rcpt[] = {
		{ .address = "a@example.org", .peer = "mx.example.org", .reply = "550 5.1.1 No such user" },
		{ .address = "b@example.org", .peer = "mx.example.org", .reply = "552 5.2.2 Over quota" } };
	struct dsn d = dsn_of(rcpt, 2);
	struct buf b = { 0 };

	(void)state;
	dsn_build(&b, &d);
	assert_true(contains(&b,
	    "Your message could not be delivered to:\r\n\r\n"
	    "  <a@example.org>\r\n"
	    "    mx.example.org said:\r\n"
	    "    550 5.1.1 No such user\r\n"
	    "    Please check the spelling of the address.\r\n"
	    "\r\n"
	    "  <b@example.org>\r\n"
	    "    mx.example.org said:\r\n"
	    "    552 5.2.2 Over quota\r\n"
	    "    The mailbox is full; please try again later.\r\n"
	    "\r\n"
	    "Delivery will not be tried again.\r\n"));
	assert_true(contains(&b, "please give this number: 2222222222234\r\n"));
	buf_fini(&b);
}

static void
statuses_come_from_the_reply_where_it_agrees(void **state)
{
	static const struct {
		const char *reply;
		enum dsn_action action;
		const char *status;
	} cases[] = {
		{ "550 5.1.1 no", DSN_FAILED, "5.1.1" },
		{ "550 5.7.515", DSN_FAILED, "5.7.515" },
		{ "550 no", DSN_FAILED, "5.0.0" },
		{ "550 4.1.1 no", DSN_FAILED, "5.0.0" },
		{ "451 4.7.1 later", DSN_FAILED, "4.7.1" },
		{ "451 mixed codes: 250 a; 451 b", DSN_FAILED, "4.0.0" },
		{ "554 5.3.2 x", DSN_DELAYED, "4.3.2" },
		{ "421", DSN_DELAYED, "4.0.0" },
		{ "250 2.0.0 x", DSN_FAILED, "5.0.0" },
		{ "connection refused", DSN_FAILED, "5.0.0" },
		{ "connection refused", DSN_DELAYED, "4.0.0" },
		{ "55", DSN_FAILED, "5.0.0" },
		{ "5500 x", DSN_FAILED, "5.0.0" },
		{ "", DSN_DELAYED, "4.0.0" },
		{ NULL, DSN_FAILED, "5.0.0" },
		{ "250 2.1.5 ok", DSN_RELAYED, "2.1.5" },
		{ "250 5.1.1 ok", DSN_RELAYED, "2.0.0" },
		{ "550 5.1.1 no", DSN_DELIVERED, "2.0.0" },
	};
	char status[DSN_STATUS_TEXT];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		dsn_status(cases[i].reply, cases[i].action, status);
		assert_string_equal(status, cases[i].status);
	}
}

static void
next_hops_are_named_as_rfc3464_wants(void **state)
{
	static const struct {
		const char *peer, *field;
	} cases[] = {
		{ "192.0.2.7:25", "Remote-MTA: dns; [192.0.2.7]\r\n" },
		{ "192.0.2.7", "Remote-MTA: dns; [192.0.2.7]\r\n" },
		{ "[192.0.2.7]:25", "Remote-MTA: dns; [192.0.2.7]\r\n" },
		{ "[2001:db8::1]:25", "Remote-MTA: dns; [IPv6:2001:db8::1]\r\n" },
		{ "[IPv6:2001:db8::1]", "Remote-MTA: dns; [IPv6:2001:db8::1]\r\n" },
		{ "2001:db8::1", "Remote-MTA: dns; [IPv6:2001:db8::1]\r\n" },
		{ "mx.example.org:2525", "Remote-MTA: dns; mx.example.org\r\n" },
		{ "mx.example.org[192.0.2.7]:25", "Remote-MTA: dns; mx.example.org\r\n" },
		{ "mx.example.org[2001:db8::1]:25", "Remote-MTA: dns; mx.example.org\r\n" },
		{ "mx.example.org", "Remote-MTA: dns; mx.example.org\r\n" },
		{ "unix:/run/lmtp", "Remote-MTA: x-local; unix:/run/lmtp\r\n" },
		{ "lmtp:unix:/run/lmtp", "Remote-MTA: x-local; unix:/run/lmtp\r\n" },
		{ "lmtp:192.0.2.1:24", "Remote-MTA: dns; [192.0.2.1]\r\n" },
	};
	struct dsn_recipient rcpt = { .address = "a@example.org", .reply = "550 no" };
	struct dsn d = dsn_of(&rcpt, 1);
	struct buf b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		b.len = 0;
		rcpt.peer = cases[i].peer;
		dsn_build(&b, &d);
		if (!contains(&b, cases[i].field))
			fail_msg("%s", cases[i].peer);
	}
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bounce_reads_back_whole),
		cmocka_unit_test(a_warning_says_how_long_it_is_tried),
		cmocka_unit_test(ret_full_returns_a_small_clean_message_and_only_that),
		cmocka_unit_test(headers_beyond_ascii_are_encoded),
		cmocka_unit_test(returned_headers_are_cut_at_a_field),
		cmocka_unit_test(nothing_from_a_peer_becomes_a_field_or_a_part),
		cmocka_unit_test(long_words_stay_within_the_line_limit),
		cmocka_unit_test(addresses_beyond_ascii_are_written_as_rfc6533_wants),
		cmocka_unit_test(each_recipient_has_its_action),
		cmocka_unit_test(the_text_tells_a_person_what_to_do),
		cmocka_unit_test(statuses_come_from_the_reply_where_it_agrees),
		cmocka_unit_test(next_hops_are_named_as_rfc3464_wants),
	};

	setenv("TZ", "UTC0", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
