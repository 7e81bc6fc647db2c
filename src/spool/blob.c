/* SPDX-License-Identifier: MIT */
#include "spool/blob.h"
#include "spool/disk.h"
#include "util/check.h"
#include "util/crc32c.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_ROOM = 4096, PIECE = 256 * 1024 };

/* The folder of a life that ended, locked by us until it is empty. */
struct ended {
	struct ended *next;
	uint32_t epoch;
	int lock;
};

struct blobs {
	struct disk *disk;
	char *path;
	uint32_t epoch;
	int lock;
	struct ended *ended;
};

static void
folder_path(const struct blobs *b, uint32_t epoch, char *out)
{
	snprintf(out, PATH_ROOM, "%s/%u", b->path, epoch);
}

static void
blob_path(const struct blobs *b, const char *name, char *out)
{
	snprintf(out, PATH_ROOM, "%s/%s", b->path, name);
}

static void
blob_name(uint64_t id, char *out, size_t size)
{
	char text[ID_TEXT];

	id_text(id, text);
	snprintf(out, size, "%u/%s", (unsigned)(id >> 40), text);
}

static int
lock_folder(struct blobs *b, uint32_t epoch)
{
	char path[PATH_ROOM + 8];
	int fd;

	folder_path(b, epoch, path);
	snprintf(path + strlen(path), sizeof "/lock", "/lock");
	fd = b->disk->open(b->disk, path, O_RDWR | O_CREAT);
	if (fd >= 0 && b->disk->lock(b->disk, fd) < 0) {
		b->disk->close(b->disk, fd);
		return -1;
	}
	return fd;
}

static void
on_epoch(void *arg, const char *name)
{
	struct blobs *b = arg;
	struct ended *e;
	uint64_t epoch;
	int lock;

	if (str_u64(name, strlen(name), UINT32_MAX, &epoch) < 0 || epoch == b->epoch)
		return;
	lock = lock_folder(b, (uint32_t)epoch);
	if (lock < 0)
		return; /* its life goes on */
	e = xcalloc(1, sizeof *e);
	e->epoch = (uint32_t)epoch;
	e->lock = lock;
	e->next = b->ended;
	b->ended = e;
}

static int
make_folder(struct blobs *b, const char *path, const char *parent, struct err *err)
{
	if (b->disk->mkdir(b->disk, path) < 0 && errno != EEXIST)
		return err_sys(err, "cannot make folder %s", path);
	if (b->disk->sync_folder(b->disk, parent) < 0)
		return err_sys(err, "cannot sync folder %s", parent);
	return 0;
}

int
blobs_open(struct blobs **out, const char *path, uint32_t epoch, struct disk *disk, struct err *err)
{
	struct blobs *b = xcalloc(1, sizeof *b);
	char folder[PATH_ROOM];

	b->disk = disk != NULL ? disk : &disk_real;
	b->path = xmalloc(strlen(path) + sizeof "/blobs");
	snprintf(b->path, strlen(path) + sizeof "/blobs", "%s/blobs", path);
	b->epoch = epoch;
	b->lock = -1;
	folder_path(b, epoch, folder);
	*out = b;
	if (make_folder(b, b->path, path, err) < 0 || make_folder(b, folder, b->path, err) < 0)
		goto fail;
	b->lock = lock_folder(b, epoch);
	if (b->lock < 0) {
		err_sys(err, "cannot lock %s", folder);
		goto fail;
	}
	if (b->disk->list(b->disk, b->path, on_epoch, b) < 0) {
		err_sys(err, "cannot read folder %s", b->path);
		goto fail;
	}
	return 0;
fail:
	blobs_close(out);
	return -1;
}

/* An empty folder goes; the lock file in it first. */
static void
try_remove_folder(struct blobs *b, uint32_t epoch)
{
	char folder[PATH_ROOM], lock[PATH_ROOM];

	folder_path(b, epoch, folder);
	snprintf(lock, sizeof lock, "%s/%u/lock", b->path, epoch);
	b->disk->unlink(b->disk, lock);
	b->disk->rmdir(b->disk, folder);
}

