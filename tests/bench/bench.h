/* SPDX-License-Identifier: MIT */
/* What the load programs share: sockets on loopback, time, arguments. They use nothing of tmail. */
#ifndef TMAIL_BENCH_H
#define TMAIL_BENCH_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void __attribute__((noreturn))
die(const char *what)
{
	perror(what);
	exit(1);
}

/* A whole number of at least MIN, or the program ends. */
static inline long
number(const char *text, long min)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end != '\0' || n < min) {
		fprintf(stderr, "%s: not a number of at least %ld\n", text, min);
		exit(2);
	}
	return n;
}

/* As many descriptors as the machine lets us have; a peer's close is no signal. */
static inline void
prepare_process(void)
{
	struct rlimit r;

	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static inline struct sockaddr_in
loopback(long port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static inline void
no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

#endif
