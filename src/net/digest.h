/* SPDX-License-Identifier: MIT */
/* SHA-256 and what is made of it: OpenSSL stays behind this. Any thread. */
#ifndef TMAIL_NET_DIGEST_H
#define TMAIL_NET_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGEST_SIZE = 32 };

void digest_sha256(const void *p, size_t n, uint8_t out[DIGEST_SIZE]);

/* RFC 2104 with SHA-256. */
void digest_hmac(const void *key, size_t key_len, const void *p, size_t n, uint8_t out[DIGEST_SIZE]);

/* RFC 8018 5.2 with HMAC-SHA-256. Slow on purpose: about 0.2 microseconds an iteration. */
void digest_pbkdf2(const char *password, size_t n, const void *salt, size_t salt_len, uint32_t iterations,
    uint8_t out[DIGEST_SIZE]);

/* In a time that depends on N alone. */
bool digest_equal(const void *a, const void *b, size_t n);

#endif
