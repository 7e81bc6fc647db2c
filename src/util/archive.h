/* SPDX-License-Identifier: MIT */
/* Named byte strings: the files one process has read, for another one that may not read them (util/file.h). */
#ifndef TMAIL_UTIL_ARCHIVE_H
#define TMAIL_UTIL_ARCHIVE_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>

struct archive;
struct buf;

struct archive *archive_new(void);

/* Wipes what it held: some of it may be secret. */
void archive_free(struct archive **a);

/* Copies N bytes under NAME. A later one of the same name takes the place of the earlier. */
void archive_put(struct archive *a, const char *name, const void *p, size_t n);

/* False: there is none. *P is the archive's. */
bool archive_get(const struct archive *a, const char *name, const char **p, size_t *n);

/* Appends the archive's bytes for another process, and makes an archive of them. */
void archive_encode(const struct archive *a, struct buf *out);
int archive_decode(struct archive **a, const char *p, size_t n, struct err *err);

#endif
