/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include "cli/help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static enum cli_exit
show_help(const struct cli *cli)
{
	struct buf out = { 0 };

	if (cli->command != NULL)
		help_command(&out, cli->command);
	else if (help_find(&out, cli->operand, cli->operand_count) < 0)
		help_overview(&out);
	fwrite(out.data, 1, out.len, stdout);
	buf_fini(&out);
	return CLI_OK;
}

static enum cli_exit
run(struct cli *cli)
{
	if (cli->version) {
		printf("tmail %s\n", VERSION);
		return CLI_OK;
	}
	if (cli->help)
		return show_help(cli);
	return cli->command->run(cli);
}

int
cli_main(int argc, char **argv)
{
	enum cli_exit rc;
	struct cli cli;

	json_init();
	rc = cli_parse(&cli, argc, argv);
	if (rc == CLI_OK)
		rc = run(&cli);
	cli_fini(&cli);
	if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE)
		rc = cli_error(CLI_FAILED, "cannot write the output: %s", strerror(errno));
	return rc;
}
