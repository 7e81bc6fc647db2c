/* SPDX-License-Identifier: MIT */
/* The log in files: opening, appending, closing. doc/spool.md has the format and the rules. */
#include "spool/log_file.h"
#include "util/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STAGE_SIZE = 1 << 20 };
enum { STOCK_DEFAULT = 2, SEGMENT_DEFAULT = 64 << 20, SEGMENT_MIN = 16 << 10, SEGMENT_MAX = 1 << 30 };

int
log_err(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	err->code = code;
	return -1;
}

/* A write or sync of the current segment failed: it is never written again. Its index is written now, so that what
 * failed does not come back when later segments are gone. */
static void
give_up(struct file_log *l, uint32_t *broken)
{
	struct segment *s = l->current;

	*broken = s->number;
	pthread_mutex_lock(&l->lock);
	s->broken = true;
	s->index.doubtful = l->dirty;
	s->limit = l->batches + 1;
	use_retire(l);
	pthread_mutex_unlock(&l->lock);
	l->dirty = false;
	l->previous = 0;
	stock_seal(l, s);
	stock_seal_all(l);
}

static int
sync_current(struct file_log *l, uint32_t *broken, struct err *err)
{
	struct segment *s = l->current;

	if (l->disk->fdatasync(l->disk, s->fd) == 0) {
		l->dirty = false;
		return 0;
	}
	err_sys(err, "cannot sync %s/%08x.seg", s->epoch->path, s->file);
	give_up(l, broken);
	return -1;
}

/* Closes the current segment in order. */
static int
close_current(struct file_log *l, uint32_t *broken, struct err *err)
{
	struct segment *s = l->current;

	if (l->dirty) {
		if (sync_current(l, broken, err) < 0)
			return -1;
		l->synced = l->batches;
	}
	l->previous = s->stamp.generation;
	pthread_mutex_lock(&l->lock);
	use_retire(l);
	pthread_mutex_unlock(&l->lock);
	stock_seal(l, s);
	return 0;
}

/* Room for LENGTH bytes: in the current segment, or in the next one. */
static int
make_room(struct file_log *l, uint64_t length, enum log_room room, uint32_t *broken, struct err *err)
{
	struct segment *s = l->current;
	bool roll = s == NULL || length > s->size - LOG_BLOCK - s->end;

	if (stock_wait(l, room, roll ? 1 : 0) < 0)
		return log_err(err, ENOSPC, "%s: no room for another segment", l->path);
	if (!roll)
		return 0;
	if (s != NULL && close_current(l, broken, err) < 0)
		return -1;
	pthread_mutex_lock(&l->lock);
	s = stock_take(l);
	s->index.first = l->batches + 1;
	s->index.last = l->batches;
	s->index.previous = l->previous;
	l->current = s;
	use_add(l, s);
	pthread_mutex_unlock(&l->lock);
	return 0;
}

/* Direct writes want aligned memory, which the pieces of messages are not. A copy costs what the page cache's would. */
static int
write_staged(struct file_log *l, struct segment *s)
{
	const struct batch *b = &l->batch;
	uint64_t at = s->end;
	size_t staged = 0, done, part, i;

	for (i = 0; i < b->count; i++)
		for (done = 0; done < b->iov[i].iov_len; done += part) {
			part = b->iov[i].iov_len - done;
			if (part > STAGE_SIZE - staged)
				part = STAGE_SIZE - staged;
			memcpy(l->stage + staged, (char *)b->iov[i].iov_base + done, part);
			staged += part;
			if (staged < STAGE_SIZE)
				continue;
			if (segment_write(s, l->disk, l->stage, staged, at) < 0)
				return -1;
			at += staged;
			staged = 0;
		}
	return staged == 0 ? 0 : segment_write(s, l->disk, l->stage, staged, at);
}

