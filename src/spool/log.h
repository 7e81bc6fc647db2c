/* SPDX-License-Identifier: MIT */
/* A log of batches: append, read back, free, adopt. The file log is log_file.c; a second implementation may keep
 * batches in a database. Everything above this interface (spool/spool.h) is the same code for both.
 *
 * A batch holds units; a unit holds records that are applied whole or not at all. A record has a type, a head
 * (small; recovery reads it from an index) and a body (recovery does not read it). What types mean is decided
 * above: the log only keeps them. doc/spool.md lists every legal state on disk. */
#ifndef TMAIL_SPOOL_LOG_H
#define TMAIL_SPOOL_LOG_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct spool_log;
struct disk; /* the system calls, replaceable by tests: spool/disk.h */

/* Where a record stands: segment number in the upper 32 bits, byte offset in the lower. Numbers are given by this
 * process, adopted segments first, so that of two records the later written one has the higher position. */
typedef uint64_t log_pos;
#define LOG_POS_SEGMENT(pos) ((uint32_t)((pos) >> 32))

struct spool_record {
	uint8_t type;
	const void *head;
	uint32_t head_len;          /* at most 1 MiB */
	const struct iovec *body;   /* may be NULL */
	unsigned body_count;
	uint64_t body_len;          /* sum of the vector */
	log_pos pos;                /* out: set by spool_log_append() */
};

struct log_unit {
	struct spool_record *record;
	unsigned count;
};

struct log_config {
	const char *path;      /* the spool's folder; each life has a folder spool/<epoch>/ below it */
	uint64_t segment_size; /* bytes, a multiple of 4096; 0: 64 MiB */
	unsigned stock;        /* segments kept prepared (zero-prefilled) besides the two reserved ones; 0: 2 */
	bool discard;          /* keep nothing: for measuring what durability costs */
	struct disk *disk;     /* NULL: the real one */
};

/* Makes a new epoch of our own, locked, with prepared segments, and starts the background thread that prefills,
 * seals and frees. Blocks. */
int spool_log_open(struct spool_log **log, const struct log_config *config, struct err *err);

/* Clean stop: syncs and seals. Removes our epoch's folder when nothing in it is live. */
void spool_log_close(struct spool_log **log);

/* This life's number: larger than that of every life whose folder was seen. At most 2^31 - 1. */
uint32_t spool_log_epoch(const struct spool_log *log);

/* What a record's owner wants it written for. */
enum log_room {
	LOG_ROOM_MESSAGES, /* new mail: refused (ENOSPC) before the two reserved segments are touched */
	LOG_ROOM_RESERVE,  /* state records and compaction: may use the reserved segments */
};

/* Committer thread only; blocks. Writes UNITS as one batch with one gather write, then syncs if SYNC (a batch
 * that was not synced is made durable by the next synced one, or by spool_log_sync()). Sets every record's pos.
 * A batch larger than a segment's room starts a new segment; a unit may not exceed a segment.
 * -1: nothing of it counts; the segment is closed for good and named in *broken (0: none), so that the caller
 * copies what lives there; the next append uses another segment. */
int spool_log_append(struct spool_log *log, const struct log_unit *units, unsigned count, enum log_room room,
    bool sync, uint32_t *broken, struct err *err);
int spool_log_sync(struct spool_log *log, uint32_t *broken, struct err *err);

/* Any thread; blocks. Reads the record at POS: head and body lengths first, then the bytes wanted.
 * The CRC of the whole unit is checked when CHECKED is set. The caller pins the segment (below). */
struct log_view {
	uint8_t type;
	uint32_t head_len;
	uint64_t body_len;
	char *head; /* allocated, the caller frees */
	char *body; /* allocated, the caller frees; NULL unless asked for */
};
int spool_log_read(struct spool_log *log, log_pos pos, bool with_body, bool checked, struct log_view *out,
    struct err *err);

/* Any thread. A pinned segment is not recycled. False when the segment is gone already. */
bool spool_log_pin(struct spool_log *log, uint32_t segment);
void spool_log_unpin(struct spool_log *log, uint32_t segment);

/* Walks the records of a segment in the order written, without bodies. UNIT counts units from 0 in this segment.
 * FN's head is valid during the call. Blocks. */
typedef void log_scan_fn(void *arg, log_pos pos, uint32_t unit, uint8_t type, const void *head, uint32_t head_len,
    uint64_t body_len);
int spool_log_scan(struct spool_log *log, uint32_t segment, log_scan_fn *fn, void *arg, struct err *err);

/* Committer thread only. The segment's contents are needed no more: when this has returned 0 they can never come
 * back (its header was overwritten with a new generation, or the file unlinked, and that was synced); pinned
 * segments are freed when unpinned, and -1 with EBUSY is answered until then. */
int spool_log_free(struct spool_log *log, uint32_t segment, struct err *err);

/* Bytes of a segment that hold batches; segments in use; prepared segments left for messages. */
uint64_t spool_log_used(struct spool_log *log, uint32_t segment);
unsigned spool_log_segments(struct spool_log *log);
uint32_t spool_log_current(struct spool_log *log); /* the segment being written, 0 before the first append */
bool spool_log_room(struct spool_log *log);        /* false: messages would get ENOSPC now */

/* Adopting: every epoch folder below the path that no living process holds. For each, in order of epoch and
 * segment, FN is called for every valid record; ALARM for what is corrupt (it was put aside, not lost silently).
 * Adopted segments are read-only and are freed like our own; an epoch's folder is removed with its last segment.
 * Used at start, after an upgrade, and for a dead machine's disk. Returns the number of epochs, or -1. */
typedef void log_alarm_fn(void *arg, const char *file, const char *what);
int spool_log_adopt(struct spool_log *log, log_scan_fn *fn, log_alarm_fn *alarm, void *arg, struct err *err);

#endif
