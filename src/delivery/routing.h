/* SPDX-License-Identifier: MIT */
/* Routes for mail that is in the queue already. */
#ifndef TMAIL_DELIVERY_ROUTING_H
#define TMAIL_DELIVERY_ROUTING_H

struct message;
struct route_settings;
struct settings;

/* The route S has for RECIPIENT of M now, by all that is kept about M; NULL: none. */
const struct route_settings *routing_of(const struct settings *s, const struct message *m, const char *recipient);

/* The route of a report to SENDER, which is from the null sender and made here; NULL: none. */
const struct route_settings *routing_of_report(const struct settings *s, const char *sender);

#endif
