/* SPDX-License-Identifier: MIT */
/* Delivery's decisions without a network: when to retry, which hop, how many connections, what replies mean. */
#include "delivery/errand.h"
#include "delivery/hop.h"
#include "delivery/own.h"
#include "delivery/schedule.h"
#include "delivery/transaction.h"
#include "directory/settings.h"
#include "mail/reply.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/check.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- schedule ---- */

static const struct queue_settings queue = { .retry_min = 100, .retry_max = 1000, .lifetime = 10000,
	.bounce_lifetime = 2000, .warn_after = 500 };

static void
test_waits_double_with_jitter_up_to_the_largest(void **state)
{
	static const int64_t wait[] = { 100, 200, 400, 800, 1000, 1000, 1000 };
	bool varied = false;

	(void)state;
	for (unsigned i = 0; i < sizeof(wait) / sizeof(*wait); i++)
		for (unsigned n = 0; n < 50; n++) {
			int64_t next = schedule_next(&queue, i, 0, false, 1000) - 1000;

			assert_in_range(next, wait[i] * 9 / 10, wait[i] * 11 / 10);
			varied |= next != wait[i];
		}
	assert_true(varied);
	assert_in_range(schedule_next(&queue, UINT32_MAX, 0, false, 0), 900, 1100);
}

static void
test_the_last_attempt_is_at_the_end_of_life(void **state)
{
	(void)state;
	assert_int_equal(schedule_next(&queue, 9, 0, false, 9500), 10000);
	assert_int_equal(schedule_next(&queue, 9, 0, true, 1900), 2000);
	assert_int_equal(schedule_end(&queue, 50, false), 10050);
	assert_int_equal(schedule_end(&queue, 50, true), 2050);
}

static void
test_one_delay_warning(void **state)
{
	const struct queue_settings never = { .lifetime = 10 };

	(void)state;
	assert_false(schedule_warn(&queue, 0, false, 499));
	assert_true(schedule_warn(&queue, 0, false, 500));
	assert_false(schedule_warn(&queue, 0, true, 500));
	assert_false(schedule_warn(&never, 0, false, 500));
}

/* ---- hops ---- */

struct hop_fixture {
	struct next_hop next[4];
	struct route_settings route;
	struct hops hops;
};

static void
hops_setup(struct hop_fixture *f, enum balance balance, unsigned count, const unsigned *weight, unsigned backups)
{
	struct err err;

	memset(f, 0, sizeof(*f));
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(addr_parse("127.0.0.1:2526", 0, &f->next[i].address, &err), 0);
		f->next[i].weight = weight ? weight[i] : 1;
		f->next[i].backup = i >= count - backups;
	}
	f->route = (struct route_settings){ .hop = f->next, .hop_count = count, .balance = balance,
		.connections = 20 };
	hops_init(&f->hops, &f->route, &(struct queue_settings){ .retry_min = 300, .retry_max = 3600 });
}

static void
serve(struct hop_fixture *f, unsigned times, unsigned *served)
{
	while (times-- > 0) {
		struct hop *hop = hops_choose(&f->hops, false, NULL);

		assert_non_null(hop);
		hops_charge(&f->hops, hop);
		for (unsigned i = 0; i < f->hops.count; i++)
			served[i] += f->hops.hop[i] == hop;
	}
}

static void
kill_hop(struct hop_fixture *f, unsigned i, uint64_t now)
{
	assert_true(hop_failed(&f->hops, f->hops.hop[i], now, "refused"));
}

static void
test_failover_uses_the_first_alive(void **state)
{
	struct hop_fixture f;
	unsigned served[3] = { 0 };

	(void)state;
	hops_setup(&f, BALANCE_FAILOVER, 3, NULL, 1);
	serve(&f, 5, served);
	kill_hop(&f, 0, 1000);
	serve(&f, 7, served);
	kill_hop(&f, 1, 1000);
	serve(&f, 9, served);
	assert_int_equal(served[0], 5);
	assert_int_equal(served[1], 7);
	assert_int_equal(served[2], 9);
	kill_hop(&f, 2, 1000);
	assert_null(hops_choose(&f.hops, false, NULL));
	assert_false(hops_any_alive(&f.hops));
	hop_probe(f.hops.hop[0]);
	assert_null(hops_choose(&f.hops, false, NULL));
	assert_true(hop_established(f.hops.hop[0]));
	serve(&f, 2, served);
	assert_int_equal(served[0], 7);
	hops_fini(&f.hops);
}

