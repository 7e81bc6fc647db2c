/* SPDX-License-Identifier: MIT */
#include "util/log.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/counters.h"
#include "util/log_format.h"
#include "util/log_record.h"
#include "util/thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	RING_SIZE = 4 << 20, /* a power of two */
	BATCH_MS = 10,       /* a line waits at most this long, so that a busy server writes large pieces */
	RETRY_MS = 1000,     /* between attempts while the file cannot be written */
	GIVE_UP_MS = 2000,   /* log_close() and log_open() wait at most this long for a stuck reader */
	PIPE_PIECE = 4096,   /* what a pipe that polls writable takes without blocking */
};

/* Positions grow without end; the ring's index is position % RING_SIZE. Everything is under LOCK but the atomics. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake; /* to the writer */
	pthread_cond_t done; /* from the writer: a batch is written */
	pthread_t thread;
	bool open, stop, idle, writing;
	bool piecemeal; /* FD is no regular file */
	int fd;
	size_t head, tail;
	uint64_t reported;           /* of lost, already told in the log itself */
	_Atomic uint64_t lost;
	_Atomic uint64_t give_up_at; /* clock_ms(); 0: never */
	_Atomic int level;
	_Atomic int format; /* enum log_format */
	char *ring;
} lg = { .lock = PTHREAD_MUTEX_INITIALIZER, .level = LOG_INFO };

bool
log_wants(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&lg.level, memory_order_relaxed);
}

uint64_t
log_lost(void)
{
	return atomic_load_explicit(&lg.lost, memory_order_relaxed);
}

void
log_set_format(enum log_format format)
{
	atomic_store(&lg.format, (int)format);
}

static void
add_lost(uint64_t lines)
{
	atomic_fetch_add_explicit(&lg.lost, lines, memory_order_relaxed);
	counter_add(COUNTER_LOG_LINES_LOST, lines);
}

static void
ring_put(const char *p, size_t n)
{
	size_t at = lg.head % RING_SIZE, first = RING_SIZE - at;

	if (first > n)
		first = n;
	memcpy(lg.ring + at, p, first);
	memcpy(lg.ring, p + first, n - first);
	lg.head += n;
}

static void
write_at_once(const char *p, size_t n)
{
	struct buf json = { 0 };

	if (atomic_load(&lg.format) == LOG_JSON) {
		log_format_json(p, n, &json);
		p = json.data;
		n = json.len;
	}
	while (write(STDERR_FILENO, p, n) < 0 && errno == EINTR)
		;
	buf_fini(&json);
}

/* Only the first line after silence and the one that makes the ring half full wake the writer: no system call a
 * record. */
static void
push(const char *p, size_t n)
{
	bool wake = false;
	size_t used;

	pthread_mutex_lock(&lg.lock);
	if (!lg.open) {
		pthread_mutex_unlock(&lg.lock);
		write_at_once(p, n);
		return;
	}
	used = lg.head - lg.tail;
	if (RING_SIZE - used < n) {
		add_lost(1);
	} else {
		ring_put(p, n);
		wake = lg.idle || (used < RING_SIZE / 2 && used + n >= RING_SIZE / 2);
		lg.idle = false;
	}
	pthread_mutex_unlock(&lg.lock);
	if (wake)
		pthread_cond_signal(&lg.wake);
}

void
log_end(struct log_record *r)
{
	if (!r->live)
		return;
	log_record_finish(r);
	r->live = false;
	push(r->text, r->len);
}

void
log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	struct log_record r;
	char detail[1024];
	va_list ap;

	if (!log_wants(level))
		return;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof detail, fmt, ap);
	va_end(ap);
	log_begin(&r, level, event);
	log_str(&r, "detail", detail);
	log_end(&r);
}

/* False when the descriptor does not take bytes and nobody can wait any longer. */
static bool
wait_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	uint64_t end;

	for (;;) {
		if (poll(&p, 1, 100) > 0)
			return true;
		end = atomic_load(&lg.give_up_at);
		if (end != 0 && clock_ms() >= end)
			return false;
	}
}

/* Writer only, without the lock. Returns how many bytes went out. */
static size_t
write_some(int fd, bool piecemeal, const char *p, size_t n)
{
	size_t done = 0, piece;
	ssize_t r;

	while (done < n) {
		piece = n - done;
		if (piecemeal) {
			if (!wait_writable(fd))
				break;
			if (piece > PIPE_PIECE)
				piece = PIPE_PIECE;
		}
		r = write(fd, p + done, piece);
		if (r < 0 && errno != EINTR && errno != EAGAIN)
			break;
		if (r > 0)
			done += (size_t)r;
	}
	return done;
}

static void count_lost(const char *p, size_t n);

/* The same as JSON. Lines that did not go out are counted; the answer is whether all did. */
static bool
write_json(int fd, bool piecemeal, size_t from, size_t to)
{
	struct buf text = { 0 }, json = { 0 };
	size_t at = from % RING_SIZE, first = RING_SIZE - at, done;
	bool ok;

	if (first > to - from)
		first = to - from;
	buf_add(&text, lg.ring + at, first);
	buf_add(&text, lg.ring, to - from - first);
	log_format_json(text.data, text.len, &json);
	done = write_some(fd, piecemeal, json.data, json.len);
	ok = done == json.len;
	count_lost(json.data + done, json.len - done);
	buf_fini(&text);
	buf_fini(&json);
	return ok;
}

