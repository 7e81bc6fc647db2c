/* SPDX-License-Identifier: MIT */
/* Who failed to log in how often: addresses (of IPv6, the /64) and logins, each counted by itself. All loops meet here,
 * and `tmail lockout`; kept in memory, bounded, the oldest forgotten first. */
#ifndef TMAIL_SMTP_LOCKOUT_H
#define TMAIL_SMTP_LOCKOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct addr;
struct lockout;
struct lockout_rule;

enum { LOCKOUT_KEY = 320 };

/* LOCKOUT_PAIR is never seen outside: a login with an address it came from with success. */
enum lockout_kind { LOCKOUT_ADDRESS = 1, LOCKOUT_LOGIN, LOCKOUT_PAIR };

struct lockout *lockout_new(void);
void lockout_free(struct lockout **lockout);

/* 0: may try. Else what is locked; an address that logged in as LOGIN within a week is not kept out by that login's
 * lock. NOW is clock_ms() here and below. */
enum lockout_kind lockout_blocks(struct lockout *l, const struct addr *peer, const char *login, uint64_t now);

/* What this failure has locked, as bits 1 << kind; 0: nothing yet. */
unsigned lockout_failed(struct lockout *l, const struct lockout_rule *rule, const struct addr *peer, const char *login,
    uint64_t now);

/* Failures of both so far are forgotten. */
void lockout_succeeded(struct lockout *l, const struct addr *peer, const char *login, uint64_t now);

/* One row of the list. */
struct lockout_row {
	enum lockout_kind kind;
	char key[LOCKOUT_KEY]; /* "192.0.2.1", "2001:db8::/64" or a login in lower case */
	uint32_t failures;
	uint32_t seconds;      /* until it opens; 0: it is only counted */
};

/* All rows whose failures count still, locked or not; *ROWS is the caller's to free. */
size_t lockout_list(struct lockout *l, struct lockout_row **rows, uint64_t now);

/* Forgets KEY, in either case (NULL: everything); how many rows that were. */
unsigned lockout_clear(struct lockout *l, const char *key, uint64_t now);

#endif
