/* SPDX-License-Identifier: MIT */
/* The header of the PROXY protocol: the answer to a part of the bytes agrees with the answer to all of them. */
#include "net/proxyproto.h"
#include "util/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_address(const struct addr *a)
{
	char text[ADDR_TEXT];
	const char *p;

	for (p = addr_text(a, text); *p != '\0'; p++)
		check(*p > ' ' && *p < 0x7f);
	check(strlen(addr_literal(a, text)) < ADDR_TEXT);
}

static enum proxy_parse
parse(const uint8_t *data, size_t size, struct proxy_header *h)
{
	char *exact = xmalloc(size > 0 ? size : 1); /* so that a sanitizer sees a byte read behind it */
	const char *why = NULL;
	enum proxy_parse answer;

	if (size > 0)
		memcpy(exact, data, size);
	answer = proxy_parse(exact, size, h, &why);
	check((answer == PROXY_BAD) == (why != NULL));
	free(exact);
	return answer;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header whole, part;
	enum proxy_parse answer = parse(data, size, &whole), early;
	size_t n;

	if (answer == PROXY_MORE)
		check(size < PROXY_V2_MAX);
	if (answer == PROXY_HEADER) {
		check(whole.len > 0 && whole.len <= size && whole.len <= PROXY_V2_MAX);
		if (whole.known) {
			check_address(&whole.source);
			check_address(&whole.destination);
		}
	}
	for (n = 0; n < size && n < 300; n++) {
		early = parse(data, n, &part);
		if (early == PROXY_MORE)
			continue;
		check(early == answer && part.len == whole.len);
		return 0;
	}
	return 0;
}
