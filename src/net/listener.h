/* SPDX-License-Identifier: MIT */
/* Listening sockets: one acceptor, on the first loop, deals connections to the loops in turn. */
#ifndef TMAIL_NET_LISTENER_H
#define TMAIL_NET_LISTENER_H

#include "net/addr.h"
#include "net/loop.h"
#include "util/err.h"

struct listener;

/* A bound, listening, non-blocking socket; used by the supervisor, which hands it down. -1 with ERR. */
int listener_bind(const struct addr *a, struct err *err);

/* CONNECTED runs on the loop that shall own FD. ARG is the caller's. */
struct listener *listener_new(int fd, struct loop **loops, unsigned count,
    void (*connected)(int fd, const struct addr *peer, void *arg), void *arg);

/* On the first loop: begin and end accepting. When descriptors run out it pauses by itself for a moment. */
void listener_start(struct listener *l);
void listener_stop(struct listener *l);
void listener_free(struct listener **l);

#endif
