/* SPDX-License-Identifier: MIT */
#include "spool_rig.h"
#include "spool/store.h"
#include "util/arena.h"
#include "util/check.h"
#include "util/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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
	check(strcmp(l->message->login, "user@example.org") == 0);
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

/* ---- operating ---- */

static bool
state_counts(struct rig *r, void *arg)
{
	const uint64_t *want = arg; /* due, active, deferred, held */
	struct spool_stats s;

	spool_stats(r->spool, &s);
	return s.due == want[0] && s.active == want[1] && s.deferred == want[2] && s.held == want[3];
}

static void
await_counts(struct rig *r, uint64_t due, uint64_t active, uint64_t deferred, uint64_t held)
{
	uint64_t want[4] = { due, active, deferred, held };

	rig_until(state_counts, r, want, "the states of entries");
}

static enum fate
keep(struct rig *r, struct entry *e, struct loaded *l, struct outcome *o, struct rcpt_state *rcpt)
{
	(void)l;
	(void)o;
	(void)rcpt;
	r->user = e;
	return FATE_KEEP;
}

static void
finish_kept(void *arg)
{
	struct rig *r = arg;
	struct rcpt_state rcpt = { .status = RCPT_PENDING };
	struct outcome o = { .rcpt = &rcpt, .count = 1, .next_attempt = clock_wall() + 100, .count_attempt = true };

	entry_finish(r->user, &o);
}

static void
held_is_held_over_a_restart_until_released(void **state)
{
	struct spool_detail d;
	struct err err;
	struct rig r;
	uint64_t id;

	(void)state;
	rig_init(&r);
	r.paused = true;
	rig_start(&r);
	id = rig_commit(&r, 0, 1000, 2, one_key, 1);
	rig_until_entries(&r, 1);
	assert_int_equal(spool_act(r.spool, id, NULL, SPOOL_RELEASE, NULL, &err), 0);
	assert_int_equal(spool_act(r.spool, id, "other", SPOOL_HOLD, "x", &err), 0);
	assert_int_equal(spool_act(r.spool, id + 99, NULL, SPOOL_HOLD, "x", &err), -1);
	assert_int_equal(spool_act(r.spool, id, one_key[0], SPOOL_HOLD, "suspicious", &err), 1);
	assert_int_equal(spool_inspect(r.spool, id, true, &d, &err), 0);
	assert_string_equal(d.hold_reason, "suspicious");
	assert_true(rig_content_ok(r.spool, d.message));
	assert_int_equal(d.count, 2);
	spool_detail_fini(&d);
	rig_stop(&r);
	r.paused = false;
	rig_start(&r);
	await_counts(&r, 0, 0, 0, 1);
	assert_int_equal(spool_act(r.spool, id, NULL, SPOOL_RETRY, NULL, &err), 0);
	assert_int_equal(spool_inspect(r.spool, id, false, &d, &err), 0);
	assert_string_equal(d.hold_reason, "suspicious");
	assert_null(d.message->first);
	assert_int_equal(d.message->size, 1000);
	spool_detail_fini(&d);
	assert_int_equal(spool_act(r.spool, id, NULL, SPOOL_RELEASE, NULL, &err), 1);
	rig_until(no_messages, &r, NULL, "delivery");
	assert_int_equal(spool_inspect(r.spool, id, false, &d, &err), -1);
	rig_stop(&r);
	rig_fini(&r);
}

static void
acts_on_an_active_entry_apply_when_its_attempt_ends(void **state)
{
	static const struct {
		enum spool_action action;
		int changed;
		uint64_t after[4];
	} row[] = {
		{ SPOOL_RETRY, 0, { 0, 0, 1, 0 } },
		{ SPOOL_HOLD, 1, { 0, 0, 0, 1 } },
		{ SPOOL_RELEASE, 0, { 0, 0, 1, 0 } },
		{ SPOOL_DROP, 1, { 0, 0, 0, 0 } },
	};
	struct rig r;
	uint64_t id;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof row / sizeof *row; i++) {
		rig_init(&r);
		r.fate = keep;
		rig_start(&r);
		id = rig_commit(&r, 0, 1000, 1, one_key, 1);
		await_counts(&r, 0, 1, 0, 0);
		assert_int_equal(spool_act(r.spool, id, NULL, row[i].action, "asked", NULL), row[i].changed);
		await_counts(&r, 0, 1, 0, 0);
		rig_run(&r, 0, finish_kept, &r);
		await_counts(&r, row[i].after[0], row[i].after[1], row[i].after[2], row[i].after[3]);
		rig_stop(&r);
		r.paused = true;
		rig_start(&r);
		await_counts(&r, row[i].after[0], row[i].after[1], row[i].after[2], row[i].after[3]);
		rig_stop(&r);
		rig_fini(&r);
	}
}

