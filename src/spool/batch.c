/* SPDX-License-Identifier: MIT */
#include "spool/batch.h"
#include "util/check.h"
#include "util/crc32c.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
static const uint32_t magic_segment = MAGIC('T', 'M', 'S', 'G'), magic_batch = MAGIC('T', 'M', 'B', 'T'),
    magic_unit = MAGIC('T', 'M', 'U', 'N');
enum { FORMAT = 1 };

/* Pieces up to this size are copied next to the heads: cheaper than one more element in the vector. */
enum { COPY_MAX = 512 };

static const char zeros[LOG_BLOCK];

static void
put32(char *p, size_t at, uint32_t v)
{
	v = htole32(v);
	memcpy(p + at, &v, sizeof v);
}

static void
put64(char *p, size_t at, uint64_t v)
{
	v = htole64(v);
	memcpy(p + at, &v, sizeof v);
}

static uint32_t
get32(const char *p, size_t at)
{
	uint32_t v;

	memcpy(&v, p + at, sizeof v);
	return le32toh(v);
}

static uint64_t
get64(const char *p, size_t at)
{
	uint64_t v;

	memcpy(&v, p + at, sizeof v);
	return le64toh(v);
}

static uint32_t
seed(const struct stamp *stamp, uint32_t offset)
{
	char p[20];

	put64(p, 0, stamp->generation);
	put64(p, 8, stamp->random);
	put32(p, 16, offset);
	return crc32c(0, p, sizeof p);
}

void
segment_head_put(char *p, const struct segment_head *h)
{
	memset(p, 0, LOG_BLOCK);
	put32(p, 0, magic_segment);
	put32(p, 4, FORMAT);
	put64(p, 8, h->stamp.generation);
	put64(p, 16, h->stamp.random);
	put64(p, 24, h->size);
	put32(p, 32, h->epoch);
	put32(p, 36, h->copy);
	put32(p, 40, crc32c(0, p, 40));
}

int
segment_head_get(const char *p, uint32_t copy, struct segment_head *h)
{
	if (get32(p, 0) != magic_segment || get32(p, 4) != FORMAT || get32(p, 40) != crc32c(0, p, 40))
		return -1;
	h->stamp.generation = get64(p, 8);
	h->stamp.random = get64(p, 16);
	h->size = get64(p, 24);
	h->epoch = get32(p, 32);
	h->copy = get32(p, 36);
	if (h->copy != copy || h->size % LOG_BLOCK != 0 || h->size < 3 * LOG_BLOCK || h->size > UINT32_MAX)
		return -1;
	return 0;
}

static void
batch_head_put(char *p, const struct stamp *stamp, const struct batch_head *h)
{
	put32(p, 0, magic_batch);
	put32(p, 4, h->units);
	put64(p, 8, stamp->generation);
	put64(p, 16, stamp->random);
	put64(p, 24, h->number);
	put64(p, 32, h->synced);
	put64(p, 40, h->first);
	put64(p, 48, h->previous);
	put32(p, 56, h->length);
	put32(p, 60, h->offset);
	put64(p, 64, 0);
	put32(p, 72, 0);
	put32(p, 76, crc32c(seed(stamp, h->offset), p, 76));
}

int
batch_head_get(const char *p, const struct stamp *stamp, uint32_t offset, struct batch_head *h)
{
	if (get32(p, 0) != magic_batch || get64(p, 8) != stamp->generation || get64(p, 16) != stamp->random ||
	    get32(p, 60) != offset || get32(p, 76) != crc32c(seed(stamp, offset), p, 76))
		return -1;
	h->units = get32(p, 4);
	h->number = get64(p, 24);
	h->synced = get64(p, 32);
	h->first = get64(p, 40);
	h->previous = get64(p, 48);
	h->length = get32(p, 56);
	h->offset = offset;
	return h->length < BATCH_HEAD || h->number < h->first || h->synced >= h->number ? -1 : 0;
}

static void
unit_head_put(char *p, const struct stamp *stamp, uint32_t offset, const struct unit_head *h)
{
	put32(p, 0, magic_unit);
	put32(p, 4, h->length);
	put32(p, 8, h->records);
	put32(p, 12, h->ordinal);
	put32(p, 16, 0);
	put32(p, 20, crc32c(seed(stamp, offset), p, 20));
}

int
unit_head_get(const char *p, const struct stamp *stamp, uint32_t offset, struct unit_head *h)
{
	if (get32(p, 0) != magic_unit || get32(p, 20) != crc32c(seed(stamp, offset), p, 20))
		return -1;
	h->length = get32(p, 4);
	h->records = get32(p, 8);
	h->ordinal = get32(p, 12);
	return h->length < UNIT_HEAD ? -1 : 0;
}

static void
record_head_put(char *p, const struct stamp *stamp, uint32_t offset, const struct record_head *h)
{
	put32(p, 0, h->type);
	put32(p, 4, h->head_len);
	put64(p, 8, h->body_len);
	put32(p, 16, h->head_crc);
	put32(p, 20, h->body_crc);
	put32(p, 24, h->back);
	put32(p, 28, crc32c(seed(stamp, offset), p, 28));
}

int
record_head_get(const char *p, const struct stamp *stamp, uint32_t offset, struct record_head *h)
{
	if (get32(p, 28) != crc32c(seed(stamp, offset), p, 28))
		return -1;
	h->type = (uint8_t)get32(p, 0);
	h->head_len = get32(p, 4);
	h->body_len = get64(p, 8);
	h->head_crc = get32(p, 16);
	h->body_crc = get32(p, 20);
	h->back = get32(p, 24);
	return h->head_len > LOG_HEAD_MAX || h->body_len > UINT32_MAX ? -1 : 0;
}

