/* SPDX-License-Identifier: MIT */
#include "util/conf.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/conf_lex.h"
#include "util/file.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file being read, and the one whose include led to it. */
struct source {
	const struct source *outer;
	dev_t dev;
	ino_t ino;
	unsigned depth;
};

struct parser {
	struct conf_lexer lexer;
	struct conf_token tok, next;
	const struct source *source; /* NULL: not a file, nothing to include */
	unsigned *files;             /* read so far, in all */
	int last_value;              /* line on which the last value stood, for a hint */
};

static struct conf_node **parse_statements(struct parser *p, struct conf_node **tail, unsigned depth);
static struct conf_node **load_file(struct arena *arena, const char *path, const struct source *outer, unsigned *files,
    const struct place *from, struct conf_node **tail, struct conf_errors *errors);

void
conf_error(struct conf_errors *e, const struct place *p, const char *fmt, ...)
{
	va_list ap;

	if (e->count++ > CONF_ERRORS_MAX)
		return;
	if (p->line > 0)
		buf_printf(e->out, "%s:%d: ", p->file, p->line);
	else
		buf_printf(e->out, "%s: ", p->file);
	if (e->count > CONF_ERRORS_MAX) {
		buf_adds(e->out, "there are more errors, which are not shown\n");
		return;
	}
	va_start(ap, fmt);
	buf_vprintf(e->out, fmt, ap);
	va_end(ap);
	buf_addc(e->out, '\n');
}

static void
advance(struct parser *p)
{
	p->tok = p->next;
	p->next = conf_lex(&p->lexer);
}

static struct place
here(const struct parser *p)
{
	return (struct place){ p->lexer.place.file, p->tok.line };
}

#define error_at(p, at, ...) conf_error((p)->lexer.errors, at, __VA_ARGS__)

/* The token as a message names it. */
static const char *
shown(const struct parser *p)
{
	static const char *const name[] = { "the end of the file", "", "'='", "'{'", "'}'", "','" };

	if (p->tok.kind == CONF_WORD)
		return arena_printf(p->lexer.arena, "'%.80s'", p->tok.text);
	return name[p->tok.kind];
}

/* After an error on LINE: on to the next line that could begin a statement of this block, or the block's end. */
static void
resync(struct parser *p, int line)
{
	unsigned open = 0;

	while (p->tok.kind != CONF_END) {
		if (open == 0 && (p->tok.kind == CONF_CLOSE || (p->tok.leads && p->tok.line > line)))
			return;
		if (p->tok.kind == CONF_OPEN)
			open++;
		else if (p->tok.kind == CONF_CLOSE)
			open--;
		advance(p);
	}
}

static struct conf_node *
node_new(struct parser *p, const char *key, int line)
{
	struct conf_node *n = arena_zalloc(p->lexer.arena, sizeof *n);

	n->place = (struct place){ p->lexer.place.file, line };
	n->key = key;
	return n;
}

/* Room doubles; the pieces left behind go with the arena. */
static void
add_value(struct parser *p, struct conf_node *n)
{
	struct conf_value *more;

	if ((n->count & (n->count - 1)) == 0) {
		more = arena_alloc(p->lexer.arena, (n->count ? n->count * 2 : 1) * sizeof *more);
		if (n->count > 0)
			memcpy(more, n->value, n->count * sizeof *more);
		n->value = more;
	}
	n->value[n->count++] = (struct conf_value){ p->tok.text, p->tok.line };
}

/* Past the '}' that belongs to a '{' already behind us. */
static void
skip_block(struct parser *p)
{
	unsigned open = 1;

	while (open > 0 && p->tok.kind != CONF_END) {
		if (p->tok.kind == CONF_OPEN)
			open++;
		else if (p->tok.kind == CONF_CLOSE)
			open--;
		advance(p);
	}
}

/* A token that no list holds. False: the list ends here. */
static bool
list_error(struct parser *p, struct conf_node *n, int opened)
{
	struct place at = here(p);

	if (p->tok.kind == CONF_WORD && (n->count == 0 || !p->tok.leads)) {
		error_at(p, &at,
		    "'%.80s = {' begins a list of values, but %s = follows; a block is written without '='", n->key,
		    shown(p));
		skip_block(p);
		return false;
	}
	if (p->tok.kind == CONF_WORD || p->tok.kind == CONF_END) {
		error_at(p, &at, "the list '%.80s = {' of line %d is not closed before %s", n->key, opened, shown(p));
		return false;
	}
	error_at(p, &at, "%s in the list of '%.80s': values are separated by one comma, lists hold no lists", shown(p),
	    n->key);
	if (p->tok.kind == CONF_OPEN) {
		advance(p);
		skip_block(p);
	} else {
		advance(p);
	}
	return true;
}

