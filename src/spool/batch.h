/* SPDX-License-Identifier: MIT */
/* The bytes of the log: heads of segments, batches, units and records (tables in doc/spool.md), put together and
 * checked. Pure: no system calls. */
#ifndef TMAIL_SPOOL_BATCH_H
#define TMAIL_SPOOL_BATCH_H

#include "spool/log.h"
#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { LOG_BLOCK = 4096, SEGMENT_HEAD = 44, BATCH_HEAD = 80, UNIT_HEAD = 24, RECORD_HEAD = 32 };
enum { LOG_HEAD_MAX = 1 << 20 }; /* a record's head */

/* One life of a segment; seeds every CRC in it. */
struct stamp {
	uint64_t generation, random;
};

struct segment_head {
	struct stamp stamp;
	uint64_t size;
	uint32_t epoch;
	uint32_t copy; /* 0: first block, 1: last block */
};

struct batch_head {
	uint32_t units;
	uint64_t number, synced, first, previous;
	uint32_t length; /* head and units, without padding */
	uint32_t offset;
};

struct unit_head {
	uint32_t length; /* this head and the records */
	uint32_t records;
	uint32_t ordinal; /* in the segment, from 0 */
};

struct record_head {
	uint8_t type;
	uint32_t head_len;
	uint64_t body_len;
	uint32_t head_crc, body_crc;
	uint32_t back; /* bytes from the unit's head to this one */
};

/* X rounded up to blocks. */
static inline uint64_t
log_blocks(uint64_t x)
{
	return (x + LOG_BLOCK - 1) / LOG_BLOCK * LOG_BLOCK;
}

/* Bytes of a record with its padding; of a unit with its head. */
static inline uint64_t
record_length(uint32_t head_len, uint64_t body_len)
{
	return (RECORD_HEAD + head_len + body_len + 7) / 8 * 8;
}
uint64_t unit_length(const struct log_unit *u);

/* P holds LOG_BLOCK bytes. get: -1 unless it is a valid head of copy COPY. */
void segment_head_put(char *p, const struct segment_head *h);
int segment_head_get(const char *p, uint32_t copy, struct segment_head *h);

/* P holds the head's bytes, found at OFFSET of the segment; -1 unless it is one of STAMP, written there. */
int batch_head_get(const char *p, const struct stamp *stamp, uint32_t offset, struct batch_head *h);
int unit_head_get(const char *p, const struct stamp *stamp, uint32_t offset, struct unit_head *h);
int record_head_get(const char *p, const struct stamp *stamp, uint32_t offset, struct record_head *h);

/* Is the unit at P, of at most ROOM bytes, whole? H is its head, already checked. */
bool unit_is_whole(const char *p, size_t room, const struct stamp *stamp, uint32_t offset,
    const struct unit_head *h);

/* A batch as one vector to write. Zeroed memory is an empty one; reused from batch to batch. */
struct batch {
	struct buf meta; /* heads and what is small; the vector points into it */
	struct iovec *iov;
	size_t count, cap;
	uint64_t length; /* padded to blocks: the sum of the vector */
};

void batch_fini(struct batch *b);

/* Puts UNITS together for HEAD->offset; fills in the rest of HEAD's sizes. ORDINAL is the first unit's. Sets each
 * record's pos to its offset in the segment. Large heads and bodies are referenced, not copied. */
void batch_build(struct batch *b, const struct stamp *stamp, struct batch_head *head, uint32_t ordinal,
    const struct log_unit *units, unsigned count);

#endif
