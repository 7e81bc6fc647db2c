/* SPDX-License-Identifier: MIT */
/* TLS contexts: what a listener offers and what a client demands. Streams use them through net/io.h. TLS >= 1.2, no
 * tickets, no sessions to resume, no renegotiation. */
#ifndef TMAIL_NET_TLS_H
#define TMAIL_NET_TLS_H

#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

struct keyring;
struct keyring_pair;
struct tls_ctx;

/* Is PAIR fit for use: whole, its key its own, strong enough? -1: ERR names its file. */
int tls_pair_check(const struct keyring_pair *pair, struct err *err);

/* Are RING's roots such? -1: ERR names their file. */
int tls_roots_check(const struct keyring *ring, struct err *err);

/* Server side: shows the certificates of RING by the name a client asks for (RFC 6066 3), a wildcard's where none has
 * the name itself, else the first; of several kinds of keys for a name the one the client's signature algorithms
 * allow. With none, handshakes fail. Certificates of clients are verified by RING's roots. -1: one cannot be used; ERR names its file. */
int tls_server_new(struct tls_ctx **ctx, const struct keyring *ring, struct err *err);

/* Client side. VERIFY: the peer's chain must lead to RING's roots and match the name; without roots none does. RING may
 * be NULL without VERIFY. */
int tls_client_new(struct tls_ctx **ctx, bool verify, const struct keyring *ring, struct err *err);

/* Any thread: later handshakes go by RING; streams under TLS stay as they are. -1: nothing was changed. */
int tls_replace(struct tls_ctx *ctx, const struct keyring *ring, struct err *err);

void tls_free(struct tls_ctx **ctx);

/* Whether a server asks a client for a certificate: not at all; and goes on whatever it is shown; and goes on with one
 * that is verified alone. */
enum tls_ask { TLS_ASK_NOTHING, TLS_ASK_OPTIONAL, TLS_ASK_REQUIRED };

/* A certificate that a peer showed. It is the peer's word unless it is verified. */
struct tls_peer {
	bool verified;
	const char *reason;   /* why it is not, a literal; NULL when it is */
	char fingerprint[65]; /* SHA-256 of the certificate, hexadecimal */
	char name[256];       /* its first DNS name, else mail address, else common name; "" without */
};

/* What a server shows. Strings live until FN returns. */
struct tls_certificate {
	const char *file;
	const char *kind;        /* "RSA 2048", "ECDSA P-256", "Ed25519" */
	const char *const *name; /* DNS names */
	unsigned name_count;
	const char *problem;     /* why the file as it is now was not taken, or NULL */
	int64_t not_before, not_after; /* wall seconds */
	bool used;               /* false: others come first for all its names */
	char fingerprint[65];    /* SHA-256, hexadecimal */
};

/* Any thread: the certificates in force, in order. */
void tls_each(struct tls_ctx *ctx, void (*fn)(const struct tls_certificate *c, void *arg), void *arg);

#endif
