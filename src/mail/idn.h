/* SPDX-License-Identifier: MIT */
/* Internationalised domain names (RFC 5891): from what people write to what the DNS has. */
#ifndef TMAIL_MAIL_IDN_H
#define TMAIL_MAIL_IDN_H

#include <stdbool.h>

enum { IDN_TEXT = 512 };

/* Has S an octet above 127? */
bool idn_needed(const char *s);

/* TEXT with its domain in A-labels ("xn--..."), in OUT (IDN_TEXT bytes): a domain, one with a dot before it, or an
 * address, whose local part stays as it is. Returns TEXT itself where there is nothing to do, and NULL where its domain
 * is none that IDNA allows or is too long. */
const char *idn_ascii(const char *text, char *out);

#endif
