/* SPDX-License-Identifier: MIT */
/* One connection to the admin socket: requests in, one after another, results out, within limits of bytes and
 * time. Control thread only. */
#ifndef TMAIL_CONTROL_CLIENT_H
#define TMAIL_CONTROL_CLIENT_H

#include "control/control.h"
#include "util/list.h"

#include <stdbool.h>
#include <stdint.h>

struct client;

enum {
	CLIENT_REQUEST_MAX = 65536, /* bytes of one request line */
	CLIENT_OUT_MAX = 65536,     /* unsent bytes above which its job waits */
	CLIENT_IDLE_MS = 30000,     /* for a request to come whole */
	CLIENT_STALL_MS = 30000,    /* for unsent bytes to move */
	CLIENT_PROGRESS_MS = 2000,  /* silence of a running job before a progress line */
};

/* Takes FD, which is non-blocking. NOW is clock_ms() here and below. */
struct client *client_new(const struct control_config *config, int fd, uint64_t now);
void client_free(struct client **client);

int client_fd(const struct client *c);
short client_events(const struct client *c); /* what to poll for */
bool client_ready(const struct client *c);   /* has work to do without any event */
uint64_t client_deadline(const struct client *c);

/* Receives, works one slice and sends, as REVENTS allow. False: the connection is over, free it. */
bool client_serve(struct client *c, short revents, uint64_t now);

#endif
