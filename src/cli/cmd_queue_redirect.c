/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include <stddef.h>

static const struct cli_option redirect_options[] = {
	{ "--route", NULL, "NAME", OPTION_TEXT, "route", "To the next hops of this route or domain of the configuration." },
	{ "--as-configured", NULL, NULL, OPTION_FLAG, "as_configured",
	    "To where the configuration in force would send it now." },
	{ "--reason", NULL, "TEXT", OPTION_TEXT, "reason", "Why; it goes to the log." },
	{ 0 },
};

static enum cli_exit
run_redirect(struct cli *cli)
{
	if (!json_is_true(json_object_get(cli->args, "as_configured")) == (json_object_get(cli->args, "route") == NULL))
		return cli_error(CLI_USAGE, "queue redirect needs --route or --as-configured");
	return cli_queue_act(cli);
}

const struct cli_command cmd_queue_redirect = {
	.noun = "queue",
	.verb = "redirect",
	.operands = "ID...",
	.operands_max = 1000,
	.options = { redirect_options, bulk_options, filter_options },
	.request = "queue.redirect",
	.summary = "send waiting mail another way",
	.help = "Entries move to the queue of another route and become due there. They stay with it, over restarts too, until "
	    "they are redirected again; a change of the configuration moves only those whose route is gone. Entries of "
	    "which an attempt is in progress, and held ones, are left alone. --route takes the name of a route or domain "
	    "with next hops; --hop chooses by the route mail waits for now.",
	.run = run_redirect,
};
