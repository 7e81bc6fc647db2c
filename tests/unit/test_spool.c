/* SPDX-License-Identifier: MIT */
#include "spool_rig.h"
#include "util/arena.h"
#include "util/check.h"
#include "util/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const char *const one_key[] = { "domain:example.net" };
static const char *const three_keys[] = { "domain:a.example", "domain:b.example", "route:c" };

static bool
no_messages(struct rig *r, void *arg)
{
	struct spool_stats s;

	(void)arg;
	spool_stats(r->spool, &s);
	return s.messages == 0 && s.entries == 0 && s.memory == 0;
}

static void
a_committed_message_is_delivered_and_gone(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	rig_start(&r);
	assert_true(rig_commit(&r, 0, 4000, 1, one_key, 1) != 0);
	rig_until(no_messages, &r, NULL, "the message to go");
	assert_int_equal(r.attempts, 1);
	rig_stop(&r);
	rig_fini(&r);
}

static void
every_group_has_its_entry_on_the_loop_of_its_key(void **state)
{
	struct spool_stats s;
	struct rig r;

	(void)state;
	rig_init(&r);
	r.loops = 3;
	r.paused = true;
	rig_start(&r);
	assert_true(rig_commit(&r, 1, 100, 7, three_keys, 3) != 0);
	rig_until_entries(&r, 3);
	spool_stats(r.spool, &s);
	assert_int_equal(s.messages, 1);
	assert_int_equal(s.due, 3);
	rig_stop(&r);
	rig_fini(&r);
}

/* Even recipients are delivered at once, odd ones at the third attempt. */
static enum fate
third_time(struct rig *r, struct entry *e, struct loaded *l, struct outcome *o, struct rcpt_state *rcpt)
{
	unsigned i;

	check(rig_content_ok(r->spool, l->message));
	check(entry_attempts(e) == 0 || strcmp(l->last_peer, "192.0.2.9") == 0);
	o->peer = "192.0.2.9";
	for (i = 0; i < o->count; i++) {
		check(entry_attempts(e) == 0 || strcmp(rcpt[i].reply, "450 later still") == 0);
		check(entry_attempts(e) == 0 || rcpt[i].index % 2 == 1);
		rcpt[i].reply = (char *)(uintptr_t)"450 later\nstill";
		if (rcpt[i].index % 2 == 0 || entry_attempts(e) == 2)
			rcpt[i].status = RCPT_DELIVERED;
	}
	o->next_attempt = clock_wall();
	return FATE_FINISH;
}

static void
deferred_recipients_keep_their_state_and_come_again(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	r.fate = third_time;
	rig_start(&r);
	assert_true(rig_commit(&r, 0, 9000, 5, one_key, 1) != 0);
	rig_until(no_messages, &r, NULL, "the third attempt");
	assert_int_equal(r.attempts, 3);
	assert_int_equal(r.load_failures, 0);
	rig_stop(&r);
	rig_fini(&r);
}

static enum fate
later(struct rig *r, struct entry *e, struct loaded *l, struct outcome *o, struct rcpt_state *rcpt)
{
	check(rig_content_ok(r->spool, l->message));
	check(l->message->rcpt_count == 3 && strcmp(l->message->sender, "sender@example.org") == 0);
	if (entry_attempts(e) == 0) {
		rcpt[1].status = RCPT_DELIVERED;
		rcpt[2].status = RCPT_FAILED;
		rcpt[2].reply = (char *)(uintptr_t)"550 5.1.1 no";
	} else {
		check(o->count == 1 && rcpt[0].index == 0 && l->rcpt[1].status == RCPT_DELIVERED);
		check(l->rcpt[2].status == RCPT_FAILED && strcmp(l->rcpt[2].reply, "550 5.1.1 no") == 0);
		check(strcmp(l->last_peer, "192.0.2.7") == 0);
		if (r->user != NULL)
			rcpt[0].status = RCPT_DELIVERED;
	}
	o->peer = "192.0.2.7";
	o->next_attempt = r->user != NULL ? clock_wall() : clock_wall() + 3600;
	return FATE_FINISH;
}

static bool
one_deferred(struct rig *r, void *arg)
{
	struct spool_stats s;

	(void)arg;
	spool_stats(r->spool, &s);
	return s.deferred == 1 && s.entries == 1;
}

static void
a_deferred_message_survives_restarts_with_its_recipients_states(void **state)
{
	struct spool_walk *w;
	struct entry_info info[2];
	struct rig r;
	uint64_t id;
	int i;

	(void)state;
	rig_init(&r);
	r.fate = later;
	rig_start(&r);
	id = rig_commit(&r, 0, 5000, 3, one_key, 1);
	rig_until(one_deferred, &r, NULL, "deferral");
	for (i = 0; i < 3; i++) {
		rig_stop(&r);
		rig_start(&r);
		assert_true(one_deferred(&r, NULL));
		w = spool_walk_begin(r.spool);
		assert_int_equal(spool_walk_next(w, info, 2), 1);
		assert_true(info[0].id == id && info[0].state == ENTRY_DEFERRED && info[0].attempts == 1);
		assert_true(info[0].rcpt_count == 3 && info[0].rcpt_pending == 1 && info[0].size == 5000);
		assert_true(info[0].next_attempt > clock_wall() + 3500);
		assert_string_equal(info[0].key, one_key[0]);
		assert_int_equal(spool_walk_next(w, info, 2), 0);
		spool_walk_end(&w);
	}
	r.user = &r;
	assert_int_equal(spool_act(r.spool, id, NULL, SPOOL_RETRY, NULL, NULL), 1);
	rig_until(no_messages, &r, NULL, "delivery after the restart");
	rig_stop(&r);
	rig_start(&r);
	assert_true(no_messages(&r, NULL));
	assert_int_equal(r.attempts, 2);
	rig_stop(&r);
	rig_fini(&r);
}

static void
a_message_without_recipients_is_refused(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	rig_start(&r);
	assert_true(rig_commit(&r, 0, 10, 0, one_key, 1) == 0);
	rig_stop(&r);
	rig_fini(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_committed_message_is_delivered_and_gone),
		cmocka_unit_test(every_group_has_its_entry_on_the_loop_of_its_key),
		cmocka_unit_test(deferred_recipients_keep_their_state_and_come_again),
		cmocka_unit_test(a_deferred_message_survives_restarts_with_its_recipients_states),
		cmocka_unit_test(a_message_without_recipients_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
