/* SPDX-License-Identifier: MIT */
/* The log on a disk that fails, fills up, rots: what was acknowledged stays, and the rest goes on. */
#include "log_rig.h"
#include "simdisk.h"
#include "spool/batch.h"
#include "util/check.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

/* The first segment of the first life. */
static const char SEG[] = "/spool/00000001/00000001.seg";

static struct simdisk *sim;

static int
setup(void **state)
{
	(void)state;
	sim = simdisk_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	simdisk_free(&sim);
	return 0;
}

static struct spool_log *
open_log(void)
{
	return rig_open("/spool", simdisk_disk(sim), true);
}

/* Ends the process at once. */
static void
kill_log(struct spool_log **log)
{
	simdisk_stop(sim);
	spool_log_close(log);
	simdisk_kill(sim);
}

/* The machine loses power and what was not synced. */
static void
power_off(struct spool_log **log, uint64_t seed)
{
	struct simreplay *r = simreplay_new(sim);
	struct simdisk *after;

	simdisk_stop(sim);
	spool_log_close(log);
	simreplay_to(r, simdisk_now(sim));
	after = simreplay_crash(r, seed);
	simreplay_free(&r);
	simdisk_free(&sim);
	sim = after;
}

/* A disk without history, as the log left it, to change by hand. */
static void
take_disk_out(struct spool_log **log)
{
	power_off(log, 0);
}

/* ---- each call fails in turn ---- */

enum { SCRIPT = 24 };

struct script {
	bool acknowledged[SCRIPT], refused[SCRIPT];
	log_pos pos[SCRIPT];
	unsigned failures;
};

/* Appends, rolls over, frees the first segment half way. */
static void
run_script(struct spool_log *log, struct script *s)
{
	uint32_t i, k, broken, first = 0, segment;
	struct err err;

	for (i = 0; i < SCRIPT; i++) {
		if (rig_put(log, i, 9000, LOG_ROOM_RESERVE, i % 4 != 3, &s->pos[i], &broken, &err) == 0) {
			s->acknowledged[i] = i % 4 != 3;
			first = first == 0 ? LOG_POS_SEGMENT(s->pos[i]) : first;
		} else {
			s->refused[i] = true;
			s->failures++;
			/* As the committer does: after a failed sync what was unsynced in there is in doubt. */
			for (k = 0; k < i; k++)
				assert_true(broken == 0 || LOG_POS_SEGMENT(s->pos[k]) != broken || k % 4 != 3 ||
				    !s->acknowledged[k]);
		}
		segment = first;
		if (i == SCRIPT / 2 && segment != 0) {
			s->failures += spool_log_free(log, segment, &err) < 0;
			for (k = 0; k <= i; k++)
				if (LOG_POS_SEGMENT(s->pos[k]) == segment)
					s->acknowledged[k] = false;
		}
	}
}

static void
must_have_kept(struct spool_log *log, const struct script *s)
{
	uint32_t i;
	int at;

	for (i = 0; i < SCRIPT; i++) {
		at = rig_find(i);
		if (s->acknowledged[i])
			assert_true(at >= 0);
		if (s->refused[i])
			assert_int_equal(at, -1);
		if (at >= 0 && s->acknowledged[i])
			rig_must_read(log, seen.record[at].pos, i, 9000);
	}
}

static void
fail_each_call_in_turn(int error, bool power_loss)
{
	struct spool_log *log;
	struct script s;
	uint64_t n, calls = 1000;

	for (n = 1; n <= calls; n++) {
		memset(&s, 0, sizeof s);
		log = open_log();
		simdisk_fail(sim, n, error, false);
		run_script(log, &s);
		if (n == 1)
			calls = simdisk_calls(sim);
		assert_true(s.failures <= 2);
		simdisk_heal(sim);
		if (power_loss)
			power_off(&log, n);
		else
			kill_log(&log);
		log = open_log();
		rig_adopt(log);
		must_have_kept(log, &s);
		kill_log(&log);
		simdisk_free(&sim);
		sim = simdisk_new();
	}
	assert_true(calls > 60 && calls < 500);
}