static enum fate
bounce_if_wanted(struct rig *r, struct entry *e, struct loaded *l, struct outcome *o, struct rcpt_state *rcpt)
{
	unsigned i;

	if ((l->message->flags & MESSAGE_BOUNCE) != 0) {
		check(l->message->rcpt_count == 1);
		for (i = 0; i < o->count; i++)
			rcpt[i].status = RCPT_DELIVERED;
		return FATE_FINISH;
	}
	if (!entry_bounce_wanted(e)) {
		o->next_attempt = clock_wall() + 1000;
		rcpt[0].reply = (char *)(uintptr_t)"451 wait";
		return FATE_FINISH;
	}
	for (i = 0; i < o->count; i++)
		rcpt[i].status = RCPT_FAILED;
	o->report = rig_message(r, 700, 1, three_keys, 1);
	o->report->flags |= MESSAGE_BOUNCE;
	return FATE_FINISH;
}

static void
a_bounce_is_one_transaction_with_the_end_of_its_message(void **state)
{
	struct spool_stats s;
	struct rig r;
	uint64_t id;

	(void)state;
	rig_init(&r);
	r.fate = bounce_if_wanted;
	r.loops = 2;
	rig_start(&r);
	id = rig_commit(&r, 0, 1000, 2, one_key, 1);
	await_counts(&r, 0, 0, 1, 0);
	assert_int_equal(spool_act(r.spool, id, NULL, SPOOL_BOUNCE, NULL, NULL), 1);
	rig_until(no_messages, &r, NULL, "the bounce to be delivered");
	assert_int_equal(r.attempts, 3);
	spool_stats(r.spool, &s);
	assert_int_equal(s.commits, 1);
	rig_stop(&r);
	rig_fini(&r);
}

static void
a_wanted_bounce_survives_a_restart(void **state)
{
	struct rig r;
	uint64_t id;

	(void)state;
	rig_init(&r);
	r.paused = true;
	rig_start(&r);
	id = rig_commit(&r, 0, 1000, 1, one_key, 1);
	rig_until_entries(&r, 1);
	assert_int_equal(spool_act(r.spool, id, NULL, SPOOL_BOUNCE, NULL, NULL), 1);
	rig_stop(&r);
	r.paused = false;
	r.fate = bounce_if_wanted;
	rig_start(&r);
	rig_until(no_messages, &r, NULL, "the bounce to be delivered");
	assert_int_equal(r.attempts, 2);
	rig_stop(&r);
	rig_fini(&r);
}

/* ---- queues that come and go ---- */

static enum fate
drop_when_empty(struct rig *r, struct entry *e, struct loaded *l, struct outcome *o, struct rcpt_state *rcpt)
{
	(void)r;
	(void)o;
	check(l->count == 1 && !queue_is_empty(entry_queue(e)));
	rcpt[0].status = RCPT_DELIVERED;
	return FATE_FINISH;
}

static void
drop_queues(void *arg)
{
	struct rig *r = arg;
	struct port *p = &r->spool->port[0];

	list_each_safe(link, &p->queue_list) {
		struct queue *q = list_entry(link, struct queue, all);

		assert_true(queue_is_empty(q));
		queue_set_user(q, NULL);
		queue_drop(q);
	}
	assert_true(list_empty(&p->queue_list));
}

/* Delivery by MX has a queue for every domain mail was ever sent to. */
static void
an_empty_queue_is_dropped_and_comes_again(void **state)
{
	struct rig r;
	unsigned i;

	(void)state;
	rig_init(&r);
	r.fate = drop_when_empty;
	rig_start(&r);
	for (i = 0; i < 3; i++) {
		rig_commit(&r, 0, 1000, 1, one_key, 1);
		rig_until(no_messages, &r, NULL, "the delivery");
		rig_run(&r, 0, drop_queues, &r);
	}
	assert_int_equal(r.attempts, 3);
	rig_stop(&r);
	rig_fini(&r);
}