static int
write_batch(struct file_log *l, const struct log_unit *units, unsigned count, uint32_t *broken, struct err *err)
{
	struct segment *s = l->current;
	struct batch_head h = { .number = l->batches + 1, .synced = l->synced, .first = s->index.first,
		.previous = s->index.previous, .offset = (uint32_t)s->end };

	batch_build(&l->batch, &s->stamp, &h, s->units, units, count);
	if (write_staged(l, s) == 0)
		return 0;
	err_sys(err, "cannot write %s/%08x.seg", s->epoch->path, s->file);
	give_up(l, broken);
	return -1;
}

/* The batch just written counts. */
static void
accept_batch(struct file_log *l, const struct log_unit *units, unsigned count)
{
	struct segment *s = l->current;
	unsigned i, k;

	l->batches++;
	pthread_mutex_lock(&l->lock);
	log_index_add_units(&s->index, s->units, units, count);
	s->units += count;
	s->end += l->batch.length;
	s->index.last = l->batches;
	s->index.end = s->end;
	pthread_mutex_unlock(&l->lock);
	for (i = 0; i < count; i++)
		for (k = 0; k < units[i].count; k++)
			units[i].record[k].pos |= (uint64_t)s->number << 32;
}

static uint64_t
filelog_append_max(const struct spool_log *log)
{
	return file_log(log)->segment_size - 2 * LOG_BLOCK - BATCH_HEAD;
}

static int
filelog_sync(struct spool_log *log, uint32_t *broken, struct err *err)
{
	struct file_log *l = file_log(log);

	if (!l->dirty)
		return 0;
	if (sync_current(l, broken, err) < 0)
		return -1;
	l->synced = l->batches;
	return 0;
}

static int
filelog_append(struct spool_log *log, const struct log_unit *units, unsigned count, enum log_room room, bool sync,
    uint32_t *broken, struct err *err)
{
	struct file_log *l = file_log(log);
	uint64_t length = BATCH_HEAD;
	unsigned i;

	if (count == 0)
		return sync ? filelog_sync(log, broken, err) : 0;
	for (i = 0; i < count; i++)
		length += unit_length(&units[i]);
	if (length > filelog_append_max(log) + BATCH_HEAD)
		return log_err(err, EMSGSIZE, "%llu bytes do not fit into a segment of %llu", (unsigned long long)length,
		    (unsigned long long)l->segment_size);
	if (make_room(l, length, room, broken, err) < 0 || write_batch(l, units, count, broken, err) < 0)
		return -1;
	if (sync && sync_current(l, broken, err) < 0)
		return -1;
	l->dirty = !sync;
	accept_batch(l, units, count);
	if (sync)
		l->synced = l->batches;
	return 0;
}

static uint32_t
filelog_epoch(const struct spool_log *log)
{
	return file_log(log)->own->number;
}

static uint64_t
filelog_used(struct spool_log *log, uint32_t segment)
{
	struct file_log *l = file_log(log);
	struct segment *s;
	uint64_t used = 0;

	pthread_mutex_lock(&l->lock);
	s = use_find(l, segment);
	if (s != NULL)
		used = s->end - LOG_BLOCK;
	pthread_mutex_unlock(&l->lock);
	return used;
}

static unsigned
filelog_segments(struct spool_log *log)
{
	struct file_log *l = file_log(log);
	unsigned n;

	pthread_mutex_lock(&l->lock);
	n = (unsigned)l->segments.count;
	pthread_mutex_unlock(&l->lock);
	return n;
}

static uint32_t
filelog_current(struct spool_log *log)
{
	struct file_log *l = file_log(log);
	uint32_t number;

	pthread_mutex_lock(&l->lock);
	number = l->current != NULL ? l->current->number : 0;
	pthread_mutex_unlock(&l->lock);
	return number;
}

static bool
filelog_room(struct spool_log *log)
{
	struct file_log *l = file_log(log);
	const struct segment *s;
	bool fits;

	pthread_mutex_lock(&l->lock);
	s = l->current;
	fits = s != NULL && s->size - s->end >= s->size / 8;
	fits = !l->low && (l->stocked > LOG_RESERVED || (fits && l->stocked == LOG_RESERVED) || !l->full);
	pthread_mutex_unlock(&l->lock);
	return fits;
}