static void
each_call_may_fail_and_nothing_acknowledged_is_lost(void **state)
{
	(void)state;
	fail_each_call_in_turn(EIO, false);
	fail_each_call_in_turn(ENOSPC, false);
}

static void
nor_by_a_power_loss_afterwards(void **state)
{
	(void)state;
	fail_each_call_in_turn(EIO, true);
	fail_each_call_in_turn(ENOSPC, true);
}

/* Opening and adopting fail at each call in turn: the next try finds everything. */
static void
a_fault_while_adopting_costs_no_record(void **state)
{
	struct log_config config = { .path = "/spool", .segment_size = RIG_SEGMENT, .foreground = true };
	uint64_t n, calls = 1;
	struct spool_log *log;
	struct err err;
	uint32_t i;

	(void)state;
	for (n = 1; n <= calls; n++) {
		log = open_log();
		for (i = 0; i < SCRIPT; i++)
			rig_must_put(log, i, 9000);
		kill_log(&log);
		simdisk_fail(sim, n, EIO, false);
		config.disk = simdisk_disk(sim);
		if (spool_log_open(&log, &config, &err) == 0) {
			rig_try_adopt(log);
			if (n == 1)
				calls = 400;
			if (simdisk_calls(sim) < n)
				calls = n;
			kill_log(&log);
		} else
			calls = 400;
		simdisk_kill(sim);
		log = open_log();
		rig_adopt(log);
		assert_int_equal(seen.count, SCRIPT);
		for (i = 0; i < SCRIPT; i++)
			rig_must_read(log, seen.record[i].pos, i, 9000);
		kill_log(&log);
		simdisk_free(&sim);
		sim = simdisk_new();
	}
	assert_true(n > 50 && n < 400);
}

static void
after_a_failed_sync_the_segment_is_never_written_again(void **state)
{
	struct spool_log *log = open_log();
	log_pos one = rig_must_put(log, 1, 100), two, three;
	const unsigned char *p;
	unsigned char *before;
	uint32_t broken;
	uint64_t size;
	struct err err;

	(void)state;
	simdisk_fail(sim, 2, EIO, false); /* write, then sync */
	assert_int_equal(rig_put(log, 2, 100, LOG_ROOM_MESSAGES, true, &two, &broken, &err), -1);
	assert_int_equal(err.code, EIO);
	assert_int_equal(broken, LOG_POS_SEGMENT(one));
	p = simdisk_bytes(sim, SEG, &size);
	before = xmemdup(p, size);
	three = rig_must_put(log, 3, 100);
	assert_int_not_equal(LOG_POS_SEGMENT(three), broken);
	rig_must_read(log, one, 1, 100);
	p = simdisk_bytes(sim, SEG, &size);
	assert_memory_equal(p, before, size);
	assert_int_equal(spool_log_free(log, broken, &err), 0);
	assert_null(simdisk_bytes(sim, SEG, &size));
	kill_log(&log);
	log = open_log();
	rig_adopt(log);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.record[0].id, 3);
	kill_log(&log);
	free(before);
}

static void
a_short_write_is_completed(void **state)
{
	struct spool_log *log = open_log();
	log_pos pos;

	(void)state;
	simdisk_short_writes(sim, 700);
	pos = rig_must_put(log, 1, 20000);
	rig_must_read(log, pos, 1, 20000);
	power_off(&log, 1);
	log = open_log();
	rig_adopt(log);
	rig_must_read(log, seen.record[0].pos, 1, 20000);
	kill_log(&log);
}

/* ---- full disks ---- */

