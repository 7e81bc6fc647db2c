/* SPDX-License-Identifier: MIT */
#include "simdisk.h"
#include "util/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512, BLOCK = 4096, FDS = 4096, FD_BASE = 1000 };

/* Contents shared between images until one writes. */
struct content {
	unsigned refs;
	uint64_t size, cap;
	unsigned char *data;
};

struct name {
	char *path;
	unsigned inode; /* 0: a folder */
};

/* A file system: what the inodes hold, and which names they have. */
struct image {
	struct content **content; /* by inode; NULL: empty */
	unsigned inodes;
	struct name *name;
	unsigned names;
};

enum change_kind { CHANGE_WRITE, CHANGE_SIZE, CHANGE_SYNC, CHANGE_SYNC_FAILED, CHANGE_NAME, CHANGE_SYNC_NAMES };

/* CHANGE_NAME removes FROM (if set) and makes TO (if set) name the inode: create, mkdir, rename, unlink, rmdir. */
struct change {
	enum change_kind kind;
	unsigned inode;
	uint64_t off, size;
	unsigned char *data;
	char *from, *to;
	bool doomed; /* a sync of it failed: no later one makes it durable */
};

enum call_kind { CALL_OPEN, CALL_READ, CALL_WRITE, CALL_SYNC, CALL_ALLOCATE, CALL_LOCK, CALL_RENAME, CALL_UNLINK,
	CALL_FOLDER, CALL_SYNC_FOLDER, CALL_SPACE };

struct simdisk {
	struct disk disk;
	pthread_mutex_t lock;
	struct image base, live; /* at the start of the recording; now */
	struct change *tape;
	size_t changes, tape_cap;
	bool recording, stopped;
	struct {
		bool open, locked;
		unsigned inode;
	} fd[FDS];
	uint64_t capacity, bytes_read, write_max;
	uint64_t calls, fail_at;
	int fail_error;
	bool fail_sticky;
	int fail_kind; /* of the sticky fault, once it struck; else -1 */
};

struct simreplay {
	const struct simdisk *disk;
	struct image durable;
	size_t at;
	struct change **pending;
	size_t pendings, cap;
};

uint64_t
sim_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t
sim_below(uint64_t *state, uint64_t limit)
{
	return sim_random(state) % limit;
}

/* ---- images ---- */

static void
content_unref(struct content *c)
{
	if (c != NULL && --c->refs == 0) {
		free(c->data);
		free(c);
	}
}

/* The inode's contents, ours alone, with room for SIZE bytes (zeros where never written). */
static struct content *
content_own(struct image *m, unsigned inode, uint64_t size)
{
	struct content *old, *c;

	if (inode >= m->inodes) {
		m->content = xrealloc(m->content, (inode + 1) * sizeof *m->content);
		memset(m->content + m->inodes, 0, (inode + 1 - m->inodes) * sizeof *m->content);
		m->inodes = inode + 1;
	}
	old = m->content[inode];
	if (old != NULL && old->refs == 1 && old->cap >= size)
		return old;
	c = xcalloc(1, sizeof *c);
	c->refs = 1;
	c->size = old != NULL ? old->size : 0;
	c->cap = size > c->size ? size : c->size;
	c->data = xcalloc(1, (size_t)c->cap + 1);
	if (old != NULL)
		memcpy(c->data, old->data, (size_t)old->size);
	content_unref(old);
	m->content[inode] = c;
	return c;
}

static void
image_write(struct image *m, unsigned inode, uint64_t off, const unsigned char *p, uint64_t n)
{
	struct content *c = content_own(m, inode, off + n);

	memcpy(c->data + off, p, (size_t)n);
	if (off + n > c->size)
		c->size = off + n;
}

static void
image_size(struct image *m, unsigned inode, uint64_t size)
{
	struct content *c = content_own(m, inode, size);

	if (size < c->size)
		memset(c->data + size, 0, (size_t)(c->size - size));
	c->size = size;
}

