/* SPDX-License-Identifier: MIT */
#include "mail/datastream.h"

#include "util/str.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { LONG_LINE = 998, BLOCK = 64 };

/* Where in the input the next byte stands. */
enum state {
	STATE_BOL = 0, /* at the start of a line: a dot here is not content */
	STATE_TEXT,    /* in a line */
	STATE_DOT,     /* behind a line's first dot, which was dropped */
	STATE_DOT_CR   /* behind a line's ".\r", dropped both */
};

/* Where in a line of the header section. */
enum field {
	FIELD_BOL = 0, /* nothing seen of the line */
	FIELD_NAME,
	FIELD_SPACE,   /* white space between name and colon */
	FIELD_VALUE    /* behind the colon, or in a continuation: it is header for sure */
};

/* One pass over a piece of input: [base, out) is what was kept, [seg, p) is kept but not yet moved down to `out`. */
struct cursor {
	char *base, *out, *seg, *p, *end;
	char *line; /* the current line's first byte in this piece */
};

/* A bit for each byte of a block. */
struct masks {
	uint64_t cr, lf, nul, high;
};

#ifdef __SSE2__
static inline uint64_t
equal_mask(const __m128i *v, char c)
{
	const __m128i want = _mm_set1_epi8(c);
	uint64_t m = 0;
	int i;

	for (i = 0; i < 4; i++)
		m |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v[i], want)) << (16 * i);
	return m;
}

