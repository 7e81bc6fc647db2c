/* SPDX-License-Identifier: MIT */
/* So many in so long: what option_rate of util/option.h fills, without the rest of that header. */
#ifndef TMAIL_UTIL_RATE_H
#define TMAIL_UTIL_RATE_H

#include <stdint.h>

struct option_rate {
	uint64_t count; /* 0: no rate is set */
	uint32_t seconds;
};

#endif
