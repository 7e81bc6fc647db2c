/* SPDX-License-Identifier: MIT */
/* Who a client's address belongs to: hash tables over the networks of a snapshot; used by settings.c alone. */
#ifndef TMAIL_DIRECTORY_SETTINGS_CLIENT_H
#define TMAIL_DIRECTORY_SETTINGS_CLIENT_H

struct arena;
struct client_index;
struct conf_errors;
struct settings;

/* Indexes the clients. A network that stands in two of them is an error. */
struct client_index *client_index_new(struct settings *s, struct arena *arena, struct conf_errors *errors);

/* Frees what is not in the arena. */
void client_index_fini(struct client_index *index);

#endif