static void
free_segments(struct file_log *l)
{
	struct map_link *link;
	struct segment *s;

	while (!list_empty(&l->stock)) {
		s = list_entry(list_shift(&l->stock), struct segment, queue);
		segment_unlink(s, l->disk);
		segment_free(&s, l->disk);
	}
	while ((link = map_any(&l->segments)) != NULL) {
		s = list_entry(link, struct segment, link);
		map_remove(&l->segments, link);
		segment_free(&s, l->disk);
	}
	map_fini(&l->segments);
}

static void
destroy(struct file_log *l)
{
	free_segments(l);
	if (l->own != NULL && l->own->segments == 0)
		epoch_remove(l->disk, l->path, &l->own);
	list_each_safe(link, &l->epochs) {
		struct epoch *e = list_entry(link, struct epoch, link);

		epoch_free(l->disk, &e);
	}
	batch_fini(&l->batch);
	free(l->stage);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
	pthread_mutex_destroy(&l->order);
	free(l);
}

static void
filelog_close(struct spool_log *log)
{
	struct file_log *l = file_log(log);
	uint32_t broken;

	stock_stop(l);
	if (l->current != NULL && close_current(l, &broken, NULL) < 0)
		check(l->current == NULL);
	stock_seal_all(l);
	destroy(l);
}

static const struct log_ops filelog_ops = {
	.close = filelog_close,
	.epoch = filelog_epoch,
	.append_max = filelog_append_max,
	.append = filelog_append,
	.sync = filelog_sync,
	.read = filelog_read,
	.pin = filelog_pin,
	.unpin = filelog_unpin,
	.scan = filelog_scan,
	.free = filelog_free,
	.used = filelog_used,
	.segments = filelog_segments,
	.current = filelog_current,
	.room = filelog_room,
	.adopt = filelog_adopt,
};

static struct file_log *
filelog_new(const struct log_config *config)
{
	struct file_log *l = xcalloc(1, sizeof *l);
	pthread_condattr_t attr;

	l->log.ops = &filelog_ops;
	l->disk = config->disk != NULL ? config->disk : &disk_real;
	snprintf(l->path, sizeof l->path, "%s", config->path);
	l->segment_size = config->segment_size != 0 ? config->segment_size : SEGMENT_DEFAULT;
	l->min_free = config->min_free;
	l->stock_want = LOG_RESERVED + (config->stock != 0 ? config->stock : STOCK_DEFAULT);
	l->foreground = config->foreground;
	l->stage = xaligned_alloc(LOG_BLOCK, STAGE_SIZE);
	list_init(&l->epochs);
	list_init(&l->stock);
	list_init(&l->seals);
	pthread_mutex_init(&l->order, NULL);
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->changed, &attr);
	pthread_condattr_destroy(&attr);
	return l;
}

int
log_file_open(struct spool_log **log, const struct log_config *config, struct err *err)
{
	uint64_t size = config->segment_size;
	struct file_log *l;

	if (strlen(config->path) > LOG_PATH_MAX - 64)
		return err_set(err, "%s: the path is too long", config->path);
	if (size != 0 && (size % LOG_BLOCK != 0 || size < SEGMENT_MIN || size > SEGMENT_MAX))
		return err_set(err, "a segment of %llu bytes: a multiple of %d from %d to %d is allowed",
		    (unsigned long long)size, LOG_BLOCK, SEGMENT_MIN, SEGMENT_MAX);
	l = filelog_new(config);
	l->own = epoch_make(l->disk, l->path, err);
	if (l->own == NULL) {
		destroy(l);
		return -1;
	}
	list_append(&l->epochs, &l->own->link);
	stock_start(l);
	*log = &l->log;
	return 0;
}
