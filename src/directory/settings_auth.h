/* SPDX-License-Identifier: MIT */
/* Who may log in here, and as whom we log in elsewhere: the blocks auth, user and secret. Part of the snapshot of
 * directory/settings.h. */
#ifndef TMAIL_DIRECTORY_SETTINGS_AUTH_H
#define TMAIL_DIRECTORY_SETTINGS_AUTH_H

#include "directory/password.h"
#include "net/addr.h"
#include "util/conf.h"
#include "util/err.h"
#include "util/map.h"

#include <stdbool.h>
#include <stdint.h>

struct option_context;
struct settings;

/* AUTH_AUTO is never seen outside: it becomes required (all ports are 587 or 465) or none. */
enum auth_mode { AUTH_NONE, AUTH_OPTIONAL, AUTH_REQUIRED, AUTH_AUTO };

/* What has to belong to the login, as bits. */
enum sender_match { SENDER_MATCH_NONE = 0, SENDER_MATCH_ENVELOPE = 1, SENDER_MATCH_HEADER = 2, SENDER_MATCH_BOTH = 3 };

/* Who knows passwords: the user blocks, or a Dovecot behind its socket for authentication clients. */
struct auth_source {
	bool dovecot;
	struct addr address; /* of Dovecot */
	const char *text;    /* as written */
};

/* FAILURES within so many seconds lock for so many; failures 0: never. */
struct lockout_rule {
	uint32_t failures, within, lock;
};

struct auth_settings {
	struct place place;
	const char *block, *name;
	struct auth_source *source;
	unsigned source_count;
	int *mechanism;       /* enum sasl_mechanism of mail/sasl.h */
	unsigned mechanism_count;
	unsigned mechanisms;  /* the same as a set */
	bool directory_scram; /* a user has a verifier */
	struct lockout_rule lockout;
	uint32_t timeout;     /* for one check of a password, in seconds */
};

struct user_settings {
	struct place place;
	const char *block, *name;
	const char *password_text;
	struct password password;
	const char *group;    /* NULL: none */
	const char **address; /* patterns: what the user may send as, besides its own name */
	unsigned address_count;
	struct map_link link; /* in settings.users */
};

/* How we log in at a next hop. */
struct secret_settings {
	struct place place;
	const char *block, *name;
	const char *user;
	const char *file;     /* holds the password; NULL: it is below */
	const char *password; /* after secrets_read() in any case */
};

/* By its login, in either case; NULL: unknown. */
const struct user_settings *settings_user(const struct settings *s, const char *login);

/* A user whose password an unknown login can be measured against, always the same one for the same login, so that
 * neither the time nor the challenge tells who exists. NULL: there are no users. */
const struct user_settings *settings_decoy(const struct settings *s, const char *login);

/* May LOGIN send as ADDRESS? A user's `address` patterns; its own name; for a name without a domain, that name in one
 * of our domains, at our host name or in the domain it is in. A detail behind "+" changes nothing. */
bool settings_login_owns(const struct settings *s, const char *login, const char *address);

/* With the privileges of who starts us: the files of all secrets. -1: one cannot be read; ERR names it. */
int secrets_read(struct settings *s, struct err *err);

/* For settings.c: what one row cannot check. */
void settings_settle_auth(struct settings *s, const struct option_context *c);

#endif
