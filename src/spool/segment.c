/* SPDX-License-Identifier: MIT */
#include "spool/segment.h"
#include "util/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Zeros are written and synced in steps, so that the committer's syncs do not wait for a whole segment. */
enum { ZERO_CHUNK = 1 << 20, ZERO_STEP = 4 << 20 };

void
segment_path(const struct segment *s, const char *ext, char path[LOG_PATH_MAX])
{
	int n = snprintf(path, LOG_PATH_MAX, "%s/%08x.%s", s->epoch->path, s->file, ext);

	check(n > 0 && n < LOG_PATH_MAX);
}

struct segment *
segment_found(struct epoch *epoch, uint32_t file)
{
	struct segment *s = xcalloc(1, sizeof *s);

	list_init(&s->queue);
	s->epoch = epoch;
	s->file = file;
	s->fd = s->direct = -1;
	s->end = LOG_BLOCK;
	s->limit = UINT64_MAX;
	return s;
}

/* The log is written once and seldom read: the page cache would cost a fresh page for each block of it. */
static void
open_direct(struct segment *s, struct disk *d, const char *path)
{
	s->direct = d->open(d, path, O_WRONLY | O_DIRECT);
}

int
segment_write(struct segment *s, struct disk *d, const void *p, size_t n, uint64_t off)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };

	if (s->direct >= 0) {
		if (disk_write_all(d, s->direct, &iov, 1, off) == 0)
			return 0;
		if (errno != EINVAL)
			return -1;
		/* The file system wants another alignment, or cannot after all. */
		segment_end_writing(s, d);
		iov = (struct iovec){ .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	}
	return disk_write_all(d, s->fd, &iov, 1, off);
}

static int
fill_zeros(struct segment *s, struct disk *d)
{
	char *zeros = xaligned_alloc(LOG_BLOCK, ZERO_CHUNK);
	uint64_t at, n;
	int rc = 0;

	memset(zeros, 0, ZERO_CHUNK);
	for (at = 0; rc == 0 && at < s->size; at += n) {
		n = s->size - at < ZERO_CHUNK ? s->size - at : ZERO_CHUNK;
		rc = segment_write(s, d, zeros, (size_t)n, at);
		if (rc == 0 && (at + n) % ZERO_STEP == 0)
			rc = d->fdatasync(d, s->fd);
	}
	free(zeros);
	return rc;
}

struct segment *
segment_new(struct disk *d, struct epoch *epoch, uint32_t file, uint64_t size)
{
	struct segment *s = segment_found(epoch, file);
	char path[LOG_PATH_MAX];
	int saved;

	segment_path(s, "new", path);
	s->size = size;
	s->fd = d->open(d, path, O_RDWR | O_CREAT | O_EXCL);
	if (s->fd >= 0)
		open_direct(s, d, path);
	if (s->fd >= 0 && d->allocate(d, s->fd, size) == 0 && fill_zeros(s, d) == 0)
		return s;
	saved = errno;
	if (s->fd >= 0)
		d->unlink(d, path);
	segment_free(&s, d);
	errno = saved;
	return NULL;
}

int
segment_restamp(struct segment *s, struct disk *d, const struct stamp *stamp)
{
	struct segment_head h = { .stamp = *stamp, .size = s->size, .epoch = s->epoch->number };
	alignas(LOG_BLOCK) char block[LOG_BLOCK];

	for (h.copy = 0; h.copy < 2; h.copy++) {
		segment_head_put(block, &h);
		if (segment_write(s, d, block, sizeof block, h.copy == 0 ? 0 : s->size - LOG_BLOCK) < 0)
			return -1;
	}
	if (d->fdatasync(d, s->fd) < 0)
		return -1;
	s->stamp = *stamp;
	return 0;
}

int
segment_finish(struct segment *s, struct disk *d, const struct stamp *stamp)
{
	char from[LOG_PATH_MAX], to[LOG_PATH_MAX];
	int saved;

	segment_path(s, "new", from);
	segment_path(s, "seg", to);
	if (segment_restamp(s, d, stamp) == 0 && d->fsync(d, s->fd) == 0 && d->rename(d, from, to) == 0) {
		if (d->sync_folder(d, s->epoch->path) == 0)
			return 0;
		memcpy(from, to, sizeof from);
	}
	saved = errno;
	d->unlink(d, from);
	errno = saved;
	return -1;
}

int
segment_open(struct segment *s, struct disk *d)
{
	char path[LOG_PATH_MAX];

	if (s->fd >= 0)
		return 0;
	segment_path(s, "seg", path);
	s->fd = d->open(d, path, O_RDWR);
	return s->fd < 0 ? -1 : 0;
}

void
segment_begin_writing(struct segment *s, struct disk *d)
{
	char path[LOG_PATH_MAX];

	segment_path(s, "seg", path);
	open_direct(s, d, path);
}

void
segment_end_writing(struct segment *s, struct disk *d)
{
	if (s->direct >= 0)
		d->close(d, s->direct);
	s->direct = -1;
}

void
segment_close(struct segment *s, struct disk *d)
{
	segment_end_writing(s, d);
	if (s->fd >= 0)
		d->close(d, s->fd);
	s->fd = -1;
}

int
segment_unlink(struct segment *s, struct disk *d)
{
	char path[LOG_PATH_MAX];

	segment_path(s, "seg", path);
	if ((d->unlink(d, path) < 0 && errno != ENOENT) || d->sync_folder(d, s->epoch->path) < 0)
		return -1;
	segment_path(s, "idx", path);
	d->unlink(d, path);
	return 0;
}

void
segment_free(struct segment **s, struct disk *d)
{
	if (*s == NULL)
		return;
	segment_close(*s, d);
	log_index_fini(&(*s)->index);
	free(*s);
	*s = NULL;
}
