/* SPDX-License-Identifier: MIT */
/* A connection to a next hop: opened by a task, kept idle without one, closed with QUIT. Its site owns it. */
#ifndef TMAIL_DELIVERY_CONN_H
#define TMAIL_DELIVERY_CONN_H

#include "delivery/errand.h"
#include "delivery/limits.h"
#include "delivery/hop.h"
#include "delivery/transaction.h"
#include "mail/reply.h"
#include "net/io.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/list.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct secret_settings;
struct settings;
struct site;
struct task;

/* Milliseconds that no setting changes. */
enum {
	DATA_REPLY_MAX = 120 * 1000, /* the 354 (RFC 5321 4.5.3.2.4), where command_timeout is longer */
	QUIT_TIMEOUT = 5 * 1000,     /* the reply to QUIT: nothing depends on it */
	V4_PATIENCE = 3 * 1000, /* IPv6 may be silent for so long before IPv4 is tried beside it */
	PREFETCH_PATIENCE = 5 * 1000, /* an envelope sent ahead waits so long for the message before it */
};

enum { CONN_PEER_TEXT = HOP_TEXT + ADDR_TEXT };

enum conn_state { CONN_OPENING = 1, CONN_BUSY, CONN_IDLE, CONN_QUITTING };

struct conn {
	struct list link; /* in hop->idle or hop->busy */
	struct site *site;
	const struct settings *settings; /* a reference, while a task runs: what its attempts go by */
	struct hop *hop;
	struct loop *loop;
	struct io io;
	struct task *task; /* while one runs */
	enum conn_state state;
	unsigned offers;   /* enum hop_offer */
	const struct secret_settings *secret; /* in SETTINGS, while it logs in */
	unsigned mechanisms; /* of AUTH, a set of mail/sasl.h */
	uint64_t size_max; /* RFC 1870; 0: no limit known */
	struct hop_limits limits;
	uint64_t idle_until;
	uint64_t deadline; /* of everything, where the connection is for a call-out; 0: none */
	bool woken;        /* an entry is meant for it: counted in site->woken */
	bool need_rset;    /* the last transaction did not end with a final dot */
	bool closing;      /* no further transaction */
	bool stuck;        /* the next hop waits for a message that will not come: closed without QUIT */
	bool own_fault;    /* it broke for a reason of ours */
	bool blame;        /* it broke by the hop's fault: see site_hop_failed() */
	unsigned begun;    /* transactions: MAIL was sent, or is about to be */
	unsigned done;     /* transactions that ended orderly */
	struct err err;    /* why the connection broke */
	const char *status; /* RFC 3463, a literal, where that says more than that the hop cannot be reached; or NULL */
	struct errand errand[2];
	struct errand *feed;  /* the one whose recipients are not all in a transaction yet */
	struct transaction tx[2]; /* under way, and the one sent ahead */
	bool asked;        /* something was sent since the last bytes came */
	struct source *source; /* of the site: it was made from; NULL: the system chose */
	char peer[CONN_PEER_TEXT]; /* who is at the other end, for records and logs */
	struct buf out;    /* commands */
	struct reply reply;
	unsigned in_pos, in_len;
	char in[4096];
};

/* Begins to connect. -1: no task was to be had; try again later. */
int conn_open(struct site *site, struct hop *hop);

/* An idle connection goes to work. -1 as above; it stays idle. */
int conn_wake(struct conn *c);

/* An idle connection says QUIT and closes. */
void conn_quit(struct conn *c);

/* On the loop's stack: a connection that is being opened ends, others go on. */
void conn_stop_opening(struct conn *c);

/* On the loop's stack: breaks off whatever it does. */
void conn_abort(struct conn *c);

/* In its task: the session up to the answer to EHLO, TLS as the route wants it. -1 with c->err: the hop failed. */
int conn_establish(struct conn *c);

/* In its task: c->io is connected to one of the hop's addresses, of which c->peer then tells. -1 with c->err. */
int conn_reach(struct conn *c, uint64_t deadline);

/* It could not be established: is that perhaps the fault of the address of ours it was made from? True: it is avoided
 * towards this hop for a while, and there is another to try. */
bool conn_blames_source(struct conn *c);

/* What the gateway calls itself on it. */
const char *conn_hostname(const struct conn *c);

/* In its task: transactions until no work is left (0) or the connection is of no use any more (-1). */
int conn_transact(struct conn *c);

/* In its task. Sends c->out and empties it. -1 with c->err. */
int conn_flush(struct conn *c, uint64_t timeout);

/* In its task: the next complete reply, into c->reply. -1 with c->err: time-out, end of stream, rubbish. */
int conn_reply(struct conn *c, uint64_t timeout);

/* What its attempts go by; what the site goes by, while it is idle. */
const struct settings *conn_settings(const struct conn *c);

/* Milliseconds, of the settings. */
uint64_t conn_command_timeout(const struct conn *c);
uint64_t conn_connect_timeout(const struct conn *c);
uint64_t conn_data_timeout(const struct conn *c);
uint64_t conn_end_timeout(const struct conn *c);
uint64_t conn_idle_timeout(const struct conn *c);

#endif