static inline void
block_masks(const char *p, struct masks *m)
{
	__m128i v[4];
	int i;

	m->high = 0;
	for (i = 0; i < 4; i++) {
		v[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
		m->high |= (uint64_t)(unsigned)_mm_movemask_epi8(v[i]) << (16 * i);
	}
	m->cr = equal_mask(v, '\r');
	m->lf = equal_mask(v, '\n');
	m->nul = equal_mask(v, '\0');
}
#else
static inline void
block_masks(const char *p, struct masks *m)
{
	int i;

	memset(m, 0, sizeof *m);
	for (i = 0; i < BLOCK; i++) {
		m->cr |= (uint64_t)(p[i] == '\r') << i;
		m->lf |= (uint64_t)(p[i] == '\n') << i;
		m->nul |= (uint64_t)(p[i] == '\0') << i;
		m->high |= (uint64_t)((unsigned char)p[i] > 127) << i;
	}
}
#endif

/* The masks of N bytes; never reads beyond them. */
static inline void
read_masks(const char *p, size_t n, struct masks *m)
{
	char last[BLOCK];

	if (n == BLOCK) {
		block_masks(p, m);
		return;
	}
	memset(last, 'x', sizeof last);
	memcpy(last, p, n);
	block_masks(last, m);
}

void
datastream_init(struct datastream *d, const struct datastream_limits *limits)
{
	memset(d, 0, sizeof *d);
	d->limits = *limits;
}

static void
keep(struct cursor *c, char *end)
{
	size_t n = (size_t)(end - c->seg);

	if (c->out != c->seg)
		memmove(c->out, c->seg, n);
	c->out += n;
	c->seg = end;
}

/* Drops the byte at p from the content. */
static void
drop(struct cursor *c)
{
	keep(c, c->p);
	c->p++;
	c->seg = c->p;
}

static void
field_named(struct datastream *d)
{
	static const char received[8] = "received";

	d->field = FIELD_VALUE;
	if (d->name_len != sizeof received || memcmp(d->name, received, sizeof received) != 0)
		return;
	d->received++;
	if (d->limits.hops != 0 && d->received > d->limits.hops)
		d->flags |= DATA_TOO_MANY_HOPS;
}

/* One byte of a header line before its colon. */
static void
name_byte(struct datastream *d, char byte)
{
	unsigned char c = (unsigned char)byte;

	if (c == ':' && d->field != FIELD_BOL) {
		field_named(d);
	} else if (c == ' ' || c == '\t') {
		/* A continuation needs a field to continue. */
		if (d->field != FIELD_BOL)
			d->field = FIELD_SPACE;
		else if (d->header_size > 0)
			d->field = FIELD_VALUE;
		else
			d->header_ended = true;
	} else if (c > ' ' && c < 0x7f && c != ':' && d->field != FIELD_SPACE) {
		d->field = FIELD_NAME;
		if (d->name_len < sizeof d->name)
			d->name[d->name_len] = ascii_lower(byte);
		d->name_len += d->name_len <= sizeof d->name;
	} else {
		d->header_ended = true;
	}
}

/* Bytes of the current header line; a CR is either part of its end or gets the message refused. */
static void
header_bytes(struct datastream *d, const char *p, const char *end)
{
	for (; p < end && d->field != FIELD_VALUE && !d->header_ended; p++) {
		if (*p != '\r')
			name_byte(d, *p);
	}
}

static void
check_header_size(struct datastream *d, uint64_t line)
{
	if (d->limits.header != 0 && d->header_size + line > d->limits.header)
		d->flags |= DATA_HEADER_TOO_BIG;
}

/* TOTAL octets of a header line have been read, its CRLF included. */
static void
end_header_line(struct datastream *d, uint64_t total)
{
	bool empty = total == 2, is_header = d->field == FIELD_VALUE;

	d->field = FIELD_BOL;
	d->name_len = 0;
	if (!empty && !is_header) {
		d->header_ended = true;
		return;
	}
	check_header_size(d, total);
	d->header_size += total;
	if (empty)
		d->header_ended = true;
}

static inline void
note_length(struct datastream *d, uint64_t length)
{
	if (length > d->longest)
		d->longest = length;
	if (length <= LONG_LINE)
		return;
	d->flags |= DATA_LONG_LINE;
	if (d->limits.line != 0 && length > d->limits.line)
		d->flags |= DATA_LINE_TOO_LONG;
}

/* A CRLF ends before NEXT. */
static inline void
end_line(struct datastream *d, struct cursor *c, char *next)
{
	uint64_t total = d->line + (uint64_t)(next - c->line);

	if (!d->header_ended) {
		header_bytes(d, c->line, next - 1);
		if (!d->header_ended)
			end_header_line(d, total);
	}
	note_length(d, total - 2);
	d->long_lines += total - 2 > LONG_LINE;
	d->line = 0;
	c->line = next;
}

/* The line goes on in the next piece. */
static void
suspend_line(struct datastream *d, struct cursor *c)
{
	if (!d->header_ended)
		header_bytes(d, c->line, c->end);
	d->line += (uint64_t)(c->end - c->line);
	if (d->line == 0)
		return;
	if (!d->header_ended && d->field == FIELD_VALUE)
		check_header_size(d, d->line);
	note_length(d, d->line - d->cr);
}

/* What the first N bytes of a block say about the whole message. AFTER_CR has a bit for each byte behind a CR. */
static inline void
note_bytes(struct datastream *d, const struct masks *m, uint64_t after_cr, size_t n)
{
	uint64_t read = n == BLOCK ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;

	if (m->high & read)
		d->flags |= DATA_8BIT;
	if ((((m->lf ^ after_cr) | m->nul) & read) == 0)
		return;
	if (m->lf & ~after_cr & read)
		d->flags |= DATA_BARE_LF;
	if (after_cr & ~m->lf & read)
		d->flags |= DATA_BARE_CR;
	if (m->nul & read)
		d->flags |= DATA_NUL;
}

/* Reads on in a line and the lines behind it, up to a line that begins with a dot or the end of the piece. */
static void
scan_text(struct datastream *d, struct cursor *c)
{
	uint64_t after_cr, ends;
	struct masks m;
	size_t n, next;

	while (c->p < c->end) {
		n = c->end - c->p < BLOCK ? (size_t)(c->end - c->p) : BLOCK;
		read_masks(c->p, n, &m);
		after_cr = m.cr << 1 | d->cr;
		for (ends = m.lf & after_cr; ends != 0; ends &= ends - 1) {
			next = (size_t)__builtin_ctzll(ends) + 1;
			end_line(d, c, c->p + next);
			if (c->p + next < c->end && c->p[next] != '.')
				continue;
			note_bytes(d, &m, after_cr, next);
			c->p += next;
			d->cr = false;
			d->state = STATE_BOL;
			return;
		}
		note_bytes(d, &m, after_cr, n);
		d->cr = m.cr >> (n - 1) & 1;
		c->p += n;
	}
}

static void
begin_text(struct datastream *d, struct cursor *c)
{
	d->state = STATE_TEXT;
	d->cr = false;
	c->line = c->p;
}

/* One byte around the start of a line. */
static void
step(struct datastream *d, struct cursor *c)
{
	switch ((enum state)d->state) {
	case STATE_BOL:
		if (*c->p == '.' && d->chunked) {
			d->flags |= DATA_DOTS;
			begin_text(d, c);
		} else if (*c->p == '.') {
			drop(c);
			d->state = STATE_DOT;
		} else {
			begin_text(d, c);
		}
		break;
	case STATE_DOT:
		if (*c->p == '\r') {
			drop(c);
			d->state = STATE_DOT_CR;
			break;
		}
		if (*c->p == '.')
			d->flags |= DATA_DOTS;
		begin_text(d, c);
		break;
	case STATE_DOT_CR:
		if (*c->p == '\n') {
			drop(c);
			d->ended = true;
			break;
		}
		/* The dropped CR would have to be put back, but a message with a bare CR is refused anyway. */
		d->flags |= DATA_BARE_CR;
		begin_text(d, c);
		break;
	case STATE_TEXT:
		break;
	}
}

size_t
datastream_feed(struct datastream *d, char *data, size_t n, size_t *used)
{
	struct cursor c = { .base = data, .out = data, .seg = data, .p = data, .end = data + n, .line = data };

	while (c.p < c.end && !d->ended) {
		if (d->state == STATE_TEXT)
			scan_text(d, &c);
		else
			step(d, &c);
	}
	/* Before bytes are moved: it reads them. */
	if (d->state == STATE_TEXT)
		suspend_line(d, &c);
	keep(&c, c.p);
	*used = (size_t)(c.p - data);
	d->size += (uint64_t)(c.out - data);
	return (size_t)(c.out - data);
}

void
datastream_end(struct datastream *d)
{
	if (d->state == STATE_TEXT && d->cr)
		d->flags |= DATA_BARE_CR;
	d->ended = true;
}

bool
datastream_has_dots(const char *data, size_t n)
{
	return n > 0 && (data[0] == '.' || memmem(data, n, "\n.", 2) != NULL);
}
