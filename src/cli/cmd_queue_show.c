/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/fields.h"
#include "cli/render.h"
#include "util/clock.h"

#include <stdio.h>
#include <string.h>

/* A line "name:  value", the value rendered; nothing without a value. */
static void
print_text(const char *name, const char *value)
{
	struct buf b = { 0 };

	if (value == NULL)
		return;
	render_text(&b, value);
	printf("%-10s %s\n", name, buf_str(&b));
	buf_fini(&b);
}

static void
print_head(const json_t *o)
{
	const char *from = field_text(o, "from");
	int64_t received = field_number(o, "received");
	const json_t *flags = json_object_get(o, "flags");
	struct buf b = { 0 };
	size_t i;

	print_text("id", field_text(o, "id"));
	print_text("from", from != NULL && *from == '\0' ? "<>" : from);
	render_time(&b, received);
	buf_adds(&b, " (");
	render_age(&b, clock_wall() - received);
	buf_adds(&b, ")");
	print_text("received", buf_str(&b));
	print_text("client", field_text(o, "client"));
	print_text("helo", field_text(o, "helo"));
	printf("%-10s %lld bytes\n", "size", (long long)field_number(o, "size"));
	print_text("envid", field_text(o, "envid"));
	b.len = 0;
	for (i = 0; i < json_array_size(flags); i++)
		buf_printf(&b, "%s%s", i == 0 ? "" : " ", json_string_value(json_array_get(flags, i)));
	if (b.len > 0)
		print_text("flags", buf_str(&b));
	print_text("held", field_text(o, "reason"));
	buf_fini(&b);
}

static void
print_entries(const json_t *o)
{
	static const char *const title[] = { "HOP", "STATE", ">TRIES", ">WAITING", "NEXT", NULL };
	const json_t *array = json_object_get(o, "entries"), *e;
	struct table t;
	size_t i;

	table_init(&t, title);
	json_array_foreach(array, i, e) {
		table_text(&t, field_text(e, "hop"));
		table_text(&t, field_text(e, "state"));
		table_number(&t, field_number(e, "attempts"));
		table_number(&t, field_number(e, "pending"));
		if (field_number(e, "next_attempt") > 0)
			render_time(table_cell(&t), field_number(e, "next_attempt"));
		else
			table_text(&t, NULL);
		table_row(&t);
	}
	if (json_array_size(array) > 0)
		putchar('\n');
	table_end(&t);
}

static void
print_recipients(const json_t *array)
{
	static const char *const title[] = { "RECIPIENT", "STATUS", "HOP", "LAST REPLY", NULL };
	struct table t;
	const json_t *r;
	size_t i;

	table_init(&t, title);
	json_array_foreach(array, i, r) {
		table_text(&t, field_text(r, "address"));
		table_text(&t, field_text(r, "status"));
		table_text(&t, field_text(r, "hop"));
		table_text(&t, field_text(r, "reply"));
		table_row(&t);
	}
	if (json_array_size(array) > 0)
		putchar('\n');
	table_end(&t);
}

static void
message_shown(json_t *o, void *arg)
{
	if (cli_has(arg, "--json")) {
		render_json(o);
		return;
	}
	print_head(o);
	print_entries(o);
	print_recipients(json_object_get(o, "recipients"));
}

static enum cli_exit
run_show(struct cli *cli)
{
	json_object_set_new(cli->args, "id", json_string(cli->operand[0]));
	return cli_ask(cli, message_shown, cli);
}

const struct cli_command cmd_queue_show = {
	.noun = "queue",
	.verb = "show",
	.operands = "ID",
	.operands_min = 1,
	.operands_max = 1,
	.request = "queue.show",
	.summary = "show a message: envelope, entries, recipients with their last replies",
	.help = "Prints all there is to know about one message but its content: who sent it and when, the state of each "
	    "entry, and for each recipient what became of it and what the next hop said last.",
	.run = run_show,
};

static void
print_hops(const json_t *o)
{
	static const char *const title[] = { "NEXT HOP", "STATE", ">CONNECTIONS", "LAST ERROR", NULL };
	const json_t *array = json_object_get(o, "hops"), *h;
	struct table t;
	size_t i;

	table_init(&t, title);
	json_array_foreach(array, i, h) {
		table_text(&t, field_text(h, "hop"));
		table_text(&t, field_text(h, "state"));
		buf_printf(table_cell(&t), "%lld of %lld", (long long)field_number(h, "connections"),
		    (long long)field_number(h, "limit"));
		table_text(&t, field_text(h, "error"));
		table_row(&t);
	}
	if (json_array_size(array) > 0)
		putchar('\n');
	table_end(&t);
}

static void
entry_explained(json_t *o, void *arg)
{
	const char *state = field_text(o, "state");
	struct buf b = { 0 };

	if (cli_has(arg, "--json")) {
		render_json(o);
		return;
	}
	print_text("id", field_text(o, "id"));
	print_text("hop", field_text(o, "hop"));
	print_text("state", state);
	print_text("why", field_text(o, "text"));
	if (state != NULL && strcmp(state, "deferred") == 0) {
		buf_adds(&b, "in ");
		render_age(&b, field_number(o, "next_attempt") - clock_wall());
		print_text("next", buf_str(&b));
		buf_fini(&b);
	}
	print_hops(o);
	print_recipients(json_object_get(o, "waiting"));
}

static enum cli_exit
run_why(struct cli *cli)
{
	json_object_set_new(cli->args, "id", json_string(cli->operand[0]));
	return cli_ask(cli, entry_explained, cli);
}

const struct cli_command cmd_queue_why = {
	.noun = "queue",
	.verb = "why",
	.operands = "ID",
	.operands_min = 1,
	.operands_max = 1,
	.request = "queue.why",
	.summary = "say why a message is still in the queue",
	.help = "For each entry of the message: what it waits for, the state of its next hops, and what was last said about "
	    "each recipient. In JSON the field why is one of held, active, no-route, suspended, hops-dead, retry-wait, at-limit, "
	    "waiting-turn.",
	.run = run_why,
};
