/* SPDX-License-Identifier: MIT */
/* route.test: what would become of a recipient, and why. Asks the functions the server and the delivery ask. */
#include "control/commands.h"
#include "delivery/delivery.h"
#include "directory/settings.h"
#include "mail/address.h"
#include "util/buf.h"
#include "util/check.h"

#include <stdio.h>
#include <string.h>

enum { NO_PORT = 25 }; /* a client's address is written without one, MX have no other */

static const char *
text_arg(const struct job *job, const char *name)
{
	return json_string_value(json_object_get(job->args, name));
}

static json_t *
place_to_json(const struct place *place)
{
	struct buf b = { 0 };
	json_t *text;

	buf_printf(&b, "%s:%d", place->file, place->line);
	text = json_peer(buf_str(&b));
	buf_fini(&b);
	return text;
}

/* The words of the configuration. */
static const char *
tls_name(enum tls_mode tls)
{
	static const char *const names[] = { [TLS_NONE] = "none", [TLS_OPTIONAL] = "optional",
		[TLS_REQUIRED] = "required", [TLS_IMPLICIT] = "implicit", [TLS_VERIFY] = "verify" };

	return names[tls];
}

static json_t *
hops_to_json(const struct route_query *q, const struct route_settings *r)
{
	json_t *array = json_array();
	char text[HOP_TEXT], key[SETTINGS_KEY_TEXT];
	unsigned i;

	if (r->hop_count == 0) {
		snprintf(text, sizeof text, "mx:%s:%d", settings_key_domain(r, settings_key(r, q->recipient, key)), NO_PORT);
		json_array_append_new(array, json_pack("{s:o,s:i,s:b}", "hop", json_peer(text), "weight", 1, "backup", 0));
	}
	for (i = 0; i < r->hop_count; i++)
		json_array_append_new(array, json_pack("{s:o,s:i,s:b}", "hop", json_peer(hop_text(&r->hop[i], text)),
		    "weight", (int)r->hop[i].weight, "backup", (int)r->hop[i].backup));
	return array;
}

static json_t *
source_to_json(const struct source_settings *source)
{
	json_t *o = json_pack("{s:o,s:o,s:[]}", "name", json_peer(source->name), "place", place_to_json(&source->place),
	    "addresses");
	unsigned i;

	for (i = 0; i < source->address_count; i++)
		json_array_append_new(json_object_get(o, "addresses"), json_peer(source->address[i].text));
	return o;
}

static json_t *
explained(const struct route_query *q, const struct route_settings *r, const struct route_settings *taken)
{
	struct buf b = { 0 };
	json_t *o;

	settings_route_explain(q, r, taken, &b);
	o = json_pack("{s:o,s:o,s:s}", "route", json_peer(r->key), "place", place_to_json(&r->place), "why",
	    buf_str(&b));
	check(o != NULL);
	buf_fini(&b);
	return o;
}

/* The route taken, with all that delivery does by it. */
static json_t *
route_to_json(const struct route_query *q, const struct route_settings *r)
{
	json_t *o = explained(q, r, r);

	json_object_set_new(o, "next_hops", hops_to_json(q, r));
	json_object_set_new(o, "balance", json_string(r->balance == BALANCE_FAILOVER ? "failover" : "round-robin"));
	json_object_set_new(o, "tls", json_string(tls_name(r->tls)));
	json_object_set_new(o, "connections", json_integer(r->connections));
	json_object_set_new(o, "source", r->source != NULL ? source_to_json(r->source) : json_null());
	return o;
}

static json_t *
others_to_json(const struct settings *s, const struct route_query *q, const struct route_settings *taken)
{
	json_t *array = json_array();
	unsigned i;

	for (i = 0; i < s->route_count; i++)
		if (&s->route[i] != taken)
			json_array_append_new(array, explained(q, &s->route[i], taken));
	return array;
}

static const struct listener_settings *
find_listener(const struct settings *s, const char *name)
{
	unsigned i;

	for (i = 0; name != NULL && i < s->listener_count; i++)
		if (strcmp(s->listener[i].name, name) == 0)
			return &s->listener[i];
	return NULL;
}

/* What the session would say. */
static const char *
reply_for(const struct settings *s, const struct route_query *q, const struct listener_settings *listener,
    const struct client_settings *client, bool may_relay)
{
	const char *at = strrchr(q->recipient, '@');

	if (q->login == NULL && client != NULL && !client_may_send(client, q->sender))
		return "553 5.7.1 that sender is not yours to use";
	if (!settings_may_reach(s, listener, may_relay, at != NULL ? at + 1 : ""))
		return "550 5.7.1 relaying denied";
	return settings_route(s, q) == NULL ? "550 5.4.4 no route to that recipient" : NULL;
}

static json_t *
decide(const struct settings *s, const struct route_query *q, const struct listener_settings *listener,
    const struct addr *client)
{
	const struct client_settings *known = client != NULL ? settings_client(s, client) : NULL;
	bool may_relay = q->login != NULL || (client != NULL && settings_may_relay(s, client));
	const char *reply = reply_for(s, q, listener, known, may_relay);
	const struct route_settings *route = settings_route(s, q);
	json_t *o;

	o = json_pack("{s:b,s:o,s:s,s:o,s:o,s:o,s:o,s:o}", "accepted", (int)(reply == NULL), "reply", json_peer(reply),
	    "direction", may_relay ? "outbound" : "inbound", "client",
	    known != NULL ? json_peer(known->name) : json_null(), "client_place",
	    known != NULL ? place_to_json(&known->place) : json_null(), "group", json_peer(q->group), "route",
	    route != NULL ? route_to_json(q, route) : json_null(), "others", others_to_json(s, q, route));
	check(o != NULL);
	return o;
}

static int
route_test_begin(struct job *job)
{
	const struct settings *s = job->settings;
	const char *listener = text_arg(job, "listener"), *client = text_arg(job, "client");
	struct route_query q = { .sender = text_arg(job, "from"), .recipient = text_arg(job, "to"),
		.login = text_arg(job, "user"), .listener = listener };
	struct addr addr;
	struct err err;

	if (s == NULL)
		return job_fail(job, "failed", "there is no configuration");
	if (q.recipient == NULL || strchr(q.recipient, '@') == NULL)
		return job_fail(job, "bad-request", "to: a recipient is missing, as in user@example.com");
	if (q.sender == NULL || strcmp(q.sender, "<>") == 0)
		q.sender = "";
	if (listener != NULL && find_listener(s, listener) == NULL)
		return job_fail(job, "bad-request", "listener: there is no listener \"%s\"", listener);
	if (client != NULL && addr_parse(client, NO_PORT, &addr, &err) < 0)
		return job_fail(job, "bad-request", "client: %s", err.text);
	q.group = text_arg(job, "group");
	if (q.group == NULL)
		q.group = settings_group(s, q.login, client != NULL ? &addr : NULL);
	job_result(job, decide(s, &q, find_listener(s, listener), client != NULL ? &addr : NULL));
	return 0;
}

static bool
route_test_step(struct job *job)
{
	(void)job;
	return false;
}

static const struct admin_arg route_test_args[] = {
	{ "from", ARG_TEXT },
	{ "to", ARG_TEXT },
	{ "user", ARG_TEXT },
	{ "group", ARG_TEXT },
	{ "client", ARG_TEXT },
	{ "listener", ARG_TEXT },
	{ 0 },
};

const struct admin_command route_test_command = {
	.name = "route.test",
	.args = route_test_args,
	.begin = route_test_begin,
	.step = route_test_step,
};
