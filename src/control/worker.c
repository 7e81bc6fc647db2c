/* SPDX-License-Identifier: MIT */
#include "control/worker.h"
#include "control/control.h"
#include "delivery/delivery.h"
#include "directory/settings.h"
#include "dns/dns.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/task.h"
#include "net/work.h"
#include "smtp/server.h"
#include "spool/spool.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Disk reads, file syncs and hashing; the loops do the rest. */
enum { WORKER_THREADS = 4, DRAIN_MS = 10000, ABORT_MS = 5000 };

struct worker {
	const struct worker_config *config;
	const struct settings *settings;
	struct loop **loop;
	pthread_t *thread;
	unsigned loops;
	struct spool *spool;
	struct smtp_server *server;
	struct smtp_listener *smtp_listener;
	struct listener **listener;
	unsigned listeners;
	struct delivery *delivery;
	struct control *control;
	char *spool_path;
	char *suspended_path;
};

/* A cancelled drain must not hang on a call that is made on the first loop. */
struct on_first_loop {
	struct post post;
	struct worker *w;
	bool start;
};

static void *
loop_thread(void *arg)
{
	loop_run(arg);
	return NULL;
}

static int
open_spool(struct worker *w, const struct worker_history *h, struct err *err)
{
	const struct queue_settings *q = &w->settings->queue;
	struct spool_config c = { .path = w->spool_path, .segment_size = q->segment_size, .min_free = q->min_free, .memory_max = q->memory_max,
		.memory_total = q->memory_total, .cache = q->cache, .discard = w->config->discard, .loops = w->loop,
		.loop_count = w->loops, .crashed = h->crashed, .crashed_count = h->crashed_count };

	return spool_open(&w->spool, &c, err);
}

static void
make_listeners(struct worker *w)
{
	const struct listener_settings *l;
	unsigned i, k;

	w->listener = xcalloc(w->config->listen_count, sizeof(struct listener *));
	w->smtp_listener = xcalloc(w->settings->listener_count, sizeof *w->smtp_listener);
	for (i = 0; i < w->settings->listener_count; i++) {
		l = &w->settings->listener[i];
		w->smtp_listener[i].server = w->server;
		w->smtp_listener[i].settings = l;
		for (k = 0; k < l->address_count; k++, w->listeners++)
			w->listener[w->listeners] = listener_new(w->config->listen_fd[w->listeners], w->loop, w->loops,
			    smtp_server_connected, &w->smtp_listener[i]);
	}
}

static int
assemble(struct worker *w, const struct worker_history *h, struct err *err)
{
	struct smtp_server_config smtp = { .settings = w->settings, .tls = w->config->credentials.server };
	struct delivery_config delivery = { .settings = w->settings, .tls = w->config->credentials.client,
		.tls_verify = w->config->credentials.verify, .suspended = w->suspended_path };
	struct control_config control = { .settings = w->settings, .fd = w->config->admin_fd, .restarts = h->restarts,
		.started = h->started };
	unsigned i;

	w->loops = w->settings->threads;
	w->loop = xcalloc(w->loops, sizeof(struct loop *));
	w->thread = xcalloc(w->loops, sizeof *w->thread);
	for (i = 0; i < w->loops; i++)
		if (loop_new(&w->loop[i], i, err) < 0)
			return -1;
	task_set_limit(w->settings->limits.tasks);
	task_set_crash_slots(h->crash_slots, h->slot_count);
	if (dns_start(w->loop, w->loops, &w->settings->dns.config, err) < 0)
		return -1;
	if (work_start(WORKER_THREADS, err) < 0 || open_spool(w, h, err) < 0)
		return -1;
	smtp.spool = delivery.spool = control.spool = w->spool;
	smtp.loops = delivery.loops = control.loops = w->loop;
	smtp.loop_count = delivery.loop_count = control.loop_count = w->loops;
	w->server = smtp_server_new(&smtp);
	delivery_new(&w->delivery, &delivery);
	control.smtp = w->server;
	control.tls = w->config->credentials.server;
	control.delivery = w->delivery;
	if (control_start(&w->control, &control, err) < 0)
		return -1;
	make_listeners(w);
	spool_start(w->spool, delivery_ready, w->delivery);
	return 0;
}

