/* SPDX-License-Identifier: MIT */
#include "smtp/identity.h"

#include "util/check.h"
#include "util/log.h"
#include "directory/settings.h"
#include "smtp/server.h"
#include "smtp/session.h"

#include <stdlib.h>

struct identity *
identity_of(struct session *s)
{
	if (s->id != NULL)
		return s->id;
	s->id = xcalloc(1, sizeof *s->id);
	s->id->via = s->id->counted = s->peer;
	return s->id;
}

void
identity_forget_forward(struct identity *id)
{
	unsigned i;

	for (i = 0; i < FORWARD_COUNT; i++) {
		free(id->forward[i]);
		id->forward[i] = NULL;
	}
}

void
identity_free(struct identity **identity)
{
	struct identity *id = *identity;

	if (id == NULL)
		return;
	identity_forget_forward(id);
	buf_fini(&id->head);
	free(id->name);
	free(id);
	*identity = NULL;
}

const struct addr *
identity_counted(const struct session *s)
{
	return s->id != NULL ? &s->id->counted : &s->peer;
}

bool
identity_is_client(const struct session *s)
{
	return (s->id != NULL && s->id->told) || !settings_is_proxy(session_settings(s), &s->peer);
}

void
identity_authorise(struct session *s)
{
	const struct settings *settings = session_settings(s);

	s->may_relay = s->login != NULL || (settings_may_relay(settings, &s->peer) && identity_is_client(s));
}

void
identity_log(struct log_record *r, const struct session *s)
{
	static const char *const key[FORWARD_COUNT] = {
		[FORWARD_NAME] = "forwarded_name", [FORWARD_ADDR] = "forwarded_client",
		[FORWARD_PORT] = "forwarded_port", [FORWARD_PROTO] = "forwarded_proto",
		[FORWARD_HELO] = "forwarded_helo", [FORWARD_IDENT] = "forwarded_ident",
		[FORWARD_SOURCE] = "forwarded_source",
	};
	const struct identity *id = s->id;
	char text[ADDR_TEXT];
	unsigned i;

	log_str(r, "name", id->name);
	log_str(r, "via", addr_ip_text(&id->via, text));
	for (i = 0; i < FORWARD_COUNT; i++)
		log_str(r, key[i], id->forward[i]);
}
