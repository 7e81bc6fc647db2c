/* SPDX-License-Identifier: MIT */
/* What a segment's bytes prove: every valid unit, and what is missing between them ("Scanning a segment" in
 * doc/spool.md). */
#include "spool/log_file.h"
#include "util/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { READ_CHUNK = 1 << 20 };

/* The walk over one segment. */
struct walk {
	struct scan *out;
	const char *p;
	const struct stamp *stamp;
	uint64_t at, end;   /* batches lie before END */
	uint64_t limit;
	uint64_t gap;       /* where the current run of invalid blocks began; 0: there is none */
	uint64_t next;      /* the number expected; 0: not known yet */
};

static void
add_hole(struct scan *s, uint64_t from, uint64_t to, uint64_t first, uint64_t last)
{
	if (s->holes % 16 == 0)
		s->hole = xrealloc(s->hole, (s->holes + 16) * sizeof *s->hole);
	s->hole[s->holes++] = (struct hole){ .from = from, .to = to, .first = first, .last = last };
}

static void
add_unit(struct walk *w, uint64_t at, const struct unit_head *u)
{
	uint64_t end = at + u->length;
	struct record_head r;

	for (at += UNIT_HEAD; at < end; at += record_length(r.head_len, r.body_len)) {
		check(record_head_get(w->p + at, w->stamp, (uint32_t)at, &r) == 0);
		log_index_add(&w->out->index, (uint32_t)at, u->ordinal, r.type, w->p + at + RECORD_HEAD, r.head_len,
		    r.body_len);
	}
}

/* Adds the whole units of the batch at w->at; false when some are not. */
static bool
add_units(struct walk *w, const struct batch_head *h)
{
	uint64_t at = w->at + BATCH_HEAD, end = w->at + h->length;
	struct unit_head u;
	bool whole = true;
	uint32_t i;

	if (end > w->end) {
		whole = false;
		end = w->end;
	}
	for (i = 0; i < h->units; i++, at += u.length) {
		if (at + UNIT_HEAD > end || unit_head_get(w->p + at, w->stamp, (uint32_t)at, &u) < 0 ||
		    u.length > end - at)
			return false;
		if (unit_is_whole(w->p + at, (size_t)(end - at), w->stamp, (uint32_t)at, &u))
			add_unit(w, at, &u);
		else
			whole = false;
	}
	return whole && at == end;
}

static void
take_batch(struct walk *w, const struct batch_head *h)
{
	struct scan *s = w->out;
	uint64_t expected = w->next != 0 ? w->next : h->first;
	bool counts = h->number < w->limit;

	if (h->first < s->first_below)
		s->first_below = h->first;
	if (h->synced > s->synced)
		s->synced = h->synced;
	s->index.first = h->first;
	s->index.previous = h->previous;
	if (h->number > expected && expected < w->limit)
		add_hole(s, w->gap != 0 ? w->gap : w->at, w->at, expected, h->number - 1);
	if (!counts)
		s->left_out = true;
	else {
		if (!add_units(w, h))
			add_hole(s, w->at, w->at + h->length, h->number, h->number);
		s->index.last = h->number;
	}
	w->next = h->number + 1;
	w->gap = 0;
	w->at += log_blocks(h->length);
	s->index.end = w->at;
}

void
scan_bytes(struct scan *out, const char *p, uint64_t n, uint64_t size, const struct stamp *stamp, uint64_t limit)
{
	struct walk w = { .out = out, .p = p, .stamp = stamp, .at = LOG_BLOCK, .limit = limit };
	struct batch_head h;

	memset(out, 0, sizeof *out);
	out->first_below = UINT64_MAX;
	out->index.end = LOG_BLOCK;
	w.end = n < size - LOG_BLOCK ? n : size - LOG_BLOCK;
	while (w.at + BATCH_HEAD <= w.end) {
		if (batch_head_get(p + w.at, stamp, (uint32_t)w.at, &h) == 0 && h.number >= w.next)
			take_batch(&w, &h);
		else {
			if (w.gap == 0)
				w.gap = w.at;
			w.at += LOG_BLOCK;
		}
	}
	if (out->first_below != UINT64_MAX && out->index.last == 0)
		out->index.last = out->index.first - 1; /* none of its batches counts */
	if (out->index.end > size)
		out->index.end = size;
}

void
scan_fini(struct scan *scan)
{
	log_index_fini(&scan->index);
	free(scan->hole);
	memset(scan, 0, sizeof *scan);
}

/* Block by block where a larger read failed: one bad sector costs one block. */
static void
read_blocks(struct disk *d, int fd, char *p, size_t n, uint64_t off, unsigned *unreadable)
{
	size_t at, part;

	for (at = 0; at < n; at += LOG_BLOCK) {
		part = n - at < LOG_BLOCK ? n - at : LOG_BLOCK;
		if (disk_read_all(d, fd, p + at, part, off + at) == (ssize_t)part)
			continue;
		memset(p + at, 0, part);
		(*unreadable)++;
	}
}

int64_t
scan_read(struct disk *d, int fd, uint64_t size, char **out, unsigned *unreadable)
{
	uint64_t there, at;
	char *p;

	*unreadable = 0;
	if (d->size(d, fd, &there) < 0)
		return -1;
	if (there > size)
		there = size;
	p = xmalloc((size_t)there + 1);
	for (at = 0; at < there; at += READ_CHUNK) {
		size_t part = there - at < READ_CHUNK ? (size_t)(there - at) : READ_CHUNK;

		if (disk_read_all(d, fd, p + at, part, at) != (ssize_t)part)
			read_blocks(d, fd, p + at, part, at, unreadable);
	}
	*out = p;
	return (int64_t)there;
}
