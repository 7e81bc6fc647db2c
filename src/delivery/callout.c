/* SPDX-License-Identifier: MIT */
#include "delivery/callout.h"

#include "delivery/conn.h"
#include "delivery/site.h"
#include "directory/settings.h"
#include "mail/address.h"
#include "net/loop.h"
#include "net/task.h"
#include "util/check.h"
#include "util/counters.h"
#include "util/random.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A site that no queue belongs to, and a connection nobody keeps: enough for what establishes a session. */
struct asking {
	struct site site;
	struct conn conn;
	struct callout *call;
};

static int
say(struct asking *a, const char *verb, const char *address)
{
	struct conn *c = &a->conn;

	buf_printf(&c->out, "%s:<%s>\r\n", verb, address);
	if (conn_flush(c, conn_command_timeout(c)) < 0 || conn_reply(c, conn_command_timeout(c)) < 0)
		return -1;
	return reply_class(&c->reply);
}

/* A status of another subject than the address (RFC 3463: policy, network, protocol) says nothing about whether it
 * exists. */
static bool
is_about_the_address(const struct reply *r)
{
	return r->code != 521 && r->code != 554 &&
	    (r->enhanced[0] == '\0' || str_starts(r->enhanced, "5.1.") || str_starts(r->enhanced, "5.2."));
}

static enum callout_result
probe(struct asking *a)
{
	char address[ADDRESS_MAX + 64], id[ID_TEXT];

	id_text(random_below(UINT64_MAX), id);
	snprintf(address, sizeof address, "no-such-user-%s@%s", id, address_domain(a->call->address));
	return say(a, "RCPT TO", address) == 2 ? CALLOUT_ANY : CALLOUT_GOOD;
}

static enum callout_result
converse(struct asking *a)
{
	struct reply *reply = &a->conn.reply;
	enum callout_result result;
	int class;

	if (say(a, "MAIL FROM", "") != 2)
		return CALLOUT_NONE;
	class = say(a, "RCPT TO", a->call->address);
	if (class < 0)
		return CALLOUT_NONE;
	snprintf(a->call->text, sizeof a->call->text, "%.255s", reply->text);
	result = class == 2 ? CALLOUT_GOOD : class == 5 && is_about_the_address(reply) ? CALLOUT_BAD : CALLOUT_NONE;
	if (result == CALLOUT_GOOD && a->call->probe)
		result = probe(a);
	(void)io_send(&a->conn.io, "QUIT\r\n", 6);
	return result;
}

/* False: this next hop cannot be asked, another may. */
static bool
ask_hop(struct asking *a, struct hop *hop)
{
	struct conn *c = &a->conn;
	bool established;

	c->hop = hop;
	established = conn_establish(c) == 0;
	if (established)
		a->call->result = converse(a);
	if (a->call->result == CALLOUT_NONE && a->call->text[0] == '\0')
		snprintf(a->call->text, sizeof a->call->text, "%.100s: %.150s", hop->text,
		    c->err.text[0] != '\0' ? c->err.text : c->reply.text);
	io_close(&c->io);
	io_init(&c->io, -1);
	c->out.len = 0;
	c->status = NULL;
	return established;
}

static bool
ask_those(struct asking *a, bool backup)
{
	struct hops *hops = &a->site.hops;
	unsigned i;

	for (i = 0; i < hops->count; i++) {
		if ((hops->hop[i]->tier >= HOP_TIER_BACKUP) != backup)
			continue;
		if (ask_hop(a, hops->hop[i]))
			return true;
		if (loop_now(a->conn.loop) >= a->conn.deadline || task_cancelled())
			return true;
		a->call->text[0] = '\0';
	}
	return false;
}

void
callout_ask(struct delivery *d, const struct settings *settings, const struct route_settings *route,
    struct callout *call)
{
	struct asking *a = xcalloc(1, sizeof *a);

	a->call = call;
	a->site.delivery = d;
	a->site.settings = settings;
	a->site.route = route;
	hops_init(&a->site.hops, route, &settings->queue);
	sources_init(&a->site.sources, route->source);
	a->conn.site = &a->site;
	a->conn.loop = loop_current();
	a->conn.deadline = loop_now(a->conn.loop) + call->timeout;
	io_init(&a->conn.io, -1);
	call->result = CALLOUT_NONE;
	call->text[0] = '\0';
	counter_add(COUNTER_CALLOUTS, 1);
	if (!ask_those(a, false))
		ask_those(a, true);
	if (call->result == CALLOUT_NONE)
		counter_add(COUNTER_CALLOUTS_UNANSWERED, 1);
	buf_fini(&a->conn.out);
	hops_fini(&a->site.hops);
	sources_fini(&a->site.sources);
	free(a);
}
