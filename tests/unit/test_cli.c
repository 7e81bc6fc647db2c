/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/help.h"
#include "cli/render.h"
#include "util/base64.h"
#include "util/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* Splits LINE at spaces and parses it; what goes to standard error is dropped. */
static enum cli_exit
parse(struct cli *cli, const char *line)
{
	static char copy[512];
	static char *argv[32];
	int argc = 0, saved = dup(STDERR_FILENO);
	enum cli_exit rc;
	char *word;

	snprintf(copy, sizeof copy, "tmail %s", line);
	for (word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = word;
	assert_non_null(freopen("/dev/null", "w", stderr));
	rc = cli_parse(cli, argc, argv);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	return rc;
}

static void
command_lines_become_requests(void **state)
{
	static const struct {
		const char *line, *request, *args;
	} rows[] = {
		{ "status", "status", "{}" },
		{ "--json status", "status", "{}" },
		{ "status --json", "status", "{}" },
		{ "-c file queue count", "queue.count", "{}" },
		{ "queue -c file count --socket=x", "queue.count", "{}" },
		{ "queue list --from a@example.com --to @example.net", "queue.list",
		    "{\"from\":\"a@example.com\",\"to\":\"@example.net\"}" },
		{ "queue list --older 90min --younger=2d --limit 5", "queue.list",
		    "{\"older\":5400,\"younger\":172800,\"limit\":5}" },
		{ "queue list --id 2222222222222 --id 2222222222223", "queue.list",
		    "{\"ids\":[\"2222222222222\",\"2222222222223\"]}" },
		{ "queue hold --reason why --state due,deferred", "queue.hold",
		    "{\"reason\":\"why\",\"state\":\"due,deferred\"}" },
		{ "queue drop --all --yes", "queue.drop", "{\"all\":true}" },
		{ "queue drop -y --all --all", "queue.drop", "{\"all\":true}" },
		{ "queue shape --by domain", "queue.shape", "{\"by\":\"domain\"}" },
	};
	struct cli cli;
	json_t *args;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(parse(&cli, rows[i].line), CLI_OK);
		assert_string_equal(cli.command->request, rows[i].request);
		args = json_loads(rows[i].args, 0, NULL);
		if (!json_equal(cli.args, args))
			fail_msg("%s: %s", rows[i].line, json_dumps(cli.args, 0));
		json_decref(args);
		cli_fini(&cli);
	}
}

static void
wrong_command_lines_are_usage_errors(void **state)
{
	static const char *const rows[] = {
		"", "qeue list", "queue", "queue lst", "list", "queue list --form x", "queue list --from", "status extra",
		"queue show", "queue show a b", "queue list --older 5m", "queue list --older 5", "queue list --older 0s",
		"queue list --older -1h", "queue list --limit 0", "queue list --limit x", "queue list --id nonsense",
		"queue list --from a --from b", "queue list --json=yes", "--from a queue list", "queue cat --from a b",
		"queue list --from \xff", "-- --json status",
	};
	struct cli cli;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (parse(&cli, rows[i]) != CLI_USAGE)
			fail_msg("accepted: %s", rows[i]);
		cli_fini(&cli);
	}
}

static void
help_wins_over_missing_words(void **state)
{
	static const char *const rows[] = { "--help", "queue --help", "queue show --help", "-h", "--version", "help" };
	struct cli cli;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(parse(&cli, rows[i]), CLI_OK);
		cli_fini(&cli);
	}
}

static void
words_after_two_dashes_are_operands(void **state)
{
	struct cli cli;

	(void)state;
	assert_int_equal(parse(&cli, "queue show -- --json"), CLI_OK);
	assert_int_equal(cli.operand_count, 1);
	assert_string_equal(cli.operand[0], "--json");
	assert_false(cli_has(&cli, "--json"));
	cli_fini(&cli);
}

static void
peers_bytes_are_escaped(void **state)
{
	static const struct {
		const char *text, *shown;
	} rows[] = {
		{ "plain@example.com", "plain@example.com" },
		{ "\x1b]0;title\x07", "\\x1b]0;title\\x07" },
		{ "a\r\nb\tc", "a\\x0d\\x0ab\\x09c" },
		{ "\x7f", "\\x7f" },
		{ "\xc2\x9b" "31m", "\\u{9b}31m" },                 /* C1 control sequence introducer */
		{ "\xe2\x80\xae" "abc", "\\u{202e}abc" },           /* right-to-left override */
		{ "j\xc3\xb6rg@b\xc3\xbc" "cher.example", "j\xc3\xb6rg@b\xc3\xbc" "cher.example" },
		{ "\xff\xc3", "\\xff\\xc3" },
		{ "\xc0\xaf\xed\xa0\x80", "\\xc0\\xaf\\xed\\xa0\\x80" }, /* overlong, surrogate */
	};
	struct buf b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		b.len = 0;
		render_text(&b, rows[i].text);
		assert_string_equal(buf_str(&b), rows[i].shown);
	}
	b.len = 0;
	render_content(&b, "A: b\r\n\tc\r\n\r\n\x1b[2Jx\0y\rz\r", 22);
	assert_string_equal(buf_str(&b), "A: b\n\tc\n\n\\x1b[2Jx\\x00y\\x0dz\\x0d");
	buf_fini(&b);
}

