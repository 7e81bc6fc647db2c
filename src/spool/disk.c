/* SPDX-License-Identifier: MIT */
#include "spool/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int
real_open(struct disk *d, const char *path, int flags)
{
	(void)d;
	return open(path, flags | O_CLOEXEC, 0600);
}

static void
real_close(struct disk *d, int fd)
{
	(void)d;
	close(fd);
}

static ssize_t
real_pread(struct disk *d, int fd, void *p, size_t n, uint64_t off)
{
	(void)d;
	return pread(fd, p, n, (off_t)off);
}

static ssize_t
real_pwritev(struct disk *d, int fd, const struct iovec *iov, int count, uint64_t off)
{
	(void)d;
	return pwritev(fd, iov, count, (off_t)off);
}

static int
real_fdatasync(struct disk *d, int fd)
{
	(void)d;
	return fdatasync(fd);
}

static int
real_fsync(struct disk *d, int fd)
{
	(void)d;
	return fsync(fd);
}

static int
real_allocate(struct disk *d, int fd, uint64_t size)
{
	int rc;

	(void)d;
	do
		rc = fallocate(fd, 0, 0, (off_t)size);
	while (rc < 0 && errno == EINTR);
	/* Without support the writes that follow allocate. */
	return rc < 0 && errno == EOPNOTSUPP ? ftruncate(fd, (off_t)size) : rc;
}

static int
real_size(struct disk *d, int fd, uint64_t *size)
{
	struct stat st;

	(void)d;
	if (fstat(fd, &st) < 0)
		return -1;
	*size = (uint64_t)st.st_size;
	return 0;
}

static int
real_lock(struct disk *d, int fd)
{
	(void)d;
	return flock(fd, LOCK_EX | LOCK_NB);
}

static int
real_rename(struct disk *d, const char *from, const char *to)
{
	(void)d;
	return rename(from, to);
}

static int
real_unlink(struct disk *d, const char *path)
{
	(void)d;
	return unlink(path);
}

static int
real_mkdir(struct disk *d, const char *path)
{
	(void)d;
	return mkdir(path, 0700);
}

static int
real_rmdir(struct disk *d, const char *path)
{
	(void)d;
	return rmdir(path);
}

static int
real_sync_folder(struct disk *d, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc, saved;

	(void)d;
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return rc;
}

static int
real_list(struct disk *d, const char *path, void (*fn)(void *arg, const char *name), void *arg)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int failed;

	(void)d;
	if (dir == NULL)
		return -1;
	for (errno = 0; (e = readdir(dir)) != NULL; errno = 0)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			fn(arg, e->d_name);
	failed = errno;
	closedir(dir);
	errno = failed;
	return failed == 0 ? 0 : -1;
}

static int
real_space(struct disk *d, const char *path, uint64_t *bytes)
{
	struct statvfs st;

	(void)d;
	if (statvfs(path, &st) < 0)
		return -1;
	*bytes = (uint64_t)st.f_bavail * st.f_frsize;
	return 0;
}

struct disk disk_real = {
	.open = real_open,
	.close = real_close,
	.pread = real_pread,
	.pwritev = real_pwritev,
	.fdatasync = real_fdatasync,
	.fsync = real_fsync,
	.allocate = real_allocate,
	.size = real_size,
	.lock = real_lock,
	.rename = real_rename,
	.unlink = real_unlink,
	.mkdir = real_mkdir,
	.rmdir = real_rmdir,
	.sync_folder = real_sync_folder,
	.list = real_list,
	.space = real_space,
};

int
disk_write_all(struct disk *d, int fd, struct iovec *iov, size_t count, uint64_t off)
{
	ssize_t r;

	while (count > 0) {
		if (iov->iov_len == 0) {
			iov++;
			count--;
			continue;
		}
		r = d->pwritev(d, fd, iov, count < IOV_MAX ? (int)count : IOV_MAX, off);
		if (r < 0 && errno == EINTR)
			continue;
		if (r == 0)
			errno = ENOSPC;
		if (r <= 0)
			return -1;
		off += (uint64_t)r;
		while (count > 0 && (size_t)r >= iov->iov_len) {
			r -= (ssize_t)iov->iov_len;
			iov++;
			count--;
		}
		if (r > 0) {
			iov->iov_base = (char *)iov->iov_base + r;
			iov->iov_len -= (size_t)r;
		}
	}
	return 0;
}

ssize_t
disk_read_all(struct disk *d, int fd, void *p, size_t n, uint64_t off)
{
	size_t done = 0;
	ssize_t r;

	while (done < n) {
		r = d->pread(d, fd, (char *)p + done, n - done, off + done);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

int
disk_replace(struct disk *d, const char *tmp, const char *path, const void *p, size_t n)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	int fd = d->open(d, tmp, O_RDWR | O_CREAT | O_TRUNC), rc, saved;

	if (fd < 0)
		return -1;
	rc = disk_write_all(d, fd, &iov, 1, 0);
	if (rc == 0)
		rc = d->fsync(d, fd);
	saved = errno;
	d->close(d, fd);
	errno = saved;
	if (rc == 0)
		rc = d->rename(d, tmp, path);
	if (rc < 0) {
		saved = errno;
		d->unlink(d, tmp);
		errno = saved;
	}
	return rc;
}
