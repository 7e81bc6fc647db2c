/* SPDX-License-Identifier: MIT */
/* What a service manager expects of a daemon (sd_notify(3), sd_listen_fds(3)); without one, nothing happens. */
#ifndef TMAIL_CONTROL_SYSTEMD_H
#define TMAIL_CONTROL_SYSTEMD_H

#include <stdint.h>

struct sockets;

/* Takes what the environment says, and out of it, so that no child believes it is meant. First of all. */
void systemd_init(void);

/* Sockets we were started with, by the address they are bound to. The caller's. */
void systemd_sockets(struct sockets *out);

void systemd_ready(void);
void systemd_reloading(void);
void systemd_stopping(void);

/* Says that we are alive, when it is time. Milliseconds until it is again; -1: nobody wants to know. */
int64_t systemd_tick(void);

#endif
