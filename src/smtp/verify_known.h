/* SPDX-License-Identifier: MIT */
/* The memory of smtp/verify.c: what is known of addresses and domains, in memory and in a file of one line each. The
 * caller locks. */
#ifndef TMAIL_SMTP_VERIFY_KNOWN_H
#define TMAIL_SMTP_VERIFY_KNOWN_H

#include "util/buf.h"
#include "util/list.h"
#include "util/map.h"

#include <stddef.h>
#include <stdint.h>

/* As written in the file. Domains are under "@domain". */
enum fact { FACT_NONE = 0, FACT_GOOD = '+', FACT_BAD = '-', FACT_TAKES_ANY = '*', FACT_REFUSES_SOME = '=' };

struct known {
	struct map map;
	struct list good, bad; /* the oldest first */
	unsigned good_count, bad_count;
	unsigned good_max, bad_max;
};

void known_init(struct known *k, unsigned good_max, unsigned bad_max);
void known_fini(struct known *k);

/* What is known at NOW (wall seconds). The local part octet by octet, the domain in either case. */
enum fact known_get(const struct known *k, const char *name, int64_t now);

void known_put(struct known *k, const char *name, enum fact fact, int64_t expires);

/* One line, with its end; and all of them. */
void known_print(struct buf *out, const char *name, enum fact fact, int64_t expires);
void known_print_all(const struct known *k, struct buf *out);

/* Takes what such lines say and NOW does not outlive. Lines that are none are passed over. How many were taken. */
unsigned known_read(struct known *k, const char *text, size_t n, int64_t now);

#endif
