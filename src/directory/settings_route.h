/* SPDX-License-Identifier: MIT */
/* Hash tables over the domains and routes of a snapshot; used by settings.c alone. */
#ifndef TMAIL_DIRECTORY_SETTINGS_ROUTE_H
#define TMAIL_DIRECTORY_SETTINGS_ROUTE_H

struct arena;
struct conf_errors;
struct route_index;
struct settings;

/* Fills in every route's key and indexes them all. A domain that stands in two blocks is an error. */
struct route_index *route_index_new(struct settings *s, struct arena *arena, struct conf_errors *errors);

/* Frees what is not in the arena. */
void route_index_fini(struct route_index *index);

#endif
