/* SPDX-License-Identifier: MIT */
/* The file log on a real folder: what one process sees, and what the next one adopts. Crashes are test_crash.c's. */
#include "spool/log.h"
#include "util/buf.h"
#include "util/check.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { MAX_SEEN = 5000, SMALL = 64 << 10 };

struct seen {
	unsigned count;
	struct {
		log_pos pos;
		uint32_t unit;
		uint8_t type;
		uint32_t id; /* the first word of the head */
		uint64_t body_len;
	} record[MAX_SEEN];
	unsigned alarms;
	char alarm[400];
};

static char root[64];
static struct seen seen;

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
	const struct log_config config = { .path = root, .segment_size = SMALL, .foreground = foreground };
	struct spool_log *log;
	struct err err;

	if (spool_log_open(&log, &config, &err) < 0)
		fail_msg("%s", err.text);
	return log;
}

static void
on_record(void *arg, log_pos pos, uint32_t unit, uint8_t type, const void *head, uint32_t head_len, uint64_t body_len)
{
	struct seen *s = arg;
	unsigned i = s->count++;

	assert_true(i < MAX_SEEN && head_len >= 4);
	s->record[i].pos = pos;
	s->record[i].unit = unit;
	s->record[i].type = type;
	memcpy(&s->record[i].id, head, 4);
	s->record[i].body_len = body_len;
}

static void
on_alarm(void *arg, const char *file, const char *what)
{
	struct seen *s = arg;

	s->alarms++;
	snprintf(s->alarm, sizeof s->alarm, "%s: %s", file, what);
}

static int
adopt(struct spool_log *log)
{
	struct err err;
	int n;

	memset(&seen, 0, sizeof seen);
	n = spool_log_adopt(log, on_record, on_alarm, &seen, &err);
	if (n < 0)
		fail_msg("%s", err.text);
	return n;
}

/* One unit of one record whose head is ID (and padding to HEAD_LEN) and whose body is BODY_LEN bytes made of ID. */
static int
put(struct spool_log *log, uint32_t id, uint32_t head_len, size_t body_len, enum log_room room, bool sync, log_pos *pos,
    struct err *err)
{
	char *head = xcalloc(1, head_len), *body = xmalloc(body_len + 1);
	struct iovec iov[2] = { { body, body_len / 3 }, { body + body_len / 3, body_len - body_len / 3 } };
	struct spool_record r = { .type = 7, .head = head, .head_len = head_len, .body = iov, .body_count = 2,
		.body_len = body_len };
	struct log_unit u = { .record = &r, .count = 1 };
	uint32_t broken;
	size_t i;
	int rc;

	memcpy(head, &id, 4);
	for (i = 0; i < body_len; i++)
		body[i] = (char)(id + i * 7);
	rc = spool_log_append(log, &u, 1, room, sync, &broken, err);
	if (rc == 0 && pos != NULL)
		*pos = r.pos;
	free(head);
	free(body);
	return rc;
}

static log_pos
must_put(struct spool_log *log, uint32_t id, size_t body_len)
{
	struct err err;
	log_pos pos = 0;

	if (put(log, id, 40, body_len, LOG_ROOM_MESSAGES, true, &pos, &err) < 0)
		fail_msg("%s", err.text);
	return pos;
}

static void
must_read(struct spool_log *log, log_pos pos, uint32_t id, uint64_t body_len)
{
	struct log_view v;
	struct err err;
	uint64_t i;

	if (spool_log_read(log, pos, true, true, &v, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(v.type, 7);
	assert_memory_equal(v.head, &id, 4);
	assert_int_equal(v.body_len, body_len);
	for (i = 0; i < body_len; i++)
		assert_true(v.body[i] == (char)(id + i * 7));
	free(v.head);
	free(v.body);
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
		pos[i] = must_put(log, i, sizes[i]);
	for (i = 0; i < 9; i++)
		must_read(log, pos[i], i, sizes[i]);
	assert_true(spool_log_segments(log) > 1);
	spool_log_close(&log);
	log = open_log(true);
	assert_true(spool_log_epoch(log) > epoch);
	assert_int_equal(adopt(log), 1);
	assert_int_equal(seen.count, 9);
	assert_string_equal(seen.alarm, "");
	for (i = 0; i < 9; i++) {
		assert_int_equal(seen.record[i].id, i);
		assert_true(i == 0 || seen.record[i].pos > seen.record[i - 1].pos);
		must_read(log, seen.record[i].pos, i, sizes[i]);
	}
	spool_log_close(&log);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_appended_is_read_back_and_adopted, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
