/* SPDX-License-Identifier: MIT */
/* A context of libunbound on one loop's event base: made, asked, and thrown away when its questions are answered. It
 * cannot be configured again, so other settings mean another context. */
#ifndef TMAIL_DNS_CONTEXT_H
#define TMAIL_DNS_CONTEXT_H

#include "dns/dns.h"
#include "util/list.h"

struct ub_ctx;

struct context {
	struct list link;  /* in the resolver's list of all there are */
	struct ub_ctx *ub;
	unsigned pending;  /* questions under way */
	bool retired;      /* freed with its last question */
	struct post post;
};

/* Is CONFIG one a context can be made of? Any thread. */
int context_check(const struct dns_config *config, struct err *err);

/* On the loop's own stack, or before it runs: the first use of a context takes more stack than a task has. */
int context_new(struct context **context, struct loop *loop, const struct dns_config *config, struct err *err);

/* No further question is asked; frees it, at once or in a later turn of the loop that runs. */
void context_retire(struct context *context);

/* Questions under way are never answered. Not from within the context. */
void context_free(struct context *context);

#endif
