/* SPDX-License-Identifier: MIT */
/* Passwords as they are kept: a SCRAM-SHA-256 verifier or an argon2id hash. Checking one is slow on purpose, 1 ms to
 * 1 s: on a worker thread. */
#ifndef TMAIL_DIRECTORY_PASSWORD_H
#define TMAIL_DIRECTORY_PASSWORD_H

#include "mail/scram.h"
#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>

enum password_scheme { PASSWORD_SCRAM = 1, PASSWORD_ARGON2ID };

struct password {
	enum password_scheme scheme;
	struct scram_verifier verifier; /* PASSWORD_SCRAM */
	const char *argon2;             /* PASSWORD_ARGON2ID: "$argon2id$...", in the parsed text */
};

/* "{SCRAM-SHA-256}..." of mail/scram.h, or "$argon2id$v=19$m=...,t=...,p=...$SALT$HASH", which "{ARGON2ID}" may precede.
 * TEXT is borrowed. What would take more than 256 MiB or a second or so to check is refused. */
int password_parse(const char *text, struct password *out, struct err *err);

/* Slow. */
bool password_check(const struct password *p, const char *given, size_t n);

/* Slow. Appends a new hash with a fresh salt, as password_parse() reads it. */
int password_hash(enum password_scheme scheme, const char *given, size_t n, struct buf *out, struct err *err);

#endif
