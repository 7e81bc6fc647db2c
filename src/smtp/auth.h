/* SPDX-License-Identifier: MIT */
/* Who is it: logins and passwords against the sources of auth { }, with lock-outs. The dialogue is in cmd_auth.c. */
#ifndef TMAIL_SMTP_AUTH_H
#define TMAIL_SMTP_AUTH_H

#include "mail/scram.h"
#include "smtp/dovecot.h"
#include "util/buf.h"
#include "util/list.h"

#include <stdbool.h>
#include <stddef.h>

struct session;

enum auth_result {
	AUTH_PENDING = 0, /* a challenge is to be answered */
	AUTH_GOOD,
	AUTH_BAD,         /* login and password do not fit */
	AUTH_MALFORMED,
	AUTH_UNAVAILABLE, /* nobody could tell */
	AUTH_LOCKED,
};

/* What a loop keeps for it: connections to Dovecot, and passwords that were good a moment ago. */
struct auth_home;
struct auth_home *auth_home_new(void);
void auth_home_free(struct auth_home **home);

/* Can this session log in, now or once it has TLS? By which mechanisms (a set of mail/sasl.h)? */
bool session_offers_auth(const struct session *s);
unsigned auth_mechanisms(const struct session *s);

/* The calls below wait: in the session's task, parked. Answers beside AUTH_GOOD leave a reason for the log in WHY. */

/* *LOGIN: its name as the source has it, the caller's to free. */
enum auth_result auth_password(struct session *s, const char *login, const char *password, size_t n, char **canonical,
    const char **why);

/* SCRAM-SHA-256, message by message, in whatever source it is decided. Zeroed memory is a new exchange. */
struct auth_scram {
	struct scram_server server;     /* against a user block */
	bool known;                     /* the login has a verifier; else it fails at the end */
	bool shown;                     /* our last message is sent: what comes is the client's empty answer */
	struct dovecot_request dovecot; /* against Dovecot */
	bool by_dovecot;
};
void auth_scram_fini(struct auth_scram *x);

/* MESSAGE is the client's, decoded; the next challenge is appended to OUT, not encoded. */
enum auth_result auth_scram_step(struct session *s, struct auth_scram *x, const struct buf *message, struct buf *out,
    char **canonical, const char **why);

#endif
