/* SPDX-License-Identifier: MIT */
/* Words and punctuation of the configuration language; used by conf.c alone. */
#ifndef TMAIL_UTIL_CONF_LEX_H
#define TMAIL_UTIL_CONF_LEX_H

#include "util/conf.h"

enum conf_token_kind { CONF_END, CONF_WORD, CONF_EQUALS, CONF_OPEN, CONF_CLOSE, CONF_COMMA };

struct conf_token {
	enum conf_token_kind kind;
	const char *text; /* of a word, unquoted; in the arena */
	bool quoted;
	bool leads; /* first on its line */
	int line;
};

struct conf_lexer {
	const char *at, *end;
	struct place place;
	bool fresh; /* nothing but white space so far on this line */
	struct arena *arena;
	struct conf_errors *errors;
};

void conf_lexer_init(struct conf_lexer *l, struct arena *arena, const char *file, const char *text, size_t n,
    struct conf_errors *errors);

/* The next token. What cannot stand in a configuration is reported and skipped. */
struct conf_token conf_lex(struct conf_lexer *l);

#endif
