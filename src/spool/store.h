/* SPDX-License-Identifier: MIT */
/* The spool's inside, for the files of this folder: what is kept in memory of a message, and which thread may
 * touch it.
 *
 *	loop      the owning loop's thread alone
 *	committer the committer's thread alone (before it starts and after it ended: whoever opens and closes)
 *	index     under index.lock
 *	fixed     written before others see it */
#ifndef TMAIL_SPOOL_STORE_H
#define TMAIL_SPOOL_STORE_H

#include "net/loop.h"
#include "spool/log.h"
#include "spool/spool.h"
#include "util/buf.h"
#include "util/list.h"
#include "util/map.h"

#include <pthread.h>
#include <stdatomic.h>

struct job;
struct pool;
struct compactor;

/* ---- a message and its entries: one allocation, at most 256 bytes for one group (test_spool_memory) ---- */

/* The message of an entry that is still in memory. In the message's arena, an array with one for each group. */
struct cached {
	struct list link;        /* loop: port->cached, oldest first */
	struct message *message; /* a reference */
	struct entry *entry;
	uint64_t since;          /* loop_now() */
};

/* What an entry keeps only while it is ACTIVE or moving. */
struct attempt {
	char *rcpts;       /* body of its RCPTS record as loaded, or NULL */
	size_t rcpts_len;
	char *reason;      /* of the hold or bounce that was asked for; a due entry to be bounced has it too */
	char *key;         /* it moves to this queue */
};

enum entry_flag {
	ENTRY_WARNED = 1 << 0,
	ENTRY_BOUNCE = 1 << 1,
	ENTRY_REKEYED = 1 << 2,
	ENTRY_FINISHING = 1 << 3,   /* still ACTIVE: its transaction or its move is being written */
	ENTRY_WANT_HOLD = 1 << 4,   /* asked for while ACTIVE: applied when the attempt ends */
	ENTRY_WANT_DROP = 1 << 5,
	ENTRY_WANT_BOUNCE = 1 << 6,
	ENTRY_RCPTS_LOST = 1 << 7,  /* its RCPTS record is damaged: releasing it means beginning anew */
};

enum { LOOP_NONE = 0xffff };

struct entry {
	struct list all;             /* loop: port->entries */
	struct list link;            /* loop: its queue's due or held list; under a port's inbox lock while arriving */
	struct queue *queue;         /* loop; NULL while it moves */
	struct cached *cached;       /* loop; NULL: on disk only */
	struct attempt *attempt;     /* loop; NULL mostly */
	struct job *unwritten;       /* loop: the last job with a RCPTS record that is not known to be written */
	_Atomic log_pos state_pos;   /* committer writes, anyone reads; 0: no such record */
	_Atomic log_pos rcpts_pos;
	int64_t next_attempt;        /* loop; 0 unless deferred */
	uint32_t heap;               /* loop: place in its queue's heap */
	uint32_t rcpt_count;         /* fixed */
	uint32_t rcpt_pending;       /* loop */
	uint16_t attempts;           /* loop */
	uint16_t group;              /* fixed: place in stored->entry */
	_Atomic uint16_t loop;       /* owner, or LOOP_NONE while it moves */
	uint8_t state;               /* loop: enum entry_state, 0 when gone */
	uint8_t flags;               /* loop: enum entry_flag */
	uint8_t done;                /* committer: its DONE record is written, or it has no recipients */
};

struct stored {
	struct map_link link;        /* index: by id; its hash is the id itself */
	struct list live;            /* index: in its segment */
	_Atomic log_pos pos;         /* committer writes, anyone reads */
	uint64_t size;               /* fixed */
	int64_t received;            /* fixed */
	atomic_uint refs;            /* the index's, and whoever works with it */
	uint32_t length;             /* index: bytes of its record */
	uint16_t count;              /* fixed: entries */
	uint16_t open;               /* committer: entries not done */
	bool blob;                   /* fixed */
	uint8_t unread;              /* index: how often compaction could not read it; at UNREAD_MAX it gave up */
	struct entry entry[];
};

enum { UNREAD_MAX = 3 };

/* Of messages with one group, which most are. */
extern struct pool stored_pool;

struct stored *stored_new(uint64_t id, unsigned groups);
struct stored *stored_of(const struct entry *e);
struct stored *stored_ref(struct stored *s);
void stored_unref(struct stored *s);

/* ---- index: where everything is on disk ---- */

struct done_ref {
	uint64_t id;
	uint32_t home;  /* the segment of the message it ends */
	uint16_t group;
};

/* Needed for as long as SEGMENT exists: so many done records of its messages, newer copies of them. */
struct usage_ref {
	uint32_t segment;
	uint32_t dones, copies;
};

/* What of a segment is still needed, and why. */
struct usage {
	struct map_link link;     /* by number */
	struct list order;        /* index.order, by number */
	struct list messages;     /* stored.live */
	uint32_t number;
	uint32_t live;            /* messages whose newest copy is here and that are not done */
	uint64_t live_bytes;
	uint32_t states;          /* STATE and RCPTS records that are the newest of a live entry elsewhere or here */
	struct done_ref *done;    /* DONE records here of messages in other segments */
	size_t dones, done_cap;
	struct usage_ref *ref;  /* by segment */
	size_t refs, ref_cap;
	uint64_t closed;          /* clock_ms() when it stopped being the current one; 0: it is */
	uint64_t tried;           /* clock_ms() of the last compaction that could not empty it */
	uint64_t free_after;      /* clock_ms(): freeing it failed, not before then again */
	bool broken;              /* a write or sync failed: to be emptied */
	bool doubtful;            /* broken, and unsynced records in it may be lost */
	bool foreign;             /* holds records that cannot be read: kept */
};

