/* SPDX-License-Identifier: MIT */
/* JSON as lines: what travels over the admin socket and what `tmail --json` prints. jansson comes in here only. */
#ifndef TMAIL_UTIL_JSON_H
#define TMAIL_UTIL_JSON_H

#include "util/buf.h"
#include "util/err.h"

#include <jansson.h>
#include <stddef.h>

/* Deepest nesting of arrays and objects json_from_line() reads. */
enum { JSON_LINE_DEPTH = 16 };

/* Makes a failing allocation inside the library fatal, as everywhere; call once before the rest. */
void json_init(void);

/* The value in the N bytes at P. NULL: not JSON, not an object, nested too deep, or with a key given twice. The
 * caller owns a reference. */
json_t *json_from_line(const char *p, size_t n, struct err *err);

/* Appends VALUE and a line feed to OUT, in ASCII: other characters as \u escapes, so that a terminal is safe. */
void json_to_line(const json_t *value, struct buf *out);

/* A string of a peer's bytes: UTF-8 stays, any other byte becomes the four characters \xHH. NULL gives null. */
json_t *json_peer(const char *s);

#endif
