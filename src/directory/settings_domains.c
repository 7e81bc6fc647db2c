/* SPDX-License-Identifier: MIT */
#include "directory/settings_domains.h"
#include "directory/settings.h"
#include "directory/settings_types.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/file.h"
#include "util/str.h"

#include <string.h>

enum { FILE_MAX = 64 << 20 };

static const char prefix[] = "file:";

static int
parse(const struct option_input *in, void *out, struct err *err)
{
	struct option_input path = *in;
	const char *text;

	if (!str_starts(in->text, prefix))
		return type_domain.parse(in, out, err);
	path.text = in->text + strlen(prefix);
	if (option_path.parse(&path, &text, err) < 0)
		return -1;
	*(const char **)out = arena_printf(in->arena, "%s%s", prefix, text);
	return 0;
}

static void
print(struct buf *b, const struct option *o, const void *value)
{
	type_domain.print(b, o, value);
}

const struct option_type type_domain_or_file = { "domain or file",
	"A domain name. With a dot before it, every domain below that name, not the name itself. Or file:/path, a file with "
	"one such name a line; what follows a # is a comment.",
	sizeof(char *), parse, print };

struct names {
	const char **name;
	unsigned count, room;
	const struct option_context *c;
};

static void
add(struct names *n, const char *name)
{
	const char **more;

	if (n->count == n->room) {
		n->room = n->room ? n->room * 2 : 16;
		more = arena_alloc(n->c->arena, n->room * sizeof *more);
		if (n->count > 0)
			memcpy(more, n->name, n->count * sizeof *more);
		n->name = more;
	}
	n->name[n->count++] = name;
}

/* LINE without its end: a name, a comment, or nothing. */
static void
add_line(struct names *n, char *line, const struct place *place)
{
	struct option_input in = { .place = place, .arena = n->c->arena };
	const char *name;
	struct err err;

	line[strcspn(line, "#\r")] = '\0';
	line += strspn(line, " \t");
	line[strcspn(line, " \t")] = '\0';
	if (*line == '\0')
		return;
	in.text = arena_strdup(n->c->arena, line);
	if (type_domain.parse(&in, &name, &err) < 0)
		conf_error(n->c->errors, place, "'%.200s': %s", line, err.text);
	else
		add(n, name);
}

static void
add_file(struct names *n, const struct route_settings *r, const char *path)
{
	struct place place = { path, 0 };
	struct buf text = { 0 };
	struct err err;
	char *line, *end;

	if (file_read(path, FILE_MAX, &text, &err) < 0)
		conf_error(n->c->errors, &r->place, "domain %s: %s", r->name, err.text);
	for (line = buf_str(&text); line != NULL && *line != '\0'; line = end) {
		end = strchr(line, '\n');
		if (end != NULL)
			*end++ = '\0';
		place.line++;
		add_line(n, line, &place);
	}
	buf_fini(&text);
}

void
settings_domains_read(struct route_settings *r, const struct option_context *c)
{
	struct option_input in = { .text = r->name, .place = &r->place, .arena = c->arena };
	struct names n = { .c = c };
	const char *name;
	struct err err;
	unsigned i;

	for (i = 0; i < r->domain_count; i++) {
		if (r->domain[i] == NULL)
			continue; /* did not parse, which is an error already */
		if (str_starts(r->domain[i], prefix))
			add_file(&n, r, r->domain[i] + strlen(prefix));
		else
			add(&n, r->domain[i]);
	}
	if (r->domain_count == 0 && type_domain.parse(&in, &name, &err) < 0)
		conf_error(c->errors, &r->place, "domain %s: the block has no 'name', and '%s' is none: %s", r->name,
		    r->name, err.text);
	else if (r->domain_count == 0)
		add(&n, name);
	r->domain = n.name;
	r->domain_count = n.count;
}
