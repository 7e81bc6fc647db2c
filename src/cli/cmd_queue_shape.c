/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/fields.h"
#include "cli/render.h"

struct shape {
	bool json;
	uint64_t count;
	struct table table;
};

static void
row_given(json_t *o, void *arg)
{
	struct shape *s = arg;
	const json_t *ages = json_object_get(o, "ages");
	size_t i;

	s->count++;
	if (s->json) {
		render_json(o);
		return;
	}
	table_text(&s->table, field_text(o, "name"));
	table_number(&s->table, field_number(o, "total"));
	for (i = 0; i < 10; i++)
		table_number(&s->table, json_integer_value(json_array_get(ages, i)));
	table_row(&s->table);
}

static enum cli_exit
run_shape(struct cli *cli)
{
	static const char *const title[] = { "NAME", ">TOTAL", ">5min", ">10", ">20", ">40", ">80", ">160", ">320", ">640",
		">1280", ">older", NULL };
	struct shape s = { .json = cli_has(cli, "--json") };
	enum cli_exit rc;

	table_init(&s.table, title);
	rc = cli_ask(cli, row_given, &s);
	table_end(&s.table);
	return rc == CLI_OK && s.count == 0 ? CLI_NOTHING : rc;
}

static const struct cli_option shape_options[] = {
	{ "--by", NULL, "WHAT", OPTION_TEXT, "by", "A line for each hop (default), domain (of recipients) or sender (domain)." },
	{ 0 },
};

const struct cli_command cmd_queue_shape = {
	.noun = "queue",
	.verb = "shape",
	.options = { shape_options, filter_options },
	.request = "queue.shape",
	.summary = "count entries by next hop or domain and by age",
	.help = "A table of the entries the filter chooses: a line for each route, largest first, a column for each age: "
	    "up to 5 minutes, up to 10, and so on doubling. Shows at a glance what piles up and since when. An empty "
	    "table exits with status 4.",
	.run = run_shape,
};
