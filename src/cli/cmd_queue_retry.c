/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"

#include <stddef.h>

const struct cli_command cmd_queue_retry = {
	.noun = "queue",
	.verb = "retry",
	.operands = "ID...",
	.operands_max = 1000,
	.options = { bulk_options, filter_options },
	.request = "queue.retry",
	.summary = "attempt deferred messages now",
	.help = "Makes deferred entries due at once, whatever their next attempt was planned for, and tries next hops that are "
	    "known to be dead. Held entries stay held. Messages are named by their ids, which need no confirmation, or "
	    "chosen by a filter or --all, which do.",
	.run = cli_queue_act,
};