static void
messages_leave_the_reserved_segments_to_state_records(void **state)
{
	struct spool_log *log = open_log();
	uint32_t i, broken, first = 0, messages;
	struct err err;
	log_pos pos;

	(void)state;
	simdisk_capacity(sim, 5 * RIG_SEGMENT + 4096); /* five segments, no room for an index */
	for (i = 0; rig_put(log, i, 9000, LOG_ROOM_MESSAGES, true, &pos, &broken, &err) == 0; i++)
		first = first == 0 ? LOG_POS_SEGMENT(pos) : first;
	assert_int_equal(err.code, ENOSPC);
	assert_int_equal(broken, 0);
	messages = i;
	assert_int_equal(spool_log_segments(log), 3);
	while (rig_put(log, 9999, 100, LOG_ROOM_MESSAGES, true, &pos, &broken, &err) == 0)
		continue;
	assert_false(spool_log_room(log));
	for (; rig_put(log, i, 9000, LOG_ROOM_RESERVE, true, &pos, &broken, &err) == 0; i++)
		assert_int_equal(rig_put(log, 9999, 9000, LOG_ROOM_MESSAGES, true, &pos, &broken, &err), -1);
	assert_int_equal(err.code, ENOSPC);
	assert_int_equal(spool_log_segments(log), 5);
	assert_true(i >= messages + messages / 2);
	/* Space comes back by freeing: the reserve is filled up first. */
	assert_int_equal(spool_log_free(log, first, &err), 0);
	assert_int_equal(rig_put(log, i, 9000, LOG_ROOM_MESSAGES, true, &pos, &broken, &err), -1);
	assert_int_equal(rig_put(log, i, 9000, LOG_ROOM_RESERVE, true, &pos, &broken, &err), 0);
	assert_int_equal(spool_log_free(log, first + 1, &err), 0);
	assert_int_equal(spool_log_free(log, first + 2, &err), 0);
	rig_must_put(log, i + 1, 9000);
	kill_log(&log);
}

static void
a_full_disk_at_the_start_is_no_error_and_heals_by_itself(void **state)
{
	const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };
	struct spool_log *log;
	uint32_t broken, tries;
	struct err err;
	log_pos pos;

	(void)state;
	simdisk_capacity(sim, RIG_SEGMENT);
	log = rig_open("/spool", simdisk_disk(sim), false);
	assert_int_equal(rig_put(log, 1, 100, LOG_ROOM_MESSAGES, true, &pos, &broken, &err), -1);
	assert_int_equal(err.code, ENOSPC);
	assert_false(spool_log_room(log));
	simdisk_capacity(sim, UINT64_MAX);
	for (tries = 0; !spool_log_room(log) && tries < 200; tries++)
		nanosleep(&pause, NULL);
	rig_must_put(log, 1, 100);
	spool_log_close(&log);
}

static void
min_free_is_left_to_others(void **state)
{
	struct log_config config = { .path = "/spool", .segment_size = RIG_SEGMENT, .foreground = true,
		.min_free = 10 * RIG_SEGMENT };
	struct spool_log *log;
	uint32_t broken, i;
	uint64_t space;
	struct err err;
	log_pos pos;

	(void)state;
	config.disk = simdisk_disk(sim);
	simdisk_capacity(sim, 15 * RIG_SEGMENT);
	assert_int_equal(spool_log_open(&log, &config, &err), 0);
	for (i = 0; rig_put(log, i, 9000, LOG_ROOM_RESERVE, true, &pos, &broken, &err) == 0; i++)
		continue;
	assert_int_equal(err.code, ENOSPC);
	assert_int_equal(config.disk->space(config.disk, "/spool", &space), 0);
	assert_in_range(space, 10 * RIG_SEGMENT - 8192, 11 * RIG_SEGMENT);
	kill_log(&log);
}

/* ---- damage ---- */

static unsigned char *
copy_of(const char *path, uint64_t *size)
{
	const unsigned char *p = simdisk_bytes(sim, path, size);

	assert_non_null(p);
	return xmemdup(p, (size_t)*size);
}

