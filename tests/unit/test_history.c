/* SPDX-License-Identifier: MIT */
#include "scratch.h"
#include "history/files.h"
#include "history/history.h"
#include "history/scan.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- events ---- */

static void
an_event_reads_back_as_it_was_written(void **state)
{
	struct history_event e;
	struct history_view v;
	struct history_value f;
	char text[HISTORY_TEXT_MAX + 100];
	size_t at = 0;

	(void)state;
	memset(text, 'x', sizeof text);
	history_event_start(&e, HISTORY_DEFERRED, 0xfedcba9876543210ull, -5);
	assert_true(history_str(&e, HISTORY_FROM, ""));
	assert_true(history_str(&e, HISTORY_HOP, NULL));
	assert_true(history_bytes(&e, HISTORY_REPLY, text, sizeof text));
	assert_true(history_u64(&e, HISTORY_SIZE, UINT64_MAX));
	assert_true(history_u64(&e, HISTORY_NEXT, 0));
	assert_int_equal(history_event_read(e.data, e.len, &v), 0);
	assert_true(v.kind == HISTORY_DEFERRED && v.id == 0xfedcba9876543210ull && v.when == -5);
	assert_true(history_next(&v, &at, &f) && f.field == HISTORY_FROM && f.len == 0);
	assert_true(history_next(&v, &at, &f) && f.field == HISTORY_REPLY && f.len == HISTORY_TEXT_MAX);
	assert_true(history_next(&v, &at, &f) && f.field == HISTORY_SIZE && f.number == UINT64_MAX);
	assert_true(history_next(&v, &at, &f) && f.field == HISTORY_NEXT && f.number == 0);
	assert_false(history_next(&v, &at, &f));
	assert_true(history_find(&v, HISTORY_SIZE, &f));
	assert_false(history_find(&v, HISTORY_TO, &f));
}

static void
an_event_that_is_full_takes_no_more_and_is_whole(void **state)
{
	struct history_event e;
	struct history_view v;
	unsigned n = 0;

	(void)state;
	history_event_start(&e, HISTORY_RECEIVED, 1, 1);
	while (history_str(&e, HISTORY_TO, "somebody@example.net"))
		n++;
	assert_true(n > 150 && e.len <= HISTORY_EVENT_MAX);
	assert_int_equal(history_event_read(e.data, e.len, &v), 0);
	e.live = false;
	assert_true(history_str(&e, HISTORY_TO, "no-op@example.net"));
}

static void
a_cut_event_is_none(void **state)
{
	struct history_event e;
	struct history_view v;
	size_t n;

	(void)state;
	history_event_start(&e, HISTORY_RECEIVED, 1, 1);
	history_str(&e, HISTORY_FROM, "a@example.com");
	for (n = 0; n < e.len; n++)
		assert_int_equal(history_event_read(e.data, n, &v), n == HISTORY_EVENT_HEAD ? 0 : -1);
}

/* ---- blocks ---- */

static void
add_received(struct buf *body, uint64_t id, const char *from, const char *to)
{
	struct history_event e;

	history_event_start(&e, HISTORY_RECEIVED, id, (int64_t)id * 1000);
	history_str(&e, HISTORY_FROM, from);
	history_str(&e, HISTORY_TO, to);
	history_str(&e, HISTORY_CLIENT, "192.0.2.1");
	history_body_add(body, e.data, e.len);
}

static bool
may_have(const struct history_block *b, const struct buf *block, enum history_key_type type, const char *text)
{
	return history_block_may_have(b, block->data + HISTORY_BLOCK_HEAD, history_key_text(type, text, strlen(text)));
}

