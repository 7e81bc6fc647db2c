/* SPDX-License-Identifier: MIT */
#include "util/arena.h"
#include "util/buf.h"
#include "util/conf.h"
#include "util/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[64];

/* The tree on one line: k=[v|w] for lists, k=[v] for values, t(title){...} for blocks. */
static void
dump(struct buf *b, const struct conf_node *n)
{
	unsigned i;

	for (; n != NULL; n = n->next) {
		buf_adds(b, n->key);
		if (n->block) {
			if (n->title != NULL)
				buf_printf(b, "(%s)", n->title);
			buf_addc(b, '{');
			dump(b, n->first);
			buf_adds(b, "} ");
			continue;
		}
		buf_adds(b, n->list ? "=[" : "=");
		for (i = 0; i < n->count; i++)
			buf_printf(b, "%s%s", i ? "|" : "", n->value[i].text);
		buf_adds(b, n->list ? "] " : " ");
	}
}

struct row {
	const char *text;
	const char *tree;
	const char *errors; /* NULL: none */
};

static void
run(const struct row *row, size_t rows)
{
	struct conf_node *first;
	struct conf_errors errors;
	struct buf out, tree;
	struct arena *arena;
	size_t i;
	int rc;

	for (i = 0; i < rows; i++) {
		memset(&out, 0, sizeof out);
		memset(&tree, 0, sizeof tree);
		errors = (struct conf_errors){ &out, 0 };
		arena = arena_new(0);
		rc = conf_parse(arena, "f", row[i].text, strlen(row[i].text), &first, &errors);
		dump(&tree, first);
		assert_string_equal(buf_str(&out), row[i].errors ? row[i].errors : "");
		assert_int_equal(rc, row[i].errors ? -1 : 0);
		if (row[i].tree != NULL)
			assert_string_equal(buf_str(&tree), row[i].tree);
		arena_free(&arena);
		buf_fini(&out);
		buf_fini(&tree);
	}
}

#define RUN(rows) run(rows, sizeof rows / sizeof *rows)

static void
statements_parse_as_the_grammar_says(void **state)
{
	static const struct row row[] = {
		{ "", "", NULL },
		{ "\xef\xbb\xbf"
		  "a = b",
		    "a=b ", NULL },
		{ "a = b\r\nc = d\r\n", "a=b c=d ", NULL },
		{ "a=b", "a=b ", NULL },
		{ "a = b c = d  e { f = g  h = i } j = k", "a=b c=d e{f=g h=i } j=k ", NULL },
		{ "a = { }", "a=[] ", NULL },
		{ "a = { b }", "a=[b] ", NULL },
		{ "a={b,c , d\n,\n e, }", "a=[b|c|d|e] ", NULL },
		{ "t { }", "t{} ", NULL },
		{ "t title { a = b }", "t(title){a=b } ", NULL },
		{ "t \"a title\"\n{ a = b }", "t(a title){a=b } ", NULL },
		{ "t { u v { w { x = y } } }", "t{u(v){w{x=y } } } ", NULL },
		{ "include = x", "include=x ", NULL },
		{ "codes = { 127.0.0.2-127.0.0.11 }", "codes=[127.0.0.2-127.0.0.11] ", NULL },
		{ "alias @old.example { to = { @me.example, a*b } }", "alias(@old.example){to=[@me.example|a*b] } ",
		    NULL },
	};

	(void)state;
	RUN(row);
}

static void
comments_stand_anywhere_and_never_inside_words(void **state)
{
	static const struct row row[] = {
		{ "# a\n#\na = b # c\n # d = e\n#", "a=b ", NULL },
		{ "a = b#c", "a=b#c ", NULL },
		{ "a = b #c", "a=b ", NULL },
		{ "a = \"b # c\" # d", "a=b # c ", NULL },
		{ "a = 'b'# c", "a=b ", NULL },
		{ "t { # c }\n a = { # c\n b, # c\n# c }\n c } # c\n}", "t{a=[b|c] } ", NULL },
		{ "a = # c\n b", "a=b ", NULL },
		{ "t # c\n", NULL, "f:1: 't' stands alone: 't = value' or 't { ... }' is expected\n" },
	};

	(void)state;
	RUN(row);
}