struct count {
	uint64_t files;
	void (*each)(struct count *c, const char *name);
	struct blobs *b;
	uint32_t epoch;
	int (*wanted)(void *arg, uint64_t id);
	void *arg;
};

static void
on_file(void *arg, const char *name)
{
	struct count *c = arg;
	char file[64], path[PATH_ROOM];
	uint64_t id;

	if (strcmp(name, "lock") == 0)
		return;
	if (c->wanted != NULL && id_parse(name, &id) == 0 && id >> 40 == c->epoch && !c->wanted(c->arg, id)) {
		snprintf(file, sizeof file, "%u/%s", c->epoch, name);
		blob_path(c->b, file, path);
		if (c->b->disk->unlink(c->b->disk, path) == 0)
			return;
	}
	c->files++;
}

/* Files of EPOCH's folder, after those not wanted were removed. */
static uint64_t
sweep_folder(struct blobs *b, uint32_t epoch, int (*wanted)(void *, uint64_t), void *arg)
{
	struct count c = { .b = b, .epoch = epoch, .wanted = wanted, .arg = arg };
	char folder[PATH_ROOM];

	folder_path(b, epoch, folder);
	if (b->disk->list(b->disk, folder, on_file, &c) < 0)
		return 1; /* unknown: leave it */
	return c.files;
}

uint64_t
blobs_sweep(struct blobs *b, int (*wanted)(void *arg, uint64_t id), void *arg)
{
	struct ended **at = &b->ended, *e;
	uint64_t files = 0, here;

	while ((e = *at) != NULL) {
		here = sweep_folder(b, e->epoch, wanted, arg);
		files += here;
		if (here > 0) {
			at = &e->next;
			continue;
		}
		try_remove_folder(b, e->epoch);
		b->disk->close(b->disk, e->lock);
		*at = e->next;
		free(e);
	}
	return files;
}

void
blobs_close(struct blobs **blobs)
{
	struct blobs *b = *blobs;
	struct ended *e;

	if (b == NULL)
		return;
	while ((e = b->ended) != NULL) {
		b->ended = e->next;
		if (sweep_folder(b, e->epoch, NULL, NULL) == 0)
			try_remove_folder(b, e->epoch);
		b->disk->close(b->disk, e->lock);
		free(e);
	}
	if (b->lock >= 0) {
		if (sweep_folder(b, b->epoch, NULL, NULL) == 0)
			try_remove_folder(b, b->epoch);
		b->disk->close(b->disk, b->lock);
	}
	free(b->path);
	free(b);
	*blobs = NULL;
}

/* ---- one blob ---- */

int
blob_create(struct blobs *b, struct message *m, struct err *err)
{
	char path[PATH_ROOM];

	check(m->blob[0] == '\0');
	blob_name(m->id, m->blob, sizeof m->blob);
	blob_path(b, m->blob, path);
	m->blob_crc = 0;
	m->blob_len = 0;
	m->blob_fd = b->disk->open(b->disk, path, O_RDWR | O_CREAT | O_TRUNC);
	if (m->blob_fd < 0) {
		m->blob[0] = '\0';
		return err_sys(err, "cannot make %s", path);
	}
	m->blob_disk = b->disk;
	return 0;
}

int
blob_append(struct blobs *b, struct message *m, const void *p, size_t n, struct err *err)
{
	struct iovec iov = { .iov_base = (char *)(uintptr_t)p, .iov_len = n };

	check(m->blob_fd >= 0);
	if (n == 0)
		return 0;
	if (disk_write_all(b->disk, m->blob_fd, &iov, 1, m->blob_len) < 0)
		return err_sys(err, "cannot write blob %s", m->blob);
	m->blob_crc = crc32c(m->blob_crc, p, n);
	m->blob_len += n;
	return 0;
}

