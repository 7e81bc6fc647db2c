/* SPDX-License-Identifier: MIT */
/* One SMTP session: plain event state while the client is silent, a task while it is served.
 *
 * A session belongs to one loop and is touched by that loop's thread alone. */
#ifndef TMAIL_SMTP_SESSION_H
#define TMAIL_SMTP_SESSION_H

#include "util/buf.h"
#include "util/list.h"
#include "net/addr.h"
#include "net/io.h"
#include "smtp/input.h"
#include "smtp/transaction.h"

#include <stdbool.h>
#include <stdint.h>

struct auth_exchange;
struct call;
struct client_settings;
struct identity;
struct log_record;
struct server_loop;
struct settings;
struct smtp_listener;
struct smtp_server;
struct spool;
struct task;
struct tls_peer;

/* Points of a session and of a message's way where filters are asked; the verb table names the point of each verb. */
enum smtp_stage {
	STAGE_NONE = 0,
	STAGE_CONNECT, /* a client is there; before the greeting */
	STAGE_HELO,
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DATA,    /* before 354 */
	STAGE_MESSAGE, /* the whole message is there; before it is committed */
	STAGE_OUTCOME, /* committed, refused or broken off: once a transaction */
};

enum session_state {
	SESSION_PROXY = 1,     /* waits for a header of the PROXY protocol */
	SESSION_GREETING,      /* the greeting is held back: see greet_delay */
	SESSION_HANDSHAKE,     /* a listener with tls = implicit: TLS comes before the greeting */
	SESSION_COMMAND,       /* waits for a command, or carries one out */
	SESSION_DATA,          /* behind 354: receives a message */
	SESSION_LINGER,        /* the last reply is sent, our side is shut: the client's rest is thrown away */
};

enum {
	SCRATCH_INPUT = 16384, /* one TLS record */
	SESSION_OUTPUT = 4096, /* replies wait for each other up to about this many bytes */
	SESSION_LINGER_MS = 3000,
	SESSION_LINGER_MAX = 1 << 20,
};

/* Buffers of a session that is being served, from a pool of its loop. */
struct scratch {
	struct scratch *next;
	struct buf out; /* replies not yet sent */
	char in[SCRATCH_INPUT];
};

struct session {
	struct io io;
	struct list link; /* among the sessions of its loop */
	struct server_loop *home;
	struct smtp_listener *listener;  /* a reference: its settings are the session's */
	const struct call *call;  /* the command being carried out, or NULL */
	struct task *task;        /* serves the session; NULL: it is idle */
	struct scratch *scratch;  /* NULL while the session waits */
	struct input in;
	struct mail_transaction tx;
	struct tls_peer *certificate; /* what the client showed, verified or not; NULL: none */
	struct identity *id;      /* what others said about the client; NULL: nothing */
	char *helo;               /* what the client called itself; NULL: not greeted yet */
	struct auth_exchange *auth; /* AUTH is under way: the next line answers a challenge */
	char *login;              /* who authenticated; NULL: nobody did. Kept over RSET and EHLO (RFC 4954 4) */
	uint64_t deadline;        /* of the command that is awaited, partial or not; loop_now() units */
	struct addr peer;         /* the client: of the connection, or as a proxy or XCLIENT says */
	struct buf held;          /* replies held back, see limits { tarpit } */
	uint32_t errors, commands, messages;
	uint32_t lingered;        /* octets thrown away in SESSION_LINGER */
	uint8_t state;            /* enum session_state */
	uint8_t stage;            /* enum smtp_stage: how far it came, for filters and the log */
	bool esmtp;               /* greeted with EHLO */
	bool may_relay;           /* the client is in relay_from or a `client`: its mail is outbound */
	bool may_xclient;         /* the client may say XCLIENT and XFORWARD */
	bool counted;             /* among the sessions of its client */
	bool tarpit;              /* the replies made now are to be held back */
	bool early;               /* spoke before its turn */
	bool closing;             /* ends when its replies are sent */
	bool gone;                /* nothing can be sent or received any more */
	bool said_quit;
};

/* Greets FD's client and waits for it. Takes FD and the reference LISTENER. PROXIED: the connection begins with a header of the PROXY protocol
 * that says who the client is; else the session is counted among those of its client already. */
void session_start(struct server_loop *home, struct smtp_listener *listener, int fd, const struct addr *peer,
    bool proxied);

/* On the session's loop, not in its task: no new mail. Ends it if it is idle outside a transaction. */
void session_drain(struct session *s);

/* On the session's loop, not in its task: ends it; a running task is cancelled and ends it soon. */
void session_abort(struct session *s);

/* After its loop has ended: frees what is left, without a word to the client. */
void session_drop(struct session *s);

/* ---- for arrival.c ---- */

/* Waits for what comes next, or ends what has come to its end. */
void session_rest(struct session *s);

/* Starts the session's task, for input that is there; or ends the session when there are too many tasks. */
void session_serve(struct session *s);

/* 220, from now on commands are awaited. */
void session_greet(struct session *s);

/* On any stack, when no reply is under way: a last word, if the client can hear it. */
void session_last_word(struct session *s, int code, const char *enhanced, const char *text);

/* ---- for the verbs: in the session's task ---- */

/* Adds a reply; it is sent when the input is used up, or before something has to wait. A 4xx or 5xx counts as an
 * error and, where the verb table says so, is logged. ENHANCED may be NULL. FMT may print what the peer sent. */
void session_reply(struct session *s, int code, const char *enhanced, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* As session_reply(), then no command is read any more. */
void session_close(struct session *s, int code, const char *enhanced, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Sends the replies and gives the buffers back before a wait; -1: the client is gone (s->gone). */
int session_park(struct session *s);

/* After the wait: buffers again. */
void session_unpark(struct session *s);

/* The transaction is forgotten, with what XFORWARD said for it. */
void session_end_transaction(struct session *s);

/* The transaction and what was told in the greeting are forgotten; -1 errors stay counted. */
void session_reset(struct session *s);

const struct settings *session_settings(const struct session *s);
struct spool *session_spool(const struct session *s);
struct smtp_server *session_server(const struct session *s);

/* The `client` block it belongs to, or NULL. */
const struct client_settings *session_client(const struct session *s);

/* Until when the next command must have come, and how long a client may take to read a reply. */
uint64_t session_command_deadline(const struct session *s);

/* Who it is: client=, helo= and login=. */
void session_log_client(struct log_record *r, const struct session *s);

/* Is STARTTLS to be had now? */
bool session_offers_tls(const struct session *s);

/* The handshake of STARTTLS or of an implicit listener; -1: it failed and the session is over. Parks. */
int session_handshake(struct session *s);

#endif
