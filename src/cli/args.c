/* SPDX-License-Identifier: MIT */
/* The command line: options may stand anywhere, "--" ends them, "--name=value" is "--name value". */
#include "cli/cli.h"

#include "util/check.h"
#include "util/option.h"
#include "util/str.h"
#include "util/suggest.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum cli_exit
cli_error(enum cli_exit code, const char *fmt, ...)
{
	va_list ap;

	fputs("tmail: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}

bool
cli_has(const struct cli *cli, const char *name)
{
	return json_object_get(cli->own, name) != NULL;
}

const char *
cli_value(const struct cli *cli, const char *name)
{
	return json_string_value(json_object_get(cli->own, name));
}

static const struct cli_option *
find_in(const struct cli_option *o, const char *name, size_t n)
{
	for (; o != NULL && o->name != NULL; o++)
		if ((strlen(o->name) == n && strncmp(o->name, name, n) == 0) ||
		    (o->alias != NULL && strlen(o->alias) == n && strncmp(o->alias, name, n) == 0))
			return o;
	return NULL;
}

static const struct cli_option *
find_option(const struct cli *cli, const char *name, size_t n)
{
	const struct cli_option *o = find_in(global_options, name, n);
	unsigned i;

	for (i = 0; o == NULL && cli->command != NULL && i < CLI_OPTION_TABLES; i++)
		o = find_in(cli->command->options[i], name, n);
	return o;
}

static enum cli_exit
unknown_option(const struct cli *cli, const char *word)
{
	const struct cli_option *o;
	struct suggest near;
	unsigned i;

	suggest_init(&near, word);
	for (o = global_options; o->name != NULL; o++)
		suggest_try(&near, o->name);
	for (i = 0; cli->command != NULL && i < CLI_OPTION_TABLES; i++)
		for (o = cli->command->options[i]; o != NULL && o->name != NULL; o++)
			suggest_try(&near, o->name);
	if (near.best != NULL)
		return cli_error(CLI_USAGE, "unknown option %s; did you mean %s?", word, near.best);
	if (cli->command == NULL)
		return cli_error(CLI_USAGE, "unknown option %s before a command; see tmail help", word);
	return cli_error(CLI_USAGE, "unknown option %s; see tmail help %s%s%s", word,
	    cli->command->noun == NULL ? "" : cli->command->noun, cli->command->noun == NULL ? "" : " ",
	    cli->command->verb);
}

/* The value as the request wants it; NULL: it is not one. */
static json_t *
option_value(const struct cli_option *o, const char *text)
{
	uint32_t seconds;
	uint64_t n;

	switch (o->kind) {
	case OPTION_FLAG:
		return json_true();
	case OPTION_TIME:
		return option_parse_duration(text, &seconds, NULL) < 0 || seconds == 0 ? NULL : json_integer(seconds);
	case OPTION_COUNT:
		return str_u64(text, strlen(text), INT64_MAX, &n) < 0 || n == 0 ? NULL : json_integer((json_int_t)n);
	case OPTION_ID:
		return id_parse(text, &n) < 0 ? NULL : json_string(text);
	case OPTION_TEXT:
	case OPTION_STATES:
		return json_string(text); /* NULL when it is not UTF-8 */
	}
	return NULL;
}

static enum cli_exit
bad_value(const struct cli_option *o, const char *text)
{
	static const char *const wants[] = {
		[OPTION_TEXT] = "text in UTF-8",
		[OPTION_TIME] = "a number with s, min, h, d or w, as 90min",
		[OPTION_COUNT] = "a number above 0",
		[OPTION_ID] = "a message id, as tmail queue list shows it",
		[OPTION_STATES] = "due, active, deferred, held or several of them with commas",
	};

	return cli_error(CLI_USAGE, "%s takes %s, not \"%s\"", o->name, wants[o->kind], text);
}

static enum cli_exit
set_option(struct cli *cli, const struct cli_option *o, const char *text)
{
	json_t *to = o->arg == NULL ? cli->own : cli->args, *value = option_value(o, text), *ids;
	const char *name = o->arg == NULL ? o->name : o->arg;

	if (value == NULL)
		return bad_value(o, text);
	if (o->kind == OPTION_ID) {
		ids = json_object_get(to, name);
		if (ids == NULL) {
			ids = json_array();
			json_object_set_new(to, name, ids);
		}
		json_array_append_new(ids, value);
		return CLI_OK;
	}
	if (o->kind != OPTION_FLAG && json_object_get(to, name) != NULL) {
		json_decref(value);
		return cli_error(CLI_USAGE, "%s is given twice", o->name);
	}
	json_object_set_new(to, name, value);
	return CLI_OK;
}

/* ARGV[I] is an option. Takes its value along from the next word where it has one. */
static enum cli_exit
take_option(struct cli *cli, int argc, char **argv, int *i)
{
	const char *word = argv[*i], *equals = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL, *value = NULL;
	size_t n = equals == NULL ? strlen(word) : (size_t)(equals - word);
	const struct cli_option *o = find_option(cli, word, n);

	if (o == NULL)
		return unknown_option(cli, word);
	if (o->kind == OPTION_FLAG) {
		if (equals != NULL)
			return cli_error(CLI_USAGE, "%s takes no value", o->name);
	} else if (equals != NULL) {
		value = equals + 1;
	} else if (*i + 1 < argc) {
		value = argv[++*i];
	} else {
		return cli_error(CLI_USAGE, "%s needs a value: %s %s", o->name, o->name, o->value);
	}
	if (strcmp(o->name, "--help") == 0)
		cli->help = true;
	else if (strcmp(o->name, "--version") == 0)
		cli->version = true;
	return set_option(cli, o, value);
}

static bool
is_noun(const char *word)
{
	const struct cli_noun *noun;

	for (noun = cli_nouns; noun->name != NULL; noun++)
		if (strcmp(noun->name, word) == 0)
			return true;
	return false;
}

static enum cli_exit
unknown_word(const char *noun, const char *word)
{
	const struct cli_command *const *c;
	const struct cli_noun *n;
	struct suggest near;

	suggest_init(&near, word);
	for (c = cli_commands; *c != NULL; c++)
		if (noun == NULL ? (*c)->noun == NULL : (*c)->noun != NULL && strcmp((*c)->noun, noun) == 0)
			suggest_try(&near, (*c)->verb);
	for (n = cli_nouns; noun == NULL && n->name != NULL; n++)
		suggest_try(&near, n->name);
	if (near.best != NULL)
		return cli_error(CLI_USAGE, "unknown command %s%s%s; did you mean %s?", noun == NULL ? "" : noun,
		    noun == NULL ? "" : " ", word, near.best);
	return cli_error(CLI_USAGE, "unknown command %s%s%s; see tmail help%s%s", noun == NULL ? "" : noun,
	    noun == NULL ? "" : " ", word, noun == NULL ? "" : " ", noun == NULL ? "" : noun);
}

/* The command's words come first; what follows are operands. *NOUN keeps the first of two words. */
static enum cli_exit
take_word(struct cli *cli, const char **noun, const char *word)
{
	const struct cli_command *const *c;

	if (cli->command != NULL) {
		cli->operand[cli->operand_count++] = word;
		return CLI_OK;
	}
	if (*noun == NULL && is_noun(word)) {
		*noun = word;
		return CLI_OK;
	}
	for (c = cli_commands; *c != NULL; c++) {
		if (strcmp((*c)->verb, word) == 0 &&
		    (*noun == NULL ? (*c)->noun == NULL : (*c)->noun != NULL && strcmp((*c)->noun, *noun) == 0)) {
			cli->command = *c;
			return CLI_OK;
		}
	}
	return unknown_word(*noun, word);
}

static enum cli_exit
check_operands(const struct cli *cli, const char *noun)
{
	const struct cli_command *c = cli->command;

	if (cli->help || cli->version)
		return CLI_OK;
	if (c == NULL && noun != NULL)
		return cli_error(CLI_USAGE, "%s what? see tmail help %s", noun, noun);
	if (c == NULL)
		return cli_error(CLI_USAGE, "no command; see tmail help");
	if (cli->operand_count < c->operands_min)
		return cli_error(CLI_USAGE, "%s %s needs %s", c->noun == NULL ? "tmail" : c->noun, c->verb, c->operands);
	if (cli->operand_count > c->operands_max)
		return cli_error(CLI_USAGE, "%s%s%s takes no \"%s\"", c->noun == NULL ? "" : c->noun,
		    c->noun == NULL ? "" : " ", c->verb, cli->operand[c->operands_max]);
	return CLI_OK;
}

enum cli_exit
cli_parse(struct cli *cli, int argc, char **argv)
{
	enum cli_exit rc = CLI_OK;
	const char *noun = NULL;
	bool words_only = false;
	int i;

	*cli = (struct cli){ .args = json_object(), .own = json_object() };
	cli->operand = xcalloc((size_t)argc + 1, sizeof *cli->operand);
	for (i = 1; i < argc && rc == CLI_OK; i++) {
		if (!words_only && strcmp(argv[i], "--") == 0)
			words_only = true;
		else if (!words_only && argv[i][0] == '-' && argv[i][1] != '\0')
			rc = take_option(cli, argc, argv, &i);
		else
			rc = take_word(cli, &noun, argv[i]);
	}
	if (rc == CLI_OK)
		rc = check_operands(cli, noun);
	/* "tmail queue --help" is about the noun. */
	if (rc == CLI_OK && cli->command == NULL && noun != NULL)
		cli->operand[cli->operand_count++] = noun;
	return rc;
}

void
cli_fini(struct cli *cli)
{
	json_decref(cli->args);
	json_decref(cli->own);
	free(cli->operand);
}
