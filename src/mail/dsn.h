/* SPDX-License-Identifier: MIT */
/* Delivery status notifications: RFC 3464 reports in an RFC 6522 multipart/report, those of RFC 6533 where an address
 * is beyond ASCII. */
#ifndef TMAIL_MAIL_DSN_H
#define TMAIL_MAIL_DSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* RELAYED: to a server that will not report the delivery (RFC 3461 5.2.2). */
enum dsn_action { DSN_FAILED = 1, DSN_DELAYED, DSN_RELAYED, DSN_DELIVERED };

struct dsn_recipient {
	enum dsn_action action; /* 0: the report's */
	const char *address; /* without brackets */
	const char *orcpt;   /* RFC 3461 ORCPT as given (xtext), or NULL */
	const char *reply;   /* last reply of a next hop ("550 5.1.1 ...") or a reason in words; NULL: none */
	const char *status;  /* "5.4.7" where the cause is ours; NULL: taken from the reply, else 5.0.0 or 4.0.0 */
	const char *peer;    /* next hop that replied, or NULL */
	int64_t last_attempt; /* wall seconds; 0: none */
};

struct dsn {
	enum dsn_action action;
	const char *hostname;
	const char *id;       /* of the report: makes Message-ID and boundary unique */
	const char *original_id; /* of the message reported on, for people and logs */
	const char *to;       /* its sender, never "" */
	const char *envid;    /* RFC 3461 ENVID as given (xtext), or NULL */
	int64_t now;
	int64_t arrival;      /* of the message; 0: unknown */
	int64_t retry_until;  /* of what is delayed: when we give up; 0: unknown */
	const struct dsn_recipient *rcpt;
	unsigned count;
	bool full;            /* RET=FULL: return a failed message where it is small and clean enough */
	const char *content;  /* the message as stored, or its beginning */
	size_t content_len;
	uint64_t content_size; /* of the whole message */
};

/* Octets returned of the original: of its headers, and of a whole message under RET=FULL. */
enum { DSN_HEADERS_MAX = 32768, DSN_FULL_MAX = 65536 };

/* Appends the report as a message ready to be stored (CRLF, dots not stuffed). Its lines are below 998 octets and it
 * is 7-bit whatever the peers and the original contained, unless TO is beyond ASCII: then it needs SMTPUTF8 and
 * 8BITMIME. datastream_has_dots() tells about stuffing. */
void dsn_build(struct buf *out, const struct dsn *d);

/* The RFC 3463 status of a reply or reason: its own enhanced code where the class agrees with the reply's, else
 * the class ("5.0.0"), else that of ACTION. */
enum { DSN_STATUS_TEXT = 12 };
void dsn_status(const char *reply, enum dsn_action action, char out[DSN_STATUS_TEXT]);

#endif
