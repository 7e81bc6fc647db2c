/* SPDX-License-Identifier: MIT */
#include "smtp/server.h"

#include "util/buf.h"
#include "util/check.h"
#include "util/counters.h"
#include "util/log.h"
#include "net/addr.h"
#include "mail/reply.h"
#include "directory/settings.h"
#include "smtp/clients.h"
#include "smtp/server_private.h"
#include "smtp/session.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Buffers a loop keeps for its next sessions; more are given back to the heap. */
enum { POOL_MAX = 64 };

static void
drain_posted(struct post *post)
{
	struct server_loop *home = list_entry(post, struct server_loop, drain);

	list_each_safe(link, &home->sessions)
		session_drain(list_entry(link, struct session, link));
}

static void
abort_posted(struct post *post)
{
	struct server_loop *home = list_entry(post, struct server_loop, abort);

	list_each_safe(link, &home->sessions)
		session_abort(list_entry(link, struct session, link));
}

struct smtp_server *
smtp_server_new(const struct smtp_server_config *config)
{
	struct smtp_server *server = xcalloc(1, sizeof *server + config->loop_count * sizeof server->home[0]);
	unsigned i;

	server->config = *config;
	server->clients = clients_new(config->settings->limits.sessions_per_client);
	for (i = 0; i < config->loop_count; i++) {
		check(loop_index(config->loops[i]) == i);
		server->home[i].server = server;
		server->home[i].loop = config->loops[i];
		server->home[i].drain.fn = drain_posted;
		server->home[i].abort.fn = abort_posted;
		list_init(&server->home[i].sessions);
	}
	return server;
}

static void
pool_free(struct server_loop *home)
{
	struct scratch *s;

	while ((s = home->pool) != NULL) {
		home->pool = s->next;
		buf_fini(&s->out);
		free(s);
	}
}

void
smtp_server_free(struct smtp_server **server)
{
	struct smtp_server *srv = *server;
	unsigned i;

	if (srv == NULL)
		return;
	for (i = 0; i < srv->config.loop_count; i++) {
		list_each_safe(link, &srv->home[i].sessions)
			session_drop(list_entry(link, struct session, link));
		pool_free(&srv->home[i]);
	}
	clients_free(&srv->clients);
	free(srv);
	*server = NULL;
}

struct scratch *
server_scratch_take(struct server_loop *home)
{
	struct scratch *s = home->pool;

	if (s == NULL)
		return xcalloc(1, sizeof *s);
	home->pool = s->next;
	home->pooled--;
	return s;
}

void
server_scratch_give(struct server_loop *home, struct scratch **scratch)
{
	struct scratch *s = *scratch;

	*scratch = NULL;
	s->out.len = 0;
	if (home->pooled == POOL_MAX) {
		buf_fini(&s->out);
		free(s);
		return;
	}
	s->next = home->pool;
	home->pool = s;
	home->pooled++;
}

bool
server_client_enters(struct server_loop *home, const struct addr *client)
{
	if (clients_enter(home->server->clients, client))
		return true;
	counter_add(COUNTER_SESSIONS_REFUSED_CLIENT, 1);
	return false;
}

void
server_session_ended(struct server_loop *home, const struct addr *peer)
{
	if (peer != NULL)
		clients_leave(home->server->clients, peer);
	atomic_fetch_sub(&home->server->sessions, 1);
	counter_sub(COUNTER_SESSIONS_OPEN, 1);
}

/* Cheap on purpose: under a flood this is all a connection costs. With tls = implicit nobody would understand it. */
static void
refuse(int fd, const struct addr *peer, const struct smtp_listener *l, const char *enhanced, const char *why)
{
	struct buf out = { 0 };
	struct log_record r;
	char text[ADDR_TEXT];

	if (l->settings->tls != TLS_IMPLICIT) {
		reply_addf(&out, 421, enhanced, "%s %s", l->server->config.settings->hostname, why);
		(void)send(fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		buf_fini(&out);
	}
	close(fd);
	log_begin(&r, LOG_INFO, "refused");
	log_str(&r, "client", addr_ip_text(peer, text));
	log_str(&r, "verb", "connect");
	log_u64(&r, "code", 421);
	log_str(&r, "reason", why);
	log_end(&r);
}

void
smtp_server_connected(int fd, const struct addr *peer, void *arg)
{
	const struct smtp_listener *l = arg;
	struct smtp_server *server = l->server;
	const struct limit_settings *limits = &server->config.settings->limits;
	struct server_loop *home = &server->home[loop_index(loop_current())];
	struct addr client = *peer;
	bool proxied;

	addr_unmap(&client);
	proxied = networks_have(l->settings->proxy, l->settings->proxy_count, &client);
	if (server->draining) {
		refuse(fd, &client, l, "4.3.2", "is shutting down, try again later");
		return;
	}
	if (atomic_fetch_add(&server->sessions, 1) >= limits->sessions && limits->sessions != 0) {
		atomic_fetch_sub(&server->sessions, 1);
		counter_add(COUNTER_SESSIONS_REFUSED_LIMIT, 1);
		refuse(fd, &client, l, "4.7.0", "too many sessions, try again later");
		return;
	}
	if (!proxied && !server_client_enters(home, &client)) {
		atomic_fetch_sub(&server->sessions, 1);
		refuse(fd, &client, l, "4.7.0", "too many sessions from your address");
		return;
	}
	counter_add(COUNTER_SESSIONS_ACCEPTED, 1);
	counter_add(COUNTER_SESSIONS_OPEN, 1);
	session_start(home, l, fd, &client, proxied);
}

void
smtp_server_drain(struct smtp_server *server)
{
	unsigned i;

	if (atomic_exchange(&server->draining, true))
		return;
	for (i = 0; i < server->config.loop_count; i++)
		loop_post(server->home[i].loop, &server->home[i].drain);
}

void
smtp_server_abort(struct smtp_server *server)
{
	unsigned i;

	smtp_server_drain(server);
	if (atomic_exchange(&server->aborting, true))
		return;
	for (i = 0; i < server->config.loop_count; i++)
		loop_post(server->home[i].loop, &server->home[i].abort);
}

unsigned
smtp_server_sessions(const struct smtp_server *server)
{
	return server->sessions;
}

void
smtp_server_stats(const struct smtp_server *server, struct smtp_server_stats *out)
{
	out->sessions = server->sessions;
	out->refused = counter_get(COUNTER_SESSIONS_REFUSED_LIMIT) + counter_get(COUNTER_SESSIONS_REFUSED_CLIENT);
	out->connections = counter_get(COUNTER_SESSIONS_ACCEPTED) + out->refused;
	out->messages = counter_get(COUNTER_MESSAGES_RECEIVED);
	out->recipients = counter_get(COUNTER_RECIPIENTS_RECEIVED);
	out->bytes = counter_get(COUNTER_BYTES_RECEIVED);
	out->rejected = counter_get(COUNTER_COMMANDS_REFUSED);
}
