/* SPDX-License-Identifier: MIT */
#include "smtp/server.h"

#include "util/buf.h"
#include "util/check.h"
#include "util/counters.h"
#include "util/log.h"
#include "net/addr.h"
#include "net/listener.h"
#include "mail/reply.h"
#include "directory/settings.h"
#include "smtp/auth.h"
#include "smtp/clients.h"
#include "smtp/lockout.h"
#include "smtp/server_private.h"
#include "smtp/session.h"
#include "smtp/verify.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Buffers a loop keeps for its next sessions; more are given back to the heap. */
enum { POOL_MAX = 64 };

/* Descriptors that clients leave to others, where so many can be had. */
enum { DESCRIPTORS_KEPT = 1024 };

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

/* The kernel gives the lowest free number, so that a high one says how many are in use. The rest is left to deliveries,
 * the spool and the administrator: a client that hears 421 is better off than one that is not accepted. */
static int
descriptors_for_clients(void)
{
	struct rlimit r;
	rlim_t rest;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur > INT_MAX)
		return INT_MAX;
	rest = r.rlim_cur / 8;
	return (int)(r.rlim_cur - (rest < DESCRIPTORS_KEPT ? rest : DESCRIPTORS_KEPT));
}

struct smtp_server *
smtp_server_new(const struct smtp_server_config *config)
{
	struct smtp_server *server = xcalloc(1, sizeof *server + config->loop_count * sizeof server->home[0]);
	unsigned i;

	server->config = *config;
	server->clients = clients_new();
	server->verify = verify_new(config->known_recipients, config->delivery);
	server->descriptors = descriptors_for_clients();
	server->lockout = lockout_new();
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
		auth_home_free(&srv->home[i].auth);
	}
	clients_free(&srv->clients);
	verify_free(&srv->verify);
	lockout_free(&srv->lockout);
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

const char *
server_client_enters(const struct smtp_listener *l, const struct addr *client, bool told)
{
	const struct settings *settings = l->snapshot;
	bool trusted = settings_may_relay(settings, client) && (told || !settings_is_proxy(settings, client));

	switch (clients_enter(l->server->clients, &settings->limits, client, trusted)) {
	case CLIENTS_IN:
		return NULL;
	case CLIENTS_SESSIONS:
		counter_add(COUNTER_SESSIONS_REFUSED_CLIENT, 1);
		return "too many sessions from your address";
	case CLIENTS_RATE:
		break;
	}
	counter_add(COUNTER_SESSIONS_REFUSED_RATE, 1);
	return "too many connections or errors from your address, try again later";
}

void
server_session_ended(struct server_loop *home, const struct addr *peer)
{
	if (peer != NULL)
		clients_leave(home->server->clients, peer);
	atomic_fetch_sub(&home->server->sessions, 1);
	counter_sub(COUNTER_SESSIONS_OPEN, 1);
}

struct smtp_listener *
smtp_listener_new(struct smtp_server *server, const struct settings *snapshot,
    const struct listener_settings *settings, struct tls_ctx *tls)
{
	struct smtp_listener *l = xcalloc(1, sizeof *l);

	l->server = server;
	l->snapshot = settings_ref(snapshot);
	l->settings = settings;
	l->tls = tls;
	l->refs = 1;
	return l;
}

void
smtp_listener_free(struct smtp_listener **listener)
{
	struct smtp_listener *l = *listener;

	*listener = NULL;
	if (l == NULL || atomic_fetch_sub(&l->refs, 1) > 1)
		return;
	settings_unref(&l->snapshot);
	free(l);
}

static void
hold(void *arg)
{
	struct smtp_listener *l = arg;

	atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
}

/* Cheap on purpose: under a flood this is all a connection costs. With tls = implicit nobody would understand it. */
static void
refuse(int fd, const struct addr *peer, const struct smtp_listener *l, const char *enhanced, const char *why)
{
	struct buf out = { 0 };
	struct log_record r;
	char text[ADDR_TEXT];

	if (l->settings->tls != TLS_IMPLICIT) {
		reply_addf(&out, 421, enhanced, "%s %s", l->snapshot->hostname, why);
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

/* Why there is no room for one more session of CLIENT, by the server's own measure; NULL: there is. */
static const char *
no_room(int fd, const struct smtp_listener *l, const char **enhanced)
{
	struct smtp_server *server = l->server;
	const struct limit_settings *limits = &l->snapshot->limits;

	*enhanced = "4.3.2";
	if (server->draining)
		return "is shutting down, try again later";
	if (fd >= server->descriptors) {
		counter_add(COUNTER_SESSIONS_REFUSED_DESCRIPTORS, 1);
		return "too busy, try again later";
	}
	*enhanced = "4.7.0";
	if (!clients_take_all(server->clients, limits, RATE_CONNECTIONS)) {
		counter_add(COUNTER_SESSIONS_REFUSED_RATE, 1);
		return "too many connections, try again later";
	}
	return NULL;
}

/* The session is counted then. Who comes through a proxy is not known yet. */
static bool
admit(int fd, const struct addr *client, bool proxied, struct smtp_listener *l)
{
	struct smtp_server *server = l->server;
	uint32_t most = l->snapshot->limits.sessions;
	const char *enhanced, *why = no_room(fd, l, &enhanced);

	if (why == NULL && atomic_fetch_add(&server->sessions, 1) >= most && most != 0) {
		counter_add(COUNTER_SESSIONS_REFUSED_LIMIT, 1);
		atomic_fetch_sub(&server->sessions, 1);
		why = "too many sessions, try again later";
	} else if (why == NULL && !proxied && (why = server_client_enters(l, client, false)) != NULL)
		atomic_fetch_sub(&server->sessions, 1);
	if (why != NULL) {
		refuse(fd, client, l, enhanced, why);
		return false;
	}
	counter_add(COUNTER_SESSIONS_ACCEPTED, 1);
	counter_add(COUNTER_SESSIONS_OPEN, 1);
	return true;
}

static void
connected(int fd, const struct addr *peer, void *arg)
{
	struct smtp_listener *l = arg;
	struct addr client = *peer;
	bool proxied;

	addr_unmap(&client);
	proxied = networks_have(l->settings->proxy, l->settings->proxy_count, &client);
	if (admit(fd, &client, proxied, l))
		session_start(&l->server->home[loop_index(loop_current())], l, fd, &client, proxied);
	else
		smtp_listener_free(&l);
}

const struct listener_owner smtp_listener_owner = { hold, connected };

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

struct lockout *
smtp_server_lockout(struct smtp_server *server)
{
	return server->lockout;
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
