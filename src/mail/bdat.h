/* SPDX-License-Identifier: MIT */
/* The arguments of BDAT (RFC 3030 2). */
#ifndef TMAIL_MAIL_BDAT_H
#define TMAIL_MAIL_BDAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bdat {
	uint64_t size; /* octets that follow the command's line */
	bool sized;    /* SIZE is known, also where what stands behind it makes no sense */
	bool last;
};

/* chunk-size [SP "LAST"]: decimal digits, 64 bits at most. -1: something else; where OUT->sized is set the octets are
 * on their way all the same and have to be thrown away before the 501. */
int bdat_parse(const char *s, size_t n, struct bdat *out);

#endif
