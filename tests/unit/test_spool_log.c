/* SPDX-License-Identifier: MIT */
/* The file log on a real folder: what one process sees, and what the next one adopts. Faults are test_log_faults.c's,
 * crashes test_crash.c's. */
#include "log_rig.h"
#include "spool/batch.h"
#include "util/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char root[64];

static int
setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/tmail-log-XXXXXX");
	return mkdtemp(root) != NULL ? 0 : -1;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static int
teardown(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct spool_log *
open_log(bool foreground)
{
	return rig_open(root, NULL, foreground);
}

static char *
path_of(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *
path_of(const char *fmt, ...)
{
	static char path[300];
	size_t n = (size_t)snprintf(path, sizeof path, "%s/", root);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path + n, sizeof path - n, fmt, ap);
	va_end(ap);
	return path;
}

static unsigned
count_names(const char *folder)
{
	DIR *d = opendir(folder);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static void
what_is_appended_is_read_back_and_adopted(void **state)
{
	static const size_t sizes[] = { 0, 1, 511, 512, 513, 4000, 4096, 20000, 40000 };
	struct spool_log *log = open_log(true);
	uint32_t epoch = spool_log_epoch(log), i;
	log_pos pos[9];

	(void)state;
	for (i = 0; i < 9; i++)
		pos[i] = rig_must_put(log, i, sizes[i]);
	for (i = 0; i < 9; i++)
		rig_must_read(log, pos[i], i, sizes[i]);
	assert_true(spool_log_segments(log) > 1);
	spool_log_close(&log);
	log = open_log(true);
	assert_true(spool_log_epoch(log) > epoch);
	assert_int_equal(rig_adopt(log), 1);
	assert_int_equal(seen.count, 9);
	assert_string_equal(seen.alarm, "");
	for (i = 0; i < 9; i++) {
		assert_int_equal(seen.record[i].id, i);
		assert_true(i == 0 || seen.record[i].pos > seen.record[i - 1].pos);
		rig_must_read(log, seen.record[i].pos, i, sizes[i]);
	}
	assert_true(rig_must_put(log, 9, 10) > seen.record[8].pos);
	spool_log_close(&log);
}

static void
a_recycled_segment_shows_nothing_of_its_earlier_life(void **state)
{
	struct spool_log *log = open_log(true);
	uint32_t i, segment[8], n = 0;
	struct err err;
	log_pos pos;

	(void)state;
	for (i = 0; n < 8; i++) {
		pos = rig_must_put(log, i, 3000);
		if (n == 0 || LOG_POS_SEGMENT(pos) != segment[n - 1])
			segment[n++] = LOG_POS_SEGMENT(pos);
	}
	for (n = 0; n < 8; n++)
		assert_int_equal(spool_log_free(log, segment[n], &err), 0);
	assert_int_equal(spool_log_free(log, segment[0], &err), -1);
	assert_int_equal(err.code, ENOENT);
	assert_int_equal(spool_log_segments(log), 0);
	for (n = 0; n < 3; n++)
		rig_must_put(log, 1000 + n, 100);
	spool_log_close(&log);
	log = open_log(true);
	rig_adopt(log);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.record[0].id, 1000);
	assert_string_equal(seen.alarm, "");
	spool_log_close(&log);
}

static void
epochs_are_adopted_in_order_and_only_when_nobody_holds_them(void **state)
{
	struct spool_log *a = open_log(true), *b = open_log(true), *c;
	struct err err;
	unsigned i;

	(void)state;
	rig_must_put(b, 20, 10);
	rig_must_put(a, 10, 10);
	c = open_log(true);
	assert_int_equal(rig_adopt(c), 0);
	spool_log_close(&b);
	assert_int_equal(rig_adopt(c), 1);
	assert_int_equal(seen.count, 1);
	assert_int_equal(rig_adopt(c), 0); /* held by us already */
	spool_log_close(&c);
	spool_log_close(&a);
	c = open_log(true);
	assert_int_equal(rig_adopt(c), 2);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.record[0].id, 10);
	assert_int_equal(seen.record[1].id, 20);
	for (i = 0; i < 2; i++)
		assert_int_equal(spool_log_free(c, LOG_POS_SEGMENT(seen.record[i].pos), &err), 0);
	spool_log_close(&c);
	/* Every epoch's folder went with its last segment. */
	assert_int_equal(count_names(root), 2);
	assert_int_equal(access(path_of("epoch"), F_OK), 0);
}

