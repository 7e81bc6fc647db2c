/* SPDX-License-Identifier: MIT */
/* The records of one segment without their bodies: gathered while it is written or scanned, kept beside the sealed
 * segment as N.idx, so that a restart reads no bodies. */
#ifndef TMAIL_SPOOL_LOG_INDEX_H
#define TMAIL_SPOOL_LOG_INDEX_H

#include "spool/batch.h"
#include "spool/disk.h"
#include "spool/log.h"
#include "util/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* Zeroed memory is an empty index. */
struct log_index {
	struct buf file; /* room for the file's head, then the entries as they will be stored */
	uint32_t count;
	uint64_t first, last; /* batch numbers; last is below first while there is no batch */
	uint64_t previous;    /* generation of the segment closed in order before, or 0 */
	uint64_t end;         /* offset behind the last batch */
	bool doubtful;        /* some of its batches were not synced when a write or sync failed: may not be there */
};

void log_index_fini(struct log_index *x);

void log_index_add(struct log_index *x, uint32_t offset, uint32_t unit, uint8_t type, const void *head,
    uint32_t head_len, uint64_t body_len);

/* Adds the records of units that batch_build() placed; ORDINAL is the first unit's. */
void log_index_add_units(struct log_index *x, uint32_t ordinal, const struct log_unit *units, unsigned count);

/* Calls FN for every entry, positions in segment NUMBER. */
void log_index_walk(const struct log_index *x, uint32_t number, log_scan_fn *fn, void *arg);

/* Writes TMP and renames it to PATH; the name is not synced. -1 with errno. */
int log_index_save(struct log_index *x, const struct stamp *stamp, struct disk *d, const char *tmp, const char *path);

/* -1 unless PATH holds a right index of a segment with STAMP and SIZE bytes. */
int log_index_load(struct log_index *x, const struct stamp *stamp, uint64_t size, struct disk *d, const char *path);

#endif
