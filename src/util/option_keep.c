/* SPDX-License-Identifier: MIT */
/* Values that cannot change while the process lives. */
#include "util/option.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/check.h"

#include <string.h>

struct keep {
	struct arena *arena;
	void (*kept)(const char *name, const char *old, const char *wanted, void *arg);
	void *arg;
};

static void
print(const struct option *o, const void *block, struct buf *out)
{
	o->type->print(out, o, (const char *)block + o->offset);
}

static void
keep_option(const struct keep *k, const struct option_block *b, const struct option *o, void *target, const void *from)
{
	struct buf old = { 0 }, wanted = { 0 }, name = { 0 };
	const struct place nowhere = { "", 0 };
	struct option_input in = { .option = o, .place = &nowhere, .arena = k->arena };
	struct err err;

	print(o, from, &old);
	print(o, target, &wanted);
	if (strcmp(buf_str(&old), buf_str(&wanted)) != 0) {
		buf_printf(&name, b->name != NULL ? "%s { %s }" : "%s%s", b->name != NULL ? b->name : "", o->name);
		k->kept(buf_str(&name), buf_str(&old), buf_str(&wanted), k->arg);
	}
	in.text = arena_strdup(k->arena, buf_str(&old));
	if (old.len > 0)
		check(o->type->parse(&in, (char *)target + o->offset, &err) == 0);
	buf_fini(&old);
	buf_fini(&wanted);
	buf_fini(&name);
}

static void
keep_block(const struct keep *k, const struct option_block *b, void *target, const void *from)
{
	const struct option_block *sub;
	const struct option *o;

	for (o = b->options; o != NULL && o->name != NULL; o++)
		if (o->flags & OPTION_RESTART)
			keep_option(k, b, o, target, from);
	for (sub = b->blocks; sub != NULL && sub->name != NULL; sub++)
		if (!(sub->flags & (BLOCK_REPEAT | BLOCK_INLINE | BLOCK_LATER)))
			keep_block(k, sub, (char *)target + sub->offset, (const char *)from + sub->offset);
}

void
option_keep(const struct option_block *root, void *target, const void *from, struct arena *arena,
    void (*kept)(const char *name, const char *old, const char *wanted, void *arg), void *arg)
{
	const struct keep k = { arena, kept, arg };

	keep_block(&k, root, target, from);
}
