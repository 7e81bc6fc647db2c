/* SPDX-License-Identifier: MIT */
/* Whole-file helpers for configuration and small state files. They block: never on a loop. */
#ifndef TMAIL_UTIL_FILE_H
#define TMAIL_UTIL_FILE_H

#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct archive;

/* What file_read() and file_glob() of this thread do from now on: read the disk; read it and keep what was found; or
 * take what was kept, so that the worker reads a configuration as the supervisor found it. */
enum file_source { FILE_DISK = 0, FILE_RECORD, FILE_REPLAY };
void file_use(enum file_source source, struct archive *archive);
bool file_is_replayed(void);

/* Appends the file's bytes to OUT; refuses more than MAX bytes. */
int file_read(const char *path, size_t max, struct buf *out, struct err *err);

/* Appends the names that match PATTERN, sorted by bytes, each with its NUL. False: there are none. */
bool file_glob(const char *pattern, struct buf *names);

/* Replaces PATH by N bytes: temporary file beside it, fsync, rename, fsync of the folder. */
int file_replace(const char *path, const void *p, size_t n, mode_t mode, struct err *err);

/* Makes the folder PATH and its parents where missing. */
int file_mkdirs(const char *path, mode_t mode, struct err *err);

/* Makes the names in folder PATH durable. */
int file_sync_dir(const char *path, struct err *err);

/* All N bytes to FD, EINTR and short writes handled. */
int file_write_all(int fd, const void *p, size_t n, struct err *err);

#endif
