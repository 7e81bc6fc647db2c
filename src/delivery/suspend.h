/* SPDX-License-Identifier: MIT */
/* Next hops an administrator has stopped: names in a small file, which outlive restarts. Mail for them waits. */
#ifndef TMAIL_DELIVERY_SUSPEND_H
#define TMAIL_DELIVERY_SUSPEND_H

#include "delivery/delivery.h"
#include "util/err.h"

#include <stdbool.h>

struct suspensions;

/* What a hop may be called by. NULL: nothing. */
struct suspension_names {
	const char *route;       /* "route:NAME", "domain:NAME" */
	const char *domain;      /* of recipients, where each is a queue of its own */
	const char *destination;
	const char *host;        /* or the address without its port */
	const char *hop;         /* as in the log, with port */
};

/* Reads PATH where it is; NULL: nothing is kept. What cannot be read is logged: mail goes on. */
struct suspensions *suspensions_new(const char *path);
void suspensions_free(struct suspensions **s);

/* Any thread but a loop's; the file is on disk when they return. 1: changed; 0: it was so already; -1: it could not be
 * kept, and nothing has changed. */
int suspensions_add(struct suspensions *s, const char *name, const char *reason, struct err *err);
int suspensions_remove(struct suspensions *s, const char *name, struct err *err);

/* Any thread. A look without a lock; then the rest. */
bool suspensions_any(const struct suspensions *s);
bool suspensions_match(struct suspensions *s, const struct suspension_names *names);
void suspensions_each(struct suspensions *s, void (*fn)(const struct suspension *one, void *arg), void *arg);

#endif