/* ---- routes ---- */

static const char *const new_key[] = { "domain:new.example", "domain:newer.example", "domain:newest.example",
	"domain:else.example", "domain:more.example" };

static enum fate
move_on(struct rig *r, struct entry *e, struct loaded *l, struct outcome *o, struct rcpt_state *rcpt)
{
	const char *now = queue_key(entry_queue(e));
	unsigned i;

	(void)r;
	check(l->count == 1);
	for (i = 0; i < 5; i++)
		if (strcmp(now, new_key[i]) == 0)
			break;
	if (strcmp(now, one_key[0]) == 0)
		o->peer = new_key[0];
	else if (i < 4)
		o->peer = new_key[i + 1];
	else if (r->user != NULL) {
		rcpt[0].status = RCPT_DELIVERED;
		return FATE_FINISH;
	} else {
		o->next_attempt = clock_wall() + 1000;
		return FATE_FINISH;
	}
	return FATE_REKEY;
}

static void
a_rekeyed_entry_moves_between_loops_and_stays_moved(void **state)
{
	struct entry_info info;
	struct spool_walk *w;
	struct rig r;
	uint64_t id;

	(void)state;
	rig_init(&r);
	r.loops = 3;
	r.fate = move_on;
	rig_start(&r);
	id = rig_commit(&r, 0, 1000, 1, one_key, 1);
	await_counts(&r, 0, 0, 1, 0);
	rig_stop(&r);
	r.user = &r;
	rig_start(&r);
	w = spool_walk_begin(r.spool);
	assert_int_equal(spool_walk_next(w, &info, 1), 1);
	assert_string_equal(info.key, new_key[4]);
	spool_walk_end(&w);
	assert_int_equal(spool_act(r.spool, id, new_key[4], SPOOL_RETRY, NULL, NULL), 1);
	rig_until(no_messages, &r, NULL, "delivery behind the last key");
	assert_int_equal(r.attempts, 7);
	rig_stop(&r);
	rig_fini(&r);
}

/* ---- order ---- */

static enum fate
note_order(struct rig *r, struct entry *e, struct loaded *l, struct outcome *o, struct rcpt_state *rcpt)
{
	uint64_t *last = r->user;

	(void)l;
	check(entry_id(e) > *last);
	*last = entry_id(e);
	if (r->attempts == 3) {
		(*last)--; /* it is given back, first in line, and comes again */
		return FATE_RETURN;
	}
	rcpt[0].status = RCPT_DELIVERED;
	o->peer = NULL;
	return FATE_FINISH;
}

static void
take_all(void *arg)
{
	struct rig *r = arg;

	r->paused = false;
}

static void
due_entries_come_in_the_order_of_arrival_also_after_a_restart(void **state)
{
	uint64_t last = 0;
	struct rig r;
	int i;

	(void)state;
	rig_init(&r);
	r.paused = true;
	rig_start(&r);
	for (i = 0; i < 20; i++)
		assert_true(rig_commit(&r, 0, 500, 1, one_key, 1) != 0);
	rig_stop(&r);
	r.paused = false;
	r.fate = note_order;
	r.user = &last;
	rig_start(&r);
	rig_run(&r, 0, take_all, &r);
	/* Delivery knows that it gave one back: a new arrival makes it look again. */
	await_counts(&r, 18, 0, 0, 0);
	rig_stop(&r);
	rig_start(&r);
	rig_until(no_messages, &r, NULL, "all to be delivered");
	rig_stop(&r);
	rig_fini(&r);
}

/* ---- memory ---- */

static enum fate
check_content(struct rig *r, struct entry *e, struct loaded *l, struct outcome *o, struct rcpt_state *rcpt)
{
	unsigned i;

	(void)e;
	check(rig_content_ok(r->spool, l->message));
	for (i = 0; i < o->count; i++)
		rcpt[i].status = RCPT_DELIVERED;
	return FATE_FINISH;
}

