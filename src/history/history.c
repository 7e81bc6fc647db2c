/* SPDX-License-Identifier: MIT */
#include "history/history.h"

#include "history/block.h"
#include "history/files.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/counters.h"
#include "util/file.h"
#include "util/log.h"
#include "util/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
	WRITE_MS = 1000,           /* an event waits at most this long */
	WAKE_BYTES = 1 << 20,      /* or until there is so much */
	BUFFER_MAX = 8 << 20,      /* what the disk does not take by then is lost */
	BLOCK_BYTES = 64 * 1024,
	FILE_MAX = 64 << 20,
	FILES_MIN = 8,             /* `history` and its size are kept to by the file: not fewer than so many */
	EXPIRE_MS = 60 * 1000,
	COMPLAIN_MS = 60 * 1000,
	DAY = 86400,
};

/* FRONT collects under the lock; BACK is the writer's, as is what stands below it. Loops share one buffer: what they do
 * under the lock is a copy of some 150 bytes. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake, done;
	pthread_t thread;
	atomic_bool on;
	bool stop, idle, hurry;
	uint64_t taken, written; /* batches handed to the writer, and those it has finished */
	struct buf front;
	uint64_t lost;

	struct history_config config;
	struct buf back, blocks;
	struct history_keys keys;
	int fd;
	char name[HISTORY_NAME_MAX];
	uint64_t size;
	int64_t began;
	uint64_t expire_at, complain_at;
} hs = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 };

/* ---- any thread ---- */

bool
history_on(void)
{
	return atomic_load_explicit(&hs.on, memory_order_relaxed);
}

const char *
history_path(void)
{
	return history_on() ? hs.config.path : NULL;
}

void
history_begin(struct history_event *e, enum history_kind kind, uint64_t id)
{
	e->live = false;
	if (history_on())
		history_event_start(e, kind, id, clock_wall_ms());
}

void
history_end(struct history_event *e)
{
	bool wake = false;

	if (!e->live)
		return;
	e->live = false;
	pthread_mutex_lock(&hs.lock);
	if (hs.front.len + e->len > BUFFER_MAX) {
		hs.lost++;
	} else {
		history_body_add(&hs.front, e->data, e->len);
		wake = hs.idle || (!hs.hurry && hs.front.len >= WAKE_BYTES);
		hs.idle = false;
		hs.hurry |= hs.front.len >= WAKE_BYTES;
	}
	pthread_mutex_unlock(&hs.lock);
	if (wake)
		pthread_cond_signal(&hs.wake);
}

