/* SPDX-License-Identifier: MIT */
/* What the files behind net/tls.h and net/io.h share; OpenSSL does not go further. */
#ifndef TMAIL_NET_TLS_PRIVATE_H
#define TMAIL_NET_TLS_PRIVATE_H

#include "net/tls.h"
#include "util/err.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct keyring;

/* Streams take what is in force when their handshake begins, and keep it. */
struct tls_ctx {
	pthread_mutex_t lock;
	SSL_CTX *ssl;
	bool server, verify;
};

/* A stream's own part of what is in force now. */
SSL *tls_new(struct tls_ctx *ctx);

/* What all contexts have in common. */
SSL_CTX *tls_make(bool server);

/* Gives a server's context the certificates of RING, if there are any. They are freed with it. -1: one cannot be
 * used. */
int tls_certificates_set(SSL_CTX *ssl, const struct keyring *ring, struct err *err);

/* The certificates of a server's context, in order. */
struct tls_identity;
const struct tls_identity *tls_certificates_get(SSL_CTX *ssl, unsigned *count);

/* Before a server's handshake. */
void tls_ask(SSL *ssl, enum tls_ask ask);

/* Before a client's handshake: the peer is NAME. */
int tls_expect(SSL *ssl, const struct tls_ctx *ctx, const char *name, struct err *err);

/* After it: what the peer showed, or NULL. */
struct tls_peer *tls_peer_new(SSL *ssl);

/* The newest error of this thread in words; empties the queue. */
const char *tls_error(char *out, size_t size);

#endif
