/* SPDX-License-Identifier: MIT */
#include "mail/command.h"
#include "mail/params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void
commands_split_into_verb_and_arguments(void **state)
{
	static const struct {
		const char *line, *verb, *args; /* verb NULL: an error */
	} cases[] = {
		{ "QUIT", "QUIT", "" },
		{ "noop", "noop", "" },
		{ "EHLO mail.example.com", "EHLO", "mail.example.com" },
		{ "EHLO   mail.example.com", "EHLO", "mail.example.com" },
		{ "RSET \t ", "RSET", "" },
		{ "MAIL FROM:<a@example.com> SIZE=1  ", "MAIL", "FROM:<a@example.com> SIZE=1" },
		{ "HELP a  b", "HELP", "a  b" },
		{ "", NULL, NULL },
		{ "   ", NULL, NULL },
		{ " QUIT", NULL, NULL },
		{ "\tQUIT", NULL, NULL },
		{ "NOOP\tx", NULL, NULL },
		{ "NOOP a\tb", NULL, NULL },
		{ "NO-OP", NULL, NULL },
		{ "MAIL:", NULL, NULL },
		{ "NOOP a\rb", NULL, NULL },
		{ "NOOP a\nQUIT", NULL, NULL },
		{ "NOOP \x7f", NULL, NULL },
		{ "N\xc3\xb6OP", NULL, NULL },
		{ "\xff\xfb", NULL, NULL },
	};
	struct command c;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		why = NULL;
		if (command_split(cases[i].line, strlen(cases[i].line), &c, &why) < 0) {
			assert_null(cases[i].verb);
			assert_non_null(why);
			continue;
		}
		if (cases[i].verb == NULL)
			fail_msg("%s is taken", cases[i].line);
		assert_int_equal(c.verb_len, strlen(cases[i].verb));
		assert_memory_equal(c.verb, cases[i].verb, c.verb_len);
		assert_int_equal(c.args_len, strlen(cases[i].args));
		assert_memory_equal(c.args, cases[i].args, c.args_len);
		assert_true(command_is(&c, cases[i].verb));
	}
	assert_int_equal(command_split("NOOP a\0b", 8, &c, &why), -1);
	assert_int_equal(command_split("NOOP\0", 5, &c, &why), -1);
}

static void
eight_bit_arguments_are_noticed(void **state)
{
	struct command c;

	(void)state;
	assert_int_equal(command_split("MAIL FROM:<\xc3\xb6@x>", 15, &c, NULL), 0);
	assert_true(c.eight_bit);
	assert_int_equal(command_split("MAIL FROM:<o@x>", 15, &c, NULL), 0);
	assert_false(c.eight_bit);
}

static void
verbs_and_keywords_match_in_either_case_and_whole(void **state)
{
	struct command c;
	const char *rest;
	size_t n;

	(void)state;
	assert_int_equal(command_split("mAiL fRoM:  <>", 14, &c, NULL), 0);
	assert_true(command_is(&c, "MAIL"));
	assert_false(command_is(&c, "MAI"));
	assert_false(command_is(&c, "MAILS"));
	rest = command_after(&c, "FROM:", &n);
	assert_non_null(rest);
	assert_int_equal(n, 2);
	assert_memory_equal(rest, "<>", 2);
	assert_null(command_after(&c, "TO:", &n));
	assert_int_equal(command_split("MAIL FROM :<>", 13, &c, NULL), 0);
	assert_null(command_after(&c, "FROM:", &n));
	assert_int_equal(command_split("MAIL FROM:", 10, &c, NULL), 0);
	assert_non_null(command_after(&c, "FROM:", &n));
	assert_int_equal(n, 0);
}

enum { ALL = OFFER_SIZE | OFFER_8BITMIME | OFFER_DSN | OFFER_AUTH | OFFER_SMTPUTF8 };

struct param_case {
	const char *in;
	unsigned offered;
	int code; /* 0: good */
};

