/* SPDX-License-Identifier: MIT */
/* The header section of a message in contiguous memory, field by field (RFC 5322 2.2). */
#ifndef TMAIL_MAIL_HEADER_H
#define TMAIL_MAIL_HEADER_H

#include <stdbool.h>
#include <stddef.h>

/* Slices of the message. */
struct header_field {
	const char *name;  /* without the colon and white space before it */
	size_t name_len;
	const char *value; /* behind the colon, folding as it stands, without the last line end */
	size_t value_len;
	const char *start; /* the whole field, with its last line end */
	size_t len;
};

/* Octets of the header section, with the empty line that ends it; lines end with LF or CRLF. It also ends before
 * the first line that is neither a field nor a continuation. */
size_t header_section(const char *data, size_t n);

/* The field at *AT, which moves behind it; *AT begins at 0. False at the end of the header section. */
bool header_next(const char *data, size_t n, size_t *at, struct header_field *out);

/* The first field of this name, in either case. */
bool header_find(const char *data, size_t n, const char *name, struct header_field *out);
unsigned header_count(const char *data, size_t n, const char *name);

/* The value as one line: folding undone, white space around it dropped, cut at SIZE - 1, terminated. */
size_t header_unfold(const struct header_field *f, char *out, size_t size);

#endif
