/* SPDX-License-Identifier: MIT */
/* The crash-safe queue: commits messages, keeps their recipients' state, hands out what is due.
 *
 * A message's recipients are grouped by next-hop key (an opaque string). Each (message, key) is an entry; an
 * entry belongs to the queue of its key and to the loop that owns that queue, and is touched only there. */
#ifndef TMAIL_SPOOL_SPOOL_H
#define TMAIL_SPOOL_SPOOL_H

#include "net/loop.h"
#include "spool/message.h"
#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct spool;
struct disk;

struct spool_config {
	const char *path;         /* STATE/spool */
	uint64_t segment_size;    /* 0: default */
	uint64_t min_free;        /* bytes to leave on the file system */
	uint64_t memory_max;      /* a message above this goes to a blob */
	uint64_t memory_total;    /* all messages in memory together, received and cached */
	uint64_t cache;           /* of it, for committed messages waiting for their first attempt */
	bool discard;             /* accept and forget (measuring) */
	struct disk *disk;        /* NULL: the real one */
	struct loop **loops;
	unsigned loop_count;
	unsigned compact_from;    /* segments in use from which on compaction begins; 0: 5 */
	unsigned compact_age;     /* ms a segment rests before it is compacted; 0: 30,000 */
	bool foreground;          /* no threads: tests call committer_pass() and compactor_pass() */
	const uint64_t *crashed;  /* ids whose handling crashed a worker twice: held with an alarm */
	unsigned crashed_count;
};

/* Opens a new epoch, adopts what earlier lives left, starts the committer. Before loops run; blocks.
 * Queues are filled but announce nothing until spool_start(). */
int spool_open(struct spool **spool, const struct spool_config *config, struct err *err);

/* READY runs on the owning loop whenever a queue has something due that it had not (see queue_take()). Calls it
 * for every queue that has entries now. */
struct queue;
void spool_start(struct spool *spool, void (*ready)(struct queue *queue, void *arg), void *arg);

/* Clean stop: after loops have ended. Everything handed over is written, done records are synced. */
void spool_close(struct spool **spool);

/* ---- receiving ---- */

uint64_t spool_next_id(struct spool *spool);

/* May a message of SIZE bytes (0: unknown) begin now? -1 with a text for the log when the disk is short, the
 * memory budget is spent or the log waits for a sync to succeed: the client gets 452 4.3.1. Cheap. */
int spool_admit(struct spool *spool, uint64_t size, struct err *err);

/* Charges N more bytes of M to the memory budget. -1: it must go to a blob now (spool_blob_begin()), or be refused. */
int spool_charge(struct spool *spool, struct message *m, size_t n);

/* In a task: content to a file of its own. Begin moves what M holds in memory; append adds and keeps nothing in
 * memory; end syncs file and folder. -1: 452, and the caller drops the message. Each runs on a worker thread. */
int spool_blob_begin(struct spool *spool, struct message *m, struct err *err);
int spool_blob_append(struct spool *spool, struct message *m, const void *p, size_t n, struct err *err);
int spool_blob_end(struct spool *spool, struct message *m, struct err *err);
void spool_blob_drop(struct spool *spool, struct message *m);

/* In a task: M is on stable storage when this answers 0, and its entries are queued (each on its loop). The
 * caller's reference stays the caller's. -1: not accepted, reply 451; nothing of it will be delivered. */
int spool_commit(struct spool *spool, struct message *m, struct err *err);

/* ---- delivering: on the loop that owns the queue ---- */

struct entry;

enum entry_state { ENTRY_DUE = 1, ENTRY_ACTIVE, ENTRY_DEFERRED, ENTRY_HELD };

const char *queue_key(const struct queue *q);
void *queue_user(const struct queue *q); /* one pointer for delivery */
void queue_set_user(struct queue *q, void *user);

/* On a loop: calls FN for each of its queues that has entries, COUNT of them, those being
 * attempted right now aside. */
void spool_each_queue(struct spool *spool, void (*fn)(struct queue *q, unsigned count, void *arg), void *arg);
/* While no attempt is near (every next hop is dead) messages that arrive are not kept in memory: they are on disk, and
 * the memory serves mail that leaves. */
void queue_set_stalled(struct queue *q, bool stalled);

/* Has it no entry in any state? Such a queue can be forgotten: it is gone then, and comes again with its next entry. */
bool queue_is_empty(const struct queue *q);
void queue_drop(struct queue *q);

/* The next due entry in order of its time, now ACTIVE; NULL when nothing is due. */
struct entry *queue_take(struct queue *q);
unsigned queue_due(const struct queue *q);

/* Gives an ACTIVE entry back unchanged: it is due again at once (FRONT: first in line). Writes nothing. */
void entry_return(struct entry *e, bool front);

uint64_t entry_id(const struct entry *e);
struct queue *entry_queue(const struct entry *e);
int64_t entry_received(const struct entry *e);
unsigned entry_attempts(const struct entry *e);
bool entry_warned(const struct entry *e);

/* A recipient's place in its entry. */
enum rcpt_status { RCPT_PENDING = 0, RCPT_DELIVERED, RCPT_FAILED };
struct rcpt_state {
	uint32_t index;        /* into message->rcpt */
	enum rcpt_status status;
	char *reply;           /* last reply or reason; NULL: none yet. In a loaded entry: owned by it */
};

