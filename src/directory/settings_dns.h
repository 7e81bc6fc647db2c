/* SPDX-License-Identifier: MIT */
/* The block `dns { }`; used by settings.c and the vocabulary alone. */
#ifndef TMAIL_DIRECTORY_SETTINGS_DNS_H
#define TMAIL_DIRECTORY_SETTINGS_DNS_H

#include "util/option.h"

struct dns_settings;

extern const struct option settings_dns_options[];

/* Fills in D->config, and reads the file with the trust anchors. */
void settings_dns_settle(struct dns_settings *d, const struct option_context *c);

#endif
