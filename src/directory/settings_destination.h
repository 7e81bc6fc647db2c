/* SPDX-License-Identifier: MIT */
/* The words of `destination`: how much a receiver is given at a time. Used by the vocabulary and settings.c. */
#ifndef TMAIL_DIRECTORY_SETTINGS_DESTINATION_H
#define TMAIL_DIRECTORY_SETTINGS_DESTINATION_H

#include "util/option.h"

struct settings;

extern const struct option settings_destination_options[];
extern const struct option_block settings_destination_blocks[];

/* Of them all: one without a match at most. */
void settings_destination_settle(struct settings *s, const struct option_context *c);

#endif
