/* SPDX-License-Identifier: MIT */
/* Receives the content of a message: from the socket into the message's own pieces, decoded where it lies; into a
 * blob file when it is large or memory is short; nowhere once it is known to be refused. */
#ifndef TMAIL_SMTP_CONTENT_H
#define TMAIL_SMTP_CONTENT_H

#include "mail/datastream.h"
#include "util/buf.h"
#include "smtp/transaction.h"

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
	CONTENT_WHOLE = 0, /* the message is there, our Received on top; a chunk that is not the last: it was taken */
	CONTENT_REFUSED,   /* its end was reached; NO says why it is refused */
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
	bool look;               /* the header is kept aside, too, and looked at in the end */
	bool header_whole;
	struct buf header;
	uint64_t left;           /* octets that may be taken: the rest of a chunk; without end behind DATA */
	struct refusal no;       /* the first reason to refuse it */
};

/* Behind the 354, in the session's task; the session is parked. What the client sent behind the end of data is its
 * input afterwards. */
enum content_result content_receive(struct content *c, struct session *s);

/* BDAT: a message that comes in chunks. */
struct content *content_new(struct session *s);

/* In the session's task: the next N octets. Where content_waits() the session is parked. */
enum content_result content_chunk(struct content *c, uint64_t n, bool last);

/* Will content_chunk() have to wait for client or disk? (Short of memory it may all the same.) */
bool content_waits(const struct content *c, uint64_t n);

/* Nulls the pointer. LOST: its end never came, which is logged; NULL: it has had its end. */
void content_free(struct content **c, const char *lost);

#endif
