/* SPDX-License-Identifier: MIT */
#include "control/worker.h"
#include "control/control.h"
#include "control/desk.h"
#include "control/ports.h"
#include "control/worker_private.h"
#include "delivery/delivery.h"
#include "directory/settings.h"
#include "dns/dns.h"
#include "history/history.h"
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

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* Disk reads, file syncs and hashing; the loops do the rest. */
enum { WORKER_THREADS = 4, DRAIN_MS = 10000, ABORT_MS = 5000 };

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

static int
assemble(struct worker *w, const struct worker_history *h, struct err *err)
{
	struct smtp_server_config smtp = { .settings = w->settings };
	struct delivery_config delivery = { .settings = w->settings, .tls = w->config->credentials.client,
		.tls_verify = w->config->credentials.verify };
	struct control_config control = { .settings = w->settings, .desk = w->desk, .fd = w->config->admin_fd, .restarts = h->restarts,
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
	delivery_new(&w->delivery, &delivery);
	smtp.delivery = w->delivery;
	smtp.known_recipients = w->known_path;
	w->server = smtp_server_new(&smtp);
	control.smtp = w->server;
	control.tls = w->config->credentials.server;
	control.delivery = w->delivery;
	if (control_start(&w->control, &control, err) < 0)
		return -1;
	w->ports = ports_new(w->loop, w->loops, w->server);
	spool_start(w->spool, delivery_ready, w->delivery);
	return 0;
}

struct call {
	struct post post;
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

static void
on_call(struct post *post)
{
	struct call *c = (struct call *)post;

	c->fn(c->arg);
	sem_post(&c->done);
}

void
worker_call(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct call c = { .post.fn = on_call, .fn = fn, .arg = arg };

	check(sem_init(&c.done, 0, 0) == 0);
	loop_post(loop, &c.post);
	while (sem_wait(&c.done) < 0)
		;
	sem_destroy(&c.done);
}

static void
begin_listening(void *arg)
{
	struct worker *w = arg;

	ports_apply(w->ports, w->settings, &w->config->sockets, w->config->credentials.server);
}

static void
stop_listening(void *arg)
{
	ports_stop(arg);
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
	worker_call(w->loop[0], stop_listening, w->ports);
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

	ports_free(&w->ports);
	smtp_server_free(&w->server);
	delivery_free(&w->delivery);
	dns_stop();
	work_stop();
	spool_close(&w->spool);
	history_close();
	for (i = 0; i < w->loops; i++)
		loop_free(&w->loop[i]);
	desk_free(&w->desk);
	incoming_fini(&w->incoming);
	settings_unref(&w->settings);
	free(w->loop);
	free(w->thread);
	free(w->spool_path);
	free(w->known_path);
	free(w->history_path);
}

static int
cannot_start(const struct err *err)
{
	log_event(LOG_ERROR, "start", "%s", err->text);
	log_close();
	return 2;
}

/* Until SIGTERM, or until there is no supervisor any more. */
static void
serve(struct worker *w)
{
	struct signalfd_siginfo info;
	struct pollfd p[2] = { { .events = POLLIN }, { .fd = w->channel, .events = POLLIN } };
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	p[0].fd = signalfd(-1, &signals, SFD_CLOEXEC);
	check(p[0].fd >= 0);
	channel_send(w->channel, CHANNEL_READY, 0, "", -1, NULL);
	for (;;) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents != 0 && read(p[0].fd, &info, sizeof info) > 0)
			break;
		if (p[1].revents != 0 && worker_listen_to_supervisor(w) < 0)
			break;
	}
	close(p[0].fd);
}

int
worker_run(const struct worker_history *history, void *arg)
{
	struct worker w = { .config = arg, .channel = history->channel };
	struct history_config history_config = { 0 };
	const char *writable[2];
	struct buf path = { 0 };
	struct err err;
	unsigned i;

	w.settings = settings_ref(w.config->settings);
	w.desk = desk_new(w.channel);
	incoming_init(&w.incoming);
	buf_printf(&path, "%s/spool", w.settings->state);
	w.spool_path = buf_take(&path);
	buf_printf(&path, "%s/known-recipients", w.spool_path);
	w.known_path = buf_take(&path);
	buf_printf(&path, "%s/history", w.settings->state);
	w.history_path = buf_take(&path);
	history_config = (struct history_config){ .path = w.history_path, .keep = w.settings->history,
		.size = w.settings->history_size, .min_free = w.settings->queue.min_free };
	writable[0] = w.spool_path;
	writable[1] = w.history_path;
	tzset();
	if (sandbox_enter(&w.config->account, writable, 2, &err) < 0)
		return cannot_start(&err);
	if (log_open(w.config->log_fd, w.settings->log.level, &err) < 0 || history_open(&history_config, &err) < 0 ||
	    assemble(&w, history, &err) < 0)
		return cannot_start(&err);
	/* The supervisor's mask is ours too: no other thread sees SIGTERM. */
	for (i = 0; i < w.loops; i++)
		if (thread_start(&w.thread[i], "loop", loop_thread, w.loop[i], &err) < 0)
			fatal("%s", err.text);
	worker_call(w.loop[0], begin_listening, &w);
	log_event(LOG_INFO, "started", "tmail %s serves as %s", PACKAGE_VERSION, w.settings->hostname);
	serve(&w);
	stop(&w);
	take_apart(&w);
	close(w.channel);
	log_event(LOG_INFO, "stopped", "everything accepted is on disk");
	log_close();
	return 0;
}
