/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "directory/password.h"
#include "mail/sasl.h"
#include "util/str.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* One line of standard input, without its end. -1: there is none. */
static int
read_line(struct buf *line)
{
	ssize_t n;
	char c;

	while ((n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n' && line->len <= SASL_PASSWORD_MAX)
		buf_addc(line, c);
	if (line->len > 0 && line->data[line->len - 1] == '\r')
		line->len--;
	return n < 0 || (n == 0 && line->len == 0) ? -1 : 0;
}

/* The same from a person: nothing shows on the terminal, and it is as before whatever comes. */
static int
ask(const char *prompt, struct buf *line)
{
	struct termios shown, hidden;
	sigset_t all, old;
	int rc;

	if (tcgetattr(STDIN_FILENO, &shown) < 0)
		return -1;
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	fputs(prompt, stderr);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	rc = read_line(line);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
	sigprocmask(SIG_SETMASK, &old, NULL);
	fputc('\n', stderr);
	return rc;
}

static enum cli_exit
read_password(struct buf *password)
{
	struct buf again = { 0 };
	bool same;

	if (isatty(STDIN_FILENO) != 1)
		return read_line(password) < 0 ? cli_error(CLI_FAILED, "no password on standard input") : CLI_OK;
	if (ask("Password: ", password) < 0 || ask("Once more: ", &again) < 0)
		return cli_error(CLI_FAILED, "cannot read the password: %s", strerror(errno));
	same = again.len == password->len && memcmp(buf_str(&again), buf_str(password), again.len) == 0;
	sasl_forget(&again);
	return same ? CLI_OK : cli_error(CLI_FAILED, "the two are not the same");
}

static enum cli_exit
print_hash(const struct buf *password, enum password_scheme scheme)
{
	struct buf out = { 0 };
	struct err err;
	int rc;

	if (password->len == 0 || password->len > SASL_PASSWORD_MAX || memchr(password->data, '\0', password->len) != NULL)
		return cli_error(CLI_FAILED, "a password has 1 to %d characters", SASL_PASSWORD_MAX);
	rc = password_hash(scheme, password->data, password->len, &out, &err);
	if (rc == 0)
		printf("%s\n", buf_str(&out));
	buf_fini(&out);
	return rc == 0 ? CLI_OK : cli_error(CLI_FAILED, "%s", err.text);
}

static enum cli_exit
run_hash(struct cli *cli)
{
	const char *wanted = cli_value(cli, "--scheme");
	enum password_scheme scheme = PASSWORD_SCRAM;
	struct buf password = { 0 };
	enum cli_exit rc;

	if (wanted != NULL && str_ieq(wanted, "argon2id"))
		scheme = PASSWORD_ARGON2ID;
	else if (wanted != NULL && !str_ieq(wanted, "scram-sha-256"))
		return cli_error(CLI_USAGE, "--scheme is scram-sha-256 or argon2id");
	rc = read_password(&password);
	if (rc == CLI_OK)
		rc = print_hash(&password, scheme);
	sasl_forget(&password);
	return rc;
}

static const struct cli_option hash_options[] = {
	{ "--scheme", NULL, "SCHEME", OPTION_TEXT, NULL, "scram-sha-256 (the default) or argon2id." },
	{ 0 },
};

const struct cli_command cmd_user_hash = {
	.noun = "user",
	.verb = "hash",
	.options = { hash_options },
	.summary = "make what a user block keeps of a password",
	.help = "Reads a password, twice from a terminal and without showing it, else the first line of standard input, and "
	    "prints what user { password = \"...\" } takes. Every call prints another text, all for the same password.\n\n"
	    "A scram-sha-256 verifier serves every mechanism. An argon2id hash costs who steals it more, but clients have to "
	    "tell the password itself (PLAIN, LOGIN).",
	.run = run_hash,
};
