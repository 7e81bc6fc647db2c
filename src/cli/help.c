/* SPDX-License-Identifier: MIT */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

enum { LINE = 78, HELP_COLUMN = 22 };

/* TEXT in lines of LINE characters that begin INDENT to the right; "\n\n" begins a paragraph. The cursor stands at
 * AT already. */
static void
add_wrapped(struct buf *out, const char *text, unsigned indent, unsigned at)
{
	size_t n;

	while (*text != '\0') {
		if (*text == '\n') {
			text += strspn(text, "\n");
			buf_printf(out, "\n\n%*s", (int)indent, "");
			at = indent;
			continue;
		}
		n = strcspn(text, " \n");
		if (at > indent && at + 1 + n > LINE) {
			buf_printf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (at > indent) {
			buf_addc(out, ' ');
			at++;
		}
		buf_add(out, text, n);
		at += n;
		text += n;
		text += strspn(text, " ");
	}
	buf_addc(out, '\n');
}

static void
add_entry(struct buf *out, const char *name, const char *text)
{
	unsigned at = 2 + (unsigned)strlen(name);

	buf_printf(out, "  %s", name);
	if (at + 2 > HELP_COLUMN)
		buf_printf(out, "\n%*s", HELP_COLUMN, "");
	else
		buf_printf(out, "%*s", (int)(HELP_COLUMN - at), "");
	add_wrapped(out, text, HELP_COLUMN, HELP_COLUMN);
}

static void
option_name(struct buf *out, const struct cli_option *o)
{
	if (o->alias != NULL)
		buf_printf(out, "%s, ", o->alias);
	buf_adds(out, o->name);
	if (o->value != NULL)
		buf_printf(out, " %s", o->value);
}

static void
add_options(struct buf *out, const struct cli_option *o)
{
	struct buf name = { 0 };

	for (; o != NULL && o->name != NULL; o++) {
		name.len = 0;
		option_name(&name, o);
		add_entry(out, buf_str(&name), o->help);
	}
	buf_fini(&name);
}

static void
command_words(struct buf *out, const struct cli_command *c)
{
	if (c->noun != NULL)
		buf_printf(out, "%s ", c->noun);
	buf_adds(out, c->verb);
}

void
help_synopsis(struct buf *out, const struct cli_command *c)
{
	buf_adds(out, "tmail ");
	command_words(out, c);
	buf_adds(out, " [OPTION...]");
	if (c->operands != NULL)
		buf_printf(out, c->operands_min > 0 ? " %s" : " [%s]", c->operands);
}

static void
add_commands(struct buf *out, const char *noun)
{
	const struct cli_command *const *c;
	struct buf name = { 0 };

	for (c = cli_commands; *c != NULL; c++) {
		if (noun != NULL && ((*c)->noun == NULL || strcmp((*c)->noun, noun) != 0))
			continue;
		name.len = 0;
		command_words(&name, *c);
		add_entry(out, buf_str(&name), (*c)->summary);
	}
	buf_fini(&name);
}

void
help_overview(struct buf *out)
{
	const struct cli_topic *t;

	buf_adds(out, "tmail administers a running tmaild.\n\n"
	    "usage: tmail [--json] [--socket PATH | -c FILE] COMMAND...\n\ncommands:\n");
	add_commands(out, NULL);
	buf_adds(out, "\noptions of every command:\n");
	add_options(out, global_options);
	buf_adds(out, "\nsubjects:\n");
	for (t = cli_topics; t->name != NULL; t++)
		add_entry(out, t->name, t->summary);
	buf_adds(out, "\nMore: tmail help COMMAND..., tmail help SUBJECT, tmail(1)\n");
}

void
help_command(struct buf *out, const struct cli_command *c)
{
	unsigned i;

	buf_adds(out, "usage: ");
	help_synopsis(out, c);
	buf_adds(out, "\n\n");
	add_wrapped(out, c->help, 0, 0);
	for (i = 0; i < CLI_OPTION_TABLES && c->options[i] != NULL; i++) {
		if (c->options[i] == filter_options)
			buf_adds(out, "\nfilter (see tmail help filters):\n");
		else if (i == 0)
			buf_adds(out, "\noptions:\n");
		add_options(out, c->options[i]);
	}
	buf_adds(out, "\noptions of every command: --json --socket PATH -c FILE --help\n");
}

static void
help_noun(struct buf *out, const struct cli_noun *n)
{
	buf_printf(out, "%s: %s\n\n", n->name, n->summary);
	add_wrapped(out, n->help, 0, 0);
	buf_adds(out, "\ncommands:\n");
	add_commands(out, n->name);
}

static void
help_exits(struct buf *out)
{
	const struct cli_exit_text *e;
	char code[8];

	for (e = cli_exits; e->text != NULL; e++) {
		snprintf(code, sizeof code, "%d", e->code);
		add_entry(out, code, e->text);
	}
}

static const struct cli_topic *
find_topic(const char *name)
{
	const struct cli_topic *t;

	for (t = cli_topics; t->name != NULL; t++)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

static int
help_word(struct buf *out, const char *word)
{
	const struct cli_topic *t = find_topic(word);
	const struct cli_noun *n;

	for (n = cli_nouns; n->name != NULL; n++)
		if (strcmp(n->name, word) == 0) {
			help_noun(out, n);
			return 0;
		}
	if (t == NULL)
		return -1;
	if (t->help != NULL)
		add_wrapped(out, t->help, 0, 0);
	else if (strcmp(word, "exit-codes") == 0)
		help_exits(out);
	else
		help_manual(out);
	return 0;
}

int
help_find(struct buf *out, const char *const *word, unsigned count)
{
	const struct cli_command *const *c;

	if (count == 0) {
		help_overview(out);
		return 0;
	}
	if (count == 1 && help_word(out, word[0]) == 0)
		return 0;
	for (c = cli_commands; *c != NULL; c++) {
		if (count == 1 ? (*c)->noun == NULL && strcmp((*c)->verb, word[0]) == 0 :
		    count == 2 && (*c)->noun != NULL && strcmp((*c)->noun, word[0]) == 0 &&
		    strcmp((*c)->verb, word[1]) == 0) {
			help_command(out, *c);
			return 0;
		}
	}
	return -1;
}

/* Text as roff wants it: backslashes and hyphens that are meant, no line that looks like a request. */
static void
roff_text(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			buf_adds(out, "\\e");
		else if (*text == '-')
			buf_adds(out, "\\-");
		else if (*text == '\n')
			buf_adds(out, text[1] == '\n' ? "" : "\n.PP\n");
		else if ((*text == '.' || *text == '\'') && out->len > 0 && out->data[out->len - 1] == '\n')
			buf_printf(out, "\\&%c", *text);
		else
			buf_addc(out, *text);
	}
	buf_addc(out, '\n');
}

static void
roff_entry(struct buf *out, const char *name, const char *text)
{
	buf_adds(out, ".TP\n.B ");
	roff_text(out, name);
	roff_text(out, text);
}

static void
roff_options(struct buf *out, const struct cli_option *o)
{
	struct buf name = { 0 };

	for (; o != NULL && o->name != NULL; o++) {
		name.len = 0;
		option_name(&name, o);
		roff_entry(out, buf_str(&name), o->help);
	}
	buf_fini(&name);
}

static void
roff_command(struct buf *out, const struct cli_command *c)
{
	struct buf line = { 0 };
	unsigned i;

	help_synopsis(&line, c);
	buf_adds(out, ".SS ");
	roff_text(out, buf_str(&line));
	buf_fini(&line);
	roff_text(out, c->help);
	for (i = 0; i < CLI_OPTION_TABLES && c->options[i] != NULL; i++) {
		if (c->options[i] == filter_options)
			buf_adds(out, ".PP\nTakes the options of\n.BR FILTERS .\n");
		else
			roff_options(out, c->options[i]);
	}
}

static void
roff_topics(struct buf *out)
{
	const struct cli_exit_text *e;
	char code[8];

	buf_adds(out, ".SH FILTERS\n");
	roff_text(out, find_topic("filters")->help);
	roff_options(out, filter_options);
	buf_adds(out, ".SH \"EXIT STATUS\"\n");
	for (e = cli_exits; e->text != NULL; e++) {
		snprintf(code, sizeof code, "%d", e->code);
		roff_entry(out, code, e->text);
	}
	buf_adds(out, ".SH ENVIRONMENT\n");
	roff_text(out, find_topic("environment")->help);
}

void
help_manual(struct buf *out)
{
	const struct cli_command *const *c;
	const struct cli_noun *n;

	buf_adds(out, ".\\\" SPDX-License-Identifier: MIT\n.\\\" Made by \"tmail help manual-page\"; edit the tables in "
	    "src/cli instead.\n.TH TMAIL 1 2026-11-22 \"tmail\"\n.SH NAME\ntmail \\- administer a running tmaild\n"
	    ".SH SYNOPSIS\n.B tmail\n[\\fB\\-\\-json\\fR] [\\fB\\-\\-socket\\fR \\fIPATH\\fR | \\fB\\-c\\fR "
	    "\\fIFILE\\fR] \\fICOMMAND\\fR...\n.SH DESCRIPTION\n");
	roff_text(out, "tmail talks to the admin socket of tmaild on the same machine. Whoever may open that socket may do "
	    "everything described here; every change is logged with the user id that asked for it.\n\n"
	    "What mail clients and servers sent is shown with control characters escaped.");
	for (n = cli_nouns; n->name != NULL; n++) {
		buf_printf(out, ".PP\n.B %s:\n", n->name);
		roff_text(out, n->help);
	}
	buf_adds(out, ".SH OPTIONS\n");
	roff_options(out, global_options);
	buf_adds(out, ".SH COMMANDS\n");
	for (c = cli_commands; *c != NULL; c++)
		roff_command(out, *c);
	roff_topics(out);
	buf_adds(out, ".SH \"SEE ALSO\"\n.BR tmail.conf (5),\n.BR tmaild (8)\n");
}
