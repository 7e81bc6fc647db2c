/* SPDX-License-Identifier: MIT */
/* Encodings of MIME bodies (RFC 2045). */
#ifndef TMAIL_MAIL_MIME_H
#define TMAIL_MAIL_MIME_H

#include <stdbool.h>
#include <stddef.h>

struct buf;

/* Can the bytes be sent as they are: no NUL, nothing above 127, every line ended with CRLF and of at most 998
 * octets (encoding 7bit, RFC 2045 2.7)? */
bool mime_is_plain(const char *s, size_t n);

/* The same with octets above 127 (encoding 8bit, RFC 2045 2.8). */
bool mime_is_8bit(const char *s, size_t n);

/* Appends the bytes as quoted-printable (RFC 2045 6.7), ending with a line end. Only CRLF is a line end: a bare CR
 * or LF is encoded, so that nothing bare gets out. */
void mime_add_quoted_printable(struct buf *out, const char *s, size_t n);

#endif
