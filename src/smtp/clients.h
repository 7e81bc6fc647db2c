/* SPDX-License-Identifier: MIT */
/* What each client does, over all loops: its sessions, and how often it connects, sends and errs. A client is an IPv4
 * address or the /64 network of an IPv6 address, which is what one host or site gets. */
#ifndef TMAIL_SMTP_CLIENTS_H
#define TMAIL_SMTP_CLIENTS_H

#include <stdbool.h>

struct addr;
struct clients;
struct limit_settings;

enum client_rate { RATE_CONNECTIONS, RATE_MESSAGES, RATE_ERRORS, RATE_COUNT };

enum clients_answer {
	CLIENTS_IN = 0,
	CLIENTS_SESSIONS, /* sessions_per_client is reached */
	CLIENTS_RATE,     /* it connects, or errs, more often than it may */
};

struct clients *clients_new(void);
void clients_free(struct clients **clients);

/* Any thread: one more session of PEER (its port does not matter); counted only if CLIENTS_IN. TRUSTED: the rates of a
 * client do not hold for it. */
enum clients_answer clients_enter(struct clients *clients, const struct limit_settings *limits, const struct addr *peer,
    bool trusted);

/* Any thread: the end of a session clients_enter() had let in. */
void clients_leave(struct clients *clients, const struct addr *peer);

/* Any thread: one more message or error of PEER; false: that is more often than it may. Costs nothing without a rate. */
bool clients_take(struct clients *clients, const struct limit_settings *limits, const struct addr *peer,
    enum client_rate rate);

/* The same for everybody together. */
bool clients_take_all(struct clients *clients, const struct limit_settings *limits, enum client_rate rate);

#endif