static void
beyond_the_cache_messages_are_read_back_equal(void **state)
{
	struct spool_stats s;
	struct rig r;
	int i;

	(void)state;
	rig_init(&r);
	r.config.cache = 20000;
	r.paused = true;
	rig_start(&r);
	for (i = 0; i < 50; i++)
		assert_true(rig_commit(&r, 0, 3000, 1, one_key, 1) != 0);
	rig_until_entries(&r, 50);
	spool_stats(r.spool, &s);
	assert_true(s.memory > 0 && s.memory <= 20000);
	rig_stop(&r);
	r.paused = false;
	r.fate = check_content;
	rig_start(&r);
	rig_until(no_messages, &r, NULL, "all to be delivered");
	assert_int_equal(r.attempts, 50);
	assert_int_equal(r.load_failures, 0);
	rig_stop(&r);
	rig_fini(&r);
}

static void
a_spent_budget_refuses_until_memory_is_free_again(void **state)
{
	struct message *m;
	struct err err;
	struct rig r;

	(void)state;
	rig_init(&r);
	r.config.memory_total = 100000;
	r.config.memory_max = 60000;
	rig_start(&r);
	assert_int_equal(spool_admit(r.spool, 50000, &err), 0);
	assert_int_equal(spool_admit(r.spool, 100001, &err), 0); /* would go to a blob */
	m = rig_message(&r, 40000, 1, one_key, 1);
	assert_int_equal(spool_charge(r.spool, m, 30000), -1); /* above memory_max: a blob */
	assert_int_equal(spool_charge(r.spool, m, 10000), 0);
	assert_int_equal(spool_admit(r.spool, 50001, &err), -1);
	assert_int_equal(spool_admit(r.spool, 1000, &err), 0);
	message_unref(&m);
	assert_int_equal(spool_admit(r.spool, 50001, &err), 0);
	rig_stop(&r);
	rig_fini(&r);
}

/* ---- blobs ---- */

struct big {
	struct rig *rig;
	uint64_t id;
	bool drop;
};

static void
commit_big(void *arg)
{
	struct big *b = arg;
	struct rig *r = b->rig;
	struct message *m = rig_message(r, 30000, 1, one_key, 1);
	static char piece[100000];
	struct err err;
	unsigned i;

	b->id = m->id;
	check(spool_blob_begin(r->spool, m, &err) == 0 && m->first == NULL && m->memory == 0);
	for (i = 0; i < 10; i++) {
		rig_fill(m->id, m->size, piece, sizeof piece);
		check(spool_blob_append(r->spool, m, piece, sizeof piece, &err) == 0);
	}
	check(m->size == 1030000);
	if (b->drop) {
		spool_blob_drop(r->spool, m);
	} else {
		check(spool_blob_end(r->spool, m, &err) == 0);
		check(spool_commit(r->spool, m, &err) == 0);
	}
	message_unref(&m);
}

