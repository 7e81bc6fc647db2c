/* SPDX-License-Identifier: MIT */
#include "util/buf.h"
#include "util/option.h"

#include <string.h>

enum { SAMPLE_WIDTH = 100 };

static const void *
at(const void *target, size_t offset)
{
	return (const char *)target + offset;
}

static void
indent(struct buf *out, unsigned depth)
{
	while (depth-- > 0)
		buf_addc(out, '\t');
}

/* A value as the grammar wants it. */
static void
put_value(struct buf *out, const char *text)
{
	const char *p;

	if (*text != '\0' && *text != '#' && strpbrk(text, " \t{}=,\"'\\") == NULL) {
		buf_adds(out, text);
		return;
	}
	buf_addc(out, '"');
	for (p = text; *p != '\0'; p++) {
		if (*p == '"' || (*p == '\\' && (p[1] == '"' || p[1] == '\\' || p[1] == '\0')))
			buf_addc(out, '\\');
		buf_addc(out, *p);
	}
	buf_addc(out, '"');
}

static void
print_value(const struct option *o, const void *value, struct buf *out)
{
	struct buf text = { 0 };

	o->type->print(&text, o, value);
	put_value(out, buf_str(&text));
	buf_fini(&text);
}

struct layout {
	unsigned depth, style; /* enum option_style */
};

static const struct layout plain = { 0, 0 };

/* A string nobody set prints as nothing and is left out. */
static void
print_single(const struct option *o, const void *value, struct buf *out, struct layout lay)
{
	struct buf text = { 0 };

	o->type->print(&text, o, value);
	if (text.len > 0 || (o->flags & OPTION_EMPTY)) {
		indent(out, lay.depth);
		buf_printf(out, "%s = ", o->name);
		if ((o->flags & OPTION_SECRET) && (lay.style & OPTION_HIDE))
			buf_adds(out, "(hidden)");
		else
			put_value(out, buf_str(&text));
		if ((lay.style & OPTION_MARK) && o->fallback != NULL && strcmp(buf_str(&text), o->fallback) == 0)
			buf_adds(out, "  # default");
		buf_addc(out, '\n');
	}
	buf_fini(&text);
}

static void
print_option(const struct option *o, const void *target, struct buf *out, struct layout lay)
{
	const char *value = at(target, o->offset);
	unsigned count, i;
	size_t start;
	bool usual;

	if (o->flags & OPTION_LATER)
		return;
	if (!(o->flags & OPTION_LIST)) {
		print_single(o, value, out, lay);
		return;
	}
	count = *(const unsigned *)at(target, o->count_offset);
	if (count == 0 && !(o->flags & OPTION_EMPTY))
		return;
	value = *(const char *const *)at(target, o->offset);
	indent(out, lay.depth);
	buf_printf(out, "%s = {", o->name);
	start = out->len + 1;
	for (i = 0; i < count; i++) {
		buf_adds(out, i ? ", " : " ");
		print_value(o, value + i * o->type->size, out);
	}
	usual = o->fallback != NULL && out->len - start == strlen(o->fallback) &&
	    memcmp(out->data + start, o->fallback, out->len - start) == 0;
	buf_adds(out, usual && (lay.style & OPTION_MARK) ? " }  # default\n" : " }\n");
}

static void print_body(const struct option_block *b, const void *target, struct buf *out, struct layout lay);

/* A block that says nothing is left out. */
static void
print_block(const struct option_block *b, const void *target, struct buf *out, struct layout lay)
{
	const struct option_head *head = target;
	struct buf body = { 0 };

	print_body(b, target, &body, (struct layout){ lay.depth + 1, lay.style });
	if (body.len > 0 || (b->flags & BLOCK_REPEAT)) {
		indent(out, lay.depth);
		buf_adds(out, b->name);
		if (!(b->flags & BLOCK_INLINE) && head->name != NULL) {
			buf_addc(out, ' ');
			put_value(out, head->name);
		}
		buf_adds(out, " {\n");
		buf_add(out, body.data, body.len);
		indent(out, lay.depth);
		buf_adds(out, "}\n");
	}
	buf_fini(&body);
}

/* Types that share an array are printed each in its turn. */
static void
print_repeated(const struct option_block *b, const void *target, struct buf *out, struct layout lay)
{
	const char *array = *(const char *const *)at(target, b->offset);
	unsigned count = *(const unsigned *)at(target, b->count_offset), i;
	const struct option_head *head;

	for (i = 0; i < count; i++) {
		head = (const void *)(array + i * b->size);
		if (head->block == b->name)
			print_block(b, head, out, lay);
	}
}

static void
print_sub(const struct option_block *sub, const void *target, struct buf *out, struct layout lay)
{
	if (sub->flags & BLOCK_LATER)
		return;
	if (sub->flags & BLOCK_REPEAT)
		print_repeated(sub, target, out, lay);
	else
		print_block(sub, sub->flags & BLOCK_INLINE ? target : at(target, sub->offset), out, lay);
}

