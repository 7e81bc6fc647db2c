/* SPDX-License-Identifier: MIT */
/* Do the senders of a client that has logged in belong to its login? Where listener { sender_match } asks. */
#ifndef TMAIL_SMTP_SENDER_MATCH_H
#define TMAIL_SMTP_SENDER_MATCH_H

#include <stdbool.h>
#include <stddef.h>

struct session;

/* SENDER without angle brackets; the null sender belongs to everybody. */
bool sender_match_envelope(const struct session *s, const char *sender);

/* Is the header to be looked at when it is whole? */
bool sender_match_wants_header(const struct session *s);

/* NULL: every address in From does. Else what is wrong, for the client. */
const char *sender_match_header(const struct session *s, const char *header, size_t n);

#endif
