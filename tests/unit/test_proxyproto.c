/* SPDX-License-Identifier: MIT */
#include "net/proxyproto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IP4 "\xc0\0\2\1\xc6\x33\x64\7\x0f\xa0\0\x19"
#define IP6 "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x0f\xa0\0\x19"
#define BYTES(s) (s), sizeof (s) - 1

struct row {
	const char *p;
	size_t n;
	enum proxy_parse answer;
	const char *source, *destination; /* NULL: not known */
};

static const struct row rows[] = {
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\n"), PROXY_HEADER, "192.0.2.1:56324", "198.51.100.7:25" },
	{ BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n"), PROXY_HEADER, "[2001:db8::1]:0", "[2001:db8::2]:65535" },
	{ BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"), PROXY_HEADER, "192.0.2.1:1", "[::1]:2" },
	{ BYTES("PROXY UNKNOWN\r\n"), PROXY_HEADER, NULL, NULL },
	{ BYTES("PROXY UNKNOWN ffff::1 x y z  \r\n"), PROXY_HEADER, NULL, NULL },
	{ BYTES("PROXY UNKNOWN"), PROXY_MORE, NULL, NULL },
	{ BYTES("PRO"), PROXY_MORE, NULL, NULL },
	{ BYTES(""), PROXY_MORE, NULL, NULL },
	{ BYTES("EHLO x\r\n"), PROXY_BAD, NULL, NULL },
	{ BYTES("proxy TCP4"), PROXY_BAD, NULL, NULL },
	{ BYTES("PROXY \r\n"), PROXY_BAD, NULL, NULL },
	{ BYTES("PROXY UNKNOWN\n"), PROXY_BAD, NULL, NULL },
	{ BYTES("PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n"), PROXY_BAD, NULL, NULL },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n"), PROXY_BAD, NULL, NULL },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 2 3\r\n"), PROXY_BAD, NULL, NULL },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 2 \r\n"), PROXY_BAD, NULL, NULL },
	{ BYTES("PROXY TCP4 192.0.2.1  198.51.100.7 1 2\r\n"), PROXY_BAD, NULL, NULL },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 65536\r\n"), PROXY_BAD, NULL, NULL },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 01 2\r\n"), PROXY_BAD, NULL, NULL },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 -1 2\r\n"), PROXY_BAD, NULL, NULL },
	{ BYTES("PROXY TCP4 2001:db8::1 198.51.100.7 1 2\r\n"), PROXY_BAD, NULL, NULL },
	{ BYTES("PROXY TCP4 192.0.2.256 198.51.100.7 1 2\r\n"), PROXY_BAD, NULL, NULL },
	{ BYTES("PROXY TCP4 192.0.2.1\0 198.51.100.7 1 2\r\n"), PROXY_BAD, NULL, NULL },

	{ BYTES(SIGNATURE "\x20\0\0\0"), PROXY_HEADER, NULL, NULL },
	{ BYTES(SIGNATURE "\x20\xff\0\3abc"), PROXY_HEADER, NULL, NULL },
	{ BYTES(SIGNATURE "\x21\0\0\3abc"), PROXY_HEADER, NULL, NULL },
	{ BYTES(SIGNATURE "\x21\x11\0\x0c" IP4), PROXY_HEADER, "192.0.2.1:4000", "198.51.100.7:25" },
	{ BYTES(SIGNATURE "\x21\x21\0\x24" IP6), PROXY_HEADER, "[2001:db8::1]:4000", "[2001:db8::2]:25" },
	{ BYTES(SIGNATURE "\x21\x11\0\x13" IP4 "\1\0\4smtp"), PROXY_HEADER, "192.0.2.1:4000", "198.51.100.7:25" },
	{ BYTES(SIGNATURE "\x21\x11\0\x1d" IP4 "\1\0\4smtp\4\0\0\3\0\4\xcf\3\x4c\x9b"), PROXY_HEADER, "192.0.2.1:4000",
	    "198.51.100.7:25" },
	{ BYTES(SIGNATURE "\x21\x11\0\x1d" IP4 "\1\0\4smtp\4\0\0\3\0\4\xcf\3\x4c\x9c"), PROXY_BAD, NULL, NULL },
	{ BYTES(SIGNATURE "\x21\x11\0\x0f" IP4 "\3\0\0"), PROXY_BAD, NULL, NULL },
	{ BYTES(SIGNATURE "\x21\x11\0\x0f" IP4 "\1\0\1"), PROXY_BAD, NULL, NULL },
	{ BYTES(SIGNATURE "\x21\x11\0\x0e" IP4 "\1\0"), PROXY_BAD, NULL, NULL },
	{ BYTES(SIGNATURE "\x21\x11\0\x0b" IP4), PROXY_BAD, NULL, NULL },
	{ BYTES(SIGNATURE "\x21\x12\0\x0c" IP4), PROXY_BAD, NULL, NULL },
	{ BYTES(SIGNATURE "\x21\x41\0\x0c" IP4), PROXY_BAD, NULL, NULL },
	{ BYTES(SIGNATURE "\x22\x11\0\x0c" IP4), PROXY_BAD, NULL, NULL },
	{ BYTES(SIGNATURE "\x11\x11\0\x0c" IP4), PROXY_BAD, NULL, NULL },
	{ BYTES(SIGNATURE "\x21\x11\x20\0" IP4), PROXY_BAD, NULL, NULL },
	{ BYTES(SIGNATURE "\x21\x11\0\x0c\xc0\0"), PROXY_MORE, NULL, NULL },
	{ BYTES(SIGNATURE), PROXY_MORE, NULL, NULL },
	{ BYTES("\r\n\r\n\0\r"), PROXY_MORE, NULL, NULL },
	{ BYTES("\r\n\r\n\0\rX"), PROXY_BAD, NULL, NULL },
};

