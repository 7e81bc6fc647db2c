/* SPDX-License-Identifier: MIT */
#include "net/listener.h"
#include "net/loop_private.h"
#include "util/check.h"
#include "util/counters.h"
#include "util/log.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* At most this many a wake-up, so that a flood does not hold the loop; and the pause when descriptors ran out. */
enum { ACCEPT_BATCH = 64, BACKLOG = 4096, PAUSE_MS = 100 };

struct listener {
	int fd;
	struct loop **loops;
	unsigned count, turn;
	const struct listener_owner *owner;
	void *arg;
	struct event *event;
	struct timer pause;
};

/* A connection on its way to another loop. */
struct arrival {
	struct post post;
	const struct listener_owner *owner;
	void *arg;
	int fd;
	struct addr peer;
};

int
listener_bind(const struct addr *a, struct err *err)
{
	int fd, one = 1, v6only = !a->dual;
	char text[ADDR_TEXT];

	fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "cannot make a socket for %s", addr_text(a, text));
	if (a->u.sa.sa_family == AF_UNIX)
		unlink(a->u.un.sun_path);
	else
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (a->u.sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
	if (bind(fd, &a->u.sa, a->len) < 0 || listen(fd, BACKLOG) < 0) {
		err_sys(err, "cannot listen on %s", addr_text(a, text));
		close(fd);
		return -1;
	}
	return fd;
}

static void
on_arrival(struct post *post)
{
	struct arrival *a = list_entry(post, struct arrival, post);

	a->owner->connected(a->fd, &a->peer, a->arg);
	free(a);
}

static void
deal(struct listener *l, int fd, const struct addr *peer)
{
	struct loop *target = l->loops[l->turn++ % l->count];
	struct arrival *a;

	if (l->owner->hold != NULL)
		l->owner->hold(l->arg);
	if (target == loop_current()) {
		l->owner->connected(fd, peer, l->arg);
		return;
	}
	a = xmalloc(sizeof *a);
	a->post.fn = on_arrival;
	a->owner = l->owner;
	a->arg = l->arg;
	a->fd = fd;
	a->peer = *peer;
	loop_post(target, &a->post);
}

static void
out_of_descriptors(struct listener *l)
{
	log_event(LOG_ERROR, "accept", "no descriptor for a new connection (%s): waiting %d ms; raise the limit of open files",
	    strerror(errno), PAUSE_MS);
	counter_add(COUNTER_ACCEPT_PAUSES, 1);
	event_del(l->event);
	timer_set(&l->pause, loop_now(l->loops[0]) + PAUSE_MS);
}

static void
on_pause_over(struct timer *t)
{
	event_add(list_entry(t, struct listener, pause)->event, NULL);
}

/* Up to MAX connections. */
static void
accept_some(struct listener *l, unsigned max)
{
	struct addr peer;
	unsigned i;
	int s, one = 1;

	for (i = 0; i < max; i++) {
		memset(&peer, 0, sizeof peer);
		peer.len = sizeof peer.u;
		s = accept4(l->fd, &peer.u.sa, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (s < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				out_of_descriptors(l);
			else if (errno == EINTR || errno == ECONNABORTED)
				continue;
			return;
		}
		if (peer.u.sa.sa_family != AF_UNIX)
			setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		addr_unmap(&peer);
		deal(l, s, &peer);
	}
}

static void
on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	(void)fd;
	(void)what;
	loop_touch(l->loops[0]);
	accept_some(l, ACCEPT_BATCH);
}

void
listener_accept_all(struct listener *l)
{
	accept_some(l, BACKLOG);
}

struct listener *
listener_new(int fd, struct loop **loops, unsigned count, const struct listener_owner *owner, void *arg)
{
	struct listener *l = xcalloc(1, sizeof *l);

	l->fd = fd;
	l->loops = loops;
	l->count = count;
	l->owner = owner;
	l->arg = arg;
	timer_init(&l->pause, on_pause_over);
	l->event = event_new(loop_base(loops[0]), fd, EV_READ | EV_PERSIST, on_acceptable, l);
	check(l->event != NULL);
	return l;
}

void *
listener_set_arg(struct listener *l, void *arg)
{
	void *old = l->arg;

	l->arg = arg;
	return old;
}

void
listener_start(struct listener *l)
{
	event_add(l->event, NULL);
}

void
listener_stop(struct listener *l)
{
	event_del(l->event);
	timer_clear(&l->pause);
}

void
listener_free(struct listener **l)
{
	if (*l == NULL)
		return;
	event_free((*l)->event);
	close((*l)->fd);
	free(*l);
	*l = NULL;
}