static void
an_epoch_number_never_comes_again(void **state)
{
	struct spool_log *log;
	uint32_t last = 0;
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++) {
		log = open_log(true);
		assert_true(spool_log_epoch(log) > last);
		last = spool_log_epoch(log);
		spool_log_close(&log);
		assert_int_equal(count_names(root), 2);
	}
	/* A folder from elsewhere counts, too. */
	assert_int_equal(mkdir(path_of("00000400"), 0700), 0);
	log = open_log(true);
	assert_int_equal(spool_log_epoch(log), 0x401);
	assert_int_equal(rig_adopt(log), 1);
	spool_log_close(&log);
}

static void
a_pinned_segment_is_not_freed(void **state)
{
	struct spool_log *log = open_log(true);
	uint32_t segment = LOG_POS_SEGMENT(rig_must_put(log, 1, 100));
	struct err err;

	(void)state;
	assert_true(spool_log_pin(log, segment));
	assert_int_equal(spool_log_free(log, segment, &err), -1);
	assert_int_equal(err.code, EBUSY);
	spool_log_unpin(log, segment);
	assert_int_equal(spool_log_free(log, segment, &err), 0);
	assert_false(spool_log_pin(log, segment));
	spool_log_close(&log);
}

/* One record of the largest size a segment takes. */
static void
a_unit_fits_a_whole_segment_and_no_more(void **state)
{
	struct spool_log *log = open_log(true);
	struct spool_record r = { .type = 1, .head = "head", .head_len = 4 };
	struct log_unit u = { .record = &r, .count = 1 };
	uint64_t largest = spool_log_append_max(log) - spool_log_unit_size(&u);
	char *body = xcalloc(1, RIG_SEGMENT);
	struct iovec iov = { .iov_base = body };
	uint32_t broken;
	struct err err;

	(void)state;
	r.body = &iov;
	r.body_count = 1;
	rig_must_put(log, 1, 10);
	r.body_len = iov.iov_len = largest;
	assert_int_equal(spool_log_append(log, &u, 1, LOG_ROOM_MESSAGES, true, &broken, &err), 0);
	assert_int_equal(spool_log_segments(log), 2);
	assert_int_equal(spool_log_used(log, LOG_POS_SEGMENT(r.pos)), RIG_SEGMENT - 2 * LOG_BLOCK);
	r.body_len = iov.iov_len = largest + 8;
	assert_int_equal(spool_log_append(log, &u, 1, LOG_ROOM_MESSAGES, true, &broken, &err), -1);
	assert_int_equal(err.code, EMSGSIZE);
	assert_int_equal(broken, 0);
	free(body);
	rig_must_put(log, 2, 10);
	spool_log_close(&log);
	log = open_log(true);
	rig_adopt(log);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.record[1].body_len, largest);
	spool_log_close(&log);
}

/* Several records in several units, some with many pieces: more than one system call takes. */
static void
units_of_many_records_and_pieces_keep_their_shape(void **state)
{
	enum { PIECES = 2500, SIZE = 600 };
	const struct log_config config = { .path = root, .segment_size = 4 << 20, .foreground = true };
	struct iovec *iov = xcalloc(PIECES, sizeof *iov);
	char *bytes = xmalloc(PIECES * SIZE);
	struct spool_record r[3] = { { .type = 1, .head = "aaaa", .head_len = 4 },
		{ .type = 2, .head = "bbbb", .head_len = 4, .body = iov, .body_count = PIECES, .body_len = PIECES * SIZE },
		{ .type = 3, .head = "cccc", .head_len = 4 } };
	struct log_unit u[2] = { { .record = r, .count = 2 }, { .record = r + 2, .count = 1 } };
	struct spool_log *log;
	struct log_view v;
	uint32_t broken, i;
	struct err err;

	(void)state;
	for (i = 0; i < PIECES * SIZE; i++)
		bytes[i] = (char)(i * 11 >> 3);
	for (i = 0; i < PIECES; i++) /* in two halves, so that neighbours are not contiguous */
		iov[i] = (struct iovec){ bytes + (size_t)(i % 2 * (PIECES / 2) + i / 2) * SIZE, SIZE };
	assert_int_equal(spool_log_open(&log, &config, &err), 0);
	assert_int_equal(spool_log_append(log, u, 2, LOG_ROOM_MESSAGES, true, &broken, &err), 0);
	assert_int_equal(spool_log_read(log, r[1].pos, true, true, &v, &err), 0);
	assert_int_equal(v.body_len, PIECES * SIZE);
	for (i = 0; i < PIECES; i++)
		assert_memory_equal(v.body + i * SIZE, iov[i].iov_base, SIZE);
	free(v.head);
	free(v.body);
	spool_log_close(&log);
	assert_int_equal(spool_log_open(&log, &config, &err), 0);
	rig_adopt(log);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.record[0].unit, seen.record[1].unit);
	assert_int_not_equal(seen.record[1].unit, seen.record[2].unit);
	spool_log_close(&log);
	free(iov);
	free(bytes);
}