static struct name *
image_find(const struct image *m, const char *path)
{
	unsigned i;

	for (i = 0; i < m->names; i++)
		if (strcmp(m->name[i].path, path) == 0)
			return &m->name[i];
	return NULL;
}

static void
image_remove(struct image *m, const char *path)
{
	struct name *n = image_find(m, path);

	if (n == NULL)
		return;
	free(n->path);
	*n = m->name[--m->names];
}

static void
image_name(struct image *m, const char *path, unsigned inode)
{
	image_remove(m, path);
	if (m->names % 16 == 0)
		m->name = xrealloc(m->name, (m->names + 16) * sizeof *m->name);
	m->name[m->names++] = (struct name){ .path = xstrdup(path), .inode = inode };
}

static void
image_copy(struct image *to, const struct image *from)
{
	unsigned i;

	memset(to, 0, sizeof *to);
	to->content = xcalloc(from->inodes + 1, sizeof *to->content);
	to->inodes = from->inodes;
	for (i = 0; i < from->inodes; i++)
		if (from->content[i] != NULL) {
			to->content[i] = from->content[i];
			to->content[i]->refs++;
		}
	for (i = 0; i < from->names; i++)
		image_name(to, from->name[i].path, from->name[i].inode);
}

static void
image_fini(struct image *m)
{
	unsigned i;

	for (i = 0; i < m->inodes; i++)
		content_unref(m->content[i]);
	for (i = 0; i < m->names; i++)
		free(m->name[i].path);
	free(m->content);
	free(m->name);
	memset(m, 0, sizeof *m);
}

static void
parent(const char *path, char out[300])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == path ? 1 : (size_t)(slash - path);

	check(n < 300);
	memcpy(out, path, n);
	out[n] = '\0';
}

/* Names below folders that are not there go too. */
static void
image_prune(struct image *m)
{
	char up[300];
	unsigned i;

again:
	for (i = 0; i < m->names; i++) {
		if (strcmp(m->name[i].path, "/") == 0)
			continue;
		parent(m->name[i].path, up);
		if (image_find(m, up) == NULL) {
			image_remove(m, m->name[i].path);
			goto again;
		}
	}
}

static void
image_apply(struct image *m, const struct change *c)
{
	switch (c->kind) {
	case CHANGE_WRITE:
		image_write(m, c->inode, c->off, c->data, c->size);
		break;
	case CHANGE_SIZE:
		image_size(m, c->inode, c->size);
		break;
	case CHANGE_NAME:
		if (c->from != NULL)
			image_remove(m, c->from);
		if (c->to != NULL)
			image_name(m, c->to, c->inode);
		break;
	default:
		break;
	}
}

/* ---- the disk ---- */

static struct simdisk *
sim(struct disk *d)
{
	return (struct simdisk *)(void *)d;
}

static int
fail(struct simdisk *s, int error)
{
	pthread_mutex_unlock(&s->lock);
	errno = error;
	return -1;
}

/* Locks the disk. True: this call is to fail with s->fail_error. */
static bool
enter(struct simdisk *s, enum call_kind kind)
{
	pthread_mutex_lock(&s->lock);
	s->calls++;
	if (s->stopped) {
		s->fail_error = EIO;
		return true;
	}
	if (s->fail_kind == (int)kind)
		return true;
	if (s->fail_at == 0 || s->calls != s->fail_at)
		return false;
	if (s->fail_sticky)
		s->fail_kind = (int)kind;
	return true;
}

/* Applies a change and records it; takes C's memory. */
static void
commit(struct simdisk *s, struct change c)
{
	if (!s->stopped)
		image_apply(&s->live, &c);
	if (!s->recording || s->stopped) {
		free(c.data);
		free(c.from);
		free(c.to);
		return;
	}
	if (s->changes == s->tape_cap) {
		s->tape_cap = s->tape_cap ? s->tape_cap * 2 : 256;
		s->tape = xrealloc(s->tape, s->tape_cap * sizeof *s->tape);
	}
	s->tape[s->changes++] = c;
}

