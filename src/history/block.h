/* SPDX-License-Identifier: MIT */
/* A block of a history file: events with a filter in front that tells, without reading them, whether a block can hold
 * a message, sender, recipient or client (a Bloom filter: yes may be wrong once in a hundred, no is never). Pure
 * functions over bytes.
 *
 *	 0  magic       4   "tmH1"
 *	 4  head's CRC  4   CRC-32C of what follows up to the body
 *	 8  body's CRC  4
 *	12  body        4   its bytes
 *	16  events      4
 *	20  filter      4   its bytes, a multiple of 8
 *	24  first       8   wall milliseconds of the earliest event
 *	32  last        8   and of the latest
 *	40  filter
 *	    body            events, each with its length (2) before it
 *
 * Numbers are little-endian. A block is padded with zero bytes to a multiple of 8. */
#ifndef TMAIL_HISTORY_BLOCK_H
#define TMAIL_HISTORY_BLOCK_H

#include "history/event.h"
#include "util/buf.h"

enum {
	HISTORY_BLOCK_HEAD = 40,
	HISTORY_BODY_MAX = 128 * 1024,
	HISTORY_FILTER_MAX = 64 * 1024,
	HISTORY_BLOCK_ALIGN = 8,
};

/* What a block can be asked for. Texts are compared with ASCII letters in either case equal. */
enum history_key_type { HISTORY_KEY_ID = 1, HISTORY_KEY_FROM, HISTORY_KEY_FROM_DOMAIN, HISTORY_KEY_TO, HISTORY_KEY_TO_DOMAIN,
	HISTORY_KEY_CLIENT };

uint64_t history_key_id(uint64_t id);
uint64_t history_key_text(enum history_key_type type, const void *p, size_t n);

/* Appends one event, with its length before it, to a body. */
void history_body_add(struct buf *body, const void *event, size_t n);

/* A prefix of BODY, as history_body_add() filled it: whole events of at most MAX bytes together. */
size_t history_body_cut(const char *body, size_t n, size_t max);

/* Appends the block that holds BODY, N bytes of whole events, to OUT. KEYS is scratch space, kept between calls, zeroed
 * at first; free(keys->key) at last. */
struct history_keys {
	uint64_t *key;
	size_t count, cap;
};
void history_block_put(struct buf *out, const char *body, size_t n, struct history_keys *keys);

struct history_block {
	uint32_t body, events, filter; /* bytes, number, bytes */
	uint32_t body_crc;
	int64_t first, last;
};

/* The head in the N bytes at P, filter included. 1: *OUT is filled; 0: more bytes are needed, OUT->filter tells how
 * many the filter has once HISTORY_BLOCK_HEAD bytes are there; -1: no block begins here. */
int history_block_head(const void *p, size_t n, struct history_block *out);

/* Bytes of the whole block, and of what stands before its body. */
size_t history_block_size(const struct history_block *b);
size_t history_block_before(const struct history_block *b);

/* Can the block, whose filter stands at FILTER, hold KEY? */
bool history_block_may_have(const struct history_block *b, const void *filter, uint64_t key);

/* Is the body whole? */
bool history_block_body_ok(const struct history_block *b, const void *body);

/* Event by event; *AT begins at 0. False at the end, or where the body makes no sense. */
bool history_body_next(const void *body, size_t n, size_t *at, struct history_view *out);

#endif
