/* SPDX-License-Identifier: MIT */
/* The spool with all its threads: failing and full disks, compaction beside traffic, and loops that work at once. Built
 * with --enable-tsan this is where races would show. */
#include "net/task.h"
#include "simdisk.h"
#include "spool_rig.h"
#include "util/arena.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/random.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char *const keys[] = { "domain:a.example", "domain:b.example", "route:c", "domain:d.example" };

struct result {
	struct rig *rig;
	int rc;
	struct err err;
	uint64_t id;
};

static void
try_commit(void *arg)
{
	struct result *r = arg;
	struct message *m = rig_message(r->rig, 3000, 1, keys, 1);

	memset(&r->err, 0, sizeof r->err);
	r->id = m->id;
	r->rc = spool_commit(r->rig->spool, m, &r->err);
	message_unref(&m);
}

static bool
is_empty(struct rig *r, void *arg)
{
	struct spool_stats s;

	(void)arg;
	spool_stats(r->spool, &s);
	return s.messages == 0 && s.entries == 0;
}

/* Admitted, and then taken: a segment may still have to be prepared in between, which is a refusal of its own. */
static bool
takes_mail(struct rig *r, void *arg)
{
	struct result *res = arg;

	if (spool_admit(r->spool, 0, NULL) < 0)
		return false;
	rig_run(r, 0, try_commit, res);
	return res->rc == 0;
}

static void
begin_on(struct rig *r, struct simdisk **disk)
{
	*disk = simdisk_new();
	simdisk_record(*disk, false);
	rig_init(r);
	r->config.path = "/spool";
	r->config.disk = simdisk_disk(*disk);
	r->config.segment_size = 64 * 1024;
	r->config.memory_max = 8000;
}

static void
after_a_failed_write_mail_is_refused_until_a_sync_succeeds(void **state)
{
	struct spool_stats s;
	struct simdisk *disk;
	struct result res;
	struct rig r;
	struct err err;
	uint64_t first;
	unsigned tries, taken = 0;

	(void)state;
	begin_on(&r, &disk);
	r.paused = true;
	rig_start(&r);
	res.rig = &r;
	rig_run(&r, 0, try_commit, &res);
	assert_int_equal(res.rc, 0);
	first = res.id;
	/* The log may be preparing segments: then it is that which fails. */
	for (tries = 0; tries < 100 && res.rc == 0; tries++) {
		simdisk_heal(disk);
		simdisk_fail(disk, 1, EIO, true);
		rig_run(&r, 0, try_commit, &res);
		taken += res.rc == 0;
	}
	assert_int_equal(res.rc, -1);
	assert_true(res.err.code != 0 && res.err.text[0] != '\0');
	assert_int_equal(spool_admit(r.spool, 0, &err), -1);
	spool_stats(r.spool, &s);
	assert_true(s.degraded);
	assert_int_equal(s.messages, 1 + taken);
	/* It is not the end of the try that helps, but a sync that succeeds. */
	simdisk_heal(disk);
	rig_until(takes_mail, &r, &res, "mail to be taken again");
	rig_stop(&r);
	r.paused = false;
	rig_start(&r);
	rig_until(is_empty, &r, NULL, "all to be delivered");
	assert_int_equal(r.attempts, 2 + taken);
	assert_true(first != res.id);
	rig_stop(&r);
	simdisk_free(&disk);
	rig_fini(&r);
}

static enum fate
defer(struct rig *r, struct entry *e, struct loaded *l, struct outcome *o, struct rcpt_state *rcpt)
{
	(void)e;
	(void)l;
	rcpt[0].reply = (char *)(uintptr_t)"451 later";
	if (r->user != NULL)
		rcpt[0].status = RCPT_DELIVERED;
	o->next_attempt = clock_wall() + 3600;
	return FATE_FINISH;
}

static bool
all_deferred(struct rig *r, void *arg)
{
	struct spool_stats s;

	(void)arg;
	spool_stats(r->spool, &s);
	return s.deferred == s.messages && s.due == 0 && s.active == 0;
}

