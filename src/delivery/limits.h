/* SPDX-License-Identifier: MIT */
/* What a next hop says it takes at most (RFC 9422). Pure. */
#ifndef TMAIL_DELIVERY_LIMITS_H
#define TMAIL_DELIVERY_LIMITS_H

#include <stddef.h>

struct errand;

/* 0: not limited. */
struct hop_limits {
	unsigned mail;    /* transactions of a connection */
	unsigned rcpt;    /* recipients of a transaction */
	unsigned domains; /* different domains among them */
};

/* From what stands behind LIMITS in the answer to EHLO; what is unknown or makes no sense is passed over. */
void limits_learn(struct hop_limits *limits, const char *args, size_t n);

/* How many of COUNT recipients from FIRST on may share a transaction: 1 at least. */
unsigned limits_recipients(const struct hop_limits *limits, const struct errand *a, unsigned first, unsigned count);

#endif
