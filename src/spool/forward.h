/* SPDX-License-Identifier: MIT */
/* Copying forward what is still needed of a segment: its live messages, states of messages that live elsewhere, done
 * records. The compactor chooses the segment and calls these from its thread; the committer writes. */
#ifndef TMAIL_SPOOL_FORWARD_H
#define TMAIL_SPOOL_FORWARD_H

#include "spool/store.h"

struct compactor {
	struct spool *spool;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	bool nudged, stop;
	bool running; /* whoever opens and closes */
	uint64_t *blob; /* ids whose blobs go */
	size_t blobs, blob_cap;
	uint64_t slice;
};

/* Sleeps; false when it is time to end. */
bool compactor_rest(struct compactor *k, uint64_t ms);

enum { FORWARD_PAUSE_MS = 10 }; /* between slices: new mail goes first */

/* In slices with pauses. 0: nothing of the kind is needed of segment NUMBER any more; -1: something is left, because
 * it could not be read or written or the compactor ends. */
int forward_messages(struct compactor *k, uint32_t number);
int forward_states(struct compactor *k, uint32_t number);
int forward_dones(struct compactor *k, uint32_t number);

#endif
