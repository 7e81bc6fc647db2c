/* SPDX-License-Identifier: MIT */
/* A configuration of any bytes: it is refused with at least one whole line, or accepted; and what is printed of an
 * accepted one is accepted again and means the same. */
#include "directory/settings.h"
#include "util/buf.h"
#include "util/check.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct settings *
parse(const char *text, size_t n)
{
	struct settings *s = NULL;
	struct buf errors = { 0 };

	if (settings_parse(&s, "fuzz", text, n, &errors) < 0)
		check(s == NULL && errors.len > 0 && errors.data[errors.len - 1] == '\n');
	else
		check(s != NULL && errors.len == 0);
	buf_fini(&errors);
	return s;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings *s = parse((const char *)data, size), *again;
	struct buf first = { 0 }, second = { 0 };

	if (s == NULL)
		return 0;
	settings_route(s, &(struct route_query){ .sender = "a@b.example", .recipient = "user@mail.example.com" });
	settings_route(s, &(struct route_query){ .sender = "", .recipient = "postmaster", .group = "g", .login = "l" });
	settings_is_ours(s, "mail.example.com");
	settings_print(s, &first);
	settings_free(&s);
	again = parse(first.data, first.len);
	check(again != NULL);
	settings_print(again, &second);
	check(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	settings_free(&again);
	buf_fini(&first);
	buf_fini(&second);
	return 0;
}
