/* SPDX-License-Identifier: MIT */
/* The addresses in a field as From (RFC 5322 3.4 address-list), one by one: names, comments, quotes, groups and folding
 * are passed over. */
#ifndef TMAIL_MAIL_MAILBOX_H
#define TMAIL_MAIL_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

enum { MAILBOX_MAX = 512 };

struct mailbox_scan {
	const char *at, *end;
	char address[MAILBOX_MAX]; /* terminated: local part, as written, "@" and domain, white space and comments left out */
};

void mailbox_scan(struct mailbox_scan *m, const char *value, size_t n);

/* 1: the next address; 0: no more; -1: what is there is no list of addresses, nothing behind it can be told. */
int mailbox_next(struct mailbox_scan *m);

#endif