static void
quotes_and_escapes(void **state)
{
	static const struct row row[] = {
		{ "a = \"\"", "a= ", NULL },
		{ "a = \"b \\\" c \\\\ d\"", "a=b \" c \\ d ", NULL },
		{ "a = \"\\d+\\.\\n\"", "a=\\d+\\.\\n ", NULL },
		{ "a = '\\\" \\'", "a=\\\" \\ ", NULL },
		{ "a = \"b\\\\\" c = d", "a=b\\ c=d ", NULL },
		{ "a = don't", "a=don't ", NULL },
		{ "a = b\\c", "a=b\\c ", NULL },
		{ "a = { \"b, c\", '}' }", "a=[b, c|}] ", NULL },
		{ "a = \"b\nc = d", "a=b c=d ", "f:1: the double quote here is not closed on its line\n" },
		{ "a = 'b", "a=b ", "f:1: the single quote here is not closed on its line\n" },
		{ "a = \"b\\\"", NULL, "f:1: the double quote here is not closed on its line\n" },
		{ "a = \"b\"c", NULL,
		    "f:1: white space is missing after the closing quote of \"b\"\n"
		    "f:1: 'c' stands alone: 'c = value' or 'c { ... }' is expected; a value with white space needs "
		    "quotes\n" },
	};

	(void)state;
	RUN(row);
}

/* One mistake, one message; what stands around it is still understood. */
static void
errors_name_line_and_remedy_and_parsing_goes_on(void **state)
{
	static const struct row row[] = {
		{ "a =\nb = c", "b=c ", "f:1: 'a' has no value\n" },
		{ "a =", "", "f:1: 'a' has no value\n" },
		{ "t { a = }\nb = c", "t{} b=c ", "f:1: 'a' has no value\n" },
		{ "a = b c\nd = e", "a=b d=e ",
		    "f:1: 'c' stands alone: 'c = value' or 'c { ... }' is expected; a value with white space needs "
		    "quotes\n" },
		{ "c\nd = e", "d=e ", "f:1: 'c' stands alone: 'c = value' or 'c { ... }' is expected\n" },
		{ "a b\nd = e", "d=e ", "f:1: 'a b': 'a = value' or 'a b { ... }' is expected\n" },
		{ "a = b, c\nd = e", "d=e ", "f:1: several values of 'a' are written in braces: a = { b, ... }\n" },
		{ "a = b=c\nd = e", "d=e ", "f:1: the value of 'a' holds '=': write it in double quotes\n" },
		{ "a = { b c }", "a=[b|c] ", "f:1: a comma is missing before 'c' in the list of 'a'\n" },
		{ "a = { b,, c }", "a=[b|c] ",
		    "f:1: ',' in the list of 'a': values are separated by one comma, lists hold no lists\n" },
		{ "a = { b, { c }, d }", NULL,
		    "f:1: '{' in the list of 'a': values are separated by one comma, lists hold no lists\n"
		    "f:1: ',' in the list of 'a': values are separated by one comma, lists hold no lists\n" },
		{ "a = { b,\nc = d", "c=d ", "f:2: the list 'a = {' of line 1 is not closed before 'c'\n" },
		{ "a = {\nb", "", "f:2: the list 'a = {' of line 1 is not closed before the end of the file\n" },
		{ "t { m = {\n g = s }\n}\nd = e", "t{} d=e ",
		    "f:2: 'm = {' begins a list of values, but 'g' = follows; a block is written without '='\n" },
		{ "t {\n a = b\n", "t{a=b } ", "f:3: the block 't {' of line 1 is not closed: a '}' is missing\n" },
		{ "}\na = b", "a=b ", "f:1: '}' closes nothing\n" },
		{ "\"a\" = b\nc = d", "c=d ",
		    "f:1: 'a' stands where a key or the type of a block is expected (these are never quoted)\n" },
		{ "= b\nc = d", "c=d ", "f:1: '=' stands where a key or the type of a block is expected\n" },
		{ "{ a = b }\nc = d", NULL,
		    "f:1: '{' stands where a key or the type of a block is expected\nf:1: '}' closes nothing\n" },
		{ "a = b\n\001\nc = d", "a=b c=d ", "f:2: the byte 0x01 cannot stand in a configuration\n" },
		{ "include \"x\"", "", "f:1: include works in files only\n" },
		{ "a =\nb = c, d\ne f\n\ng = h", "g=h ",
		    "f:1: 'a' has no value\nf:2: several values of 'b' are written in braces: b = { c, ... }\n"
		    "f:3: 'e f': 'e = value' or 'e f { ... }' is expected\n" },
	};

	(void)state;
	RUN(row);
}

