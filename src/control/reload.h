/* SPDX-License-Identifier: MIT */
/* The supervisor's side of a change of configuration: reads and checks it, opens what needs privileges, hands all of it
 * to the worker (control/channel.h), and answers who asked. A configuration with an error changes nothing. */
#ifndef TMAIL_CONTROL_RELOAD_H
#define TMAIL_CONTROL_RELOAD_H

#include "control/channel.h"
#include "control/worker.h"
#include "net/keyring.h"
#include "util/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum { RELOAD_ASKERS_MAX = 64 };

struct archive;
struct supervisor;

struct reload {
	struct worker_config *now;   /* in force, and what the next worker begins with */
	int original_stderr;
	/* Under way, or asked for while it is: */
	uint32_t serial;             /* of the CHANNEL_APPLY that is not answered; 0: none */
	uint32_t last;
	bool again;
	uint32_t asker[RELOAD_ASKERS_MAX], later[RELOAD_ASKERS_MAX]; /* requests of this reload, of the one after it */
	unsigned askers, laters;
	bool only_keys;
	struct settings *next;
	struct archive *files;
	struct sockets sockets;
	struct keyring ring;
	int log_fd;
	struct buf remarks;
};

/* NOW is borrowed. */
void reload_init(struct reload *r, struct worker_config *now, int original_stderr);
void reload_fini(struct reload *r);

/* Reads the configuration and hands it over; while another change is under way, after that. ASKER: a request of the
 * worker's to be answered, 0: none (SIGHUP). */
void reload_begin(struct reload *r, struct supervisor *s, uint32_t asker);

/* Is a change under way? */
bool reload_busy(const struct reload *r);

/* The same for certificates alone, which are RING's from now on; taken. False: another change is under way, and nothing
 * was done; try again later. */
bool reload_keys(struct reload *r, struct supervisor *s, struct keyring *ring);

/* What the worker says about it. */
void reload_answered(struct reload *r, struct supervisor *s, const struct channel_message *m);

/* The worker died: what was under way did not happen. */
void reload_lost(struct reload *r);

#endif
