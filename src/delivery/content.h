/* SPDX-License-Identifier: MIT */
/* A message's content on its way out: dots stuffed, nothing copied, a message of any size in constant memory. */
#ifndef TMAIL_DELIVERY_CONTENT_H
#define TMAIL_DELIVERY_CONTENT_H

#include <stddef.h>

struct conn;
struct message;

/* In C's task: sends M, then TAIL (the final dot, and what may follow it). -1 with c->err: the connection is to be
 * closed at once, so that the next hop sees the message is not whole. */
int content_send(struct conn *c, const struct message *m, const char *tail, size_t tail_len);

/* The same as one chunk: "BDAT size LAST", then M as it is (RFC 3030). */
int content_send_chunk(struct conn *c, const struct message *m);

#endif
