/* SPDX-License-Identifier: MIT */
/* What a process needs to speak TLS: the certificates of a settings snapshot and the contexts made of them. The
 * supervisor reads; the worker inherits it, and is given newer ones while it runs. */
#ifndef TMAIL_CONTROL_CREDENTIALS_H
#define TMAIL_CONTROL_CREDENTIALS_H

#include "net/keyring.h"
#include "util/err.h"

struct settings;
struct tls_ctx;

/* Contexts stay where they are for the life of the process: credentials_apply() changes what is in them. */
struct credentials {
	struct keyring ring;
	struct tls_ctx *server;
	struct tls_ctx *client; /* towards next hops: */
	struct tls_ctx *verify; /* and there with the peer's certificate verified */
};

/* At start, in the supervisor: reads the files. -1 with "file:line: why". */
int credentials_open(struct credentials *c, const struct settings *s, struct err *err);

/* Any thread: RING, which is taken, is in force for later handshakes. -1: nothing has changed. */
int credentials_apply(struct credentials *c, struct keyring *ring, struct err *err);

void credentials_fini(struct credentials *c);

#endif