static struct timespec
in_ms(uint64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(ms / 1000);
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

void
history_flush(unsigned ms)
{
	struct timespec until = in_ms(ms);
	uint64_t wanted;

	if (!history_on())
		return;
	pthread_mutex_lock(&hs.lock);
	wanted = hs.taken + (hs.front.len > 0);
	hs.hurry = true;
	pthread_cond_signal(&hs.wake);
	while (hs.written < wanted && pthread_cond_timedwait(&hs.done, &hs.lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&hs.lock);
}

/* ---- the writer ---- */

static uint64_t
count_events(const char *body, size_t n)
{
	struct history_view e;
	uint64_t count = 0;
	size_t at = 0;

	while (history_body_next(body, n, &at, &e))
		count++;
	return count;
}

static void
close_file(void)
{
	if (hs.fd >= 0)
		close(hs.fd);
	hs.fd = -1;
	hs.name[0] = '\0';
}

static void
lose(uint64_t events, const char *why)
{
	uint64_t now = clock_ms();

	counter_add(COUNTER_HISTORY_LOST, events);
	if (now < hs.complain_at)
		return;
	hs.complain_at = now + COMPLAIN_MS;
	log_event(LOG_WARN, "history-lost", "events of history are lost, mail is not: %s", why);
}

/* Expiry goes by whole files: none is so long, in time or bytes, that it would keep much beyond its time. */
static bool
is_full(int64_t now)
{
	uint64_t most = hs.config.size / FILES_MIN;
	int64_t age = hs.config.keep / FILES_MIN;

	if (hs.size >= (most < FILE_MAX ? most : FILE_MAX) || now < hs.began)
		return true;
	return now - hs.began >= (age < 60 ? 60 : age) || now / DAY != hs.began / DAY;
}

static int
ready_file(struct err *err)
{
	int64_t now = clock_wall();

	if (hs.fd >= 0 && is_full(now))
		close_file();
	if (hs.fd >= 0)
		return 0;
	hs.fd = history_file_new(hs.config.path, now, hs.name, err);
	hs.size = 0;
	hs.began = now;
	hs.expire_at = 0;
	return hs.fd < 0 ? -1 : 0;
}

static int
check_room(struct err *err)
{
	struct statvfs v;

	if (statvfs(hs.config.path, &v) < 0)
		return err_sys(err, "%s", hs.config.path);
	if ((uint64_t)v.f_bavail * v.f_frsize < hs.config.min_free + hs.back.len * 2)
		return err_set(err, "queue { min_free } is all that is left on the file system");
	return 0;
}

static void
make_blocks(void)
{
	const char *p = hs.back.data;
	size_t n = hs.back.len, part;

	hs.blocks.len = 0;
	for (; n > 0; p += part, n -= part) {
		part = history_body_cut(p, n, BLOCK_BYTES);
		history_block_put(&hs.blocks, p, part, &hs.keys);
	}
}

/* A file that failed is not written again: what stands behind a torn block is found, but why trust the disk there. */
static void
write_back(void)
{
	struct err err;

	if (hs.back.len == 0)
		return;
	if (check_room(&err) == 0 && ready_file(&err) == 0) {
		make_blocks();
		if (file_write_all(hs.fd, hs.blocks.data, hs.blocks.len, &err) == 0) {
			hs.size += hs.blocks.len;
			return;
		}
	}
	close_file();
	lose(count_events(hs.back.data, hs.back.len), err.text);
}

static void
expire(void)
{
	uint64_t now = clock_ms();

	if (now < hs.expire_at)
		return;
	hs.expire_at = now + EXPIRE_MS;
	history_files_expire(hs.config.path, hs.name, clock_wall(), hs.config.keep, hs.config.size);
}

/* With the lock held. Sleeps until there is something, then a while, so that it becomes more. */
static void
wait_for_events(void)
{
	struct timespec t;

	while (hs.front.len == 0 && !hs.hurry && !hs.stop) {
		hs.idle = true;
		t = in_ms(EXPIRE_MS);
		if (pthread_cond_timedwait(&hs.wake, &hs.lock, &t) == ETIMEDOUT)
			break;
	}
	hs.idle = false;
	t = in_ms(WRITE_MS);
	while (hs.front.len > 0 && !hs.hurry && !hs.stop)
		if (pthread_cond_timedwait(&hs.wake, &hs.lock, &t) == ETIMEDOUT)
			break;
	hs.hurry = false;
}

static void *
writer(void *arg)
{
	struct buf swap;
	uint64_t lost;
	bool stop;

	(void)arg;
	do {
		pthread_mutex_lock(&hs.lock);
		wait_for_events();
		stop = hs.stop;
		swap = hs.back;
		hs.back = hs.front;
		hs.front = swap;
		hs.front.len = 0;
		lost = hs.lost;
		hs.lost = 0;
		hs.taken++;
		pthread_mutex_unlock(&hs.lock);
		if (lost > 0)
			lose(lost, "the disk is too slow");
		write_back();
		expire();
		pthread_mutex_lock(&hs.lock);
		hs.written = hs.taken;
		pthread_cond_broadcast(&hs.done);
		pthread_mutex_unlock(&hs.lock);
	} while (!stop);
	return NULL;
}

int
history_open(const struct history_config *config, struct err *err)
{
	pthread_condattr_t attr;

	check(!history_on());
	hs.config = *config;
	if (config->keep == 0) {
		history_files_expire(config->path, NULL, INT64_MAX, 0, 0);
		return 0;
	}
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&hs.wake, &attr);
	pthread_cond_init(&hs.done, &attr);
	pthread_condattr_destroy(&attr);
	hs.stop = hs.idle = hs.hurry = false;
	hs.expire_at = hs.complain_at = 0;
	if (thread_start(&hs.thread, "history", writer, NULL, err) < 0)
		return -1;
	atomic_store(&hs.on, true);
	return 0;
}

void
history_close(void)
{
	if (!atomic_exchange(&hs.on, false))
		return;
	pthread_mutex_lock(&hs.lock);
	hs.stop = true;
	pthread_mutex_unlock(&hs.lock);
	pthread_cond_signal(&hs.wake);
	pthread_join(hs.thread, NULL);
	close_file();
	buf_fini(&hs.front);
	buf_fini(&hs.back);
	buf_fini(&hs.blocks);
	free(hs.keys.key);
	memset(&hs.keys, 0, sizeof hs.keys);
}
