/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include <stddef.h>

static const struct cli_option drop_options[] = {
	{ "--reason", NULL, "TEXT", OPTION_TEXT, "reason", "Why; it goes to the log." },
	{ 0 },
};

const struct cli_command cmd_queue_drop = {
	.noun = "queue",
	.verb = "drop",
	.operands = "ID...",
	.operands_max = 1000,
	.options = { drop_options, bulk_options, filter_options },
	.request = "queue.drop",
	.summary = "delete messages, telling nobody but the log",
	.help = "Removes entries for good without a report to the sender. An attempt in progress ends first and may deliver.",
	.run = cli_queue_act,
};