/* Behind the '{' of a list. */
static bool
parse_list(struct parser *p, struct conf_node *n, int opened)
{
	struct place at;

	n->list = true;
	while (p->tok.kind != CONF_CLOSE) {
		if (p->tok.kind != CONF_WORD || p->next.kind == CONF_EQUALS) {
			if (!list_error(p, n, opened))
				return false;
			continue;
		}
		add_value(p, n);
		advance(p);
		if (p->tok.kind == CONF_COMMA) {
			advance(p);
		} else if (p->tok.kind == CONF_WORD && p->next.kind != CONF_EQUALS) {
			at = here(p);
			error_at(p, &at, "a comma is missing before %s in the list of '%.80s'", shown(p), n->key);
		}
	}
	p->last_value = p->tok.line;
	advance(p);
	return true;
}

/* Behind the '='. */
static bool
parse_value(struct parser *p, struct conf_node *n)
{
	struct place at = here(p);
	int opened = p->tok.line;
	bool names_statement = p->next.kind == CONF_EQUALS || p->next.kind == CONF_OPEN;

	if (p->tok.kind == CONF_OPEN) {
		advance(p);
		return parse_list(p, n, opened);
	}
	if (p->tok.kind != CONF_WORD || (p->tok.leads && names_statement)) {
		error_at(p, &n->place, "'%.80s' has no value", n->key);
		if (p->tok.kind != CONF_WORD)
			resync(p, n->place.line);
		return false;
	}
	if (p->next.kind == CONF_EQUALS && !p->next.leads && p->tok.line == n->place.line) {
		/* key = word = ...: most likely an unquoted value holding '='. */
		error_at(p, &at, "the value of '%.80s' holds '=': write it in double quotes", n->key);
		resync(p, at.line);
		return false;
	}
	add_value(p, n);
	p->last_value = p->tok.line;
	advance(p);
	if (p->tok.kind == CONF_COMMA) {
		error_at(p, &at, "several values of '%.80s' are written in braces: %.80s = { %.80s, ... }", n->key,
		    n->key, n->value->text);
		resync(p, at.line);
		return false;
	}
	return true;
}

const char *
conf_path(struct arena *arena, const char *file, const char *text)
{
	const char *slash = file != NULL ? strrchr(file, '/') : NULL;
	const char *folder = slash != NULL ? arena_strndup(arena, file, (size_t)(slash - file) + 1) : "";
	char cwd[4096];

	if (*text == '/')
		return text;
	if (*folder == '/' || getcwd(cwd, sizeof cwd) == NULL)
		return arena_printf(arena, "%s%s", folder, text);
	return arena_printf(arena, "%s/%s%s", strcmp(cwd, "/") == 0 ? "" : cwd, folder, text);
}

static struct conf_node **
parse_include(struct parser *p, struct conf_node **tail)
{
	struct conf_lexer *l = &p->lexer;
	struct place at = here(p);
	struct buf names = { 0 };
	const char *pattern;
	size_t i;

	advance(p);
	pattern = p->tok.text;
	if (p->source == NULL) {
		error_at(p, &at, "include works in files only");
	} else {
		pattern = conf_path(l->arena, l->place.file, pattern);
		if (file_glob(pattern, &names)) {
			for (i = 0; i < names.len; i += strlen(names.data + i) + 1)
				tail = load_file(l->arena, arena_strdup(l->arena, names.data + i), p->source, p->files,
				    &at, tail, l->errors);
		} else if (strpbrk(pattern, "*?[") == NULL) {
			error_at(p, &at, "include: there is no file %s", pattern);
		}
	}
	buf_fini(&names);
	advance(p);
	return tail;
}

static struct conf_node **
parse_block(struct parser *p, struct conf_node *n, struct conf_node **tail, unsigned depth)
{
	struct place at;

	n->block = true;
	*tail = n;
	advance(p);
	if (depth >= CONF_DEPTH_MAX) {
		error_at(p, &n->place, "blocks are nested deeper than %d", CONF_DEPTH_MAX);
		while (p->tok.kind != CONF_END)
			advance(p);
		return &n->next;
	}
	parse_statements(p, &n->first, depth + 1);
	if (p->tok.kind == CONF_CLOSE) {
		advance(p);
	} else {
		at = here(p);
		error_at(
		    p, &at, "the block '%.80s {' of line %d is not closed: a '}' is missing", n->key, n->place.line);
	}
	return &n->next;
}

/* A word that is followed neither by '=' nor by '{' nor by a title. */
static void
stray_word(struct parser *p)
{
	struct place at = here(p);
	bool after_value = p->last_value == p->tok.line;

	error_at(p, &at, "%s stands alone: '%.80s = value' or '%.80s { ... }' is expected%s", shown(p), p->tok.text,
	    p->tok.text, after_value ? "; a value with white space needs quotes" : "");
	advance(p);
	resync(p, at.line);
}

