/* SPDX-License-Identifier: MIT */
#include "smtp_fixture.h"

#include "util/arena.h"
#include "util/check.h"
#include "net/addr.h"
#include "spool/message.h"
#include "smtp/clients.h"
#include "smtp/input.h"
#include "smtp/session.h"
#include "smtp/transaction.h"
#include "smtp/verbs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- input ---- */

/* What input_line() makes of S arriving in pieces of PIECE bytes, as a text: "L<line>" "T" (too long) "B" "F". */
static char *
lines_of(const char *s, size_t n, size_t piece)
{
	static char text[16384];
	char buffer[SCRATCH_INPUT];
	struct input in = { 0 };
	const char *line;
	size_t len, at = 0, room, k;
	enum input_line got;
	char *p, *out = text;

	for (;;) {
		input_borrow(&in, buffer, sizeof buffer);
		k = n - at < piece ? n - at : piece;
		p = input_room(&in, &room);
		assert_true(room >= k);
		memcpy(p, s + at, k);
		input_filled(&in, k);
		at += k;
		while ((got = input_line(&in, &line, &len)) == INPUT_LINE || got == INPUT_TOO_LONG)
			out += got == INPUT_LINE ? sprintf(out, "L<%.*s>", (int)len, line) : sprintf(out, "T");
		if (got != INPUT_MORE || k == 0)
			break;
		input_park(&in);
		memset(buffer, 'Z', sizeof buffer);
	}
	if (got != INPUT_MORE)
		sprintf(out, got == INPUT_BARE_LF ? "B" : "F");
	else
		*out = '\0';
	input_park(&in);
	input_fini(&in);
	return text;
}

static void
lines_come_out_whole_however_they_arrive(void **state)
{
	char longest[INPUT_LINE_MAX + 1], too_long[3 * INPUT_LINE_MAX], want[3 * INPUT_LINE_MAX];
	const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },
		{ "NOOP", "" },
		{ "NOOP\r", "" },
		{ "NOOP\r\nQUIT\r\n", "L<NOOP>L<QUIT>" },
		{ "\r\n\r\nx\r\n", "L<>L<>L<x>" },
		{ "a\rb\r\r\nc\r\n", "L<a\rb\r>L<c>" },
		{ "NOOP\nQUIT\r\n", "B" },
		{ "NOOP\r\n\nQUIT\r\n", "L<NOOP>B" },
		{ longest, want },
		{ too_long, "TL<RSET>" },
	};
	size_t i, piece;

	(void)state;
	memset(longest, 'x', sizeof longest);
	strcpy(longest + INPUT_LINE_MAX - 2, "\r\n");
	sprintf(want, "L<%.*s>", INPUT_LINE_MAX - 2, longest);
	memset(too_long, 'x', sizeof too_long);
	memcpy(too_long + INPUT_LINE_MAX + 7, "\nDATA\rRSET\n", 11);
	strcpy(too_long + 2 * INPUT_LINE_MAX, "\r\nRSET\r\n");
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (piece = 1; piece < 5000; piece += piece < 20 ? 1 : 397)
			assert_string_equal(lines_of(cases[i].in, strlen(cases[i].in), piece), cases[i].out);
}

static void
a_line_without_end_is_a_flood(void **state)
{
	size_t n = INPUT_SKIP_MAX + 2 * INPUT_LINE_MAX;
	char *s = xmalloc(n);

	(void)state;
	memset(s, 'x', n);
	assert_string_equal(lines_of(s, n, 4096), "F");
	free(s);
}

/* ---- clients ---- */

static struct limit_settings limits;

static enum clients_answer
enters(struct clients *c, const struct addr *a)
{
	return clients_enter(c, &limits, a, false);
}

static void
each_client_address_has_its_own_count(void **state)
{
	struct clients *c = clients_new();
	struct addr a, same, b;

	(void)state;
	limits = (struct limit_settings){ .sessions_per_client = 2 };
	assert_int_equal(addr_parse("192.0.2.1:25", 0, &a, NULL), 0);
	assert_int_equal(addr_parse("192.0.2.1:26", 0, &same, NULL), 0);
	assert_int_equal(addr_parse("[2001:db8::1]:25", 0, &b, NULL), 0);
	assert_int_equal(enters(c, &a), CLIENTS_IN);
	assert_int_equal(enters(c, &same), CLIENTS_IN);
	assert_int_equal(enters(c, &a), CLIENTS_SESSIONS);
	assert_int_equal(enters(c, &b), CLIENTS_IN);
	clients_leave(c, &same);
	assert_int_equal(enters(c, &a), CLIENTS_IN);
	assert_int_equal(enters(c, &a), CLIENTS_SESSIONS);
	clients_leave(c, &a);
	clients_leave(c, &a);
	clients_leave(c, &b);
	clients_free(&c);
}

