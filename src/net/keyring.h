/* SPDX-License-Identifier: MIT */
/* Certificates with their private keys, and the roots that are trusted, as PEM: what the supervisor reads from disk
 * and hands to the worker. Secrets are wiped when they are freed. */
#ifndef TMAIL_NET_KEYRING_H
#define TMAIL_NET_KEYRING_H

#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>

/* A certificate and its key. */
struct keyring_pair {
	char *file;     /* where the certificate was read, for messages and lists */
	char *problem;  /* why what is on disk now could not be used, so that this is older; NULL: it is as on disk */
	struct buf pem; /* the chain, its own certificate first, and the key */
};

/* Zeroed memory is an empty one. */
struct keyring {
	struct keyring_pair *pair; /* in order: without a better match, the first is shown */
	unsigned count;
	char *roots_file;          /* for messages; NULL: there are none */
	struct buf roots;
};

void keyring_fini(struct keyring *ring);

/* Adds a pair of the PEM bytes in CHAIN and, unless NULL, KEY; they are copied. */
struct keyring_pair *keyring_add(struct keyring *ring, const char *file, const struct buf *chain,
    const struct buf *key);

/* Copies PAIR of another ring. */
struct keyring_pair *keyring_copy_pair(struct keyring *ring, const struct keyring_pair *pair);

/* The pair read from FILE, or NULL. */
const struct keyring_pair *keyring_find(const struct keyring *ring, const char *file);

/* The same bytes? For rings, the same problems too. */
bool keyring_same_pair(const struct keyring_pair *a, const struct keyring_pair *b);
bool keyring_same(const struct keyring *a, const struct keyring *b);

/* Reads CERT, and KEY unless it is NULL (the key is in CERT then), and adds them. Blocks. */
int keyring_read(struct keyring *ring, const char *cert, const char *key, struct err *err);

/* Adds the authorities in FILE to the roots; NULL: the bundle of the system. Blocks. */
int keyring_read_roots(struct keyring *ring, const char *file, struct err *err);

/* Appends the ring's bytes for another process, and makes a ring of them. */
void keyring_encode(const struct keyring *ring, struct buf *out);
int keyring_decode(struct keyring *ring, const char *p, size_t n, struct err *err);

/* Releases a buffer that held secrets. */
void keyring_wipe(struct buf *b);

#endif