/* Damages N bytes at OFF of segment 1 after the kill of a log of five batches, removing indexes. */
static struct spool_log *
damaged(uint64_t off, uint64_t n)
{
	struct spool_log *log = open_log();
	unsigned char *p;
	uint64_t size;
	uint32_t i;

	for (i = 0; i < 5; i++)
		rig_must_put(log, i, 5000); /* two blocks each */
	take_disk_out(&log);
	simdisk_remove(sim, ".idx");
	p = copy_of(SEG, &size);
	memset(p + off, 0x5a, n);
	simdisk_put(sim, SEG, p, size);
	free(p);
	log = open_log();
	rig_adopt(log);
	return log;
}

static void
damage_in_the_middle_raises_an_alarm_and_costs_one_batch(void **state)
{
	static const struct {
		uint64_t off, n;
		int lost;
		bool alarm;
	} cases[] = {
		{ 4096 + 8192, 8, 1, true },         /* a batch's head */
		{ 4096 + 8192 + 90, 1, 1, true },    /* a unit's head */
		{ 4096 + 8192 + 5000, 1, 1, true },  /* a body */
		{ 4096 + 8192, 8192, 1, true },      /* all of it */
		{ 4096 + 8192 + 8100, 20, -1, false }, /* its padding */
		{ 4096, 1, 0, true },
		{ 4096 + 4 * 8192, 1, 4, false },    /* the last: not to be told from a torn one */
		{ 0, 16, -1, true },                 /* one copy of the segment's head */
		{ RIG_SEGMENT - 4096, 16, -1, true },
	};
	struct spool_log *log;
	unsigned i;
	int id;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		log = damaged(cases[i].off, cases[i].n);
		for (id = 0; id < 5; id++) {
			if (id == cases[i].lost)
				assert_int_equal(rig_find((uint32_t)id), -1);
			else
				rig_must_read(log, seen.record[rig_find((uint32_t)id)].pos, (uint32_t)id, 5000);
		}
		assert_int_equal(seen.alarms, cases[i].alarm ? 1 : 0);
		kill_log(&log);
		/* The next life sees the same and is not alarmed again. */
		log = open_log();
		rig_adopt(log);
		assert_int_equal(seen.count, cases[i].lost >= 0 ? 4 : 5);
		assert_true(seen.alarms == 0 || cases[i].off == 0 || cases[i].off == RIG_SEGMENT - 4096);
		kill_log(&log);
		simdisk_free(&sim);
		sim = simdisk_new();
	}
}

static void
damaged_bytes_are_kept_aside(void **state)
{
	struct spool_log *log = damaged(4096 + 8192, 8);
	const unsigned char *p;
	uint64_t size;

	(void)state;
	p = simdisk_bytes(sim, "/spool/corrupt/00000001-00000001-00003000", &size);
	assert_non_null(p);
	assert_true(size > 5000 && size <= 8192);
	assert_int_equal(p[0], 0x5a);
	kill_log(&log);
}

static void
without_any_head_the_file_is_put_aside(void **state)
{
	struct spool_log *log = open_log();
	unsigned char *p;
	uint64_t size;

	(void)state;
	rig_must_put(log, 1, 100);
	take_disk_out(&log);
	p = copy_of(SEG, &size);
	memset(p, 0, 4096);
	memset(p + size - 4096, 0, 4096);
	simdisk_put(sim, SEG, p, size);
	free(p);
	log = open_log();
	rig_adopt(log);
	assert_int_equal(seen.count, 0);
	assert_int_equal(seen.alarms, 1);
	assert_non_null(simdisk_bytes(sim, "/spool/corrupt/00000001-00000001-00000000", &size));
	assert_null(simdisk_bytes(sim, SEG, &size));
	kill_log(&log);
}

