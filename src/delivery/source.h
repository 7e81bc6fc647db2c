/* SPDX-License-Identifier: MIT */
/* Which of the gateway's own addresses a connection is made from. A site's; nothing here waits. */
#ifndef TMAIL_DELIVERY_SOURCE_H
#define TMAIL_DELIVERY_SOURCE_H

#include "net/addr.h"

#include <stdbool.h>
#include <stdint.h>

struct source_address;
struct source_settings;

enum {
	SOURCE_LOOK = 10 * 1000,      /* whether this machine has an address is looked at so often */
	SOURCE_REST = 5 * 60 * 1000,  /* an address a hop could not be reached from comes after the others for so long */
};

struct source {
	const struct source_address *conf;
	int64_t credit;       /* smooth weighted round robin */
	uint64_t look_at;     /* when to look again whether it can be bound */
	bool usable;
};

struct sources {
	const struct source_settings *conf; /* NULL: the system chooses */
	struct source *source;
	unsigned count;
};

/* CONF may be NULL, and is borrowed. */
void sources_init(struct sources *s, const struct source_settings *conf);
/* The same addresses in another snapshot of the settings. */
void sources_apply(struct sources *s, const struct source_settings *conf);
void sources_fini(struct sources *s);

/* The address whose turn it is among those of FAMILY that this machine has, not in the set AVOID (bits by place) unless
 * all are. NULL: none. Its turn is taken. NOW in loop_now() units. */
struct source *sources_choose(struct sources *s, int family, uint64_t avoid, uint64_t now);

/* Is there another of SOURCE's family that can be used and is not in AVOID? */
bool sources_have_other(const struct sources *s, const struct source *source, uint64_t avoid);

/* Its bit in such a set. */
uint64_t source_bit(const struct sources *s, const struct source *source);

#endif
