/* SPDX-License-Identifier: MIT */
/* What the configuration calls a rate: "60/min". Apart from util/option.h, whose struct option is also getopt's. */
#ifndef TMAIL_UTIL_OPTION_RATE_H
#define TMAIL_UTIL_OPTION_RATE_H

#include <stdint.h>

struct option_rate {
	uint64_t count;
	uint32_t seconds;
};

#endif