static void
a_block_says_what_it_can_hold(void **state)
{
	struct history_keys keys = { 0 };
	struct buf body = { 0 }, block = { 0 };
	struct history_block b;
	char from[64];
	unsigned i, wrong = 0;

	(void)state;
	for (i = 0; i < 300; i++) {
		snprintf(from, sizeof from, "Sender%u@d%u.Example", i, i);
		add_received(&body, i + 1, from, "rcpt@example.net");
	}
	history_block_put(&block, body.data, body.len, &keys);
	assert_int_equal(history_block_head(block.data, block.len, &b), 1);
	assert_true(b.events == 300 && b.first == 1000 && b.last == 300000);
	assert_int_equal(history_block_size(&b), block.len);
	for (i = 0; i < 300; i++) {
		snprintf(from, sizeof from, "sender%u@D%u.example", i, i);
		assert_true(may_have(&b, &block, HISTORY_KEY_FROM, from));
		assert_true(may_have(&b, &block, HISTORY_KEY_FROM_DOMAIN, strchr(from, '@') + 1));
		assert_true(history_block_may_have(&b, block.data + HISTORY_BLOCK_HEAD, history_key_id(i + 1)));
	}
	assert_true(may_have(&b, &block, HISTORY_KEY_TO_DOMAIN, "EXAMPLE.net"));
	assert_true(may_have(&b, &block, HISTORY_KEY_CLIENT, "192.0.2.1"));
	for (i = 0; i < 10000; i++) {
		snprintf(from, sizeof from, "other%u@example.org", i);
		wrong += may_have(&b, &block, HISTORY_KEY_FROM, from);
	}
	assert_true(wrong < 300); /* one in a hundred is expected */
	for (i = 0; i < HISTORY_BLOCK_HEAD + b.filter; i++) { /* no bit of the head may change */
		block.data[i] ^= 1;
		assert_int_not_equal(history_block_head(block.data, block.len, &b), 1);
		block.data[i] ^= 1;
		assert_int_equal(history_block_head(block.data, block.len, &b), 1);
	}
	buf_fini(&body);
	buf_fini(&block);
	free(keys.key);
}

static void
a_body_is_cut_between_events(void **state)
{
	struct buf body = { 0 };
	size_t one;
	unsigned i;

	(void)state;
	add_received(&body, 1, "a@example.com", "b@example.net");
	one = body.len;
	for (i = 0; i < 9; i++)
		add_received(&body, 1, "a@example.com", "b@example.net");
	assert_int_equal(history_body_cut(body.data, body.len, 3 * one + 1), 3 * one);
	assert_int_equal(history_body_cut(body.data, body.len, 1), one);
	assert_int_equal(history_body_cut(body.data, body.len, 100 * one), 10 * one);
	buf_fini(&body);
}

/* ---- files ---- */

struct seen {
	unsigned count;
	uint64_t sum;
};

static void
see(const struct history_view *e, void *arg)
{
	struct seen *s = arg;

	s->count++;
	s->sum += e->id;
}

static int
memory_file(const struct buf *content)
{
	int fd = memfd_create("history", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content->data, content->len), (ssize_t)content->len);
	return fd;
}

static void
scan(const struct buf *file, struct seen *seen)
{
	struct history_scan s = { .dir = -1, .fd = -1 };

	memset(seen, 0, sizeof *seen);
	history_scan_enter_fd(&s, memory_file(file));
	while (history_scan_step(&s, 0, NULL, see, seen))
		;
	history_scan_end(&s);
}

static void
damage_hides_only_the_block_it_hits(void **state)
{
	enum { BLOCKS = 8, EVENTS = 5 };
	struct history_keys keys = { 0 };
	struct buf file = { 0 }, body = { 0 };
	size_t start[BLOCKS + 1], at;
	struct seen seen;
	unsigned i, k;

	(void)state;
	for (i = 0; i < BLOCKS; i++) {
		start[i] = file.len;
		body.len = 0;
		for (k = 0; k < EVENTS; k++)
			add_received(&body, 1, "a@example.com", "b@example.net");
		history_block_put(&file, body.data, body.len, &keys);
	}
	start[BLOCKS] = file.len;
	scan(&file, &seen);
	assert_int_equal(seen.count, BLOCKS * EVENTS);
	for (i = 0; i < BLOCKS; i++)
		for (at = start[i]; at < start[i + 1]; at += 7) {
			file.data[at] ^= 0x55;
			scan(&file, &seen);
			assert_true(seen.count == (BLOCKS - 1) * EVENTS || (seen.count == BLOCKS * EVENTS &&
			    start[i + 1] - at < HISTORY_BLOCK_ALIGN)); /* it may hit the padding */
			file.data[at] ^= 0x55;
		}
	for (at = 0; at < file.len; at += 13) { /* a torn tail hides what it took */
		struct buf torn = { .data = file.data, .len = at };

		for (i = 0; start[i + 1] <= at; i++)
			;
		scan(&torn, &seen);
		assert_true(seen.count == i * EVENTS || seen.count == (i + 1) * EVENTS);
	}
	buf_fini(&file);
	buf_fini(&body);
	free(keys.key);
}

