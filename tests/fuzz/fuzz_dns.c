/* SPDX-License-Identifier: MIT */
/* DNS messages as answers to every kind of question: bounded, and nothing in a name that could break a line of ours.
 * The first octet chooses the type; the rest is the message. */
#include "dns/answer.h"
#include "util/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum dns_type types[] = { DNS_A, DNS_CNAME, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA, DNS_TLSA };

static void
check_name(const char *name)
{
	check(strlen(name) < DNS_NAME_TEXT);
	for (; *name != '\0'; name++)
		check(*name > ' ' && *name <= '~' && !(*name >= 'A' && *name <= 'Z'));
}

static void
check_record(const struct dns_record *r, enum dns_type type, size_t size)
{
	size_t i;
	unsigned sum = 0;

	if (type == DNS_A || type == DNS_AAAA) {
		check(r->address.u.sa.sa_family == (type == DNS_A ? AF_INET : AF_INET6) && r->address.len > 0);
		return;
	}
	if (type == DNS_MX || type == DNS_CNAME || type == DNS_PTR) {
		check_name(r->name);
		return;
	}
	check(r->len <= size);
	for (i = 0; i < r->len; i++)
		sum += r->data[i]; /* a sanitizer sees what is not there */
	check(sum <= 255 * size);
}

static void
check_answer(const struct answer *a, enum dns_type type, size_t size)
{
	unsigned i;

	check(a->pub.ttl <= DNS_TTL_MAX && !a->pub.secure && a->refs == 1);
	check((a->pub.reason != NULL) == (a->pub.status == DNS_TEMPORARY));
	check((a->pub.count > 0) == (a->pub.status == DNS_FOUND));
	check(a->pub.count <= DNS_RECORDS_MAX);
	if (a->pub.status == DNS_FOUND)
		check_name(a->pub.canonical);
	for (i = 0; i < a->pub.count; i++)
		check_record(&a->pub.record[i], type, size);
}

static void
check_text(const uint8_t *data, size_t size)
{
	char *name = calloc(size + 1, 1), out[DNS_NAME_TEXT];

	check(name != NULL);
	memcpy(name, data, size);
	if (dns_name_text(name, out) == 0)
		check_name(out);
	free(name);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum dns_type type;
	struct answer *a;
	uint8_t *copy;

	if (size == 0)
		return 0;
	type = types[data[0] % (sizeof types / sizeof *types)];
	copy = xmemdup(data + 1, size - 1);
	a = answer_parse(copy, size - 1, "example.net", type);
	free(copy); /* an answer keeps nothing of the message */
	check_answer(a, type, size);
	answer_drop(a);
	check_text(data, size);
	return 0;
}
