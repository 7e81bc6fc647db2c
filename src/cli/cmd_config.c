/* SPDX-License-Identifier: MIT */
/* config check, show and diff. */
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/fields.h"
#include "cli/render.h"
#include "control/certificates.h"
#include "directory/settings.h"
#include "net/keyring.h"
#include "util/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
file_of(const struct cli *cli)
{
	return cli->operand_count > 0 ? cli->operand[0] : cli_configuration(cli);
}

/* NULL after an explanation. */
static struct settings *
load(const struct cli *cli)
{
	const char *file = file_of(cli);
	struct settings *s = NULL;
	struct buf errors = { 0 };

	if (file == NULL)
		cli_error(CLI_USAGE, "there is no configuration to be found: name it");
	else if (settings_load(&s, file, &errors) < 0)
		fputs(buf_str(&errors), stderr);
	buf_fini(&errors);
	return s;
}

static enum cli_exit
run_check(struct cli *cli)
{
	struct settings *s = load(cli);
	struct keyring ring = { 0 };
	struct err err;
	int rc;

	if (s == NULL)
		return CLI_FAILED;
	rc = certificates_read(&ring, s, NULL, &err);
	keyring_fini(&ring);
	settings_free(&s);
	if (rc < 0) {
		fprintf(stderr, "%s\n", err.text);
		return CLI_FAILED;
	}
	printf("%s: good\n", file_of(cli));
	return CLI_OK;
}

static void
shown(json_t *o, void *arg)
{
	if (cli_has(arg, "--json"))
		render_json(o);
	else
		fputs(field_text(o, "text"), stdout);
}

static enum cli_exit
run_show(struct cli *cli)
{
	json_object_set_new(cli->args, "mark", json_true());
	return cli_ask(cli, shown, cli);
}

/* ---- the difference of two texts, line by line ---- */

struct lines {
	char *copy;
	char **line;
	size_t count;
};

static void
split(struct lines *l, const char *text)
{
	char *rest = l->copy = xstrdup(text), *line;

	l->line = xcalloc(strlen(text) + 1, sizeof *l->line);
	l->count = 0;
	while ((line = strsep(&rest, "\n")) != NULL && rest != NULL)
		l->line[l->count++] = line;
}

static void
lines_fini(struct lines *l)
{
	free(l->line);
	free(l->copy);
}

/* LENGTH[i * (B + 1) + j]: the longest common run of lines of A from I and B from J on. */
static uint32_t *
common_lengths(char **a, size_t n, char **b, size_t m)
{
	uint32_t *length = xcalloc((n + 1) * (m + 1), sizeof *length), down, right;
	size_t i, j;

	for (i = n; i-- > 0;)
		for (j = m; j-- > 0;) {
			down = length[(i + 1) * (m + 1) + j];
			right = length[i * (m + 1) + j + 1];
			length[i * (m + 1) + j] = strcmp(a[i], b[j]) == 0 ? length[(i + 1) * (m + 1) + j + 1] + 1
			    : down > right ? down : right;
		}
	return length;
}

/* The block a line stands in, said once. */
static void
print_line(char sign, const char *line, const char **block, const char **said)
{
	bool inside = *line == '\t';

	if (!inside && *line != '}')
		*block = line[strlen(line) - 1] == '{' ? line : NULL;
	if (sign == ' ')
		return;
	if (inside && *block != NULL && *block != *said) {
		printf("  %s\n", *block);
		*said = *block;
	}
	printf("%c %s\n", sign, line);
	if (!inside)
		*said = *block;
}

static bool
print_difference(struct lines *a, struct lines *b)
{
	const char *block = NULL, *said = NULL;
	size_t start = 0, end = 0, i, j, n, m;
	uint32_t *length;

	while (start < a->count && start < b->count && strcmp(a->line[start], b->line[start]) == 0)
		print_line(' ', a->line[start++], &block, &said);
	while (end < a->count - start && end < b->count - start &&
	    strcmp(a->line[a->count - 1 - end], b->line[b->count - 1 - end]) == 0)
		end++;
	n = a->count - start - end;
	m = b->count - start - end;
	length = common_lengths(a->line + start, n, b->line + start, m);
	for (i = j = 0; i < n || j < m;) {
		if (i < n && j < m && strcmp(a->line[start + i], b->line[start + j]) == 0) {
			print_line(' ', a->line[start + i], &block, &said);
			i++;
			j++;
		} else if (j == m || (i < n && length[(i + 1) * (m + 1) + j] >= length[i * (m + 1) + j + 1]))
			print_line('-', a->line[start + i++], &block, &said);
		else
			print_line('+', b->line[start + j++], &block, &said);
	}
	free(length);
	return n > 0 || m > 0;
}

static void
keep_text(json_t *o, void *arg)
{
	char **text = arg;

	free(*text);
	*text = xstrdup(field_text(o, "text"));
}

static enum cli_exit
run_diff(struct cli *cli)
{
	struct settings *s = load(cli);
	struct buf wanted = { 0 };
	struct lines a, b;
	char *running = NULL;
	enum cli_exit rc;

	if (s == NULL)
		return CLI_USAGE;
	rc = cli_ask(cli, keep_text, &running);
	if (rc == CLI_OK && running != NULL) {
		settings_show(s, false, &wanted);
		split(&a, running);
		split(&b, buf_str(&wanted));
		rc = print_difference(&a, &b) ? CLI_FAILED : CLI_OK;
		lines_fini(&a);
		lines_fini(&b);
	}
	buf_fini(&wanted);
	free(running);
	settings_free(&s);
	return rc;
}

const struct cli_command cmd_config_check = {
	.noun = "config",
	.verb = "check",
	.operands = "[FILE]",
	.operands_max = 1,
	.summary = "whether a configuration is good",
	.help = "Reads FILE, or the configuration of the installed gateway, and its certificates, as tmaild -t does: each error "
	    "is a line with the file, the line and what is allowed, and the exit status is 1.",
	.run = run_check,
};

const struct cli_command cmd_config_show = {
	.noun = "config",
	.verb = "show",
	.request = "config.show",
	.summary = "the configuration in force",
	.help = "Prints what the running gateway goes by, every default included and marked as one, secrets left out.",
	.run = run_show,
};

const struct cli_command cmd_config_diff = {
	.noun = "config",
	.verb = "diff",
	.operands = "[FILE]",
	.operands_max = 1,
	.request = "config.show",
	.summary = "what a reload would change",
	.help = "Compares the configuration in force with FILE, or with that of the installed gateway: lines with - are in "
	    "force, lines with + stand in the file. Defaults are written out on both sides, so that a comment or another "
	    "order of words is no difference. The exit status is 1 when they differ.",
	.run = run_diff,
};
