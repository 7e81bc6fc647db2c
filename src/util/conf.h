/* SPDX-License-Identifier: MIT */
/* The configuration language: text to a tree of statements, each with its file and line. What the words mean is told
 * by option tables (util/option.h).
 *
 *	key = value             key = { value, value }
 *	type [title] { ... }    include "glob"
 *
 * White space and line ends only separate. A bare word runs to white space or one of { } = , and a # begins a comment
 * wherever a word could begin. In "..." only \" and \\ are escapes, '...' is verbatim; neither spans lines. */
#ifndef TMAIL_UTIL_CONF_H
#define TMAIL_UTIL_CONF_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct buf;

/* Where a statement stands, for messages ("tmail.conf:12"). */
struct place {
	const char *file;
	int line;
};

enum {
	CONF_FILE_MAX = 16 << 20, /* bytes in one file */
	CONF_FILES_MAX = 20000,   /* files in all */
	CONF_DEPTH_MAX = 16,      /* blocks in blocks */
	CONF_INCLUDE_MAX = 8,     /* files in files */
	CONF_ERRORS_MAX = 100     /* then one line saying that there are more */
};

/* Where errors go: one line each, "file:line: text". */
struct conf_errors {
	struct buf *out;
	unsigned count;
};

void conf_error(struct conf_errors *e, const struct place *p, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

struct conf_value {
	const char *text;
	int line;
};

/* One statement. */
struct conf_node {
	struct conf_node *next;
	struct place place;
	const char *key;          /* the key, or the type of a block */
	bool block;
	const char *title;        /* of a block; NULL: none */
	struct conf_node *first;  /* of a block: its statements, in order */
	struct conf_value *value; /* of a key */
	unsigned count;
	bool list;                /* written as { ... }; may be empty */
};

/* Parse N bytes of TEXT, called NAME in messages. The tree lives in ARENA. Goes on after an error, so that all are
 * told; -1 if there was one, *FIRST then holds what could be understood. An include is refused here. */
int conf_parse(struct arena *arena, const char *name, const char *text, size_t n, struct conf_node **first,
    struct conf_errors *errors);

/* The same for the file PATH, includes followed: globs are relative to the file they stand in and sorted by bytes; one
 * that matches nothing is an error only without wildcards; a file that includes itself is refused. */
int conf_load(struct arena *arena, const char *path, struct conf_node **first, struct conf_errors *errors);

/* TEXT, which stands in FILE, as a path: relative ones start at the file's folder. NULL FILE: at the current one. */
const char *conf_path(struct arena *arena, const char *file, const char *text);

#endif
