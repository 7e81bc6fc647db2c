/* SPDX-License-Identifier: MIT */
/* The spool's records as bytes: little-endian, a version first, decoded with bounds checks. doc/spool.md says what
 * each means; recovery reads heads alone. */
#ifndef TMAIL_SPOOL_RECORD_H
#define TMAIL_SPOOL_RECORD_H

#include "spool/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum record_type {
	RECORD_MESSAGE = 1, /* a message: who it is for (groups) in the head, envelope and content in the body */
	RECORD_STATE = 2,   /* when and whether a group's next attempt is; no body */
	RECORD_RCPTS = 3,   /* what became of a group's recipients so far (absolute); list in the body */
	RECORD_DONE = 4,    /* a group is finished */
	RECORD_PROBE = 5,   /* nothing: written to learn whether the disk works again */
};

enum {
	RECORD_REPLY_MAX = 1000,  /* replies, reasons and peers are cut here */
	RECORD_KEY_MAX = 1000,
	RECORD_CONTENT_MAX = 1 << 30, /* in memory; more is refused as damaged */
};

/* A decoder's place. BAD stays set once the bytes ended early or made no sense. */
struct cursor {
	const unsigned char *at, *end;
	bool bad;
};

/* Head of a MESSAGE. Pointers are into the decoded bytes. */
struct message_head {
	uint64_t id;
	int64_t received;
	uint32_t flags;
	uint64_t size;          /* content, prefix and blob together */
	uint32_t envelope_len;  /* where in the body the content begins */
	char blob[32];          /* "" : the content is in the body */
	uint64_t blob_len;
	uint32_t blob_crc;
	uint32_t group_count;
	struct cursor groups;   /* for message_head_group() */
};

/* A MESSAGE's head, and the envelope with which its body begins. */
void record_put_message(struct buf *head, struct buf *envelope, const struct message *m);
int record_get_message(const void *head, size_t len, struct message_head *out);

/* The next group, in order; KEY is not terminated. -1: no more, or damaged (then groups.bad). */
int message_head_group(struct message_head *h, const char **key, size_t *key_len, uint32_t *rcpts);

/* The whole message back: BODY holds LEN bytes, envelope and content. *OUT has one reference. */
int record_load_message(const void *head, size_t head_len, const void *body, size_t len, struct message **out,
    struct err *err);

enum state_flag {
	STATE_WARNED = 1 << 0,
	STATE_BOUNCE = 1 << 1,  /* an administrator wants it bounced */
	STATE_REKEYED = 1 << 2, /* KEY replaces the message's */
};

struct state_head {
	uint64_t id;
	uint16_t group;
	uint8_t state;          /* ENTRY_DUE, ENTRY_DEFERRED or ENTRY_HELD */
	uint8_t flags;          /* enum state_flag */
	uint16_t attempts;
	int64_t next_attempt;
	const char *key;        /* with STATE_REKEYED */
	size_t key_len;
	const char *reason;     /* of a hold or bounce, or NULL */
	size_t reason_len;
};
void record_put_state(struct buf *head, const struct state_head *s);
int record_get_state(const void *head, size_t len, struct state_head *out);

/* Recipients of a group that are not simply pending without a reply; the head counts what is pending still. */
struct rcpts_head {
	uint64_t id;
	uint16_t group;
	uint32_t pending;
};
void record_put_rcpts_head(struct buf *head, const struct rcpts_head *h);
int record_get_rcpts_head(const void *head, size_t len, struct rcpts_head *out);

void record_put_rcpts(struct buf *body, const struct rcpt_state *rcpt, size_t count, const char *peer);

/* The list back, in order of index, in ARENA with its strings; PEER may be NULL. -1: damaged. */
int record_get_rcpts(const void *body, size_t len, struct arena *arena, struct rcpt_state **rcpt, size_t *count,
    const char **peer);

struct done_head {
	uint64_t id;
	uint16_t group;
};
void record_put_done(struct buf *head, const struct done_head *d);
int record_get_done(const void *head, size_t len, struct done_head *out);

void record_put_probe(struct buf *head);

#endif