static void
test_round_robin_keeps_the_weights(void **state)
{
	static const unsigned weight[] = { 3, 1, 2, 7 };
	struct hop_fixture f;
	unsigned served[4] = { 0 };

	(void)state;
	hops_setup(&f, BALANCE_ROUND_ROBIN, 4, weight, 1);
	serve(&f, 600, served);
	assert_int_equal(served[0], 300);
	assert_int_equal(served[1], 100);
	assert_int_equal(served[2], 200);
	assert_int_equal(served[3], 0); /* a backup, whatever its weight */
	for (unsigned i = 0; i < 3; i++)
		kill_hop(&f, i, 1000);
	serve(&f, 10, served);
	assert_int_equal(served[3], 10);
	hops_fini(&f.hops);
}

static void
test_round_robin_is_smooth(void **state)
{
	static const unsigned weight[] = { 2, 1 };
	struct hop_fixture f;
	unsigned served[2] = { 0 };

	(void)state;
	hops_setup(&f, BALANCE_ROUND_ROBIN, 2, weight, 0);
	for (unsigned i = 1; i <= 10; i++) {
		serve(&f, 3, served);
		assert_int_equal(served[0], 2 * i);
		assert_int_equal(served[1], i);
	}
	hops_fini(&f.hops);
}

static void
test_spill_passes_over_busy_hops_only(void **state)
{
	struct hop_fixture f;

	(void)state;
	hops_setup(&f, BALANCE_ROUND_ROBIN, 2, NULL, 0);
	f.hops.hop[0]->conns = f.hops.hop[1]->conns = 1;
	assert_null(hops_choose(&f.hops, true, NULL));
	assert_ptr_equal(hops_choose(&f.hops, true, f.hops.hop[1]), f.hops.hop[1]);
	f.hops.hop[0]->idle_count = 1;
	assert_ptr_equal(hops_choose(&f.hops, true, NULL), f.hops.hop[0]);
	hops_fini(&f.hops);
}

static void
test_silent_hops_stand_behind_backups(void **state)
{
	struct hop_fixture f;

	(void)state;
	hops_setup(&f, BALANCE_FAILOVER, 2, NULL, 1);
	f.hops.hop[0]->suspect = true;
	assert_ptr_equal(hops_choose(&f.hops, false, NULL), f.hops.hop[1]);
	kill_hop(&f, 1, 0);
	assert_ptr_equal(hops_choose(&f.hops, false, NULL), f.hops.hop[0]);
	hop_replied(f.hops.hop[0], 5);
	assert_false(f.hops.hop[0]->suspect);
	hops_fini(&f.hops);
}

static void
test_dead_hops_wait_longer_each_time(void **state)
{
	struct hop_fixture f;
	struct hop *hop;
	uint64_t now = 1000, expected = HOP_RETRY_MIN;

	(void)state;
	hops_setup(&f, BALANCE_FAILOVER, 1, NULL, 0);
	hop = f.hops.hop[0];
	for (unsigned i = 0; i < 12; i++) {
		assert_true(hop_failed(&f.hops, hop, now, "connection refused"));
		assert_string_equal(hop->error, "connection refused");
		assert_in_range(hop->dead_until - now, expected * 9 / 10, expected * 11 / 10);
		assert_int_equal(hops_next_probe(&f.hops), hop->dead_until);
		assert_null(hops_to_probe(&f.hops, hop->dead_until - 1));
		now = hop->dead_until;
		assert_ptr_equal(hops_to_probe(&f.hops, now), hop);
		hop_probe(hop);
		assert_null(hops_to_probe(&f.hops, now));
		expected = expected * 2 > HOP_RETRY_MAX ? HOP_RETRY_MAX : expected * 2;
		if (i == 5)
			hop_established(hop); /* answers, but no transaction: the row goes on */
	}
	hop_established(hop);
	hop_transacted(hop);
	assert_true(hop_failed(&f.hops, hop, now, "again"));
	assert_in_range(hop->dead_until - now, HOP_RETRY_MIN * 9 / 10, HOP_RETRY_MIN * 11 / 10);
	hops_fini(&f.hops);
}

