/* SPDX-License-Identifier: MIT */
/* What SASL mechanisms say inside their base64: PLAIN (RFC 4616), and who may be called a login. */
#ifndef TMAIL_MAIL_SASL_H
#define TMAIL_MAIL_SASL_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	SASL_LOGIN_MAX = 255,
	SASL_PASSWORD_MAX = 1024,
	SASL_LINE_MAX = 12288, /* octets of base64 a line may hold (RFC 4954 4) */
};

/* Mechanisms, as bits of a set; sasl_mechanisms[] names them in the order they are announced. */
enum sasl_mechanism { SASL_PLAIN = 1 << 0, SASL_LOGIN = 1 << 1, SASL_SCRAM_SHA_256 = 1 << 2 };

/* The name of one mechanism, the mechanism of a name in either case (0: unknown). */
const char *sasl_name(enum sasl_mechanism m);
enum sasl_mechanism sasl_find(const char *name, size_t n);

/* The set of those known here among N octets of names with spaces between. */
unsigned sasl_find_all(const char *names, size_t n);

/* " PLAIN LOGIN": each of the set behind a space. */
void sasl_add_names(struct buf *out, unsigned set);

/* 1 to SASL_LOGIN_MAX octets without control characters; what it means is the directory's business. */
bool sasl_login_valid(const char *s, size_t n);

struct sasl_plain {
	const char *authzid, *login, *password; /* terminated, in the parsed message */
	size_t password_len;
};

/* message = [authzid] NUL authcid NUL passwd. MESSAGE is decoded and gets a terminator. -1: not such a message, or a
 * login or password out of bounds. */
int sasl_plain_parse(struct buf *message, struct sasl_plain *out);

void sasl_plain_add(struct buf *out, const char *login, const char *password);

/* Overwrites what a buffer holds, and releases it: it held a password. */
void sasl_forget(struct buf *secret);

#endif
