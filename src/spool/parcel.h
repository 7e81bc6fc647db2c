/* SPDX-License-Identifier: MIT */
/* Jobs as units and records of one batch: bytes are referenced where they are, the rest is put into an arena. */
#ifndef TMAIL_SPOOL_PARCEL_H
#define TMAIL_SPOOL_PARCEL_H

#include "spool/committer.h"

enum { PARCEL_UNITS = 8192 };

struct unit {
	struct job *job;
	struct copy *copy;            /* of a COPY job */
	unsigned first, count;        /* in parcel->record */
	unsigned message;             /* which of them is the new message or report */
	struct spool_record *record;  /* after parcel_seal() */
};

struct parcel {
	struct job **job;             /* in it, in order; a COPY job may have many units or none */
	unsigned jobs, job_cap;
	struct unit *unit;
	struct log_unit *log;         /* after parcel_seal() */
	unsigned units, unit_cap;
	struct spool_record *record;
	unsigned records, record_cap;
	struct arena *arena;
	struct buf head, envelope;    /* scratch */
	uint64_t bytes;
	bool sync;                    /* something in it has to be durable */
	bool messages;                /* it holds new mail */
};

void parcel_init(struct parcel *b);
void parcel_fini(struct parcel *b);
void parcel_clear(struct parcel *b);

/* About what a job will take. */
uint64_t parcel_size_of(const struct job *job);

void parcel_add(struct parcel *b, struct job *job);
void parcel_add_probe(struct parcel *b);

/* Arrays have stopped growing: lets units point into them. */
void parcel_seal(struct parcel *b);

#endif