static void
a_full_disk_refuses_mail_keeps_states_and_recovers(void **state)
{
	struct simdisk *disk;
	struct result res;
	struct rig r;
	struct err err;
	uint64_t id[200];
	int n, i;

	(void)state;
	begin_on(&r, &disk);
	r.fate = defer;
	rig_start(&r);
	res.rig = &r;
	simdisk_capacity(disk, 600 * 1024);
	for (n = 0; n < 200; n++) {
		rig_run(&r, 0, try_commit, &res);
		if (res.rc < 0)
			break;
		id[n] = res.id;
	}
	assert_in_range(n, 20, 199);
	assert_int_equal(res.err.code, ENOSPC);
	assert_int_equal(spool_admit(r.spool, 0, &err), -1);
	assert_int_equal(err.code, ENOSPC);
	rig_until(all_deferred, &r, NULL, "deferrals to be noted on the full disk");
	rig_stop(&r);
	rig_start(&r);
	assert_true(all_deferred(&r, NULL));
	r.user = &r;
	for (i = 0; i < n; i++)
		assert_int_equal(spool_act(r.spool, id[i], NULL, SPOOL_RETRY, NULL, NULL), 1);
	rig_until(is_empty, &r, NULL, "everything to be delivered");
	rig_until(takes_mail, &r, &res, "mail to be taken again");
	rig_stop(&r);
	simdisk_free(&disk);
	rig_fini(&r);
}

/* ---- traffic ---- */

static enum fate
stuck_or_delivered(struct rig *r, struct entry *e, struct loaded *l, struct outcome *o, struct rcpt_state *rcpt)
{
	(void)l;
	check(rig_content_ok(r->spool, l->message));
	if (entry_id(e) % 50 == 0 && r->user == NULL) {
		rcpt[0].reply = (char *)(uintptr_t)"451 stuck";
		o->next_attempt = clock_wall() + 3600;
	} else {
		rcpt[0].status = RCPT_DELIVERED;
	}
	return FATE_FINISH;
}

struct stream {
	struct rig *rig;
	unsigned messages;
	unsigned most; /* segments in use at the worst moment */
};

static void
stream_task(void *arg)
{
	struct stream *s = arg;
	struct result res = { .rig = s->rig };
	struct spool_stats st;
	unsigned i;

	for (i = 0; i < s->messages; i++) {
		try_commit(&res);
		check(res.rc == 0);
		spool_stats(s->rig->spool, &st);
		if (st.segments > s->most)
			s->most = (unsigned)st.segments;
		if (i % 20 == 0)
			task_sleep(5);
	}
}

static bool
few_segments(struct rig *r, void *arg)
{
	struct spool_stats s;

	(void)arg;
	spool_stats(r->spool, &s);
	return s.segments <= 8;
}

static void
compaction_keeps_up_with_a_stream_and_its_stuck_messages(void **state)
{
	struct spool_stats s;
	struct stream stream = { .messages = 2000 };
	struct simdisk *disk;
	struct spool_walk *w;
	struct entry_info info[100];
	unsigned n, i;
	struct rig r;

	(void)state;
	begin_on(&r, &disk);
	r.config.compact_age = 20;
	r.fate = stuck_or_delivered;
	rig_start(&r);
	stream.rig = &r;
	rig_run(&r, 0, stream_task, &stream);
	rig_until(all_deferred, &r, NULL, "the stream to be delivered");
	spool_stats(r.spool, &s);
	assert_int_equal(s.messages, 40);
	/* 100 segments were filled, one of 50 messages stuck in each: 40 of them fill two. */
	rig_until(few_segments, &r, NULL, "compaction");
	assert_in_range(stream.most, 1, 40);
	rig_stop(&r);
	r.user = &r;
	rig_start(&r);
	w = spool_walk_begin(r.spool);
	n = spool_walk_next(w, info, 100);
	spool_walk_end(&w);
	assert_int_equal(n, 40);
	for (i = 0; i < n; i++)
		assert_int_equal(spool_act(r.spool, info[i].id, NULL, SPOOL_RETRY, NULL, NULL), 1);
	rig_until(is_empty, &r, NULL, "the stuck ones to be delivered");
	assert_int_equal(r.load_failures, 0);
	rig_stop(&r);
	simdisk_free(&disk);
	rig_fini(&r);
}

