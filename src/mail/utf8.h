/* SPDX-License-Identifier: MIT */
/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef TMAIL_MAIL_UTF8_H
#define TMAIL_MAIL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Octets of the character at S, 1 to 4, and its number in *CP (may be NULL); 0 when there is none. */
size_t utf8_next(const char *s, size_t n, uint32_t *cp);

/* Is all of S UTF-8? */
bool utf8_valid(const char *s, size_t n);

/* Are all of a string's octets below 128? */
bool utf8_is_ascii(const char *s);

#endif
