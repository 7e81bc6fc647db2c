/* SPDX-License-Identifier: MIT */
/* TLS for the load programs: from the first byte on, nothing verified. */
#ifndef TMAIL_BENCH_SECURE_H
#define TMAIL_BENCH_SECURE_H

#include "bench.h"

#include <openssl/ssl.h>

static inline SSL_CTX *
secure_context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL)
		die("SSL_CTX_new");
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	    SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
	return ctx;
}

/* FD is connected and blocks. */
static inline SSL *
secure_connect(SSL_CTX *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
		die("TLS handshake");
	return ssl;
}

#endif
