/* SPDX-License-Identifier: MIT */
#include "delivery/limits.h"

#include "delivery/errand.h"
#include "mail/address.h"
#include "util/str.h"

#include <string.h>

enum { VALUE_MAX = 999999 }; /* RFC 9422 4: one to six digits */

/* One "NAME=VALUE". */
static void
learn_one(struct hop_limits *limits, const char *word, size_t n)
{
	const struct {
		const char *name;
		unsigned *value;
	} known[] = { { "MAILMAX", &limits->mail }, { "RCPTMAX", &limits->rcpt }, { "RCPTDOMAINMAX", &limits->domains } };
	const char *equals = memchr(word, '=', n);
	size_t name = equals != NULL ? (size_t)(equals - word) : 0;
	uint64_t value;

	if (equals == NULL || str_u64(equals + 1, n - name - 1, VALUE_MAX, &value) != 0 || value == 0)
		return;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strlen(known[i].name) == name && str_nieq(word, known[i].name, name))
			*known[i].value = (unsigned)value;
}

void
limits_learn(struct hop_limits *limits, const char *args, size_t n)
{
	const char *end = args + n, *word;

	*limits = (struct hop_limits){ 0 };
	while (args < end) {
		word = args;
		while (args < end && *args != ' ')
			args++;
		learn_one(limits, word, (size_t)(args - word));
		args += args < end;
	}
}

static bool
domain_among(const struct errand *a, unsigned first, unsigned i)
{
	const char *domain = address_domain(errand_recipient(a, i)->address);

	for (unsigned k = first; k < i; k++)
		if (str_ieq(address_domain(errand_recipient(a, k)->address), domain))
			return true;
	return false;
}

unsigned
limits_recipients(const struct hop_limits *limits, const struct errand *a, unsigned first, unsigned count)
{
	unsigned i, domains = 0;

	if (limits->rcpt > 0 && limits->rcpt < count)
		count = limits->rcpt;
	if (limits->domains == 0)
		return count;
	for (i = 0; i < count; i++) {
		domains += !domain_among(a, first, first + i);
		if (domains > limits->domains)
			return i;
	}
	return count;
}
