/* SPDX-License-Identifier: MIT */
/* What `tmail help` prints, all of it made from the tables of cli.h. */
#ifndef TMAIL_CLI_HELP_H
#define TMAIL_CLI_HELP_H

#include "cli/cli.h"
#include "util/buf.h"

/* The overview, a noun, a command, a topic. help_find() picks by 0 to 2 words; -1: there is no such subject. */
void help_overview(struct buf *out);
void help_command(struct buf *out, const struct cli_command *c);
int help_find(struct buf *out, const char *const *word, unsigned count);

/* The manual page tmail(1) as roff; man/tmail.1 is this, and a test compares them. */
void help_manual(struct buf *out);

/* "tmail queue show [OPTION...] ID" */
void help_synopsis(struct buf *out, const struct cli_command *c);

#endif
