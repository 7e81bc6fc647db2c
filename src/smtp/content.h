/* SPDX-License-Identifier: MIT */
/* Receives the content of a message: from the socket into the message's own pieces, decoded where it lies; into a
 * blob file when it is large or memory is short; nowhere once it is known to be refused. */
#ifndef TMAIL_SMTP_CONTENT_H
#define TMAIL_SMTP_CONTENT_H

#include "mail/datastream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message;
struct session;

enum content_sink {
	CONTENT_MEMORY = 1, /* the message's pieces */
	CONTENT_BLOB,       /* a file of the spool */
	CONTENT_NOWHERE,    /* refused: read to its end, so that the session can go on */
};

enum content_result {
	CONTENT_WHOLE = 0, /* the message is there, our Received on top */
	CONTENT_REFUSED,   /* its end was reached; code, enhanced and text say why it is refused */
	CONTENT_LOST,      /* its end never came: the client has gone, or was too slow (then it was told) */
};

struct content {
	struct session *s;
	struct message *m;       /* the transaction's */
	struct datastream stream;
	enum content_sink sink;
	char *piece;             /* where bytes lie that are not for memory */
	bool gave_back;          /* nothing of the refused message is in memory any more */
	size_t piece_len;        /* decoded bytes in it, not yet in the blob */
	uint64_t started;        /* loop_now() units */
	uint64_t octets;         /* received so far */
	int code;                /* the refusal; 0: none so far */
	const char *enhanced, *text;
};

/* Behind the 354, in the session's task; the session is parked. What the client sent behind the end of data is its
 * input afterwards. */
enum content_result content_receive(struct content *c, struct session *s);

#endif
