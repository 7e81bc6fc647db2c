/* SPDX-License-Identifier: MIT */
/* The `tmail` command: tables of commands and options that carry their own documentation. Help, manual page and
 * parser all read these tables, so none of them can say what another does not. */
#ifndef TMAIL_CLI_CLI_H
#define TMAIL_CLI_CLI_H

#include "util/json.h"

#include <stdbool.h>

/* Documented in cli_exits[]. */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_UNREACHABLE = 3,
	CLI_NOTHING = 4,
	CLI_UNCONFIRMED = 5,
};

struct cli_exit_text {
	enum cli_exit code;
	const char *text;
};
extern const struct cli_exit_text cli_exits[]; /* ends with a row without text */

enum option_kind { OPTION_FLAG = 1, OPTION_TEXT, OPTION_TIME, OPTION_COUNT, OPTION_ID, OPTION_STATES };

struct cli_option {
	const char *name;  /* "--older"; a table ends with a row without name */
	const char *alias; /* "-c", or NULL */
	const char *value; /* what its value is called: "TIME"; NULL for a flag */
	enum option_kind kind;
	const char *arg;   /* its name in the request's arguments, or NULL: for the program itself */
	const char *help;
};

extern const struct cli_option global_options[], filter_options[], bulk_options[];

enum { CLI_OPTION_TABLES = 4 };

struct cli;

struct cli_command {
	const char *noun, *verb; /* verbs at the top level have no noun */
	const char *operands;    /* as in the synopsis: "ID...", or NULL */
	unsigned operands_min, operands_max;
	const struct cli_option *options[CLI_OPTION_TABLES]; /* besides the global ones */
	const char *request;     /* name of the command on the admin socket, or NULL */
	const char *summary;     /* one line, no full stop */
	const char *help;        /* whole sentences; paragraphs are separated by an empty line */
	enum cli_exit (*run)(struct cli *cli);
};

extern const struct cli_command *const cli_commands[]; /* ends with NULL */

struct cli_noun {
	const char *name, *summary, *help;
};
extern const struct cli_noun cli_nouns[]; /* ends with a row without name */

/* A subject `tmail help` knows that is no command. */
struct cli_topic {
	const char *name, *summary, *help; /* help NULL: made from tables */
};
extern const struct cli_topic cli_topics[];

/* What was asked for. */
struct cli {
	const struct cli_command *command; /* NULL: help or version is all that is wanted */
	json_t *args;      /* arguments of the request */
	json_t *own;       /* options for the program, by name */
	const char **operand;
	unsigned operand_count;
	bool help, version;
};

/* Is the option --NAME, which is for the program itself, given? Its value, or NULL. */
bool cli_has(const struct cli *cli, const char *name);
const char *cli_value(const struct cli *cli, const char *name);

/* Reads ARGV into CLI. CLI_OK, or CLI_USAGE with the reason on standard error. cli_fini() in either case. */
enum cli_exit cli_parse(struct cli *cli, int argc, char **argv);
void cli_fini(struct cli *cli);

/* All of main(). */
int cli_main(int argc, char **argv);

/* "tmail: " and the text on standard error; returns CODE. */
enum cli_exit cli_error(enum cli_exit code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
