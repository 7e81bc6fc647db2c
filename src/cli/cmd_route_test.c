/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/fields.h"
#include "cli/render.h"

#include <stdio.h>

static void
print_line(const char *label, const char *text)
{
	struct buf b = { 0 };

	render_text(&b, text);
	printf("%-10s %s\n", label, buf_str(&b));
	buf_fini(&b);
}

static void
print_decision(const json_t *o)
{
	const char *client = field_text(o, "client"), *group = field_text(o, "group");
	struct buf b = { 0 };

	if (field_flag(o, "accepted"))
		printf("%-10s accepted, %s\n", "decision", field_text(o, "direction"));
	else
		print_line("decision", field_text(o, "reply"));
	if (client != NULL) {
		buf_printf(&b, "%s (%s)", client, field_text(o, "client_place"));
		print_line("client", buf_str(&b));
	}
	if (group != NULL)
		print_line("group", group);
	buf_fini(&b);
}

static void
add_hop(struct buf *b, const json_t *h)
{
	if (b->len > 0)
		buf_adds(b, ", ");
	buf_adds(b, field_text(h, "hop"));
	if (field_number(h, "weight") > 1)
		buf_printf(b, " weight=%lld", (long long)field_number(h, "weight"));
	if (field_flag(h, "backup"))
		buf_adds(b, " backup");
}

static void
print_source(const json_t *s)
{
	const json_t *array = json_object_get(s, "addresses"), *a;
	struct buf b = { 0 };
	size_t i;

	if (!json_is_object(s))
		return;
	buf_printf(&b, "%s (%s):", field_text(s, "name"), field_text(s, "place"));
	json_array_foreach(array, i, a)
		buf_printf(&b, "%s %s", i > 0 ? "," : "", json_string_value(a));
	print_line("source", buf_str(&b));
	buf_fini(&b);
}

static void
print_route(const json_t *r)
{
	const json_t *array = json_object_get(r, "next_hops"), *h;
	struct buf b = { 0 };
	size_t i;

	if (!json_is_object(r)) {
		print_line("route", "none");
		return;
	}
	buf_printf(&b, "%s (%s)", field_text(r, "route"), field_text(r, "place"));
	print_line("route", buf_str(&b));
	print_line("because", field_text(r, "why"));
	b.len = 0;
	json_array_foreach(array, i, h)
		add_hop(&b, h);
	if (json_array_size(array) > 1)
		buf_printf(&b, " (%s)", field_text(r, "balance"));
	print_line("next hops", buf_str(&b));
	print_line("tls", field_text(r, "tls"));
	print_source(json_object_get(r, "source"));
	buf_fini(&b);
}

static void
print_others(const json_t *array)
{
	static const char *const title[] = { "NOT TAKEN", "AT", "BECAUSE", NULL };
	struct table t;
	const json_t *r;
	size_t i;

	table_init(&t, title);
	json_array_foreach(array, i, r) {
		table_text(&t, field_text(r, "route"));
		table_text(&t, field_text(r, "place"));
		table_text(&t, field_text(r, "why"));
		table_row(&t);
	}
	if (json_array_size(array) > 0)
		putchar('\n');
	table_end(&t);
}

static void
decision_given(json_t *o, void *arg)
{
	if (cli_has(arg, "--json")) {
		render_json(o);
		return;
	}
	print_decision(o);
	print_route(json_object_get(o, "route"));
	print_others(json_object_get(o, "others"));
}

static enum cli_exit
run_test(struct cli *cli)
{
	if (json_object_get(cli->args, "to") == NULL)
		return cli_error(CLI_USAGE, "route test needs --to");
	return cli_ask(cli, decision_given, cli);
}

static const struct cli_option test_options[] = {
	{ "--from", NULL, "ADDRESS", OPTION_TEXT, "from", "The sender; <> or nothing is the null sender." },
	{ "--to", NULL, "ADDRESS", OPTION_TEXT, "to", "The recipient." },
	{ "--user", NULL, "LOGIN", OPTION_TEXT, "user", "Who has logged in." },
	{ "--group", NULL, "GROUP", OPTION_TEXT, "group", "The group, where it is not the configuration that says it." },
	{ "--client", NULL, "IP", OPTION_TEXT, "client", "The address the client connects from." },
	{ "--listener", NULL, "NAME", OPTION_TEXT, "listener", "The listener it connects to." },
	{ 0 },
};

const struct cli_command cmd_route_test = {
	.noun = "route",
	.verb = "test",
	.options = { test_options },
	.request = "route.test",
	.summary = "say what would become of a recipient, and why",
	.help = "Prints whether the recipient would be accepted, the route it would take with file and line, what the route "
	    "matched by, its next hops, and for every other domain and route why it was not taken. The configuration is the "
	    "one in force. Nothing is sent, and whether the mailbox exists is not looked at.",
	.run = run_test,
};