/* An entry with what its delivery needs. CONTENT false: envelope only (for bounces by headers too: see below). */
struct loaded {
	struct message *message;  /* a reference of ours */
	struct rcpt_state *rcpt;  /* the entry's recipients */
	unsigned count;
	const char *last_peer;    /* next hop of the last attempt, or NULL */
	const char *bounce_reason; /* why an operator wants it returned; NULL: not said, or not wanted */
	struct arena *arena;      /* holds the above */
};

/* In a task: from memory where it still is, else through a worker. -1: the record is damaged (entry is held with
 * an alarm by the caller's entry_hold()). loaded_fini() releases. */
int entry_load(struct entry *e, struct loaded *out, struct err *err);
void loaded_fini(struct loaded *l);

/* Content bytes [off, off + n) of a message into P: from memory or, in a task, from the blob by a worker.
 * Returns bytes (short only at the end) or -1. */
ssize_t message_read(struct spool *spool, const struct message *m, uint64_t off, void *p, size_t n,
    struct err *err);

/* What an attempt led to. RCPT lists all the entry's recipients that changed, with their absolute new status. */
struct outcome {
	const struct rcpt_state *rcpt;
	unsigned count;
	int64_t next_attempt;     /* wall seconds, for what is still pending */
	const char *peer;         /* next hop that was tried, or NULL */
	bool count_attempt;       /* false: the hop failed, not the message: attempts stay */
	bool warned;              /* a delay warning goes with it */
	struct message *report;   /* a bounce or warning to commit in the same transaction, or NULL; a reference is
	                           * taken; its groups are set */
};

/* Ends an ACTIVE entry's attempt. All recipients finished: the entry is done and E is gone. Otherwise it waits
 * for next_attempt. Without REPORT the record is written within 10 ms, unsynced; with REPORT it is one synced
 * transaction, and until it is on disk the entry stays ACTIVE. Never waits; failures of the log are retried. */
void entry_finish(struct entry *e, const struct outcome *outcome);

/* Some of an ACTIVE entry's recipients are done while the attempt goes on, one transaction after the other: their
 * absolute states are written within 10 ms. The entry stays ACTIVE, and at least one other recipient pending. After
 * entry_load(). */
void entry_note(struct entry *e, const struct rcpt_state *rcpt, unsigned count, const char *peer);

/* The key became another one (routes changed): moves an ACTIVE entry to the queue of KEY, durably. */
void entry_rekey(struct entry *e, const char *key);

/* ---- operating: any loop's entries, from the control thread ---- */

/* Held until released; REASON is kept. On the owning loop, ACTIVE entries too. */
void entry_hold(struct entry *e, const char *reason);

enum { SPOOL_KEY_TEXT = 400 };

struct entry_info {
	uint64_t id;
	char key[SPOOL_KEY_TEXT]; /* cut where it is longer */
	enum entry_state state;
	int64_t received, next_attempt; /* next_attempt 0: due now */
	uint64_t size;
	unsigned attempts, rcpt_count, rcpt_pending;
	bool warned;
};

/* A walk over all entries in slices; it never holds a loop longer than one slice. Control thread only. */
struct spool_walk;
struct spool_walk *spool_walk_begin(struct spool *spool);
/* Up to MAX entries; 0 at the end. Entries that come or go meanwhile may or may not be seen; no entry that stays
 * is seen twice or missed. */
unsigned spool_walk_next(struct spool_walk *w, struct entry_info *out, unsigned max);
void spool_walk_end(struct spool_walk **w);

/* Control thread: the entries of one message, at most MAX; 0: none. Waits for the loops that own them. */
unsigned spool_lookup(struct spool *spool, uint64_t id, struct entry_info *out, unsigned max);

/* Envelope, recipient states and (CONTENT) the message of an id, read from disk or memory; any thread but a
 * loop's; blocks. -1: no such message, or unreadable. */
struct spool_detail {
	struct message *message;
	struct rcpt_state *rcpt; /* every recipient of the message */
	unsigned count;
	char *hold_reason;       /* or NULL */
	struct arena *arena;
};
int spool_inspect(struct spool *spool, uint64_t id, bool content, struct spool_detail *out, struct err *err);
/* The same for lists, without content and without waiting for what loops and committer are at: the recipients' states
 * may be some milliseconds old. */
int spool_glance(struct spool *spool, uint64_t id, struct spool_detail *out, struct err *err);
void spool_detail_fini(struct spool_detail *d);

/* Control thread; waits until the owning loops did it. KEY NULL: every entry of the message. Returns entries
 * changed, or -1. ACTIVE entries: retry is a no-op, the others apply when the attempt ends. */
enum spool_action { SPOOL_RETRY, SPOOL_HOLD, SPOOL_RELEASE, SPOOL_DROP, SPOOL_BOUNCE, SPOOL_REDIRECT };
int spool_act(struct spool *spool, uint64_t id, const char *key, enum spool_action action, const char *reason,
    struct err *err);
/* SPOOL_REDIRECT: the entry goes to the queue of the key REASON and is due there, durably; not one that is ACTIVE or
 * HELD. */
/* SPOOL_BOUNCE: the entry becomes due with this mark; delivery then fails its pending recipients with a report. */
bool entry_bounce_wanted(const struct entry *e);

/* ---- numbers ---- */

struct spool_stats {
	uint64_t messages, entries, due, active, deferred, held;
	uint64_t memory;          /* bytes charged to the budget */
	uint64_t segments, disk_bytes, blobs;
	uint64_t commits, batches, syncs, sync_us;
	bool degraded;            /* the log refuses mail until a sync succeeds */
};
void spool_stats(struct spool *spool, struct spool_stats *out);

#endif