static void
mail_parameters_get_the_reply_they_deserve(void **state)
{
	static const struct param_case cases[] = {
		{ "", 0, 0 },
		{ " ", 0, 0 },
		{ " SIZE=1000 BODY=8BITMIME", OFFER_SIZE | OFFER_8BITMIME, 0 },
		{ "  size=0   body=7bit", OFFER_SIZE | OFFER_8BITMIME, 0 },
		{ " SIZE=99999999999999999999", ALL, 0 },
		{ "SIZE=1", ALL, 501 },
		{ "x SIZE=1", ALL, 501 },
		{ " =\"", ALL, 501 }, /* as in: MAIL FROM:<> =" */
		{ " SIZE", ALL, 501 },
		{ " SIZE=", ALL, 501 },
		{ " SIZE=abc", ALL, 501 },
		{ " SIZE=-1", ALL, 501 },
		{ " SIZE=1a", ALL, 501 },
		{ " SIZE=100000000000000000000", ALL, 501 },
		{ " SIZE=1 SIZE=1", ALL, 501 },
		{ " SIZE=1=2", ALL, 501 },
		{ " SIZE=1\tBODY=7BIT", ALL, 501 },
		{ " BODY", ALL, 501 },
		{ " BODY=9BIT", ALL, 501 },
		{ " BODY=8BITMIME body=7BIT", ALL, 501 },
		{ " BODY=8BITMIME", OFFER_SIZE, 555 },
		{ " SIZE=1", 0, 555 },
		{ " RET=FULL", OFFER_SIZE, 555 },
		{ " AUTH=<>", OFFER_SIZE, 555 },
		{ " SMTPUTF8", OFFER_SIZE, 555 },
		{ " X-THING", ALL, 555 },
		{ " X-THING=1", ALL, 555 },
		{ " SOLICIT", ALL, 555 },
		{ " -X=1", ALL, 501 },
		{ " \xc3\xb6=1", ALL, 501 },
		{ " X=\xc3\xb6", ALL & ~OFFER_SMTPUTF8, 501 },
		{ " X=\xc3\xb6", ALL, 555 },
		{ " ENVID=\xc3\xb6", ALL, 501 },
		{ " BODY=BINARYMIME", ALL, 501 },
		{ " BODY=binarymime", ALL | OFFER_BINARYMIME, 0 },
		{ " RET=FULL ENVID=abc+2B1", ALL, 0 },
		{ " RET=HDRS", ALL, 0 },
		{ " RET=NONE", ALL, 501 },
		{ " RET", ALL, 501 },
		{ " ENVID=", ALL, 501 },
		{ " ENVID=a+zz", ALL, 501 },
		{ " ENVID=a+2b", ALL, 501 },
		{ " ENVID=a+0D+0AX", ALL, 501 },
		{ " ENVID=a+", ALL, 501 },
		{ " AUTH=<>", ALL, 0 },
		{ " AUTH=a+40example.com", ALL, 0 },
		{ " AUTH=a+0Ab", ALL, 501 },
		{ " AUTH=", ALL, 501 },
		{ " SMTPUTF8", ALL, 0 },
		{ " SMTPUTF8=1", ALL, 501 },
		{ " NOTIFY=NEVER", ALL, 555 },
	};
	struct params_error e;
	struct mail_params m;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		memset(&e, 0, sizeof e);
		rc = params_parse_mail(cases[i].in, strlen(cases[i].in), cases[i].offered, &m, &e);
		if ((rc == 0 ? 0 : e.code) != cases[i].code)
			fail_msg("\"%s\": %d, not %d", cases[i].in, rc == 0 ? 0 : e.code, cases[i].code);
		if (rc != 0)
			assert_string_equal(e.enhanced, "5.5.4");
	}
}

static void
rcpt_parameters_get_the_reply_they_deserve(void **state)
{
	static const struct param_case cases[] = {
		{ "", 0, 0 },
		{ " NOTIFY=NEVER", OFFER_DSN, 0 },
		{ " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a@example.com", OFFER_DSN, 0 },
		{ " NOTIFY=success", OFFER_DSN, 0 },
		{ " NOTIFY=NEVER,SUCCESS", OFFER_DSN, 501 },
		{ " NOTIFY=SUCCESS,", OFFER_DSN, 501 },
		{ " NOTIFY=,SUCCESS", OFFER_DSN, 501 },
		{ " NOTIFY=SOMETIMES", OFFER_DSN, 501 },
		{ " NOTIFY", OFFER_DSN, 501 },
		{ " NOTIFY=", OFFER_DSN, 501 },
		{ " NOTIFY=NEVER NOTIFY=NEVER", OFFER_DSN, 501 },
		{ " ORCPT=", OFFER_DSN, 501 },
		{ " ORCPT=a@example.com", OFFER_DSN, 501 },
		{ " ORCPT=;a@example.com", OFFER_DSN, 501 },
		{ " ORCPT=rfc822;", OFFER_DSN, 501 },
		{ " ORCPT=rfc822;a+0Ab", OFFER_DSN, 501 },
		{ " ORCPT=rfc822;a+4", OFFER_DSN, 501 },
		{ " ORCPT=rf(c;a", OFFER_DSN, 501 },
		{ " NOTIFY=NEVER", OFFER_SIZE, 555 },
		{ " SIZE=1", ALL, 555 },
		{ " ORCPT=utf-8;b\\x{E4}@example.com", OFFER_DSN, 0 },
		{ " ORCPT=utf-8;b\xc3\xa4@example.com", OFFER_DSN, 501 },
		{ " ORCPT=utf-8;b\xc3\xa4@example.com", OFFER_DSN | OFFER_SMTPUTF8, 0 },
		{ " ORCPT=UTF-8;b\xc3\xa4\xc2\x85@example.com", OFFER_DSN | OFFER_SMTPUTF8, 501 },
		{ " ORCPT=utf-8;b\xc3@example.com", OFFER_DSN | OFFER_SMTPUTF8, 501 },
		{ " ORCPT=rfc822;b\xc3\xa4@example.com", OFFER_DSN | OFFER_SMTPUTF8, 501 },
	};
	struct params_error e;
	struct rcpt_params r;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		memset(&e, 0, sizeof e);
		rc = params_parse_rcpt(cases[i].in, strlen(cases[i].in), cases[i].offered, &r, &e);
		if ((rc == 0 ? 0 : e.code) != cases[i].code)
			fail_msg("\"%s\": %d, not %d", cases[i].in, rc == 0 ? 0 : e.code, cases[i].code);
	}
}

