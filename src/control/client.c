/* SPDX-License-Identifier: MIT */
#include "control/client.h"

#include "control/job.h"
#include "util/buf.h"
#include "util/check.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
	const struct control_config *config;
	int fd;
	struct ucred peer;
	struct buf in, out;
	struct job *job;    /* the request being answered, or NULL */
	uint64_t deadline;  /* for the next request, or for unsent bytes to move */
	uint64_t last_line; /* when OUT last grew */
	bool eof;           /* the peer sends no more */
	bool closing;       /* no more requests: close when OUT is sent */
};

struct client *
client_new(const struct control_config *config, int fd, uint64_t now)
{
	struct client *c = xcalloc(1, sizeof *c);
	socklen_t len = sizeof c->peer;

	c->config = config;
	c->fd = fd;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->peer, &len) < 0)
		c->peer = (struct ucred){ .pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	c->deadline = now + CLIENT_IDLE_MS;
	return c;
}

void
client_free(struct client **client)
{
	struct client *c = *client;

	job_free(&c->job);
	buf_fini(&c->in);
	buf_fini(&c->out);
	close(c->fd);
	free(c);
	*client = NULL;
}

int
client_fd(const struct client *c)
{
	return c->fd;
}

short
client_events(const struct client *c)
{
	short events = 0;

	if (c->out.len > 0)
		events |= POLLOUT;
	if (c->job == NULL && !c->eof && !c->closing && c->out.len < CLIENT_OUT_MAX)
		events |= POLLIN;
	return events;
}

static char *
request_end(const struct client *c)
{
	return c->in.len == 0 ? NULL : memchr(c->in.data, '\n', c->in.len);
}

bool
client_ready(const struct client *c)
{
	return c->out.len < CLIENT_OUT_MAX && (c->job != NULL || (!c->closing && request_end(c) != NULL));
}

uint64_t
client_deadline(const struct client *c)
{
	return c->job != NULL && c->out.len == 0 ? UINT64_MAX : c->deadline;
}

/* Starts the first whole line received as a job, if there is one. */
static void
take_request(struct client *c, uint64_t now)
{
	char *end = request_end(c);
	size_t n = end == NULL ? c->in.len : (size_t)(end - c->in.data);

	if (c->job != NULL || c->closing || c->out.len >= CLIENT_OUT_MAX)
		return;
	if (n > CLIENT_REQUEST_MAX) {
		job_refuse(&c->out, "bad-request", "the request is too long");
		c->closing = true;
	} else if (end != NULL) {
		c->job = job_new(c->config, &c->peer, c->in.data, n, &c->out);
		buf_drop(&c->in, n + 1);
	} else {
		c->closing = c->eof;
		return;
	}
	c->deadline = now + CLIENT_STALL_MS;
	c->last_line = now;
}

static bool
receive(struct client *c)
{
	ssize_t n = recv(c->fd, buf_reserve(&c->in, 4096), 4096, MSG_DONTWAIT);

	if (n > 0)
		c->in.len += (size_t)n;
	else if (n == 0)
		c->eof = true;
	else
		return errno == EAGAIN || errno == EINTR;
	return true;
}

static void
work(struct client *c, uint64_t now)
{
	size_t before = c->out.len;

	if (!job_step(c->job)) {
		job_free(&c->job);
		c->deadline = now + CLIENT_IDLE_MS;
	}
	if (c->out.len == before && now - c->last_line >= CLIENT_PROGRESS_MS)
		buf_adds(&c->out, "{\"progress\":true}\n");
	if (c->out.len > before)
		c->last_line = now;
	if (before == 0)
		c->deadline = now + CLIENT_STALL_MS;
}

static bool
transmit(struct client *c, uint64_t now)
{
	ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	buf_drop(&c->out, (size_t)n);
	c->deadline = now + (c->job == NULL && c->out.len == 0 ? CLIENT_IDLE_MS : CLIENT_STALL_MS);
	return true;
}

bool
client_serve(struct client *c, short revents, uint64_t now)
{
	if ((revents & (POLLHUP | POLLERR | POLLNVAL)) != 0 && (revents & POLLIN) == 0)
		return false;
	if ((revents & POLLIN) != 0 && !receive(c))
		return false;
	take_request(c, now);
	if (c->job != NULL && c->out.len < CLIENT_OUT_MAX)
		work(c, now);
	if (c->out.len > 0 && !transmit(c, now))
		return false;
	if (now >= client_deadline(c))
		return false;
	return !(c->closing && c->job == NULL && c->out.len == 0);
}
