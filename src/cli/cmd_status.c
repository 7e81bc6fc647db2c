/* SPDX-License-Identifier: MIT */
#include "cli/commands.h"
#include "cli/connection.h"
#include "cli/fields.h"
#include "cli/render.h"

#include <stdio.h>

static void
print_rate(struct buf *out, int64_t count, int64_t seconds)
{
	buf_printf(out, "%lld", (long long)count);
	if (seconds > 0)
		buf_printf(out, " (%.2f/s)", (double)count / (double)seconds);
}

static void
print_gateway(const json_t *o)
{
	const char *host = field_text(o, "hostname");
	struct buf b = { 0 };

	render_text(&b, host == NULL ? "-" : host);
	buf_adds(&b, ", up ");
	render_age(&b, field_number(o, "uptime"));
	buf_adds(&b, " since ");
	render_time(&b, field_number(o, "started"));
	printf("tmaild %s on %s\n", field_text(o, "version") == NULL ? "" : field_text(o, "version"), buf_str(&b));
	printf("%-10s %lld worker restarts, %lld log lines lost\n", "trouble", (long long)field_number(o, "restarts"),
	    (long long)field_number(o, "log_lost"));
	buf_fini(&b);
}

static void
print_smtp(const json_t *o, int64_t uptime)
{
	const json_t *s = json_object_get(o, "smtp");
	struct buf b = { 0 };

	print_rate(&b, field_number(s, "messages"), uptime);
	buf_adds(&b, " messages, ");
	render_size(&b, (uint64_t)field_number(s, "bytes"));
	printf("%-10s %s bytes, %lld recipients, %lld commands refused\n", "accepted", buf_str(&b),
	    (long long)field_number(s, "recipients"), (long long)field_number(s, "rejected"));
	printf("%-10s %lld now, %lld since start, %lld refused\n", "sessions", (long long)field_number(s, "sessions"),
	    (long long)field_number(s, "connections"), (long long)field_number(s, "refused"));
	buf_fini(&b);
}

static void
print_queue(const json_t *o, int64_t uptime)
{
	const json_t *q = json_object_get(o, "queue"), *d = json_object_get(o, "delivery");
	struct buf b = { 0 };

	print_rate(&b, field_number(d, "delivered"), uptime);
	printf("%-10s %s recipients, %lld deferred, %lld refused\n", "delivered", buf_str(&b),
	    (long long)field_number(d, "deferred"), (long long)field_number(d, "refused"));
	printf("%-10s %lld messages; entries: %lld due, %lld active, %lld deferred, %lld held\n", "queue",
	    (long long)field_number(q, "messages"), (long long)field_number(q, "due"),
	    (long long)field_number(q, "active"), (long long)field_number(q, "deferred"),
	    (long long)field_number(q, "held"));
	buf_fini(&b);
}

static void
print_spool(const json_t *o)
{
	const json_t *s = json_object_get(o, "spool");
	int64_t syncs = field_number(s, "syncs");
	struct buf disk = { 0 }, memory = { 0 }, total = { 0 };

	render_size(&disk, (uint64_t)field_number(s, "bytes"));
	render_size(&memory, (uint64_t)field_number(s, "memory"));
	render_size(&total, (uint64_t)field_number(s, "memory_total"));
	printf("%-10s %lld segments, %s bytes, %lld large messages%s\n", "spool", (long long)field_number(s, "segments"),
	    buf_str(&disk), (long long)field_number(s, "blobs"),
	    field_flag(s, "degraded") ? ", DEGRADED: refuses mail until the disk takes it again" : "");
	printf("%-10s %lld commits in %lld batches, %.2f ms a sync\n", "log", (long long)field_number(s, "commits"),
	    (long long)field_number(s, "batches"),
	    syncs == 0 ? 0.0 : (double)field_number(s, "sync_us") / 1000.0 / (double)syncs);
	printf("%-10s %s of %s bytes for messages\n", "memory", buf_str(&memory), buf_str(&total));
	buf_fini(&disk);
	buf_fini(&memory);
	buf_fini(&total);
}

static void
print_loops(const json_t *o, int64_t uptime)
{
	const json_t *array = json_object_get(o, "loops"), *l;
	int64_t busy;
	size_t i;

	json_array_foreach(array, i, l) {
		busy = field_number(l, "busy_us");
		printf("loop %-5zu %lld passes, %.1f%% busy, longest %.1f ms\n", i, (long long)field_number(l, "passes"),
		    uptime > 0 ? (double)busy / 10000.0 / (double)uptime : 0.0,
		    (double)field_number(l, "longest_us") / 1000.0);
	}
}

/* What somebody has stopped must not be forgotten. */
static void
print_suspended(const json_t *array)
{
	const json_t *one;
	struct buf b = { 0 };
	size_t i;

	if (json_array_size(array) > 0)
		putchar('\n');
	json_array_foreach(array, i, one) {
		b.len = 0;
		render_text(&b, field_text(one, "name"));
		buf_adds(&b, " since ");
		render_time(&b, field_number(one, "since"));
		if (field_text(one, "reason") != NULL) {
			buf_adds(&b, ": ");
			render_text(&b, field_text(one, "reason"));
		}
		printf("%-10s %s\n", "suspended", buf_str(&b));
	}
	buf_fini(&b);
}

static void
print_hops(const json_t *o)
{
	static const char *const title[] = { "ROUTE", "NEXT HOP", "STATE", ">CONNECTIONS", ">DELIVERED", ">DEFERRED",
		">REFUSED", "LAST ERROR", NULL };
	const json_t *array = json_object_get(o, "hops"), *h;
	struct table t;
	size_t i;

	table_init(&t, title);
	json_array_foreach(array, i, h) {
		table_text(&t, field_text(h, "key"));
		table_text(&t, field_text(h, "hop"));
		table_text(&t, field_text(h, "state"));
		buf_printf(table_cell(&t), "%lld of %lld", (long long)field_number(h, "connections"),
		    (long long)field_number(h, "limit"));
		table_number(&t, field_number(h, "delivered"));
		table_number(&t, field_number(h, "deferred"));
		table_number(&t, field_number(h, "refused"));
		table_text(&t, field_text(h, "error"));
		table_row(&t);
	}
	if (json_array_size(array) > 0)
		putchar('\n');
	table_end(&t);
	print_suspended(json_object_get(o, "suspended"));
	if (!field_flag(o, "complete"))
		printf("some loops did not answer in time: their next hops are missing\n");
}

static void
status_given(json_t *o, void *arg)
{
	int64_t uptime = field_number(o, "worker_uptime"); /* a new worker counts from 0 */

	if (cli_has(arg, "--json")) {
		render_json(o);
		return;
	}
	print_gateway(o);
	print_smtp(o, uptime);
	print_queue(o, uptime);
	print_spool(o);
	print_loops(o, uptime);
	print_hops(o);
}

static enum cli_exit
run_status(struct cli *cli)
{
	return cli_ask(cli, status_given, cli);
}

const struct cli_command cmd_status = {
	.verb = "status",
	.request = "status",
	.summary = "how the gateway is: sessions, queue, spool, next hops",
	.help = "Prints version and uptime, how often the worker had to be restarted, what was accepted and delivered since "
	    "the worker's start with rates, the queue by state, the spool and its memory, how busy the loops are, and "
	    "each next hop with its state and last error.",
	.run = run_status,
};
