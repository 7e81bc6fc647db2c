/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/fields.h"
#include "cli/render.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct act {
	bool json, dry_run;
	int64_t matched, changed, failed;
};

static const char *
entries(int64_t n)
{
	return n == 1 ? "entry" : "entries";
}

static void
result_given(json_t *o, void *arg)
{
	struct act *a = arg;
	struct buf b = { 0 };

	if (json_object_get(o, "matched") == NULL) {
		render_text(&b, field_text(o, "error") == NULL ? "" : field_text(o, "error"));
		cli_error(CLI_FAILED, "%s: %s", field_text(o, "id") == NULL ? "" : field_text(o, "id"), buf_str(&b));
		buf_fini(&b);
		return;
	}
	a->matched = field_number(o, "matched");
	a->changed = field_number(o, "changed");
	a->failed = field_number(o, "failed");
	if (a->json && !a->dry_run)
		render_json(o);
}

/* Operands are ids. They join those given by --id; ids alone need no confirmation. */
static enum cli_exit
take_ids(struct cli *cli)
{
	json_t *ids = json_object_get(cli->args, "ids");
	uint64_t id;
	unsigned i;

	if (ids == NULL && cli->operand_count > 0) {
		ids = json_array();
		json_object_set_new(cli->args, "ids", ids);
	}
	for (i = 0; i < cli->operand_count; i++) {
		if (id_parse(cli->operand[i], &id) < 0)
			return cli_error(CLI_USAGE, "\"%s\" is not a message id", cli->operand[i]);
		json_array_append_new(ids, json_string(cli->operand[i]));
	}
	return CLI_OK;
}

/* Is something chosen by more than ids? */
static bool
is_bulk(const struct cli *cli)
{
	const char *name;
	json_t *value;

	json_object_foreach(cli->args, name, value)
		if (strcmp(name, "ids") != 0 && strcmp(name, "reason") != 0 && strcmp(name, "route") != 0 &&
		    strcmp(name, "as_configured") != 0)
			return true;
	return false;
}

static bool
prompt(const struct cli *cli, int64_t count)
{
	char answer[16];

	fprintf(stderr, "tmail: %s %lld %s? [y/N] ", cli->command->verb, (long long)count, entries(count));
	fflush(stderr);
	if (fgets(answer, sizeof answer, stdin) == NULL)
		return false;
	return answer[0] == 'y' || answer[0] == 'Y';
}

/* Counts what would change and lets somebody say yes. CLI_OK: go on. */
static enum cli_exit
confirm(struct cli *cli, struct connection *c)
{
	struct act a = { .json = cli_has(cli, "--json"), .dry_run = true };
	enum cli_exit rc;
	json_t *would;

	json_object_set_new(cli->args, "dry_run", json_true());
	rc = connection_ask(c, cli->command->request, cli->args, result_given, &a);
	json_object_del(cli->args, "dry_run");
	if (rc != CLI_OK)
		return rc;
	if (a.matched == 0)
		return cli_error(CLI_NOTHING, "nothing matches");
	fprintf(stderr, "tmail: %lld %s chosen\n", (long long)a.matched, entries(a.matched));
	if (cli_has(cli, "--yes"))
		return CLI_OK;
	if (isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 && prompt(cli, a.matched))
		return CLI_OK;
	if (a.json) {
		would = json_pack("{s:I}", "would_change", (json_int_t)a.matched);
		render_json(would);
		json_decref(would);
	}
	return cli_error(CLI_UNCONFIRMED, "nothing was changed: say --yes to %s %lld %s", cli->command->verb,
	    (long long)a.matched, entries(a.matched));
}

static enum cli_exit
act(struct cli *cli, struct connection *c)
{
	struct act a = { .json = cli_has(cli, "--json") };
	enum cli_exit rc = connection_ask(c, cli->command->request, cli->args, result_given, &a);

	if (rc != CLI_OK)
		return rc;
	if (!a.json)
		printf("%lld of %lld %s changed\n", (long long)a.changed, (long long)a.matched, entries(a.matched));
	if (a.matched == 0)
		return a.failed > 0 ? CLI_NOTHING : cli_error(CLI_NOTHING, "nothing matches");
	return a.failed > 0 ? CLI_FAILED : CLI_OK;
}

enum cli_exit
cli_queue_act(struct cli *cli)
{
	struct connection c;
	enum cli_exit rc = take_ids(cli);

	if (rc != CLI_OK)
		return rc;
	if (json_object_get(cli->args, "ids") == NULL && !is_bulk(cli))
		return cli_error(CLI_USAGE, "queue %s needs ids, a filter or --all", cli->command->verb);
	rc = connection_open(&c, cli);
	if (rc == CLI_OK && is_bulk(cli))
		rc = confirm(cli, &c);
	if (rc == CLI_OK)
		rc = act(cli, &c);
	connection_close(&c);
	return rc;
}
