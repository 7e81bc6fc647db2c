/* SPDX-License-Identifier: MIT */
/* Whole-file helpers for configuration and small state files. They block: never on a loop. */
#ifndef TMAIL_UTIL_FILE_H
#define TMAIL_UTIL_FILE_H

#include "util/buf.h"
#include "util/err.h"

#include <stddef.h>
#include <sys/types.h>

/* Appends the file's bytes to OUT; refuses more than MAX bytes. */
int file_read(const char *path, size_t max, struct buf *out, struct err *err);

/* Replaces PATH by N bytes: temporary file beside it, fsync, rename, fsync of the folder. */
int file_replace(const char *path, const void *p, size_t n, mode_t mode, struct err *err);

/* Makes the folder PATH and its parents where missing. */
int file_mkdirs(const char *path, mode_t mode, struct err *err);

/* Makes the names in folder PATH durable. */
int file_sync_dir(const char *path, struct err *err);

/* All N bytes to FD, EINTR and short writes handled. */
int file_write_all(int fd, const void *p, size_t n, struct err *err);

#endif
