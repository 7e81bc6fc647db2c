/* SPDX-License-Identifier: MIT */
/* The next hops of one route: which of them is alive, whose turn it is, how many connections each may have.
 * Nothing here does I/O; times are loop_now() milliseconds. */
#ifndef TMAIL_DELIVERY_HOP_H
#define TMAIL_DELIVERY_HOP_H

#include "delivery/delivery.h"
#include "directory/settings.h"
#include "util/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HOP_RETRY_MIN = 5 * 1000,        /* a dead hop is probed after this, then twice that, ... */
	HOP_RETRY_MAX = 5 * 60 * 1000,   /* ... up to this; queue.retry's bounds where they are shorter */
	HOP_START_LIMIT = 5,             /* connections allowed to a hop nothing is known of */
	HOP_CALM = 2000,                 /* no further connection for so long after one was refused */
	HOP_SILENCE = 10 * 1000,         /* no reply for so long while work waits: others go first */
	HOP_PLAIN = 10 * 60 * 1000,      /* an optional TLS that broke is not tried again for so long */
};

/* Where a hop is and how it stands among the others. */
struct hop_spec {
	const char *host;    /* its A and AAAA are looked up when a connection is opened; NULL: `address` */
	struct addr address;
	uint16_t port;       /* of a host */
	bool lmtp;
	unsigned weight;
	unsigned tier;       /* hops of the least tier that has one alive are used, in turn by weight */
};

enum {
	HOP_TIER_BACKUP = 1 << 24,  /* backups begin here; silent hops stand behind all */
	HOP_TIER_SUSPECT = 1 << 30,
};

struct hop {
	char *host;               /* or NULL; a certificate is checked against it */
	struct addr address;
	uint16_t port;
	bool lmtp;
	char text[HOP_TEXT];      /* "mx1.example.net:25", "192.0.2.1:25" */
	unsigned weight;
	unsigned tier;
	unsigned turn;            /* which of its addresses comes first */
	uint64_t full_until;      /* its destination takes no other connection before */
	uint64_t avoid;           /* sources it could not be reached from, bits by place, */
	uint64_t avoid_until;     /* for so long */
	bool retired;             /* no longer in struct hops: freed with its last connection */
	enum hop_state state;
	bool suspect;             /* silent while work waits: used only when nobody else is there */
	bool suspended;           /* by an administrator: not used */
	bool counted;             /* in the counter of hops that are down */
	unsigned failures;        /* in a row; a finished transaction ends the row */
	uint64_t dead_until;
	uint64_t calm_until;      /* no new connection beside those there are */
	uint64_t progress_at;     /* a reply came, or a connection was begun with none there */
	uint64_t plain_until;     /* optional TLS is left out */
	int64_t credit;           /* smooth weighted round robin */
	uint32_t limit;           /* connections allowed, in thousandths */
	uint32_t limit_max;       /* connections, by configuration */
	uint32_t dot_us;          /* how long the reply to end-of-data takes, smoothed */
	unsigned conns;           /* all there are: opening + ready */
	unsigned opening;
	unsigned idle_count;
	struct list idle;         /* struct conn, the last used first */
	struct list busy;         /* struct conn: opening, at work, saying QUIT */
	uint64_t delivered, deferred, refused;
	int64_t error_at;         /* wall seconds */
	char error[HOP_ERROR_TEXT];
	const char *error_status; /* RFC 3463; NULL: that it cannot be reached */
};

struct hops {
	struct hop **hop;
	unsigned count;
	uint32_t connections;          /* the route's limit, for each */
	uint32_t retry_min, retry_max; /* milliseconds */
};

/* The next hops the route names, but for those it names by their domain (NEXT_HOP_MX); queue.retry bounds the
 * waits. */
void hops_init(struct hops *h, const struct route_settings *route, const struct queue_settings *queue);
void hops_fini(struct hops *h);

/* The route is as it was; the rest of the settings may have changed. */
void hops_apply(struct hops *h, const struct queue_settings *queue);

/* What OLD knows of a next hop that H has too goes over to H: its health, its numbers. */
void hops_inherit(struct hops *h, struct hops *old, uint64_t now);

/* The place of next hop I of a route, where the DNS ranks it RANK-th (0: first, or not at all). */
unsigned hop_tier(const struct route_settings *route, unsigned i, unsigned rank);

/* Next hop I of a route, which is no NEXT_HOP_MX. */
void hop_spec_of(const struct route_settings *route, unsigned i, struct hop_spec *out);

/* From now on these COUNT are the hops. One that is there already keeps what is known of it and its connections. Each
 * that goes is handed to GONE before it is freed, or retired while it has connections. */
void hops_set(struct hops *h, const struct hop_spec *spec, unsigned count, void (*gone)(struct hop *hop, void *arg),
    void *arg);

/* A retired hop's last connection ended. */
void hop_free(struct hop *hop);

/* The hop whose turn it is, or NULL when none is alive: of the least tier that has one alive, by weight. With SPILL,
 * hops that have nothing free (no idle connection, and some connection) are passed over, ASKING aside, and the answer
 * may be NULL though some are alive. Changes nothing: the caller confirms with hops_charge(). */
struct hop *hops_choose(const struct hops *h, bool spill, const struct hop *asking);

/* CHOSEN takes a message. */
void hops_charge(struct hops *h, struct hop *chosen);

/* Do both stand at the same place of the order, so that they share the work? */
bool hops_alike(const struct hop *a, const struct hop *b);

bool hops_any_alive(const struct hops *h);

/* A dead hop whose time has come, or NULL. */
struct hop *hops_to_probe(const struct hops *h, uint64_t now);

/* When the next dead hop's time comes; 0 when none is dead. */
uint64_t hops_next_probe(const struct hops *h);

/* An idle connection, or none at all so that the first may be opened. */
bool hop_is_free(const struct hop *hop);

/* Connections that may be opened now, beside those there are. */
unsigned hop_room(const struct hop *hop, uint64_t now);

/* The hop failed (not one message): a connection that could not be made or that did nothing but break. Halves the
 * limit; without another connection the hop is dead, longer each time. True when it has become dead just now. */
bool hop_failed(const struct hops *h, struct hop *hop, uint64_t now, const char *why);

/* A connection broke that had worked: fewer of them, and none new for a moment. */
void hop_shrink(struct hop *hop, uint64_t now);

/* A probe begins; a session was established (true when the hop was dead); a reply came; a transaction ended. */
void hop_probe(struct hop *hop);
bool hop_established(struct hop *hop);
void hop_replied(struct hop *hop, uint64_t now);
void hop_transacted(struct hop *hop);

/* A connection could not be made for a reason that is not the hop's: a probe is not over yet. */
void hop_try_again(struct hop *hop, uint64_t when);

/* The end-of-data reply took US microseconds. */
void hop_timed(struct hop *hop, uint64_t us);

#endif
