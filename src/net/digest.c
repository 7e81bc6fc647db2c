/* SPDX-License-Identifier: MIT */
#include "net/digest.h"

#include "util/check.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

void
digest_sha256(const void *p, size_t n, uint8_t out[DIGEST_SIZE])
{
	check(EVP_Digest(p, n, out, NULL, EVP_sha256(), NULL) == 1);
}

void
digest_hmac(const void *key, size_t key_len, const void *p, size_t n, uint8_t out[DIGEST_SIZE])
{
	check(HMAC(EVP_sha256(), key, (int)key_len, p, n, out, NULL) != NULL);
}

void
digest_pbkdf2(const char *password, size_t n, const void *salt, size_t salt_len, uint32_t iterations,
    uint8_t out[DIGEST_SIZE])
{
	check(PKCS5_PBKDF2_HMAC(password, (int)n, salt, (int)salt_len, (int)iterations, EVP_sha256(), DIGEST_SIZE, out) == 1);
}

bool
digest_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}
