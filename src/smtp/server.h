/* SPDX-License-Identifier: MIT */
/* The SMTP server: sessions of all listeners on all loops, their number, and how they end. */
#ifndef TMAIL_SMTP_SERVER_H
#define TMAIL_SMTP_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct addr;
struct delivery;
struct listener_owner;
struct listener_settings;
struct lockout;
struct loop;
struct settings;
struct smtp_server;
struct spool;
struct tls_ctx;

/* Everything is borrowed and outlives the server, but for settings, which are those to begin with. */
struct smtp_server_config {
	const struct settings *settings;
	struct spool *spool;
	struct delivery *delivery;   /* for call-outs; NULL: every recipient of a domain is accepted */
	const char *known_recipients; /* the file of what they learnt; NULL: none */
	struct loop **loops;
	unsigned loop_count;
};

/* A listener of one snapshot of the settings: what listener_new() gets as ARG. A session holds the one it came through
 * until its end, and so goes on by the settings it began with. */
struct smtp_listener {
	struct smtp_server *server;
	const struct settings *snapshot;           /* a reference */
	const struct listener_settings *settings;  /* in it */
	struct tls_ctx *tls;                       /* NULL: no certificate, STARTTLS is not offered */
	atomic_uint refs;
};

/* With one reference, the caller's. */
struct smtp_listener *smtp_listener_new(struct smtp_server *server, const struct settings *snapshot,
    const struct listener_settings *settings, struct tls_ctx *tls);
void smtp_listener_free(struct smtp_listener **l); /* drops a reference */

/* Before the loops run. */
struct smtp_server *smtp_server_new(const struct smtp_server_config *config);

/* After the loops have ended, on the thread that joined them: drops the sessions that are left. */
void smtp_server_free(struct smtp_server **server);

/* For listener_new(); ARG is a struct smtp_listener, which hold() references and connected() takes over. It runs on the
 * loop that shall own FD; takes FD. Over a limit the client gets 421 at once, without a session. */
extern const struct listener_owner smtp_listener_owner;

/* Any thread: takes no new mail. Idle sessions get 421 4.3.2 and are closed, transactions under way may end first;
 * new connections get 421. smtp_server_sessions() tells when all are gone. */
void smtp_server_drain(struct smtp_server *server);

/* Any thread: the end for sessions that drain did not end: what waits is woken with an error, nothing of an
 * unfinished message is kept. A commit under way is waited for. */
void smtp_server_abort(struct smtp_server *server);

/* Any thread: sessions there are now. */
unsigned smtp_server_sessions(const struct smtp_server *server);

/* Failed log-ins, for `tmail lockout` and for what else counts them. */
struct lockout *smtp_server_lockout(struct smtp_server *server);

/* For `tmail status`. Any thread; values may be a little old. */
struct smtp_server_stats {
	uint64_t sessions;    /* now */
	uint64_t connections; /* since start, refused ones included */
	uint64_t refused;     /* connections answered 421 by a limit */
	uint64_t messages;    /* accepted with 250 */
	uint64_t recipients;  /* of them */
	uint64_t bytes;       /* of them, content */
	uint64_t rejected;    /* commands and messages refused with 4xx or 5xx */
};
void smtp_server_stats(const struct smtp_server *server, struct smtp_server_stats *out);

#endif
