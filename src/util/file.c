/* SPDX-License-Identifier: MIT */
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
file_read(const char *path, size_t max, struct buf *out, struct err *err)
{
	size_t start = out->len;
	ssize_t r;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "cannot open %s", path);
	for (;;) {
		r = read(fd, buf_reserve(out, 65536), 65536);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0) {
			err_sys(err, "cannot read %s", path);
			close(fd);
			return -1;
		}
		if (r == 0)
			break;
		out->len += (size_t)r;
		if (out->len - start > max) {
			close(fd);
			return err_set(err, "%s is larger than %zu bytes", path, max);
		}
	}
	close(fd);
	return 0;
}

int
file_write_all(int fd, const void *p, size_t n, struct err *err)
{
	const char *at = p;
	ssize_t r;

	while (n > 0) {
		r = write(fd, at, n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(err, "write failed");
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

int
file_sync_dir(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return err_sys(err, "cannot open folder %s", path);
	rc = fsync(fd);
	if (rc < 0)
		err_sys(err, "cannot sync folder %s", path);
	close(fd);
	return rc;
}

static int
sync_parent(const char *path, struct err *err)
{
	char *copy, *slash;
	int rc;

	copy = strdup(path);
	if (copy == NULL)
		return err_set(err, "out of memory");
	slash = strrchr(copy, '/');
	if (slash == NULL)
		rc = file_sync_dir(".", err);
	else {
		slash[slash == copy ? 1 : 0] = '\0';
		rc = file_sync_dir(copy, err);
	}
	free(copy);
	return rc;
}

int
file_replace(const char *path, const void *p, size_t n, mode_t mode, struct err *err)
{
	struct buf tmp = { 0 };
	int fd, rc = -1;

	buf_printf(&tmp, "%s.tmp.%ld", path, (long)getpid());
	fd = open(buf_str(&tmp), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0) {
		err_sys(err, "cannot create %s", buf_str(&tmp));
		goto out;
	}
	if (file_write_all(fd, p, n, err) < 0 || fsync(fd) < 0) {
		err_sys(err, "cannot write %s", buf_str(&tmp));
		close(fd);
		unlink(buf_str(&tmp));
		goto out;
	}
	close(fd);
	if (rename(buf_str(&tmp), path) < 0) {
		err_sys(err, "cannot rename %s to %s", buf_str(&tmp), path);
		unlink(buf_str(&tmp));
		goto out;
	}
	rc = sync_parent(path, err);
out:
	buf_fini(&tmp);
	return rc;
}

int
file_mkdirs(const char *path, mode_t mode, struct err *err)
{
	struct buf b = { 0 };
	char *s, *at;
	int rc = 0;

	buf_adds(&b, path);
	s = buf_str(&b);
	for (at = s + 1; rc == 0 && *at != '\0'; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(s, 0755) < 0 && errno != EEXIST)
			rc = err_sys(err, "cannot make folder %s", s);
		*at = '/';
	}
	if (rc == 0 && mkdir(s, mode) < 0 && errno != EEXIST)
		rc = err_sys(err, "cannot make folder %s", s);
	buf_fini(&b);
	return rc;
}
