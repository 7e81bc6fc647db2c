/* SPDX-License-Identifier: MIT */
/* How many sessions each client address has, over all loops. */
#ifndef TMAIL_SMTP_CLIENTS_H
#define TMAIL_SMTP_CLIENTS_H

#include <stdbool.h>

struct addr;
struct clients;

/* LIMIT sessions an address; 0: any number. */
struct clients *clients_new(unsigned limit);
void clients_set_limit(struct clients *clients, unsigned limit); /* any thread; sessions there are stay */
void clients_free(struct clients **clients);

/* Any thread: one more session of PEER (its port does not matter). False at the limit: then nothing was counted. */
bool clients_enter(struct clients *clients, const struct addr *peer);

/* Any thread: the end of a session clients_enter() had let in. */
void clients_leave(struct clients *clients, const struct addr *peer);

#endif
