/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/fields.h"
#include "cli/render.h"
#include "util/base64.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct cat {
	bool json, terminal, broken;
};

static void
piece_given(json_t *o, void *arg)
{
	struct cat *c = arg;
	const char *text = field_text(o, "base64");
	struct buf piece = { 0 }, shown = { 0 };

	if (c->json) {
		render_json(o);
		return;
	}
	if (text == NULL || base64_decode(text, strlen(text), &piece) < 0)
		c->broken = true;
	else if (c->terminal)
		render_content(&shown, piece.data, piece.len);
	fwrite(c->terminal ? shown.data : piece.data, 1, c->terminal ? shown.len : piece.len, stdout);
	buf_fini(&piece);
	buf_fini(&shown);
}

static enum cli_exit
run_cat(struct cli *cli)
{
	struct cat c = { .json = cli_has(cli, "--json"), .terminal = isatty(STDOUT_FILENO) == 1 };
	enum cli_exit rc;

	json_object_set_new(cli->args, "id", json_string(cli->operand[0]));
	rc = cli_ask(cli, piece_given, &c);
	return c.broken ? cli_error(CLI_FAILED, "tmaild's answer makes no sense") : rc;
}

const struct cli_command cmd_queue_cat = {
	.noun = "queue",
	.verb = "cat",
	.operands = "ID",
	.operands_min = 1,
	.operands_max = 1,
	.request = "queue.cat",
	.summary = "print a message's content",
	.help = "Prints the message as it will be sent, byte for byte with CRLF line ends, our Received line on top. On a "
	    "terminal control characters are escaped and lines end as is usual there. With --json the content comes "
	    "in pieces of base64.",
	.run = run_cat,
};