bool
unit_is_whole(const char *p, size_t room, const struct stamp *stamp, uint32_t offset, const struct unit_head *h)
{
	struct record_head r;
	uint64_t at = UNIT_HEAD, next;
	uint32_t i;

	if (h->length > room)
		return false;
	for (i = 0; i < h->records; i++, at = next) {
		if (at + RECORD_HEAD > h->length ||
		    record_head_get(p + at, stamp, offset + (uint32_t)at, &r) < 0 || r.back != at)
			return false;
		next = at + record_length(r.head_len, r.body_len);
		if (next > h->length || crc32c(0, p + at + RECORD_HEAD, r.head_len) != r.head_crc ||
		    crc32c(0, p + at + RECORD_HEAD + r.head_len, r.body_len) != r.body_crc)
			return false;
	}
	return at == h->length;
}

uint64_t
unit_length(const struct log_unit *u)
{
	uint64_t n = UNIT_HEAD;
	unsigned i;

	for (i = 0; i < u->count; i++)
		n += record_length(u->record[i].head_len, u->record[i].body_len);
	return n;
}

void
batch_fini(struct batch *b)
{
	buf_fini(&b->meta);
	free(b->iov);
	memset(b, 0, sizeof *b);
}

/* What meta must hold, so that it never moves while the vector points into it. */
static size_t
meta_need(const struct log_unit *units, unsigned count)
{
	size_t need = BATCH_HEAD;
	unsigned i, k, m;

	for (i = 0; i < count; i++) {
		need += UNIT_HEAD;
		for (k = 0; k < units[i].count; k++) {
			const struct spool_record *r = &units[i].record[k];

			need += RECORD_HEAD + 8 + (r->head_len <= COPY_MAX ? r->head_len : 0);
			for (m = 0; m < r->body_count; m++)
				need += r->body[m].iov_len <= COPY_MAX ? r->body[m].iov_len : 0;
		}
	}
	return need;
}

static void
add_piece(struct batch *b, const char *p, size_t n)
{
	struct iovec *last = b->count > 0 ? &b->iov[b->count - 1] : NULL;

	if (n == 0)
		return;
	if (last != NULL && (char *)last->iov_base + last->iov_len == p) {
		last->iov_len += n;
		return;
	}
	if (b->count == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 256;
		b->iov = xrealloc(b->iov, b->cap * sizeof *b->iov);
	}
	b->iov[b->count].iov_base = (void *)(uintptr_t)p;
	b->iov[b->count++].iov_len = n;
}

/* N bytes of meta, part of the vector; the caller fills them. */
static char *
add_meta(struct batch *b, size_t n)
{
	char *p = b->meta.data + b->meta.len;

	check(b->meta.len + n <= b->meta.cap);
	b->meta.len += n;
	add_piece(b, p, n);
	return p;
}

static void
add_bytes(struct batch *b, const void *p, size_t n)
{
	if (n > COPY_MAX)
		add_piece(b, p, n);
	else if (n > 0)
		memcpy(add_meta(b, n), p, n);
}

/* Returns the bytes it took. */
static uint64_t
add_record(struct batch *b, const struct stamp *stamp, uint32_t offset, uint32_t back, struct spool_record *r)
{
	struct record_head h = { .type = r->type, .head_len = r->head_len, .body_len = r->body_len, .back = back };
	uint64_t length = record_length(r->head_len, r->body_len), body = 0;
	size_t pad = (size_t)(length - RECORD_HEAD - r->head_len - r->body_len);
	char *head = add_meta(b, RECORD_HEAD);
	unsigned i;

	h.head_crc = crc32c(0, r->head, r->head_len);
	add_bytes(b, r->head, r->head_len);
	for (i = 0; i < r->body_count; i++) {
		h.body_crc = crc32c(h.body_crc, r->body[i].iov_base, r->body[i].iov_len);
		add_bytes(b, r->body[i].iov_base, r->body[i].iov_len);
		body += r->body[i].iov_len;
	}
	check(body == r->body_len);
	if (pad > 0)
		memset(add_meta(b, pad), 0, pad);
	record_head_put(head, stamp, offset, &h);
	r->pos = offset;
	return length;
}

void
batch_build(struct batch *b, const struct stamp *stamp, struct batch_head *head, uint32_t ordinal,
    const struct log_unit *units, unsigned count)
{
	uint64_t at = BATCH_HEAD, start;
	unsigned i, k;
	char *p, *u;

	b->meta.len = b->count = 0;
	buf_reserve(&b->meta, meta_need(units, count));
	p = add_meta(b, BATCH_HEAD);
	for (i = 0; i < count; i++) {
		struct unit_head h = { .records = units[i].count, .ordinal = ordinal + i };

		start = at;
		u = add_meta(b, UNIT_HEAD);
		at += UNIT_HEAD;
		for (k = 0; k < units[i].count; k++)
			at += add_record(b, stamp, head->offset + (uint32_t)at, (uint32_t)(at - start),
			    &units[i].record[k]);
		h.length = (uint32_t)(at - start);
		unit_head_put(u, stamp, head->offset + (uint32_t)start, &h);
	}
	head->units = count;
	head->length = (uint32_t)at;
	batch_head_put(p, stamp, head);
	b->length = log_blocks(at);
	add_piece(b, zeros, (size_t)(b->length - at));
}
