/* SPDX-License-Identifier: MIT */
/* One attempt at one entry of the queue: its recipients and what becomes of each. */
#ifndef TMAIL_DELIVERY_JOB_H
#define TMAIL_DELIVERY_JOB_H

#include "spool/spool.h"
#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

struct site;

enum fate {
	FATE_NONE = 0,  /* not tried in this attempt */
	FATE_SENT,      /* its RCPT is on the way */
	FATE_ACCEPTED,  /* RCPT answered 2xx: shares the message's fate */
	FATE_AGAIN,     /* too many for one transaction: at once in another one */
	FATE_DELIVERED,
	FATE_DEFERRED,
	FATE_FAILED,
};

/* A pending recipient. */
struct job_rcpt {
	unsigned state;     /* index into loaded.rcpt */
	uint8_t fate;       /* enum fate */
	const char *reply;  /* in the arena; NULL: none */
	const char *status; /* RFC 3463, a literal, where the cause is ours; else NULL */
};

struct job {
	struct site *site;
	struct entry *entry;    /* NULL: the slot is free */
	struct loaded loaded;
	struct job_rcpt *rcpt;  /* reused from job to job */
	unsigned count, cap;
	unsigned next;          /* the first recipient that no transaction has had */
	unsigned open;          /* transactions under way */
	const char *peer;       /* next hop, for records and logs; borrowed */
};

/* In a task. Loads ENTRY, which is ACTIVE. -1: it cannot be delivered and was held with an alarm. */
int job_begin(struct job *j, struct site *site, struct entry *entry);

static inline const struct recipient *
job_recipient(const struct job *j, unsigned i)
{
	return &j->loaded.message->rcpt[j->loaded.rcpt[j->rcpt[i].state].index];
}

/* What became of recipients [FIRST, FIRST + COUNT) whose fate is FROM. REPLY is copied; STATUS is a literal. */
void job_settle(struct job *j, unsigned first, unsigned count, enum fate from, enum fate to, const char *reply,
    const char *status);

/* All pending recipients at once, for causes of our own. */
void job_settle_all(struct job *j, enum fate to, const char *reply, const char *status);

/* Ends the attempt: records, reports, logs, one line a recipient that was decided. With nothing decided the entry
 * goes back unchanged. The slot is free afterwards. */
void job_end(struct job *j);

/* Gives the entry back as it was, first in line. */
void job_return(struct job *j);

/* Releases the slot's own memory. */
void job_fini(struct job *j);

#endif