static void
files_are_ordered_and_expire_by_age_and_by_size(void **state)
{
	char path[SCRATCH_PATH], name[HISTORY_NAME_MAX], again[HISTORY_NAME_MAX];
	struct history_files files;
	int64_t now = clock_wall();
	struct err err;
	unsigned i;
	int fd;

	(void)state;
	scratch_new(path);
	for (i = 0; i < 5; i++) {
		fd = history_file_new(path, now + i / 2, name, &err);
		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, 1000), 0);
		close(fd);
	}
	assert_int_equal(history_files_list(&files, path, &err), 0);
	assert_int_equal(files.count, 5);
	assert_string_equal(files.file[4].name, name);
	for (i = 1; i < 5; i++)
		assert_true(files.file[i - 1].first <= files.file[i].first);
	history_files_fini(&files);
	history_files_expire(path, NULL, now, 3600, 3500);
	assert_int_equal(history_files_list(&files, path, &err), 0);
	assert_int_equal(files.count, 3);
	assert_string_equal(files.file[2].name, name);
	history_files_fini(&files);
	/* What expired within this second leaves its number behind: the newest is not taken for the oldest. */
	history_files_expire(path, NULL, now, 3600, 2500);
	fd = history_file_new(path, now + 1, again, &err);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(history_files_list(&files, path, &err), 0);
	assert_int_equal(files.count, 3);
	assert_string_equal(files.file[1].name, again);
	history_files_fini(&files);
	history_files_expire(path, name, now + 7200, 3600, 1 << 30);
	assert_int_equal(history_files_list(&files, path, &err), 0);
	assert_int_equal(files.count, 1); /* the current one stays */
	history_files_fini(&files);
	scratch_remove(path);
}

/* ---- the writer ---- */

static void
what_is_added_is_found_and_the_room_is_bounded(void **state)
{
	enum { EVENTS = 200000, SIZE = 16 << 20 };
	char path[SCRATCH_PATH];
	struct history_config config = { .path = path, .keep = 3600, .size = SIZE };
	struct history_scan scan;
	struct history_event e;
	struct seen seen = { 0 };
	uint64_t total = 0, sum = 0;
	struct err err;
	unsigned i;

	(void)state;
	scratch_new(path);
	history_begin(&e, HISTORY_DONE, 1); /* not open: a no-op */
	history_end(&e);
	assert_int_equal(history_open(&config, &err), 0);
	assert_true(history_on());
	for (i = 0; i < EVENTS; i++) {
		history_begin(&e, HISTORY_DELIVERED, i);
		history_str(&e, HISTORY_TO, "somebody.with.a.name.of.usual.length@example.net");
		history_str(&e, HISTORY_REPLY, "250 2.0.0 Ok: queued as 4F2xKz1Lq9z9tB8, thank you very much indeed");
		history_end(&e);
		sum += i;
		if (i % 10000 == 0)
			history_flush(20000);
	}
	history_flush(20000);
	assert_int_equal(history_scan_begin(&scan, history_path(), &err), 0);
	for (i = 0; i < scan.files.count; i++) {
		total += scan.files.file[i].size;
		history_scan_enter(&scan, i);
		while (history_scan_step(&scan, clock_ms() + 20, NULL, see, &seen))
			;
	}
	history_scan_end(&scan);
	assert_true(total <= SIZE + SIZE / 8 + (1 << 20));
	assert_true(seen.count > EVENTS / 3 && seen.count < EVENTS); /* the oldest went */
	assert_true(seen.sum / seen.count > EVENTS / 2);
	history_close();
	assert_false(history_on());
	scratch_remove(path);
	(void)sum;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_reads_back_as_it_was_written),
		cmocka_unit_test(an_event_that_is_full_takes_no_more_and_is_whole),
		cmocka_unit_test(a_cut_event_is_none),
		cmocka_unit_test(a_block_says_what_it_can_hold),
		cmocka_unit_test(a_body_is_cut_between_events),
		cmocka_unit_test(damage_hides_only_the_block_it_hits),
		cmocka_unit_test(files_are_ordered_and_expire_by_age_and_by_size),
		cmocka_unit_test(what_is_added_is_found_and_the_room_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
