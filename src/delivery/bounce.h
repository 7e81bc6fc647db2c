/* SPDX-License-Identifier: MIT */
/* Reports to senders: mail that was not delivered (RFC 3464 "failed"), is late ("delayed"), or was handed on to where
 * nobody reports its delivery ("relayed"). */
#ifndef TMAIL_DELIVERY_BOUNCE_H
#define TMAIL_DELIVERY_BOUNCE_H

#include "mail/dsn.h"

#include <stdbool.h>
#include <stdint.h>

struct delivery;
struct errand;
struct message;

/* A report on those recipients of A whose fate is FAILED, with DELAYS those who wait, and those delivered whose
 * delivery nobody else reports (see errand.success), as a new message from the null sender; or NULL where there is
 * none to make: the null sender is never answered, NOTIFY decides what is reported (RFC 3461 4.1), and a sender no
 * route leads to cannot be reached (logged). RETRY_UNTIL in wall seconds, for delays. In a task: a part of the
 * original is read back. */
struct message *bounce_new(struct errand *a, bool delays, int64_t now, int64_t retry_until);

#endif
