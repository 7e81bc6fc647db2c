/* SPDX-License-Identifier: MIT */
/* Delivery: takes what the spool says is due to its next hops, retries, gives up, reports.
 *
 * A queue of the spool (one route's key) has a `site` here, owned by the queue's loop: its next hops with their
 * health, their kept connections and how many there may be. Nothing of a site is touched by another thread. */
#ifndef TMAIL_DELIVERY_DELIVERY_H
#define TMAIL_DELIVERY_DELIVERY_H

#include "net/addr.h"
#include "net/loop.h"
#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

struct delivery;
struct next_hop;
struct queue;
struct settings;
struct spool;
struct tls_ctx;

struct delivery_config {
	const struct settings *settings; /* to begin with; a reference is taken */
	struct spool *spool;
	struct tls_ctx *tls;             /* borrowed likewise, for TLS towards next hops, */
	struct tls_ctx *tls_verify;      /* and where a route verifies */
	const char *suspended;           /* file that keeps what is suspended; NULL: nothing is kept */
	struct loop **loops;             /* the array is copied */
	unsigned loop_count;
};

/* Before loops run. */
void delivery_new(struct delivery **d, const struct delivery_config *config);

/* The call-back for spool_start(), with the delivery as ARG: QUEUE has something due. On the queue's loop; does
 * little: the work begins in a later turn of the loop. */
void delivery_ready(struct queue *queue, void *arg);

/* Any thread but a loop's, loops running: attempts from now on go by SETTINGS. Waits for the loops; attempts that run
 * end by the settings they began with. */
void delivery_apply(struct delivery *d, const struct settings *settings);

/* Any thread: a reference to the settings in force. */
const struct settings *delivery_settings(struct delivery *d);

/* Any thread, once: no new attempts; transactions that run end, then every connection says QUIT and closes. */
void delivery_drain(struct delivery *d);

/* Any thread, loops still running, after delivery_drain(): what still runs is broken off. Messages in flight go
 * back as they were; one whose final dot was sent may arrive twice. */
void delivery_abort(struct delivery *d);

/* Any thread: an administrator asked for attempts, or for bounces. Dead hops are tried now, and queues that stand
 * still are looked through. */
void delivery_wake(struct delivery *d);

/* Any thread: connections that exist and other work under way. 0 after a drain: loops may end. */
unsigned delivery_active(const struct delivery *d);

/* After the loops have ended. */
void delivery_free(struct delivery **d);

/* ---- what an administrator stops: control thread ---- */

struct suspension {
	char *name, *reason; /* reason may be NULL */
	int64_t since;       /* wall seconds */
};

/* NAME is a destination of the configuration, a next hop's host name, address or ".suffix", a recipients' domain, or a
 * route's key. Kept over restarts. Messages under way are finished, then mail for it waits, untouched. 1: changed;
 * 0: it was so already; -1. */
int delivery_suspend(struct delivery *d, const char *name, const char *reason, struct err *err);
int delivery_resume(struct delivery *d, const char *name, struct err *err);
void delivery_suspensions(struct delivery *d, void (*fn)(const struct suspension *one, void *arg), void *arg);

/* What destinations with limits are given now: see delivery/limit.h. */
struct limit_status;
void delivery_limits(struct delivery *d, void (*fn)(const struct limit_status *s, void *arg), void *arg);

/* ---- numbers, for `tmail status` and `tmail queue why` ---- */

enum hop_state {
	HOP_UNUSED = 1, /* configured, nothing was sent there since the start */
	HOP_ALIVE,
	HOP_DEAD,       /* not tried before dead_until */
	HOP_PROBING,    /* was dead; one connection is finding out */
	HOP_SUSPENDED,  /* by an administrator; never in struct hop, which remembers what is behind it */
};

enum { HOP_ERROR_TEXT = 256, HOP_TEXT = 272, HOP_KEY_TEXT = 400 };

struct hop_status {
	char key[HOP_KEY_TEXT];  /* the queue's key: "domain:NAME", "route:NAME", "route:NAME@DOMAIN" */
	char hop[HOP_TEXT];
	unsigned weight;
	bool backup;
	enum hop_state state;
	int64_t dead_until;      /* wall seconds; 0 unless HOP_DEAD */
	unsigned failures;       /* in a row */
	unsigned connections;    /* open or opening */
	unsigned idle;           /* of them */
	unsigned limit;          /* connections allowed now (adaptive) */
	unsigned limit_max;      /* the configuration's `connections` */
	uint64_t delivered, deferred, refused; /* recipients, since the start */
	int64_t error_at;        /* wall seconds; 0: never */
	char error[HOP_ERROR_TEXT]; /* the last failure of the hop itself, or "" */
};

/* Control thread: calls FN for every next hop of the configuration, route by route. Waits for the loops to answer,
 * at most TIMEOUT_MS each; -1 when one did not (its hops are missing). */
int delivery_status(struct delivery *d, unsigned timeout_ms, void (*fn)(const struct hop_status *hop, void *arg),
    void *arg);

/* "192.0.2.1:25", "lmtp:unix:/run/dovecot/lmtp"; OUT holds HOP_TEXT bytes. */
const char *hop_text(const struct next_hop *hop, char *out);

/* "alive", "dead", ... */
const char *hop_state_name(enum hop_state state);

#endif
