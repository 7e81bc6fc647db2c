/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/fields.h"
#include "cli/render.h"

#include <time.h>

struct list {
	bool json;
	uint64_t count;
	struct table table;
};

/* "mx.example.net", "mx.example.net +3" */
static void
add_names(struct table *t, const json_t *o)
{
	const json_t *names = json_object_get(o, "names");
	const char *first = json_string_value(json_array_get(names, 0));
	struct buf *cell = table_cell(t);

	render_text(cell, first == NULL ? "-" : first);
	if (json_array_size(names) > 1)
		buf_printf(cell, " +%zu", json_array_size(names) - 1);
}

static void
add_date(struct buf *out, int64_t wall)
{
	time_t t = (time_t)wall;
	char text[16];
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(text, sizeof text, "%Y-%m-%d", &tm);
	buf_adds(out, text);
}

static void
certificate_given(json_t *o, void *arg)
{
	const char *problem = field_text(o, "problem");
	struct list *l = arg;
	struct table *t = &l->table;

	l->count++;
	if (l->json) {
		render_json(o);
		return;
	}
	add_names(t, o);
	table_text(t, field_text(o, "kind"));
	add_date(table_cell(t), field_number(o, "not_after"));
	table_number(t, field_number(o, "days_left"));
	table_text(t, field_flag(o, "in_use") ? "yes" : "no");
	table_text(t, field_text(o, "file"));
	table_text(t, problem == NULL ? "" : problem);
	table_row(t);
}

static enum cli_exit
run_list(struct cli *cli)
{
	static const char *const title[] = { "NAME", "KIND", "NOT AFTER", ">DAYS", "IN USE", "FILE", "PROBLEM", NULL };
	struct list l = { .json = cli_has(cli, "--json") };
	enum cli_exit rc;

	table_init(&l.table, title);
	rc = cli_ask(cli, certificate_given, &l);
	table_end(&l.table);
	return rc == CLI_OK && l.count == 0 ? CLI_NOTHING : rc;
}

const struct cli_command cmd_tls_list = {
	.noun = "tls",
	.verb = "list",
	.request = "tls.list",
	.summary = "list the certificates shown to clients",
	.help = "A line for each certificate in force, in the order of the configuration: its first name and how many others it "
	    "has, the kind of its key, the last day it is good for and how many days are left (negative: it has expired), "
	    "whether it is in use or others come first for all its names, and its file. Where the file as it is now could "
	    "not be taken over, PROBLEM says why, and the line is about the older certificate that stays in use. Without "
	    "any certificate the exit status is 4.",
	.run = run_list,
};
