/* SPDX-License-Identifier: MIT */
#include "mail/command.h"

#include "util/str.h"

#include <string.h>

static int
bad(const char **why, const char *text)
{
	if (why != NULL)
		*why = text;
	return -1;
}

int
command_split(const char *line, size_t n, struct command *out, const char **why)
{
	size_t i;

	memset(out, 0, sizeof *out);
	while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	for (i = 0; i < n; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			return bad(why, "control character in the command");
		if ((unsigned char)line[i] > 127)
			out->eight_bit = true;
	}
	for (i = 0; i < n && ascii_is_alnum(line[i]); i++)
		;
	if (i == 0 || (i < n && line[i] != ' '))
		return bad(why, "command not recognized");
	out->verb = line;
	out->verb_len = i;
	while (i < n && line[i] == ' ')
		i++;
	out->args = line + i;
	out->args_len = n - i;
	return 0;
}

bool
command_is(const struct command *c, const char *verb)
{
	return strlen(verb) == c->verb_len && str_nieq(c->verb, verb, c->verb_len);
}

const char *
command_after(const struct command *c, const char *keyword, size_t *len)
{
	size_t n = strlen(keyword);

	if (c->args_len < n || !str_nieq(c->args, keyword, n))
		return NULL;
	while (n < c->args_len && c->args[n] == ' ')
		n++;
	*len = c->args_len - n;
	return c->args + n;
}
