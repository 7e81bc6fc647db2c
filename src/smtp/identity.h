/* SPDX-License-Identifier: MIT */
/* What others than the client itself said about it: a proxy by its header, a trusted client by XCLIENT and XFORWARD.
 * Most sessions have none of this and no struct for it. */
#ifndef TMAIL_SMTP_IDENTITY_H
#define TMAIL_SMTP_IDENTITY_H

#include "net/addr.h"
#include "util/buf.h"

#include <stdbool.h>

struct log_record;
struct session;

/* The attributes of XFORWARD: who the client of our client was. For the log alone. */
enum forward {
	FORWARD_NAME, FORWARD_ADDR, FORWARD_PORT, FORWARD_PROTO, FORWARD_HELO, FORWARD_IDENT, FORWARD_SOURCE,
	FORWARD_COUNT
};

struct identity {
	struct addr via;      /* the connection's own peer */
	struct addr counted;  /* the client whose session this is among limits */
	struct addr local;    /* where the client connected to; len 0: not told */
	bool told;            /* the session's peer is not the connection's */
	char *name;           /* its host name, or NULL */
	char *forward[FORWARD_COUNT]; /* NULL: not told */
	struct buf head;      /* the first part of a PROXY header whose rest has not come */
};

/* The session's identity, made when it has none. */
struct identity *identity_of(struct session *s);
void identity_free(struct identity **id);

/* What XFORWARD said ends with the transaction it was said for. */
void identity_forget_forward(struct identity *id);

/* The client the session is counted among. */
const struct addr *identity_counted(const struct session *s);

/* Is the session's address that of a client? Else it is a proxy's own, and grants nothing. */
bool identity_is_client(const struct session *s);

/* What the client may do, by the address and login it has now. */
void identity_authorise(struct session *s);

/* via=, name= and forwarded_...= */
void identity_log(struct log_record *r, const struct session *s);

#endif
