/* SPDX-License-Identifier: MIT */
/* Connecting: to one address, or to the first of several that answers. */
#include "net/io.h"
#include "net/loop_private.h"
#include "net/task.h"
#include "util/check.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* One connection that is being made. */
struct attempt {
	int fd; /* -1: not begun, or over */
	bool answered;
	struct event event;
	struct race *race;
};

struct race {
	struct task *task;
	const struct io_target *target;
	unsigned count, begun, open;
	struct err *err;
	unsigned failures;
	int error; /* errno of the last failure */
	struct attempt attempt[IO_TARGETS_MAX];
};

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;

	(void)fd;
	(void)what;
	loop_touch(loop_current());
	a->answered = true;
	task_wake(a->race->task);
}

static void
end(struct race *r, struct attempt *a)
{
	event_del(&a->event);
	a->fd = -1;
	r->open--;
}

/* What every target said is told, first to last. */
static void
note(struct race *r, const char *what, const struct addr *addr, int error)
{
	struct err before = { 0 };
	char text[ADDR_TEXT];

	if (r->failures++ > 0 && r->err != NULL)
		before = *r->err;
	r->error = errno = error;
	err_sys(r->err, "%s%s%s %s", before.text, before.text[0] != '\0' ? "; " : "", what, addr_text(addr, text));
}

/* A socket on its way to the next target, or already there; or -1. */
static int
begin_socket(struct race *r, const struct io_target *t, bool *connected)
{
	int fd, one = 1;

	fd = socket(t->to->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		note(r, "cannot make a socket for", t->to, errno);
		return -1;
	}
	if (t->from != NULL && bind(fd, &t->from->u.sa, t->from->len) < 0) {
		note(r, "cannot use source address", t->from, errno);
		close(fd);
		return -1;
	}
	if (t->to->u.sa.sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	*connected = connect(fd, &t->to->u.sa, t->to->len) == 0;
	if (*connected || errno == EINPROGRESS)
		return fd;
	note(r, "cannot connect to", t->to, errno);
	close(fd);
	return -1;
}

static void
begin(struct race *r)
{
	struct attempt *a = &r->attempt[r->begun];

	a->race = r;
	a->fd = begin_socket(r, &r->target[r->begun++], &a->answered);
	if (a->fd < 0)
		return;
	event_assign(&a->event, loop_base(loop_current()), a->fd, EV_WRITE, on_writable, a);
	event_add(&a->event, NULL);
	r->open++;
}

/* Looks at those that have answered. The index of one that is connected, or -1. */
static int
finish(struct race *r)
{
	for (unsigned i = 0; i < r->begun; i++) {
		struct attempt *a = &r->attempt[i];
		socklen_t n = sizeof(int);
		int error = 0;

		if (a->fd < 0 || !a->answered)
			continue;
		if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
			error = errno;
		if (error == 0)
			return (int)i;
		close(a->fd);
		end(r, a);
		note(r, "cannot connect to", r->target[i].to, error);
	}
	return -1;
}

static void
end_all(struct race *r, int error)
{
	for (unsigned i = 0; i < r->begun; i++)
		if (r->attempt[i].fd >= 0) {
			close(r->attempt[i].fd);
			end(r, &r->attempt[i]);
			if (error != 0)
				note(r, "cannot connect to", r->target[i].to, error);
		}
}

/* The index of the one that is connected, or -1 with errno. */
static int
run(struct race *r, uint64_t stagger, uint64_t deadline)
{
	struct loop *loop = loop_current();
	enum task_wake woken = TASK_WOKEN;
	uint64_t next = 0;
	int won;

	for (;;) {
		if ((won = finish(r)) >= 0)
			return won;
		if (woken == TASK_CANCELLED || loop_now(loop) >= deadline) {
			if (r->begun == 0)
				note(r, "cannot connect to", r->target[0].to, ETIMEDOUT);
			end_all(r, woken == TASK_CANCELLED ? ECANCELED : ETIMEDOUT);
			errno = r->error;
			return -1;
		}
		while (r->begun < r->count && (r->open == 0 || loop_now(loop) >= next)) {
			begin(r);
			next = loop_now(loop) + stagger;
		}
		if (r->open == 0) {
			errno = r->error;
			return -1;
		}
		if ((won = finish(r)) >= 0)
			return won;
		woken = task_wait(r->begun < r->count && next < deadline ? next : deadline);
	}
}

int
io_connect_any(struct io *io, const struct io_target *target, unsigned count, uint64_t stagger, uint64_t deadline,
    unsigned *chosen, struct err *err)
{
	struct race r = { .task = task_self(), .target = target, .count = count, .err = err };
	int won, fd;

	check(count > 0 && count <= IO_TARGETS_MAX);
	won = run(&r, stagger, deadline);
	if (won < 0) {
		io_init(io, -1);
		return -1;
	}
	*chosen = (unsigned)won;
	fd = r.attempt[won].fd;
	end(&r, &r.attempt[won]);
	end_all(&r, 0);
	io_init(io, fd);
	return 0;
}

int
io_connect(struct io *io, const struct addr *to, const struct addr *from, uint64_t deadline, struct err *err)
{
	const struct io_target target = { to, from };
	unsigned chosen;

	return io_connect_any(io, &target, 1, 0, deadline, &chosen, err);
}
