/* SPDX-License-Identifier: MIT */
/* The configuration as the rest of tmail reads it: one immutable snapshot. Sizes in bytes, times in seconds. Defaults
 * and ranges are in the tables of directory/settings_vocabulary.c. */
#ifndef TMAIL_DIRECTORY_SETTINGS_H
#define TMAIL_DIRECTORY_SETTINGS_H

#include "net/addr.h"
#include "util/conf.h"
#include "util/err.h"
#include "util/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;

struct route_index;

/* What a block fills begins as util/option.h's struct option_head: place, block, name. */

/* TLS_AUTO is never seen outside: it becomes optional or none. */
enum tls_mode { TLS_NONE, TLS_OPTIONAL, TLS_REQUIRED, TLS_IMPLICIT, TLS_VERIFY, TLS_AUTO };

struct listener_settings {
	struct place place;
	const char *block;
	const char *name; /* the title, else the first address */
	struct addr *address;
	unsigned address_count;
	enum tls_mode tls; /* none, optional (the default where a certificate is set), required, implicit */
};

struct tls_settings {
	struct place place;
	const char *block, *name;
	const char **certificate; /* files, folders, globs of them: control/certificates.h; the first is the default */
	unsigned certificate_count;
	const char **key;         /* none, or one for each certificate */
	unsigned key_count;
	const char **ca;          /* roots for `tls = verify` and clients' certificates; none: the system's */
	unsigned ca_count;
};

struct limit_settings {
	struct place place;
	const char *block, *name;
	uint32_t sessions;             /* in all */
	uint32_t sessions_per_client;  /* per address */
	uint32_t tasks;                /* per loop */
	uint32_t recipients;           /* per message */
	uint32_t errors;               /* 4xx and 5xx replies per session, then 421 */
	uint32_t messages_per_session; /* 0: any */
	uint32_t hops;                 /* Received lines, then 5.4.6 */
	uint64_t message_size;
	uint64_t header_size;
	uint32_t command_timeout;      /* waiting for a command */
	uint32_t data_timeout;         /* waiting for the next bytes of a message */
	uint32_t message_timeout;      /* a whole message */
	uint64_t min_rate;             /* bytes a second of message data, averaged over the message, after 30 s */
};

enum recipient_check { RECIPIENTS_ANY };

enum balance { BALANCE_FAILOVER, BALANCE_ROUND_ROBIN };

struct next_hop {
	struct addr address;
	const char *text;  /* as written */
	unsigned weight;   /* 1 unless given */
	bool backup;       /* used only while no other is alive */
	bool lmtp;         /* RFC 2033 */
};

/* One list of next hops with its rules: what a `domain` or a `route` leads to. Its key is what the spool keeps. */
struct route_settings {
	struct place place;
	const char *block;         /* "domain" or "route" */
	const char *name;
	const char *key;           /* "domain:NAME" or "route:NAME" */
	const char **domain;       /* `domain`: recipient domains that are ours, lower case; ".x" means below x */
	unsigned domain_count;
	const char **recipient;    /* `route` match: "user@dom", "@dom", "@.dom"; none: every recipient */
	unsigned recipient_count;
	const char **sender;       /* `route` match: likewise, "" is the null sender; none: every sender */
	unsigned sender_count;
	struct next_hop *hop;
	unsigned hop_count;
	enum balance balance;
	enum tls_mode tls;         /* none, optional (default), required */
	unsigned connections;      /* at most, to each next hop; default 20 */
	enum recipient_check recipients; /* of a `domain` */
};

struct queue_settings {
	struct place place;
	const char *block, *name;
	uint32_t *retry;               /* as written: one or two waits; below is what counts */
	unsigned retry_count;
	uint32_t retry_min, retry_max; /* first and largest wait between attempts; it doubles, with jitter */
	uint32_t lifetime;             /* then a bounce */
	uint32_t bounce_lifetime;      /* for null-sender mail */
	uint32_t warn_after;           /* delay warning to the sender; 0: none */
	uint32_t hold_lifetime;
	uint64_t min_free, segment_size, memory_max, memory_total, cache;
};

/* The block `delivery`: time limits towards next hops, each for one wait. The defaults are RFC 5321 4.5.3.2's. */
struct delivery_settings {
	struct place place;
	const char *block, *name;
	uint32_t connect_timeout; /* default 30s */
	uint32_t command_timeout; /* the greeting, and the reply to a command; default 5min (DATA's: at most 2min) */
	uint32_t data_timeout;    /* a piece of the message to be taken; default 3min */
	uint32_t end_timeout;     /* the reply to the end of the message; default 10min */
	uint32_t idle_timeout;    /* a connection is kept without work for so long; default 30s */
};

struct admin_settings {
	struct place place;
	const char *block, *name;
	const char *socket; /* default STATE/admin.sock */
	unsigned mode;      /* permissions, default 0600 */
};

struct log_settings {
	struct place place;
	const char *block, *name;
	const char *to; /* "stderr" or a file's path */
	enum log_level level;
};

struct settings {
	const char *path;      /* the file */
	const char *hostname;
	const char *state;     /* folder */
	const char *user;      /* the worker's account; default "tmail" where it exists, else "nobody" */
	unsigned threads;
	struct listener_settings *listener;
	unsigned listener_count;
	struct tls_settings tls;
	struct limit_settings limits;
	struct admin_settings admin;
	struct log_settings log;
	struct network *relay_from;
	unsigned relay_from_count;
	struct route_settings *route; /* domains and routes in order of the file */
	unsigned route_count;
	struct queue_settings queue;
	uint32_t history;      /* how long it is kept; 0: not at all */
	uint64_t history_size; /* and how many bytes of it */
	struct delivery_settings delivery;
	struct route_index *index; /* for settings_route() */
	struct arena *arena;   /* everything above */
};

/* Reads PATH (NULL: the demonstration, settings_demo). Every error found is appended to ERRORS as
 * "file:line: what is wrong, what is allowed\n"; -1 if there was one. */
int settings_load(struct settings **settings, const char *path, struct buf *errors);

/* The same from N bytes of TEXT, called NAME in messages; nothing is included. */
int settings_parse(struct settings **settings, const char *name, const char *text, size_t n, struct buf *errors);

void settings_free(struct settings **settings);

/* 127.0.0.1:2525 in front of 127.0.0.1:2526, for this machine only, with its state in ./tmail-state. */
extern const char settings_demo[];

/* What is in force, defaults included, as a configuration file that would say the same. */
void settings_print(const struct settings *s, struct buf *out);

/* The reference parts of tmail.conf(5), and of the sample file, from the tables. */
void settings_manual(struct buf *out);
void settings_manual_types(struct buf *out);
void settings_sample(struct buf *out);

/* The route of a recipient, most specific first: an exact "user@dom", then "@dom", then "@.dom" (longest first),
 * then a domain block, then a `route` without a recipient; among equals one that matches the sender too, then the
 * order of the file. ADDRESS and SENDER without angle brackets. NULL: no route (550 5.4.4). */
const struct route_settings *settings_route(const struct settings *s, const char *sender, const char *address);

/* By the key the spool kept; NULL when the configuration has it no more. */
const struct route_settings *settings_route_by_key(const struct settings *s, const char *key);

/* Is the domain one of a `domain` block (mail for it is accepted from anyone)? */
bool settings_is_ours(const struct settings *s, const char *domain);

/* Is the client in relay_from? */
bool settings_may_relay(const struct settings *s, const struct addr *client);

#endif
