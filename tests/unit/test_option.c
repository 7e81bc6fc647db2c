/* SPDX-License-Identifier: MIT */
#include "util/arena.h"
#include "util/buf.h"
#include "util/option.h"
#include "util/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct part {
	struct place place;
	const char *block, *name;
	uint32_t number;
};

struct whole {
	bool flag;
	struct option_rate rate;
	const char *text;
	uint32_t *wait;
	unsigned wait_count;
	uint64_t any_size;
	struct part single;
	struct part *part;
	unsigned part_count;
	unsigned verified;
};

static const struct option part_options[] = {
	{ .name = "number", .type = &option_integer, .offset = offsetof(struct part, number), .fallback = "7",
	  .help = "A number." },
	{ 0 },
};

static const struct option whole_options[] = {
	{ .name = "flag",
	    .type = &option_bool,
	    .offset = offsetof(struct whole, flag),
	    .fallback = "yes",
	    .help = "A flag." },
	{ .name = "rate",
	    .type = &option_rate,
	    .offset = offsetof(struct whole, rate),
	    .fallback = "500/day",
	    .help =
		"A rate. Its prose has a second sentence that is long enough to be folded in the sample file, which "
		"folds at some hundred columns." },
	{ .name = "text",
	    .type = &option_string,
	    .offset = offsetof(struct whole, text),
	    .fallback_help = "none",
	    .help = "A text." },
	{ .name = "wait",
	    .type = &option_duration,
	    .flags = OPTION_LIST,
	    .offset = offsetof(struct whole, wait),
	    .count_offset = offsetof(struct whole, wait_count),
	    .fallback = "5min, 4h",
	    .help = "Waits." },
	{ .name = "any_size", .type = &option_size, .offset = offsetof(struct whole, any_size), .help = "A size." },
	{ 0 },
};

static const struct option_block whole_blocks[] = {
	{ .name = "single",
	    .options = part_options,
	    .offset = offsetof(struct whole, single),
	    .help = "At most once." },
	{ .name = "part",
	    .flags = BLOCK_TITLE | BLOCK_REPEAT,
	    .options = part_options,
	    .offset = offsetof(struct whole, part),
	    .count_offset = offsetof(struct whole, part_count),
	    .size = sizeof(struct part),
	    .title = "name",
	    .help = "One of many." },
	{ .name = "other",
	    .flags = BLOCK_TITLE | BLOCK_REPEAT,
	    .options = part_options,
	    .offset = offsetof(struct whole, part),
	    .count_offset = offsetof(struct whole, part_count),
	    .size = sizeof(struct part),
	    .title = "name",
	    .help = "Another kind in the same array." },
	{ 0 },
};

static void
verify_whole(void *block, const struct option_context *c)
{
	(void)c;
	((struct whole *)block)->verified++;
}

static const struct option_block whole = { .options = whole_options, .blocks = whole_blocks, .verify = verify_whole };

/* Reads TEXT; what went wrong is in ERRORS. */
static struct whole *
apply(struct arena *arena, const char *text, struct buf *errors)
{
	struct conf_errors e = { errors, 0 };
	struct option_context c = { arena, &e, false };
	struct whole *w = arena_zalloc(arena, sizeof *w);
	struct conf_node *first;

	errors->len = 0;
	conf_parse(arena, "f", text, strlen(text), &first, &e);
	option_apply(&whole, first, &(struct place){ "f", 0 }, w, &c);
	buf_str(errors);
	return w;
}

static void
defaults_are_what_the_table_says(void **state)
{
	struct arena *arena = arena_new(0);
	struct buf errors = { 0 };
	struct whole *w = apply(arena, "", &errors);

	(void)state;
	assert_string_equal(errors.data, "");
	assert_true(w->flag);
	assert_true(w->rate.count == 500 && w->rate.seconds == 86400);
	assert_null(w->text);
	assert_int_equal(w->wait_count, 2);
	assert_int_equal(w->wait[1], 4 * 3600);
	assert_int_equal(w->single.number, 7);
	assert_null(w->single.place.file);
	assert_int_equal(w->part_count, 0);
	assert_int_equal(w->verified, 1);
	arena_free(&arena);
	buf_fini(&errors);
}

