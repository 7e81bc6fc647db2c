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

/* Who gets connections. */
struct listener_owner {
	void (*hold)(void *arg); /* on the first loop, for each: ARG is in use until CONNECTED has it. May be NULL */
	void (*connected)(int fd, const struct addr *peer, void *arg); /* on the loop that shall own FD */
};

/* Takes FD. ARG is the caller's. */
struct listener *listener_new(int fd, struct loop **loops, unsigned count, const struct listener_owner *owner,
    void *arg);

/* On the first loop: later connections come with ARG; returns what they came with until now. */
void *listener_set_arg(struct listener *l, void *arg);

/* On the first loop: begin and end accepting. When descriptors run out it pauses by itself for a moment. */
void listener_start(struct listener *l);
void listener_stop(struct listener *l);

/* On the first loop: takes every connection the kernel has ready, so that closing refuses nobody. */
void listener_accept_all(struct listener *l);

/* After the loops have ended, or on the first loop. */
void listener_free(struct listener **l);

#endif