static void
an_ipv6_client_is_its_network(void **state)
{
	struct clients *c = clients_new();
	struct addr a, near, far;

	(void)state;
	limits = (struct limit_settings){ .sessions_per_client = 1 };
	assert_int_equal(addr_parse("[2001:db8::1]:25", 0, &a, NULL), 0);
	assert_int_equal(addr_parse("[2001:db8::ffff:0:0:1]:25", 0, &near, NULL), 0);
	assert_int_equal(addr_parse("[2001:db8:0:1::1]:25", 0, &far, NULL), 0);
	assert_int_equal(enters(c, &a), CLIENTS_IN);
	assert_int_equal(enters(c, &near), CLIENTS_SESSIONS);
	assert_int_equal(enters(c, &far), CLIENTS_IN);
	clients_leave(c, &near);
	clients_leave(c, &far);
	clients_free(&c);
}

static void
rates_are_remembered_between_sessions(void **state)
{
	struct clients *c = clients_new();
	struct addr a;

	(void)state;
	limits = (struct limit_settings){ .rate_per_client = { [RATE_CONNECTIONS] = { 3, 3600 }, [RATE_ERRORS] = { 1, 3600 } },
		.rate = { [RATE_MESSAGES] = { 2, 3600 } } };
	assert_int_equal(addr_parse("192.0.2.1:25", 0, &a, NULL), 0);
	assert_int_equal(enters(c, &a), CLIENTS_IN);
	clients_leave(c, &a);
	assert_int_equal(enters(c, &a), CLIENTS_IN);
	assert_int_equal(clients_enter(c, &limits, &a, true), CLIENTS_IN);
	assert_true(clients_take(c, &limits, &a, RATE_MESSAGES));
	assert_true(clients_take_all(c, &limits, RATE_MESSAGES) && clients_take_all(c, &limits, RATE_MESSAGES));
	assert_false(clients_take_all(c, &limits, RATE_MESSAGES));
	assert_true(clients_take(c, &limits, &a, RATE_ERRORS));
	assert_false(clients_take(c, &limits, &a, RATE_ERRORS));
	clients_leave(c, &a);
	assert_int_equal(enters(c, &a), CLIENTS_RATE);
	assert_int_equal(clients_enter(c, &limits, &a, true), CLIENTS_IN);
	clients_free(&c);
}

/* More clients than are remembered, each once: none is lost that has a session, and memory is bounded. */
static void
many_absent_clients_are_forgotten(void **state)
{
	struct clients *c = clients_new();
	struct addr kept, a;
	uint32_t i;

	(void)state;
	limits = (struct limit_settings){ .sessions_per_client = 1, .rate_per_client = { { 2, 3600 } } };
	assert_int_equal(addr_parse("192.0.2.1:25", 0, &kept, NULL), 0);
	a = kept;
	assert_int_equal(enters(c, &kept), CLIENTS_IN);
	for (i = 0; i < 300000; i++) {
		a.u.in.sin_addr.s_addr = htonl(0x0a000000 + i);
		assert_int_equal(enters(c, &a), CLIENTS_IN);
		clients_leave(c, &a);
	}
	assert_int_equal(enters(c, &kept), CLIENTS_SESSIONS);
	clients_leave(c, &kept);
	clients_free(&c);
}

/* ---- transactions ---- */

static void
recipients_are_kept_once_and_in_order(void **state)
{
	struct arena *arena = arena_new(0);
	struct mail_transaction tx = { .m = message_new(1, &arena) };
	struct route_settings route = { .key = "k" };
	char address[64];
	int i;

	(void)state;
	for (i = 0; i < 3000; i++) {
		snprintf(address, sizeof address, "r%d@example.net", i);
		assert_false(mail_transaction_has(&tx, address));
		mail_transaction_add(&tx, address, &route, &(struct rcpt_params){ 0 });
		assert_true(mail_transaction_has(&tx, address));
		snprintf(address, sizeof address, "r%d@EXAMPLE.net", i / 2);
		assert_true(mail_transaction_has(&tx, address));
		snprintf(address, sizeof address, "R%d@example.net", i / 2);
		assert_false(mail_transaction_has(&tx, address));
	}
	assert_int_equal(tx.m->rcpt_count, 3000);
	assert_string_equal(tx.m->rcpt[0].address, "r0@example.net");
	assert_string_equal(tx.m->rcpt[2999].address, "r2999@example.net");
	assert_int_equal(tx.m->group_count, 1);
	mail_transaction_end(&tx);
	assert_null(tx.m);
}

/* ---- verbs ---- */

