/* SPDX-License-Identifier: MIT */
#include "history/files.h"

#include "util/check.h"
#include "util/log.h"
#include "util/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SAME_SECOND = 10000 }; /* files of one second: far more than there ever are */

static void
name_of(int64_t when, unsigned n, char name[HISTORY_NAME_MAX])
{
	time_t t = (time_t)when;
	struct tm tm;
	size_t len;

	gmtime_r(&t, &tm);
	len = strftime(name, HISTORY_NAME_MAX, "%Y%m%dT%H%M%SZ", &tm);
	snprintf(name + len, HISTORY_NAME_MAX - len, "-%04u.hist", n);
}

/* When a file of this name begins; -1: it is none of ours. */
static int64_t
time_of(const char *name)
{
	char again[HISTORY_NAME_MAX];
	struct tm tm = { 0 };
	unsigned n;
	int end = 0;
	time_t t;

	if (sscanf(name, "%4d%2d%2dT%2d%2d%2dZ-%4u.hist%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
	    &tm.tm_sec, &n, &end) != 7 || end == 0)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	t = timegm(&tm);
	name_of(t, n, again);
	return strcmp(name, again) == 0 ? (int64_t)t : -1;
}

static void
add(struct history_files *files, const char *name, int64_t first, const struct stat *st)
{
	struct history_file *f;

	if (files->count == files->cap) {
		files->cap = files->cap ? files->cap * 2 : 32;
		files->file = xrealloc(files->file, files->cap * sizeof *files->file);
	}
	f = &files->file[files->count++];
	check(strlen(name) < sizeof f->name); /* time_of() has seen it */
	memcpy(f->name, name, strlen(name) + 1);
	f->first = first;
	f->last = st->st_mtime;
	f->size = (uint64_t)st->st_size;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct history_file *)a)->name, ((const struct history_file *)b)->name);
}

int
history_files_list(struct history_files *files, const char *path, struct err *err)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	struct stat st;
	int64_t first;

	memset(files, 0, sizeof *files);
	if (dir == NULL)
		return err_sys(err, "cannot read %s", path);
	while ((d = readdir(dir)) != NULL) {
		first = strlen(d->d_name) < HISTORY_NAME_MAX ? time_of(d->d_name) : -1;
		if (first >= 0 && fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			add(files, d->d_name, first, &st);
	}
	closedir(dir);
	if (files->count > 0)
		qsort(files->file, files->count, sizeof *files->file, compare);
	return 0;
}

void
history_files_fini(struct history_files *files)
{
	free(files->file);
	memset(files, 0, sizeof *files);
}

/* A name of an expired file does not come again within its second: the new file would be taken for the oldest. */
static bool
is_taken(const struct history_files *files, const char *name)
{
	const size_t second = sizeof "YYYYMMDDTHHMMSSZ" - 1;

	for (unsigned i = 0; i < files->count; i++)
		if (strncmp(files->file[i].name, name, second) == 0 && strcmp(files->file[i].name, name) >= 0)
			return true;
	return false;
}

int
history_file_new(const char *path, int64_t now, char name[HISTORY_NAME_MAX], struct err *err)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct history_files files;
	unsigned n;

	if (dir < 0)
		return err_sys(err, "cannot open %s", path);
	if (history_files_list(&files, path, err) < 0) {
		close(dir);
		return -1;
	}
	for (n = 0; fd < 0 && n < SAME_SECOND; n++) {
		name_of(now, n, name);
		if (is_taken(&files, name))
			continue;
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	if (fd < 0)
		err_sys(err, "cannot make %s/%s", path, name);
	history_files_fini(&files);
	close(dir);
	return fd;
}

static void
remove_one(const char *path, const struct history_file *f)
{
	char file[4096];

	if (snprintf(file, sizeof file, "%s/%s", path, f->name) < (int)sizeof file && unlink(file) < 0 && errno != ENOENT)
		log_event(LOG_WARN, "history", "cannot remove %s: %s", file, strerror(errno));
}

void
history_files_expire(const char *path, const char *current, int64_t now, uint32_t keep, uint64_t size)
{
	struct history_files files;
	uint64_t total = 0;
	struct err err;
	unsigned i;

	if (history_files_list(&files, path, &err) < 0)
		return;
	for (i = 0; i < files.count; i++)
		total += files.file[i].size;
	for (i = 0; i < files.count; i++) {
		if (current != NULL && strcmp(files.file[i].name, current) == 0)
			continue;
		if (files.file[i].last >= now - (int64_t)keep && total <= size)
			continue;
		remove_one(path, &files.file[i]);
		total -= files.file[i].size;
	}
	history_files_fini(&files);
}
