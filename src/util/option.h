/* SPDX-License-Identifier: MIT */
/* Option tables: every word of the configuration is a row with its type, range, default and prose. The same rows read
 * a file into structures, print what is in force, and write the manual page and the sample. */
#ifndef TMAIL_UTIL_OPTION_H
#define TMAIL_UTIL_OPTION_H

#include "util/conf.h"
#include "util/err.h"
#include "util/option_rate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct option;

/* What a type's parser gets. */
struct option_input {
	const struct option *option;
	const char *text;
	const struct place *place; /* for paths relative to the file */
	struct arena *arena;
};

/* A kind of value. The tables' owner may add kinds of its own. */
struct option_type {
	const char *name;   /* as the manual calls it: "size" */
	const char *syntax; /* a sentence for the manual */
	size_t size;        /* of one value in the structure */
	/* TEXT to the value at OUT; the error says what is wrong and what is allowed, without naming the option. */
	int (*parse)(const struct option_input *in, void *out, struct err *err);
	/* The value as it would be written, without quotes. NULL value pointers print nothing. */
	void (*print)(struct buf *b, const struct option *o, const void *value);
};

/* A word of an enumeration. */
struct option_word {
	const char *name; /* NULL ends the table */
	int value;
	bool later;       /* not built yet */
	const char *help; /* or NULL */
};

enum option_flags {
	OPTION_LIST = 1,      /* a pointer to values at `offset`, their number (unsigned) at `count_offset` */
	OPTION_EMPTY = 2,     /* the list or string may be empty */
	OPTION_REQUIRED = 4,  /* has to be written */
	OPTION_LATER = 8,     /* part of the language, not built yet: only `name` and `help` count */
	OPTION_SECRET = 32,   /* not for everybody's eyes */
	OPTION_RESTART = 64,  /* holds for the life of the process: a reload leaves it as it is. No list */
};

struct option {
	const char *name; /* NULL ends the table */
	unsigned flags;
	const struct option_type *type;
	size_t offset, count_offset;
	uint64_t min, max;               /* of numbers, sizes and durations; 0, 0: what the type can hold */
	const struct option_word *words; /* of enumerations */
	const char *fallback;            /* the default as it would be written, "a, b" for a list; NULL: zero bytes */
	const char *fallback_help;       /* where the default is computed: what it is, in words */
	const char *help;                /* sentences for the manual and the sample */
	const char *example;             /* a value for the sample where there is no default */
};

/* How every structure that a block fills begins. */
struct option_head {
	struct place place; /* of the block; file NULL: not written */
	const char *block;  /* its type */
	const char *name;   /* its title, or NULL */
};

struct option_context {
	struct arena *arena;
	struct conf_errors *errors;
	bool partial; /* the file has syntax errors: what seems to be missing may be there */
};

enum option_block_flags {
	BLOCK_TITLE = 1,          /* has a title */
	BLOCK_TITLE_OPTIONAL = 2, /* may have one */
	BLOCK_REPEAT = 4,         /* any number: `offset` and `count_offset` are an array's, which types may share */
	BLOCK_INLINE = 8,         /* fills its parent's structure, which has no place for a head of its own */
	BLOCK_REQUIRED = 16,      /* at least one */
	BLOCK_LATER = 32,         /* not built yet: only `name` and `help` count */
};

struct option_block {
	const char *name; /* NULL ends the table */
	unsigned flags;
	const struct option *options;      /* NULL: none */
	const struct option_block *blocks; /* NULL: none */
	size_t offset, count_offset;       /* in the parent's structure */
	size_t size;                       /* of one structure */
	/* After the block was read without error: the rules a single row cannot express. May be NULL. */
	void (*verify)(void *block, const struct option_context *c);
	const char *title; /* what the title is, for the manual: "name" */
	const char *help;
	const char *example;               /* lines for the sample */
};

/* Reads statements from FIRST on into TARGET, a zeroed structure described by ROOT, whose defaults are filled in
 * first. -1 when errors were reported. */
int option_apply(const struct option_block *root, const struct conf_node *first, const struct place *place,
    void *target, const struct option_context *c);

/* TARGET as a configuration, defaults included. */
enum option_style {
	OPTION_HIDE = 1, /* no secrets: what is printed then is not a whole configuration */
	OPTION_MARK = 2, /* a comment behind what is as it would be without a word */
};
void option_print(const struct option_block *root, const void *target, unsigned style, struct buf *out);

/* All blocks of the type NAME below ROOT in TARGET; one block, described by B. */
void option_print_blocks(const struct option_block *root, const char *name, const void *target, struct buf *out);
void option_print_block(const struct option_block *b, const void *block, struct buf *out);

/* Every OPTION_RESTART value of TARGET, which was just read, becomes the one of FROM. KEPT is told of each that
 * differs: its name with its block, "queue { cache }", and both values as they would be written. */
void option_keep(const struct option_block *root, void *target, const void *from, struct arena *arena,
    void (*kept)(const char *name, const char *old, const char *wanted, void *arg), void *arg);

/* The rows, and the kinds of values they use, as lists of an mdoc manual page; the rows as the body of a sample
 * file, every statement commented out. */
void option_manual(const struct option_block *root, struct buf *out);
void option_manual_types(const struct option_block *root, struct buf *out);
void option_sample(const struct option_block *root, struct buf *out);

/* The common types; the field each fills. */
extern const struct option_type option_string;    /* const char * */
extern const struct option_type option_path;      /* const char *, absolute */
extern const struct option_type option_bool;      /* bool */
extern const struct option_type option_integer;   /* uint32_t */
extern const struct option_type option_size;      /* uint64_t, bytes */
extern const struct option_type option_duration;  /* uint32_t, seconds */
extern const struct option_type option_rate;      /* struct option_rate */
extern const struct option_type option_byte_rate; /* uint64_t, bytes a second */
extern const struct option_type option_mode;      /* unsigned, permission bits */
extern const struct option_type option_enum;      /* an enum, by option.words */

/* "30s", "5min", "2h", "7d", "1w" and "25MB" (KB is 1024 bytes), outside of tables: command lines, next-hop words. */
int option_parse_duration(const char *text, uint32_t *seconds, struct err *err);
int option_parse_size(const char *text, uint64_t *bytes, struct err *err);

#endif
