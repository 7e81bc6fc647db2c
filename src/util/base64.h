/* SPDX-License-Identifier: MIT */
/* Base64 by RFC 4648 section 4: with padding, without line breaks. */
#ifndef TMAIL_UTIL_BASE64_H
#define TMAIL_UTIL_BASE64_H

#include "util/buf.h"

#include <stddef.h>

/* Appends N bytes of P as base64. */
void base64_encode(const void *p, size_t n, struct buf *out);

/* Appends what the N characters at S stand for. -1: not base64 (then OUT is as it was). */
int base64_decode(const char *s, size_t n, struct buf *out);

#endif
