/* SPDX-License-Identifier: MIT */
/* A client of Dovecot's service auth: one connection a loop, shared by all its sessions, made again when it was lost.
 * Everything here is of one loop; the calls that wait are for tasks. */
#ifndef TMAIL_SMTP_DOVECOT_H
#define TMAIL_SMTP_DOVECOT_H

#include "mail/authline.h"
#include "net/io.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/list.h"

#include <stdbool.h>
#include <stdint.h>

struct dovecot;
struct task;

/* The one behind ADDRESS, made where ALL, the loop's list, has none. Nothing is connected yet. */
struct dovecot *dovecot_get(struct list *all, const struct addr *address);
void dovecot_free(struct dovecot **d);

/* What it can (bits of mail/sasl.h), as far as it has said: 0 before the first connection. */
unsigned dovecot_mechanisms(const struct dovecot *d);

enum dovecot_answer {
	DOVECOT_NONE = 0, /* not asked, or not answered yet */
	DOVECOT_OK,       /* TEXT: the login as Dovecot knows it, or empty */
	DOVECOT_FAIL,
	DOVECOT_CONT,     /* TEXT: a challenge in base64 */
	DOVECOT_UNAVAILABLE, /* ERR says why */
};

/* One exchange, in the asker's memory, zeroed before. Between answers nothing waits. */
struct dovecot_request {
	struct list link;
	struct dovecot *d;  /* NULL: over, or never begun */
	struct task *task;  /* waits for the answer */
	uint32_t id;
	enum dovecot_answer answer;
	struct buf text;    /* terminated */
	struct err err;
};

/* In a task. INITIAL is base64, or NULL. */
enum dovecot_answer dovecot_begin(struct dovecot *d, struct dovecot_request *r, const char *mechanism,
    const struct authline_client *client, const char *initial, uint64_t deadline);

/* In a task: the client's answer to a challenge, in base64. */
enum dovecot_answer dovecot_continue(struct dovecot_request *r, const char *base64, uint64_t deadline);

/* Gives up what is under way and releases what R holds. */
void dovecot_end(struct dovecot_request *r);

#endif
