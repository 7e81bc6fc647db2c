/* SPDX-License-Identifier: MIT */
/* Between dsn.c and dsn_text.c. */
#ifndef TMAIL_MAIL_DSN_PRIVATE_H
#define TMAIL_MAIL_DSN_PRIVATE_H

#include "mail/dsn.h"

enum { DSN_VALUE_MAX = 900, DSN_BOUNDARY_TEXT = 72 };

/* A report being written. */
struct dsn_report {
	const struct dsn *d;
	bool utf8; /* some address is beyond ASCII: the parts of RFC 6533 */
	bool raw;  /* the sender's is: the report is SMTPUTF8 mail itself, its parts may be 8-bit */
	char boundary[DSN_BOUNDARY_TEXT];
};

static inline enum dsn_action
dsn_action_of(const struct dsn *d, const struct dsn_recipient *r)
{
	return r->action != 0 ? r->action : d->action;
}

/* At most DSN_VALUE_MAX octets that cannot break out of where they are put: printable ASCII and, in a UTF-8 report,
 * valid UTF-8. */
void dsn_add_clean(struct buf *out, const struct dsn_report *r, const char *s, size_t n);
void dsn_adds_clean(struct buf *out, const struct dsn_report *r, const char *s);

/* Cleaned words of S, broken between them; lines after the first begin with INDENT. COLUMN: where we are. */
void dsn_add_words(struct buf *out, const struct dsn_report *r, size_t column, const char *indent, const char *s);

void dsn_add_date(struct buf *out, const char *name, int64_t when);

bool dsn_is_smtp_reply(const char *s);
void dsn_status_of(const struct dsn *d, const struct dsn_recipient *r, char out[DSN_STATUS_TEXT]);

/* "Your message is delayed" */
const char *dsn_subject(const struct dsn *d);

/* The part for people, without its MIME fields. */
void dsn_add_text(struct buf *out, const struct dsn_report *r);

#endif
