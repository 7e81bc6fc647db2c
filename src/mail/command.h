/* SPDX-License-Identifier: MIT */
/* A command line of an SMTP client, split into verb and arguments. */
#ifndef TMAIL_MAIL_COMMAND_H
#define TMAIL_MAIL_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

/* Slices of the line, not terminated. */
struct command {
	const char *verb; /* ASCII letters and digits, case as typed */
	size_t verb_len;
	const char *args; /* without the spaces around */
	size_t args_len;
	bool eight_bit;   /* the arguments have bytes above 127: only addresses under SMTPUTF8 may */
};

/* LINE is without its CRLF. Spaces and tabs at the end are dropped (RFC 5321 4.1.1), one or more spaces follow the
 * verb. NUL, CR, LF and other control characters anywhere, a line that begins with a space, an empty line and a
 * verb with other characters are errors: -1 with a constant reason in *WHY, to be answered with 500 5.5.2. */
int command_split(const char *line, size_t n, struct command *out, const char **why);

/* The verb in either case. */
bool command_is(const struct command *c, const char *verb);

/* "FROM:" and "TO:" (KEYWORD, upper case with its colon) at the start of the arguments, in either case; spaces
 * behind the colon are tolerated. Returns what follows, its length in *LEN; NULL: not there (501 5.5.4). */
const char *command_after(const struct command *c, const char *keyword, size_t *len);

#endif