static void
test_short_queue_times_shorten_a_dead_hops_wait(void **state)
{
	struct hop_fixture f;

	(void)state;
	hops_setup(&f, BALANCE_FAILOVER, 1, NULL, 0);
	hops_fini(&f.hops);
	hops_init(&f.hops, &f.route, &(struct queue_settings){ .retry_min = 1, .retry_max = 2 });
	kill_hop(&f, 0, 1000);
	assert_in_range(f.hops.hop[0]->dead_until, 1900, 2100);
	hops_fini(&f.hops);
}

static void
test_concurrency_grows_with_success_and_halves_with_refusal(void **state)
{
	struct hop_fixture f;
	struct hop *hop;
	unsigned transactions = 0;

	(void)state;
	hops_setup(&f, BALANCE_FAILOVER, 1, NULL, 0);
	hop = f.hops.hop[0];
	assert_int_equal(hop_room(hop, 0), HOP_START_LIMIT);
	hop->conns = 3;
	assert_int_equal(hop_room(hop, 0), HOP_START_LIMIT - 3);
	while (hop->limit < 20000 && transactions < 1000) {
		hop_transacted(hop);
		transactions++;
	}
	assert_in_range(transactions, 100, 300);
	hop->conns = 20;
	assert_false(hop_failed(&f.hops, hop, 1000, "421 too many connections")); /* others work: it is alive */
	assert_int_equal(hop->state, HOP_UNUSED);
	assert_int_equal(hop->limit, 10000);
	hop->conns = 4;
	assert_int_equal(hop_room(hop, 1000), 0); /* calm */
	assert_int_equal(hop_room(hop, 1000 + HOP_CALM), 6);
	for (unsigned i = 0; i < 20; i++)
		hop_shrink(hop, 1000);
	assert_int_equal(hop->limit, 1000);
	hop->conns = 0;
	assert_int_equal(hop_room(hop, 1000), 1);
	hops_fini(&f.hops);
}

/* ---- transactions: a script of replies, and what comes of it ---- */

enum { MAX_RCPT = 250 };

struct tx_fixture {
	struct arena *arena;
	struct message message;
	struct recipient rcpt[MAX_RCPT];
	struct rcpt_state state[MAX_RCPT];
	struct errand errand;
	struct transaction t;
	struct buf out;
};

static void
tx_setup(struct tx_fixture *f, unsigned count, bool pipelined)
{
	memset(f, 0, sizeof(*f));
	f->arena = arena_new(0);
	f->message = (struct message){ .sender = "s@example.com", .rcpt = f->rcpt, .rcpt_count = count, .size = 1234 };
	f->errand.loaded = (struct loaded){ .message = &f->message, .rcpt = f->state, .count = count,
		.arena = f->arena };
	f->errand.rcpt = xcalloc(count, sizeof(*f->errand.rcpt));
	f->errand.count = count;
	for (unsigned i = 0; i < count; i++) {
		f->rcpt[i].address = arena_printf(f->arena, "r%u@example.net", i);
		f->state[i].index = f->errand.rcpt[i].state = i;
	}
	transaction_begin(&f->t, &f->errand, pipelined, false);
}

static void
tx_teardown(struct tx_fixture *f)
{
	free(f->errand.rcpt);
	arena_free(&f->arena);
	buf_fini(&f->out);
}

static enum transaction_step
answer(struct tx_fixture *f, const char *line)
{
	char text[600];
	struct reply reply;
	size_t used;

	snprintf(text, sizeof(text), "%s\r\n", line);
	reply_init(&reply);
	assert_int_equal(reply_feed(&reply, text, strlen(text), &used), REPLY_DONE);
	return transaction_reply(&f->t, &reply);
}

