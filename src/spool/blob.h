/* SPDX-License-Identifier: MIT */
/* Content of large messages in files of their own: spool/blobs/EPOCH/ID. A life's folder is locked while it lives,
 * so that another life sharing the spool takes nothing for an orphan. Everything here blocks: worker threads. */
#ifndef TMAIL_SPOOL_BLOB_H
#define TMAIL_SPOOL_BLOB_H

#include "spool/message.h"
#include "util/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct blobs;
struct disk;

/* Makes and locks this life's folder, locks those of ended lives. */
int blobs_open(struct blobs **blobs, const char *path, uint32_t epoch, struct disk *disk, struct err *err);
void blobs_close(struct blobs **blobs);

/* A new file for M, named by its id; bytes; then durable with its name. */
int blob_create(struct blobs *b, struct message *m, struct err *err);
int blob_append(struct blobs *b, struct message *m, const void *p, size_t n, struct err *err);
int blob_finish(struct blobs *b, struct message *m, struct err *err);

/* Takes the file away; by id too, when its message is done. */
void blob_remove(struct blobs *b, struct message *m);
void blob_remove_id(struct blobs *b, uint64_t id);

/* Length and CRC are what the record says. blob_length_ok() looks at the length alone (at start). */
int blob_check(struct blobs *b, const struct message *m, struct err *err);
int blob_length_ok(struct blobs *b, const char *name, uint64_t length, struct err *err);

/* Bytes from OFF in the file. Short only at its end. */
ssize_t blob_read(struct blobs *b, const struct message *m, uint64_t off, void *p, size_t n, struct err *err);

/* At start: removes the files of ended lives for which WANTED says false, and folders left empty. Returns how many
 * files are left. */
uint64_t blobs_sweep(struct blobs *b, int (*wanted)(void *arg, uint64_t id), void *arg);

#endif
