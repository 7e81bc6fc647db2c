/* SPDX-License-Identifier: MIT */
/* Administration from outside the worker: a server on a unix socket, with a thread of its own. It walks queues
 * in slices and never runs on a loop. The protocol is in doc/admin-protocol.md. */
#ifndef TMAIL_CONTROL_CONTROL_H
#define TMAIL_CONTROL_CONTROL_H

#include "util/err.h"

#include <stdint.h>

struct control;
struct delivery;
struct desk;
struct loop;
struct settings;
struct smtp_server;
struct spool;
struct tls_ctx;

/* What the server may look at and act on. Everything is borrowed but fd and settings, and outlives the server. */
struct control_config {
	const struct settings *settings; /* a reference is taken. A job that keeps it between steps has its own: job.h */
	struct desk *desk;         /* to the supervisor; NULL: there is none (tests) */
	struct spool *spool;
	struct delivery *delivery; /* NULL: none runs (tests) */
	struct smtp_server *smtp;  /* NULL: none runs (tests) */
	struct tls_ctx *tls;       /* what is shown to clients; NULL: nothing (tests) */
	struct loop **loops;       /* for their statistics */
	unsigned loop_count;
	int fd;                    /* bound, listening unix socket; taken. -1: there is no admin socket */
	unsigned restarts;         /* of the worker, counted by the supervisor */
	int64_t started;           /* wall seconds when the supervisor started; 0: now */
	int64_t worker_started;    /* set by control_start(): what is counted is counted since then */
};

/* Starts the thread. With fd -1 nothing is served and control_stop() has nothing to do. */
int control_start(struct control **control, const struct control_config *config, struct err *err);

/* Any thread: requests that come from now on see SETTINGS. */
void control_apply(struct control *control, const struct settings *settings);

/* Ends the thread and drops its clients. Loops must still run: the thread may be waiting for one of them. */
void control_stop(struct control **control);

#endif