int
blob_finish(struct blobs *b, struct message *m, struct err *err)
{
	char folder[PATH_ROOM];
	int fd = m->blob_fd, rc;

	check(fd >= 0);
	m->blob_fd = -1;
	rc = b->disk->fsync(b->disk, fd);
	if (rc < 0)
		err_sys(err, "cannot sync blob %s", m->blob);
	b->disk->close(b->disk, fd);
	folder_path(b, (uint32_t)(m->id >> 40), folder);
	if (rc == 0 && b->disk->sync_folder(b->disk, folder) < 0)
		rc = err_sys(err, "cannot sync folder %s", folder);
	return rc;
}

static void
remove_name(struct blobs *b, const char *name)
{
	char path[PATH_ROOM];

	blob_path(b, name, path);
	b->disk->unlink(b->disk, path);
}

void
blob_remove(struct blobs *b, struct message *m)
{
	if (m->blob[0] == '\0')
		return;
	if (m->blob_fd >= 0)
		b->disk->close(b->disk, m->blob_fd);
	m->blob_fd = -1;
	remove_name(b, m->blob);
	m->blob[0] = '\0';
}

void
blob_remove_id(struct blobs *b, uint64_t id)
{
	char name[32];

	blob_name(id, name, sizeof name);
	remove_name(b, name);
}

static int
open_checked(struct blobs *b, const char *name, uint64_t length, struct err *err)
{
	char path[PATH_ROOM];
	uint64_t size;
	int fd;

	blob_path(b, name, path);
	fd = b->disk->open(b->disk, path, O_RDONLY);
	if (fd < 0)
		return err_sys(err, "cannot open blob %s", name);
	if (b->disk->size(b->disk, fd, &size) < 0) {
		err_sys(err, "cannot look at blob %s", name);
	} else if (size != length) {
		err_set(err, "blob %s has %llu bytes, not %llu", name, (unsigned long long)size,
		    (unsigned long long)length);
		if (err != NULL)
			err->code = EBADMSG;
	} else {
		return fd;
	}
	b->disk->close(b->disk, fd);
	return -1;
}

int
blob_length_ok(struct blobs *b, const char *name, uint64_t length, struct err *err)
{
	int fd = open_checked(b, name, length, err);

	if (fd < 0)
		return -1;
	b->disk->close(b->disk, fd);
	return 0;
}

int
blob_check(struct blobs *b, const struct message *m, struct err *err)
{
	uint64_t off = 0;
	uint32_t crc = 0;
	ssize_t got;
	char *piece;
	int fd = open_checked(b, m->blob, m->blob_len, err);

	if (fd < 0)
		return -1;
	piece = xmalloc(PIECE);
	while ((got = disk_read_all(b->disk, fd, piece, PIECE, off)) > 0) {
		crc = crc32c(crc, piece, (size_t)got);
		off += (uint64_t)got;
	}
	if (got < 0)
		err_sys(err, "cannot read blob %s", m->blob);
	free(piece);
	b->disk->close(b->disk, fd);
	if (got < 0)
		return -1;
	if (off == m->blob_len && crc == m->blob_crc)
		return 0;
	err_set(err, "blob %s is damaged", m->blob);
	if (err != NULL)
		err->code = EBADMSG;
	return -1;
}

ssize_t
blob_read(struct blobs *b, const struct message *m, uint64_t off, void *p, size_t n, struct err *err)
{
	char path[PATH_ROOM];
	ssize_t got;
	int fd;

	blob_path(b, m->blob, path);
	fd = b->disk->open(b->disk, path, O_RDONLY);
	if (fd < 0)
		return err_sys(err, "cannot open blob %s", m->blob);
	got = disk_read_all(b->disk, fd, p, n, off);
	if (got < 0)
		err_sys(err, "cannot read blob %s", m->blob);
	b->disk->close(b->disk, fd);
	return got;
}
