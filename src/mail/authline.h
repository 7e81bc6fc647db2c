/* SPDX-License-Identifier: MIT */
/* The lines of Dovecot's authentication protocol, version 1: tab-separated fields, escaped. Pure functions. */
#ifndef TMAIL_MAIL_AUTHLINE_H
#define TMAIL_MAIL_AUTHLINE_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AUTHLINE_MAX = 16384 }; /* octets with the line end: a challenge is base64 of at most 8 KiB */

/* What a server says; other lines (SPID, CUID, COOKIE and what later versions add) are AUTHLINE_OTHER. */
enum authline_type {
	AUTHLINE_OTHER = 0,
	AUTHLINE_VERSION,
	AUTHLINE_MECH,
	AUTHLINE_DONE,
	AUTHLINE_OK,
	AUTHLINE_FAIL,
	AUTHLINE_CONT,
};

/* Strings are terminated and point into the parsed line, unescaped where they were escaped. */
struct authline {
	enum authline_type type;
	uint32_t major;    /* VERSION */
	uint32_t id;       /* OK, FAIL, CONT */
	const char *word;  /* MECH: the mechanism; CONT: base64; NULL: none */
	const char *user;  /* OK: who it is, where the server says so */
	bool temporary;    /* FAIL: the server itself could not tell */
};

/* LINE is N octets without the LF and gets a terminator at LINE[N], which must be there; it is changed. -1: no line of
 * this protocol. */
int authline_parse(char *line, size_t n, struct authline *out);

/* What a request tells about the client. NULL: not known. */
struct authline_client {
	const char *rip, *lip;
	uint16_t rport, lport;
	bool secured;
};

/* AUTH and CONT of a client, with their line ends. INITIAL is base64 or NULL. */
void authline_add_auth(struct buf *out, uint32_t id, const char *mechanism, const struct authline_client *client,
    const char *initial);
void authline_add_cont(struct buf *out, uint32_t id, const char *base64);

#endif
