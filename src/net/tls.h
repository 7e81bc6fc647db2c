/* SPDX-License-Identifier: MIT */
/* TLS contexts: what a listener offers and what a client demands. Streams use them through net/io.h. */
#ifndef TMAIL_NET_TLS_H
#define TMAIL_NET_TLS_H

#include "util/err.h"

#include <stdbool.h>

struct tls_ctx;

/* Server side: CERT has the chain, KEY the private key (both PEM; KEY NULL: the key is in CERT too). TLS >= 1.2,
 * no tickets, no renegotiation. Reads files: at start, with privileges. */
int tls_server_new(struct tls_ctx **ctx, const char *cert, const char *key, struct err *err);

/* Client side. VERIFY: the peer's chain must lead to CA_FILE (NULL: the system's roots) and match the name. */
int tls_client_new(struct tls_ctx **ctx, bool verify, const char *ca_file, struct err *err);

void tls_free(struct tls_ctx **ctx);

#endif
