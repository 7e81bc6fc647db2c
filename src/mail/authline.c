/* SPDX-License-Identifier: MIT */
#include "mail/authline.h"

#include "util/str.h"

#include <string.h>

/* "\0010" is NUL, "\0011" itself, "\001t" tab, "\001r" CR, "\001n" LF. A NUL in a name makes no sense: -1. */
static int
unescape(char *s)
{
	static const char codes[] = "1trn", bytes[] = "\001\t\r\n";
	const char *code;
	char *to = s;

	for (; *s != '\0'; s++) {
		if (*s != '\001') {
			*to++ = *s;
			continue;
		}
		s++;
		code = *s != '\0' ? strchr(codes, *s) : NULL;
		if (code == NULL)
			return -1;
		*to++ = bytes[code - codes];
	}
	*to = '\0';
	return 0;
}

static void
add_escaped(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++)
		switch (*s) {
		case '\001':
			buf_adds(out, "\0011");
			break;
		case '\t':
			buf_adds(out, "\001t");
			break;
		case '\r':
			buf_adds(out, "\001r");
			break;
		case '\n':
			buf_adds(out, "\001n");
			break;
		default:
			buf_addc(out, *s);
		}
}

/* The next field, cut off and unescaped; NULL: there is no more. *BAD: it is no field. */
static char *
field(char **rest, bool *bad)
{
	char *s = strsep(rest, "\t");

	if (s != NULL && unescape(s) < 0)
		*bad = true;
	return s;
}

static int
take_number(const char *s, uint32_t *out)
{
	uint64_t v;

	if (s == NULL || str_u64(s, strlen(s), UINT32_MAX, &v) < 0)
		return -1;
	*out = (uint32_t)v;
	return 0;
}

static void
take_parameters(char *rest, struct authline *out, bool *bad)
{
	const char *s;

	while ((s = field(&rest, bad)) != NULL) {
		if (str_starts(s, "user="))
			out->user = s + 5;
		else if (strcmp(s, "temp") == 0 || strcmp(s, "code=temp_fail") == 0)
			out->temporary = true;
	}
}

int
authline_parse(char *line, size_t n, struct authline *out)
{
	static const struct {
		const char *name;
		enum authline_type type;
	} types[] = { { "VERSION", AUTHLINE_VERSION }, { "MECH", AUTHLINE_MECH }, { "DONE", AUTHLINE_DONE },
		{ "OK", AUTHLINE_OK }, { "FAIL", AUTHLINE_FAIL }, { "CONT", AUTHLINE_CONT } };
	bool bad = false;
	char *rest = line;
	const char *name;
	unsigned i;

	memset(out, 0, sizeof *out);
	line[n] = '\0';
	if (memchr(line, '\0', n) != NULL)
		return -1;
	name = field(&rest, &bad);
	for (i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(name, types[i].name) == 0)
			out->type = types[i].type;
	switch (out->type) {
	case AUTHLINE_VERSION:
		bad = take_number(field(&rest, &bad), &out->major) < 0 || bad;
		break;
	case AUTHLINE_MECH:
		out->word = field(&rest, &bad);
		bad = bad || out->word == NULL;
		break;
	case AUTHLINE_OK:
	case AUTHLINE_FAIL:
		bad = take_number(field(&rest, &bad), &out->id) < 0 || bad;
		take_parameters(rest, out, &bad);
		break;
	case AUTHLINE_CONT:
		bad = take_number(field(&rest, &bad), &out->id) < 0 || bad;
		out->word = field(&rest, &bad);
		if (out->word == NULL)
			out->word = "";
		break;
	case AUTHLINE_OTHER:
	case AUTHLINE_DONE:
		break;
	}
	return bad ? -1 : 0;
}

void
authline_add_auth(struct buf *out, uint32_t id, const char *mechanism, const struct authline_client *client,
    const char *initial)
{
	buf_printf(out, "AUTH\t%u\t%s\tservice=smtp\tnologin", id, mechanism);
	if (client->rip != NULL) {
		buf_adds(out, "\trip=");
		add_escaped(out, client->rip);
		buf_printf(out, "\trport=%u", client->rport);
	}
	if (client->lip != NULL) {
		buf_adds(out, "\tlip=");
		add_escaped(out, client->lip);
		buf_printf(out, "\tlport=%u", client->lport);
	}
	if (client->secured)
		buf_adds(out, "\tsecured");
	/* Has to be the last one. */
	if (initial != NULL)
		buf_printf(out, "\tresp=%s", initial);
	buf_addc(out, '\n');
}

void
authline_add_cont(struct buf *out, uint32_t id, const char *base64)
{
	buf_printf(out, "CONT\t%u\t%s\n", id, base64);
}