/* One letter a recipient. */
static const char *
fates(struct tx_fixture *f)
{
	static char text[MAX_RCPT + 1];

	for (unsigned i = 0; i < f->errand.count; i++)
		text[i] = "-saADTF"[f->errand.rcpt[i].fate];
	text[f->errand.count] = '\0';
	return text;
}

/* `-` not tried, `A` again, `D` delivered, `T` put off, `F` failed; the final step as a letter: Over, Broken,
 * Closing, Empty (a lone dot was sent). */
static const struct tx_case {
	const char *name;
	unsigned rcpt;
	const char *replies[10]; /* "@": content was sent here */
	char end;
	const char *fates;
	bool hop_fault;
} tx_cases[] = {
	{ "all well", 2, { "250 ok", "250 ok", "250 ok", "354 go", "250 queued" }, 'O', "DD", false },
	{ "251 and 252 are accepted", 2, { "250 ok", "251 will forward", "252 maybe", "354 go", "250 ok" }, 'O', "DD",
	    false },
	{ "one recipient refused", 2, { "250 ok", "550 5.1.1 no", "250 ok", "354 go", "250 ok" }, 'O', "FD", false },
	{ "each recipient its own fate", 3, { "250 ok", "450 later", "250 ok", "550 no", "354 go", "250 ok" }, 'O',
	    "TDF", false },
	{ "all recipients refused, DATA refused", 2, { "250 ok", "550 no", "450 later", "503 none" }, 'O', "FT", false },
	{ "all recipients refused, 354 all the same", 2, { "250 ok", "550 no", "550 no", "354 go" }, 'E', "FF", false },
	{ "MAIL refused, the rest follows", 2, { "550 5.7.1 no", "503 what", "503 what", "503 what" }, 'O', "FF", false },
	{ "MAIL put off", 1, { "451 4.7.1 later", "503 what", "503 what" }, 'O', "T", false },
	{ "MAIL refused, 354 all the same", 1, { "550 no", "503 what", "354 go" }, 'E', "F", false },
	{ "MAIL refused, RCPT taken, 354: nonsense", 1, { "550 no", "250 ok", "354 go" }, 'B', "F", false },
	{ "DATA refused", 2, { "250 ok", "250 ok", "550 no", "451 4.3.0 not now" }, 'O', "TF", false },
	{ "DATA refused for good", 1, { "250 ok", "250 ok", "554 5.6.0 no" }, 'O', "F", false },
	{ "the message refused", 2, { "250 ok", "250 ok", "450 later", "354 go", "554 5.7.1 spam" }, 'O', "FT", false },
	{ "the message put off", 1, { "250 ok", "250 ok", "354 go", "451 4.3.0 later" }, 'O', "T", false },
	{ "354 to the end of the message", 1, { "250 ok", "250 ok", "354 go", "354 go" }, 'B', "T", false },
	{ "250 to DATA", 1, { "250 ok", "250 ok", "250 ok" }, 'B', "T", false },
	{ "221 to MAIL", 1, { "221 bye" }, 'B', "T", false },
	{ "221 to the end", 1, { "250 ok", "250 ok", "354 go", "221 bye" }, 'B', "T", false },
	{ "354 to MAIL", 1, { "354 go" }, 'B', "T", false },
	{ "354 to RCPT", 2, { "250 ok", "250 ok", "354 go" }, 'B', "TT", false },
	{ "334 to DATA", 1, { "250 ok", "250 ok", "334 VXNlcg==" }, 'B', "T", false },
	{ "421 to MAIL is about the server", 2, { "421 leaving" }, 'C', "--", true },
	{ "452 4.3.1 to MAIL is about the server", 1, { "452 4.3.1 disk full" }, 'C', "-", true },
	{ "452 to MAIL without more is about the message", 1, { "452 no", "503 x", "503 x" }, 'O', "T", false },
	{ "421 to RCPT", 3, { "250 ok", "550 no", "421 4.7.0 leaving" }, 'C', "FTT", false },
	{ "421 to DATA", 2, { "250 ok", "250 ok", "550 no", "421 leaving" }, 'C', "TF", false },
	{ "421 to the end", 2, { "250 ok", "250 ok", "550 no", "354 go", "421 leaving" }, 'C', "TF", false },
	{ "552 behind accepted ones is too many", 3, { "250 ok", "250 ok", "552 too many", "552 5.5.3 too many", "354 go",
	    "250 ok" }, 'O', "DAA", false },
	{ "452 4.5.3 too", 2, { "250 ok", "250 ok", "452 4.5.3 too many", "354 go", "250 ok" }, 'O', "DA", false },
	{ "552 5.2.2 is a full mailbox", 2, { "250 ok", "250 ok", "552 5.2.2 full", "354 go", "250 ok" }, 'O', "DF",
	    false },
	{ "552 to the first is its own", 2, { "250 ok", "552 no", "250 ok", "354 go", "250 ok" }, 'O', "FD", false },
	{ "too many, and the message put off", 2, { "250 ok", "250 ok", "452 too many", "354 go", "451 later" }, 'O',
	    "TA", false },
};

