/* SPDX-License-Identifier: MIT */
#include "control/control.h"

#include "control/client.h"
#include "control/job.h"
#include "directory/settings.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/log.h"
#include "util/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CLIENTS_MAX = 32,
	ACCEPT_PAUSE_MS = 200, /* when descriptors have run out */
};

struct control {
	struct control_config config;
	pthread_t thread;
	int stop; /* eventfd, readable: look at STOPPING and NEXT */
	atomic_bool stopping;
	struct client *client[CLIENTS_MAX];
	unsigned count;
	uint64_t accept_after; /* clock_ms() */
	pthread_mutex_t lock;
	const struct settings *next; /* under LOCK: takes the place of the configuration's; NULL: none is waiting */
};

static void
refuse_connection(int fd)
{
	struct buf out = { 0 };

	job_refuse(&out, "busy", "too many connections to the admin socket");
	if (send(fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		/* the peer sees the connection end: that has to do */
	}
	buf_fini(&out);
	close(fd);
}

static void
accept_clients(struct control *c, uint64_t now)
{
	int fd;

	while ((fd = accept4(c->config.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (c->count < CLIENTS_MAX)
			c->client[c->count++] = client_new(&c->config, fd, now);
		else
			refuse_connection(fd);
	}
	if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		log_event(LOG_WARN, "admin-accept", "%s", strerror(errno));
		c->accept_after = now + ACCEPT_PAUSE_MS;
	}
}

/* How long poll() may sleep: until the nearest deadline, not at all when a job has a slice to run. */
static int
poll_timeout(const struct control *c, uint64_t now)
{
	uint64_t next = now + 60000, at;
	unsigned i;

	if (c->accept_after > now)
		next = c->accept_after;
	for (i = 0; i < c->count; i++) {
		if (client_ready(c->client[i]))
			return 0;
		at = client_deadline(c->client[i]);
		if (at < next)
			next = at;
	}
	return next <= now ? 0 : (int)(next - now);
}

static void
serve_clients(struct control *c, const struct pollfd *p, unsigned count)
{
	unsigned i, kept = 0;

	for (i = 0; i < count; i++) {
		if (client_serve(c->client[i], p[i].revents, clock_ms()))
			c->client[kept++] = c->client[i];
		else
			client_free(&c->client[i]);
	}
	c->count = kept;
}

/* Between two steps of jobs, so that none sees a change in its middle. */
static void
take_settings(struct control *c)
{
	const struct settings *next;
	uint64_t count;

	pthread_mutex_lock(&c->lock);
	next = c->next;
	c->next = NULL;
	if (next != NULL && c->stop >= 0 && read(c->stop, &count, sizeof count) < 0)
		check(errno == EAGAIN || errno == EINTR);
	pthread_mutex_unlock(&c->lock);
	if (next == NULL)
		return;
	if (c->config.settings != NULL)
		settings_unref(&c->config.settings);
	c->config.settings = next;
}

static void *
control_run(void *arg)
{
	struct control *c = arg;
	struct pollfd p[2 + CLIENTS_MAX];
	uint64_t now;
	unsigned i;

	for (;;) {
		take_settings(c);
		if (atomic_load(&c->stopping))
			break;
		now = clock_ms();
		p[0] = (struct pollfd){ .fd = c->stop, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = now < c->accept_after ? -1 : c->config.fd, .events = POLLIN };
		for (i = 0; i < c->count; i++)
			p[2 + i] = (struct pollfd){ .fd = client_fd(c->client[i]), .events = client_events(c->client[i]) };
		if (poll(p, 2 + c->count, poll_timeout(c, now)) < 0) {
			check(errno == EINTR || errno == ENOMEM);
			continue;
		}
		if (p[0].revents != 0)
			continue;
		serve_clients(c, p + 2, c->count);
		if (p[1].revents != 0)
			accept_clients(c, clock_ms());
	}
	while (c->count > 0)
		client_free(&c->client[--c->count]);
	return NULL;
}

/* Signals are for the threads that expect them. */
static int
start_thread(struct control *c, struct err *err)
{
	return thread_start(&c->thread, "control", control_run, c, err);
}

static void
control_free(struct control *c)
{
	if (c->next != NULL)
		settings_unref(&c->next);
	if (c->config.settings != NULL)
		settings_unref(&c->config.settings);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int
control_start(struct control **control, const struct control_config *config, struct err *err)
{
	struct control *c = xcalloc(1, sizeof *c);

	json_init();
	c->config = *config;
	c->config.worker_started = clock_wall();
	if (c->config.started == 0)
		c->config.started = c->config.worker_started;
	c->stop = -1;
	pthread_mutex_init(&c->lock, NULL);
	if (c->config.settings != NULL)
		settings_ref(c->config.settings);
	if (config->fd >= 0) {
		c->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (c->stop < 0 || fcntl(config->fd, F_SETFL, O_NONBLOCK) < 0) {
			err_sys(err, "cannot serve the admin socket");
			goto failed;
		}
		if (start_thread(c, err) < 0)
			goto failed;
	}
	*control = c;
	return 0;
failed:
	if (c->stop >= 0)
		close(c->stop);
	control_free(c);
	return -1;
}

void
control_apply(struct control *c, const struct settings *settings)
{
	const struct settings *waiting;
	uint64_t one = 1;

	pthread_mutex_lock(&c->lock);
	waiting = c->next;
	c->next = settings_ref(settings);
	if (c->stop >= 0)
		check(write(c->stop, &one, sizeof one) == (ssize_t)sizeof one);
	pthread_mutex_unlock(&c->lock);
	if (waiting != NULL)
		settings_unref(&waiting);
}

void
control_stop(struct control **control)
{
	struct control *c = *control;
	uint64_t one = 1;

	if (c == NULL)
		return;
	atomic_store(&c->stopping, true);
	if (c->config.fd >= 0) {
		check(write(c->stop, &one, sizeof one) == (ssize_t)sizeof one);
		pthread_join(c->thread, NULL);
		close(c->stop);
		close(c->config.fd);
	}
	control_free(c);
	*control = NULL;
}
