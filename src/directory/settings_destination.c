/* SPDX-License-Identifier: MIT */
#include "directory/settings_destination.h"
#include "directory/settings.h"
#include "directory/settings_types.h"
#include "util/str.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define DESTINATION(field) .offset = offsetof(struct destination_settings, field)
#define DESTINATION_COUNT(field) .count_offset = offsetof(struct destination_settings, field)

enum { CONNECTIONS_MAX = 10000, MESSAGES_MAX = 1000000, DAY = 86400 };

static const struct option_word per_words[] = {
	{ "node", PER_NODE, false, "For all that leaves this machine." },
	{ "source", PER_SOURCE, false, "For each address of a source { } by itself." },
	{ 0 },
};

const struct option settings_destination_options[] = {
	{ .name = "connections", .type = &option_integer, DESTINATION(connections), .min = 1, .max = CONNECTIONS_MAX,
	  .fallback_help = "what routes allow", .example = "20", .help = "Connections at the same time, over all routes." },
	{ .name = "messages_per_connection", .type = &option_integer, DESTINATION(messages_per_connection), .min = 1,
	  .max = MESSAGES_MAX, .fallback_help = "what delivery { } says", .example = "50",
	  .help = "Messages over one connection, then it is closed." },
	{ .name = "rate", .type = &option_rate, DESTINATION(rate), .min = 1, .max = 100000000,
	  .fallback_help = "any", .example = "600/min",
	  .help = "Messages in a time, evenly spread over it: 600/min is ten in each second." },
	{ .name = "per", .type = &option_enum, DESTINATION(per), .words = per_words, .fallback = "node",
	  .help = "What these limits are for." },
	{ 0 },
};

static const struct option match_options[] = {
	{ .name = "mx", .type = &type_domain, .flags = OPTION_LIST, DESTINATION(mx), DESTINATION_COUNT(mx_count),
	  .fallback_help = "by domain only", .example = ".google.com, mx.example.net",
	  .help = "Next hops by their host name; with a dot before it, all below that name. A next hop that is an address is "
		  "named by it." },
	{ .name = "domain", .type = &type_domain, .flags = OPTION_LIST, DESTINATION(domain),
	  DESTINATION_COUNT(domain_count), .fallback_help = "by mx only", .example = "example.net, .example.net",
	  .help = "Next hops by the domain of the recipients they are the mail exchangers of." },
	{ 0 },
};

const struct option_block settings_destination_blocks[] = {
	{ .name = "match", .flags = BLOCK_INLINE, .options = match_options,
	  .help = "Which next hops are meant: any that one of these names. All of them share the limits. Without it, all "
		  "next hops that no other destination names; there the limits are for each of them, those with the same "
		  "name behind the first dot together." },
	{ 0 },
};

void
settings_destination_settle(struct settings *s, const struct option_context *c)
{
	const struct destination_settings *d, *first = NULL;
	unsigned i;

	for (i = 0; i < s->destination_count; i++) {
		d = &s->destination[i];
		if (d->mx_count + d->domain_count > 0)
			continue;
		if (first != NULL)
			conf_error(c->errors, &d->place, "destination %s: without a match there is one already, %s of %s:%d",
			    d->name, first->name, first->place.file, first->place.line);
		first = d;
	}
}

static bool
named(const char **list, unsigned count, const char *name)
{
	unsigned i;

	for (i = 0; name != NULL && i < count; i++)
		if (list[i][0] == '.' ? str_ends_nocase(name, list[i]) : str_ieq(name, list[i]))
			return true;
	return false;
}

const struct destination_settings *
settings_destination(const struct settings *s, const char *host, const char *domain)
{
	const struct destination_settings *d, *other = NULL;
	unsigned i;

	for (i = 0; i < s->destination_count; i++) {
		d = &s->destination[i];
		if (d->mx_count + d->domain_count == 0)
			other = d;
		else if (named(d->mx, d->mx_count, host) || named(d->domain, d->domain_count, domain))
			return d;
	}
	return other;
}

const char *
destination_group(const struct destination_settings *d, const char *host)
{
	const char *dot;

	if (d->mx_count + d->domain_count > 0)
		return d->name;
	dot = strchr(host, '.');
	/* mx1.example.net and mx2.example.net are one; example.net and 192.0.2.1 are themselves. */
	if (dot == NULL || strchr(dot + 1, '.') == NULL || strspn(host, "0123456789.") == strlen(host))
		return host;
	return dot + 1;
}
