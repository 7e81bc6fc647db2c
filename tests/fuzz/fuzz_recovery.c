/* SPDX-License-Identifier: MIT */
/* Adopting a folder with arbitrary bytes in it. What is told to be a record must be one, byte for byte, by a check
 * written here; the log never crashes and the next life sees the same.
 *
 * Input: the first byte says how the rest is meant.
 *	bit 0  0: the rest is the segment's bytes, as they are; 1: the rest patches a valid segment: offset (2 bytes),
 *	       length (1), bytes; again and again
 *	bit 1  the CRCs of the heads are made right afterwards, so that lengths and counts of any value are tried
 *	bit 2  the index file, too, is a patched valid one (patches with the top bit of the offset go there)
 *	bit 3  with bits 1 and 2: the CRCs of the index are made right
 *	bit 4  the segment is cut to a third */
#include "../unit/simdisk.h"
#include "spool/batch.h"
#include "spool/log.h"
#include "spool/log_index.h"
#include "util/check.h"
#include "util/crc32c.h"

#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE = 32 << 10, RECORDS_MAX = 4096 };
enum { PATCH = 1, FIX_SEGMENT = 2, INDEX = 4, FIX_INDEX = 8, CUT = 16 };

static const struct stamp stamp = { (uint64_t)1 << 32 | 7, 0x1122334455667788 };

/* The valid state patches start from. */
static char segment[SIZE];
static char *index_file;
static size_t index_size;

struct found {
	log_pos pos; /* no padding: compared as bytes */
	uint64_t body_len;
	uint32_t unit, type, head_len, head_crc;
};

struct state {
	struct spool_log *log;
	struct found found[RECORDS_MAX];
	unsigned count;
};

static uint32_t
word(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return le32toh(v);
}

static void
set_word(char *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof v);
}

static uint32_t
crc_at(uint32_t offset, const char *p, size_t n)
{
	char seed[20];
	uint64_t g = htole64(stamp.generation), r = htole64(stamp.random);

	memcpy(seed, &g, 8);
	memcpy(seed + 8, &r, 8);
	set_word(seed + 16, offset);
	return crc32c(crc32c(0, seed, sizeof seed), p, n);
}

/* Three batches with a few units each. */
static void
build(void)
{
	static const char body[6000] = "From: somebody\r\n";
	struct iovec iov = { (void *)(uintptr_t)body, 0 };
	struct spool_record r[4];
	struct log_unit u[2] = { { r, 3 }, { r + 3, 1 } };
	struct log_index x = { .first = 1, .last = 3 };
	struct segment_head head = { .stamp = stamp, .size = SIZE, .epoch = 1 };
	struct batch_head h = { .offset = LOG_BLOCK, .first = 1 };
	struct batch b = { 0 };
	struct simdisk *s = simdisk_new();
	const unsigned char *p;
	uint64_t n;
	size_t i, at;

	for (i = 0; i < 4; i++)
		r[i] = (struct spool_record){ .type = (uint8_t)(i + 1), .head = "head of a record", .head_len = 4 + (uint32_t)i * 4,
			.body = &iov, .body_count = 1 };
	segment_head_put(segment, &head);
	head.copy = 1;
	segment_head_put(segment + SIZE - LOG_BLOCK, &head);
	for (h.number = 1; h.number <= 3; h.number++, h.offset += (uint32_t)b.length) {
		iov.iov_len = h.number * 900;
		for (i = 0; i < 4; i++)
			r[i].body_len = iov.iov_len;
		h.synced = h.number - 1;
		batch_build(&b, &stamp, &h, (uint32_t)h.number * 2, u, 2);
		for (i = 0, at = h.offset; i < b.count; at += b.iov[i++].iov_len)
			memcpy(segment + at, b.iov[i].iov_base, b.iov[i].iov_len);
		log_index_add_units(&x, (uint32_t)h.number * 2, u, 2);
	}
	x.end = h.offset;
	check(log_index_save(&x, &stamp, simdisk_disk(s), "/tmp", "/idx") == 0);
	p = simdisk_bytes(s, "/idx", &n);
	index_file = xmemdup(p, n);
	index_size = n;
	log_index_fini(&x);
	batch_fini(&b);
	simdisk_free(&s);
}

/* Makes heads that could be some right, following whatever lengths they give. */
static void
fix_segment(char *p)
{
	uint64_t at, u, end, r, units;
	unsigned i;

	for (i = 0; i < 2; i++) {
		char *head = p + (i == 0 ? 0 : SIZE - LOG_BLOCK);

		set_word(head + 40, crc32c(0, head, 40));
	}
	for (at = LOG_BLOCK; at + LOG_BLOCK < SIZE; at += LOG_BLOCK) {
		if (memcmp(p + at, "TMBT", 4) != 0)
			continue;
		set_word(p + at + 76, crc_at((uint32_t)at, p + at, 76));
		units = word(p + at + 4);
		for (u = at + BATCH_HEAD; units-- > 0 && u + UNIT_HEAD + RECORD_HEAD < SIZE; u = end) {
			set_word(p + u + 20, crc_at((uint32_t)u, p + u, 20));
			end = u + word(p + u + 4);
			if (end <= u + UNIT_HEAD)
				break;
			for (r = u + UNIT_HEAD; r < end && r + RECORD_HEAD < SIZE;) {
				set_word(p + r + 28, crc_at((uint32_t)r, p + r, 28));
				r += record_length(word(p + r + 4), word(p + r + 8));
			}
		}
	}
}

