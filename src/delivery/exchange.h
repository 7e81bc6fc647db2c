/* SPDX-License-Identifier: MIT */
/* Mail exchangers: the hops of a site whose route has the DNS say who they are. Asked when mail is due and nothing
 * good is known, again after the TTL; what is known serves on while the DNS does not answer. */
#ifndef TMAIL_DELIVERY_EXCHANGE_H
#define TMAIL_DELIVERY_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange;
struct site;

/* NULL where the site's route names all its hops. */
struct exchange *exchange_new(struct site *site);
void exchange_free(struct exchange **x);

/* Mail is due. True: the site's hops can be used. False: the site is pumped again when that is known, or mail is on
 * its way back to its senders, or nothing is known (exchange_waits()). */
bool exchange_ready(struct site *site);

/* The DNS did not say, and is asked again at exchange_next() (loop_now() units). */
bool exchange_waits(const struct exchange *x);
uint64_t exchange_next(const struct exchange *x);

/* Why, in words. */
const char *exchange_trouble(const struct exchange *x);

/* "mx:example.net:25", for status; when it went wrong last and how often in a row. */
const char *exchange_name(const struct exchange *x);
int64_t exchange_trouble_at(const struct exchange *x);
unsigned exchange_failures(const struct exchange *x);

/* An administrator asks for an attempt. */
void exchange_wake(struct exchange *x);

/* On the loop's stack: a look at the DNS is broken off. */
void exchange_stop(struct exchange *x);

/* Is it about a recipient's domain, not about what the configuration names? */
bool exchange_of_recipients(const struct exchange *x);

/* A task of it runs. */
bool exchange_busy(const struct exchange *x);

#endif
