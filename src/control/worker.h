/* SPDX-License-Identifier: MIT */
/* The unprivileged process: puts loops, spool, server, delivery and administration together and ends them in order. */
#ifndef TMAIL_CONTROL_WORKER_H
#define TMAIL_CONTROL_WORKER_H

#include "control/credentials.h"
#include "control/sandbox.h"
#include "control/sockets.h"
#include "control/supervisor.h"

#include <stdbool.h>

struct settings;

/* What the supervisor opened with its privileges; a reload changes it for the worker after this one. */
struct worker_config {
	struct settings *settings;
	const char *path;        /* of the configuration; NULL: the demonstration */
	struct account account;
	struct credentials credentials;
	struct sockets sockets;
	int admin_fd;
	int log_fd;
	bool discard;            /* accept and throw away: for measuring what durability costs */
};

/* The worker's life, as supervisor_config.worker; ARG is a struct worker_config. Exit status 0 after SIGTERM, 2 when
 * it cannot start (and said why in the log). */
int worker_run(const struct worker_history *history, void *arg);

#endif