static void
check_row(const struct row *row)
{
	struct proxy_header h;
	const char *why = NULL;
	char text[ADDR_TEXT];
	enum proxy_parse answer = proxy_parse(row->p, row->n, &h, &why);

	if (answer != row->answer)
		fail_msg("row %d: %d instead of %d (%s)", (int)(row - rows), answer, row->answer, why ? why : "-");
	assert_int_equal(why != NULL, answer == PROXY_BAD);
	if (answer != PROXY_HEADER)
		return;
	assert_int_equal(h.len, row->n);
	assert_int_equal(h.known, row->source != NULL);
	if (h.known) {
		assert_string_equal(addr_text(&h.source, text), row->source);
		assert_string_equal(addr_text(&h.destination, text), row->destination);
	}
}

static void
headers_of_both_versions(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		check_row(&rows[i]);
}

static void
what_follows_is_the_clients(void **state)
{
	static const char v1[] = "PROXY UNKNOWN\r\nEHLO x\r\n", v2[] = SIGNATURE "\x20\0\0\1.EHLO x\r\n";
	struct proxy_header h;
	const char *why;

	(void)state;
	assert_int_equal(proxy_parse(BYTES(v1), &h, &why), PROXY_HEADER);
	assert_int_equal(h.len, 15);
	assert_int_equal(proxy_parse(BYTES(v2), &h, &why), PROXY_HEADER);
	assert_int_equal(h.len, 17);
}

static void
version_1_ends_at_107_octets(void **state)
{
	char line[200];
	struct proxy_header h;
	const char *why;

	(void)state;
	memset(line, 'x', sizeof line);
	memcpy(line, "PROXY UNKNOWN ", 14);
	memcpy(line + 105, "\r\n", 2);
	assert_int_equal(proxy_parse(line, 107, &h, &why), PROXY_HEADER);
	memcpy(line + 105, "x\r\n", 3);
	assert_int_equal(proxy_parse(line, 106, &h, &why), PROXY_MORE);
	assert_int_equal(proxy_parse(line, 108, &h, &why), PROXY_BAD);
}

static void
a_unix_path_is_text_or_left_out(void **state)
{
	char header[16 + 216] = SIGNATURE "\x21\x31\0\xd8/run/a.sock";
	struct proxy_header h;
	const char *why;
	char text[ADDR_TEXT];

	(void)state;
	assert_int_equal(proxy_parse(header, sizeof header, &h, &why), PROXY_HEADER);
	assert_string_equal(addr_text(&h.source, text), "unix:/run/a.sock");
	header[17] = '\n';
	assert_int_equal(proxy_parse(header, sizeof header, &h, &why), PROXY_HEADER);
	assert_string_equal(addr_text(&h.source, text), "unix:");
	memset(header + 16, 'x', 216);
	assert_int_equal(proxy_parse(header, sizeof header, &h, &why), PROXY_HEADER);
	assert_string_equal(addr_text(&h.source, text), "unix:");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_of_both_versions),
		cmocka_unit_test(what_follows_is_the_clients),
		cmocka_unit_test(version_1_ends_at_107_octets),
		cmocka_unit_test(a_unix_path_is_text_or_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