static void
fix_index(char *p, size_t n)
{
	if (n < 88)
		return;
	set_word(p + 72, crc32c(0, p + 88, n - 88));
	set_word(p + 84, crc32c(0, p, 84));
}

static void
patch(char *seg, char *idx, const uint8_t *data, size_t size)
{
	while (size > 3) {
		size_t at = (size_t)(data[0] | (data[1] & 0x7f) << 8), n = data[2] & 63;
		size_t room = data[1] & 0x80 ? index_size : SIZE;
		char *to = data[1] & 0x80 ? idx : seg;

		data += 3;
		size -= 3;
		if (n > size)
			n = size;
		if (at < room)
			memcpy(to + at, data, n < room - at ? n : room - at);
		data += n;
		size -= n;
	}
}

static void
on_record(void *arg, log_pos pos, uint32_t unit, uint8_t type, const void *head, uint32_t head_len, uint64_t body_len)
{
	struct state *s = arg;

	check(s->count < RECORDS_MAX);
	s->found[s->count++] = (struct found){ pos, body_len, unit, type, head_len, crc32c(0, head, head_len) };
}

static void
on_alarm(void *arg, const char *file, const char *what)
{
	(void)arg;
	check(strlen(file) > 0 && strlen(what) > 0);
}

/* What reads as right must be right: head, place, life, content. */
static void
verify(struct state *s, const char *seg, size_t n, bool indexed)
{
	struct log_view v;
	struct err err;
	unsigned i;

	for (i = 0; i < s->count; i++) {
		const struct found *f = &s->found[i];
		uint32_t at = (uint32_t)f->pos;
		const char *p = seg + at;

		if (spool_log_read(s->log, f->pos, true, true, &v, &err) < 0) {
			check(indexed);
			continue;
		}
		check(at >= LOG_BLOCK && at + RECORD_HEAD + (uint64_t)v.head_len + v.body_len <= n);
		check(word(p + 28) == crc_at(at, p, 28));
		check(word(p + 4) == v.head_len && word(p + 8) == v.body_len && (uint8_t)*p == v.type);
		check(memcmp(v.head, p + RECORD_HEAD, v.head_len) == 0);
		check(memcmp(v.body, p + RECORD_HEAD + v.head_len, v.body_len) == 0);
		check(crc32c(0, v.head, v.head_len) == word(p + 16) && crc32c(0, v.body, v.body_len) == word(p + 20));
		if (!indexed)
			check(f->type == v.type && f->head_len == v.head_len && f->body_len == v.body_len &&
			    f->head_crc == word(p + 16));
		free(v.head);
		free(v.body);
	}
}

static void
adopt(struct simdisk *disk, struct state *s)
{
	const struct log_config config = { .path = "/spool", .segment_size = 16 << 10, .foreground = true,
		.disk = simdisk_disk(disk) };
	struct err err;

	s->count = 0;
	check(spool_log_open(&s->log, &config, &err) == 0);
	check(spool_log_adopt(s->log, on_record, on_alarm, s, &err) >= 0);
}

static void
end(struct simdisk *disk, struct state *s)
{
	simdisk_stop(disk);
	spool_log_close(&s->log);
	simdisk_kill(disk);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct state first, second;
	char *seg, *idx;
	struct simdisk *disk;
	size_t n = SIZE;
	uint8_t how;

	if (size == 0)
		return 0;
	if (index_file == NULL)
		build();
	how = data[0];
	seg = xmemdup(segment, SIZE);
	idx = xmemdup(index_file, index_size);
	if (how & PATCH)
		patch(seg, idx, data + 1, size - 1);
	else {
		n = size - 1 < SIZE ? size - 1 : SIZE;
		memcpy(seg, data + 1, n);
	}
	if (how & FIX_SEGMENT)
		fix_segment(seg);
	if (how & FIX_INDEX)
		fix_index(idx, index_size);
	if (how & CUT)
		n /= 3;
	disk = simdisk_new();
	simdisk_record(disk, false);
	check(simdisk_disk(disk)->mkdir(simdisk_disk(disk), "/spool") == 0);
	check(simdisk_disk(disk)->mkdir(simdisk_disk(disk), "/spool/00000001") == 0);
	simdisk_put(disk, "/spool/00000001/00000001.seg", seg, n);
	if (how & INDEX)
		simdisk_put(disk, "/spool/00000001/00000001.idx", idx, index_size);
	adopt(disk, &first);
	verify(&first, seg, n, (how & INDEX) != 0);
	end(disk, &first);
	adopt(disk, &second);
	check(first.count == second.count);
	check(memcmp(first.found, second.found, first.count * sizeof *first.found) == 0);
	end(disk, &second);
	simdisk_free(&disk);
	free(seg);
	free(idx);
	return 0;
}
