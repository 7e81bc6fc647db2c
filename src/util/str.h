/* SPDX-License-Identifier: MIT */
/* ASCII string helpers: protocol text never follows the locale. */
#ifndef TMAIL_UTIL_STR_H
#define TMAIL_UTIL_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

char ascii_lower(char c);
bool ascii_is_alnum(char c);
bool ascii_is_digit(char c);

/* Comparison with ASCII letters in either case equal. */
bool str_ieq(const char *a, const char *b);
bool str_nieq(const char *a, const char *b, size_t n);
bool str_starts(const char *s, const char *prefix);
bool str_ends_nocase(const char *s, const char *suffix);

/* Lowers ASCII letters in place. */
void str_lower(char *s);

/* Decimal number of N bytes, digits only, no sign, no space; -1 when it is not one or exceeds MAX. */
int str_u64(const char *s, size_t n, uint64_t max, uint64_t *out);

/* A 64-bit id as 13 characters of lower-case base32 (the letters and 2-7 of RFC 4648, digits first);
 * OUT holds 14 bytes. The text sorts as the number. */
enum { ID_TEXT = 14 };
void id_text(uint64_t id, char out[ID_TEXT]);

/* The reverse, either case; -1 when S is not exactly such a text. */
int id_parse(const char *s, uint64_t *id);

#endif
