/* SPDX-License-Identifier: MIT */
/* The log that keeps nothing: the same code above it then shows what durability costs. */
#include "spool/batch.h"
#include "spool/log_ops.h"
#include "util/check.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/* One imaginary segment after the other, so that callers see numbers grow as with a real log. */
struct discard_log {
	struct spool_log log;
	uint64_t size;
	atomic_uint_least32_t current;
	uint64_t end;
};

static struct discard_log *
discard_log(const struct spool_log *log)
{
	return (struct discard_log *)(uintptr_t)log;
}

static void
discard_close(struct spool_log *log)
{
	free(log);
}

static uint32_t
discard_epoch(const struct spool_log *log)
{
	(void)log;
	return 1;
}

static uint64_t
discard_append_max(const struct spool_log *log)
{
	return discard_log(log)->size - 2 * LOG_BLOCK - BATCH_HEAD;
}

static int
discard_append(struct spool_log *log, const struct log_unit *units, unsigned count, enum log_room room, bool sync,
    uint32_t *broken, struct err *err)
{
	struct discard_log *l = discard_log(log);
	uint64_t length = BATCH_HEAD;
	unsigned i, k;

	(void)room, (void)sync, (void)broken, (void)err;
	for (i = 0; i < count; i++)
		length += unit_length(&units[i]);
	if (l->current == 0 || l->end + length > l->size) {
		l->current++;
		l->end = LOG_BLOCK;
	}
	for (i = 0; i < count; i++)
		for (k = 0; k < units[i].count; k++)
			units[i].record[k].pos = (uint64_t)l->current << 32 | l->end;
	l->end += log_blocks(length);
	return 0;
}

static int
discard_sync(struct spool_log *log, uint32_t *broken, struct err *err)
{
	(void)log, (void)broken, (void)err;
	return 0;
}

static int
discard_read(struct spool_log *log, log_pos pos, bool with_body, bool checked, struct log_view *out, struct err *err)
{
	(void)log, (void)pos, (void)with_body, (void)checked, (void)out;
	err_set(err, "the spool discards: nothing can be read back");
	if (err != NULL)
		err->code = ENOENT;
	return -1;
}

static bool
discard_pin(struct spool_log *log, uint32_t segment)
{
	(void)log, (void)segment;
	return false;
}

static void
discard_unpin(struct spool_log *log, uint32_t segment)
{
	(void)log, (void)segment;
}

static int
discard_scan(struct spool_log *log, uint32_t segment, log_scan_fn *fn, void *arg, struct err *err)
{
	(void)log, (void)segment, (void)fn, (void)arg, (void)err;
	return 0;
}

static int
discard_free(struct spool_log *log, uint32_t segment, struct err *err)
{
	(void)log, (void)segment, (void)err;
	return 0;
}

static uint64_t
discard_used(struct spool_log *log, uint32_t segment)
{
	(void)log, (void)segment;
	return 0;
}

static unsigned
discard_segments(struct spool_log *log)
{
	(void)log;
	return 0;
}

static uint32_t
discard_current(struct spool_log *log)
{
	return discard_log(log)->current;
}

static bool
discard_room(struct spool_log *log)
{
	(void)log;
	return true;
}

static int
discard_adopt(struct spool_log *log, log_scan_fn *fn, log_alarm_fn *alarm, void *arg, struct err *err)
{
	(void)log, (void)fn, (void)alarm, (void)arg, (void)err;
	return 0;
}

static const struct log_ops discard_ops = {
	.close = discard_close,
	.epoch = discard_epoch,
	.append_max = discard_append_max,
	.append = discard_append,
	.sync = discard_sync,
	.read = discard_read,
	.pin = discard_pin,
	.unpin = discard_unpin,
	.scan = discard_scan,
	.free = discard_free,
	.used = discard_used,
	.segments = discard_segments,
	.current = discard_current,
	.room = discard_room,
	.adopt = discard_adopt,
};

int
log_discard_open(struct spool_log **log, const struct log_config *config, struct err *err)
{
	struct discard_log *l = xcalloc(1, sizeof *l);

	(void)err;
	l->log.ops = &discard_ops;
	l->size = config->segment_size != 0 ? config->segment_size : 64 << 20;
	*log = &l->log;
	return 0;
}