static void
every_verb_is_found_in_either_case(void **state)
{
	const struct verb *v;

	(void)state;
	for (v = verbs; v->name != NULL; v++) {
		assert_non_null(v->act);
		assert_ptr_equal(verb_find(v->name, strlen(v->name)), v);
		assert_null(verb_find(v->name, strlen(v->name) - 1));
	}
	assert_ptr_equal(verb_find("ehlo", 4), verbs);
	assert_null(verb_find("", 0));
	assert_null(verb_find("EHLOX", 5));
}

/* ---- sessions ---- */

static void
an_idle_session_is_small(void **state)
{
	(void)state;
	assert_true(sizeof(struct session) <= 1024);
}

static void
say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* The next reply's last line begins with WANT. */
static void
expect(int fd, const char *want)
{
	char line[1024];
	size_t n;

	do {
		for (n = 0; n < sizeof line - 1; n++)
			if (recv(fd, line + n, 1, 0) != 1 || line[n] == '\n')
				break;
		line[n] = '\0';
	} while (n > 3 && line[3] == '-');
	if (strncmp(line, want, strlen(want)) != 0)
		fail_msg("expected %s, got %s", want, line);
}

static int
greeted(struct fixture *f)
{
	int fd = fixture_connect(f);

	expect(fd, "220 mx.example.test ESMTP");
	say(fd, "EHLO client.example\r\n");
	expect(fd, "250 ");
	return fd;
}

static void
to_data(int fd)
{
	say(fd, "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n");
	expect(fd, "250 2.1.0");
	expect(fd, "250 2.1.5");
	expect(fd, "354");
}

/* N lines of ten octets. */
static void
say_lines(int fd, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		say(fd, "..345678\r\n");
}

static void
a_message_is_handed_to_the_spool_whole(void **state)
{
	struct fixture f;
	int fd;

	(void)state;
	fixture_init(&f);
	fixture_open(&f);
	fixture_start(&f);
	fd = greeted(&f);
	to_data(fd);
	say(fd, "Subject: x\r\n\r\n..\r\n\xc3\xa9\r\n.\r\n");
	expect(fd, "250 2.0.0 queued as ");
	assert_int_equal(fake_spool.count, 1);
	assert_string_equal(fake_spool.taken->sender, "a@example.com");
	assert_string_equal(fake_spool.taken->rcpts, "b@example.net");
	assert_memory_equal(fake_spool.taken->content, "Received: from client.example ", 30);
	assert_non_null(strstr(fake_spool.taken->content, "\r\nSubject: x\r\n\r\n.\r\n\xc3\xa9\r\n"));
	assert_int_equal(fake_spool.taken->flags, MESSAGE_DOTS | MESSAGE_8BITMIME);
	close(fd);
	fixture_close(&f);
}

static void
what_the_spool_cannot_take_is_put_off(void **state)
{
	const struct {
		bool *fault;
		unsigned lines;
		const char *reply;
	} cases[] = {
		{ &fake_spool.commit_fails, 10, "451 4.3.0" },
		{ &fake_spool.commit_fails, 20000, "451 4.3.0" },
		{ &fake_spool.blob_begin_fails, 20000, "452 4.3.1" },
		{ &fake_spool.blob_append_fails, 20000, "452 4.3.1" },
		{ &fake_spool.blob_end_fails, 20000, "452 4.3.1" },
	};
	struct fixture f;
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		fixture_init(&f);
		fake_spool.charge_limit = 70000;
		fixture_open(&f);
		fixture_start(&f);
		fd = greeted(&f);
		*cases[i].fault = true;
		to_data(fd);
		say_lines(fd, cases[i].lines);
		say(fd, ".\r\nNOOP\r\n");
		expect(fd, cases[i].reply);
		expect(fd, "250");
		assert_int_equal(fake_spool.count, 0);
		assert_int_equal(fake_spool.blobs, 0);
		*cases[i].fault = false;
		to_data(fd);
		say_lines(fd, 20000);
		say(fd, ".\r\n");
		expect(fd, "250 2.0.0");
		assert_int_equal(fake_spool.count, 1);
		assert_true(fake_spool.taken->blob);
		assert_true(fake_spool.taken->len > 20000 * 9);
		assert_int_equal(fake_spool.blobs, 0);
		close(fd);
		fixture_close(&f);
	}
}

static void
no_room_is_said_at_mail(void **state)
{
	struct fixture f;
	int fd;

	(void)state;
	fixture_init(&f);
	fake_spool.admit_fails = true;
	fixture_open(&f);
	fixture_start(&f);
	fd = greeted(&f);
	say(fd, "MAIL FROM:<a@example.com>\r\n");
	expect(fd, "452 4.3.1");
	fake_spool.admit_fails = false;
	to_data(fd);
	close(fd);
	fixture_close(&f);
}

