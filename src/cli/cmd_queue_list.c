/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/fields.h"
#include "cli/render.h"
#include "util/clock.h"

#include <string.h>

struct list {
	bool json, brief;
	uint64_t count;
	struct table table;
	int64_t now;
};

/* "x@example.net", "x@example.net +3" */
static void
add_recipients(struct table *t, const json_t *o)
{
	const json_t *to = json_object_get(o, "to");
	const char *first = json_string_value(json_array_get(to, 0));
	struct buf *cell = table_cell(t);

	render_text(cell, first == NULL ? "-" : first);
	if (first != NULL && field_number(o, "pending") > 1)
		buf_printf(cell, " +%lld", (long long)field_number(o, "pending") - 1);
}

static void
add_next(struct buf *out, const json_t *o, int64_t now)
{
	const char *state = field_text(o, "state");

	if (state == NULL || strcmp(state, "deferred") != 0) {
		buf_addc(out, '-');
	} else {
		buf_adds(out, "in ");
		render_age(out, field_number(o, "next_attempt") - now);
	}
}

static void
entry_listed(json_t *o, void *arg)
{
	struct list *l = arg;
	struct table *t = &l->table;
	const char *from = field_text(o, "from");

	l->count++;
	if (l->json) {
		render_json(o);
		return;
	}
	table_text(t, field_text(o, "id"));
	table_text(t, field_text(o, "state"));
	render_age(table_cell(t), l->now - field_number(o, "received"));
	add_next(table_cell(t), o, l->now);
	table_number(t, field_number(o, "attempts"));
	render_size(table_cell(t), (uint64_t)field_number(o, "size"));
	table_text(t, field_text(o, "hop"));
	if (l->brief) {
		table_number(t, field_number(o, "pending"));
	} else {
		table_text(t, from != NULL && *from == '\0' ? "<>" : from);
		add_recipients(t, o);
	}
	table_row(t);
}

static enum cli_exit
run_list(struct cli *cli)
{
	static const char *const whole[] = { "ID", "STATE", ">AGE", ">NEXT", ">TRIES", ">SIZE", "HOP", "FROM", "TO", NULL };
	static const char *const brief[] = { "ID", "STATE", ">AGE", ">NEXT", ">TRIES", ">SIZE", "HOP", ">RCPTS", NULL };
	struct list l = { .json = cli_has(cli, "--json"), .brief = cli_has(cli, "--brief"), .now = clock_wall() };
	enum cli_exit rc;

	if (l.brief)
		json_object_set_new(cli->args, "envelope", json_false());
	table_init(&l.table, l.brief ? brief : whole);
	rc = cli_ask(cli, entry_listed, &l);
	table_end(&l.table);
	return rc == CLI_OK && l.count == 0 ? CLI_NOTHING : rc;
}

static const struct cli_option list_options[] = {
	{ "--brief", NULL, NULL, OPTION_FLAG, NULL, "Without sender and recipients: nothing is read from disk." },
	{ 0 },
};

const struct cli_command cmd_queue_list = {
	.noun = "queue",
	.verb = "list",
	.options = { list_options, filter_options },
	.request = "queue.list",
	.summary = "list entries, one a line",
	.help = "Prints the entries the filter chooses, all of them without a filter: message id, state, age, when the "
	    "next attempt is, attempts so far, size, route, sender and the first recipient still waited for with the "
	    "number of further ones. The order is that of the queue's memory. Entries that come or go while the list "
	    "is made may or may not be in it. An empty list exits with status 4.",
	.run = run_list,
};
