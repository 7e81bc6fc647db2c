/* SPDX-License-Identifier: MIT */
/* The configuration as the rest of tmail reads it: one immutable snapshot. Sizes in bytes, times in seconds. Defaults
 * and ranges are in the tables of directory/settings_vocabulary.c. */
#ifndef TMAIL_DIRECTORY_SETTINGS_H
#define TMAIL_DIRECTORY_SETTINGS_H

#include "directory/settings_auth.h"
#include "dns/dns.h"
#include "net/addr.h"
#include "util/conf.h"
#include "util/err.h"
#include "util/log.h"
#include "util/option_rate.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archive;
struct arena;
struct buf;

struct client_index;
struct route_index;

/* What a block fills begins as util/option.h's struct option_head: place, block, name. */

/* TLS_AUTO is never seen outside: it becomes optional or none. */
enum tls_mode { TLS_NONE, TLS_OPTIONAL, TLS_REQUIRED, TLS_IMPLICIT, TLS_VERIFY, TLS_AUTO };

/* Whether a listener asks clients for a certificate. */
enum client_certificate { CLIENT_CERTIFICATE_NONE, CLIENT_CERTIFICATE_OPTIONAL, CLIENT_CERTIFICATE_REQUIRED };

/* What becomes of a client that speaks before its turn, on a listener with greet_delay. */
enum early_talkers { EARLY_REFUSE, EARLY_ACCEPT };

/* Who may use a listener. */
enum relay_mode { RELAY_ANY, RELAY_ONLY };

struct listener_settings {
	struct place place;
	const char *block;
	const char *name; /* the title, else the first address */
	struct addr *address;
	unsigned address_count;
	enum tls_mode tls; /* none, optional (the default where a certificate is set), required, implicit */
	enum auth_mode auth;
	enum sender_match sender_match; /* of clients that have logged in */
	enum client_certificate client_certificate;
	struct network *proxy;     /* peers that begin with a header of the PROXY protocol */
	unsigned proxy_count;
	struct network *xclient;   /* clients that may say XCLIENT and XFORWARD */
	unsigned xclient_count;
	bool xclient_login;        /* XCLIENT LOGIN is believed */
	uint32_t greet_delay;      /* 0: the greeting comes at once and early talkers are not looked for */
	enum early_talkers early_talkers;
	enum relay_mode relay; /* RELAY_ONLY: recipients are taken only from those who may relay */
};

/* Somebody known by network: trusted, so outbound. Of several the longest prefix counts. */
struct client_settings {
	struct place place;
	const char *block, *name;
	struct network *network;
	unsigned network_count;
	const char **sender;       /* MAIL FROM it may use, patterns as in a route's match; none: any */
	unsigned sender_count;
	const char *group;         /* for matches; NULL: none */
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
	struct option_rate rate[3], rate_per_client[3]; /* connections, messages, errors; count 0: any */
	uint32_t tarpit;               /* how long an error reply is held back; 0: not at all */
	uint32_t tarpit_after;         /* errors of a session */
	uint64_t min_rate;             /* bytes a second of message data, averaged over the message, after 30 s */
};

enum recipient_check { RECIPIENTS_ANY, RECIPIENTS_VERIFY };

/* One of `dns { forward }`. */
struct name_server {
	enum { SERVER_ADDRESS, SERVER_SYSTEM, SERVER_NONE } kind;
	struct addr address;
};

enum balance { BALANCE_FAILOVER, BALANCE_ROUND_ROBIN };

enum next_hop_kind {
	NEXT_HOP_ADDRESS,
	NEXT_HOP_HOST, /* its A and AAAA */
	NEXT_HOP_MX,   /* the mail exchangers of the domain `host` */
};

enum { SETTINGS_HOPS_MAX = 64 }; /* in one list */

struct next_hop {
	enum next_hop_kind kind;
	struct addr address; /* NEXT_HOP_ADDRESS */
	const char *host;    /* the others: lower case, no dot at the end */
	uint16_t port;
	const char *text;  /* as written */
	unsigned weight;   /* 1 unless given */
	bool backup;       /* used only while no other is alive */
	bool lmtp;         /* RFC 2033 */
};