static struct conf_node **
parse_statement(struct parser *p, struct conf_node **tail, unsigned depth)
{
	struct place at = here(p);
	struct conf_node *n;

	if (p->tok.kind != CONF_WORD || p->tok.quoted) {
		error_at(p, &at, "%s stands where a key or the type of a block is expected%s", shown(p),
		    p->tok.quoted ? " (these are never quoted)" : "");
		advance(p);
		resync(p, at.line);
		return tail;
	}
	n = node_new(p, p->tok.text, p->tok.line);
	if (p->next.kind == CONF_EQUALS) {
		advance(p);
		advance(p);
		if (!parse_value(p, n))
			return tail;
		*tail = n;
		return &n->next;
	}
	if (p->next.kind == CONF_OPEN) {
		advance(p);
		return parse_block(p, n, tail, depth);
	}
	if (p->next.kind != CONF_WORD || p->next.line != p->tok.line) {
		stray_word(p);
		return tail;
	}
	if (strcmp(n->key, "include") == 0)
		return parse_include(p, tail);
	n->title = p->next.text;
	advance(p);
	if (p->next.kind != CONF_OPEN) {
		error_at(p, &at, "'%.80s %.80s': '%.80s = value' or '%.80s %.80s { ... }' is expected", n->key,
		    n->title, n->key, n->key, n->title);
		advance(p);
		resync(p, at.line);
		return tail;
	}
	advance(p);
	return parse_block(p, n, tail, depth);
}

/* Until the end of the block or file, which is not consumed. Returns the new tail. */
static struct conf_node **
parse_statements(struct parser *p, struct conf_node **tail, unsigned depth)
{
	struct place at;

	for (;;) {
		if (p->tok.kind == CONF_END || (p->tok.kind == CONF_CLOSE && depth > 0))
			return tail;
		if (p->tok.kind == CONF_CLOSE) {
			at = here(p);
			error_at(p, &at, "'}' closes nothing");
			advance(p);
			continue;
		}
		tail = parse_statement(p, tail, depth);
	}
}

static struct conf_node **
parse_text(struct arena *arena, const char *name, const char *text, size_t n, const struct source *source,
    unsigned *files, struct conf_node **tail, struct conf_errors *errors)
{
	struct parser p = { .source = source, .files = files };

	conf_lexer_init(&p.lexer, arena, name, text, n, errors);
	advance(&p);
	advance(&p);
	return parse_statements(&p, tail, 0);
}

/* Why PATH cannot be read in here, or 0. */
static int
refuse_source(const char *path, const struct source *outer, unsigned files, struct source *self, struct err *err)
{
	const struct source *s;
	struct stat st = { 0 };

	/* What is replayed was read once before, so that it cannot include itself. */
	if (!file_is_replayed() && stat(path, &st) < 0)
		return err_sys(err, "cannot read %s", path);
	if (S_ISDIR(st.st_mode))
		return err_set(err, "%s is a folder: include \"%s/*.conf\" reads what is in it", path, path);
	if (files >= CONF_FILES_MAX)
		return err_set(err, "more than %d files are included", CONF_FILES_MAX);
	*self = (struct source){ outer, st.st_dev, st.st_ino, outer != NULL ? outer->depth + 1 : 0 };
	if (self->depth > CONF_INCLUDE_MAX)
		return err_set(err, "includes are nested deeper than %d", CONF_INCLUDE_MAX);
	for (s = outer; s != NULL && !file_is_replayed(); s = s->outer)
		if (s->dev == self->dev && s->ino == self->ino)
			return err_set(err, "%s includes itself", path);
	return 0;
}

static struct conf_node **
load_file(struct arena *arena, const char *path, const struct source *outer, unsigned *files, const struct place *from,
    struct conf_node **tail, struct conf_errors *errors)
{
	struct buf text = { 0 };
	struct source self;
	struct err err;

	if (refuse_source(path, outer, *files, &self, &err) < 0 || file_read(path, CONF_FILE_MAX, &text, &err) < 0) {
		conf_error(errors, from, "%s", err.text);
	} else {
		(*files)++;
		tail =
		    parse_text(arena, path, text.data != NULL ? text.data : "", text.len, &self, files, tail, errors);
	}
	buf_fini(&text);
	return tail;
}

int
conf_parse(struct arena *arena, const char *name, const char *text, size_t n, struct conf_node **first,
    struct conf_errors *errors)
{
	unsigned files = 0, before = errors->count;

	*first = NULL;
	if (n > CONF_FILE_MAX) {
		conf_error(errors, &(struct place){ name, 0 }, "larger than %d bytes", CONF_FILE_MAX);
		return -1;
	}
	parse_text(arena, name, text, n, NULL, &files, first, errors);
	return errors->count > before ? -1 : 0;
}

int
conf_load(struct arena *arena, const char *path, struct conf_node **first, struct conf_errors *errors)
{
	unsigned files = 0, before = errors->count;

	*first = NULL;
	load_file(arena, path, NULL, &files, &(struct place){ path, 0 }, first, errors);
	return errors->count > before ? -1 : 0;
}
