/* SPDX-License-Identifier: MIT */
/* Jobs as units and records of one batch: bytes are referenced where they are, the rest is put into an arena. */
#ifndef TMAIL_SPOOL_ENCODE_H
#define TMAIL_SPOOL_ENCODE_H

#include "spool/committer.h"

enum { BATCH_UNITS = 8192 };

struct unit {
	struct job *job;
	struct copy *copy;            /* of a COPY job: one unit each */
	unsigned first, count;        /* in batch->record */
	unsigned message;             /* which of them is the new message or report */
	struct spool_record *record;  /* after batch_seal() */
};

struct batch {
	struct unit *unit;
	struct log_unit *log;         /* after batch_seal() */
	unsigned units, unit_cap;
	struct spool_record *record;
	unsigned records, record_cap;
	struct arena *arena;
	struct buf head, envelope;    /* scratch */
	uint64_t bytes;
	bool sync;                    /* something in it has to be durable */
	bool messages;                /* it holds new mail */
};

void batch_init(struct batch *b);
void batch_fini(struct batch *b);
void batch_clear(struct batch *b);

/* About what a job will take. */
uint64_t batch_size_of(const struct job *job);

void batch_add(struct batch *b, struct job *job);
void batch_add_probe(struct batch *b);

/* Arrays have stopped growing: lets units point into them. */
void batch_seal(struct batch *b);

#endif
