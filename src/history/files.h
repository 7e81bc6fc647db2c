/* SPDX-License-Identifier: MIT */
/* The files of STATE/history: named by the time they begin, "20261128T203000Z-0000.hist", so that names sort as time
 * does. A file is written by one process life and never continued by another. */
#ifndef TMAIL_HISTORY_FILES_H
#define TMAIL_HISTORY_FILES_H

#include "util/err.h"

#include <stdint.h>

enum { HISTORY_NAME_MAX = 40 };

struct history_file {
	char name[HISTORY_NAME_MAX];
	int64_t first, last; /* wall seconds: by its name, by its last change */
	uint64_t size;
};

struct history_files {
	struct history_file *file; /* oldest first */
	unsigned count, cap;
};

/* What the folder holds now; what is no file of ours is not looked at. -1: the folder cannot be read. */
int history_files_list(struct history_files *files, const char *path, struct err *err);
void history_files_fini(struct history_files *files);

/* The descriptor of a new file of the folder, its name in NAME; -1. */
int history_file_new(const char *path, int64_t now, char name[HISTORY_NAME_MAX], struct err *err);

/* Removes files that ended more than KEEP seconds before NOW, then the oldest until all take SIZE bytes at most; never
 * CURRENT. */
void history_files_expire(const char *path, const char *current, int64_t now, uint32_t keep, uint64_t size);

#endif