/* The same cases step by step: a peer without pipelining is not asked what has no sense any more. */
static char
run_script(struct tx_fixture *f, const struct tx_case *tc)
{
	enum transaction_step step = STEP_WAIT;

	transaction_commands(&f->t, 0, &f->out);
	for (unsigned i = 0; tc->replies[i] != NULL; i++) {
		step = answer(f, tc->replies[i]);
		if (step == STEP_COMMAND)
			transaction_commands(&f->t, 0, &f->out);
		else if (step == STEP_CONTENT)
			transaction_sent(&f->t);
		else if (step != STEP_WAIT) {
			if (f->t.pipelined)
				assert_null(tc->replies[i + 1]);
			break;
		}
	}
	return "?WWWEOCB"[step];
}

static void
test_transactions_pipelined(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(tx_cases) / sizeof(*tx_cases); i++) {
		const struct tx_case *tc = &tx_cases[i];
		struct tx_fixture f;
		char end;

		tx_setup(&f, tc->rcpt, true);
		end = run_script(&f, tc);
		if (end == 'B' || (end == 'C' && !f.t.hop_fault))
			transaction_defer(&f.t, "broken");
		if (end != tc->end || strcmp(fates(&f), tc->fates) != 0 || f.t.hop_fault != tc->hop_fault)
			fail_msg("%s: ended %c with %s", tc->name, end, fates(&f));
		tx_teardown(&f);
	}
}

static void
test_transactions_step_by_step(void **state)
{
	static const struct tx_case cases[] = {
		{ "all well", 2, { "250 ok", "250 ok", "250 ok", "354 go", "250 queued" }, 'O', "DD", false },
		{ "MAIL refused ends it", 2, { "550 no" }, 'O', "FF", false },
		{ "all recipients refused: no DATA", 2, { "250 ok", "550 no", "450 later" }, 'O', "FT", false },
		{ "some refused", 2, { "250 ok", "550 no", "250 ok", "354 go", "250 ok" }, 'O', "FD", false },
		{ "421 to MAIL", 2, { "421 leaving" }, 'C', "--", true },
		{ "250 to DATA", 1, { "250 ok", "250 ok", "250 ok" }, 'B', "a", false },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct tx_fixture f;
		char end;

		tx_setup(&f, cases[i].rcpt, false);
		end = run_script(&f, &cases[i]);
		if (end != cases[i].end || strcmp(fates(&f), cases[i].fates) != 0)
			fail_msg("%s: ended %c with %s", cases[i].name, end, fates(&f));
		tx_teardown(&f);
	}
}

