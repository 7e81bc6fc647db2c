/* SPDX-License-Identifier: MIT */
/* The Received field we put on top of every message (RFC 5321 4.4). */
#ifndef TMAIL_MAIL_TRACE_H
#define TMAIL_MAIL_TRACE_H

#include <stdbool.h>
#include <stdint.h>

struct buf;

struct trace {
	const char *helo;    /* what the client called itself, any bytes; NULL: nothing */
	const char *literal; /* its address as "[192.0.2.1]" or "[IPv6:...]"; NULL: a local socket */
	const char *client;  /* its verified host name, or NULL */
	const char *by;      /* our host name */
	bool esmtp;          /* EHLO */
	bool auth;           /* authenticated */
	bool utf8;           /* SMTPUTF8 was given: UTF8SMTP (RFC 6531 4.3) */
	const char *tls_version, *tls_cipher; /* NULL: plain */
	int tls_bits;
	const char *id;      /* message id as text */
	const char *rcpt;    /* the only recipient, or NULL when there are several */
	int64_t when;        /* wall seconds */
};

/* Appends the field, folded, with its CRLF. What a peer chose is written so that it can end neither the field nor
 * a comment: a HELO that is no domain and no literal appears quoted in a comment and the address takes its place. */
void trace_received(struct buf *out, const struct trace *t);

#endif
