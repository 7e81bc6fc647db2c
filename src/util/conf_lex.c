/* SPDX-License-Identifier: MIT */
#include "util/conf_lex.h"
#include "util/arena.h"

#include <string.h>

void
conf_lexer_init(struct conf_lexer *l, struct arena *arena, const char *file, const char *text, size_t n,
    struct conf_errors *errors)
{
	*l = (struct conf_lexer){ .at = text, .end = text + n, .place = { file, 1 }, .fresh = true, .arena = arena,
		.errors = errors };
	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		l->at += 3; /* an editor's byte order mark */
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_control(char c)
{
	return ((unsigned char)c < ' ' && !is_space(c)) || c == 0x7f;
}

static bool
is_punctuation(char c)
{
	return c == '{' || c == '}' || c == '=' || c == ',';
}

static void
skip_line(struct conf_lexer *l)
{
	while (l->at < l->end && *l->at != '\n')
		l->at++;
}

/* To where a token begins: white space, comments, and bytes that no configuration holds. */
static void
skip_blank(struct conf_lexer *l)
{
	char c;

	while (l->at < l->end) {
		c = *l->at;
		if (c == '#') {
			skip_line(l);
			continue;
		}
		if (is_control(c)) {
			conf_error(
			    l->errors, &l->place, "the byte 0x%02x cannot stand in a configuration", (unsigned char)c);
			skip_line(l);
			continue;
		}
		if (!is_space(c))
			return;
		if (c == '\n') {
			l->place.line++;
			l->fresh = true;
		}
		l->at++;
	}
}

static const char *
bare_word(struct conf_lexer *l)
{
	const char *start = l->at;

	while (l->at < l->end && !is_space(*l->at) && !is_punctuation(*l->at) && !is_control(*l->at))
		l->at++;
	return arena_strndup(l->arena, start, (size_t)(l->at - start));
}

static bool
ends_token(const struct conf_lexer *l)
{
	return l->at == l->end || is_space(*l->at) || is_punctuation(*l->at) || *l->at == '#';
}

static bool
is_escape(const char *p, const char *end)
{
	return *p == '\\' && end - p > 1 && (p[1] == '"' || p[1] == '\\');
}

static const char *
quoted_word(struct conf_lexer *l)
{
	char quote = *l->at++, *out, *p;
	const char *s = l->at;
	bool escapes = quote == '"';

	while (l->at < l->end && *l->at != quote && *l->at != '\n' && !is_control(*l->at))
		l->at += escapes && is_escape(l->at, l->end) ? 2 : 1;
	p = out = arena_alloc(l->arena, (size_t)(l->at - s) + 1);
	while (s < l->at) {
		if (escapes && is_escape(s, l->at))
			s++;
		*p++ = *s++;
	}
	*p = '\0';
	if (l->at == l->end || *l->at != quote) {
		conf_error(l->errors, &l->place, "the %s quote here is not closed on its line",
		    quote == '"' ? "double" : "single");
		skip_line(l);
		return out;
	}
	l->at++;
	if (!ends_token(l))
		conf_error(l->errors, &l->place, "white space is missing after the closing quote of \"%.80s\"", out);
	return out;
}

struct conf_token
conf_lex(struct conf_lexer *l)
{
	struct conf_token t = { .kind = CONF_END };

	skip_blank(l);
	t.line = l->place.line;
	t.leads = l->fresh;
	l->fresh = false;
	if (l->at == l->end)
		return t;
	switch (*l->at) {
	case '{':
		t.kind = CONF_OPEN;
		l->at++;
		break;
	case '}':
		t.kind = CONF_CLOSE;
		l->at++;
		break;
	case '=':
		t.kind = CONF_EQUALS;
		l->at++;
		break;
	case ',':
		t.kind = CONF_COMMA;
		l->at++;
		break;
	case '"':
	case '\'':
		t.kind = CONF_WORD;
		t.quoted = true;
		t.text = quoted_word(l);
		break;
	default:
		t.kind = CONF_WORD;
		t.text = bare_word(l);
	}
	return t;
}
