/* SPDX-License-Identifier: MIT */
/* SASL messages, SCRAM-SHA-256 against the example of RFC 7677, kept passwords, Dovecot's lines. */
#include "directory/password.h"
#include "mail/authline.h"
#include "mail/sasl.h"
#include "mail/scram.h"
#include "net/digest.h"
#include "util/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* RFC 7677 3. */
static const char first[] = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
static const char challenge[] =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
static const char final[] = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
			    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
static const char proof[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

static void
the_client_of_rfc_7677(void **state)
{
	struct scram_client c = { 0 };
	struct buf out = { 0 };
	struct err err;

	(void)state;
	scram_client_first(&c, "user", "rOprNGfwEbeRWgbNEkqO", &out);
	assert_string_equal(buf_str(&out), first);
	out.len = 0;
	assert_int_equal(scram_client_final(&c, "pencil", challenge, strlen(challenge), &out, &err), 0);
	assert_string_equal(buf_str(&out), final);
	assert_int_equal(scram_client_verify(&c, proof, strlen(proof), &err), 0);
	assert_int_equal(scram_client_verify(&c, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", 46, &err), -1);
	assert_int_equal(scram_client_verify(&c, "e=other-error", 13, &err), -1);
	assert_int_equal(scram_client_verify(&c, "", 0, &err), -1);
	scram_client_fini(&c);
	buf_fini(&out);
}

static void
a_client_believes_no_weak_or_foreign_challenge(void **state)
{
	static const char *const bad[] = {
		"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=mine,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"r=mine1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095", "r=mine1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999",
		"r=mine1,s=,i=4096", "r=mine1,s=*,i=4096", "m=x,r=mine1,s=AAAA,i=4096", "", "r=mine1", "e=no",
	};
	struct buf out = { 0 }, sent = { 0 };
	struct err err;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct scram_client c = { 0 };

		scram_client_first(&c, "user", "mine", &sent);
		assert_int_equal(scram_client_final(&c, "pencil", bad[i], strlen(bad[i]), &out, &err), -1);
		assert_int_equal(out.len, 0);
		scram_client_fini(&c);
	}
	buf_fini(&sent);
}

static void
the_server_of_rfc_7677(void **state)
{
	struct scram_server s = { 0 };
	struct scram_verifier v, again;
	struct buf out = { 0 };
	uint8_t salt[16];
	struct err err;

	(void)state;
	assert_int_equal(base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==", 24, &out), 0);
	memcpy(salt, out.data, 16);
	out.len = 0;
	scram_verifier_make(&v, "pencil", 6, salt, 16, 4096);
	assert_true(scram_verifier_check(&v, "pencil", 6));
	assert_false(scram_verifier_check(&v, "pencils", 7));
	scram_verifier_print(&v, &out);
	assert_int_equal(scram_verifier_parse(buf_str(&out), &again, &err), 0);
	assert_true(scram_verifier_check(&again, "pencil", 6));
	out.len = 0;
	assert_int_equal(scram_server_begin(&s, first, strlen(first)), 0);
	assert_string_equal(s.login.data, "user");
	scram_server_challenge(&s, &again, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", &out);
	assert_string_equal(buf_str(&out), challenge);
	out.len = 0;
	assert_int_equal(scram_server_finish(&s, final, strlen(final), &out), SCRAM_GOOD);
	assert_string_equal(buf_str(&out), proof);
	scram_server_fini(&s);
	buf_fini(&out);
}

static void
a_server_refuses_what_is_not_scram(void **state)
{
	static const struct {
		const char *text;
		enum scram_result result;
	} last[] = {
		{ "", SCRAM_MALFORMED }, { "c=biws", SCRAM_MALFORMED }, { "c=biws,r=cs", SCRAM_MALFORMED },
		{ "c=biws,r=cx,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SCRAM_MALFORMED },
		{ "c=eSws,r=cs,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SCRAM_MALFORMED },
		{ "c=biws,r=cs,p=dHzb", SCRAM_MALFORMED },
		{ "c=biws,r=cs,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=,x=1", SCRAM_MALFORMED },
		{ "c=biws,r=cs,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SCRAM_WRONG },
		{ "c=biws,r=cs,x=ext,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SCRAM_WRONG },
	};
	struct scram_verifier v;
	struct buf out = { 0 };
	unsigned i;

	(void)state;
	scram_verifier_make(&v, "x", 1, "salt", 4, 1);
	for (i = 0; i < sizeof last / sizeof *last; i++) {
		struct scram_server s = { 0 };

		assert_int_equal(scram_server_begin(&s, "n,,n=a=2Cb=3Dc,r=c", 18), 0);
		assert_string_equal(s.login.data, "a,b=c");
		scram_server_challenge(&s, &v, "s", &out);
		assert_int_equal(scram_server_finish(&s, last[i].text, strlen(last[i].text), &out), last[i].result);
		scram_server_fini(&s);
	}
	buf_fini(&out);
}

static void
plain_messages(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *authzid, *login, *password; /* login NULL: refused */
	} cases[] = {
		{ "\0user\0pass", 10, "", "user", "pass" }, { "z\0user\0p", 8, "z", "user", "p" },
		{ "user", 4, NULL, NULL, NULL }, { "\0user", 5, NULL, NULL, NULL }, { "\0user\0", 6, NULL, NULL, NULL },
		{ "\0\0pass", 6, NULL, NULL, NULL }, { "\0user\0pa\0ss", 11, NULL, NULL, NULL },
		{ "\0us\ner\0pass", 11, NULL, NULL, NULL }, { "", 0, NULL, NULL, NULL },
	};
	struct sasl_plain p;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = { 0 };

		buf_add(&b, cases[i].text, cases[i].n);
		assert_int_equal(sasl_plain_parse(&b, &p), cases[i].login != NULL ? 0 : -1);
		if (cases[i].login != NULL) {
			assert_string_equal(p.authzid, cases[i].authzid);
			assert_string_equal(p.login, cases[i].login);
			assert_string_equal(p.password, cases[i].password);
		}
		sasl_forget(&b);
	}
}

static void
kept_passwords(void **state)
{
	static const char *const bad[] = {
		"", "plaintext", "{PLAIN}x", "{SCRAM-SHA-256}", "{SCRAM-SHA-256}4096,AAAA", "{SCRAM-SHA-256}0,AAAA,AAAA,AAAA",
		"$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ", "$argon2id$v=16$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
		"$argon2id$v=19$m=4194304,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2g", "$argon2i$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
	};
	/* Made by the reference implementation for "password". */
	static const char reference[] = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
	static const enum password_scheme schemes[] = { PASSWORD_SCRAM, PASSWORD_ARGON2ID };
	struct password p;
	struct err err;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(password_parse(bad[i], &p, &err), -1);
	assert_int_equal(password_parse(reference, &p, &err), 0);
	assert_true(password_check(&p, "password", 8));
	assert_false(password_check(&p, "Password", 8));
	for (i = 0; i < 2; i++) {
		struct buf b = { 0 };

		assert_int_equal(password_hash(schemes[i], "geheim", 6, &b, &err), 0);
		assert_int_equal(password_parse(buf_str(&b), &p, &err), 0);
		assert_true(password_check(&p, "geheim", 6));
		assert_false(password_check(&p, "geheimer", 8));
		buf_fini(&b);
	}
}

static void
lines_of_dovecot(void **state)
{
	static const struct {
		const char *text;
		int rc;
		enum authline_type type;
		uint32_t id;
		const char *word, *user;
		bool temporary;
	} cases[] = {
		{ "VERSION\t1\t2", 0, AUTHLINE_VERSION, 0, NULL, NULL, false },
		{ "MECH\tPLAIN\tplaintext", 0, AUTHLINE_MECH, 0, "PLAIN", NULL, false },
		{ "COOKIE\tabc", 0, AUTHLINE_OTHER, 0, NULL, NULL, false },
		{ "DONE", 0, AUTHLINE_DONE, 0, NULL, NULL, false },
		{ "OK\t7\tuser=a\001tb\tother", 0, AUTHLINE_OK, 7, NULL, "a\tb", false },
		{ "OK\t7", 0, AUTHLINE_OK, 7, NULL, NULL, false },
		{ "FAIL\t4294967295\tuser=x\ttemp", 0, AUTHLINE_FAIL, 4294967295u, NULL, "x", true },
		{ "FAIL\t1\tcode=temp_fail", 0, AUTHLINE_FAIL, 1, NULL, NULL, true },
		{ "CONT\t3\tYWJj", 0, AUTHLINE_CONT, 3, "YWJj", NULL, false },
		{ "CONT\t3", 0, AUTHLINE_CONT, 3, "", NULL, false },
		{ "OK", -1, 0, 0, NULL, NULL, false }, { "OK\tx", -1, 0, 0, NULL, NULL, false },
		{ "OK\t4294967296", -1, 0, 0, NULL, NULL, false }, { "CONT\t", -1, 0, 0, NULL, NULL, false },
		{ "VERSION", -1, 0, 0, NULL, NULL, false }, { "MECH", -1, 0, 0, NULL, NULL, false },
		{ "OK\t1\tuser=\001x", -1, 0, 0, NULL, NULL, false }, { "", 0, AUTHLINE_OTHER, 0, NULL, NULL, false },
	};
	const struct authline_client client = { "192.0.2.1", "2001:db8::1", 5, 587, true };
	struct authline line;
	struct buf b = { 0 };
	char text[100];
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		memcpy(text, cases[i].text, strlen(cases[i].text));
		assert_int_equal(authline_parse(text, strlen(cases[i].text), &line), cases[i].rc);
		if (cases[i].rc < 0)
			continue;
		assert_int_equal(line.type, cases[i].type);
		assert_int_equal(line.id, cases[i].id);
		assert_int_equal(line.temporary, cases[i].temporary);
		if (cases[i].word != NULL)
			assert_string_equal(line.word, cases[i].word);
		if (cases[i].user != NULL)
			assert_string_equal(line.user, cases[i].user);
		else
			assert_null(line.user);
	}
	authline_add_auth(&b, 9, "PLAIN", &client, "AGE=");
	authline_add_cont(&b, 9, "");
	assert_string_equal(buf_str(&b), "AUTH\t9\tPLAIN\tservice=smtp\tnologin\trip=192.0.2.1\trport=5\tlip=2001:db8::1\t"
	    "lport=587\tsecured\tresp=AGE=\nCONT\t9\t\n");
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_client_of_rfc_7677),
		cmocka_unit_test(a_client_believes_no_weak_or_foreign_challenge),
		cmocka_unit_test(the_server_of_rfc_7677),
		cmocka_unit_test(a_server_refuses_what_is_not_scram),
		cmocka_unit_test(plain_messages),
		cmocka_unit_test(kept_passwords),
		cmocka_unit_test(lines_of_dovecot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
