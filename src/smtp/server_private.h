/* SPDX-License-Identifier: MIT */
/* The server as its own sessions see it. */
#ifndef TMAIL_SMTP_SERVER_PRIVATE_H
#define TMAIL_SMTP_SERVER_PRIVATE_H

#include "util/list.h"
#include "net/loop.h"
#include "smtp/server.h"

#include <stdatomic.h>
#include <stdbool.h>

struct auth_home;
struct clients;
struct lockout;
struct scratch;
struct verify;

/* The server's part on one loop: touched by its thread only, but for the posts. */
struct server_loop {
	struct smtp_server *server;
	struct loop *loop;
	struct list sessions;
	struct scratch *pool; /* buffers nobody uses */
	unsigned pooled;
	struct auth_home *auth; /* NULL until somebody logs in */
	struct post drain, abort;
};

struct smtp_server {
	struct smtp_server_config config;
	struct clients *clients;
	struct verify *verify;
	struct lockout *lockout;
	int descriptors;      /* a client's descriptor is below this */
	atomic_uint sessions;
	atomic_bool draining, aborting;
	struct server_loop home[]; /* one a loop, by loop_index() */
};

/* One more session of CLIENT, whose address a proxy TOLD or is its own; NULL, or why that would be too many. */
const char *server_client_enters(const struct smtp_listener *l, const struct addr *client, bool told);

/* A session has ended; PEER NULL: it was not counted among those of a client. */
void server_session_ended(struct server_loop *home, const struct addr *peer);

/* Buffers for a session that is being served, and back again. */
struct scratch *server_scratch_take(struct server_loop *home);
void server_scratch_give(struct server_loop *home, struct scratch **scratch);

#endif
