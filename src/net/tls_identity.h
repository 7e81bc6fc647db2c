/* SPDX-License-Identifier: MIT */
/* One certificate that is ready for use: parsed, matched with its key, its names known. OpenSSL does not go further
 * than this folder. */
#ifndef TMAIL_NET_TLS_IDENTITY_H
#define TMAIL_NET_TLS_IDENTITY_H

#include "util/err.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyring_pair;

/* Kinds of keys that may stand side by side for a name; the client's signature algorithms decide between them. */
enum tls_kind { TLS_KIND_RSA, TLS_KIND_ECDSA, TLS_KIND_EDDSA, TLS_KINDS };

struct tls_identity {
	char *file, *problem;
	X509 *cert;
	STACK_OF(X509) *chain; /* what goes with it */
	EVP_PKEY *key;
	enum tls_kind kind;
	char kind_text[32];
	char **name; /* DNS names, lower case, without what cannot be one; "*.x" is a wildcard */
	unsigned name_count;
	int64_t not_before, not_after; /* wall seconds */
	bool used;   /* shown to some clients: it is the first, or the first of its kind for one of its names */
};

/* The certificate, chain and key in PAIR, which are for the memory at ID, not initialised. -1: ERR says what is wrong,
 * without naming the file. A key that is locked by a passphrase is an error; nobody is asked. */
int tls_identity_init(struct tls_identity *id, const struct keyring_pair *pair, struct err *err);
void tls_identity_fini(struct tls_identity *id);

/* A certificate's fingerprint: SHA-256 over its DER form, in lower-case hexadecimal. */
enum { TLS_FINGERPRINT = 65 };
void tls_fingerprint(const X509 *cert, char out[TLS_FINGERPRINT]);

#endif