/* RFC 2033 4.2: behind the end of the message one reply for each recipient that was accepted, in their order. */
static void
test_lmtp_answers_the_end_for_each_recipient(void **state)
{
	static const struct tx_case cases[] = {
		{ "all well", 2, { "250 ok", "250 ok", "250 ok", "354 go", "250 ok", "250 ok" }, 'O', "DD", false },
		{ "each its own fate", 3, { "250 ok", "250 ok", "250 ok", "250 ok", "354 go", "250 ok",
		    "452 4.2.2 full", "550 5.7.1 no" }, 'O', "DTF", false },
		{ "refused ones have none", 4, { "250 ok", "550 no", "250 ok", "450 later", "250 ok", "354 go",
		    "452 full", "250 ok" }, 'O', "FTTD", false },
		{ "none accepted, DATA refused", 2, { "250 ok", "550 no", "550 no", "503 none" }, 'O', "FF", false },
		{ "none accepted, 354 all the same", 1, { "250 ok", "550 no", "354 go" }, 'E', "F", false },
		{ "421 in between", 3, { "250 ok", "250 ok", "250 ok", "250 ok", "354 go", "250 ok", "421 leaving" },
		    'C', "DTT", false },
		{ "rubbish in between", 3, { "250 ok", "250 ok", "250 ok", "250 ok", "354 go", "550 no", "354 go" },
		    'B', "FTT", false },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct tx_fixture f;
		char end;

		tx_setup(&f, cases[i].rcpt, true);
		f.t.lmtp = true;
		end = run_script(&f, &cases[i]);
		if (end == 'B' || end == 'C')
			transaction_defer(&f.t, "broken");
		if (end != cases[i].end || strcmp(fates(&f), cases[i].fates) != 0)
			fail_msg("%s: ended %c with %s", cases[i].name, end, fates(&f));
		tx_teardown(&f);
	}
}

static void
test_commands_of_a_pipelined_transaction(void **state)
{
	struct tx_fixture f;

	(void)state;
	tx_setup(&f, 2, true);
	f.message.flags = MESSAGE_8BITMIME;
	f.t.await = AWAIT_RSET;
	transaction_commands(&f.t, HOP_OFFERS_SIZE | HOP_OFFERS_8BITMIME, &f.out);
	assert_string_equal(buf_str(&f.out), "RSET\r\nMAIL FROM:<s@example.com> SIZE=1234 BODY=8BITMIME\r\n"
	    "RCPT TO:<r0@example.net>\r\nRCPT TO:<r1@example.net>\r\nDATA\r\n");
	tx_teardown(&f);
}

static void
test_parameters_only_where_offered(void **state)
{
	struct tx_fixture f;

	(void)state;
	tx_setup(&f, 1, true);
	f.message.flags = MESSAGE_8BITMIME;
	f.message.sender = "";
	f.message.ret = 'H';
	f.message.envid = "QQ314";
	f.rcpt[0].notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
	f.rcpt[0].orcpt = "rfc822;x@example.org";
	transaction_commands(&f.t, 0, &f.out);
	assert_string_equal(buf_str(&f.out), "MAIL FROM:<>\r\nRCPT TO:<r0@example.net>\r\nDATA\r\n");
	f.out.len = 0;
	transaction_commands(&f.t, HOP_OFFERS_DSN, &f.out);
	assert_string_equal(buf_str(&f.out), "MAIL FROM:<> RET=HDRS ENVID=QQ314\r\n"
	    "RCPT TO:<r0@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@example.org\r\nDATA\r\n");
	tx_teardown(&f);
}

static void
test_many_recipients_go_in_several_transactions(void **state)
{
	struct tx_fixture f;
	struct transaction second, third;

	(void)state;
	tx_setup(&f, 250, true);
	assert_int_equal(f.t.count, TRANSACTION_RCPT_MAX);
	transaction_begin(&second, &f.errand, true, false);
	transaction_begin(&third, &f.errand, true, false);
	assert_int_equal(second.first, 100);
	assert_int_equal(third.first, 200);
	assert_int_equal(third.count, 50);
	assert_int_equal(f.errand.open, 3);
	assert_int_equal(f.errand.next, 250);
	tx_teardown(&f);
}

static void
test_an_undone_transaction_leaves_no_trace(void **state)
{
	struct tx_fixture f;

	(void)state;
	tx_setup(&f, 3, true);
	transaction_commands(&f.t, 0, &f.out);
	assert_int_equal(answer(&f, "250 ok"), STEP_WAIT);
	assert_int_equal(answer(&f, "250 ok"), STEP_WAIT);
	transaction_undo(&f.t);
	assert_string_equal(fates(&f), "---");
	tx_teardown(&f);
}