static void
print_body(const struct option_block *b, const void *target, struct buf *out, struct layout lay)
{
	const struct option_block *sub;
	const struct option *o;

	for (o = b->options; o != NULL && o->name != NULL; o++)
		print_option(o, target, out, lay);
	for (sub = b->blocks; sub != NULL && sub->name != NULL; sub++)
		print_sub(sub, target, out, lay);
}

void
option_print_blocks(const struct option_block *root, const char *name, const void *target, struct buf *out)
{
	const struct option_block *sub;

	for (sub = root->blocks; sub != NULL && sub->name != NULL; sub++)
		if (strcmp(sub->name, name) == 0)
			print_sub(sub, target, out, plain);
}

void
option_print_block(const struct option_block *b, const void *block, struct buf *out)
{
	print_block(b, block, out, plain);
}

void
option_print(const struct option_block *root, const void *target, unsigned style, struct buf *out)
{
	print_body(root, target, out, (struct layout){ 0, style });
}

/* Prose for mdoc: backslashes and a leading dot or quote would be read as requests. Sentences begin new lines. */
static void
manual_text(struct buf *out, const char *text)
{
	const char *p;

	for (p = text; *p != '\0'; p++) {
		if ((*p == '.' || *p == '\'') && (p == text || p[-1] == '\n'))
			buf_adds(out, "\\&");
		if (*p == '\\')
			buf_adds(out, "\\e");
		else if (*p == '-')
			buf_adds(out, "\\-");
		else if (*p == ' ' && p != text && p[-1] == '.' && p[1] >= 'A' && p[1] <= 'Z')
			buf_addc(out, '\n');
		else
			buf_addc(out, *p);
	}
	buf_addc(out, '\n');
}

/* A macro argument: quoted, as it may hold white space or be a macro's name. */
static void
manual_arg(struct buf *out, const char *text)
{
	buf_adds(out, " \"");
	for (; *text != '\0'; text++) {
		if (*text == '"')
			buf_adds(out, "\\(dq");
		else if (*text == '\\')
			buf_adds(out, "\\e");
		else if (*text == '-')
			buf_adds(out, "\\-");
		else
			buf_addc(out, *text);
	}
	buf_addc(out, '"');
}

static void
manual_bound(struct buf *out, const struct option *o, uint64_t v)
{
	uint32_t small = (uint32_t)v;

	if (o->type->size == sizeof v)
		o->type->print(out, o, &v);
	else
		o->type->print(out, o, &small);
}

static void
manual_words(const struct option *o, struct buf *out)
{
	const struct option_word *w;

	buf_adds(out, ".Bl -tag -width Ds -compact\n");
	for (w = o->words; w->name != NULL; w++) {
		if (w->later)
			continue;
		buf_adds(out, ".It Cm");
		manual_arg(out, w->name);
		buf_addc(out, '\n');
		if (w->help != NULL)
			manual_text(out, w->help);
	}
	buf_adds(out, ".El\n");
}

/* "Default: 50MB. Range: 1KB to 1TB." */
static void
manual_facts(const struct option *o, struct buf *out)
{
	if (o->flags & OPTION_REQUIRED)
		buf_adds(out, "It has to be given.\n");
	else if (o->fallback_help != NULL) {
		buf_printf(out, "Default: %s.\n", o->fallback_help);
	} else if (o->fallback != NULL) {
		buf_adds(out, "Default:\n.Ql");
		manual_arg(out, o->fallback);
		buf_adds(out, " .\n");
	}
	/* A rate has no bounds worth naming. */
	if (o->max > 0 && !(o->flags & OPTION_LIST) && o->type->size <= sizeof(uint64_t)) {
		buf_adds(out, "Range: ");
		manual_bound(out, o, o->min);
		buf_adds(out, " to ");
		manual_bound(out, o, o->max);
		buf_adds(out, ".\n");
	}
}

static void
manual_option(const struct option *o, struct buf *out)
{
	bool list = o->flags & OPTION_LIST;

	buf_adds(out, ".It Ic");
	manual_arg(out, o->name);
	buf_printf(out, " No = %sAr", list ? "{ " : "");
	manual_arg(out, o->type->name);
	buf_adds(out, list ? " No , ... }\n" : "\n");
	manual_text(out, o->help);
	if (o->flags & OPTION_RESTART)
		buf_adds(out, "A reload does not change it.\n");
	if (o->words != NULL)
		manual_words(o, out);
	manual_facts(o, out);
}

static void manual_body(const struct option_block *b, struct buf *out);

static void
manual_block(const struct option_block *b, struct buf *out)
{
	buf_adds(out, ".It Ic");
	manual_arg(out, b->name);
	if (b->title != NULL) {
		buf_adds(out, b->flags & BLOCK_TITLE_OPTIONAL ? " Oo Ar" : " Ar");
		manual_arg(out, b->title);
		if (b->flags & BLOCK_TITLE_OPTIONAL)
			buf_adds(out, " Oc");
	}
	buf_adds(out, " No { ... }\n");
	manual_text(out, b->help);
	manual_body(b, out);
}