static void
count_lost(const char *p, size_t n)
{
	uint64_t lines = 0;
	size_t i;

	for (i = 0; i < n; i++)
		lines += p[i] == '\n';
	add_lost(lines);
}

/* Bytes from POS to the ring's edge or END. False when they could not be written: their lines are counted as lost. */
static bool
write_span(int fd, bool piecemeal, size_t pos, size_t end)
{
	size_t at = pos % RING_SIZE, n = end - pos, done;

	if (n > RING_SIZE - at)
		n = RING_SIZE - at;
	if (n == 0)
		return true;
	done = write_some(fd, piecemeal, lg.ring + at, n);
	count_lost(lg.ring + at + done, n - done);
	return done == n;
}

static bool
write_notice(int fd, bool piecemeal, uint64_t lost, uint64_t total)
{
	struct log_record r;

	log_begin(&r, LOG_ERROR, "log_lines_lost");
	if (!r.live)
		return true;
	log_u64(&r, "lost", lost);
	log_u64(&r, "lost_in_all", total);
	log_record_finish(&r);
	return write_some(fd, piecemeal, r.text, r.len) == r.len;
}

/* With the lock held, given up while writing. False when nothing can be written at the moment. */
static bool
flush(void)
{
	size_t from = lg.tail, to = lg.head, edge = from + (RING_SIZE - from % RING_SIZE);
	bool piecemeal = lg.piecemeal, ok;
	uint64_t lost;
	int fd = lg.fd;

	lg.writing = true;
	pthread_mutex_unlock(&lg.lock);
	if (to > from && atomic_load(&lg.format) == LOG_JSON) {
		ok = write_json(fd, piecemeal, from, to);
	} else {
		ok = write_span(fd, piecemeal, from, to);
		if (to > edge)
			ok = write_span(fd, piecemeal, edge, to) && ok;
	}
	lost = log_lost();
	if (ok && lost != lg.reported) {
		ok = write_notice(fd, piecemeal, lost - lg.reported, lost);
		if (ok)
			lg.reported = lost; /* only this thread uses it while it runs */
	}
	pthread_mutex_lock(&lg.lock);
	lg.tail = to;
	lg.writing = false;
	pthread_cond_broadcast(&lg.done);
	return ok;
}

static void
wait_ms(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&lg.wake, &lg.lock, &t);
}

static void *
writer(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lg.lock);
	for (;;) {
		while (lg.head == lg.tail && log_lost() == lg.reported && !lg.stop) {
			lg.idle = true;
			pthread_cond_wait(&lg.wake, &lg.lock);
		}
		if (lg.head == lg.tail && log_lost() == lg.reported)
			break;
		if (!lg.stop && lg.head - lg.tail < RING_SIZE / 2)
			wait_ms(BATCH_MS);
		if (flush())
			continue;
		if (lg.stop)
			break;
		wait_ms(RETRY_MS);
	}
	pthread_mutex_unlock(&lg.lock);
	return NULL;
}

static void
prepare_conds(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&lg.wake, &attr);
	pthread_cond_init(&lg.done, &attr);
	pthread_condattr_destroy(&attr);
}

static int
start_writer(struct err *err)
{
	prepare_conds();
	if (lg.ring == NULL)
		lg.ring = xmalloc(RING_SIZE);
	lg.stop = lg.idle = lg.writing = false;
	lg.head = lg.tail = 0;
	if (thread_start(&lg.thread, "log", writer, NULL, err) < 0)
		return -1;
	lg.open = true;
	return 0;
}

int
log_open(int fd, enum log_level level, struct err *err)
{
	struct stat st;
	int rc = 0;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot log to descriptor %d", fd);
	pthread_mutex_lock(&lg.lock);
	atomic_store(&lg.level, (int)level);
	lg.fd = fd;
	lg.piecemeal = !S_ISREG(st.st_mode);
	if (!lg.open) {
		rc = start_writer(err);
	} else {
		atomic_store(&lg.give_up_at, clock_ms() + GIVE_UP_MS);
		while (lg.writing)
			pthread_cond_wait(&lg.done, &lg.lock);
	}
	atomic_store(&lg.give_up_at, 0);
	pthread_mutex_unlock(&lg.lock);
	return rc;
}

void
log_close(void)
{
	pthread_mutex_lock(&lg.lock);
	if (!lg.open) {
		pthread_mutex_unlock(&lg.lock);
		return;
	}
	lg.stop = true;
	lg.open = false;
	atomic_store(&lg.give_up_at, clock_ms() + GIVE_UP_MS);
	pthread_mutex_unlock(&lg.lock);
	pthread_cond_signal(&lg.wake);
	pthread_join(lg.thread, NULL);
	atomic_store(&lg.give_up_at, 0);
}

void
log_after_fork(void)
{
	/* The lock may have been held by a thread that does not exist here. What the ring held is the parent's. */
	pthread_mutex_init(&lg.lock, NULL);
	lg.open = lg.stop = lg.idle = lg.writing = false;
	lg.head = lg.tail = 0;
	lg.reported = log_lost();
	atomic_store(&lg.give_up_at, 0);
}
