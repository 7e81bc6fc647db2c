/* SPDX-License-Identifier: MIT */
#include "dns/mx.h"

#include "util/check.h"
#include "util/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct candidate {
	const struct dns_record *record;
	uint32_t chance; /* decides among equals: the load is shared (RFC 5321 5.1) */
};

static int
compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->record->preference != y->record->preference)
		return x->record->preference < y->record->preference ? -1 : 1;
	return x->chance < y->chance ? -1 : x->chance > y->chance;
}

static bool
listed(const struct mx *mx, const char *name)
{
	for (unsigned i = 0; i < mx->count; i++)
		if (strcmp(mx->host[i].name, name) == 0)
			return true;
	return false;
}

static void
add(struct mx *mx, const char *name, unsigned preference)
{
	struct mx_host *host = &mx->host[mx->count];

	/* "" is the root: no host, and beside others no null MX either. Named twice, the better place counts. */
	if (mx->count == MX_MAX || *name == '\0' || listed(mx, name))
		return;
	snprintf(host->name, sizeof host->name, "%s", name);
	host->preference = preference;
	mx->count++;
}

static void
sort(struct mx *mx, const struct dns_answer *a)
{
	struct candidate *c = xcalloc(a->count, sizeof *c);

	for (unsigned i = 0; i < a->count; i++)
		c[i] = (struct candidate){ &a->record[i], (uint32_t)random_below(UINT32_MAX) };
	qsort(c, a->count, sizeof *c, compare);
	for (unsigned i = 0; i < a->count; i++)
		add(mx, c[i].record->name, c[i].record->preference);
	free(c);
}

void
mx_lookup(const char *domain, uint64_t deadline, struct mx *out)
{
	const struct dns_answer *a = dns_lookup(domain, DNS_MX, deadline);
	char text[DNS_NAME_TEXT];

	out->status = MX_FOUND;
	out->implicit = false;
	out->secure = a->secure;
	out->ttl = a->ttl;
	out->count = 0;
	out->reason[0] = '\0';
	switch (a->status) {
	case DNS_FOUND:
		sort(out, a);
		if (out->count == 0)
			out->status = MX_NULL;
		break;
	case DNS_NODATA:
		out->implicit = true;
		snprintf(text, sizeof text, "%s", domain);
		if (text[0] != '\0' && text[strlen(text) - 1] == '.')
			text[strlen(text) - 1] = '\0';
		add(out, text, 0);
		break;
	case DNS_NXDOMAIN:
		out->status = MX_NO_DOMAIN;
		break;
	case DNS_TEMPORARY:
		out->status = MX_TEMPORARY;
		snprintf(out->reason, sizeof out->reason, "DNS: the MX of %.80s: %.80s", domain, a->reason);
		break;
	}
	dns_release(&a);
}