static void
wait_for(bool *flag)
{
	int i;

	for (i = 0; i < 10000 && !__atomic_load_n(flag, __ATOMIC_SEQ_CST); i++)
		usleep(1000);
	assert_true(*flag);
}

static void
wait_sessions(struct fixture *f, unsigned n)
{
	int i;

	for (i = 0; i < 10000 && smtp_server_sessions(f->server) != n; i++)
		usleep(1000);
	assert_int_equal(smtp_server_sessions(f->server), n);
}

/* RFC 1047: nobody may know any more whether the client saw the reply. */
static void
a_client_that_goes_before_250_has_sent_its_message(void **state)
{
	struct fixture f;
	int fd;

	(void)state;
	fixture_init(&f);
	fake_spool.commit_waits = true;
	fixture_open(&f);
	fixture_start(&f);
	fd = greeted(&f);
	to_data(fd);
	say(fd, "Subject: x\r\n\r\n.\r\n");
	wait_for(&fake_spool.committing);
	close(fd);
	__atomic_store_n(&fake_spool.commit_go, true, __ATOMIC_SEQ_CST);
	wait_sessions(&f, 0);
	assert_int_equal(fake_spool.count, 1);
	fixture_close(&f);
}

static void
an_abort_ends_every_session_and_keeps_nothing_unfinished(void **state)
{
	struct fixture f;
	int idle, begun, data, blob, commit;

	(void)state;
	fixture_init(&f);
	fake_spool.charge_limit = 70000;
	fake_spool.commit_waits = true;
	fixture_open(&f);
	fixture_start(&f);
	idle = fixture_connect(&f);
	begun = greeted(&f);
	say(begun, "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@exam");
	data = greeted(&f);
	to_data(data);
	say(data, "Subject: half");
	blob = greeted(&f);
	to_data(blob);
	say_lines(blob, 20000);
	commit = greeted(&f);
	to_data(commit);
	say(commit, "Subject: x\r\n\r\n.\r\n");
	wait_for(&fake_spool.committing);
	smtp_server_abort(f.server);
	expect(idle, "220");
	expect(idle, "421 4.3.2");
	wait_sessions(&f, 1);
	assert_int_equal(fake_spool.blobs, 0);
	__atomic_store_n(&fake_spool.commit_go, true, __ATOMIC_SEQ_CST);
	expect(commit, "250 2.0.0");
	wait_sessions(&f, 0);
	assert_int_equal(fake_spool.count, 1);
	close(idle);
	close(begun);
	close(data);
	close(blob);
	close(commit);
	fixture_close(&f);
}

static void
a_drain_lets_transactions_end(void **state)
{
	struct fixture f;
	int idle, busy, late;

	(void)state;
	fixture_init(&f);
	fixture_open(&f);
	fixture_start(&f);
	idle = greeted(&f);
	busy = greeted(&f);
	say(busy, "MAIL FROM:<a@example.com>\r\n");
	expect(busy, "250");
	smtp_server_drain(f.server);
	expect(idle, "421 4.3.2");
	late = fixture_connect(&f);
	expect(late, "421 4.3.2");
	say(busy, "RCPT TO:<b@example.net>\r\nDATA\r\n");
	expect(busy, "250");
	expect(busy, "354");
	say(busy, ".\r\nMAIL FROM:<a@example.com>\r\n");
	expect(busy, "250 2.0.0 queued");
	expect(busy, "421 4.3.2");
	close(idle);
	close(busy);
	close(late);
	wait_sessions(&f, 0);
	fixture_close(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_out_whole_however_they_arrive),
		cmocka_unit_test(a_line_without_end_is_a_flood),
		cmocka_unit_test(each_client_address_has_its_own_count),
		cmocka_unit_test(an_ipv6_client_is_its_network),
		cmocka_unit_test(rates_are_remembered_between_sessions),
		cmocka_unit_test(many_absent_clients_are_forgotten),
		cmocka_unit_test(recipients_are_kept_once_and_in_order),
		cmocka_unit_test(every_verb_is_found_in_either_case),
		cmocka_unit_test(an_idle_session_is_small),
		cmocka_unit_test(a_message_is_handed_to_the_spool_whole),
		cmocka_unit_test(what_the_spool_cannot_take_is_put_off),
		cmocka_unit_test(no_room_is_said_at_mail),
		cmocka_unit_test(a_client_that_goes_before_250_has_sent_its_message),
		cmocka_unit_test(an_abort_ends_every_session_and_keeps_nothing_unfinished),
		cmocka_unit_test(a_drain_lets_transactions_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
