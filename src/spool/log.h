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
	uint64_t min_free;     /* bytes to leave on the file system: below, no more segments, and no messages */
	bool discard;          /* keep nothing: for measuring what durability costs */
	bool foreground;       /* no background thread: its work is done inside append and free (tests) */
	struct disk *disk;     /* NULL: the real one */
};

/* Makes a new epoch of our own, locked, and starts the background thread that prefills segments and seals them; an
 * append that comes before the first ones are ready waits. A full disk is no error: room is made when there is some.
 * Blocks. */
int spool_log_open(struct spool_log **log, const struct log_config *config, struct err *err);

/* Clean stop: syncs and seals. Removes our epoch's folder when every segment in it was freed (the current one may
 * be freed too). */
void spool_log_close(struct spool_log **log);

/* This life's number: larger than that of every life whose folder was seen. At most 2^31 - 1. */
uint32_t spool_log_epoch(const struct spool_log *log);

/* What a record's owner wants it written for. */
enum log_room {
	LOG_ROOM_MESSAGES, /* new mail: refused (ENOSPC) before the two reserved segments are touched */
	LOG_ROOM_RESERVE,  /* state records and compaction: may use the reserved segments */
};

/* What one append may take: the sum of spool_log_unit_size() over its units. */
uint64_t spool_log_append_max(const struct spool_log *log);
uint64_t spool_log_unit_size(const struct log_unit *unit);

/* Committer thread only; blocks. Writes UNITS as one batch with one gather write, then syncs if SYNC (a batch
 * that was not synced is made durable by the next synced one, or by spool_log_sync()). Sets every record's pos.
 * A batch larger than the current segment's room starts a new segment.
 * A unit must be right without any unsynced unit before it: after a crash one may be there without the other.
 * -1: nothing of it counts, also after a crash once a later append is durable. err->code tells why: ENOSPC no
 * segment could be had, EMSGSIZE above spool_log_append_max(): nothing else changed. Any other: a write or sync
 * failed; the segment is closed for good and named in *broken (else 0), unsynced batches in it may be lost: the
 * caller copies what lives there and frees it. The next append uses another segment. */
int spool_log_append(struct spool_log *log, const struct log_unit *units, unsigned count, enum log_room room,
    bool sync, uint32_t *broken, struct err *err);
int spool_log_sync(struct spool_log *log, uint32_t *broken, struct err *err);

/* Any thread; blocks. Reads the record at POS; the head always proves right by its CRC, the body too when CHECKED is
 * set (also without WITH_BODY: then it is read and checked only). -1 with err->code EBADMSG: the record is damaged;
 * ENOENT: no such segment; else the read failed. The caller pins the segment (below) if it may be freed. */
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

/* Walks the records of a segment in the order written, without bodies. UNIT counts units from 0 in this segment:
 * records of one unit have the same. FN's head is valid during the call. Any thread; blocks. */
typedef void log_scan_fn(void *arg, log_pos pos, uint32_t unit, uint8_t type, const void *head, uint32_t head_len,
    uint64_t body_len);
int spool_log_scan(struct spool_log *log, uint32_t segment, log_scan_fn *fn, void *arg, struct err *err);

/* Committer thread only; blocks. The segment's contents are needed no more: when this has returned 0 they can never
 * come back (its heads were overwritten with a new stamp, or the file unlinked, and that was synced). -1 with EBUSY
 * while it is pinned; any other -1: nothing is known of its fate after a crash, try again later. */
int spool_log_free(struct spool_log *log, uint32_t segment, struct err *err);

/* Bytes of a segment that hold batches; segments in use; prepared segments left for messages. */
uint64_t spool_log_used(struct spool_log *log, uint32_t segment);
unsigned spool_log_segments(struct spool_log *log);
uint32_t spool_log_current(struct spool_log *log); /* the segment being written, 0 before the first append */
bool spool_log_room(struct spool_log *log);        /* false: messages would get ENOSPC now */

/* Adopting: every epoch folder below the path that no living process holds. For each, in order of epoch and
 * segment, FN is called for every valid record; ALARM for what is corrupt (it was put aside, not lost silently).
 * Adopted segments are read-only and are freed like our own; an epoch's folder is removed with its last segment.
 * Used at start (before the first append, so that our own records have the higher positions), after an upgrade, and
 * for a dead machine's disk. Committer thread only. A folder that cannot be read is an alarm, not an error.
 * Returns the number of epochs, or -1. */
typedef void log_alarm_fn(void *arg, const char *file, const char *what);
int spool_log_adopt(struct spool_log *log, log_scan_fn *fn, log_alarm_fn *alarm, void *arg, struct err *err);

#endif
