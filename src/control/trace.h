/* SPDX-License-Identifier: MIT */
/* What `tmail message` asks history for: which messages, and an event as JSON. */
#ifndef TMAIL_CONTROL_TRACE_H
#define TMAIL_CONTROL_TRACE_H

#include "control/job.h"
#include "history/block.h"
#include "net/addr.h"

/* NULL, 0: any. */
struct trace_filter {
	const char *from, *to;  /* patterns: address_matches() */
	const char *client;     /* an address, a network, or a text as it is kept */
	struct network network; /* of it; family 0: neither */
	int64_t since;          /* wall milliseconds */
	uint64_t key[3];        /* a block without one of them is not worth reading */
	unsigned keys;
};

/* From the "args" of a request; MESSAGE: what is wrong. Borrows the arguments' strings. */
int trace_filter_read(struct trace_filter *f, const json_t *args, struct err *err);

/* As a history_wanted. */
bool trace_filter_wants(const struct trace_filter *f, const struct history_block *b, const void *filter);

/* Is E an event that names a message's sender, recipients or client, and do they match? */
bool trace_filter_matches(const struct trace_filter *f, const struct history_view *e);

/* {"id", "time", "ms", "event", ...}: a new object. What this version does not know has names like "event-99". */
json_t *trace_to_json(const struct history_view *e);

/* A text of an event. */
json_t *trace_text(const struct history_value *v);

#endif
