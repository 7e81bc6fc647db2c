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
		cmocka_unit_test(a_message_without_recipients_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