static unsigned
inode_of(struct simdisk *s, int fd)
{
	check(fd >= FD_BASE && fd < FD_BASE + FDS && s->fd[fd - FD_BASE].open);
	return s->fd[fd - FD_BASE].inode;
}

static int
sim_open(struct disk *d, const char *path, int flags)
{
	struct simdisk *s = sim(d);
	struct name *n;
	char up[300];
	unsigned inode;
	int fd;

	if (enter(s, CALL_OPEN))
		return fail(s, s->fail_error);
	n = image_find(&s->live, path);
	parent(path, up);
	if (n != NULL && n->inode == 0)
		return fail(s, EISDIR);
	if (n != NULL && (flags & O_EXCL) != 0)
		return fail(s, EEXIST);
	if (n == NULL && ((flags & O_CREAT) == 0 || image_find(&s->live, up) == NULL))
		return fail(s, ENOENT);
	for (fd = 0; s->fd[fd].open; fd++)
		if (fd + 1 == FDS)
			return fail(s, EMFILE);
	if (n != NULL)
		inode = n->inode;
	else {
		inode = s->live.inodes > 1 ? s->live.inodes : 1;
		content_own(&s->live, inode, 0);
		commit(s, (struct change){ .kind = CHANGE_NAME, .inode = inode, .to = xstrdup(path) });
	}
	if ((flags & O_TRUNC) != 0)
		commit(s, (struct change){ .kind = CHANGE_SIZE, .inode = inode });
	s->fd[fd].open = true;
	s->fd[fd].inode = inode;
	pthread_mutex_unlock(&s->lock);
	return FD_BASE + fd;
}

static void
sim_close(struct disk *d, int fd)
{
	struct simdisk *s = sim(d);

	pthread_mutex_lock(&s->lock);
	inode_of(s, fd);
	s->fd[fd - FD_BASE].open = s->fd[fd - FD_BASE].locked = false;
	pthread_mutex_unlock(&s->lock);
}

static ssize_t
sim_pread(struct disk *d, int fd, void *p, size_t n, uint64_t off)
{
	struct simdisk *s = sim(d);
	const struct content *c;

	if (enter(s, CALL_READ))
		return fail(s, s->fail_error);
	c = s->live.content[inode_of(s, fd)];
	if (off >= c->size)
		n = 0;
	else if (n > c->size - off)
		n = (size_t)(c->size - off);
	if (n > 0)
		memcpy(p, c->data + off, n);
	s->bytes_read += n;
	pthread_mutex_unlock(&s->lock);
	return (ssize_t)n;
}

static uint64_t
used(const struct simdisk *s)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < s->live.names; i++)
		if (s->live.name[i].inode != 0)
			sum += s->live.content[s->live.name[i].inode]->size;
	return sum;
}

static bool
fits(const struct simdisk *s, unsigned inode, uint64_t size)
{
	uint64_t now = s->live.content[inode]->size;

	return s->capacity == UINT64_MAX || size <= now || used(s) + (size - now) <= s->capacity;
}

static ssize_t
sim_pwritev(struct disk *d, int fd, const struct iovec *iov, int count, uint64_t off)
{
	struct simdisk *s = sim(d);
	bool failing = enter(s, CALL_WRITE);
	unsigned inode = inode_of(s, fd);
	unsigned char *p;
	size_t n = 0, at = 0;
	int i;

	for (i = 0; i < count; i++)
		n += iov[i].iov_len;
	if (count > IOV_MAX)
		return fail(s, EINVAL);
	if (!fits(s, inode, off + n))
		return fail(s, ENOSPC);
	p = xmalloc(n + 1);
	for (i = 0; i < count; at += iov[i++].iov_len)
		memcpy(p + at, iov[i].iov_base, iov[i].iov_len);
	if (s->write_max > 0 && n > s->write_max)
		n = (size_t)s->write_max;
	if (failing)
		n = n / 2;
	commit(s, (struct change){ .kind = CHANGE_WRITE, .inode = inode, .off = off, .size = n, .data = p });
	if (failing)
		return fail(s, s->fail_error);
	pthread_mutex_unlock(&s->lock);
	return (ssize_t)n;
}

