/* SPDX-License-Identifier: MIT */
/* One message in memory: envelope and content. Built by one task, immutable once handed to spool_commit(),
 * atomically counted. The content is as it will be stored: CRLF line ends, dots unstuffed, our Received on top. */
#ifndef TMAIL_SPOOL_MESSAGE_H
#define TMAIL_SPOOL_MESSAGE_H

#include "mail/params.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct arena;
struct disk;

/* What all messages in memory take together; the spool's. */
struct message_budget {
	_Atomic uint64_t total;  /* bytes charged: being received, cached, loaded */
	_Atomic uint64_t cached; /* of it: committed and kept for the first attempt */
};

enum message_flag {
	MESSAGE_8BITMIME = 1 << 0, /* BODY=8BITMIME was given */
	MESSAGE_DOTS = 1 << 1,     /* a line begins with a dot: stuff while sending */
	MESSAGE_OUTBOUND = 1 << 2, /* direction; else inbound */
	MESSAGE_BOUNCE = 1 << 3,   /* made here: a report or a warning */
	MESSAGE_SMTPUTF8 = 1 << 4,
	MESSAGE_BINARYMIME = 1 << 5, /* BODY=BINARYMIME was given: what looks like lines may be none */
};

struct recipient {
	const char *address; /* without angle brackets, as given */
	const char *orcpt;   /* RFC 3461 ORCPT as given, or NULL */
	uint16_t group;      /* index into message->group: which next-hop key it goes to */
	uint8_t notify;      /* enum notify of mail/params.h */
};

/* A piece of content. Pieces follow each other; a line may span two. */
struct chunk {
	struct chunk *next;
	size_t len, cap;
	char data[];
};

struct message {
	atomic_uint refs;
	uint64_t id;
	int64_t received;      /* wall seconds */
	uint32_t flags;        /* enum message_flag */
	struct arena *arena;   /* strings and arrays below live here */
	const char *sender;    /* without angle brackets; "" is the null sender */
	const char *envid;     /* RFC 3461 ENVID or NULL */
	char ret;              /* RFC 3461 RET: 'F', 'H' or 0 */
	const char *client;    /* numeric address of the client, for logs and reports; NULL: made here */
	const char *helo;
	const char *login;     /* who authenticated; NULL: nobody did */
	const char *listener;  /* it came in by, kept only where routes match on it; or NULL */
	struct recipient *rcpt;
	uint32_t rcpt_count;
	const char **group;    /* next-hop keys, opaque to the spool */
	uint32_t *group_hash;  /* of those message_group() added: mail by MX has a key for every domain */
	uint32_t group_count;
	uint64_t size;         /* bytes of content */
	struct chunk *first, *last; /* the content; NULL while it is only on disk or in a blob */
	char blob[32];         /* name of the blob file that holds the content behind the pieces above, or "" */
	uint64_t blob_len;     /* its bytes; SIZE counts them too */
	uint32_t blob_crc;
	int blob_fd;           /* while the blob is being written; -1: not */
	struct disk *blob_disk; /* where */
	size_t memory;         /* bytes charged to the spool's memory budget, given back with the last reference */
	struct message_budget *budget; /* NULL until something was charged */
	atomic_bool cached;    /* counted as cached */
};

/* A message under construction, with one reference. ARENA is taken. */
struct message *message_new(uint64_t id, struct arena **arena);
struct message *message_ref(struct message *m);

/* Drops a reference and nulls the pointer; the last one frees arena and content. Any thread. */
void message_unref(struct message **m);

/* Frees the pieces in memory and gives their charge back; SIZE stays. */
void message_release(struct message *m);

/* Charges what is in memory and not charged yet, whatever the budget says. Before others have references. */
void message_charge_rest(struct message *m, struct message_budget *budget);

/* Index of the group with this KEY, added where missing. */
uint16_t message_group(struct message *m, const char *key);

/* The size of the piece that message_room() makes when WANT bytes are asked for. */
size_t message_piece(size_t want);

/* Room to receive content into: at least one byte, at most *ROOM; then tell how many were filled. New pieces are
 * of message_piece(WANT) bytes. */
char *message_room(struct message *m, size_t want, size_t *room);
void message_filled(struct message *m, size_t n);
void message_append(struct message *m, const void *p, size_t n);

/* Puts N bytes before the content (trace headers, made after the content arrived). */
void message_prepend(struct message *m, const void *p, size_t n);

#endif
