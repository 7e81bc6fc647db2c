/* SPDX-License-Identifier: MIT */
/* One queue of the spool and the next hops its route leads to: who takes the next message, when a connection is
 * opened, what happens while nobody can be reached. A site belongs to its queue's loop. */
#ifndef TMAIL_DELIVERY_SITE_H
#define TMAIL_DELIVERY_SITE_H

#include "delivery/hop.h"
#include "delivery/source.h"
#include "net/loop.h"
#include "util/list.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct conn;
struct delivery;
struct entry;
struct limits;
struct suspensions;
struct queue;
struct route_settings;
struct settings;
struct spool;
struct tls_ctx;

/* What belongs to one loop. */
struct home {
	struct delivery *delivery;
	struct loop *loop;
	const struct settings *settings; /* a reference: what new sites begin with */
	struct list sites;
	struct list retired; /* sites of an older configuration, with attempts under way */
	struct post drain, abort, wake, review;
	atomic_bool waking, reviewing; /* they are posted */
	struct timer tidy;  /* forgets sites that are idle */
	bool tidying;       /* it is set */
};

enum {
	LINGER = 10 * 60 * 1000, /* what is known of a domain's hops is kept so long after its last mail */
	TIDY_EVERY = 60 * 1000,
};

struct delivery {
	pthread_mutex_t lock;
	const struct settings *settings; /* a reference, under LOCK: for threads that are no loop */
	struct spool *spool;
	struct tls_ctx *tls, *tls_verify;
	struct limits *limits;
	struct suspensions *suspensions;
	struct home *home;
	unsigned count;
	atomic_uint active;   /* connections and other tasks */
	atomic_bool draining;
	atomic_bool aborting;
};

enum {
	GROW_TICK = 20,          /* work that waited so long without a pause gets another connection */
	SPILL_TIME = 100,        /* round robin passes over busy hops for so long */
	START_AGAIN = 1000,      /* no task to be had: next try */
	SWEEP_MIN = 1000,        /* while no hop is alive: how often messages are looked at for their age, at most, */
	SWEEP_MAX = 15 * 60 * 1000, /* and at least */
};

struct site {
	struct list link;
	struct delivery *delivery;
	struct home *home;
	const struct settings *settings; /* a reference */
	const struct settings *work_settings; /* a reference, while WORKING: what its task began with */
	struct spool *spool;
	struct queue *queue;
	bool retired;            /* another site has the queue: it ends with its last connection */
	const struct route_settings *route; /* NULL: the configuration has the key no more */
	struct hops hops;
	struct sources sources;
	struct exchange *exchange; /* where the DNS says who the hops are; else NULL */
	unsigned conns;          /* of all its hops, those that are gone too */
	uint64_t used_at;        /* something was due */
	struct post post;        /* a pump is due */
	bool posted;
	struct timer timer;      /* probes, sweeps */
	struct timer grow;       /* GROW_TICK */
	bool growing;            /* grow is set */
	bool drained;            /* nothing was due at some moment since the last tick */
	bool working;            /* a task ages or re-routes entries */
	bool suspended;          /* some hop is, by an administrator */
	uint64_t spill_until;
	uint64_t wait_until;     /* what a destination's limits hold back goes on then */
	uint64_t sweep_at;       /* 0: not known */
	unsigned woken;          /* connections on their way to take an entry */
	uint64_t blamed;         /* the message that saw a hop fail last, */
	unsigned blame;          /* and how many times in a row */
};

struct site *site_new(struct home *home, struct queue *queue);
void site_free(struct site **site);

/* SETTINGS are in force for attempts that begin from now on. With SAME, next hops are reached as before unless the
 * route says otherwise. Where they are not, another site takes the queue over, and what is known of the hops. */
void site_apply(struct site *site, const struct settings *settings, bool same);

/* In a turn of its own: a retired site whose last attempt ended is freed. */
void site_leave(struct site *site);

/* Runs the site in a later turn of this pass: something is due, or a hop or connection changed. */
void site_pump_later(struct site *site);

/* The next entry for a connection that asks (ACTIVE then), or NULL: go idle. */
struct entry *site_take(struct site *site, struct conn *c);

/* Nothing more for a hop, or on a connection, before WHEN. */
void site_wait(struct site *site, uint64_t when);

/* Which hops are suspended now; idle connections to them end. */
void site_look_at_suspensions(struct site *site);

/* A message saw a hop fail before anything was decided about it. True: give it back, another hop or time will do.
 * False: it has seen that too often; put it off by its own schedule. */
bool site_may_return(struct site *site, uint64_t id);

/* The hop itself failed; WHY goes to the log. */
void site_hop_failed(struct site *site, struct hop *hop, const char *why);
void site_hop_established(struct site *site, struct hop *hop);

/* Every connection ends: at once those that are idle or being opened. */
void site_drain(struct site *site);
void site_abort(struct site *site);

/* Dead hops are probed and ages looked at without waiting for their time. */
void site_wake(struct site *site);

/* Each starts a task: entries whose time is over while no hop is alive, or that wait for an administrator's
 * bounce; entries of a key without a route. In their files. */
void site_sweep(struct site *site);
void site_reroute(struct site *site);

/* May the site be freed: nothing is due or under way, nothing of a recipient's domain was for long? */
bool site_is_idle(const struct site *site);

/* How they begin and end. */
void site_work(struct site *site, void (*fn)(void *site), const char *name);
void site_work_ended(struct site *site);

uint64_t site_now(const struct site *site);

/* No further entry is taken: the gateway stops, or another site has the queue. */
static inline bool
site_is_ending(const struct site *site)
{
	return site->retired || atomic_load_explicit(&site->delivery->draining, memory_order_relaxed);
}

#endif