static void
ages_and_sizes_are_short(void **state)
{
	static const struct {
		int64_t seconds;
		const char *age;
	} ages[] = { { -5, "0s" }, { 59, "59s" }, { 60, "1min" }, { 3599, "59min" }, { 3600, "1h00m" }, { 11520, "3h12m" },
		{ 86400, "1d0h" }, { 187200, "2d4h" } };
	static const struct {
		uint64_t bytes;
		const char *size;
	} sizes[] = { { 0, "0" }, { 999, "999" }, { 1000, "1.0k" }, { 4096, "4.1k" }, { 999499, "999k" },
		{ 999500, "1.0M" }, { 25000000, "25M" }, { 1073741824, "1.1G" }, { UINT64_MAX, "18E" } };
	struct buf b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof ages / sizeof *ages; i++) {
		b.len = 0;
		render_age(&b, ages[i].seconds);
		assert_string_equal(buf_str(&b), ages[i].age);
	}
	for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		b.len = 0;
		render_size(&b, sizes[i].bytes);
		assert_string_equal(buf_str(&b), sizes[i].size);
	}
	buf_fini(&b);
}

/* A table with ROWS rows as a text. */
static char *
table_output(unsigned rows)
{
	static const char *const title[] = { "NAME", ">N", "LAST", NULL };
	static char text[65536];
	int saved = dup(STDOUT_FILENO);
	FILE *tmp = tmpfile();
	struct table t;
	unsigned i;

	fflush(stdout);
	dup2(fileno(tmp), STDOUT_FILENO);
	table_init(&t, title);
	for (i = 0; i < rows; i++) {
		table_text(&t, i == 0 ? "a-long-name" : "b");
		table_number(&t, i);
		table_text(&t, NULL);
		table_row(&t);
	}
	table_end(&t);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(tmp);
	text[fread(text, 1, sizeof text - 1, tmp)] = '\0';
	fclose(tmp);
	return text;
}

static void
tables_align_and_stream(void **state)
{
	const char *text;
	unsigned lines = 0;

	(void)state;
	assert_string_equal(table_output(0), "");
	assert_string_equal(table_output(2), "NAME         N  LAST\na-long-name  0  -\nb            1  -\n");
	for (text = table_output(1000); *text != '\0'; text++)
		lines += *text == '\n';
	assert_int_equal(lines, 1001);
	assert_non_null(strstr(table_output(1000), "\nb              9  -\n"));
	assert_non_null(strstr(table_output(1000), "\nb            999  -\n"));
}

static void
every_row_documents_itself(void **state)
{
	const struct cli_command *const *c;
	const struct cli_option *o;
	struct buf out = { 0 };
	const char *words[2];
	unsigned i, n;

	(void)state;
	for (c = cli_commands; *c != NULL; c++) {
		assert_true(strlen((*c)->summary) > 10 && strlen((*c)->summary) < 70);
		assert_true(strlen((*c)->help) > 40);
		for (i = 0; i < CLI_OPTION_TABLES; i++)
			for (o = (*c)->options[i]; o != NULL && o->name != NULL; o++) {
				assert_true(strncmp(o->name, "--", 2) == 0);
				assert_true(strlen(o->help) > 10);
				assert_true((o->kind == OPTION_FLAG) == (o->value == NULL));
			}
		n = 0;
		if ((*c)->noun != NULL)
			words[n++] = (*c)->noun;
		words[n++] = (*c)->verb;
		out.len = 0;
		assert_int_equal(help_find(&out, words, n), 0);
		assert_non_null(strstr(buf_str(&out), (*c)->verb));
		out.len = 0;
		help_manual(&out);
		assert_non_null(strstr(buf_str(&out), (*c)->verb));
	}
	buf_fini(&out);
}

static void
help_lines_fit_a_terminal(void **state)
{
	static const char *const topics[] = { "queue", "filters", "exit-codes", "environment", "status" };
	struct buf out = { 0 };
	const char *line;
	size_t i;

	(void)state;
	help_overview(&out);
	for (i = 0; i < sizeof topics / sizeof *topics; i++)
		assert_int_equal(help_find(&out, &topics[i], 1), 0);
	for (line = buf_str(&out); *line != '\0'; line += strcspn(line, "\n") + 1)
		if (strcspn(line, "\n") > 80)
			fail_msg("too long: %.*s", (int)strcspn(line, "\n"), line);
	buf_fini(&out);
}

static void
base64_round_trips_and_refuses_rubbish(void **state)
{
	static const struct {
		const char *text, *base64;
	} rows[] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }, { "\xff\xfe\xfb", "//77" } };
	static const char *const bad[] = { "Z", "Zg=", "Zg", "Z===", "====", "Zg==Zg==", "Zh==", "Zm9=", "Zm 9", "Zm9\n" };
	struct buf b = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		b.len = 0;
		base64_encode(rows[i].text, strlen(rows[i].text), &b);
		assert_string_equal(buf_str(&b), rows[i].base64);
		b.len = 0;
		assert_int_equal(base64_decode(rows[i].base64, strlen(rows[i].base64), &b), 0);
		assert_string_equal(buf_str(&b), rows[i].text);
	}
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		b.len = 0;
		assert_int_equal(base64_decode(bad[i], strlen(bad[i]), &b), -1);
		assert_int_equal(b.len, 0);
	}
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(command_lines_become_requests),
		cmocka_unit_test(wrong_command_lines_are_usage_errors),
		cmocka_unit_test(help_wins_over_missing_words),
		cmocka_unit_test(words_after_two_dashes_are_operands),
		cmocka_unit_test(peers_bytes_are_escaped),
		cmocka_unit_test(ages_and_sizes_are_short),
		cmocka_unit_test(tables_align_and_stream),
		cmocka_unit_test(every_row_documents_itself),
		cmocka_unit_test(help_lines_fit_a_terminal),
		cmocka_unit_test(base64_round_trips_and_refuses_rubbish),
	};

	json_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