/* One unit of a batch is damaged: the others of it are not lost. */
static void
a_damaged_unit_costs_only_itself(void **state)
{
	struct spool_log *log = open_log();
	char body[3][3000];
	struct iovec iov[3];
	struct spool_record r[3];
	struct log_unit u[3];
	uint32_t broken, i;
	unsigned char *p;
	uint64_t size;
	struct err err;

	(void)state;
	memset(body, 'x', sizeof body);
	for (i = 0; i < 3; i++) {
		iov[i] = (struct iovec){ body[i], sizeof body[i] };
		r[i] = (struct spool_record){ .type = 7, .head = &iov[i].iov_len, .head_len = 8, .body = &iov[i],
			.body_count = 1, .body_len = sizeof body[i] };
		u[i] = (struct log_unit){ &r[i], 1 };
	}
	assert_int_equal(spool_log_append(log, u, 3, LOG_ROOM_MESSAGES, true, &broken, &err), 0);
	rig_must_put(log, 9, 10);
	take_disk_out(&log);
	p = copy_of(SEG, &size);
	p[(uint32_t)r[1].pos + 100] ^= 1;
	simdisk_put(sim, SEG, p, size);
	free(p);
	log = open_log();
	rig_adopt(log);
	assert_int_equal(seen.count, 3);
	assert_int_equal((uint32_t)seen.record[1].pos, (uint32_t)r[2].pos);
	assert_int_equal(seen.alarms, 1);
	kill_log(&log);
}

static void
damage_behind_an_index_is_found_by_reading(void **state)
{
	struct spool_log *log = open_log();
	unsigned char *p;
	log_pos pos;
	uint64_t size;
	struct err err;

	(void)state;
	pos = rig_must_put(log, 1, 5000);
	rig_must_put(log, 2, 5000);
	spool_log_close(&log);
	log = open_log();
	kill_log(&log);
	log = open_log();
	take_disk_out(&log);
	p = copy_of(SEG, &size);
	p[(uint32_t)pos + 2000] ^= 4;
	simdisk_put(sim, SEG, p, size);
	free(p);
	log = open_log();
	rig_adopt(log);
	assert_int_equal(seen.count, 2);
	assert_int_equal(rig_read(log, seen.record[0].pos, 1, 5000, &err), -1);
	assert_int_equal(err.code, EBADMSG);
	rig_must_read(log, seen.record[1].pos, 2, 5000);
	kill_log(&log);
}

static uint64_t
adopting_reads(unsigned *records)
{
	struct spool_log *log = open_log();
	uint64_t before = simdisk_bytes_read(sim);

	rig_adopt(log);
	*records = seen.count;
	before = simdisk_bytes_read(sim) - before;
	kill_log(&log);
	return before;
}

static void
a_sealed_segment_is_adopted_without_reading_bodies(void **state)
{
	struct spool_log *log = open_log();
	uint64_t with, without, again;
	unsigned records;
	uint32_t i;

	(void)state;
	for (i = 0; i < 200; i++)
		rig_must_put(log, i, 7000);
	spool_log_close(&log);
	take_disk_out(&(struct spool_log *){ open_log() });
	with = adopting_reads(&records);
	assert_int_equal(records, 200);
	simdisk_kill(sim);
	take_disk_out(&(struct spool_log *){ open_log() });
	simdisk_remove(sim, ".idx");
	without = adopting_reads(&records);
	assert_int_equal(records, 200);
	assert_true(without > 200 * 7000);
	again = adopting_reads(&records); /* the index was written again */
	assert_int_equal(records, 200);
	/* Heads of 200 records twice, heads of some 30 segments. */
	assert_true(with < without / 4 && again < without / 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_call_may_fail_and_nothing_acknowledged_is_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(nor_by_a_power_loss_afterwards, setup, teardown),
		cmocka_unit_test_setup_teardown(a_fault_while_adopting_costs_no_record, setup, teardown),
		cmocka_unit_test_setup_teardown(after_a_failed_sync_the_segment_is_never_written_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_short_write_is_completed, setup, teardown),
		cmocka_unit_test_setup_teardown(messages_leave_the_reserved_segments_to_state_records, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_at_the_start_is_no_error_and_heals_by_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(min_free_is_left_to_others, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_in_the_middle_raises_an_alarm_and_costs_one_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_bytes_are_kept_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(without_any_head_the_file_is_put_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_unit_costs_only_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_behind_an_index_is_found_by_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(a_sealed_segment_is_adopted_without_reading_bodies, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
