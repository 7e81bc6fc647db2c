/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include <stddef.h>

static const struct cli_option hold_options[] = {
	{ "--reason", NULL, "TEXT", OPTION_TEXT, "reason", "Why; tmail queue show and why tell it." },
	{ 0 },
};

const struct cli_command cmd_queue_hold = {
	.noun = "queue",
	.verb = "hold",
	.operands = "ID...",
	.operands_max = 1000,
	.options = { hold_options, bulk_options, filter_options },
	.request = "queue.hold",
	.summary = "keep messages from being attempted",
	.help = "Held entries stay in the queue, through restarts, until they are released, bounced or dropped. An attempt in "
	    "progress ends first.",
	.run = cli_queue_act,
};
