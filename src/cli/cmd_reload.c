/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/fields.h"
#include "cli/render.h"

#include <stdio.h>

struct outcome {
	const struct cli *cli;
	bool applied;
};

static void
print_lines(const json_t *lines, FILE *to)
{
	const json_t *line;
	struct buf b = { 0 };
	size_t i;

	json_array_foreach(lines, i, line) {
		b.len = 0;
		render_text(&b, json_string_value(line));
		fprintf(to, "%s\n", buf_str(&b));
	}
	buf_fini(&b);
}

static void
answered(json_t *o, void *arg)
{
	struct outcome *out = arg;

	out->applied = field_flag(o, "applied");
	if (cli_has(out->cli, "--json"))
		render_json(o);
	else if (out->applied)
		print_lines(json_object_get(o, "remarks"), stdout);
	else
		print_lines(json_object_get(o, "errors"), stderr);
}

static enum cli_exit
run_reload(struct cli *cli)
{
	struct outcome out = { cli, false };
	enum cli_exit status = cli_ask(cli, answered, &out);

	if (status != CLI_OK)
		return status;
	return out.applied ? CLI_OK
	    : cli_error(CLI_FAILED, "nothing was changed: the configuration in force stays in force");
}

const struct cli_command cmd_reload = {
	.verb = "reload",
	.request = "reload",
	.summary = "read the configuration again, without dropping a session",
	.help = "The gateway reads its configuration and its certificates again and opens its log again, as on SIGHUP. No "
	    "connection is refused and no session dropped: sessions and attempts under way end by what they began with, "
	    "later ones go by what was read. Prints what is worth knowing: listeners that came or went, settings that hold "
	    "until tmaild is started again, routes that are gone with mail waiting.\n\n"
	    "A configuration with an error changes nothing: the errors are printed as tmaild -t prints them, and the exit "
	    "status is 1.",
	.run = run_reload,
};
