/* SPDX-License-Identifier: MIT */
#include "util/random.h"
#include "util/check.h"

#include <errno.h>
#include <sys/random.h>

void
random_bytes(void *p, size_t n)
{
	char *at = p;
	ssize_t r;

	while (n > 0) {
		r = getrandom(at, n, 0);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			fatal("the kernel gives no random bytes (getrandom failed)");
		at += r;
		n -= (size_t)r;
	}
}

uint64_t
random_below(uint64_t limit)
{
	static _Thread_local uint64_t x;

	check(limit > 0);
	while (x == 0)
		random_bytes(&x, sizeof x);
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x % limit;
}
