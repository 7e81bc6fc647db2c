/* SPDX-License-Identifier: MIT */
/* What tls.c and io.c share; OpenSSL does not go further. */
#ifndef TMAIL_NET_TLS_PRIVATE_H
#define TMAIL_NET_TLS_PRIVATE_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

struct tls_ctx {
	SSL_CTX *ssl;
	bool verify;
};

/* The newest error of this thread in words; empties the queue. */
const char *tls_error(char *out, size_t size);

#endif
