/* SPDX-License-Identifier: MIT */
/* RFC 5321 paths and mailboxes: parsed in place, nothing is copied, nothing is changed. */
#ifndef TMAIL_MAIL_ADDRESS_H
#define TMAIL_MAIL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

enum address_flag {
	ADDRESS_UTF8 = 1 << 0,       /* SMTPUTF8 (RFC 6531): valid UTF-8 counts as letters */
	ADDRESS_NULL = 1 << 1,       /* a path may be empty: <> */
	ADDRESS_POSTMASTER = 1 << 2, /* a path may be <Postmaster> without a domain (RFC 5321 4.1.1.3) */
};

/* Octets. RFC 5321 4.5.3.1 wants at least 64, 255 and 256 to be accepted. Local parts of mailing lists and address
 * rewriting are longer in practice: they are taken up to 255, where most peers end too. */
enum { ADDRESS_LOCAL_MAX = 255, ADDRESS_DOMAIN_MAX = 255, ADDRESS_MAX = 511, ADDRESS_ROUTE_MAX = 512 };

/* Slices of the parsed bytes, not terminated. */
struct address {
	const char *text; /* local@domain as typed, quoting kept, without brackets and source route */
	size_t len;       /* 0: the null sender */
	size_t local_len; /* the local part is text[0 .. local_len) */
	const char *domain; /* behind the '@'; NULL for <> and <Postmaster> */
	size_t domain_len;
	bool quoted;      /* the local part is a quoted string */
	bool literal;     /* the domain is an address literal, brackets included */
	bool utf8;        /* has bytes above 127 */
};

/* Failures, below zero. */
enum address_failure {
	ADDRESS_BAD = -1,       /* syntax: 501 5.1.7 (sender), 5.1.3 (recipient) */
	ADDRESS_TOO_LONG = -2,  /* a part is over its limit: 501 5.1.7, 5.1.3 */
	ADDRESS_NOT_ASCII = -3, /* needs ADDRESS_UTF8: 553 5.6.7 (RFC 6531 3.5) */
};

/* Reverse-path and Forward-path (RFC 5321 4.1.2): "<...>" at the start of S. Source routes ("@a,@b:") are accepted
 * and dropped. Returns the octets consumed, the closing bracket included, so that parameters follow there; or an
 * enum address_failure with a constant English reason in *WHY (may be NULL). */
int address_parse_path(const char *s, size_t n, unsigned flags, struct address *out, const char **why);

/* A Mailbox without brackets that is all of S. 0, or an enum address_failure. */
int address_parse(const char *s, size_t n, unsigned flags, struct address *out, const char **why);

/* Is all of S a Domain / an address-literal ("[192.0.2.1]", "[IPv6:2001:db8::1]")? '_' is taken as a letter in
 * domains, since hosts that have it in their name send mail. Tagged general literals are not valid. */
bool address_valid_domain(const char *s, size_t n, unsigned flags);
bool address_valid_literal(const char *s, size_t n);

/* ---- on what was parsed, stored as a string without brackets ---- */

/* "" is the null sender. */
bool address_is_null(const char *address);

/* What follows the last '@', or "" where there is none. */
const char *address_domain(const char *address);

/* Domains are equal in either case of ASCII letters. */
bool address_domain_eq(const char *a, size_t a_len, const char *b, size_t b_len);

/* Equal addresses: the domain in either case, the local part octet by octet. */
bool address_eq(const char *a, const char *b);

#endif
