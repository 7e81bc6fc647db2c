/* SPDX-License-Identifier: MIT */
/* One mail transaction of a session: from MAIL to the end of data, or to what breaks it off. */
#ifndef TMAIL_SMTP_TRANSACTION_H
#define TMAIL_SMTP_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;
struct content;
struct mail_params;
struct message;
struct rcpt_params;
struct route_settings;
struct session;

/* Decided by the first recipient that is accepted. */
enum direction { DIRECTION_NONE = 0, DIRECTION_INBOUND, DIRECTION_OUTBOUND };

/* Why something is refused; TEXT is constant. */
struct refusal {
	int code; /* 0: it is not */
	const char *enhanced, *text;
};

/* Zeroed memory: no transaction. */
struct mail_transaction {
	struct message *m;     /* under construction; NULL: no transaction */
	uint64_t declared;     /* SIZE=; 0: not given */
	struct content *chunks; /* BDAT: the message so far; NULL: nothing of it yet */
	struct refusal discard; /* without a transaction: a chunk was refused, and those sent behind it are thus too */
	enum direction direction;
	uint32_t rcpt_room;    /* entries m->rcpt has room for */
	uint32_t refused;      /* recipients refused */
	uint32_t *seen;        /* open hash of 1 + index into m->rcpt; NULL while few enough to look through */
	uint32_t seen_size;    /* a power of two */
};

/* MAIL was accepted: a message with a new id. */
void mail_transaction_begin(struct session *s, const struct address *sender, const struct mail_params *params);

/* Has this recipient been accepted before? */
bool mail_transaction_has(const struct mail_transaction *tx, const char *address);

/* One more recipient; ADDRESS and what PARAMS point to are copied. */
void mail_transaction_add(struct mail_transaction *tx, const char *address, const struct route_settings *route,
    const struct rcpt_params *params);

/* Forgets everything; the message is dropped unless it was committed. */
void mail_transaction_end(struct mail_transaction *tx);

#endif
