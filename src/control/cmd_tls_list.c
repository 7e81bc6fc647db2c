/* SPDX-License-Identifier: MIT */
/* tls.list: the certificates in force. */
#include "control/commands.h"
#include "net/tls.h"
#include "util/check.h"
#include "util/clock.h"

enum { DAY = 86400 };

/* Whole days; those of a certificate that has expired are negative. */
static json_int_t
days_left(int64_t not_after, int64_t now)
{
	int64_t left = not_after - now;

	return left >= 0 ? left / DAY : -((-left + DAY - 1) / DAY);
}

static void
certificate_found(const struct tls_certificate *c, void *arg)
{
	json_t *names = json_array(), *o;
	unsigned i;

	for (i = 0; i < c->name_count; i++)
		json_array_append_new(names, json_peer(c->name[i]));
	o = json_pack("{s:o,s:o,s:s,s:I,s:I,s:I,s:b,s:s,s:o}", "file", json_peer(c->file), "names", names, "kind", c->kind,
	    "not_before", (json_int_t)c->not_before, "not_after", (json_int_t)c->not_after, "days_left",
	    days_left(c->not_after, clock_wall()), "in_use", (int)c->used, "fingerprint", c->fingerprint, "problem",
	    json_peer(c->problem));
	check(o != NULL);
	job_result(arg, o);
}

static bool
list_step(struct job *job)
{
	if (job->config->tls != NULL)
		tls_each(job->config->tls, certificate_found, job);
	return false;
}

const struct admin_command tls_list_command = {
	.name = "tls.list",
	.step = list_step,
};