static unsigned
blob_files(struct rig *r)
{
	char command[400];
	unsigned n = 0;
	FILE *f;

	snprintf(command, sizeof command, "find '%s/blobs' -type f ! -name lock | wc -l", r->path);
	f = popen(command, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

static bool
no_blobs(struct rig *r, void *arg)
{
	(void)arg;
	return blob_files(r) == 0;
}

static void
a_large_message_lives_in_a_blob_until_it_is_done(void **state)
{
	struct big b = { 0 };
	struct rig r;

	(void)state;
	rig_init(&r);
	r.paused = true;
	b.rig = &r;
	rig_start(&r);
	rig_run(&r, 0, commit_big, &b);
	rig_until_entries(&r, 1);
	assert_int_equal(blob_files(&r), 1);
	rig_stop(&r);
	assert_int_equal(blob_files(&r), 1);
	r.paused = false;
	r.fate = check_content;
	rig_start(&r);
	rig_until(no_messages, &r, NULL, "delivery");
	assert_int_equal(r.load_failures, 0);
	rig_until(no_blobs, &r, NULL, "the blob to go");
	b.drop = true;
	rig_run(&r, 0, commit_big, &b);
	rig_until(no_blobs, &r, NULL, "the dropped blob to go");
	rig_stop(&r);
	rig_fini(&r);
}

static void
damage_blob(struct rig *r, const char *how)
{
	char command[500];

	snprintf(command, sizeof command, "f=$(find '%s/blobs' -type f ! -name lock); %s", r->path, how);
	assert_int_equal(system(command), 0);
}

static void
a_cut_or_damaged_blob_is_held_and_never_relayed(void **state)
{
	static const struct {
		const char *how;
		bool at_start; /* noticed then, else by the attempt */
	} row[] = {
		{ "truncate -s 1029999 \"$f\"", true },
		{ "rm \"$f\"", true },
		{ "printf x | dd of=\"$f\" bs=1 seek=500000 conv=notrunc status=none", false },
	};
	struct spool_detail d;
	struct rig r;
	struct big b;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof row / sizeof *row; i++) {
		rig_init(&r);
		r.paused = true;
		rig_start(&r);
		b = (struct big){ .rig = &r };
		rig_run(&r, 0, commit_big, &b);
		rig_until_entries(&r, 1);
		rig_stop(&r);
		damage_blob(&r, row[i].how);
		r.paused = row[i].at_start;
		rig_start(&r);
		await_counts(&r, 0, 0, 0, 1);
		assert_int_equal(r.attempts, 0);
		assert_int_equal(spool_inspect(r.spool, b.id, false, &d, NULL), 0);
		assert_non_null(strstr(d.hold_reason, "blob"));
		spool_detail_fini(&d);
		rig_stop(&r);
		rig_fini(&r);
	}
}

static enum fate
rotten(struct rig *r, struct entry *e, struct loaded *l, struct outcome *o, struct rcpt_state *rcpt)
{
	unsigned i;

	check(rig_content_ok(r->spool, l->message) && o->count == 2);
	for (i = 0; i < 2; i++) {
		rcpt[i].status = i == 0 || entry_attempts(e) > 0 ? RCPT_DELIVERED : RCPT_PENDING;
		rcpt[i].reply = (char *)(uintptr_t)"450 this will rot";
	}
	o->next_attempt = clock_wall() + 1000;
	return FATE_FINISH;
}

static void
recipients_states_that_rotted_hold_the_entry_until_an_operator_decides(void **state)
{
	struct spool_detail d;
	char command[700];
	struct rig r;
	uint64_t id;

	(void)state;
	rig_init(&r);
	r.fate = rotten;
	rig_start(&r);
	id = rig_commit(&r, 0, 1000, 2, one_key, 1);
	await_counts(&r, 0, 0, 1, 0);
	rig_stop(&r);
	snprintf(command, sizeof command, "sed -i 's/this will rot/this did r0t!/' '%s'/0*/*.seg", r.path);
	assert_int_equal(system(command), 0);
	rig_start(&r);
	await_counts(&r, 0, 0, 1, 0);
	assert_int_equal(spool_act(r.spool, id, NULL, SPOOL_RETRY, NULL, NULL), 1);
	await_counts(&r, 0, 0, 0, 1);
	assert_int_equal(r.load_failures, 1);
	assert_int_equal(spool_inspect(r.spool, id, true, &d, NULL), 0);
	assert_true(d.rcpt[0].status == RCPT_PENDING && d.rcpt[1].status == RCPT_PENDING && d.hold_reason != NULL);
	spool_detail_fini(&d);
	assert_int_equal(spool_act(r.spool, id, NULL, SPOOL_RELEASE, NULL, NULL), 1);
	rig_until(no_messages, &r, NULL, "both to be tried again");
	rig_stop(&r);
	rig_fini(&r);
}

static void
a_blob_nobody_names_is_removed_at_start(void **state)
{
	struct big b = { .drop = true };
	char command[700];
	struct rig r;

	(void)state;
	rig_init(&r);
	b.rig = &r;
	rig_start(&r);
	rig_run(&r, 0, commit_big, &b);
	rig_until(no_blobs, &r, NULL, "the dropped blob to go");
	rig_stop(&r);
	snprintf(command, sizeof command, "mkdir -p '%s/blobs/1' && touch '%s/blobs/1/2222222222222'", r.path, r.path);
	assert_int_equal(system(command), 0);
	rig_start(&r);
	rig_stop(&r);
	/* Not one of epoch 1: unknown files are left alone. */
	assert_int_equal(blob_files(&r), 1);
	snprintf(command, sizeof command, "cd '%s/blobs/1' && rm * && touch 2222322222223", r.path);
	assert_int_equal(system(command), 0);
	rig_start(&r);
	assert_int_equal(blob_files(&r), 0);
	rig_stop(&r);
	rig_fini(&r);
}

static void
a_message_that_crashed_the_worker_is_held(void **state)
{
	struct rig r;
	uint64_t id;

	(void)state;
	rig_init(&r);
	r.paused = true;
	rig_start(&r);
	id = rig_commit(&r, 0, 1000, 1, one_key, 1);
	assert_true(rig_commit(&r, 0, 1000, 1, one_key, 1) != 0);
	rig_stop(&r);
	r.config.crashed = &id;
	r.config.crashed_count = 1;
	r.paused = false;
	rig_start(&r);
	await_counts(&r, 0, 0, 0, 1);
	r.config.crashed_count = 0;
	rig_stop(&r);
	rig_start(&r);
	await_counts(&r, 0, 0, 0, 1);
	assert_int_equal(r.finished, 1);
	rig_stop(&r);
	rig_fini(&r);
}

/* ---- walking ---- */

static void
a_walk_sees_what_stays_exactly_once_while_others_come_and_go(void **state)
{
	enum { STAY = 120 };
	struct entry_info info[7];
	struct spool_walk *w, *other;
	uint64_t stay[STAY], go[STAY];
	unsigned seen[STAY] = { 0 }, n, i, k, step = 0;
	struct rig r;

	(void)state;
	rig_init(&r);
	r.loops = 2;
	r.paused = true;
	rig_start(&r);
	for (i = 0; i < STAY; i++) {
		go[i] = rig_commit(&r, 0, 100, 1, &three_keys[i % 3], 1);
		stay[i] = rig_commit(&r, 1, 100, 1, &three_keys[i % 3], 1);
	}
	rig_until_entries(&r, 2 * STAY);
	w = spool_walk_begin(r.spool);
	other = spool_walk_begin(r.spool);
	while ((n = spool_walk_next(w, info, 7)) > 0) {
		for (i = 0; i < n; i++)
			for (k = 0; k < STAY; k++)
				seen[k] += info[i].id == stay[k];
		for (i = 0; i < 5 && step < STAY; i++, step++)
			assert_int_equal(spool_act(r.spool, go[step], NULL, SPOOL_DROP, NULL, NULL), 1);
		spool_walk_next(other, info, 3);
		rig_commit(&r, 0, 100, 1, &three_keys[step % 3], 1);
	}
	for (k = 0; k < STAY; k++)
		assert_int_equal(seen[k], 1);
	spool_walk_end(&w);
	spool_walk_end(&other);
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
		cmocka_unit_test(held_is_held_over_a_restart_until_released),
		cmocka_unit_test(acts_on_an_active_entry_apply_when_its_attempt_ends),
		cmocka_unit_test(a_bounce_is_one_transaction_with_the_end_of_its_message),
		cmocka_unit_test(a_wanted_bounce_survives_a_restart),
		cmocka_unit_test(an_empty_queue_is_dropped_and_comes_again),
		cmocka_unit_test(a_rekeyed_entry_moves_between_loops_and_stays_moved),
		cmocka_unit_test(due_entries_come_in_the_order_of_arrival_also_after_a_restart),
		cmocka_unit_test(beyond_the_cache_messages_are_read_back_equal),
		cmocka_unit_test(a_spent_budget_refuses_until_memory_is_free_again),
		cmocka_unit_test(a_large_message_lives_in_a_blob_until_it_is_done),
		cmocka_unit_test(a_cut_or_damaged_blob_is_held_and_never_relayed),
		cmocka_unit_test(recipients_states_that_rotted_hold_the_entry_until_an_operator_decides),
		cmocka_unit_test(a_blob_nobody_names_is_removed_at_start),
		cmocka_unit_test(a_message_that_crashed_the_worker_is_held),
		cmocka_unit_test(a_walk_sees_what_stays_exactly_once_while_others_come_and_go),
		cmocka_unit_test(a_message_without_recipients_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
