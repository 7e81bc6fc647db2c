/* SPDX-License-Identifier: MIT */
/* What history is told about an attempt. No-ops where history is off. */
#ifndef TMAIL_DELIVERY_ERRAND_HISTORY_H
#define TMAIL_DELIVERY_ERRAND_HISTORY_H

#include "delivery/errand.h"
#include "history/history.h"

/* The fates of recipients [FIRST, FIRST + COUNT) that are decided and not yet told, ONLY those of one fate unless it is
 * FATE_NONE; NEXT: wall seconds of the next
 * attempt at those put off. */
void errand_history_fates(const struct errand *a, unsigned first, unsigned count, enum fate only,
    int64_t next);

/* Nobody is left to deliver to. */
void errand_history_done(const struct errand *a);

/* A report or warning, for COUNT recipients, was made or (REPORT 0) left out for REASON. */
void errand_history_report(const struct errand *a, enum history_kind kind, uint64_t report, unsigned count,
    const char *reason);

/* It goes to the route of KEY, or some of it, as a message of its own, with the id AS (0: all of it). */
void errand_history_rerouted(const struct errand *a, const char *key, uint64_t as);

/* M was made here because of message ABOUT. */
void errand_history_made(const struct message *m, uint64_t about);

#endif