static int
sim_sync(struct disk *d, int fd)
{
	struct simdisk *s = sim(d);
	bool failing = enter(s, CALL_SYNC);
	unsigned inode = inode_of(s, fd);

	commit(s, (struct change){ .kind = failing ? CHANGE_SYNC_FAILED : CHANGE_SYNC, .inode = inode });
	if (failing)
		return fail(s, s->fail_error);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int
sim_allocate(struct disk *d, int fd, uint64_t size)
{
	struct simdisk *s = sim(d);
	bool failing = enter(s, CALL_ALLOCATE);
	unsigned inode = inode_of(s, fd);

	if (failing)
		return fail(s, s->fail_error);
	if (!fits(s, inode, size))
		return fail(s, ENOSPC);
	commit(s, (struct change){ .kind = CHANGE_SIZE, .inode = inode, .size = size });
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int
sim_size(struct disk *d, int fd, uint64_t *size)
{
	struct simdisk *s = sim(d);

	pthread_mutex_lock(&s->lock);
	*size = s->live.content[inode_of(s, fd)]->size;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int
sim_lock(struct disk *d, int fd)
{
	struct simdisk *s = sim(d);
	bool failing = enter(s, CALL_LOCK);
	unsigned inode = inode_of(s, fd);
	int i;

	if (failing)
		return fail(s, s->fail_error);
	for (i = 0; i < FDS; i++)
		if (s->fd[i].open && s->fd[i].locked && s->fd[i].inode == inode && i != fd - FD_BASE)
			return fail(s, EWOULDBLOCK);
	s->fd[fd - FD_BASE].locked = true;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int
sim_rename(struct disk *d, const char *from, const char *to)
{
	struct simdisk *s = sim(d);
	struct name *n;
	char up[300];

	if (enter(s, CALL_RENAME))
		return fail(s, s->fail_error);
	n = image_find(&s->live, from);
	parent(to, up);
	if (n == NULL || image_find(&s->live, up) == NULL)
		return fail(s, ENOENT);
	commit(s, (struct change){ .kind = CHANGE_NAME, .inode = n->inode, .from = xstrdup(from), .to = xstrdup(to) });
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int
sim_unlink(struct disk *d, const char *path)
{
	struct simdisk *s = sim(d);
	struct name *n;

	if (enter(s, CALL_UNLINK))
		return fail(s, s->fail_error);
	n = image_find(&s->live, path);
	if (n == NULL || n->inode == 0)
		return fail(s, n == NULL ? ENOENT : EISDIR);
	commit(s, (struct change){ .kind = CHANGE_NAME, .inode = n->inode, .from = xstrdup(path) });
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int
sim_mkdir(struct disk *d, const char *path)
{
	struct simdisk *s = sim(d);
	char up[300];

	if (enter(s, CALL_FOLDER))
		return fail(s, s->fail_error);
	parent(path, up);
	if (image_find(&s->live, path) != NULL || image_find(&s->live, up) == NULL)
		return fail(s, image_find(&s->live, path) != NULL ? EEXIST : ENOENT);
	commit(s, (struct change){ .kind = CHANGE_NAME, .to = xstrdup(path) });
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static bool
is_in(const char *path, const char *folder)
{
	char up[300];

	parent(path, up);
	return strcmp(up, folder) == 0 && strcmp(path, "/") != 0;
}

static int
sim_rmdir(struct disk *d, const char *path)
{
	struct simdisk *s = sim(d);
	unsigned i;

	if (enter(s, CALL_FOLDER))
		return fail(s, s->fail_error);
	if (image_find(&s->live, path) == NULL)
		return fail(s, ENOENT);
	for (i = 0; i < s->live.names; i++)
		if (is_in(s->live.name[i].path, path))
			return fail(s, ENOTEMPTY);
	commit(s, (struct change){ .kind = CHANGE_NAME, .from = xstrdup(path) });
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int
sim_sync_folder(struct disk *d, const char *path)
{
	struct simdisk *s = sim(d);

	if (enter(s, CALL_SYNC_FOLDER))
		return fail(s, s->fail_error);
	if (image_find(&s->live, path) == NULL)
		return fail(s, ENOENT);
	commit(s, (struct change){ .kind = CHANGE_SYNC_NAMES, .from = xstrdup(path) });
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int
sim_list(struct disk *d, const char *path, void (*fn)(void *arg, const char *name), void *arg)
{
	struct simdisk *s = sim(d);
	char **found;
	unsigned i, n = 0;

	pthread_mutex_lock(&s->lock);
	if (image_find(&s->live, path) == NULL)
		return fail(s, ENOENT);
	found = xcalloc(s->live.names + 1, sizeof *found);
	for (i = 0; i < s->live.names; i++)
		if (is_in(s->live.name[i].path, path))
			found[n++] = xstrdup(strrchr(s->live.name[i].path, '/') + 1);
	pthread_mutex_unlock(&s->lock);
	for (i = 0; i < n; i++) {
		fn(arg, found[i]);
		free(found[i]);
	}
	free(found);
	return 0;
}

static int
sim_space(struct disk *d, const char *path, uint64_t *bytes)
{
	struct simdisk *s = sim(d);
	uint64_t n;

	(void)path;
	if (enter(s, CALL_SPACE))
		return fail(s, s->fail_error);
	n = used(s);
	*bytes = s->capacity > n ? s->capacity - n : 0;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static const struct disk sim_calls = {
	.open = sim_open,
	.close = sim_close,
	.pread = sim_pread,
	.pwritev = sim_pwritev,
	.fdatasync = sim_sync,
	.fsync = sim_sync,
	.allocate = sim_allocate,
	.size = sim_size,
	.lock = sim_lock,
	.rename = sim_rename,
	.unlink = sim_unlink,
	.mkdir = sim_mkdir,
	.rmdir = sim_rmdir,
	.sync_folder = sim_sync_folder,
	.list = sim_list,
	.space = sim_space,
};

static struct simdisk *
disk_of(const struct image *image)
{
	struct simdisk *s = xcalloc(1, sizeof *s);

	s->disk = sim_calls;
	pthread_mutex_init(&s->lock, NULL);
	image_copy(&s->base, image);
	image_copy(&s->live, image);
	s->recording = true;
	s->capacity = UINT64_MAX;
	s->fail_kind = -1;
	return s;
}

struct simdisk *
simdisk_new(void)
{
	struct image empty = { 0 };
	struct simdisk *s;

	image_name(&empty, "/", 0);
	s = disk_of(&empty);
	image_fini(&empty);
	return s;
}

void
simdisk_free(struct simdisk **disk)
{
	struct simdisk *s = *disk;
	size_t i;

	for (i = 0; i < s->changes; i++) {
		free(s->tape[i].data);
		free(s->tape[i].from);
		free(s->tape[i].to);
	}
	free(s->tape);
	image_fini(&s->base);
	image_fini(&s->live);
	pthread_mutex_destroy(&s->lock);
	free(s);
	*disk = NULL;
}

struct disk *
simdisk_disk(struct simdisk *s)
{
	return &s->disk;
}

void
simdisk_record(struct simdisk *s, bool on)
{
	s->recording = on;
}

void
simdisk_stop(struct simdisk *s)
{
	pthread_mutex_lock(&s->lock);
	s->stopped = true;
	pthread_mutex_unlock(&s->lock);
}

void
simdisk_kill(struct simdisk *s)
{
	memset(s->fd, 0, sizeof s->fd);
	s->stopped = false;
	simdisk_heal(s);
}

uint64_t
simdisk_now(struct simdisk *s)
{
	uint64_t n;

	pthread_mutex_lock(&s->lock);
	n = s->changes;
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* ---- crash states ---- */

struct simreplay *
simreplay_new(const struct simdisk *s)
{
	struct simreplay *r = xcalloc(1, sizeof *r);

	r->disk = s;
	image_copy(&r->durable, &s->base);
	return r;
}

void
simreplay_free(struct simreplay **r)
{
	image_fini(&(*r)->durable);
	free((*r)->pending);
	free(*r);
	*r = NULL;
}

/* Does the sync C make P durable? */
static bool
covers(const struct change *c, const struct change *p)
{
	if (c->kind == CHANGE_SYNC_NAMES)
		return p->kind == CHANGE_NAME &&
		    ((p->from != NULL && is_in(p->from, c->from)) || (p->to != NULL && is_in(p->to, c->from)));
	return (p->kind == CHANGE_WRITE || p->kind == CHANGE_SIZE) && p->inode == c->inode && !p->doomed;
}

static void
sync_pending(struct simreplay *r, const struct change *c)
{
	size_t i, n = 0;

	for (i = 0; i < r->pendings; i++)
		if (!covers(c, r->pending[i]))
			r->pending[n++] = r->pending[i];
		else if (c->kind == CHANGE_SYNC_FAILED) {
			r->pending[i]->doomed = true;
			r->pending[n++] = r->pending[i];
		} else
			image_apply(&r->durable, r->pending[i]);
	r->pendings = n;
}

void
simreplay_to(struct simreplay *r, uint64_t moment)
{
	check(moment >= r->at && moment <= r->disk->changes);
	for (; r->at < moment; r->at++) {
		struct change *c = &r->disk->tape[r->at];

		if (c->kind == CHANGE_SYNC || c->kind == CHANGE_SYNC_FAILED || c->kind == CHANGE_SYNC_NAMES) {
			sync_pending(r, c);
			continue;
		}
		c->doomed = false;
		if (r->pendings == r->cap) {
			r->cap = r->cap ? r->cap * 2 : 64;
			r->pending = xrealloc(r->pending, r->cap * sizeof *r->pending);
		}
		r->pending[r->pendings++] = c;
	}
}

/* The sectors of a write that made it, each with a chance of PERCENT. */
static void
tear(struct image *m, const struct change *c, unsigned percent, uint64_t *rnd)
{
	uint64_t at, end;

	for (at = 0; at < c->size; at = end) {
		end = ((c->off + at) / SECTOR + 1) * SECTOR - c->off;
		if (end > c->size)
			end = c->size;
		if (sim_below(rnd, 100) < percent)
			image_write(m, c->inode, c->off + at, c->data + at, end - at);
	}
}

struct simdisk *
simreplay_crash(const struct simreplay *r, uint64_t seed)
{
	static const unsigned chances[] = { 0, 10, 50, 90, 97, 100 };
	uint64_t rnd = seed;
	unsigned keep = chances[sim_below(&rnd, 6)], sectors = chances[sim_below(&rnd, 6)];
	bool torn = sim_below(&rnd, 2) == 0;
	struct simdisk *s;
	struct image m;
	size_t i;

	image_copy(&m, &r->durable);
	for (i = 0; i < r->pendings; i++) {
		const struct change *c = r->pending[i];

		if (torn && c->kind == CHANGE_WRITE && sim_below(&rnd, 2) == 0)
			tear(&m, c, sectors, &rnd);
		else if (sim_below(&rnd, 100) < keep)
			image_apply(&m, c);
	}
	image_prune(&m);
	for (i = 0; i < m.names; i++)
		if (m.name[i].inode >= m.inodes || m.content[m.name[i].inode] == NULL)
			content_own(&m, m.name[i].inode, 0);
	s = disk_of(&m);
	image_fini(&m);
	return s;
}

/* ---- by hand ---- */

static bool
ends_in(const char *path, const char *suffix)
{
	size_t n = strlen(path), len = strlen(suffix);

	return n >= len && strcmp(path + n - len, suffix) == 0;
}

static void
rebase(struct simdisk *s)
{
	check(s->changes == 0);
	image_fini(&s->base);
	image_copy(&s->base, &s->live);
}

const char *
simdisk_rot(struct simdisk *s, const char *suffix, uint64_t seed)
{
	uint64_t rnd = seed, block, i, n = sim_below(&rnd, 2) == 0 ? 4000 : 1 + sim_below(&rnd, 8);
	struct content *c;
	unsigned tries;

	for (tries = 0; tries < 200; tries++) {
		const struct name *f = &s->live.name[sim_below(&rnd, s->live.names)];
		static const unsigned char zeros[BLOCK];
		uint64_t size;

		if (f->inode == 0 || !ends_in(f->path, suffix))
			continue;
		c = content_own(&s->live, f->inode, 0);
		if (c->size == 0)
			continue;
		block = sim_below(&rnd, (c->size + BLOCK - 1) / BLOCK) * BLOCK;
		size = c->size - block < BLOCK ? c->size - block : BLOCK;
		if (memcmp(c->data + block, zeros, size) == 0)
			continue;
		for (i = 0; i < n; i++)
			c->data[block + sim_below(&rnd, size)] ^= (unsigned char)(1 + sim_below(&rnd, 255));
		rebase(s);
		return f->path;
	}
	return NULL;
}

void
simdisk_remove(struct simdisk *s, const char *suffix)
{
	unsigned i = 0;

	while (i < s->live.names)
		if (ends_in(s->live.name[i].path, suffix))
			image_remove(&s->live, s->live.name[i].path);
		else
			i++;
	rebase(s);
}

const unsigned char *
simdisk_bytes(struct simdisk *s, const char *path, uint64_t *size)
{
	const struct name *n = image_find(&s->live, path);

	if (n == NULL || n->inode == 0)
		return NULL;
	*size = s->live.content[n->inode]->size;
	return s->live.content[n->inode]->data;
}

void
simdisk_put(struct simdisk *s, const char *path, const void *p, uint64_t n)
{
	unsigned inode = s->live.inodes > 1 ? s->live.inodes : 1;

	content_own(&s->live, inode, n);
	image_name(&s->live, path, inode);
	image_write(&s->live, inode, 0, p, n);
	rebase(s);
}

void
simdisk_fail(struct simdisk *s, uint64_t n, int error, bool sticky)
{
	pthread_mutex_lock(&s->lock);
	s->calls = 0;
	s->fail_at = n;
	s->fail_error = error;
	s->fail_sticky = sticky;
	s->fail_kind = -1;
	pthread_mutex_unlock(&s->lock);
}

void
simdisk_heal(struct simdisk *s)
{
	simdisk_fail(s, 0, 0, false);
}

uint64_t
simdisk_calls(struct simdisk *s)
{
	uint64_t n;

	pthread_mutex_lock(&s->lock);
	n = s->calls;
	pthread_mutex_unlock(&s->lock);
	return n;
}

void
simdisk_short_writes(struct simdisk *s, uint64_t max)
{
	s->write_max = max;
}

void
simdisk_capacity(struct simdisk *s, uint64_t bytes)
{
	pthread_mutex_lock(&s->lock);
	s->capacity = bytes;
	pthread_mutex_unlock(&s->lock);
}

uint64_t
simdisk_bytes_read(struct simdisk *s)
{
	uint64_t n;

	pthread_mutex_lock(&s->lock);
	n = s->bytes_read;
	pthread_mutex_unlock(&s->lock);
	return n;
}
