/* SPDX-License-Identifier: MIT */
/* A growable run of bytes. Zeroed memory is an empty buffer. Growth failure is fatal. */
#ifndef TMAIL_UTIL_BUF_H
#define TMAIL_UTIL_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* NULL while empty and never grown; not terminated unless buf_str() was called */
	size_t len;
	size_t cap;
};

/* Releases the bytes and leaves an empty buffer. */
void buf_fini(struct buf *b);

/* Makes room for N more bytes and returns where they go; the caller adds to len what it wrote. */
char *buf_reserve(struct buf *b, size_t n);

void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap);

/* Little-endian numbers, for records on disk. */
void buf_add_u8(struct buf *b, uint8_t v);
void buf_add_u16(struct buf *b, uint16_t v);
void buf_add_u32(struct buf *b, uint32_t v);
void buf_add_u64(struct buf *b, uint64_t v);

/* Removes the first N bytes. */
void buf_drop(struct buf *b, size_t n);

/* The contents as a terminated string (len does not count the terminator); owned by the buffer. */
char *buf_str(struct buf *b);

/* Hands the terminated contents to the caller, who frees them; the buffer is empty afterwards. */
char *buf_take(struct buf *b);

#endif
