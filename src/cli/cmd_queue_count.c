/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/fields.h"
#include "cli/render.h"

#include <stdio.h>

static void
counted(json_t *o, void *arg)
{
	const struct cli *cli = arg;
	struct buf size = { 0 };

	if (cli_has(cli, "--json")) {
		render_json(o);
		return;
	}
	render_size(&size, (uint64_t)field_number(o, "bytes"));
	printf("%lld %s (%lld due, %lld active, %lld deferred, %lld held), %lld recipients, %s bytes\n",
	    (long long)field_number(o, "entries"), field_number(o, "entries") == 1 ? "entry" : "entries",
	    (long long)field_number(o, "due"),
	    (long long)field_number(o, "active"), (long long)field_number(o, "deferred"),
	    (long long)field_number(o, "held"), (long long)field_number(o, "recipients"), buf_str(&size));
	buf_fini(&size);
}

static enum cli_exit
run_count(struct cli *cli)
{
	return cli_ask(cli, counted, cli);
}

const struct cli_command cmd_queue_count = {
	.noun = "queue",
	.verb = "count",
	.options = { filter_options },
	.request = "queue.count",
	.summary = "count entries",
	.help = "Counts the entries the filter chooses, by state, with their recipients and bytes. A count of 0 is an "
	    "answer: the exit status is 0.",
	.run = run_count,
};
