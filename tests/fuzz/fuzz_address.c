/* SPDX-License-Identifier: MIT */
/* Paths and mailboxes: slices stay inside, what is accepted is accepted again on its own, and nothing accepted could
 * end a line, a bracket or a record. */
#include "mail/address.h"
#include "util/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_slices(const struct address *a, const char *s, size_t n, bool utf8_allowed)
{
	bool utf8 = false;
	size_t i;

	check(a->text >= s && a->text + a->len <= s + n && a->len <= ADDRESS_MAX);
	check(a->local_len <= ADDRESS_LOCAL_MAX && a->domain_len <= ADDRESS_DOMAIN_MAX);
	if (a->domain != NULL) {
		check(a->domain == a->text + a->local_len + 1 && a->domain[-1] == '@');
		check(a->domain + a->domain_len == a->text + a->len && a->domain_len > 0);
		check(memchr(a->domain, '@', a->domain_len) == NULL);
		check(a->literal == address_valid_literal(a->domain, a->domain_len));
	}
	for (i = 0; i < a->len; i++) {
		check((unsigned char)a->text[i] >= ' ' && a->text[i] != 0x7f);
		utf8 = utf8 || (unsigned char)a->text[i] > 127;
	}
	check(!utf8 || (a->utf8 && utf8_allowed));
}

static void
check_mailbox(const struct address *a, unsigned flags)
{
	char *text = xstrndup(a->text, a->len);
	struct address again;

	check(address_parse(text, a->len, flags, &again, NULL) == 0);
	check(again.text == text && again.len == a->len && again.local_len == a->local_len);
	check(strlen(text) == a->len && address_eq(text, text));
	check(strcmp(address_domain(text), text + a->local_len + 1) == 0);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address a;
	const char *why = NULL, *s;
	unsigned flags;
	int used;

	if (size < 1)
		return 0;
	flags = data[0] & 7;
	s = (const char *)data + 1;
	size--;
	used = address_parse_path(s, size, flags, &a, &why);
	check((used < 0) == (why != NULL) && used <= (int)size && used != 0);
	if (used > 0) {
		check(s[0] == '<' && s[used - 1] == '>');
		check_slices(&a, s, size, flags & ADDRESS_UTF8);
		if (a.domain != NULL)
			check_mailbox(&a, flags);
		else
			check(flags & (a.len == 0 ? ADDRESS_NULL : ADDRESS_POSTMASTER));
	}
	if (address_parse(s, size, flags, &a, &why) == 0) {
		check(a.text == s && a.len == size);
		check_slices(&a, s, size, flags & ADDRESS_UTF8);
	}
	if (address_valid_domain(s, size, flags))
		check(size <= ADDRESS_DOMAIN_MAX);
	address_valid_literal(s, size);
	return 0;
}
