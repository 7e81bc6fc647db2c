/* SPDX-License-Identifier: MIT */
/* The system calls the spool makes, in a table, so that tests can record them, lose what was not synced, and let
 * each of them fail. Every call blocks. As the system's own they return -1 (or NULL) with errno set. */
#ifndef TMAIL_SPOOL_DISK_H
#define TMAIL_SPOOL_DISK_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct disk {
	int (*open)(struct disk *d, const char *path, int flags); /* new files have mode 0600; close-on-exec */
	void (*close)(struct disk *d, int fd);
	ssize_t (*pread)(struct disk *d, int fd, void *p, size_t n, uint64_t off);
	ssize_t (*pwritev)(struct disk *d, int fd, const struct iovec *iov, int count, uint64_t off);
	int (*fdatasync)(struct disk *d, int fd);
	int (*fsync)(struct disk *d, int fd);
	int (*allocate)(struct disk *d, int fd, uint64_t size); /* the file is SIZE bytes long and has its blocks */
	int (*size)(struct disk *d, int fd, uint64_t *size);
	int (*lock)(struct disk *d, int fd); /* flock, exclusive; EWOULDBLOCK when another holds it */
	int (*rename)(struct disk *d, const char *from, const char *to);
	int (*unlink)(struct disk *d, const char *path);
	int (*mkdir)(struct disk *d, const char *path); /* mode 0700 */
	int (*rmdir)(struct disk *d, const char *path);
	int (*sync_folder)(struct disk *d, const char *path); /* makes the names in it durable */
	/* Every name in the folder but . and .., in no order. */
	int (*list)(struct disk *d, const char *path, void (*fn)(void *arg, const char *name), void *arg);
	int (*space)(struct disk *d, const char *path, uint64_t *bytes); /* free for us on its file system */
};

extern struct disk disk_real;

/* All of the vector to OFF; goes on after EINTR and short writes. The vector is changed. */
int disk_write_all(struct disk *d, int fd, struct iovec *iov, size_t count, uint64_t off);

/* Up to N bytes from OFF, fewer only at the end of the file; goes on after EINTR and short reads. */
ssize_t disk_read_all(struct disk *d, int fd, void *p, size_t n, uint64_t off);

/* Writes a file of N bytes: TMP, synced, renamed to PATH. The name is durable after sync_folder(). */
int disk_replace(struct disk *d, const char *tmp, const char *path, const void *p, size_t n);

#endif