static void
on_first_loop(struct post *post)
{
	struct on_first_loop *o = (struct on_first_loop *)post;
	unsigned i;

	for (i = 0; i < o->w->listeners; i++)
		if (o->start)
			listener_start(o->w->listener[i]);
		else
			listener_stop(o->w->listener[i]);
	free(o);
}

static void
listen_or_stop(struct worker *w, bool start)
{
	struct on_first_loop *o = xcalloc(1, sizeof *o);

	o->post.fn = on_first_loop;
	o->w = w;
	o->start = start;
	loop_post(w->loop[0], &o->post);
}

static bool
wait_until_quiet(struct worker *w, uint64_t ms)
{
	const struct timespec moment = { .tv_nsec = 10 * 1000 * 1000 };
	uint64_t until = clock_ms() + ms;

	while (smtp_server_sessions(w->server) > 0 || delivery_active(w->delivery) > 0) {
		if (clock_ms() > until)
			return false;
		nanosleep(&moment, NULL);
	}
	return true;
}

/* Order: no new connections, sessions and attempts end, then those who serve them, then the spool. */
static void
stop(struct worker *w)
{
	unsigned i;

	log_event(LOG_INFO, "stopping", "finishing transactions");
	listen_or_stop(w, false);
	smtp_server_drain(w->server);
	delivery_drain(w->delivery);
	if (!wait_until_quiet(w, DRAIN_MS)) {
		smtp_server_abort(w->server);
		delivery_abort(w->delivery);
		wait_until_quiet(w, ABORT_MS);
	}
	control_stop(&w->control);
	for (i = 0; i < w->loops; i++)
		loop_stop(w->loop[i]);
	for (i = 0; i < w->loops; i++)
		pthread_join(w->thread[i], NULL);
}

static void
take_apart(struct worker *w)
{
	unsigned i;

	for (i = 0; i < w->listeners; i++)
		listener_free(&w->listener[i]);
	smtp_server_free(&w->server);
	delivery_free(&w->delivery);
	dns_stop();
	work_stop();
	spool_close(&w->spool);
	for (i = 0; i < w->loops; i++)
		loop_free(&w->loop[i]);
	free(w->listener);
	free(w->smtp_listener);
	free(w->loop);
	free(w->thread);
	free(w->spool_path);
	free(w->suspended_path);
}

static int
cannot_start(const struct err *err)
{
	log_event(LOG_ERROR, "start", "%s", err->text);
	log_close();
	return 2;
}

int
worker_run(const struct worker_history *history, void *arg)
{
	struct worker w = { .config = arg, .settings = ((struct worker_config *)arg)->settings };
	const char *writable[1];
	struct buf path = { 0 };
	struct err err;
	sigset_t signals;
	unsigned i;
	int sig;

	buf_printf(&path, "%s/spool", w.settings->state);
	w.spool_path = buf_take(&path);
	buf_printf(&path, "%s/suspended", w.spool_path);
	w.suspended_path = buf_take(&path);
	writable[0] = w.spool_path;
	tzset();
	if (sandbox_enter(&w.config->account, writable, 1, &err) < 0)
		return cannot_start(&err);
	if (log_open(w.config->log_fd, w.settings->log.level, &err) < 0 || assemble(&w, history, &err) < 0)
		return cannot_start(&err);
	/* The supervisor's mask is ours too: SIGTERM waits for sigwait() below. */
	for (i = 0; i < w.loops; i++)
		if (thread_start(&w.thread[i], "loop", loop_thread, w.loop[i], &err) < 0)
			fatal("%s", err.text);
	listen_or_stop(&w, true);
	log_event(LOG_INFO, "started", "tmail %s serves as %s", PACKAGE_VERSION, w.settings->hostname);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	while (sigwait(&signals, &sig) != 0)
		;
	stop(&w);
	take_apart(&w);
	log_event(LOG_INFO, "stopped", "everything accepted is on disk");
	log_close();
	return 0;
}
