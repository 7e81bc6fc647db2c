/* SPDX-License-Identifier: MIT */
/* When a message is tried again, and when it is given up. Wall seconds. */
#ifndef TMAIL_DELIVERY_SCHEDULE_H
#define TMAIL_DELIVERY_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct queue_settings;

/* When to try again a message that has been tried ATTEMPTS times before the one that ended NOW: retry_min doubles
 * with each attempt up to retry_max, a tenth more or less by chance, so that what failed together does not return
 * together. Never after the end of its life: then there is one last attempt. */
int64_t schedule_next(const struct queue_settings *q, unsigned attempts, int64_t received, bool null_sender,
    int64_t now);

/* The end of a message's life: a failure at or after it is for good. */
int64_t schedule_end(const struct queue_settings *q, int64_t received, bool null_sender);

/* Is it time for the one delay warning (RFC 3464 action "delayed")? */
bool schedule_warn(const struct queue_settings *q, int64_t received, bool warned, int64_t now);

/* The wait WAIT, a tenth more or less. */
uint64_t schedule_jitter(uint64_t wait);

#endif
