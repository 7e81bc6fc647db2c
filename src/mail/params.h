/* SPDX-License-Identifier: MIT */
/* ESMTP parameters behind MAIL FROM and RCPT TO (RFC 5321 4.1.2 esmtp-param), and xtext (RFC 3461 4). */
#ifndef TMAIL_MAIL_PARAMS_H
#define TMAIL_MAIL_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the server offers in this session; a parameter of anything else is 555 5.5.4. */
enum param_offer {
	OFFER_SIZE = 1 << 0,     /* RFC 1870: SIZE= */
	OFFER_8BITMIME = 1 << 1, /* RFC 6152: BODY=7BIT and 8BITMIME */
	OFFER_BINARYMIME = 1 << 5, /* RFC 3030: BODY=BINARYMIME */
	OFFER_DSN = 1 << 2,      /* RFC 3461: RET= ENVID=, NOTIFY= ORCPT= */
	OFFER_AUTH = 1 << 3,     /* RFC 4954: AUTH=, checked and ignored */
	OFFER_SMTPUTF8 = 1 << 4, /* RFC 6531: SMTPUTF8; for RCPT: the transaction has it, ORCPT may be UTF-8 (RFC 6533 3) */
};

enum body_type { BODY_DEFAULT = 0, BODY_7BIT, BODY_8BITMIME, BODY_BINARYMIME };

/* RFC 3461 NOTIFY; 0: not given. NEVER stands alone, the others may be combined. */
enum notify { NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8 };

/* Slices are of the parsed bytes: not terminated, xtext as given, checked. */
struct mail_params {
	bool has_size;
	uint64_t size;     /* saturates at UINT64_MAX */
	enum body_type body;
	bool smtputf8;
	char ret;          /* 'F', 'H' or 0 */
	const char *envid; /* NULL: not given */
	size_t envid_len;
};

struct rcpt_params {
	uint8_t notify;    /* enum notify */
	const char *orcpt; /* "rfc822;xtext", NULL: not given */
	size_t orcpt_len;
	bool utf8;         /* it has bytes above 127 */
};

/* The reply to a bad parameter. */
struct params_error {
	int code;             /* 501 or 555 */
	const char *enhanced; /* "5.5.4" */
	const char *text;     /* constant */
	const char *name;     /* the keyword it is about, a slice for the log; may be empty */
	size_t name_len;
};

/* S is what follows the path: empty, or begins with a space. 0, or -1 with ERROR filled: malformed or given twice
 * 501 5.5.4, unknown or not offered 555 5.5.4. OUT is initialised here. */
int params_parse_mail(const char *s, size_t n, unsigned offered, struct mail_params *out, struct params_error *error);
int params_parse_rcpt(const char *s, size_t n, unsigned offered, struct rcpt_params *out, struct params_error *error);

/* Is all of S xtext: "!" to "~" without "+" and "=", and "+HH" with upper-case hexadecimal digits? */
bool xtext_valid(const char *s, size_t n);

/* Decodes valid xtext. OUT takes at most N bytes (it may be S); returns how many, or -1 when S is not xtext. No
 * terminator is added. The result may hold any byte, line ends and NUL too. */
long xtext_decode(const char *s, size_t n, char *out);

/* Encodes any bytes. OUT takes at most 3 * N bytes; returns how many. No terminator is added. */
size_t xtext_encode(const char *s, size_t n, char *out);

#endif
