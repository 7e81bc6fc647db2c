/* SPDX-License-Identifier: MIT */
#include "spool/log_index.h"
#include "util/crc32c.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>

/* The file's head: magic, version, stamp, first, last, previous, end, count, doubtful, bytes and CRC of the entries, CRC
 * of the head. An entry: offset, unit, type with three zeros, head length, body length, then the head. */
enum { INDEX_HEAD = 88, ENTRY_HEAD = 24 };
static const char magic[8] = "TMIX\1\0\0\0";

static void
put32(char *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof v);
}

static void
put64(char *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof v);
}

static uint32_t
get32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return le32toh(v);
}

static uint64_t
get64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

void
log_index_fini(struct log_index *x)
{
	buf_fini(&x->file);
	memset(x, 0, sizeof *x);
}

static void
begin(struct log_index *x)
{
	if (x->file.len == 0) {
		memset(buf_reserve(&x->file, 4096), 0, INDEX_HEAD);
		x->file.len = INDEX_HEAD;
	}
}

void
log_index_add(struct log_index *x, uint32_t offset, uint32_t unit, uint8_t type, const void *head, uint32_t head_len,
    uint64_t body_len)
{
	char *p;

	begin(x);
	p = buf_reserve(&x->file, ENTRY_HEAD + head_len);
	put32(p, offset);
	put32(p + 4, unit);
	put32(p + 8, type);
	put32(p + 12, head_len);
	put64(p + 16, body_len);
	if (head_len > 0)
		memcpy(p + ENTRY_HEAD, head, head_len);
	x->file.len += ENTRY_HEAD + head_len;
	x->count++;
}

void
log_index_add_units(struct log_index *x, uint32_t ordinal, const struct log_unit *units, unsigned count)
{
	unsigned i, k;

	for (i = 0; i < count; i++)
		for (k = 0; k < units[i].count; k++) {
			const struct spool_record *r = &units[i].record[k];

			log_index_add(x, (uint32_t)r->pos, ordinal + i, r->type, r->head, r->head_len, r->body_len);
		}
}

/* Are there COUNT entries, and nothing else, and does each lie inside the segment? */
static bool
entries_fit(const char *p, size_t n, uint32_t count, uint64_t end)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		uint64_t head_len, body_len, offset;

		if (n < ENTRY_HEAD)
			return false;
		offset = get32(p);
		head_len = get32(p + 12);
		body_len = get64(p + 16);
		if (head_len > LOG_HEAD_MAX || head_len > n - ENTRY_HEAD || body_len > UINT32_MAX ||
		    offset + RECORD_HEAD + head_len + body_len > end)
			return false;
		p += ENTRY_HEAD + head_len;
		n -= ENTRY_HEAD + head_len;
	}
	return n == 0;
}

void
log_index_walk(const struct log_index *x, uint32_t number, log_scan_fn *fn, void *arg)
{
	const char *p = x->file.data + INDEX_HEAD;
	uint32_t i, head_len;

	for (i = 0; i < x->count; i++, p += ENTRY_HEAD + head_len) {
		head_len = get32(p + 12);
		fn(arg, (uint64_t)number << 32 | get32(p), get32(p + 4), (uint8_t)get32(p + 8), p + ENTRY_HEAD, head_len,
		    get64(p + 16));
	}
}

int
log_index_save(struct log_index *x, const struct stamp *stamp, struct disk *d, const char *tmp, const char *path)
{
	char *p;

	begin(x);
	p = x->file.data;
	memcpy(p, magic, sizeof magic);
	put64(p + 8, stamp->generation);
	put64(p + 16, stamp->random);
	put64(p + 24, x->first);
	put64(p + 32, x->last);
	put64(p + 40, x->previous);
	put64(p + 48, x->end);
	put32(p + 56, x->count);
	put32(p + 60, x->doubtful);
	put64(p + 64, x->file.len - INDEX_HEAD);
	put32(p + 72, crc32c(0, p + INDEX_HEAD, x->file.len - INDEX_HEAD));
	put32(p + 84, crc32c(0, p, 84));
	return disk_replace(d, tmp, path, p, x->file.len);
}

static bool
head_is_right(const char *p, const struct stamp *stamp, uint64_t file_size, uint64_t size)
{
	return memcmp(p, magic, sizeof magic) == 0 && get32(p + 84) == crc32c(0, p, 84) &&
	    get64(p + 8) == stamp->generation && get64(p + 16) == stamp->random &&
	    get64(p + 64) == file_size - INDEX_HEAD && get64(p + 48) <= size;
}

int
log_index_load(struct log_index *x, const struct stamp *stamp, uint64_t size, struct disk *d, const char *path)
{
	char head[INDEX_HEAD];
	uint64_t file_size;
	const char *p;
	int fd;

	memset(x, 0, sizeof *x);
	fd = d->open(d, path, O_RDONLY);
	if (fd < 0)
		return -1;
	if (d->size(d, fd, &file_size) < 0 || file_size < INDEX_HEAD ||
	    disk_read_all(d, fd, head, INDEX_HEAD, 0) != INDEX_HEAD || !head_is_right(head, stamp, file_size, size))
		goto bad;
	buf_reserve(&x->file, (size_t)file_size);
	if (disk_read_all(d, fd, x->file.data, (size_t)file_size, 0) != (ssize_t)file_size)
		goto bad;
	x->file.len = (size_t)file_size;
	p = x->file.data;
	x->first = get64(p + 24);
	x->last = get64(p + 32);
	x->previous = get64(p + 40);
	x->end = get64(p + 48);
	x->count = get32(p + 56);
	x->doubtful = get32(p + 60) != 0;
	if (!head_is_right(p, stamp, file_size, size) ||
	    get32(p + 72) != crc32c(0, p + INDEX_HEAD, x->file.len - INDEX_HEAD) ||
	    !entries_fit(p + INDEX_HEAD, x->file.len - INDEX_HEAD, x->count, x->end))
		goto bad;
	d->close(d, fd);
	return 0;
bad:
	d->close(d, fd);
	log_index_fini(x);
	return -1;
}
