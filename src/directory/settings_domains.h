/* SPDX-License-Identifier: MIT */
/* The names of a `domain`: written in the configuration, or one a line in a file of their own. */
#ifndef TMAIL_DIRECTORY_SETTINGS_DOMAINS_H
#define TMAIL_DIRECTORY_SETTINGS_DOMAINS_H

#include "util/option.h"

struct route_settings;

/* const char *: as type_domain, or "file:/path". */
extern const struct option_type type_domain_or_file;

/* Puts what the files say in their place. The block's title stands where no name is written. */
void settings_domains_read(struct route_settings *r, const struct option_context *c);

#endif
