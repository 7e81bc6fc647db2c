/* SPDX-License-Identifier: MIT */
/* One segment file: its states are in doc/spool.md. The fields are guarded by the log's lock, but for what only the
 * committer touches while the segment is current. */
#ifndef TMAIL_SPOOL_SEGMENT_H
#define TMAIL_SPOOL_SEGMENT_H

#include "spool/batch.h"
#include "spool/disk.h"
#include "spool/log_index.h"
#include "util/list.h"
#include "util/map.h"

#include <stdbool.h>
#include <stdint.h>

enum { LOG_PATH_MAX = 1024 };

/* A folder spool/<epoch>/. */
struct epoch {
	struct list link;
	char path[LOG_PATH_MAX];
	uint32_t number;
	int lock; /* descriptor of the lock file */
	unsigned segments;
	bool own;
};

struct segment {
	struct map_link link; /* by number, while in use */
	struct list queue;    /* in the stock, or to be sealed */
	struct epoch *epoch;
	uint32_t file;        /* N of N.seg */
	uint32_t number;      /* upper half of positions; 0: not in use */
	struct stamp stamp;
	uint64_t size, end;   /* of the file; where the next batch goes */
	uint32_t units;       /* in it so far */
	uint64_t limit;       /* adopted: batches from this number on do not count */
	int fd;               /* for reading and syncing; -1: closed */
	int direct;           /* for writing past the page cache; -1: not while it may still be written, or not supported */
	unsigned pins;
	bool broken;          /* a write or sync failed: never written again */
	bool freeing;         /* cannot be pinned any more */
	bool sealing;         /* the background thread is writing the index */
	bool indexed;         /* N.idx is there: the index is not kept in memory */
	struct log_index index;
};

/* The path of N.EXT. */
void segment_path(const struct segment *s, const char *ext, char path[LOG_PATH_MAX]);

/* Makes N.new of SIZE bytes in the epoch's folder, zero-filled and opened: slow. NULL with errno. */
struct segment *segment_new(struct disk *d, struct epoch *epoch, uint32_t file, uint64_t size);

/* Makes it N.seg: writes the heads with STAMP, syncs, renames, syncs that; then it may be used. -1 with errno. */
int segment_finish(struct segment *s, struct disk *d, const struct stamp *stamp);

/* A structure for a file that is there; closed. */
struct segment *segment_found(struct epoch *epoch, uint32_t file);

/* Writes N bytes to OFF, past the page cache where the file system can. All three are multiples of LOG_BLOCK. -1 with
 * errno. */
int segment_write(struct segment *s, struct disk *d, const void *p, size_t n, uint64_t off);

/* Writes both heads with STAMP and syncs: what was in it is gone. -1 with errno. */
int segment_restamp(struct segment *s, struct disk *d, const struct stamp *stamp);

/* Opens the file if it is closed. -1 with errno. */
int segment_open(struct segment *s, struct disk *d);
void segment_close(struct segment *s, struct disk *d);

/* A recycled segment will be written again. */
void segment_begin_writing(struct segment *s, struct disk *d);

/* Nothing will be written to it until it is recycled. */
void segment_end_writing(struct segment *s, struct disk *d);

/* Unlinks N.seg, durably, then N.idx. -1 with errno. */
int segment_unlink(struct segment *s, struct disk *d);

/* Closes and frees the structure. */
void segment_free(struct segment **s, struct disk *d);

#endif
