/* SPDX-License-Identifier: MIT */
/* status: the whole gateway in one object. */
#include "control/commands.h"
#include "delivery/delivery.h"
#include "directory/settings.h"
#include "net/loop.h"
#include "smtp/server.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/counters.h"
#include "util/log.h"

enum { STATUS_WAIT_MS = 2000 };

struct sums {
	json_t *hops;
	uint64_t delivered, deferred, refused;
};

static void
hop_found(const struct hop_status *h, void *arg)
{
	struct sums *sums = arg;
	json_t *o;

	sums->delivered += h->delivered;
	sums->deferred += h->deferred;
	sums->refused += h->refused;
	o = json_pack("{s:o,s:o,s:s,s:I,s:i,s:i,s:i,s:i,s:i,s:i,s:b,s:I,s:I,s:I,s:I,s:o}", "key", json_peer(h->key),
	    "hop", json_peer(h->hop), "state", hop_state_name(h->state), "dead_until", (json_int_t)h->dead_until,
	    "failures", (int)h->failures, "connections", (int)h->connections, "idle", (int)h->idle, "limit",
	    (int)h->limit, "limit_max", (int)h->limit_max, "weight", (int)h->weight, "backup", (int)h->backup,
	    "delivered", (json_int_t)h->delivered, "deferred", (json_int_t)h->deferred, "refused",
	    (json_int_t)h->refused, "error_at", (json_int_t)h->error_at, "error",
	    json_peer(h->error[0] == '\0' ? NULL : h->error));
	check(o != NULL);
	json_array_append_new(sums->hops, o);
}

static json_t *
queue_to_json(const struct spool_stats *s)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "messages", (json_int_t)s->messages, "entries",
	    (json_int_t)s->entries, "due", (json_int_t)s->due, "active", (json_int_t)s->active, "deferred",
	    (json_int_t)s->deferred, "held", (json_int_t)s->held);
}

static json_t *
spool_to_json(const struct spool_stats *s, const struct settings *settings)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:b}", "segments", (json_int_t)s->segments, "bytes",
	    (json_int_t)s->disk_bytes, "blobs", (json_int_t)s->blobs, "memory", (json_int_t)s->memory,
	    "memory_total", (json_int_t)(settings == NULL ? 0 : settings->queue.memory_total), "commits",
	    (json_int_t)s->commits, "batches", (json_int_t)s->batches, "syncs", (json_int_t)s->syncs, "sync_us",
	    (json_int_t)s->sync_us, "degraded", (int)s->degraded);
}

static json_t *
smtp_to_json(const struct smtp_server *server)
{
	struct smtp_server_stats s = { 0 };

	if (server != NULL)
		smtp_server_stats(server, &s);
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "sessions", (json_int_t)s.sessions, "connections",
	    (json_int_t)s.connections, "refused", (json_int_t)s.refused, "messages", (json_int_t)s.messages,
	    "recipients", (json_int_t)s.recipients, "bytes", (json_int_t)s.bytes, "rejected", (json_int_t)s.rejected);
}

static json_t *
loops_to_json(const struct control_config *config)
{
	json_t *array = json_array();
	struct loop_stats s;
	unsigned i;

	for (i = 0; i < config->loop_count; i++) {
		loop_stats(config->loops[i], &s);
		json_array_append_new(array, json_pack("{s:i,s:I,s:I,s:I}", "loop", (int)i, "passes",
		    (json_int_t)s.passes, "busy_us", (json_int_t)s.busy_us, "longest_us", (json_int_t)s.longest_us));
	}
	return array;
}

/* All of util/counters.def by name. */
static json_t *
counters_to_json(void)
{
	uint64_t value[COUNTER_COUNT];
	json_t *o = json_object();
	unsigned i;

	counters_read(value);
	for (i = 0; i < COUNTER_COUNT; i++)
		json_object_set_new(o, counter_info[i].name, json_integer((json_int_t)value[i]));
	return o;
}

static json_t *
delivery_to_json(const struct sums *sums)
{
	return json_pack("{s:I,s:I,s:I}", "delivered", (json_int_t)sums->delivered, "deferred",
	    (json_int_t)sums->deferred, "refused", (json_int_t)sums->refused);
}

static json_t *
process_to_json(const struct control_config *config)
{
	int64_t now = clock_wall();

	return json_pack("{s:s,s:o,s:I,s:I,s:I,s:i,s:I}", "version", VERSION, "hostname",
	    json_peer(config->settings == NULL ? NULL : config->settings->hostname), "started",
	    (json_int_t)config->started, "uptime", (json_int_t)(now - config->started), "worker_uptime",
	    (json_int_t)(now - config->worker_started), "restarts", (int)config->restarts, "log_lost",
	    (json_int_t)log_lost());
}

static bool
status_step(struct job *job)
{
	const struct control_config *config = job->config;
	struct sums sums = { .hops = json_array() };
	json_t *o = process_to_json(config);
	struct spool_stats spool;
	bool complete = true;

	spool_stats(config->spool, &spool);
	if (config->delivery != NULL)
		complete = delivery_status(config->delivery, STATUS_WAIT_MS, hop_found, &sums) == 0;
	json_object_set_new(o, "smtp", smtp_to_json(config->smtp));
	json_object_set_new(o, "queue", queue_to_json(&spool));
	json_object_set_new(o, "spool", spool_to_json(&spool, config->settings));
	json_object_set_new(o, "delivery", delivery_to_json(&sums));
	json_object_set_new(o, "hops", sums.hops);
	json_object_set_new(o, "suspended", suspensions_to_json(config->delivery));
	json_object_set_new(o, "complete", json_boolean(complete));
	json_object_set_new(o, "loops", loops_to_json(config));
	json_object_set_new(o, "counters", counters_to_json());
	job_result(job, o);
	return false;
}

const struct admin_command status_command = {
	.name = "status",
	.step = status_step,
};
