/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/fields.h"
#include "cli/render.h"

#include <stdint.h>
#include <string.h>

struct found {
	bool json;
	uint64_t count;
	struct table table;
};

/* "x@example.net", "x@example.net +3" */
static void
add_recipients(struct table *t, const json_t *o)
{
	const char *first = json_string_value(json_array_get(json_object_get(o, "to"), 0));
	struct buf *cell = table_cell(t);

	render_text(cell, first == NULL ? "-" : first);
	if (first != NULL && field_number(o, "recipients") > 1)
		buf_printf(cell, " +%lld", (long long)field_number(o, "recipients") - 1);
}

static void
message_found(json_t *o, void *arg)
{
	struct found *f = arg;
	struct table *t = &f->table;
	const char *from = field_text(o, "from");

	f->count++;
	if (f->json) {
		render_json(o);
		return;
	}
	render_time(table_cell(t), field_number(o, "time"));
	table_text(t, field_text(o, "id"));
	table_text(t, field_text(o, "status"));
	render_size(table_cell(t), (uint64_t)field_number(o, "size"));
	table_text(t, field_text(o, "client"));
	table_text(t, from != NULL && *from == '\0' ? "<>" : from);
	add_recipients(t, o);
	table_text(t, field_text(o, "reply"));
	table_row(t);
}

static enum cli_exit
run_find(struct cli *cli)
{
	static const char *const title[] = { "TIME", "ID", "STATUS", ">SIZE", "CLIENT", "FROM", "TO", "LAST REPLY", NULL };
	struct found f = { .json = cli_has(cli, "--json") };
	enum cli_exit rc;

	table_init(&f.table, title);
	rc = cli_ask(cli, message_found, &f);
	table_end(&f.table);
	return rc == CLI_OK && f.count == 0 ? CLI_NOTHING : rc;
}

static const struct cli_option find_options[] = {
	{ "--from", NULL, "PATTERN", OPTION_TEXT, "from", "The address of the sender." },
	{ "--to", NULL, "PATTERN", OPTION_TEXT, "to", "The address of a recipient, refused ones too." },
	{ "--client", NULL, "ADDRESS", OPTION_TEXT, "client", "Came from this address, or network as 192.0.2.0/24." },
	{ "--since", NULL, "TIME", OPTION_TIME, "since", "Came less than TIME ago." },
	{ "--limit", NULL, "N", OPTION_COUNT, "limit", "The newest N (default 100, at most 10000)." },
	{ 0 },
};

const struct cli_command cmd_message_find = {
	.noun = "message",
	.verb = "find",
	.options = { find_options },
	.request = "message.find",
	.summary = "find messages in history, the newest last",
	.help = "Prints the messages that match all options, the newest ones where they are more than the limit: when they "
	    "came, id, what became of them (delivered, partly-failed, failed, deferred, queued, dropped by an operator, "
	    "refused, aborted by the client), size, client, sender, first recipient with the number of further ones, and "
	    "the last reply. Recipients and messages that were refused are found too. Whole addresses, domains and "
	    "clients are looked up quickly; a pattern with * makes it read all of history. PATTERN and TIME are explained "
	    "in tmail help filters. Finding nothing exits with status 4.",
	.run = run_find,
};
