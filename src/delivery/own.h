/* SPDX-License-Identifier: MIT */
/* Is it ourselves? Mail sent there would come back. */
#ifndef TMAIL_DELIVERY_OWN_H
#define TMAIL_DELIVERY_OWN_H

#include <stdbool.h>

struct addr;
struct settings;

/* Our host name. */
bool own_name(const struct settings *s, const char *name);

/* Would a connection to A, port included, reach one of our listeners? */
bool own_address(const struct settings *s, const struct addr *a);

#endif