/* RELIABILITY: cut, empty and foreign files in the queue. */
static void
foreign_empty_and_cut_files_stop_nobody(void **state)
{
	struct spool_log *log = open_log(true);
	uint32_t epoch = spool_log_epoch(log), i;
	char to[300];
	int fd;

	(void)state;
	for (i = 0; i < 30; i++)
		rig_must_put(log, i, 3000);
	spool_log_close(&log);
	fd = open(path_of("%08x/notes.txt", epoch), O_CREAT | O_WRONLY, 0600);
	close(fd);
	fd = open(path_of("%08x/0000ffff.seg", epoch), O_CREAT | O_WRONLY, 0600);
	close(fd);
	fd = open(path_of("%08x/0000fffe.seg", epoch), O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "From: nobody\r\n", 14), 14);
	close(fd);
	fd = open(path_of("%08x/0000fffd.new", epoch), O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(truncate(path_of("%08x/00000001.seg", epoch), 9 * 4096 + 100), 0);
	log = open_log(true);
	rig_adopt(log);
	assert_true(seen.alarms >= 4);
	/* A record of 3000 bytes takes a block: what is before the cut is there, and all of the other segments. */
	assert_int_equal(seen.count, 30 - 6);
	for (i = 0; i < seen.count; i++)
		rig_must_read(log, seen.record[i].pos, i < 8 ? i : i + 6, 3000);
	snprintf(to, sizeof to, "%s", path_of("corrupt"));
	assert_true(count_names(to) >= 2);
	assert_int_equal(access(path_of("%08x/notes.txt", epoch), F_OK), 0);
	assert_int_not_equal(access(path_of("%08x/0000fffd.new", epoch), F_OK), 0);
	spool_log_close(&log);
}

static void
the_discarding_log_takes_all_and_keeps_nothing(void **state)
{
	const struct log_config config = { .path = "/nowhere", .discard = true, .segment_size = RIG_SEGMENT };
	struct spool_log *log;
	log_pos pos, last = 0;
	struct err err;
	unsigned i;

	(void)state;
	assert_int_equal(spool_log_open(&log, &config, &err), 0);
	for (i = 0; i < 100; i++, last = pos) {
		pos = rig_must_put(log, i, 3000);
		assert_true(pos > last);
	}
	assert_int_equal(rig_read(log, last, 99, 3000, &err), -1);
	assert_int_equal(rig_adopt(log), 0);
	assert_true(spool_log_room(log));
	spool_log_close(&log);
}

