/* SPDX-License-Identifier: MIT */
/* The supervisor's listening sockets, by address. They outlive workers and configurations that keep them. */
#ifndef TMAIL_CONTROL_SOCKETS_H
#define TMAIL_CONTROL_SOCKETS_H

#include "net/addr.h"
#include "util/buf.h"
#include "util/err.h"

#include <stdbool.h>

struct settings;

struct socket_place {
	struct addr address;
	int fd;
	bool fresh; /* bound for this configuration, not taken over from the one before */
};

/* One for each address of each listener, in their order. Zeroed memory is an empty one. */
struct sockets {
	struct socket_place *place;
	unsigned count;
};

/* What S listens on: sockets of NOW where the address is there, others are bound, patiently (a predecessor may still be
 * ending) with TRIES attempts. -1 with "file:line: why", nothing has changed then. */
int sockets_bind(struct sockets *next, const struct sockets *now, const struct settings *s, unsigned tries,
    struct err *err);

/* After NEXT took the place of NOW, or did not: closes what only the one given up has, and frees its table. */
void sockets_accept(struct sockets *now, struct sockets *next);
void sockets_refuse(struct sockets *next);

/* The socket of ADDRESS, or NULL. */
struct socket_place *sockets_find(const struct sockets *s, const struct addr *address);

/* Remarks, a line each: what NEXT has that NOW has not, and the other way round. */
void sockets_compare(const struct sockets *now, const struct sockets *next, struct buf *out);

void sockets_fini(struct sockets *s);

#endif
