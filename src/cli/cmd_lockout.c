/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/fields.h"
#include "cli/render.h"

#include <stdio.h>

struct listing {
	struct table table;
	bool json;
	unsigned rows;
};

static void
row_given(json_t *o, void *arg)
{
	struct listing *l = arg;
	int64_t seconds = field_number(o, "seconds");

	l->rows++;
	if (l->json) {
		render_json(o);
		return;
	}
	table_text(&l->table, field_text(o, "kind"));
	table_text(&l->table, field_text(o, "key"));
	table_number(&l->table, field_number(o, "failures"));
	if (seconds > 0)
		render_age(table_cell(&l->table), seconds);
	else
		table_text(&l->table, NULL);
	table_row(&l->table);
}

static enum cli_exit
run_list(struct cli *cli)
{
	static const char *const title[] = { "KIND", "WHO", ">FAILURES", ">LOCKED FOR", NULL };
	struct listing l = { .json = cli_has(cli, "--json") };
	enum cli_exit rc;

	table_init(&l.table, title);
	rc = cli_ask(cli, row_given, &l);
	table_end(&l.table);
	return rc;
}

static void
cleared(json_t *o, void *arg)
{
	unsigned *n = arg;

	*n = (unsigned)field_number(o, "cleared");
}

static enum cli_exit
run_clear(struct cli *cli)
{
	bool all = json_is_true(json_object_get(cli->args, "all"));
	enum cli_exit rc;
	unsigned n = 0;

	if (all == (cli->operand_count > 0))
		return cli_error(CLI_USAGE, "name an address or a login, or say --all");
	if (!all)
		json_object_set_new(cli->args, "key", json_string(cli->operand[0]));
	rc = cli_ask(cli, cleared, &n);
	if (rc != CLI_OK)
		return rc;
	if (cli_has(cli, "--json"))
		printf("{\"cleared\": %u}\n", n);
	else
		printf("%u forgotten\n", n);
	return n > 0 ? CLI_OK : CLI_NOTHING;
}

static const struct cli_option clear_options[] = {
	{ "--all", NULL, NULL, OPTION_FLAG, "all", "Forget all failures of everybody." },
	{ 0 },
};

const struct cli_command cmd_lockout_list = {
	.noun = "lockout",
	.verb = "list",
	.request = "lockout.list",
	.summary = "who failed to log in, and who is locked out",
	.help = "Prints each address (of IPv6, its /64) and each login with failures that count still, and for how long it is "
	    "locked yet.",
	.run = run_list,
};

const struct cli_command cmd_lockout_clear = {
	.noun = "lockout",
	.verb = "clear",
	.operands = "[WHO]",
	.operands_max = 1,
	.options = { clear_options },
	.request = "lockout.clear",
	.summary = "let somebody try again",
	.help = "Forgets the failures of WHO, an address or a login as tmail lockout list shows it, or with --all those of "
	    "everybody.",
	.run = run_clear,
};
