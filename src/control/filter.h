/* SPDX-License-Identifier: MIT */
/* Which entries of the queue a command is about: what `tmail queue` takes as filter, one field an option. */
#ifndef TMAIL_CONTROL_FILTER_H
#define TMAIL_CONTROL_FILTER_H

#include "control/job.h"
#include "spool/spool.h"
#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { FILTER_IDS_MAX = 1000 };

extern const struct admin_arg filter_args[];

/* NULL, 0: any. Strings are borrowed from the arguments. */
struct filter {
	const char *from, *to;   /* patterns for addresses: address_matches() */
	const char *domain;      /* pattern for the domain of a recipient */
	const char *hop;         /* pattern for the entry's key */
	int64_t older, younger;  /* seconds since the message came */
	unsigned states;         /* 1 << enum entry_state, each */
	uint64_t *ids;           /* sorted */
	unsigned id_count;
	uint64_t limit;          /* entries at most */
	bool all;                /* said to be meant for every entry */
};

/* From the "args" of a request, whose types have been checked. Memory comes from the job's arena. */
int filter_read(struct filter *f, struct job *job, struct err *err);

/* Nothing is chosen, and not by saying so. */
bool filter_is_empty(const struct filter *f);

/* Only ids are given. */
bool filter_is_ids(const struct filter *f);

/* Does it need sender and recipients, which are on disk? */
bool filter_needs_envelope(const struct filter *f);

/* The part that memory answers, and the part for which the envelope was read. NOW is clock_wall(). */
bool filter_matches(const struct filter *f, const struct entry_info *e, int64_t now);
bool filter_matches_envelope(const struct filter *f, const struct entry_info *e, const struct spool_detail *d);

/* Is recipient I of D one of the entry KEY and not finished? */
bool filter_waits(const struct spool_detail *d, unsigned i, const char *key);

/* "user@dom": that address; "@dom": any there; "<>": the null sender; "*" stands for anything in all of them. ASCII
 * letters in either case are equal. */
bool address_matches(const char *pattern, const char *address);
bool glob_matches(const char *pattern, const char *text);

const char *entry_state_name(enum entry_state state);

#endif