/* A batch is one only at its place and in its life of the segment. */
static void
a_batch_elsewhere_or_of_another_life_is_none(void **state)
{
	const struct stamp stamp = { 0x100000001, 42 }, other = { 0x100000002, 42 }, guess = { 0x100000001, 43 };
	struct spool_record r = { .type = 1, .head = "abcd", .head_len = 4 };
	struct log_unit u = { .record = &r, .count = 1 };
	struct batch_head h = { .number = 5, .synced = 4, .first = 1, .offset = 8192 }, found;
	struct batch b = { 0 };
	struct unit_head uh;
	struct record_head rh;
	const char *p;

	(void)state;
	batch_build(&b, &stamp, &h, 0, &u, 1);
	p = b.meta.data;
	assert_int_equal(b.length, LOG_BLOCK);
	assert_int_equal(batch_head_get(p, &stamp, 8192, &found), 0);
	assert_int_equal(found.number, 5);
	assert_int_equal(batch_head_get(p, &stamp, 12288, &found), -1);
	assert_int_equal(batch_head_get(p, &other, 8192, &found), -1);
	assert_int_equal(batch_head_get(p, &guess, 8192, &found), -1);
	p += BATCH_HEAD;
	assert_int_equal(unit_head_get(p, &stamp, 8192 + BATCH_HEAD, &uh), 0);
	assert_true(unit_is_whole(p, uh.length, &stamp, 8192 + BATCH_HEAD, &uh));
	assert_int_equal(unit_head_get(p, &stamp, 12288 + BATCH_HEAD, &uh), -1);
	assert_int_equal(unit_head_get(p, &other, 8192 + BATCH_HEAD, &uh), -1);
	p += UNIT_HEAD;
	assert_int_equal(record_head_get(p, &stamp, 8192 + BATCH_HEAD + UNIT_HEAD, &rh), 0);
	assert_int_equal(record_head_get(p, &guess, 8192 + BATCH_HEAD + UNIT_HEAD, &rh), -1);
	assert_int_equal(record_head_get(p, &stamp, 12288 + BATCH_HEAD + UNIT_HEAD, &rh), -1);
	batch_fini(&b);
}

/* Readers, the background thread and the committer at once; most telling under ThreadSanitizer. */
struct reader {
	struct spool_log *log;
	_Atomic uint64_t pos; /* something to read, id in the lower half of the body length */
	atomic_uint id;
	atomic_bool stop;
	atomic_uint reads;
};

static void *
read_on(void *arg)
{
	struct reader *r = arg;

	while (!atomic_load(&r->stop)) {
		log_pos pos = atomic_load(&r->pos);
		struct log_view v;
		struct err err;

		if (pos == 0 || !spool_log_pin(r->log, LOG_POS_SEGMENT(pos)))
			continue;
		if (spool_log_read(r->log, pos, true, true, &v, &err) < 0)
			abort();
		free(v.head);
		free(v.body);
		spool_log_unpin(r->log, LOG_POS_SEGMENT(pos));
		atomic_fetch_add(&r->reads, 1);
	}
	return NULL;
}

static void
readers_and_the_background_thread_do_not_disturb_the_committer(void **state)
{
	struct reader reader = { .log = open_log(false) };
	uint32_t i, oldest = 1, last = 0;
	pthread_t thread[2];
	struct err err;
	log_pos pos;

	(void)state;
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, read_on, &reader), 0);
	for (i = 0; i < 300 || atomic_load(&reader.reads) < 50; i++) {
		pos = rig_must_put(reader.log, i, 5000);
		last = LOG_POS_SEGMENT(pos);
		if (i % 7 == 0)
			atomic_store(&reader.pos, pos);
		if (last > oldest + 5 && spool_log_free(reader.log, oldest, &err) == 0)
			oldest++;
	}
	atomic_store(&reader.stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	for (; oldest <= last; oldest++)
		assert_int_equal(spool_log_free(reader.log, oldest, &err), 0);
	spool_log_close(&reader.log);
	assert_int_equal(count_names(root), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_appended_is_read_back_and_adopted, setup, teardown),
		cmocka_unit_test_setup_teardown(a_recycled_segment_shows_nothing_of_its_earlier_life, setup, teardown),
		cmocka_unit_test_setup_teardown(epochs_are_adopted_in_order_and_only_when_nobody_holds_them, setup, teardown),
		cmocka_unit_test_setup_teardown(an_epoch_number_never_comes_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_pinned_segment_is_not_freed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_unit_fits_a_whole_segment_and_no_more, setup, teardown),
		cmocka_unit_test_setup_teardown(units_of_many_records_and_pieces_keep_their_shape, setup, teardown),
		cmocka_unit_test_setup_teardown(foreign_empty_and_cut_files_stop_nobody, setup, teardown),
		cmocka_unit_test(the_discarding_log_takes_all_and_keeps_nothing),
		cmocka_unit_test(a_batch_elsewhere_or_of_another_life_is_none),
		cmocka_unit_test_setup_teardown(readers_and_the_background_thread_do_not_disturb_the_committer, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