static void
test_reasons_are_kept_for_each_recipient(void **state)
{
	struct tx_fixture f;

	(void)state;
	tx_setup(&f, 2, true);
	transaction_commands(&f.t, 0, &f.out);
	answer(&f, "250 ok");
	answer(&f, "550 5.1.1 nobody here");
	answer(&f, "250 ok");
	answer(&f, "354 go");
	transaction_sent(&f.t);
	answer(&f, "452 4.2.2 full");
	assert_string_equal(f.errand.rcpt[0].reply, "550 5.1.1 nobody here");
	assert_string_equal(f.errand.rcpt[1].reply, "452 4.2.2 full");
	tx_teardown(&f);
}

/* ---- ourselves ---- */

static bool
is_own(const char *listener, const char *text)
{
	struct addr at, a;
	struct listener_settings l = { .address = &at, .address_count = 1 };
	const struct settings s = { .hostname = "mx.example.net", .listener = &l, .listener_count = 1 };
	struct err err;

	assert_int_equal(addr_parse(listener, 0, &at, &err), 0);
	assert_int_equal(addr_parse(text, 0, &a, &err), 0);
	return own_address(&s, &a);
}

static void
test_we_know_ourselves_by_name_address_and_port(void **state)
{
	const struct settings s = { .hostname = "mx.example.net" };
	struct ifaddrs *list, *i;

	(void)state;
	assert_true(own_name(&s, "MX.Example.net"));
	assert_false(own_name(&s, "mx2.example.net"));
	assert_true(is_own("127.0.0.1:25", "127.0.0.1:25"));
	assert_false(is_own("127.0.0.1:25", "127.0.0.1:26"));
	assert_false(is_own("127.0.0.1:25", "127.0.0.2:25"));
	assert_true(is_own("0.0.0.0:25", "127.0.0.2:25"));
	assert_true(is_own(":25", "127.0.0.2:25"));
	assert_true(is_own(":25", "[::1]:25"));
	assert_false(is_own("0.0.0.0:25", "[::1]:25"));
	assert_false(is_own(":25", "192.0.2.1:25"));
	assert_false(is_own(":25", "[2001:db8::1]:25"));
	assert_true(is_own("192.0.2.1:25", "0.0.0.0:25"));
	assert_int_equal(getifaddrs(&list), 0);
	for (i = list; i != NULL; i = i->ifa_next) {
		char text[ADDR_TEXT], ip[INET_ADDRSTRLEN];

		if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET || !(i->ifa_flags & IFF_UP))
			continue;
		inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr, ip, sizeof(ip));
		snprintf(text, sizeof(text), "%s:25", ip);
		if (!is_own(":25", text))
			fail_msg("%s", text);
	}
	freeifaddrs(list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_double_with_jitter_up_to_the_largest),
		cmocka_unit_test(test_the_last_attempt_is_at_the_end_of_life),
		cmocka_unit_test(test_one_delay_warning),
		cmocka_unit_test(test_failover_uses_the_first_alive),
		cmocka_unit_test(test_round_robin_keeps_the_weights),
		cmocka_unit_test(test_round_robin_is_smooth),
		cmocka_unit_test(test_spill_passes_over_busy_hops_only),
		cmocka_unit_test(test_silent_hops_stand_behind_backups),
		cmocka_unit_test(test_dead_hops_wait_longer_each_time),
		cmocka_unit_test(test_short_queue_times_shorten_a_dead_hops_wait),
		cmocka_unit_test(test_concurrency_grows_with_success_and_halves_with_refusal),
		cmocka_unit_test(test_transactions_pipelined),
		cmocka_unit_test(test_transactions_step_by_step),
		cmocka_unit_test(test_lmtp_answers_the_end_for_each_recipient),
		cmocka_unit_test(test_commands_of_a_pipelined_transaction),
		cmocka_unit_test(test_parameters_only_where_offered),
		cmocka_unit_test(test_many_recipients_go_in_several_transactions),
		cmocka_unit_test(test_an_undone_transaction_leaves_no_trace),
		cmocka_unit_test(test_reasons_are_kept_for_each_recipient),
		cmocka_unit_test(test_we_know_ourselves_by_name_address_and_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
