/* SPDX-License-Identifier: MIT */
/* A session before its greeting: who the client is when a proxy stands in front, and whether it can wait. */
#ifndef TMAIL_SMTP_ARRIVAL_H
#define TMAIL_SMTP_ARRIVAL_H

#include <stdbool.h>

struct io;
struct session;

/* In a header's time the proxy that opened a connection has sent it, unless it does not speak the protocol. */
enum { ARRIVAL_PROXY_MS = 5000 };

/* The greeting, at once or after the listener's greet_delay. */
void arrival_greet(struct session *s);

/* Call-back of io_idle() in SESSION_PROXY and SESSION_GREETING. */
void arrival_idle(struct io *io, bool timed_out);

/* The client has sent something before the reply that would have allowed it (RFC 2920 3.1, RFC 5321 4.3.1). Does
 * nothing where the listener has no greet_delay; else logs it. True: the client is to be refused. */
bool arrival_too_early(struct session *s, const char *when);

#endif
