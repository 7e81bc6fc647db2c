/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include <stddef.h>

const struct cli_command cmd_queue_release = {
	.noun = "queue",
	.verb = "release",
	.operands = "ID...",
	.operands_max = 1000,
	.options = { bulk_options, filter_options },
	.request = "queue.release",
	.summary = "let held messages go",
	.help = "Held entries become due at once. Others are left alone.",
	.run = cli_queue_act,
};
