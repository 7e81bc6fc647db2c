/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/help.h"
#include "util/suggest.h"

#include <stddef.h>
#include <stdio.h>

static void
try_names(struct suggest *near)
{
	const struct cli_command *const *c;
	const struct cli_noun *n;
	const struct cli_topic *t;

	for (c = cli_commands; *c != NULL; c++)
		suggest_try(near, (*c)->verb);
	for (n = cli_nouns; n->name != NULL; n++)
		suggest_try(near, n->name);
	for (t = cli_topics; t->name != NULL; t++)
		suggest_try(near, t->name);
}

static enum cli_exit
run_help(struct cli *cli)
{
	struct suggest near;
	struct buf out = { 0 };

	if (help_find(&out, cli->operand, cli->operand_count) < 0) {
		suggest_init(&near, cli->operand[cli->operand_count - 1]);
		try_names(&near);
		if (near.best == NULL)
			return cli_error(CLI_USAGE, "no help about \"%s\"; see tmail help", near.word);
		return cli_error(CLI_USAGE, "no help about \"%s\"; did you mean %s?", near.word, near.best);
	}
	fwrite(out.data, 1, out.len, stdout);
	buf_fini(&out);
	return CLI_OK;
}

const struct cli_command cmd_help = {
	.verb = "help",
	.operands = "COMMAND... | SUBJECT",
	.operands_max = 2,
	.summary = "explain a command or a subject",
	.help = "Without words it lists commands and subjects. It needs no running gateway.",
	.run = run_help,
};
