/* SPDX-License-Identifier: MIT */
#include "util/option.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/map.h"
#include "util/suggest.h"

#include <string.h>

/* One block being read. */
struct pass {
	const struct option_block *block;
	void *target;
	const struct option_context *c;
	const struct place **key_seen, **block_seen; /* by row: where it stood first */
	struct map titles;
};

struct title {
	struct map_link link;
	const struct option_block *block;
	const struct conf_node *node;
};

static void read_block(const struct option_block *b, const struct conf_node *first, const struct place *place,
    void *target, const struct option_context *c);

static void *
at(void *target, size_t offset)
{
	return (char *)target + offset;
}

static const struct option *
find_option(const struct option_block *b, const char *name)
{
	const struct option *o;

	for (o = b->options; o != NULL && o->name != NULL; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

static const struct option_block *
find_block(const struct option_block *b, const char *name)
{
	const struct option_block *sub;

	for (sub = b->blocks; sub != NULL && sub->name != NULL; sub++)
		if (strcmp(sub->name, name) == 0)
			return sub;
	return NULL;
}

static void
unknown(struct pass *p, const struct conf_node *n)
{
	const struct option_block *sub;
	const struct option *o;
	struct buf allowed = { 0 }, where = { 0 };
	struct suggest near;

	suggest_init(&near, n->key);
	for (o = p->block->options; o != NULL && o->name != NULL; o++) {
		suggest_try(&near, o->name);
		if (!(o->flags & OPTION_LATER))
			buf_printf(&allowed, "%s%s", allowed.len ? ", " : "", o->name);
	}
	for (sub = p->block->blocks; sub != NULL && sub->name != NULL; sub++) {
		suggest_try(&near, sub->name);
		if (!(sub->flags & BLOCK_LATER))
			buf_printf(&allowed, "%s%s { }", allowed.len ? ", " : "", sub->name);
	}
	if (p->block->name != NULL)
		buf_printf(&where, " in %s { }", p->block->name);
	if (near.best != NULL)
		conf_error(p->c->errors, &n->place, "'%.80s' is unknown%s, did you mean '%s'?", n->key, buf_str(&where),
		    near.best);
	else
		conf_error(p->c->errors, &n->place, "'%.80s' is unknown%s; allowed are %s", n->key, buf_str(&where),
		    buf_str(&allowed));
	buf_fini(&allowed);
	buf_fini(&where);
}

static int
parse_one(const struct option *o, const char *text, const struct place *place, void *out,
    const struct option_context *c)
{
	struct option_input in = { o, text, place, c->arena };
	struct err err;

	if (o->type->parse(&in, out, &err) == 0)
		return 0;
	check(c->errors != NULL); /* a default that does not parse is a bug in its table */
	conf_error(c->errors, place, "'%s = %.80s': %s", o->name, *text != '\0' ? text : "\"\"", err.text);
	return -1;
}

/* Does the statement hold as many values as the row wants? */
static bool
right_number(const struct option *o, const struct conf_node *n, const struct option_context *c)
{
	if (n->count == 0 && !((o->flags & OPTION_LIST) && (o->flags & OPTION_EMPTY)))
		conf_error(c->errors, &n->place, "'%s = { }': the list is empty", o->name);
	else if (!(o->flags & OPTION_LIST) && n->list)
		conf_error(c->errors, &n->place, "'%s' takes one value, without braces", o->name);
	else
		return true;
	return false;
}

static void
read_values(const struct option *o, const struct conf_node *n, void *target, const struct option_context *c)
{
	size_t size = o->type->size;
	struct place place = n->place;
	char *out = at(target, o->offset);
	unsigned i;

	if (!right_number(o, n, c))
		return;
	if (o->flags & OPTION_LIST) {
		out = arena_zalloc(c->arena, n->count * size);
		*(void **)at(target, o->offset) = out;
		*(unsigned *)at(target, o->count_offset) = n->count;
	}
	for (i = 0; i < n->count; i++) {
		place.line = n->value[i].line;
		parse_one(o, n->value[i].text, &place, out + i * size, c);
	}
}

static bool
seen_twice(const struct place **seen, const struct conf_node *n, const struct option_context *c)
{
	if (*seen != NULL) {
		conf_error(
		    c->errors, &n->place, "'%s' is given twice, first at %s:%d", n->key, (*seen)->file, (*seen)->line);
		return true;
	}
	*seen = &n->place;
	return false;
}

static void
read_key(struct pass *p, const struct conf_node *n)
{
	const struct option *o = find_option(p->block, n->key);
	const struct option_block *sub;

	if (o == NULL) {
		sub = find_block(p->block, n->key);
		if (sub != NULL)
			conf_error(p->c->errors, &n->place, "'%s' is a block: %s%s { ... }, without '='", n->key,
			    n->key, sub->flags & BLOCK_TITLE ? " NAME" : "");
		else
			unknown(p, n);
		return;
	}
	if (o->flags & OPTION_LATER)
		conf_error(p->c->errors, &n->place, "'%s' is not built yet", n->key);
	else if (!seen_twice(&p->key_seen[o - p->block->options], n, p->c))
		read_values(o, n, p->target, p->c);
}

static bool
title_is_new(struct pass *p, const struct option_block *b, const struct conf_node *n)
{
	uint64_t hash = hash_bytes(n->title, strlen(n->title));
	struct map_link *l;
	struct title *t;

	for (l = map_first(&p->titles, hash); l != NULL; l = map_next(l)) {
		t = (struct title *)(void *)((char *)l - offsetof(struct title, link));
		if (t->block != b || strcmp(t->node->title, n->title) != 0)
			continue;
		conf_error(p->c->errors, &n->place, "%s '%.80s' is given twice, first at %s:%d", n->key, n->title,
		    t->node->place.file, t->node->place.line);
		return false;
	}
	t = arena_zalloc(p->c->arena, sizeof *t);
	t->block = b;
	t->node = n;
	map_add(&p->titles, &t->link, hash);
	return true;
}

static bool
title_fits(struct pass *p, const struct option_block *b, const struct conf_node *n)
{
	if (n->title == NULL && (b->flags & BLOCK_TITLE)) {
		conf_error(p->c->errors, &n->place, "a %s needs a name: %s NAME { ... }", n->key, n->key);
		return false;
	}
	if (n->title != NULL && !(b->flags & (BLOCK_TITLE | BLOCK_TITLE_OPTIONAL))) {
		conf_error(p->c->errors, &n->place, "%s has no name: %s { ... }", n->key, n->key);
		return false;
	}
	if (n->title != NULL && *n->title == '\0') {
		conf_error(p->c->errors, &n->place, "the name of a %s is empty", n->key);
		return false;
	}
	return n->title == NULL || title_is_new(p, b, n);
}

/* A zeroed structure at the end of the array; room doubles in the arena, so pointers to earlier ones go stale. */
static void *
append(const struct option_block *b, void *parent, struct arena *arena)
{
	char **array = at(parent, b->offset), *more;
	unsigned *count = at(parent, b->count_offset);

	if ((*count & (*count - 1)) == 0) {
		more = arena_alloc(arena, (*count ? (size_t)*count * 2 : 1) * b->size);
		if (*count > 0)
			memcpy(more, *array, *count * b->size);
		*array = more;
	}
	return memset(*array + (*count)++ * b->size, 0, b->size);
}

static void
read_sub_block(struct pass *p, const struct conf_node *n)
{
	const struct option_block *b = find_block(p->block, n->key);
	struct option_head *head;
	void *target;

	if (b == NULL) {
		if (find_option(p->block, n->key) != NULL)
			conf_error(p->c->errors, &n->place, "'%s' is a key: %s = ...", n->key, n->key);
		else
			unknown(p, n);
		return;
	}
	if (b->flags & BLOCK_LATER) {
		conf_error(p->c->errors, &n->place, "'%s%s%.80s { }' is not built yet", n->key, n->title ? " " : "",
		    n->title ? n->title : "");
		return;
	}
	if (!(b->flags & BLOCK_REPEAT) && seen_twice(&p->block_seen[b - p->block->blocks], n, p->c))
		return;
	p->block_seen[b - p->block->blocks] = &n->place;
	if (!title_fits(p, b, n))
		return;
	if (b->flags & BLOCK_REPEAT)
		target = append(b, p->target, p->c->arena);
	else
		target = b->flags & BLOCK_INLINE ? p->target : at(p->target, b->offset);
	if (!(b->flags & BLOCK_INLINE)) {
		head = target;
		head->place = n->place;
		head->block = b->name;
		head->name = n->title;
	}
	read_block(b, n->first, &n->place, target, p->c);
}

/* A default is parsed like what a user writes; "a, b" becomes two values. */
static void
set_fallback(const struct option *o, void *target, const struct option_context *c)
{
	const struct option_context quiet = { c->arena, NULL, false };
	const struct place nowhere = { NULL, 0 };
	size_t size = o->type->size, n;
	const char *s = o->fallback;
	unsigned count = 1, i;
	char *out = at(target, o->offset);

	if (o->flags & OPTION_LIST) {
		for (i = 0; s[i] != '\0'; i++)
			count += s[i] == ',';
		out = arena_zalloc(c->arena, count * size);
		*(void **)at(target, o->offset) = out;
		*(unsigned *)at(target, o->count_offset) = count;
	}
	for (i = 0; i < count; i++) {
		n = o->flags & OPTION_LIST ? strcspn(s, ",") : strlen(s);
		parse_one(o, arena_strndup(c->arena, s, n), &nowhere, out + i * size, &quiet);
		s += n + strspn(s + n, ", ");
	}
}

/* Also those of the blocks in it that stand at most once and may not be written at all. */
static void
set_fallbacks(const struct option_block *b, void *target, const struct option_context *c)
{
	const struct option_block *sub;
	const struct option *o;

	for (o = b->options; o != NULL && o->name != NULL; o++)
		if (o->fallback != NULL && !(o->flags & OPTION_LATER))
			set_fallback(o, target, c);
	for (sub = b->blocks; sub != NULL && sub->name != NULL; sub++)
		if (!(sub->flags & (BLOCK_LATER | BLOCK_REPEAT)))
			set_fallbacks(sub, sub->flags & BLOCK_INLINE ? target : at(target, sub->offset), c);
}

static void
require(struct pass *p, const struct place *place)
{
	const struct option_block *sub;
	const struct option *o;
	const char *in = p->block->name;

	if (p->c->partial)
		return;
	for (o = p->block->options; o != NULL && o->name != NULL; o++)
		if ((o->flags & OPTION_REQUIRED) && p->key_seen[o - p->block->options] == NULL)
			conf_error(p->c->errors, place, "%s%s'%s' is missing%s%s", in ? in : "", in ? ": " : "",
			    o->name, o->example ? ", as in " : "", o->example ? o->example : "");
	for (sub = p->block->blocks; sub != NULL && sub->name != NULL; sub++)
		if ((sub->flags & BLOCK_REQUIRED) && p->block_seen[sub - p->block->blocks] == NULL)
			conf_error(
			    p->c->errors, place, "%s%sa '%s { }' is missing", in ? in : "", in ? ": " : "", sub->name);
}

static unsigned
rows(const struct option_block *b)
{
	unsigned options = 0, blocks = 0;

	while (b->options != NULL && b->options[options].name != NULL)
		options++;
	while (b->blocks != NULL && b->blocks[blocks].name != NULL)
		blocks++;
	return options > blocks ? options : blocks;
}

static void
read_block(const struct option_block *b, const struct conf_node *first, const struct place *place, void *target,
    const struct option_context *c)
{
	struct pass p = { .block = b, .target = target, .c = c };
	unsigned before = c->errors->count, n = rows(b);

	p.key_seen = arena_zalloc(c->arena, 2 * (n + 1) * sizeof *p.key_seen);
	p.block_seen = p.key_seen + n + 1;
	set_fallbacks(b, target, c);
	for (; first != NULL; first = first->next) {
		if (first->block)
			read_sub_block(&p, first);
		else
			read_key(&p, first);
	}
	require(&p, place);
	if (b->verify != NULL && c->errors->count == before)
		b->verify(target, c);
	map_fini(&p.titles);
}

int
option_apply(const struct option_block *root, const struct conf_node *first, const struct place *place, void *target,
    const struct option_context *c)
{
	unsigned before = c->errors->count;

	read_block(root, first, place, target, c);
	return c->errors->count > before ? -1 : 0;
}
