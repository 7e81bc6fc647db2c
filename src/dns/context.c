/* SPDX-License-Identifier: MIT */
#include "dns/context.h"

#include "util/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unbound-event.h>
#include <unbound.h>

/* What libunbound's frugal defaults for libraries are changed to. */
static const struct {
	const char *name, *value;
} options[] = {
	{ "do-not-query-localhost:", "no" }, /* a resolver on this machine is the usual case */
	{ "outgoing-range:", "256" },        /* questions to servers at the same time, each a socket */
	{ "outgoing-num-tcp:", "32" },
	{ "num-queries-per-thread:", "4096" },
	{ "msg-cache-size:", "4m" },
	{ "rrset-cache-size:", "8m" },
	{ "key-cache-size:", "2m" },
	/* A server that was away is asked again soon: mail waits for it. */
	{ "infra-host-ttl:", "60" },
	{ "infra-keep-probing:", "yes" },
	/* Names of private networks are the business of the servers we ask. */
	{ "unblock-lan-zones:", "yes" },
	{ "insecure-lan-zones:", "yes" },
};

/* Names libunbound would answer itself. */
static const char *const transparent[] = { "test.", "home.arpa." };

static int
failed(struct err *err, const char *what, int rc)
{
	return err_set(err, "DNS: %s: %s", what, ub_strerror(rc));
}

static int
set_servers(struct ub_ctx *ub, const struct dns_config *c, struct err *err)
{
	char text[ADDR_TEXT], server[ADDR_TEXT + 8];
	int rc;

	for (unsigned i = 0; i < c->forward_count; i++) {
		const struct addr *a = &c->forward[i];

		snprintf(server, sizeof server, "%s@%u", addr_ip_text(a, text),
		    ntohs(a->u.sa.sa_family == AF_INET6 ? a->u.in6.sin6_port : a->u.in.sin_port));
		if ((rc = ub_ctx_set_fwd(ub, server)) != 0)
			return failed(err, server, rc);
	}
	return 0;
}

static int
set_options(struct ub_ctx *ub, const struct dns_config *c, struct err *err)
{
	int rc;

	ub_ctx_debugout(ub, NULL); /* it must not write into our log's stream */
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if ((rc = ub_ctx_set_option(ub, options[i].name, options[i].value)) != 0)
			return failed(err, options[i].name, rc);
	for (unsigned i = 0; i < c->anchor_count; i++)
		if ((rc = ub_ctx_add_ta(ub, c->anchor[i])) != 0)
			return failed(err, c->anchor[i], rc);
	if (set_servers(ub, c, err) < 0)
		return -1;
	/* Last: from here on a context takes no other settings. */
	for (size_t i = 0; i < sizeof transparent / sizeof *transparent; i++)
		if ((rc = ub_ctx_zone_add(ub, transparent[i], "transparent")) != 0)
			return failed(err, transparent[i], rc);
	return 0;
}

int
context_check(const struct dns_config *config, struct err *err)
{
	struct ub_ctx *ub = ub_ctx_create();
	struct ub_result *result = NULL;
	int rc;

	if (ub == NULL)
		return err_set(err, "DNS: cannot make a resolver");
	rc = set_options(ub, config, err);
	/* Much is looked at only when the first question comes; this one goes nowhere. */
	if (rc == 0 && (rc = ub_resolve(ub, "localhost", DNS_A, 1, &result)) != 0)
		failed(err, "cannot make a resolver", rc);
	ub_resolve_free(result);
	ub_ctx_delete(ub);
	return rc != 0 ? -1 : 0;
}

static void
ignore(void *arg, int rcode, void *packet, int n, int security, char *why, int limited)
{
	(void)arg;
	(void)rcode;
	(void)packet;
	(void)n;
	(void)security;
	(void)why;
	(void)limited;
}

int
context_new(struct context **out, struct loop *loop, const struct dns_config *config, struct err *err)
{
	struct context *c = xcalloc(1, sizeof *c);
	int rc;

	list_init(&c->link);
	c->ub = ub_ctx_create_event(loop_base(loop));
	if (c->ub == NULL) {
		free(c);
		return err_set(err, "DNS: cannot make a resolver");
	}
	rc = set_options(c->ub, config, err);
	/* The context is finished by its first question: one that it answers by itself. */
	if (rc == 0 && (rc = ub_resolve_event(c->ub, "localhost", DNS_A, 1, NULL, ignore, NULL)) != 0)
		failed(err, "cannot make a resolver", rc);
	if (rc != 0) {
		context_free(c);
		return -1;
	}
	*out = c;
	return 0;
}

void
context_free(struct context *c)
{
	list_remove(&c->link);
	ub_ctx_delete(c->ub);
	free(c);
}

static void
on_post(struct post *post)
{
	context_free(list_entry(post, struct context, post));
}

/* Perhaps called by the context itself, which cannot be freed under its own feet. */
void
context_retire(struct context *c)
{
	c->retired = true;
	if (c->pending > 0)
		return;
	c->post.fn = on_post;
	loop_post(loop_current(), &c->post);
}
