/* SPDX-License-Identifier: MIT */
/* Epoch folders: numbers that never come again, and the locks that say who holds them. */
#include "spool/log_file.h"
#include "util/check.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EPOCH_MAX = INT32_MAX, LOCK_TRIES = 200, LOCK_PAUSE_MS = 50 };

static int
name_to_number(const char *name, uint32_t *out)
{
	size_t n = strlen(name);

	if (n != 8 || strspn(name, "0123456789abcdef") != n)
		return -1;
	*out = (uint32_t)strtoul(name, NULL, 16);
	return *out == 0 || *out > EPOCH_MAX ? -1 : 0;
}

static void
highest(void *arg, const char *name)
{
	uint32_t number, *max = arg;

	if (name_to_number(name, &number) == 0 && number > *max)
		*max = number;
}

/* What spool/epoch says; 0 when it says nothing: then the folders have to do. */
static uint32_t
last_epoch(struct disk *d, const char *file)
{
	char text[16];
	uint64_t v = 0;
	ssize_t n;
	int fd = d->open(d, file, O_RDONLY);

	if (fd < 0)
		return 0;
	n = disk_read_all(d, fd, text, sizeof text, 0);
	d->close(d, fd);
	if (n < 2 || text[n - 1] != '\n' || str_u64(text, (size_t)n - 1, EPOCH_MAX, &v) < 0)
		return 0;
	return (uint32_t)v;
}

/* Held only while an epoch is made or claimed, so that nobody adopts a folder between its birth and its lock. */
static int
lock_spool(struct disk *d, const char *path, struct err *err)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000L };
	char file[LOG_PATH_MAX + 16];
	int fd, tries, saved;

	snprintf(file, sizeof file, "%s/lock", path);
	fd = d->open(d, file, O_RDWR | O_CREAT);
	if (fd < 0)
		return err_sys(err, "cannot open %s", file);
	for (tries = 0; d->lock(d, fd) < 0; tries++) {
		if (errno != EINTR && (errno != EWOULDBLOCK || tries == LOCK_TRIES)) {
			saved = errno;
			d->close(d, fd);
			errno = saved;
			return err_sys(err, "cannot lock %s", file);
		}
		nanosleep(&pause, NULL);
	}
	return fd;
}

static struct epoch *
epoch_new(const char *path, uint32_t number)
{
	struct epoch *e = xcalloc(1, sizeof *e);

	list_init(&e->link);
	snprintf(e->path, sizeof e->path, "%s/%08x", path, number);
	e->number = number;
	e->lock = -1;
	return e;
}

void
epoch_free(struct disk *d, struct epoch **epoch)
{
	list_remove(&(*epoch)->link);
	if ((*epoch)->lock >= 0)
		d->close(d, (*epoch)->lock);
	free(*epoch);
	*epoch = NULL;
}

/* 0: ours now; -1 with errno. */
static int
take_lock(struct disk *d, struct epoch *e)
{
	char file[LOG_PATH_MAX + 16];

	snprintf(file, sizeof file, "%s/lock", e->path);
	e->lock = d->open(d, file, O_RDWR | O_CREAT);
	return e->lock < 0 ? -1 : d->lock(d, e->lock);
}

static struct epoch *
make(struct disk *d, const char *path, struct err *err)
{
	char file[LOG_PATH_MAX + 16], tmp[LOG_PATH_MAX + 16], text[16];
	struct epoch *e = NULL;
	uint32_t number;
	int n;

	snprintf(file, sizeof file, "%s/epoch", path);
	snprintf(tmp, sizeof tmp, "%s/epoch.tmp", path);
	number = last_epoch(d, file);
	if (d->list(d, path, highest, &number) < 0) {
		err_sys(err, "cannot list %s", path);
		return NULL;
	}
	if (number == EPOCH_MAX) {
		err_set(err, "%s: epoch numbers are used up", path);
		return NULL;
	}
	n = snprintf(text, sizeof text, "%u\n", ++number);
	if (disk_replace(d, tmp, file, text, (size_t)n) < 0 || d->sync_folder(d, path) < 0) {
		err_sys(err, "cannot write %s", file);
		return NULL;
	}
	e = epoch_new(path, number);
	e->own = true;
	if (d->mkdir(d, e->path) < 0 || take_lock(d, e) < 0 || d->sync_folder(d, e->path) < 0 ||
	    d->sync_folder(d, path) < 0) {
		err_sys(err, "cannot make %s", e->path);
		epoch_free(d, &e);
	}
	return e;
}

/* The spool's folder and its name in the one above. Where it was there before, whoever made it may not have come to
 * syncing its name; we try, but need not be allowed to. */
static int
make_folder(struct disk *d, const char *path)
{
	char above[LOG_PATH_MAX];
	bool made = d->mkdir(d, path) == 0;
	char *slash;

	if (!made && errno != EEXIST)
		return -1;
	snprintf(above, sizeof above, "%s", path);
	slash = strrchr(above, '/');
	if (slash == NULL)
		memcpy(above, ".", 2);
	else
		slash[slash == above ? 1 : 0] = '\0';
	return d->sync_folder(d, above) < 0 && made ? -1 : 0;
}

struct epoch *
epoch_make(struct disk *d, const char *path, struct err *err)
{
	struct epoch *e;
	int lock;

	if (make_folder(d, path) < 0) {
		err_sys(err, "cannot make %s", path);
		return NULL;
	}
	lock = lock_spool(d, path, err);
	if (lock < 0)
		return NULL;
	e = make(d, path, err);
	d->close(d, lock);
	return e;
}

struct claim {
	const char *path;
	const struct list *known;
	struct list *out;
};

static void
consider(void *arg, const char *name)
{
	struct claim *c = arg;
	struct epoch *e;
	uint32_t number;

	if (name_to_number(name, &number) < 0)
		return;
	list_each(l, c->known)
		if (list_entry(l, struct epoch, link)->number == number)
			return;
	e = epoch_new(c->path, number);
	list_each(l, c->out)
		if (list_entry(l, struct epoch, link)->number > number) {
			list_append(l, &e->link);
			return;
		}
	list_append(c->out, &e->link);
}

int
epoch_claim(struct disk *d, const char *path, const struct list *known, struct list *out, struct err *err)
{
	struct claim c = { .path = path, .known = known, .out = out };
	int lock = lock_spool(d, path, err), rc = 0;

	if (lock < 0)
		return -1;
	if (d->list(d, path, consider, &c) < 0)
		rc = err_sys(err, "cannot list %s", path);
	list_each_safe(l, out) {
		struct epoch *e = list_entry(l, struct epoch, link);

		if (take_lock(d, e) == 0)
			continue;
		if (errno == EWOULDBLOCK || errno == ENOENT || errno == ENOTDIR)
			epoch_free(d, &e);
		else if (e->lock >= 0) {
			d->close(d, e->lock);
			e->lock = -1;
		}
	}
	d->close(d, lock);
	return rc;
}

void
epoch_remove(struct disk *d, const char *path, struct epoch **epoch)
{
	char file[LOG_PATH_MAX + 16];

	snprintf(file, sizeof file, "%s/lock", (*epoch)->path);
	d->unlink(d, file);
	if (d->rmdir(d, (*epoch)->path) == 0)
		d->sync_folder(d, path);
	epoch_free(d, epoch);
}
