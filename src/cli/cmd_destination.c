/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/fields.h"
#include "cli/render.h"

#include <stdio.h>

static void
add_number(struct buf *b, int64_t n)
{
	if (n > 0)
		buf_printf(b, "%lld", (long long)n);
	else
		buf_adds(b, "any");
}

static void
add_rate(struct buf *b, const json_t *d)
{
	int64_t count = field_number(d, "rate_count"), seconds = field_number(d, "rate_seconds");
	const char *unit = seconds == 1 ? "s" : seconds == 60 ? "min" : seconds == 3600 ? "h" : seconds == 86400 ? "day" : "w";

	if (count > 0)
		buf_printf(b, "%lld/%s", (long long)count, unit);
	else
		buf_adds(b, "any");
}

/* One row for the limits, then one for each group that they are applied to. */
static void
add_destination(struct table *t, const json_t *d)
{
	const json_t *array = json_object_get(d, "now"), *now;
	size_t i;

	table_text(t, field_text(d, "destination"));
	table_text(t, NULL);
	table_text(t, NULL);
	add_number(table_cell(t), field_number(d, "connections"));
	add_rate(table_cell(t), d);
	table_text(t, NULL);
	table_text(t, NULL);
	table_row(t);
	json_array_foreach(array, i, now) {
		table_text(t, "");
		table_text(t, field_text(now, "group"));
		table_text(t, field_text(now, "source"));
		table_number(t, field_number(now, "connections"));
		table_text(t, "");
		table_number(t, field_number(now, "sent"));
		table_number(t, field_number(now, "waited"));
		table_row(t);
	}
}

static void
print_suspended(const json_t *array)
{
	static const char *const title[] = { "SUSPENDED", "SINCE", "REASON", NULL };
	const json_t *one;
	struct table t;
	size_t i;

	table_init(&t, title);
	json_array_foreach(array, i, one) {
		table_text(&t, field_text(one, "name"));
		render_time(table_cell(&t), field_number(one, "since"));
		table_text(&t, field_text(one, "reason"));
		table_row(&t);
	}
	table_end(&t);
}

static void
list_given(json_t *o, void *arg)
{
	static const char *const title[] = { "DESTINATION", "GROUP", "SOURCE", ">CONNECTIONS", ">RATE", ">SENT", ">WAITED",
		NULL };
	const json_t *array = json_object_get(o, "destinations"), *suspended = json_object_get(o, "suspended"), *d;
	struct table t;
	size_t i;

	if (cli_has(arg, "--json")) {
		render_json(o);
		return;
	}
	table_init(&t, title);
	json_array_foreach(array, i, d)
		add_destination(&t, d);
	table_end(&t);
	if (json_array_size(array) > 0 && json_array_size(suspended) > 0)
		putchar('\n');
	print_suspended(suspended);
}

static enum cli_exit
run_list(struct cli *cli)
{
	return cli_ask(cli, list_given, cli);
}

const struct cli_command cmd_destination_list = {
	.noun = "destination",
	.verb = "list",
	.request = "destination.list",
	.summary = "what receivers are given, and what is suspended",
	.help = "Prints each destination of the configuration with its limits, and below it who they are applied to: connections "
	    "now, messages sent, and how often something had to wait. Then every name that is suspended.",
	.run = run_list,
};

static void
change_given(json_t *o, void *arg)
{
	const struct cli *cli = arg;

	if (cli_has(cli, "--json")) {
		render_json(o);
		return;
	}
	if (!field_flag(o, "changed"))
		printf("it was so already\n");
	printf("%lld next hops are suspended now\n", (long long)field_number(o, "hops"));
}

static enum cli_exit
run_change(struct cli *cli)
{
	json_object_set_new(cli->args, "name", json_string(cli->operand[0]));
	return cli_ask(cli, change_given, cli);
}

static const struct cli_option suspend_options[] = {
	{ "--reason", NULL, "TEXT", OPTION_TEXT, "reason", "Why; it is shown until delivery is resumed." },
	{ 0 },
};

const struct cli_command cmd_destination_suspend = {
	.noun = "destination",
	.verb = "suspend",
	.operands = "NAME",
	.operands_min = 1,
	.operands_max = 1,
	.options = { suspend_options },
	.request = "destination.suspend",
	.summary = "stop delivery to next hops; mail for them waits",
	.help = "NAME is a destination of the configuration, a next hop's host name or address, .example.net for all hosts below "
	    "a name, a recipients' domain that is delivered to by MX, or a route as queue list shows it. What is under way ends "
	    "first. Mail that waits is not touched, but gets older as any. It stays so over restarts, and tmail status "
	    "says it.",
	.run = run_change,
};

const struct cli_command cmd_destination_resume = {
	.noun = "destination",
	.verb = "resume",
	.operands = "NAME",
	.operands_min = 1,
	.operands_max = 1,
	.request = "destination.resume",
	.summary = "go on with what was suspended",
	.help = "NAME is what was suspended, as tmail destination list shows it.",
	.run = run_change,
};
