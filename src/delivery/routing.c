/* SPDX-License-Identifier: MIT */
#include "delivery/routing.h"

#include "directory/settings.h"
#include "spool/message.h"

enum { ANY_PORT = 25 }; /* the text has none */

const struct route_settings *
routing_of(const struct settings *s, const struct message *m, const char *recipient)
{
	struct route_query q = { .sender = m->sender, .recipient = recipient, .login = m->login,
		.listener = m->listener };
	struct addr client;
	struct err err;
	bool known = m->client != NULL && addr_parse(m->client, ANY_PORT, &client, &err) == 0;

	q.group = settings_group(s, m->login, known ? &client : NULL);
	return settings_route(s, &q);
}

const struct route_settings *
routing_of_report(const struct settings *s, const char *sender)
{
	return settings_route(s, &(struct route_query){ .sender = "", .recipient = sender });
}
