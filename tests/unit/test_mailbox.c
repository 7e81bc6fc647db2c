/* SPDX-License-Identifier: MIT */
#include "mail/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Addresses found, with "|" between them, and "!" where the list turns out to be none. */
static void
addresses_of_a_field(void **state)
{
	static const struct {
		const char *value, *found;
	} cases[] = {
		{ " a@b.example", "a@b.example" },
		{ "A B <a@b.example>, c@d.example", "a@b.example|c@d.example" },
		{ "\"A, <x@y>\" <a@b.example>", "a@b.example" },
		{ "(c (nested) \\) x@y) a@b.example (d)", "a@b.example" },
		{ "a (c) @ (d) b . example", "a@b.example" },
		{ "\r\n\ta@b.example,\r\n\tc@d.example", "a@b.example|c@d.example" },
		{ "list: a@b.example, C <c@d.example>;, e@f.example", "a@b.example|c@d.example|e@f.example" },
		{ "undisclosed: ;", "" }, { "", "" }, { " , ,", "" },
		{ "<@x.example,@y.example:a@b.example>", "a@b.example" },
		{ "\"a b\"@c.example", "\"a b\"@c.example" }, { "a@[192.0.2.1]", "a@[192.0.2.1]" },
		{ "a@b.example c@d.example", "!" }, { "a b@c.example", "!" }, { "name", "!" }, { "<>", "!" }, { "<a@b", "!" },
		{ "a@", "!" }, { "@b", "!" }, { "\"a@b.example", "!" }, { "(a@b.example", "!" }, { "a@b.example)", "!" },
		{ "<a@b.example> x", "!" }, { "a@b.example <c@d.example>", "c@d.example" }, { "a@b.example, x", "a@b.example|!" },
		{ "a>b@c.example", "!" }, { "[a@b.example", "!" }, { "(\\", "!" }, { "\"\\", "!" },
	};
	struct mailbox_scan m;
	char found[2000];
	unsigned i;
	int rc;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		*found = '\0';
		mailbox_scan(&m, cases[i].value, strlen(cases[i].value));
		while ((rc = mailbox_next(&m)) != 0) {
			if (*found != '\0')
				strncat(found, "|", sizeof found - 1);
			strncat(found, rc < 0 ? "!" : m.address, sizeof found - 1);
			if (rc < 0)
				break;
		}
		assert_string_equal(found, cases[i].found);
	}
}

static void
hostile_fields(void **state)
{
	static char deep[200000];
	struct mailbox_scan m;

	(void)state;
	memset(deep, '(', sizeof deep);
	mailbox_scan(&m, deep, sizeof deep);
	assert_int_equal(mailbox_next(&m), -1);
	memset(deep, 'a', sizeof deep);
	deep[sizeof deep / 2] = '@';
	mailbox_scan(&m, deep, sizeof deep);
	assert_int_equal(mailbox_next(&m), -1);
	mailbox_scan(&m, "a\0@b.example", 12);
	assert_int_equal(mailbox_next(&m), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_a_field),
		cmocka_unit_test(hostile_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
