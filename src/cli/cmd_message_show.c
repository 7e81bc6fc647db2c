/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/fields.h"
#include "cli/render.h"

#include <stdio.h>
#include <string.h>

/* Stands in front of its line, not among the fields. */
static bool
is_head(const char *name)
{
	return strcmp(name, "id") == 0 || strcmp(name, "time") == 0 || strcmp(name, "ms") == 0 ||
	    strcmp(name, "event") == 0;
}

static void
add_text(struct buf *out, const char *text)
{
	bool quoted = *text == '\0' || strpbrk(text, " \"") != NULL;

	if (quoted)
		buf_addc(out, '"');
	render_text(out, text);
	if (quoted)
		buf_addc(out, '"');
}

static void
add_value(struct buf *out, const char *name, const json_t *value)
{
	size_t i;

	if (json_is_array(value)) {
		for (i = 0; i < json_array_size(value); i++) {
			if (i > 0)
				buf_addc(out, ',');
			render_text(out, json_string_value(json_array_get(value, i)));
		}
	} else if (json_is_string(value)) {
		if (strcmp(name, "from") == 0 && *json_string_value(value) == '\0')
			buf_adds(out, "<>");
		else
			add_text(out, json_string_value(value));
	} else if (strcmp(name, "next_attempt") == 0) {
		buf_addc(out, '"');
		render_time(out, json_integer_value(value));
		buf_addc(out, '"');
	} else {
		buf_printf(out, "%lld", (long long)json_integer_value(value));
	}
}

static void
event_shown(json_t *o, void *arg)
{
	struct buf line = { 0 };
	const char *name;
	json_t *value;

	if (cli_has(arg, "--json")) {
		render_json(o);
		return;
	}
	render_time(&line, field_number(o, "time"));
	buf_printf(&line, ".%03d  %-14s", (int)(field_number(o, "ms") % 1000),
	    field_text(o, "event") != NULL ? field_text(o, "event") : "-");
	json_object_foreach(o, name, value) {
		if (is_head(name) || json_is_null(value) || (strcmp(name, "next_attempt") == 0 && json_integer_value(value) == 0))
			continue;
		buf_addc(&line, ' ');
		render_text(&line, name);
		buf_addc(&line, '=');
		add_value(&line, name, value);
	}
	printf("%s\n", buf_str(&line));
	buf_fini(&line);
}

static enum cli_exit
run_show(struct cli *cli)
{
	json_object_set_new(cli->args, "id", json_string(cli->operand[0]));
	return cli_ask(cli, event_shown, cli);
}

const struct cli_command cmd_message_show = {
	.noun = "message",
	.verb = "show",
	.operands = "ID",
	.operands_min = 1,
	.operands_max = 1,
	.request = "message.show",
	.summary = "show what happened to a message, event by event",
	.help = "Prints the events of one message in order, one a line: when, what, and what belongs to it as key=value. "
	    "received, committed (from here on it is ours), refused (a recipient or the message), aborted (by the "
	    "client), delivered, deferred and failed (recipients, with next hop and reply), bounced and delay-warning "
	    "(with the id of the report), done (nothing is left to do for a route), rerouted, held, and admin for what an "
	    "operator did. A message that still waits ends with where it stands now: queued. ID is the msg= of the log, "
	    "the id the client was told, and in our Received field.",
	.run = run_show,
};