struct index {
	pthread_mutex_t lock;
	struct map messages;
	struct map segments;
	struct list order;
	unsigned count;           /* segments */
	atomic_bool look;         /* something may have become free */
};

void index_init(struct index *ix);
void index_fini(struct index *ix);

/* With the lock held. */
struct stored *index_find(struct index *ix, uint64_t id);
struct usage *index_usage(struct index *ix, uint32_t number);      /* made where missing */
struct usage *index_have_usage(struct index *ix, uint32_t number); /* or NULL */
void index_add(struct index *ix, struct stored *s, log_pos pos, uint32_t length);
void index_move(struct index *ix, struct stored *s, log_pos pos);      /* a newer copy stands at POS */
void index_remove(struct index *ix, struct stored *s);                 /* done: takes it off segment and map */
void index_state(struct index *ix, struct entry *e, log_pos pos);      /* the newest STATE; 0: none is needed */
void index_rcpts(struct index *ix, struct entry *e, log_pos pos);
void index_done(struct index *ix, uint64_t id, uint16_t group, uint32_t home, log_pos pos);
void index_forget_dones(struct index *ix, struct usage *u);             /* they were copied forward */
bool usage_needed(const struct usage *s);
uint64_t usage_bytes(const struct usage *s);
void index_drop_usage(struct index *ix, struct usage *s);

/* ---- port: the spool's part of one loop ---- */

struct port {
	struct spool *spool;
	struct loop *loop;
	unsigned index;
	struct loop_hook hook;
	struct job *first, **last;     /* loop: collected in this pass */
	bool urgent;
	struct map queues;
	struct list queue_list;
	struct list entries;           /* all of this loop, walk markers among them */
	struct list announce;          /* queues that became due */
	struct list cached;
	struct list markers;
	struct buf scratch;
	struct post start;
	bool started;
	_Atomic uint64_t due, active, deferred, held;

	pthread_mutex_t lock;          /* inbox */
	struct post post;
	bool posted;
	struct job *done, **done_last; /* written, or failed */
	struct list arrivals;          /* entries that are now ours */
};

void port_init(struct port *p, struct spool *spool, struct loop *loop, unsigned index);
void port_fini(struct port *p);

/* On its loop: to the committer at the end of this pass. */
void port_submit(struct port *p, struct job *job);

/* Any thread: what the committer did, as one post. */
void port_deliver(struct port *p, struct job *first, struct job **last, struct list *arrivals);

/* On its loop: tells delivery about queues that became due. */
void port_announce(struct port *p);
void port_start(struct port *p);
void port_hand_over(struct port *p);
void port_receive(struct port *p);
struct port *port_of_key(struct spool *spool, const char *key);
struct port *port_of_bytes(struct spool *spool, const char *key, size_t len);

/* ---- queue ---- */

struct queue {
	struct map_link link;
	struct list all;
	struct list announce;
	struct port *port;
	void *user;
	bool stalled;         /* no attempt is near: what arrives is not kept in memory */
	struct list due, held;
	unsigned due_count, active;
	struct entry **heap;
	uint32_t heap_count, heap_cap;
	struct timer timer;
	char key[];
};

struct queue *queue_get(struct port *p, const char *key, size_t len);
void queue_free(struct queue *q);

/* Puts a loose entry in its place; takes it out of it. */
void queue_add_due(struct queue *q, struct entry *e, bool front);
void queue_add_deferred(struct queue *q, struct entry *e, int64_t when);
void queue_add_held(struct queue *q, struct entry *e);
void queue_remove(struct entry *e);
/* Of any state but ACTIVE: ACTIVE. */
void queue_activate(struct entry *e);
void queue_arm(struct queue *q);

/* ---- entry ---- */

void entry_arrive(struct port *p, struct entry *e);
void entry_keep(struct port *p, struct entry *e); /* the message's bytes, where the cache has room */
void entry_forget(struct entry *e);   /* lets go of them */
void entry_attempt_end(struct entry *e);    /* frees what was kept for the attempt */
void entry_keep_rcpts(struct entry *e, const void *p, size_t n); /* for the attempt: body of its RCPTS record */
void entry_written(struct job *job);  /* on its loop: a STATE or DONE job came back */
bool entry_act(struct entry *e, enum spool_action action, const char *reason);
void entry_describe(const struct entry *e, struct entry_info *out); /* on its loop */

/* Lets go of the message of all entries: it never gets to a queue. */
void stored_forget(struct stored *s);

/* Every group of M with recipients gets its entry, with M's bytes kept. */
struct stored *stored_from_message(struct message *m, uint64_t now);

/* ---- the spool ---- */

struct spool {
	struct spool_config config;
	char *path;
	struct spool_log *log;
	uint32_t epoch;
	_Atomic uint64_t next_id;
	struct port *port;
	unsigned ports;
	struct index index;
	struct committer *committer;
	struct compactor *compactor;
	struct message_budget budget;
	uint64_t message_max;         /* bytes of one message in memory */
	void (*ready)(struct queue *queue, void *arg);
	void *ready_arg;
	atomic_bool degraded;         /* a write failed; no sync has succeeded since */
	atomic_bool log_full;         /* the log has no room for messages */
	struct blobs *blobs;
	_Atomic uint64_t commits, batches, syncs, sync_us, blob_count;
	bool closing;
};

#endif