static void
manual_body(const struct option_block *b, struct buf *out)
{
	const struct option_block *sub;
	const struct option *o;

	buf_adds(out, ".Bl -tag -width Ds\n");
	for (o = b->options; o != NULL && o->name != NULL; o++)
		if (!(o->flags & OPTION_LATER))
			manual_option(o, out);
	for (sub = b->blocks; sub != NULL && sub->name != NULL; sub++)
		if (!(sub->flags & BLOCK_LATER))
			manual_block(sub, out);
	buf_adds(out, ".El\n");
}

void
option_manual(const struct option_block *root, struct buf *out)
{
	manual_body(root, out);
}

enum { TYPES_MAX = 32 };

/* Adds the types of B's rows that are not among the N there yet; returns their number. */
static size_t
collect_types(const struct option_block *b, const struct option_type *type[TYPES_MAX], size_t n)
{
	const struct option_block *sub;
	const struct option *o;
	size_t i;

	for (o = b->options; o != NULL && o->name != NULL; o++) {
		for (i = 0; i < n && type[i] != o->type; i++)
			;
		if (!(o->flags & OPTION_LATER) && o->words == NULL && i == n && n < TYPES_MAX)
			type[n++] = o->type;
	}
	for (sub = b->blocks; sub != NULL && sub->name != NULL; sub++)
		n = collect_types(sub, type, n);
	return n;
}

void
option_manual_types(const struct option_block *root, struct buf *out)
{
	const struct option_type *type[TYPES_MAX];
	size_t n = collect_types(root, type, 0), i;

	buf_adds(out, ".Bl -tag -width Ds\n");
	for (i = 0; i < n; i++) {
		buf_adds(out, ".It Ar");
		manual_arg(out, type[i]->name);
		buf_addc(out, '\n');
		manual_text(out, type[i]->syntax);
	}
	buf_adds(out, ".El\n");
}

/* Prose as comment lines of a fair width. */
static void
sample_text(struct buf *out, const char *text, unsigned depth)
{
	size_t room = SAMPLE_WIDTH - 8 * depth - 2, n;

	while (*text != '\0') {
		n = strlen(text);
		if (n > room)
			for (n = room; n > 0 && text[n] != ' '; n--)
				;
		indent(out, depth);
		buf_adds(out, "# ");
		buf_add(out, text, n);
		buf_addc(out, '\n');
		text += n + (text[n] == ' ');
	}
}

static void
sample_words(const struct option *o, struct buf *out, unsigned depth)
{
	const struct option_word *w;
	struct buf line = { 0 };

	for (w = o->words; w->name != NULL; w++) {
		if (w->later)
			continue;
		line.len = 0;
		buf_printf(&line, "  %s%s%s", w->name, w->help ? ": " : "", w->help ? w->help : "");
		sample_text(out, buf_str(&line), depth);
	}
	buf_fini(&line);
}

/* Commented out: the default, or an example where there is none. */
static void
sample_option(const struct option *o, struct buf *out, unsigned depth)
{
	const char *value = o->example != NULL ? o->example : o->fallback != NULL ? o->fallback : "";
	bool list = o->flags & OPTION_LIST;
	struct buf line = { 0 };

	buf_addc(out, '\n');
	sample_text(out, o->help, depth);
	if (o->words != NULL)
		sample_words(o, out, depth);
	if (o->fallback_help != NULL) {
		buf_printf(&line, "Default: %s", o->fallback_help);
		sample_text(out, buf_str(&line), depth);
		buf_fini(&line);
	}
	indent(out, depth);
	buf_printf(out, "#%s = %s", o->name, list ? "{ " : "");
	if (list)
		buf_adds(out, value);
	else
		put_value(out, value);
	buf_adds(out, list ? " }\n" : "\n");
}

static void
sample_body(const struct option_block *b, struct buf *out, unsigned depth)
{
	const struct option_block *sub;
	const struct option *o;

	for (o = b->options; o != NULL && o->name != NULL; o++)
		if (!(o->flags & OPTION_LATER))
			sample_option(o, out, depth);
	for (sub = b->blocks; sub != NULL && sub->name != NULL; sub++) {
		if (sub->flags & BLOCK_LATER)
			continue;
		buf_addc(out, '\n');
		sample_text(out, sub->help, depth);
		indent(out, depth);
		buf_printf(out, "#%s%s%s {\n", sub->name, sub->title ? " " : "", sub->title ? sub->title : "");
		sample_body(sub, out, depth + 1);
		indent(out, depth);
		buf_adds(out, "#}\n");
	}
}

void
option_sample(const struct option_block *root, struct buf *out)
{
	sample_body(root, out, 0);
}
