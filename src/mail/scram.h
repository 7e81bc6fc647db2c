/* SPDX-License-Identifier: MIT */
/* SCRAM-SHA-256 (RFC 5802, 7677), both sides, without channel binding: pure functions over decoded messages. Names and
 * passwords are taken octet by octet, as every client of today sends them; SASLprep is not applied. */
#ifndef TMAIL_MAIL_SCRAM_H
#define TMAIL_MAIL_SCRAM_H

#include "util/buf.h"
#include "util/err.h"
#include "net/digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SCRAM_SALT_MAX = 64,
	SCRAM_NONCE = 24,              /* characters of a nonce made here */
	SCRAM_ITERATIONS_MIN = 4096,   /* RFC 7677 4; a server that wants fewer is not believed */
	SCRAM_ITERATIONS_MAX = 1000000, /* a quarter of a second */
};

/* What is kept of a password. */
struct scram_verifier {
	uint32_t iterations;
	uint8_t salt[SCRAM_SALT_MAX];
	size_t salt_len;
	uint8_t stored_key[DIGEST_SIZE], server_key[DIGEST_SIZE];
};

/* Slow: ITERATIONS of PBKDF2, here and in scram_verifier_check(). */
void scram_verifier_make(struct scram_verifier *v, const char *password, size_t n, const void *salt, size_t salt_len,
    uint32_t iterations);
bool scram_verifier_check(const struct scram_verifier *v, const char *password, size_t n);

/* "{SCRAM-SHA-256}ITERATIONS,SALT,STOREDKEY,SERVERKEY", the last three in base64, as doveadm pw writes it. */
int scram_verifier_parse(const char *text, struct scram_verifier *out, struct err *err);
void scram_verifier_print(const struct scram_verifier *v, struct buf *out);

/* A nonce from the kernel's randomness, terminated. */
void scram_nonce(char out[SCRAM_NONCE + 1]);

/* ---- the server's side; zeroed memory is a new exchange ---- */

struct scram_server {
	struct buf login;   /* terminated after scram_server_begin() */
	struct buf authzid; /* likewise; empty: none */
	struct buf gs2;     /* what the client said about channel binding, repeated in its last message */
	struct buf bare;    /* client-first-message-bare, then the AuthMessage */
	struct buf nonce;   /* both parts */
	struct scram_verifier verifier;
};
void scram_server_fini(struct scram_server *s);

/* client-first-message. -1: malformed, or it asks for what is not offered. */
int scram_server_begin(struct scram_server *s, const char *message, size_t n);

/* Appends server-first-message. NONCE is this server's part. */
void scram_server_challenge(struct scram_server *s, const struct scram_verifier *v, const char *nonce, struct buf *out);

enum scram_result { SCRAM_GOOD = 0, SCRAM_WRONG, SCRAM_MALFORMED };

/* client-final-message; SCRAM_GOOD: the client has the password, and server-final-message is appended. */
enum scram_result scram_server_finish(struct scram_server *s, const char *message, size_t n, struct buf *out);

/* ---- the client's side; zeroed memory is a new exchange ---- */

struct scram_client {
	struct buf bare;  /* client-first-message-bare */
	struct buf nonce;
	uint8_t signature[DIGEST_SIZE]; /* what the server has to show at the end */
};
void scram_client_fini(struct scram_client *c);

/* Appends client-first-message. */
void scram_client_first(struct scram_client *c, const char *login, const char *nonce, struct buf *out);

/* Slow. Answers server-first-message: appends client-final-message. */
int scram_client_final(struct scram_client *c, const char *password, const char *message, size_t n, struct buf *out,
    struct err *err);

/* server-final-message: does the server know the password, too? */
int scram_client_verify(const struct scram_client *c, const char *message, size_t n, struct err *err);

#endif