enum { SETTINGS_SOURCES_MAX = 64 }; /* addresses of one source */

struct source_address {
	struct addr address;   /* port 0 */
	const char *hostname;  /* said in EHLO; NULL: settings.hostname */
	const char *text;      /* as written */
	unsigned weight;       /* 1 unless given */
};

/* The gateway's own addresses connections are made from. */
struct source_settings {
	struct place place;
	const char *block, *name;
	struct source_address *address;
	unsigned address_count;
	enum balance balance;
};

/* One list of next hops with its rules: what a `domain` or a `route` leads to. A route without next hops delivers to
 * the mail exchangers of each recipient's domain. The key is what the spool keeps: settings_key(). */
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
	const char **login;        /* `route` match: who logged in; none: everybody */
	unsigned login_count;
	const char **group;        /* `route` match: group of the user or the client; none: any */
	unsigned group_count;
	const char **listener;     /* `route` match: names of listeners; none: any */
	unsigned listener_count;
	struct next_hop *hop;
	unsigned hop_count;
	enum balance balance;
	enum tls_mode tls;         /* none, optional (default), required, verify */
	unsigned connections;      /* at most, to each next hop; default 20 */
	enum recipient_check recipients; /* of a `domain` */
	const char *secret_name;   /* `login`: how we log in there; NULL: we do not */
	const struct secret_settings *secret;
	const char *source_name;
	const struct source_settings *source; /* NULL: the system chooses the address */
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

/* The block `dns`. */
struct dns_settings {
	struct place place;
	const char *block, *name;
	struct name_server *forward;
	unsigned forward_count;
	const char *trust_anchor;  /* "none", "root" or a path; NULL: not written */
	uint32_t timeout;          /* of one question */
	struct dns_config config;  /* what it all comes to */
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
	enum log_format format;
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
	struct client_settings *client;
	unsigned client_count;
	struct source_settings *source;
	unsigned source_count;
	struct route_settings *route; /* domains and routes in order of the file */
	unsigned route_count;
	struct queue_settings queue;
	uint32_t history;      /* how long it is kept; 0: not at all */
	uint64_t history_size; /* and how many bytes of it */
	struct delivery_settings delivery;
	struct auth_settings auth;
	struct user_settings *auth_user; /* those who may log in */
	unsigned auth_user_count;
	struct map users;      /* the same by login, for settings_user() */
	struct secret_settings *secret;
	unsigned secret_count;
	struct dns_settings dns;
	struct route_index *index; /* for settings_route() */
	struct client_index *clients; /* for settings_client() */
	bool routes_by_listener; /* some route matches on it: messages keep theirs */
	struct arena *arena;   /* everything above */
	atomic_uint refs;
};

/* Reads PATH (NULL: the demonstration, settings_demo). Every error found is appended to ERRORS as
 * "file:line: what is wrong, what is allowed\n"; -1 if there was one. */
int settings_load(struct settings **settings, const char *path, struct buf *errors);

/* The same from N bytes of TEXT, called NAME in messages; nothing is included. */
int settings_parse(struct settings **settings, const char *name, const char *text, size_t n, struct buf *errors);

/* The same, keeping every file that was read in FILES; and from FILES instead of the disk. */
int settings_load_recorded(struct settings **settings, const char *path, struct archive *files, struct buf *errors);
int settings_load_replayed(struct settings **settings, const char *path, struct archive *files,
    struct buf *errors);

/* Drops a reference; the last one frees. Any thread. Who uses a snapshot across a wait holds a reference. */
void settings_free(struct settings **settings);
const struct settings *settings_ref(const struct settings *settings);
void settings_unref(const struct settings **settings);

/* Before NEXT takes the place of NOW in a running process: what cannot change in its life stays as it is. KEPT is told
 * of each such value that should have changed ("threads", "1", "2"). */
