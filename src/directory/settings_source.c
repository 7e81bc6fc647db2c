/* SPDX-License-Identifier: MIT */
#include "directory/settings_source.h"
#include "directory/settings.h"
#include "directory/settings_types.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/option.h"
#include "util/str.h"

#include <stddef.h>
#include <string.h>

enum { ANY_PORT = 25, WEIGHT_MAX = 1000 };

static int
source_word(const char *word, const struct option_input *in, struct source_address *out, struct err *err)
{
	uint64_t v;

	if (str_starts(word, "hostname=")) {
		struct option_input name = *in;

		name.text = arena_strdup(in->arena, word + strlen("hostname="));
		return type_host_name.parse(&name, &out->hostname, err);
	}
	if (!str_starts(word, "weight="))
		return err_set(err, "behind the address, 'hostname=NAME' and 'weight=N' are allowed");
	if (str_u64(word + 7, strlen(word + 7), WEIGHT_MAX, &v) < 0 || v == 0)
		return err_set(err, "a weight is a number from 1 to %d", WEIGHT_MAX);
	out->weight = (unsigned)v;
	return 0;
}

static int
parse_source(const struct option_input *in, void *value, struct err *err)
{
	char *copy = arena_strdup(in->arena, in->text), *rest, *word;
	struct source_address *out = value;
	struct network host;

	out->text = in->text;
	out->weight = 1;
	word = strtok_r(copy, " \t", &rest);
	if (word == NULL || strchr(word, '/') != NULL || network_parse(word, &host, err) < 0)
		return err_set(err, "a numeric address without a port is expected, as in 192.0.2.10");
	if (addr_parse(word, ANY_PORT, &out->address, err) < 0)
		return -1;
	if (out->address.u.sa.sa_family == AF_INET)
		out->address.u.in.sin_port = 0;
	else
		out->address.u.in6.sin6_port = 0;
	while ((word = strtok_r(NULL, " \t", &rest)) != NULL)
		if (source_word(word, in, out, err) < 0)
			return -1;
	return 0;
}

static void
print_source(struct buf *b, const struct option *o, const void *value)
{
	(void)o;
	buf_adds(b, ((const struct source_address *)value)->text);
}

static const struct option_type type_source = { "source address",
	"A numeric address of this machine; in the same quotes may follow hostname=NAME, what the gateway calls itself from "
	"there, and weight=N, its share under round-robin.",
	sizeof(struct source_address), parse_source, print_source };

static const struct option_word source_balance[] = {
	{ "failover", BALANCE_FAILOVER, false, "The first one that can be used, in the order written." },
	{ "round-robin", BALANCE_ROUND_ROBIN, false, "All that can be used, in turn, by weight." },
	{ 0 },
};

#define SOURCE(field) .offset = offsetof(struct source_settings, field)

const struct option settings_source_options[] = {
	{ .name = "address", .type = &type_source, .flags = OPTION_LIST | OPTION_REQUIRED, SOURCE(address),
	  .count_offset = offsetof(struct source_settings, address_count),
	  .example = "\"192.0.2.10 hostname=out1.example.com\", \"192.0.2.11 hostname=out2.example.com weight=3\"",
	  .help = "Addresses connections are made from. hostname=NAME is said in EHLO (the gateway's hostname unless "
		  "given): it should resolve to the address and back. One of the next hop's kind is used, IPv4 or "
		  "IPv6; one that this machine has not, or that a next hop cannot be reached from, is passed over." },
	{ .name = "balance", .type = &option_enum, SOURCE(balance), .words = source_balance, .fallback = "failover",
	  .help = "Which of several addresses a connection is made from." },
	{ 0 },
};

void
settings_source_verify(void *block, const struct option_context *c)
{
	const struct source_settings *s = block;
	unsigned i, k;

	if (s->address_count > SETTINGS_SOURCES_MAX)
		conf_error(c->errors, &s->place, "source %s: more than %d addresses", s->name, SETTINGS_SOURCES_MAX);
	for (i = 0; i < s->address_count; i++)
		for (k = 0; k < i; k++)
			if (addr_same_host(&s->address[i].address, &s->address[k].address))
				conf_error(c->errors, &s->place, "source %s: the address '%s' is named twice", s->name,
				    s->address[i].text);
}

static const struct source_settings *
find(const struct settings *s, const char *name)
{
	unsigned i;

	for (i = 0; i < s->source_count; i++)
		if (s->source[i].name != NULL && strcmp(s->source[i].name, name) == 0)
			return &s->source[i];
	return NULL;
}

void
settings_source_settle(struct settings *s, const struct option_context *c)
{
	struct route_settings *r;
	unsigned i;

	for (i = 0; i < s->route_count; i++) {
		r = &s->route[i];
		if (r->source_name == NULL)
			continue;
		r->source = find(s, r->source_name);
		if (r->source == NULL && !c->partial)
			conf_error(c->errors, &r->place, "%s %s: there is no source '%s'", r->block, r->name,
			    r->source_name);
	}
}
