/* SPDX-License-Identifier: MIT */
/* One SMTP mail transaction as its client sees it (RFC 5321 3.3, RFC 2920): which commands to send, which command a
 * reply belongs to, and what it means for each recipient. No I/O: replies come in, in their strict order; what does
 * not fit the order breaks the connection, for a gateway that guesses loses mail. */
#ifndef TMAIL_DELIVERY_TRANSACTION_H
#define TMAIL_DELIVERY_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct errand;
struct reply;

/* What a next hop offers in its answer to EHLO. */
enum hop_offer {
	HOP_OFFERS_PIPELINING = 1 << 0,
	HOP_OFFERS_SIZE = 1 << 1,
	HOP_OFFERS_8BITMIME = 1 << 2,
	HOP_OFFERS_SMTPUTF8 = 1 << 3,
	HOP_OFFERS_DSN = 1 << 4,
	HOP_OFFERS_STARTTLS = 1 << 5,
	HOP_OFFERS_CHUNKING = 1 << 6,
	HOP_OFFERS_BINARYMIME = 1 << 7,
};

enum { TRANSACTION_RCPT_MAX = 100 }; /* every server takes so many (RFC 5321 4.5.3.1.8) */

enum transaction_await { AWAIT_NOTHING = 0, AWAIT_RSET, AWAIT_MAIL, AWAIT_RCPT, AWAIT_DATA, AWAIT_END };

struct transaction {
	struct errand *errand;        /* NULL: none */
	unsigned first, count;  /* its recipients in errand->rcpt */
	enum transaction_await await; /* the command whose reply comes next */
	bool pipelined;         /* all commands up to DATA go out together */
	bool chunked;           /* BDAT in place of DATA, when all recipients are answered (RFC 3030): BINARYMIME */
	bool rset;              /* RSET goes first: what was there before did not end with a final dot */
	bool mail_ok;
	bool replied;           /* MAIL was answered */
	bool hop_fault;         /* MAIL's answer was about the server, not about the message */
	bool lmtp;              /* the end of the message has a reply for each accepted recipient (RFC 2033 4.2) */
	unsigned answered;      /* recipients */
	unsigned ended;         /* recipients whose reply to the end was read, or who have none; LMTP */
	unsigned accepted;
};

enum transaction_step {
	STEP_WAIT = 1,  /* the reply to an earlier command: more replies are to come */
	STEP_COMMAND,   /* send the next command: transaction_commands() */
	STEP_CONTENT,   /* 354, or all recipients answered where it is chunked: send the message, there are recipients */
	STEP_EMPTY,     /* 354, but there is nobody to deliver to: send a lone dot, ignore its reply; LMTP has none */
	STEP_OVER,      /* every recipient's fate is known */
	STEP_CLOSING,   /* the server closes the channel (421): so does the client; undecided recipients are deferred,
	                 * or untouched where hop_fault is set */
	STEP_BROKEN,    /* not an answer to what was asked: close, then transaction_defer() */
};

/* Begins a transaction for the next recipients of ERRAND. RSET as above. A message that is BINARYMIME goes in chunks. */
void transaction_begin(struct transaction *t, struct errand *errand, bool pipelined, bool rset);

/* Before its commands: no more than COUNT recipients, the rest are for another one. */
void transaction_limit(struct transaction *t, unsigned count);

/* Appends the next command, all of them up to DATA when pipelined. */
void transaction_commands(struct transaction *t, unsigned offers, struct buf *out);

/* The content and its dot were sent. */
void transaction_sent(struct transaction *t);

/* REPLY (complete) answers the awaited command. */
enum transaction_step transaction_reply(struct transaction *t, const struct reply *reply);

/* Undecided recipients are put off, with REASON. */
void transaction_defer(struct transaction *t, const char *reason);

/* Undecided recipients are as if never tried. */
void transaction_undo(struct transaction *t);

#endif
