/* SPDX-License-Identifier: MIT */
/* One event in the life of a message, as history keeps it: a kind, the message's id, a time, and fields. Pure
 * functions over bytes; what cannot be understood is skipped or refused, never trusted.
 *
 * Kinds and fields are numbers on disk and rows of a table here: a new one is a new row, and an older reader shows it
 * by its number. Texts have even room for any bytes a peer may have sent; they are cut at HISTORY_TEXT_MAX. */
#ifndef TMAIL_HISTORY_EVENT_H
#define TMAIL_HISTORY_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* On disk: never renumbered. */
enum history_kind {
	HISTORY_RECEIVED = 1,   /* the message came in whole */
	HISTORY_RECIPIENTS = 2, /* more recipients of it, where one event does not hold them */
	HISTORY_REFUSED = 3,    /* a recipient, or with no TO or a SIZE the message, was refused */
	HISTORY_ABORTED = 4,    /* the client went away or was too slow */
	HISTORY_FILTERED = 5,   /* what a filter said */
	HISTORY_COMMITTED = 6,  /* on stable storage: 250 */
	HISTORY_DELIVERED = 7,  /* recipients a next hop took */
	HISTORY_DEFERRED = 8,   /* recipients put off */
	HISTORY_FAILED = 9,     /* recipients given up */
	HISTORY_BOUNCED = 10,   /* a report to the sender was made */
	HISTORY_WARNED = 11,    /* a delay warning was made */
	HISTORY_UNREPORTED = 12, /* a failure that is not reported */
	HISTORY_DONE = 13,      /* nothing is left to do behind one next-hop key */
	HISTORY_REROUTED = 14,
	HISTORY_HELD = 15,      /* by the gateway itself */
	HISTORY_ADMIN = 16,     /* an operator did something */
	HISTORY_CONFIRMED = 17, /* a report of delivery was made (RFC 3461) */
};

/* On disk: never renumbered. From 128 on the value is a number, below a text. */
enum history_field {
	HISTORY_FROM = 1,
	HISTORY_TO = 2,         /* may come several times */
	HISTORY_CLIENT = 3,     /* numeric address */
	HISTORY_HELO = 4,
	HISTORY_LOGIN = 5,
	HISTORY_TLS = 6,
	HISTORY_HOP = 7,        /* address of a next hop */
	HISTORY_REPLY = 8,
	HISTORY_ROUTE = 9,      /* next-hop key */
	HISTORY_REASON = 10,
	HISTORY_COMMAND = 11,
	HISTORY_FILTER = 12,
	HISTORY_VERDICT = 13,
	HISTORY_DIRECTION = 14,
	HISTORY_RULE = 15,
	HISTORY_SIZE = 128,
	HISTORY_RCPTS = 129,    /* recipients in all */
	HISTORY_ATTEMPT = 130,
	HISTORY_NEXT = 131,     /* wall seconds of the next attempt */
	HISTORY_REPORT = 132,   /* id of the report this caused */
	HISTORY_ABOUT = 133,    /* id of the message this is a report about */
	HISTORY_UID = 134,
	HISTORY_AS = 135,       /* id of the message some of it became */
	HISTORY_NUMBERS = 128,  /* the first */
};

enum {
	HISTORY_EVENT_MAX = 4000, /* bytes of an event */
	HISTORY_EVENT_HEAD = 17,  /* kind, id, time */
	HISTORY_TEXT_MAX = 700,   /* of a text */
};

/* Names for programs ("received", "from"), or NULL: not known here. */
const char *history_kind_name(uint8_t kind);
const char *history_field_name(uint8_t field);

/* An event being made. */
struct history_event {
	bool live; /* false: nothing is kept, every call is a no-op */
	size_t len;
	char data[HISTORY_EVENT_MAX];
};

/* WHEN is wall milliseconds. */
void history_event_start(struct history_event *e, enum history_kind kind, uint64_t id, int64_t when);

/* False: there was no room, and nothing was added. NULL texts add nothing. */
bool history_str(struct history_event *e, enum history_field field, const char *text);
bool history_bytes(struct history_event *e, enum history_field field, const void *p, size_t n);
bool history_u64(struct history_event *e, enum history_field field, uint64_t number);

/* An event read back: borrows the bytes it was read from. */
struct history_view {
	uint8_t kind;
	uint64_t id;
	int64_t when;
	const char *fields;
	size_t len;
};

struct history_value {
	uint8_t field;
	uint64_t number;  /* fields from HISTORY_NUMBERS on */
	const char *text; /* others; not terminated */
	size_t len;
};

/* -1: these N bytes are no event (all its fields are looked at). */
int history_event_read(const void *p, size_t n, struct history_view *out);

/* Field by field; *AT begins at 0. False at the end. */
bool history_next(const struct history_view *e, size_t *at, struct history_value *out);

/* The first value of FIELD. */
bool history_find(const struct history_view *e, enum history_field field, struct history_value *out);

#endif
