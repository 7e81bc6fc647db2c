/* SPDX-License-Identifier: MIT */
/* The worker's listeners: each listening socket it was handed, with the settings its connections come under. */
#ifndef TMAIL_CONTROL_PORTS_H
#define TMAIL_CONTROL_PORTS_H

#include "control/sockets.h"

struct loop;
struct ports;
struct settings;
struct smtp_server;
struct tls_ctx;

/* Before the loops run, or on the first one. */
struct ports *ports_new(struct loop **loops, unsigned count, struct smtp_server *server);

/* On the first loop, or before it runs: connections come under SETTINGS from now on. Addresses that are new take their
 * sockets from FRESH (fd -1 then); those SETTINGS has no more are closed, when what the kernel had ready is accepted. */
void ports_apply(struct ports *p, const struct settings *settings, struct sockets *fresh, struct tls_ctx *tls);

/* Main thread: is there a listener on ADDRESS? */
bool ports_have(const struct ports *p, const struct addr *address);

/* On the first loop: no new connections. */
void ports_stop(struct ports *p);

/* After the loops have ended. */
void ports_free(struct ports **p);

#endif
