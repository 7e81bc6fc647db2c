/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include <stddef.h>

static const struct cli_option bounce_options[] = {
	{ "--reason", NULL, "TEXT", OPTION_TEXT, "reason", "Why; the sender reads it in the report, and it goes to the log." },
	{ 0 },
};

const struct cli_command cmd_queue_bounce = {
	.noun = "queue",
	.verb = "bounce",
	.operands = "ID...",
	.operands_max = 1000,
	.options = { bounce_options, bulk_options, filter_options },
	.request = "queue.bounce",
	.summary = "give up on messages and tell their senders",
	.help = "Recipients still waited for fail now; the sender gets the usual report. Mail from the null sender is dropped, as "
	    "a report about a report must not be sent. An attempt in progress ends first.",
	.run = cli_queue_act,
};