static void
types_read_their_texts_and_refuse_others(void **state)
{
	static const struct {
		const char *text, *error;
	} row[] = {
		{ "flag = no", "" },
		{ "flag = true", "f:1: 'flag = true': allowed are yes and no, did you mean yes?\n" },
		{ "flag = OFF", "f:1: 'flag = OFF': allowed are yes and no, did you mean no?\n" },
		{ "flag = perhaps", "f:1: 'flag = perhaps': allowed are yes and no\n" },
		{ "rate = 30/min", "" },
		{ "rate = 5000/h", "" },
		{ "rate = 1/s rate = 2/s", "f:1: 'rate' is given twice, first at f:1\n" },
		{ "rate = 30", "f:1: 'rate = 30': a rate is a number for a span of time, as in 500/day or 30/min\n" },
		{ "rate = /day",
		    "f:1: 'rate = /day': a rate is a number for a span of time, as in 500/day or 30/min\n" },
		{ "rate = 30/m",
		    "f:1: 'rate = 30/m': 'm' is no span: for minutes write 30/min; there is none of months, the "
		    "longest is w\n" },
		{ "rate = 30/year",
		    "f:1: 'rate = 30/year': 'year' is no span of a rate: s, min, h, day or w, as in 500/day\n" },
		{ "text = \"a b\"", "" },
		{ "text = \"\"", "f:1: 'text = \"\"': the text is empty\n" },
		{ "wait = 30s", "" },
		{ "wait = { 2h, 7d, 1w }", "" },
		{ "wait = { 2h,\n 7m }",
		    "f:2: 'wait = 7m': 'm' is no unit: for minutes write 7min; for months write days, as in 30d\n" },
		{ "wait = 7months", "f:1: 'wait = 7months': 'months' is no unit of a duration: s, min, h, d or w\n" },
		{ "wait = 7hours",
		    "f:1: 'wait = 7hours': 'hours' is no unit, did you mean 7h? Allowed are s, min, h, d or w\n" },
		{ "wait = 1000000w", "f:1: 'wait = 1000000w': the duration is too long\n" },
		{ "wait = soon",
		    "f:1: 'wait = soon': a duration is a whole number with a unit (s, min, h, d or w), as in 5min\n" },
		{ "wait = 1.5h", "f:1: 'wait = 1.5h': '.5h' is no unit of a duration: s, min, h, d or w\n" },
		{ "wait = -5s",
		    "f:1: 'wait = -5s': a duration is a whole number with a unit (s, min, h, d or w), as in 5min\n" },
		{ "any_size = 25MB", "" },
		{ "any_size = 25mb",
		    "f:1: 'any_size = 25mb': 'mb' is no unit, did you mean 25MB? Allowed are B, KB, MB, GB or TB\n" },
		{ "any_size = 99999999999TB", "f:1: 'any_size = 99999999999TB': the number is too large\n" },
		{ "single { number = 4294967296 }", "f:1: 'number = 4294967296': the number is too large\n" },
		{ "single { number = 1KB }", "f:1: 'number = 1KB': a whole number is expected, without a unit\n" },
		{ "singel { }", "f:1: 'singel' is unknown, did you mean 'single'?\n" },
		{ "xyzzy = 1",
		    "f:1: 'xyzzy' is unknown; allowed are flag, rate, text, wait, any_size, single { }, part { }, "
		    "other { }\n" },
		{ "part a { } part b { } other a { }", "" },
		{ "part a { }\npart a { }", "f:2: part 'a' is given twice, first at f:1\n" },
		{ "part \"\" { }", "f:1: the name of a part is empty\n" },
	};
	struct buf errors = { 0 };
	struct arena *arena;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof row / sizeof *row; i++) {
		arena = arena_new(0);
		apply(arena, row[i].text, &errors);
		assert_string_equal(errors.data, row[i].error);
		arena_free(&arena);
	}
	buf_fini(&errors);
}

static void
blocks_keep_title_place_and_order(void **state)
{
	struct arena *arena = arena_new(0);
	struct buf errors = { 0 };
	struct whole *w =
	    apply(arena, "part a { number = 1 }\nother a { }\npart c { }\n\nsingle { number = 9 }", &errors);

	(void)state;
	assert_string_equal(errors.data, "");
	assert_int_equal(w->part_count, 3);
	assert_string_equal(w->part[0].name, "a");
	assert_int_equal(w->part[0].number, 1);
	assert_string_equal(w->part[1].block, "other");
	assert_int_equal(w->part[1].number, 7);
	assert_string_equal(w->part[2].name, "c");
	assert_int_equal(w->part[2].place.line, 3);
	assert_int_equal(w->single.number, 9);
	assert_int_equal(w->single.place.line, 5);
	arena_free(&arena);
	buf_fini(&errors);
}

