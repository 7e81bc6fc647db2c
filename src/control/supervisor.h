/* SPDX-License-Identifier: MIT */
/* The privileged process: makes the worker, watches it, talks to it, makes it again when it dies. It reads nothing from
 * the network. */
#ifndef TMAIL_CONTROL_SUPERVISOR_H
#define TMAIL_CONTROL_SUPERVISOR_H

#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

/* What a worker is told about the ones before it. */
struct worker_history {
	const uint64_t *crashed;        /* messages whose handling crashed a worker twice */
	unsigned crashed_count;
	unsigned restarts;
	int64_t started;                /* wall seconds when the supervisor began */
	volatile uint64_t *crash_slots; /* shared: the message each loop handles now (net/task.h) */
	unsigned slot_count;
	int channel;                    /* to the supervisor (control/channel.h) */
};

struct channel_message;
struct supervisor;

struct supervisor_config {
	const char *state;  /* folder, ours: STATE/crashes is kept there */
	unsigned loops;
	/* Runs in the worker process; its result is the worker's exit status. 0 after SIGTERM. */
	int (*worker)(const struct worker_history *history, void *arg);
	/* What else the supervisor does; each may be NULL. All get ARG. */
	void (*hangup)(struct supervisor *s, void *arg); /* SIGHUP came */
	void (*message)(struct supervisor *s, struct channel_message *m, void *arg); /* from the worker; M->fd is theirs */
	void (*worker_gone)(struct supervisor *s, void *arg);
	void (*stopping)(struct supervisor *s, void *arg);
	int wake_fd; /* the tick comes also when it is readable; -1: none */
	int64_t (*tick)(struct supervisor *s, void *arg); /* now and then: ms until it wants to be called again; -1: never */
	void *arg;
};

/* The channel to the worker that lives now; -1: there is none. */
int supervisor_channel(const struct supervisor *s);

/* Serves until SIGTERM or SIGINT; the worker then has half a minute to end. A worker that dies is replaced, at once
 * the first time, then after waits that double up to 30 s while it keeps dying young. Returns the exit status:
 * 0 after a clean stop, 1 where the worker could not start at all. Returns in the worker too, with its exit status
 * and *IS_WORKER set, so that both give back what the caller made. */
int supervisor_run(const struct supervisor_config *config, bool *is_worker);

#endif
