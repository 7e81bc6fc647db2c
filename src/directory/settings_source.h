/* SPDX-License-Identifier: MIT */
/* The words of `source`: the gateway's own addresses towards next hops. Used by the vocabulary and settings.c. */
#ifndef TMAIL_DIRECTORY_SETTINGS_SOURCE_H
#define TMAIL_DIRECTORY_SETTINGS_SOURCE_H

#include "util/option.h"

struct settings;

extern const struct option settings_source_options[];

/* Of the block: no address twice. */
void settings_source_verify(void *block, const struct option_context *c);

/* Routes find the pools they name. */
void settings_source_settle(struct settings *s, const struct option_context *c);

#endif
