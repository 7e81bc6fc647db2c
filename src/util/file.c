/* SPDX-License-Identifier: MIT */
#include "util/file.h"
#include "util/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static _Thread_local struct {
	enum file_source source;
	struct archive *archive;
} use;

void
file_use(enum file_source source, struct archive *archive)
{
	use.source = source;
	use.archive = archive;
}

bool
file_is_replayed(void)
{
	return use.source == FILE_REPLAY;
}

/* True: NAME stands in the archive and was appended. */
static bool
replay(const char *name, struct buf *out)
{
	const char *p;
	size_t n;

	if (!archive_get(use.archive, name, &p, &n))
		return false;
	buf_add(out, p, n);
	return true;
}

static int
by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
glob_disk(const char *pattern, struct buf *names)
{
	glob_t g;
	size_t i;

	if (glob(pattern, GLOB_NOSORT, NULL, &g) != 0)
		return;
	qsort(g.gl_pathv, g.gl_pathc, sizeof *g.gl_pathv, by_bytes);
	for (i = 0; i < g.gl_pathc; i++)
		buf_add(names, g.gl_pathv[i], strlen(g.gl_pathv[i]) + 1);
	globfree(&g);
}

bool
file_glob(const char *pattern, struct buf *names)
{
	struct buf key = { 0 };
	size_t start = names->len;

	buf_printf(&key, "glob:%s", pattern); /* no path begins so: they are absolute, or the one of the command line */
	if (use.source == FILE_REPLAY)
		replay(buf_str(&key), names);
	else
		glob_disk(pattern, names);
	if (use.source == FILE_RECORD)
		archive_put(use.archive, buf_str(&key), names->len > start ? names->data + start : "", names->len - start);
	buf_fini(&key);
	return names->len > start;
}

static int
read_disk(const char *path, size_t max, struct buf *out, struct err *err)
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
file_read(const char *path, size_t max, struct buf *out, struct err *err)
{
	size_t start = out->len;

	if (use.source == FILE_REPLAY)
		return replay(path, out) ? 0 : err_set(err, "%s was not handed over", path);
	if (read_disk(path, max, out, err) < 0)
		return -1;
	if (use.source == FILE_RECORD)
		archive_put(use.archive, path, out->len > start ? out->data + start : "", out->len - start);
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