static void
parameters_carry_their_values(void **state)
{
	static const char mail[] = " SIZE=4096 BODY=8BITMIME RET=HDRS ENVID=QQ+2B314159 SMTPUTF8";
	static const char rcpt[] = " NOTIFY=FAILURE,DELAY ORCPT=rfc822;Bob+2Bx@example.com";
	struct params_error e;
	struct mail_params m;
	struct rcpt_params r;

	(void)state;
	assert_int_equal(params_parse_mail(mail, strlen(mail), ALL, &m, &e), 0);
	assert_true(m.has_size && m.size == 4096 && m.body == BODY_8BITMIME && m.ret == 'H' && m.smtputf8);
	assert_int_equal(m.envid_len, 11);
	assert_memory_equal(m.envid, "QQ+2B314159", 11);
	assert_int_equal(params_parse_rcpt(rcpt, strlen(rcpt), ALL, &r, &e), 0);
	assert_int_equal(r.notify, NOTIFY_FAILURE | NOTIFY_DELAY);
	assert_int_equal(r.orcpt_len, strlen("rfc822;Bob+2Bx@example.com"));
	assert_int_equal(params_parse_mail(" SIZE=99999999999999999999", 26, ALL, &m, &e), 0);
	assert_true(m.size == UINT64_MAX);
	assert_int_equal(params_parse_mail(" FOO=1", 6, ALL, &m, &e), -1);
	assert_int_equal(e.name_len, 3);
	assert_memory_equal(e.name, "FOO", 3);
}

static void
long_envelope_ids_are_refused(void **state)
{
	struct params_error e;
	struct rcpt_params r;
	struct mail_params m;
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof text);
	memcpy(text, " ENVID=", 7);
	assert_int_equal(params_parse_mail(text, 107, ALL, &m, &e), 0);
	assert_int_equal(params_parse_mail(text, 108, ALL, &m, &e), -1);
	assert_int_equal(e.code, 501);
	memcpy(text, " ORCPT=rfc822;", 14);
	assert_int_equal(params_parse_rcpt(text, 507, ALL, &r, &e), 0);
	assert_int_equal(params_parse_rcpt(text, 508, ALL, &r, &e), -1);
	assert_int_equal(e.code, 501);
}

static void
xtext_round_trips_every_byte(void **state)
{
	char in[256], coded[768], out[768];
	size_t n;
	int i;

	(void)state;
	for (i = 0; i < 256; i++)
		in[i] = (char)i;
	n = xtext_encode(in, sizeof in, coded);
	assert_true(xtext_valid(coded, n));
	assert_int_equal(xtext_decode(coded, n, out), 256);
	assert_memory_equal(in, out, 256);
	assert_int_equal(xtext_decode(coded, n, coded), 256); /* in place */
	assert_memory_equal(in, coded, 256);
	assert_int_equal(xtext_decode("a b", 3, out), -1);
	assert_int_equal(xtext_decode("a=b", 3, out), -1);
	assert_int_equal(xtext_decode("+4", 2, out), -1);
	assert_int_equal(xtext_decode("", 0, out), 0);
	assert_false(xtext_valid("+4g", 3));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_split_into_verb_and_arguments),
		cmocka_unit_test(eight_bit_arguments_are_noticed),
		cmocka_unit_test(verbs_and_keywords_match_in_either_case_and_whole),
		cmocka_unit_test(mail_parameters_get_the_reply_they_deserve),
		cmocka_unit_test(rcpt_parameters_get_the_reply_they_deserve),
		cmocka_unit_test(parameters_carry_their_values),
		cmocka_unit_test(long_envelope_ids_are_refused),
		cmocka_unit_test(xtext_round_trips_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
