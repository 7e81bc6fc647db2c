/* SPDX-License-Identifier: MIT */
#include "control/systemd.h"
#include "control/sockets.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/str.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_FD = 3, FDS_MAX = 1000 };

static struct {
	struct sockaddr_un to;
	socklen_t to_len; /* 0: nobody listens */
	unsigned fds;
	uint64_t every, next; /* ms, clock_ms(); 0: no watchdog */
} sd;

/* A number in the environment, meant for us if the variable OWNER is our process or not there. */
static uint64_t
number(const char *name, const char *owner)
{
	const char *text = getenv(name), *pid = getenv(owner);
	uint64_t v = 0;

	if (text == NULL || (pid != NULL && strtoul(pid, NULL, 10) != (unsigned long)getpid()) ||
	    str_u64(text, strlen(text), UINT64_MAX, &v) < 0)
		return 0;
	return v;
}

static void
take_address(const char *path)
{
	size_t n = path != NULL ? strlen(path) : 0;

	if (n == 0 || n >= sizeof sd.to.sun_path || (*path != '/' && *path != '@'))
		return;
	sd.to.sun_family = AF_UNIX;
	memcpy(sd.to.sun_path, path, n);
	if (*path == '@')
		sd.to.sun_path[0] = '\0'; /* of the abstract name space */
	sd.to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

void
systemd_init(void)
{
	static const char *const names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS",
		"LISTEN_PID", "LISTEN_FDNAMES" };
	uint64_t fds = getenv("LISTEN_PID") != NULL ? number("LISTEN_FDS", "LISTEN_PID") : 0;
	size_t i;

	take_address(getenv("NOTIFY_SOCKET"));
	sd.every = number("WATCHDOG_USEC", "WATCHDOG_PID") / 2000;
	sd.fds = fds < FDS_MAX ? (unsigned)fds : FDS_MAX;
	for (i = 0; i < sd.fds; i++) {
		fcntl(FIRST_FD + (int)i, F_SETFD, FD_CLOEXEC);
		fcntl(FIRST_FD + (int)i, F_SETFL, O_NONBLOCK);
	}
	for (i = 0; i < sizeof names / sizeof *names; i++)
		unsetenv(names[i]);
}

static bool
address_of(int fd, struct addr *a)
{
	int only = 1;
	socklen_t n = sizeof only;

	memset(a, 0, sizeof *a);
	a->len = sizeof a->u;
	if (getsockname(fd, &a->u.sa, &a->len) < 0)
		return false;
	if (a->u.sa.sa_family != AF_INET6)
		return true;
	getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &n);
	a->dual = only == 0 && IN6_IS_ADDR_UNSPECIFIED(&a->u.in6.sin6_addr);
	return true;
}

void
systemd_sockets(struct sockets *out)
{
	struct socket_place *p;
	unsigned i;

	out->place = xcalloc(sd.fds, sizeof *out->place);
	out->count = 0;
	for (i = 0; i < sd.fds; i++) {
		p = &out->place[out->count];
		p->fd = FIRST_FD + (int)i;
		if (address_of(p->fd, &p->address))
			out->count++;
		else
			log_event(LOG_WARN, "systemd", "descriptor %d was handed over as a socket and is none", p->fd);
	}
}

static void
tell(const char *text)
{
	int fd;

	if (sd.to_len == 0 || (fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
		return;
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&sd.to, sd.to_len) < 0)
		log_event(LOG_WARN, "systemd", "the service manager cannot be told: %s", text);
	close(fd);
}

void
systemd_ready(void)
{
	tell("READY=1");
}

void
systemd_reloading(void)
{
	struct timespec t;
	char text[64];

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
	tell(text);
}

void
systemd_stopping(void)
{
	tell("STOPPING=1");
}

int64_t
systemd_tick(void)
{
	uint64_t now = clock_ms();

	if (sd.every == 0 || sd.to_len == 0)
		return -1;
	if (now >= sd.next) {
		tell("WATCHDOG=1");
		sd.next = now + sd.every;
	}
	return (int64_t)(sd.next - now);
}