static void
rules_over_a_block_run_only_when_its_rows_are_right(void **state)
{
	struct arena *arena = arena_new(0);
	struct buf errors = { 0 };

	(void)state;
	assert_int_equal(apply(arena, "flag = x", &errors)->verified, 0);
	assert_int_equal(apply(arena, "flag = no", &errors)->verified, 1);
	arena_free(&arena);
	buf_fini(&errors);
}

static void
values_print_as_they_could_be_written(void **state)
{
	struct arena *arena = arena_new(0);
	struct buf errors = { 0 }, out = { 0 };

	(void)state;
	option_print(&whole,
	    apply(arena,
		"flag = no text = \"a \\\"b\\\" c\\\\d\" rate = 90/min wait = { 90s, 120s, 0s }\n"
		"any_size = 1536KB part \"x y\" { }",
		&errors),
	    0, &out);
	assert_string_equal(errors.data, "");
	assert_string_equal(buf_str(&out),
	    "flag = no\nrate = 90/min\ntext = \"a \\\"b\\\" c\\d\"\nwait = { 90s, 2min, 0s }\nany_size = 1536KB\n"
	    "single {\n\tnumber = 7\n}\npart \"x y\" {\n\tnumber = 7\n}\n");
	arena_free(&arena);
	buf_fini(&errors);
	buf_fini(&out);
}

static void
manual_and_sample_come_from_the_rows(void **state)
{
	struct buf out = { 0 };

	(void)state;
	option_manual(&whole, &out);
	assert_non_null(strstr(buf_str(&out), ".It Ic \"rate\" No = Ar \"rate\"\nA rate.\nIts prose"));
	assert_non_null(strstr(out.data, "Default:\n.Ql \"500/day\" .\n"));
	assert_non_null(strstr(out.data, ".It Ic \"wait\" No = { Ar \"duration\" No , ... }\n"));
	assert_non_null(strstr(out.data, ".It Ic \"part\" Ar \"name\" No { ... }\nOne of many.\n"));
	out.len = 0;
	option_sample(&whole, &out);
	assert_non_null(strstr(buf_str(&out), "\n# A flag.\n#flag = yes\n"));
	assert_non_null(strstr(out.data, "\n#wait = { 5min, 4h }\n"));
	assert_non_null(strstr(out.data, "\n# One of many.\n#part name {\n\n\t# A number.\n\t#number = 7\n#}\n"));
	buf_fini(&out);
}

static void
suggestions_are_near_or_none(void **state)
{
	static const char *const word[] = { "hostname", "listener", "limits", "tls", "log", "queue", "route",
		"recipients" };
	static const struct {
		const char *written, *meant;
	} row[] = {
		{ "hostnme", "hostname" },
		{ "hsotname", "hostname" },
		{ "HOSTNAME", "hostname" },
		{ "listner", "listener" },
		{ "limit", "limits" },
		{ "tsl", "tls" },
		{ "queu", "queue" },
		{ "qeueu", "queue" },
		{ "rout", "route" },
		{ "recip", "recipients" },
		{ "x", NULL },
		{ "xyz", NULL },
		{ "frobnicate", NULL },
		{ "", NULL },
		{ "a word that is longer than any other word in the language", NULL },
	};
	struct suggest s;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof row / sizeof *row; i++) {
		suggest_init(&s, row[i].written);
		for (k = 0; k < sizeof word / sizeof *word; k++)
			suggest_try(&s, word[k]);
		if (row[i].meant == NULL)
			assert_null(s.best);
		else
			assert_string_equal(s.best, row[i].meant);
	}
	assert_int_equal(suggest_distance("", "abc"), 3);
	assert_int_equal(suggest_distance("ab", "ba"), 1);
	assert_int_equal(suggest_distance("kitten", "sitting"), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_what_the_table_says),
		cmocka_unit_test(types_read_their_texts_and_refuse_others),
		cmocka_unit_test(blocks_keep_title_place_and_order),
		cmocka_unit_test(rules_over_a_block_run_only_when_its_rows_are_right),
		cmocka_unit_test(values_print_as_they_could_be_written),
		cmocka_unit_test(manual_and_sample_come_from_the_rows),
		cmocka_unit_test(suggestions_are_near_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
