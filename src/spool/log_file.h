/* SPDX-License-Identifier: MIT */
/* The log in files, its inside: doc/spool.md has the format and the rules. */
#ifndef TMAIL_SPOOL_LOG_FILE_H
#define TMAIL_SPOOL_LOG_FILE_H

#include "spool/disk.h"
#include "spool/log_ops.h"
#include "spool/segment.h"

#include <pthread.h>

/* Segments only state records and compaction may use. */
enum { LOG_RESERVED = 2 };

struct file_log {
	struct spool_log log;
	struct disk *disk;
	char path[LOG_PATH_MAX];
	uint64_t segment_size, min_free;
	unsigned stock_want;  /* prepared segments, the reserved ones among them */
	bool foreground;
	struct list epochs;   /* our own and the adopted: committer only */
	struct epoch *own;

	/* Taken before lock: a generation is given out and its segment queued in one go, so that segments are used
	 * in the order of their generations. */
	pthread_mutex_t order;
	uint32_t generations;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	struct map segments;  /* in use, by number */
	uint32_t numbers;     /* the last number given */
	uint32_t files;       /* the last N of an N.seg */
	unsigned open_files;  /* segments in use but the current one with an open descriptor */
	struct list stock;    /* prepared, in order of generation */
	unsigned stocked;
	struct list seals;    /* closed segments waiting for their index */
	bool full;            /* the last attempt to prepare a segment failed */
	bool low;             /* less than min_free bytes are free */
	bool stop;
	struct segment *current; /* changed by the committer only */

	/* Committer only. */
	uint64_t batches;     /* number of the last batch that counts */
	uint64_t synced;      /* of the last batch a sync succeeded for */
	bool dirty;           /* the current segment has unsynced batches */
	uint64_t previous;    /* generation of the segment closed in order before the current one, or 0 */
	struct batch batch;
	char *stage;          /* what is to be written, put together in aligned memory */
};

static inline struct file_log *
file_log(const struct spool_log *log)
{
	return (struct file_log *)(uintptr_t)log;
}

/* err_set() with a code. */
int log_err(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* log_epoch.c: folders and their locks. */
/* Makes our own epoch: number, folder, lock, all durable. */
struct epoch *epoch_make(struct disk *d, const char *path, struct err *err);
/* Locks and returns every epoch folder below PATH that is neither in KNOWN nor held by another process, appended to
 * OUT in ascending order. One that cannot be locked for another reason is returned with lock < 0. */
int epoch_claim(struct disk *d, const char *path, const struct list *known, struct list *out, struct err *err);
/* Removes the folder, which has no segments left, and frees the structure. What is not ours in it keeps it. */
void epoch_remove(struct disk *d, const char *path, struct epoch **epoch);
void epoch_free(struct disk *d, struct epoch **epoch);

/* log_stock.c: prepared segments and the background thread. */
void stock_start(struct file_log *l);
void stock_stop(struct file_log *l);
/* Prepares one segment. -1 with errno. */
int stock_prepare(struct file_log *l);
/* Waits until NEED segments are prepared beside those that ROOM may not touch; -1 when the disk does not give them. */
int stock_wait(struct file_log *l, enum log_room room, unsigned need);
/* Takes the first, which exists. The lock is held. */
struct segment *stock_take(struct file_log *l);
/* The next stamp; l->order is held. */
struct stamp stock_stamp(struct file_log *l);
/* S is closed in order: its index is written soon (in the foreground: now). */
void stock_seal(struct file_log *l, struct segment *s);
/* Writes the index of every segment waiting for it. */
void stock_seal_all(struct file_log *l);

/* log_use.c: segments in use. */
struct segment *use_find(struct file_log *l, uint32_t number); /* the lock is held */
void use_add(struct file_log *l, struct segment *s);           /* gives it a number; the lock is held */
void use_remove(struct file_log *l, struct segment *s);        /* no longer in use; the lock is held */
/* The current segment takes no more batches; it may be read. The lock is held. */
void use_retire(struct file_log *l);
/* The records of S: from memory, its index file or its bytes. OUT is the caller's. The caller pins S. */
int use_index(struct file_log *l, struct segment *s, struct log_index *out, struct err *err);
bool filelog_pin(struct spool_log *log, uint32_t segment);
void filelog_unpin(struct spool_log *log, uint32_t segment);
int filelog_read(struct spool_log *log, log_pos pos, bool with_body, bool checked, struct log_view *out,
    struct err *err);
int filelog_scan(struct spool_log *log, uint32_t segment, log_scan_fn *fn, void *arg, struct err *err);

/* log_free.c */
int filelog_free(struct spool_log *log, uint32_t segment, struct err *err);

/* log_scan.c: a segment's bytes. */
struct hole {
	uint64_t from, to;    /* offsets */
	uint64_t first, last; /* numbers of the batches that are missing or damaged */
};

struct scan {
	struct log_index index; /* what is believed */
	uint64_t synced;        /* the highest that a batch says of those before it */
	uint64_t first_below;   /* the lowest first of its batches; UINT64_MAX: no valid batch */
	bool left_out;          /* some batch did not count */
	struct hole *hole;
	unsigned holes;
};

/* Finds every valid unit in the N bytes at P, the beginning of a segment of SIZE bytes with STAMP; batches from
 * number LIMIT on do not count. */
void scan_bytes(struct scan *out, const char *p, uint64_t n, uint64_t size, const struct stamp *stamp, uint64_t limit);
void scan_fini(struct scan *scan);

/* The bytes of an open segment; unreadable blocks are zeros and counted. Returns bytes, or -1 with errno. */
int64_t scan_read(struct disk *d, int fd, uint64_t size, char **out, unsigned *unreadable);

/* log_adopt.c */
int filelog_adopt(struct spool_log *log, log_scan_fn *fn, log_alarm_fn *alarm, void *arg, struct err *err);

#endif