static enum fate
anything(struct rig *r, struct entry *e, struct loaded *l, struct outcome *o, struct rcpt_state *rcpt)
{
	unsigned i;

	check(rig_content_ok(r->spool, l->message));
	if (entry_attempts(e) > 3 || (l->message->flags & MESSAGE_BOUNCE) != 0) {
		for (i = 0; i < o->count; i++)
			rcpt[i].status = RCPT_DELIVERED;
		return FATE_FINISH;
	}
	o->next_attempt = clock_wall();
	switch (random_below(8)) {
	case 0:
		o->peer = "held by the test";
		return FATE_HOLD;
	case 1:
		o->peer = keys[random_below(4)];
		return FATE_REKEY;
	case 2:
		o->report = rig_message(r, 300, 1, keys, 4);
		o->report->flags |= MESSAGE_BOUNCE;
		break;
	default:
		break;
	}
	for (i = 0; i < o->count; i++) {
		rcpt[i].status = (enum rcpt_status)random_below(3);
		rcpt[i].reply = (char *)(uintptr_t)"250 or so";
	}
	return FATE_FINISH;
}

static void
burst_task(void *arg)
{
	struct result res = { .rig = arg };
	struct message *m;
	int i;

	for (i = 0; i < 60; i++) {
		m = rig_message(arg, 100 + random_below(5000), 1 + (unsigned)random_below(8), keys, 4);
		check(spool_commit(res.rig->spool, m, &res.err) == 0);
		message_unref(&m);
	}
}

/* Like an operator: looks at everything, releases what is held. */
static void
walk_and_release(struct rig *r)
{
	struct spool_walk *w = spool_walk_begin(r->spool);
	struct entry_info info[16];
	struct spool_detail d;
	unsigned n, i;

	while ((n = spool_walk_next(w, info, 16)) > 0)
		for (i = 0; i < n; i++) {
			if (info[i].state == ENTRY_HELD)
				spool_act(r->spool, info[i].id, info[i].key, SPOOL_RELEASE, NULL, NULL);
			if (random_below(20) == 0 && spool_inspect(r->spool, info[i].id, true, &d, NULL) == 0)
				spool_detail_fini(&d);
		}
	spool_walk_end(&w);
}

static bool
all_gone(struct rig *r, void *arg)
{
	walk_and_release(r);
	return is_empty(r, arg);
}

static void
loops_committer_compactor_workers_and_operator_get_along(void **state)
{
	struct simdisk *disk;
	struct rig r;
	int round;

	(void)state;
	begin_on(&r, &disk);
	r.loops = 3;
	r.config.compact_age = 10;
	r.config.cache = 50000;
	r.fate = anything;
	for (round = 0; round < 3; round++) {
		rig_start(&r);
		rig_run(&r, 0, burst_task, &r);
		rig_run(&r, 1, burst_task, &r);
		walk_and_release(&r);
		rig_run(&r, 2, burst_task, &r);
		rig_stop(&r);
	}
	rig_start(&r);
	rig_until(all_gone, &r, NULL, "everything to be delivered");
	assert_int_equal(r.load_failures, 0);
	rig_stop(&r);
	simdisk_free(&disk);
	rig_fini(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_a_failed_write_mail_is_refused_until_a_sync_succeeds),
		cmocka_unit_test(a_full_disk_refuses_mail_keeps_states_and_recovers),
		cmocka_unit_test(compaction_keeps_up_with_a_stream_and_its_stuck_messages),
		cmocka_unit_test(loops_committer_compactor_workers_and_operator_get_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
