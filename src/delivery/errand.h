/* SPDX-License-Identifier: MIT */
/* One attempt at one entry of the queue: its recipients and what becomes of each. */
#ifndef TMAIL_DELIVERY_ERRAND_H
#define TMAIL_DELIVERY_ERRAND_H

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
	FATE_NOTED,     /* delivered, and on record: nothing more to do */
};

/* A pending recipient. */
struct errand_rcpt {
	unsigned state;     /* index into loaded.rcpt */
	uint8_t fate;       /* enum fate */
	const char *reply;  /* in the arena; NULL: none */
	const char *status; /* RFC 3463, a literal, where the cause is ours; else NULL */
};

struct errand {
	struct site *site;
	struct entry *entry;    /* NULL: the slot is free */
	struct loaded loaded;
	struct errand_rcpt *rcpt;  /* reused from one attempt to the next */
	unsigned count, cap;
	unsigned next;          /* the first recipient that no transaction has had */
	unsigned open;          /* transactions under way */
	const char *peer;       /* next hop, for records and logs; borrowed; NULL: none was asked */
	uint8_t success;        /* enum dsn_action: what is reported of those delivered who asked (NOTIFY=SUCCESS); 0:
	                         * nothing, the next hop knows DSN and does it */
	const char *source;     /* the address of ours it went from; borrowed; NULL: the system chose */
	bool hop_down;          /* no hop could be asked: not counted, what is put off stays due */
};

/* In a task. Loads ENTRY, which is ACTIVE. -1: it could not be read; it was put off, or held where it is damaged,
 * with an alarm. */
int errand_begin(struct errand *a, struct site *site, struct entry *entry);

static inline const struct recipient *
errand_recipient(const struct errand *a, unsigned i)
{
	return &a->loaded.message->rcpt[a->loaded.rcpt[a->rcpt[i].state].index];
}

/* What became of recipients [FIRST, FIRST + COUNT) whose fate is FROM. REPLY is copied; STATUS is a literal. */
void errand_settle(struct errand *a, unsigned first, unsigned count, enum fate from, enum fate to, const char *reply,
    const char *status);

/* All pending recipients at once, for causes of our own. */
void errand_settle_all(struct errand *a, enum fate to, const char *reply, const char *status);

/* Recipients [FIRST, FIRST + COUNT) have had their transaction and others have not: who was delivered is recorded and
 * logged now, so that a crash before the last transaction does not deliver to them again. Who failed waits for the
 * report, which is one for all. */
void errand_note(struct errand *a, unsigned first, unsigned count);

/* An administrator wants the message returned: all pending recipients fail, with the reason given. */
void errand_return_to_sender(struct errand *a);

/* Ends the attempt: records, reports, logs, one line a recipient that was decided. With nothing decided the entry
 * goes back unchanged. The slot is free afterwards. */
void errand_end(struct errand *a);

/* Gives the entry back as it was, first or last in line. */
void errand_return(struct errand *a);
void errand_return_last(struct errand *a);

/* entry_finish() and entry_rekey(), without reports and lines. The slot is free afterwards. */
void errand_finish(struct errand *a, const struct outcome *outcome);
void errand_rekey(struct errand *a, const char *key);

/* Releases the slot's own memory. */
void errand_fini(struct errand *a);

#endif
