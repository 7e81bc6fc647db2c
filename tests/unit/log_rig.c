/* SPDX-License-Identifier: MIT */
#include "log_rig.h"
#include "util/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct rig_seen seen;

struct spool_log *
rig_open(const char *path, struct disk *disk, bool foreground)
{
	const struct log_config config = { .path = path, .segment_size = RIG_SEGMENT, .foreground = foreground,
		.disk = disk };
	struct spool_log *log = NULL;
	struct err err;

	if (spool_log_open(&log, &config, &err) < 0)
		fail_msg("%s", err.text);
	return log;
}

static void
on_record(void *arg, log_pos pos, uint32_t unit, uint8_t type, const void *head, uint32_t head_len, uint64_t body_len)
{
	struct rig_seen *s = arg;
	unsigned i = s->count++;

	assert_true(i < RIG_MAX && head_len >= 4);
	s->record[i].pos = pos;
	s->record[i].unit = unit;
	s->record[i].type = type;
	memcpy(&s->record[i].id, head, 4);
	s->record[i].body_len = body_len;
}

static void
on_alarm(void *arg, const char *file, const char *what)
{
	struct rig_seen *s = arg;

	s->alarms++;
	snprintf(s->alarm, sizeof s->alarm, "%s: %s", file, what);
}

int
rig_try_adopt(struct spool_log *log)
{
	struct err err;

	memset(&seen, 0, sizeof seen);
	return spool_log_adopt(log, on_record, on_alarm, &seen, &err);
}

int
rig_adopt(struct spool_log *log)
{
	int n = rig_try_adopt(log);

	assert_true(n >= 0);
	return n;
}

int
rig_put(struct spool_log *log, uint32_t id, size_t body_len, enum log_room room, bool sync, log_pos *pos,
    uint32_t *broken, struct err *err)
{
	char head[RIG_HEAD] = "", *body = xmalloc(body_len + 1);
	struct iovec iov[2] = { { body, body_len / 3 }, { body + body_len / 3, body_len - body_len / 3 } };
	struct spool_record r = { .type = 7, .head = head, .head_len = sizeof head, .body = iov, .body_count = 2,
		.body_len = body_len };
	struct log_unit u = { .record = &r, .count = 1 };
	size_t i;
	int rc;

	memcpy(head, &id, 4);
	for (i = 0; i < body_len; i++)
		body[i] = (char)(id + i * 7);
	rc = spool_log_append(log, &u, 1, room, sync, broken, err);
	*pos = rc == 0 ? r.pos : 0;
	free(body);
	return rc;
}

log_pos
rig_must_put(struct spool_log *log, uint32_t id, size_t body_len)
{
	uint32_t broken;
	struct err err;
	log_pos pos;

	if (rig_put(log, id, body_len, LOG_ROOM_MESSAGES, true, &pos, &broken, &err) < 0)
		fail_msg("%s", err.text);
	return pos;
}

int
rig_read(struct spool_log *log, log_pos pos, uint32_t id, uint64_t body_len, struct err *err)
{
	struct log_view v;
	uint64_t i;

	if (spool_log_read(log, pos, true, true, &v, err) < 0)
		return -1;
	assert_int_equal(v.type, 7);
	assert_int_equal(v.head_len, RIG_HEAD);
	assert_memory_equal(v.head, &id, 4);
	assert_int_equal(v.body_len, body_len);
	for (i = 0; i < body_len; i++)
		assert_true(v.body[i] == (char)(id + i * 7));
	free(v.head);
	free(v.body);
	return 0;
}

void
rig_must_read(struct spool_log *log, log_pos pos, uint32_t id, uint64_t body_len)
{
	struct err err;

	if (rig_read(log, pos, id, body_len, &err) < 0)
		fail_msg("record %u: %s", id, err.text);
}

int
rig_find(uint32_t id)
{
	unsigned i;

	for (i = 0; i < seen.count; i++)
		if (seen.record[i].id == id)
			return (int)i;
	return -1;
}
