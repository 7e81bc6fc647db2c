/* SPDX-License-Identifier: MIT */
/* bench-sink PORT COUNTERS [quickack] [defer]: takes every message and forgets it.
 *
 * COUNTERS is a file of 8 native 64-bit numbers, written through a mapping so that reading them costs the sink
 * nothing: messages, bytes of message data, time of the first message, time of the latest (monotonic ns),
 * connections taken, open now, recipients, commands. `quickack` acknowledges segments at once: senders that write a
 * message in pieces are then not held up by delayed ACKs. `defer` answers every recipient 450. */
#include "bench.h"

#include <fcntl.h>
#include <stdbool.h>
#include <strings.h>
#include <sys/mman.h>

struct counters {
	uint64_t messages, bytes, first_ns, latest_ns, connections, open, recipients, commands;
};

/* How much of CRLF . CRLF the data has shown so far. */
enum dot { DOT_NONE, DOT_CR, DOT_LINE, DOT_DOT, DOT_DOT_CR };

struct session {
	int fd;
	bool in_data;
	enum dot dot;
	unsigned line_len, out_len;
	char line[512];
	char out[2048];
};

static struct counters *counters;
static bool quickack, defer;
static char input[256 * 1024];

static void
reply(struct session *s, const char *text)
{
	size_t n = strlen(text);

	if (s->out_len + n > sizeof s->out)
		return; /* a client that pipelines this much without reading gets what it deserves */
	memcpy(s->out + s->out_len, text, n);
	s->out_len += (unsigned)n;
}

/* One command line; false when the session ends with it. */
static bool
command(struct session *s)
{
	s->line[s->line_len] = '\0';
	s->line_len = 0;
	counters->commands++;
	if (strncasecmp(s->line, "EHLO", 4) == 0) {
		reply(s, "250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n"
			 "250 SIZE 2147483648\r\n");
	} else if (strncasecmp(s->line, "RCPT", 4) == 0) {
		counters->recipients++;
		reply(s, defer ? "450 4.2.1 not now\r\n" : "250 2.1.5 ok\r\n");
	} else if (strncasecmp(s->line, "DATA", 4) == 0 && defer) {
		reply(s, "554 5.5.1 no recipients\r\n");
	} else if (strncasecmp(s->line, "DATA", 4) == 0) {
		reply(s, "354 go on\r\n");
		s->in_data = true;
		s->dot = DOT_LINE; /* the command's own line end counts */
	} else if (strncasecmp(s->line, "QUIT", 4) == 0) {
		reply(s, "221 2.0.0 bye\r\n");
		return false;
	} else
		reply(s, "250 2.0.0 ok\r\n");
	return true;
}

static void
end_of_data(struct session *s)
{
	s->in_data = false;
	counters->latest_ns = now_ns();
	if (counters->first_ns == 0)
		counters->first_ns = counters->latest_ns;
	counters->messages++;
	reply(s, "250 2.0.0 taken\r\n");
}

/* Message data up to END or the end of data; where it stopped. */
static const char *
data(struct session *s, const char *p, const char *end)
{
	while (p < end) {
		char c;

		if (s->dot == DOT_NONE) {
			p = memchr(p, '\r', (size_t)(end - p));
			if (p == NULL)
				return end;
			p++;
			s->dot = DOT_CR;
			continue;
		}
		c = *p++;
		if (s->dot == DOT_CR && c == '\n')
			s->dot = DOT_LINE;
		else if (s->dot == DOT_LINE && c == '.')
			s->dot = DOT_DOT;
		else if (s->dot == DOT_DOT && c == '\r')
			s->dot = DOT_DOT_CR;
		else if (s->dot == DOT_DOT_CR && c == '\n') {
			end_of_data(s);
			return p;
		} else
			s->dot = c == '\r' ? DOT_CR : DOT_NONE;
	}
	return p;
}

static bool
feed(struct session *s, const char *p, const char *end)
{
	while (p < end) {
		if (s->in_data) {
			const char *from = p;

			p = data(s, p, end);
			counters->bytes += (uint64_t)(p - from);
		} else if (*p == '\n') {
			p++;
			if (!command(s))
				return false;
		} else {
			if (s->line_len < sizeof s->line - 1)
				s->line[s->line_len++] = *p;
			p++;
		}
	}
	return true;
}

static void
serve(struct session *s)
{
	ssize_t n = recv(s->fd, input, sizeof input, 0);
	bool go_on;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && quickack)
		setsockopt(s->fd, IPPROTO_TCP, TCP_QUICKACK, &(int){ 1 }, sizeof(int));
	go_on = n > 0 && feed(s, input, input + n);
	if (n > 0 && s->out_len > 0 && send(s->fd, s->out, s->out_len, 0) != (ssize_t)s->out_len)
		go_on = false;
	s->out_len = 0;
	if (go_on)
		return;
	close(s->fd);
	free(s);
	counters->open--;
}

static void
take_connections(int ep, int listener)
{
	static const char greeting[] = "220 sink.example ESMTP\r\n";
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct session *s = calloc(1, sizeof *s);
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = s };

		if (s == NULL)
			die("calloc");
		s->fd = fd;
		no_delay(fd);
		epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
		counters->connections++;
		counters->open++;
		if (send(fd, greeting, sizeof greeting - 1, 0) < 0)
			continue; /* the next read says why */
	}
}

static struct counters *
map_counters(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	void *p;

	if (fd < 0 || ftruncate(fd, sizeof *counters) < 0)
		die(path);
	p = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die("mmap");
	close(fd);
	return p;
}

static int
listen_on(long port)
{
	struct sockaddr_in a = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 4096) < 0)
		die("bind");
	return fd;
}

int
main(int argc, char **argv)
{
	struct epoll_event events[256], e = { .events = EPOLLIN };
	int ep, listener;

	for (int i = 3; i < argc; i++) {
		quickack |= strcmp(argv[i], "quickack") == 0;
		defer |= strcmp(argv[i], "defer") == 0;
	}
	if (argc != 3 + quickack + defer) {
		fprintf(stderr, "usage: bench-sink PORT COUNTERS [quickack] [defer]\n");
		return 2;
	}
	prepare_process();
	counters = map_counters(argv[2]);
	listener = listen_on(number(argv[1], 1));
	ep = epoll_create1(0);
	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e);
	for (;;) {
		int n = epoll_wait(ep, events, 256, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				take_connections(ep, listener);
			else
				serve(events[i].data.ptr);
		}
	}
}