static void
nesting_and_error_lists_are_bounded(void **state)
{
	struct conf_node *first;
	struct buf text = { 0 }, out = { 0 };
	struct conf_errors errors = { &out, 0 };
	struct arena *arena = arena_new(0);
	int i, lines = 0;

	(void)state;
	for (i = 0; i < 100000; i++)
		buf_adds(&text, "t {");
	assert_int_equal(conf_parse(arena, "f", text.data, text.len, &first, &errors), -1);
	assert_non_null(strstr(buf_str(&out), "nested deeper than 16"));
	out.len = text.len = 0;
	errors.count = 0;
	for (i = 0; i < 100000; i++)
		buf_adds(&text, "word\n");
	assert_int_equal(conf_parse(arena, "f", text.data, text.len, &first, &errors), -1);
	for (i = 0; i < (int)out.len; i++)
		lines += out.data[i] == '\n';
	assert_int_equal(lines, CONF_ERRORS_MAX + 1);
	assert_non_null(strstr(buf_str(&out), ": there are more errors, which are not shown\n"));
	arena_free(&arena);
	buf_fini(&text);
	buf_fini(&out);
}

static void
put(const char *name, const char *text)
{
	char path[200];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	assert_int_equal(file_replace(path, text, strlen(text), 0600, NULL), 0);
}

static int
make_folder(void **state)
{
	char path[200];

	(void)state;
	snprintf(folder, sizeof folder, "/tmp/tmail-test-conf.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof path, "%s/d", folder);
	return mkdir(path, 0700);
}

static int
remove_folder(void **state)
{
	static const char *const name[] = { "a", "b", "d/1.conf", "d/10.conf", "d/2.conf", "d/Z.conf", "d/x.other", "d",
		"" };
	char path[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof name / sizeof *name; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, name[i]);
		remove(path);
	}
	return 0;
}

/* Loads "a" of the folder; its name is removed from the messages. */
static char *
load(struct buf *tree, struct buf *out)
{
	struct conf_errors errors = { out, 0 };
	struct arena *arena = arena_new(0);
	struct conf_node *first;
	char path[200], *at;
	size_t n = strlen(folder) + 1;

	snprintf(path, sizeof path, "%s/a", folder);
	conf_load(arena, path, &first, &errors);
	dump(tree, first);
	buf_str(tree);
	while ((at = strstr(buf_str(out), folder)) != NULL) {
		memmove(at, at + n, strlen(at + n) + 1);
		out->len -= n;
	}
	arena_free(&arena);
	return buf_str(out);
}

