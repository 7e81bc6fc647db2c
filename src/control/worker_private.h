/* SPDX-License-Identifier: MIT */
/* The worker's parts, for those of its files that change them while it runs. */
#ifndef TMAIL_CONTROL_WORKER_PRIVATE_H
#define TMAIL_CONTROL_WORKER_PRIVATE_H

#include "control/channel.h"
#include "control/worker.h"

#include <pthread.h>

struct archive;
struct control;
struct delivery;
struct desk;
struct loop;
struct ports;
struct smtp_server;
struct spool;

/* A change that is being handed over, until CHANNEL_APPLY. */
struct incoming {
	struct sockets fresh;
	struct archive *files;
	char *path;
	struct buf keys;
	bool has_keys;
	int log_fd; /* -1: none */
};

struct worker {
	struct worker_config *config;
	const struct settings *settings; /* a reference: those in force */
	struct loop **loop;
	pthread_t *thread;
	unsigned loops;
	struct spool *spool;
	struct smtp_server *server;
	struct ports *ports;
	struct delivery *delivery;
	struct control *control;
	struct desk *desk;
	int channel;
	struct incoming incoming;
	struct channel_message message;
	char *spool_path, *history_path;
	char *known_path; /* what is known of recipients */
};

/* Main thread: calls FN(ARG) on a loop and waits until it has returned. */
void worker_call(struct loop *loop, void (*fn)(void *arg), void *arg);

/* Main thread, loops running: everything the supervisor has said. -1: it is gone. */
int worker_listen_to_supervisor(struct worker *w);

void incoming_init(struct incoming *in);
void incoming_fini(struct incoming *in);

#endif
