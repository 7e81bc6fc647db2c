/* SPDX-License-Identifier: MIT */
/* Prepared segments, always ahead of need, and the thread that makes them and writes indexes. */
#include "spool/log_file.h"
#include "util/check.h"
#include "util/random.h"
#include "util/thread.h"

#include <errno.h>
#include <time.h>

enum { RETRY_SECONDS = 1 };

struct stamp
stock_stamp(struct file_log *l)
{
	struct stamp stamp = { .generation = (uint64_t)l->own->number << 32 | ++l->generations };

	random_bytes(&stamp.random, sizeof stamp.random);
	return stamp;
}

/* Sets l->low; -1 with ENOSPC when a further segment would take what is to be left free. */
static int
check_space(struct file_log *l)
{
	uint64_t bytes;

	if (l->min_free == 0 || l->disk->space(l->disk, l->path, &bytes) < 0)
		return 0;
	pthread_mutex_lock(&l->lock);
	l->low = bytes < l->min_free;
	pthread_mutex_unlock(&l->lock);
	if (bytes >= l->min_free + l->segment_size)
		return 0;
	errno = ENOSPC;
	return -1;
}

static int
prepare(struct file_log *l)
{
	struct segment *s;
	struct stamp stamp;
	uint32_t file;
	int rc;

	if (check_space(l) < 0)
		return -1;
	pthread_mutex_lock(&l->lock);
	file = ++l->files;
	pthread_mutex_unlock(&l->lock);
	s = segment_new(l->disk, l->own, file, l->segment_size);
	if (s == NULL)
		return -1;
	pthread_mutex_lock(&l->order);
	stamp = stock_stamp(l);
	rc = segment_finish(s, l->disk, &stamp);
	if (rc == 0) {
		pthread_mutex_lock(&l->lock);
		list_append(&l->stock, &s->queue);
		l->stocked++;
		pthread_mutex_unlock(&l->lock);
	} else
		segment_free(&s, l->disk);
	pthread_mutex_unlock(&l->order);
	return rc;
}

int
stock_prepare(struct file_log *l)
{
	int rc = prepare(l);

	pthread_mutex_lock(&l->lock);
	l->full = rc < 0;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	return rc;
}

int
stock_wait(struct file_log *l, enum log_room room, unsigned need)
{
	int rc = 0;

	if (room == LOG_ROOM_MESSAGES)
		need += LOG_RESERVED;
	while (l->foreground && l->stocked < need)
		if (stock_prepare(l) < 0)
			return -1;
	pthread_mutex_lock(&l->lock);
	while (l->stocked < need && !l->full)
		pthread_cond_wait(&l->changed, &l->lock);
	if (l->stocked < need || (room == LOG_ROOM_MESSAGES && l->low))
		rc = -1;
	pthread_mutex_unlock(&l->lock);
	return rc;
}

struct segment *
stock_take(struct file_log *l)
{
	struct list *first = list_shift(&l->stock);

	check(first != NULL);
	l->stocked--;
	pthread_cond_broadcast(&l->changed);
	return list_entry(first, struct segment, queue);
}

/* The lock is held, and let go while the index is written. */
static void
seal(struct file_log *l, struct segment *s)
{
	char tmp[LOG_PATH_MAX], path[LOG_PATH_MAX];
	int rc;

	list_remove(&s->queue);
	s->sealing = true;
	pthread_mutex_unlock(&l->lock);
	segment_path(s, "tmp", tmp);
	segment_path(s, "idx", path);
	rc = log_index_save(&s->index, &s->stamp, l->disk, tmp, path);
	if (rc == 0 && s->broken)
		rc = l->disk->sync_folder(l->disk, s->epoch->path);
	pthread_mutex_lock(&l->lock);
	s->sealing = false;
	s->indexed = rc == 0;
	if (rc == 0 || !s->broken) /* what is not written down can be scanned again */
		buf_fini(&s->index.file);
	pthread_cond_broadcast(&l->changed);
}

void
stock_seal_all(struct file_log *l)
{
	pthread_mutex_lock(&l->lock);
	while (!list_empty(&l->seals))
		seal(l, list_entry(l->seals.next, struct segment, queue));
	pthread_mutex_unlock(&l->lock);
}

void
stock_seal(struct file_log *l, struct segment *s)
{
	pthread_mutex_lock(&l->lock);
	list_append(&l->seals, &s->queue);
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	if (l->foreground)
		stock_seal_all(l);
}

/* Until something changes or a second is over. The lock is held. */
static void
pause_a_second(struct file_log *l)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += RETRY_SECONDS;
	pthread_cond_timedwait(&l->changed, &l->lock, &until);
}

static time_t
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void *
background(void *arg)
{
	struct file_log *l = arg;
	time_t next = 0;

	pthread_mutex_lock(&l->lock);
	while (!l->stop) {
		if (!list_empty(&l->seals))
			seal(l, list_entry(l->seals.next, struct segment, queue));
		else if (l->stocked < l->stock_want && (!l->full || seconds() >= next)) {
			pthread_mutex_unlock(&l->lock);
			stock_prepare(l);
			pthread_mutex_lock(&l->lock);
			next = seconds() + RETRY_SECONDS;
		} else if (l->min_free > 0 && seconds() >= next) {
			next = seconds() + RETRY_SECONDS;
			pthread_mutex_unlock(&l->lock);
			check_space(l);
			pthread_mutex_lock(&l->lock);
		} else if (l->full || l->min_free > 0)
			pause_a_second(l);
		else
			pthread_cond_wait(&l->changed, &l->lock);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

void
stock_start(struct file_log *l)
{
	struct err err;

	if (!l->foreground && thread_start(&l->thread, "stock", background, l, &err) < 0)
		fatal("%s", err.text);
}

void
stock_stop(struct file_log *l)
{
	if (l->foreground)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->thread, NULL);
}
