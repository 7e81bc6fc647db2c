/* SPDX-License-Identifier: MIT */
#include "control/trace.h"

#include "control/filter.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

/* "192.0.2.1", "2001:db8::1" as history has it. */
static int
read_address(const char *text, struct addr *out)
{
	char with_port[ADDR_TEXT];

	if (snprintf(with_port, sizeof with_port, strchr(text, ':') != NULL ? "[%s]:25" : "%s:25", text) >=
	    (int)sizeof with_port)
		return -1;
	return addr_parse(with_port, 25, out, NULL);
}

static void
add_key(struct trace_filter *f, enum history_key_type type, const char *text)
{
	f->key[f->keys++] = history_key_text(type, text, strlen(text));
}

/* A pattern with a star says nothing a block's filter could be asked. */
static void
add_pattern(struct trace_filter *f, enum history_key_type address, enum history_key_type domain, const char *pattern)
{
	if (pattern == NULL || strchr(pattern, '*') != NULL)
		return;
	if (strcmp(pattern, "<>") == 0)
		add_key(f, address, "");
	else if (*pattern == '@')
		add_key(f, domain, pattern + 1);
	else
		add_key(f, address, pattern);
}

static int
read_client(struct trace_filter *f, struct err *err)
{
	char text[ADDR_TEXT];
	struct addr a;

	if (network_parse(f->client, &f->network, err) == 0) {
		if (read_address(f->client, &a) == 0)
			add_key(f, HISTORY_KEY_CLIENT, addr_ip_text(&a, text));
		return 0;
	}
	f->network.family = 0;
	if (strncmp(f->client, "unix:", 5) != 0)
		return err_context(err, "client");
	add_key(f, HISTORY_KEY_CLIENT, f->client);
	return 0;
}

int
trace_filter_read(struct trace_filter *f, const json_t *args, struct err *err)
{
	int64_t since = json_integer_value(json_object_get(args, "since"));

	*f = (struct trace_filter){
		.from = json_string_value(json_object_get(args, "from")),
		.to = json_string_value(json_object_get(args, "to")),
		.client = json_string_value(json_object_get(args, "client")),
		.since = since > 0 ? clock_wall_ms() - since * 1000 : 0,
	};
	add_pattern(f, HISTORY_KEY_FROM, HISTORY_KEY_FROM_DOMAIN, f->from);
	add_pattern(f, HISTORY_KEY_TO, HISTORY_KEY_TO_DOMAIN, f->to);
	return f->client != NULL ? read_client(f, err) : 0;
}

bool
trace_filter_wants(const struct trace_filter *f, const struct history_block *b, const void *filter)
{
	unsigned i;

	if (b->last < f->since)
		return false;
	for (i = 0; i < f->keys; i++)
		if (!history_block_may_have(b, filter, f->key[i]))
			return false;
	return true;
}

static const char *
as_string(const struct history_value *v, char out[HISTORY_EVENT_MAX])
{
	memcpy(out, v->text, v->len);
	out[v->len] = '\0';
	return out;
}

static bool
pattern_matches(const struct history_view *e, enum history_field field, const char *pattern)
{
	char text[HISTORY_EVENT_MAX];
	struct history_value v;
	size_t at = 0;

	while (history_next(e, &at, &v))
		if (v.field == field && address_matches(pattern, as_string(&v, text)))
			return true;
	return false;
}

static bool
client_matches(const struct trace_filter *f, const struct history_view *e)
{
	char text[HISTORY_EVENT_MAX];
	struct history_value v;
	struct addr a;

	if (!history_find(e, HISTORY_CLIENT, &v))
		return false;
	if (f->network.family == 0)
		return strcmp(as_string(&v, text), f->client) == 0;
	return read_address(as_string(&v, text), &a) == 0 && network_has(&f->network, &a);
}

bool
trace_filter_matches(const struct trace_filter *f, const struct history_view *e)
{
	if (e->kind > HISTORY_ABORTED || e->when < f->since)
		return false;
	return (f->from == NULL || pattern_matches(e, HISTORY_FROM, f->from)) &&
	    (f->to == NULL || pattern_matches(e, HISTORY_TO, f->to)) && (f->client == NULL || client_matches(f, e));
}

/* ---- as JSON ---- */

json_t *
trace_text(const struct history_value *v)
{
	char text[HISTORY_EVENT_MAX];

	return json_peer(as_string(v, text));
}

static json_t *
id_to_json(uint64_t id)
{
	char text[ID_TEXT];

	id_text(id, text);
	return json_string(text);
}

static json_t *
value_to_json(const struct history_value *v)
{
	switch (v->field) {
	case HISTORY_REPORT:
	case HISTORY_ABOUT:
	case HISTORY_AS:
		return id_to_json(v->number);
	default:
		return v->field < HISTORY_NUMBERS ? trace_text(v) : json_integer((json_int_t)v->number);
	}
}

static void
add_field(json_t *o, const struct history_value *v)
{
	const char *name = history_field_name(v->field);
	char unknown[16];
	json_t *list;

	if (name == NULL) {
		snprintf(unknown, sizeof unknown, "field-%u", v->field);
		name = unknown;
	}
	if (v->field != HISTORY_TO) {
		json_object_set_new(o, name, value_to_json(v));
		return;
	}
	list = json_object_get(o, name);
	if (list == NULL) {
		list = json_array();
		json_object_set_new(o, name, list);
	}
	json_array_append_new(list, trace_text(v));
}

json_t *
trace_to_json(const struct history_view *e)
{
	const char *name = history_kind_name(e->kind);
	struct history_value v;
	char unknown[16];
	size_t at = 0;
	json_t *o;

	snprintf(unknown, sizeof unknown, "event-%u", e->kind);
	o = json_pack("{s:o,s:I,s:I,s:s}", "id", id_to_json(e->id), "time", (json_int_t)(e->when / 1000), "ms",
	    (json_int_t)(e->when % 1000), "event", name != NULL ? name : unknown);
	check(o != NULL);
	while (history_next(e, &at, &v))
		add_field(o, &v);
	return o;
}