static void
include_reads_sorted_and_relative_to_its_file(void **state)
{
	struct buf tree = { 0 }, out = { 0 };

	(void)state;
	put("a", "first = 1 include \"d/*.conf\" last = 1\nt { include d/1.conf }\ninclude \"nothing*.conf\"");
	put("d/1.conf", "n = 1");
	put("d/10.conf", "n = 10");
	put("d/2.conf", "n = 2");
	put("d/Z.conf", "include \"../b\" # relative to this file");
	put("d/x.other", "n = never");
	put("b", "m = 0");
	assert_string_equal(load(&tree, &out), "");
	assert_string_equal(tree.data, "first=1 n=1 n=10 n=2 m=0 last=1 t{n=1 } ");
	buf_fini(&tree);
	buf_fini(&out);
}

static void
include_refuses_cycles_missing_files_and_folders(void **state)
{
	struct buf tree = { 0 }, out = { 0 };

	(void)state;
	put("a", "k = 1\n\ninclude b\ninclude missing\ninclude d\ninclude d/1.conf");
	put("b", "l = 2\ninclude a");
	put("d/1.conf", "m =\n}");
	assert_string_equal(load(&tree, &out),
	    "b:2: a includes itself\na:4: include: there is no file missing\n"
	    "a:5: d is a folder: include \"d/*.conf\" reads what is in it\n"
	    "d/1.conf:1: 'm' has no value\nd/1.conf:2: '}' closes nothing\n");
	assert_string_equal(tree.data, "k=1 l=2 ");
	buf_fini(&tree);
	buf_fini(&out);
}

static void
missing_file_is_one_error(void **state)
{
	struct buf tree = { 0 }, out = { 0 };

	(void)state;
	assert_string_equal(load(&tree, &out), "a: cannot read a: No such file or directory\n");
	buf_fini(&tree);
	buf_fini(&out);
}

static void
places_are_those_of_the_key_and_of_each_value(void **state)
{
	static const char text[] = "a = b\n\nt x {\n c = {\n d,\n e } }\n";
	struct buf out = { 0 };
	struct conf_errors errors = { &out, 0 };
	struct arena *arena = arena_new(0);
	struct conf_node *n;

	(void)state;
	assert_int_equal(conf_parse(arena, "f", text, sizeof text - 1, &n, &errors), 0);
	assert_int_equal(n->place.line, 1);
	assert_int_equal(n->next->place.line, 3);
	assert_int_equal(n->next->first->place.line, 4);
	assert_int_equal(n->next->first->value[0].line, 5);
	assert_int_equal(n->next->first->value[1].line, 6);
	arena_free(&arena);
	buf_fini(&out);
}

static void
paths_start_at_the_folder_of_their_file(void **state)
{
	struct arena *arena = arena_new(0);
	char cwd[4096], want[5000];

	(void)state;
	assert_non_null(getcwd(cwd, sizeof cwd));
	assert_string_equal(conf_path(arena, "/etc/tmail/tmail.conf", "x/y"), "/etc/tmail/x/y");
	assert_string_equal(conf_path(arena, "/etc/tmail/tmail.conf", "/x"), "/x");
	snprintf(want, sizeof want, "%s/conf/x", cwd);
	assert_string_equal(conf_path(arena, "conf/tmail.conf", "x"), want);
	snprintf(want, sizeof want, "%s/x", cwd);
	assert_string_equal(conf_path(arena, NULL, "x"), want);
	arena_free(&arena);
}

#define folder_test(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statements_parse_as_the_grammar_says),
		cmocka_unit_test(comments_stand_anywhere_and_never_inside_words),
		cmocka_unit_test(quotes_and_escapes),
		cmocka_unit_test(errors_name_line_and_remedy_and_parsing_goes_on),
		cmocka_unit_test(nesting_and_error_lists_are_bounded),
		folder_test(include_reads_sorted_and_relative_to_its_file),
		folder_test(include_refuses_cycles_missing_files_and_folders),
		folder_test(missing_file_is_one_error),
		cmocka_unit_test(places_are_those_of_the_key_and_of_each_value),
		cmocka_unit_test(paths_start_at_the_folder_of_their_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