void settings_keep(struct settings *next, const struct settings *now,
    void (*kept)(const char *name, const char *old, const char *wanted, void *arg), void *arg);

/* 127.0.0.1:2525 in front of 127.0.0.1:2526, for this machine only, with its state in ./tmail-state. */
extern const char settings_demo[];

/* What is in force, defaults included, as a configuration file that would say the same. */
void settings_print(const struct settings *s, struct buf *out);

/* The same for people: without secrets; with MARK, "# default" behind what is as it would be without a word. */
void settings_show(const struct settings *s, bool mark, struct buf *out);

/* The same of every block of one type; of one domain or route. */
void settings_print_blocks(const struct settings *s, const char *type, struct buf *out);
void settings_print_route(const struct route_settings *r, struct buf *out);

/* The reference parts of tmail.conf(5), and of the sample file, from the tables. */
void settings_manual(struct buf *out);
void settings_manual_types(struct buf *out);
void settings_sample(struct buf *out);

/* What is known of a recipient that is to be routed. Addresses without angle brackets. */
struct route_query {
	const char *sender;    /* "": the null sender */
	const char *recipient;
	const char *login, *group, *listener; /* NULL: none, which a route that names some does not match */
};

/* The route, most specific first: an exact "user@dom", then "@dom", then "@.dom" (longest first), then a domain block,
 * then a `route` without a recipient. Among equals one that names the login comes first, then the one that names the
 * sender more exactly (likewise: address, domain, longest parent domain), then one that names the group, then the
 * listener, then the order of the file. All a route names has to match. NULL: no route (550 5.4.4). */
const struct route_settings *settings_route(const struct settings *s, const struct route_query *q);

/* How R stands to TAKEN, which settings_route() answered for Q, in words: what does not match, or what is more specific
 * in TAKEN. For R == TAKEN: what it matched by. */
void settings_route_explain(const struct route_query *q, const struct route_settings *r,
    const struct route_settings *taken, struct buf *out);

/* The key under which mail of the route to ADDRESS is queued: the route's own, or for one that delivers by MX
 * "route:NAME@DOMAIN", since each domain is a queue of its own. OUT holds SETTINGS_KEY_TEXT bytes. */
enum { SETTINGS_KEY_TEXT = 400, SETTINGS_ROUTE_NAME_MAX = 100 };
const char *settings_key(const struct route_settings *route, const char *address, char *out);

/* The domain of such a key, which leads to ROUTE; NULL where the route names its next hops. */
const char *settings_key_domain(const struct route_settings *route, const char *key);

/* By the key the spool kept; NULL when the configuration has it no more. */
const struct route_settings *settings_route_by_key(const struct settings *s, const char *key);

/* Is the domain one of a `domain` block (mail for it is accepted from anyone)? */
bool settings_is_ours(const struct settings *s, const char *domain);

/* May this peer speak the PROXY protocol, on any listener? Then its own address says nothing about the client: it
 * matches neither relay_from nor xclient, so that a proxy which was made to say nothing opens no relay. */
bool settings_is_proxy(const struct settings *s, const struct addr *peer);

/* Is the client in relay_from, or known as a `client`? */
bool settings_may_relay(const struct settings *s, const struct addr *client);

/* Does LISTENER (NULL: any) take a recipient of DOMAIN (NULL: the bare postmaster), by who the client is alone? Whoever
 * may not relay reaches our own domains, and with relay = only nobody. */
bool settings_may_reach(const struct settings *s, const struct listener_settings *listener, bool may_relay,
    const char *domain);

/* Whose address it is, by the longest prefix, or NULL. */
const struct client_settings *settings_client(const struct settings *s, const struct addr *client);

/* May it use that sender? The null sender is everybody's: reports have to get through. */
bool client_may_send(const struct client_settings *c, const char *sender);

/* The group of whoever sends: NULL when none is known. LOGIN and CLIENT may be NULL. */
const char *settings_group(const struct settings *s, const char *login, const struct addr *client);

#endif
