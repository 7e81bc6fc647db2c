/* SPDX-License-Identifier: MIT */
/* bench-source: a load generator. One thread; sends MESSAGES over SESSIONS parallel sessions and prints one line of
 * JSON: what was sent, how long it took, and how long the replies to end-of-data took (microseconds, measured from
 * the moment the last byte was handed to the kernel). */
#include "bench.h"
#include "secure.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <sys/uio.h>

enum step { STEP_CONNECT, STEP_GREETING, STEP_EHLO, STEP_MAIL, STEP_RCPT, STEP_DATA, STEP_DOT, STEP_RSET, STEP_QUIT };

struct session {
	struct session *next_idle;
	int fd;
	SSL *ssl; /* NULL: plain */
	enum step step;
	long rcpt_left;
	uint64_t dot_ns;     /* when the end of the message was handed over */
	unsigned line_len;
	bool continued;      /* inside a reply of several lines */
	bool want_out;
	char code[4];        /* of the reply line being read */
	char head[256];      /* what changes from message to message */
	struct iovec out[2]; /* not sent yet */
};

static struct {
	long port, sessions, messages, size, rate, recipients;
	bool kept, pipelining, tls;
	const char *from, *to;
} opt = { .sessions = 20, .messages = 1000, .size = 4096, .recipients = 1, .from = "sender@example.com",
	.to = "rcpt@example.net" };

static struct {
	long begun, sent, refused, lost, connections, open;
	uint64_t start_ns, latest_ns, late_ns;
	struct session *idle;
	uint32_t *latency_us;
	int ep;
} run;

static SSL_CTX *tls_context;
static char *body;
static size_t body_len;

/* Lines of 70 letters up to the wanted size, then the dot. The headers' 200 bytes or so are part of the size. */
static void
make_body(void)
{
	size_t want = (size_t)(opt.size > 300 ? opt.size - 200 : 100), i = 0;

	body = malloc(want + 80);
	if (body == NULL)
		die("malloc");
	while (i < want) {
		size_t n = want - i < 72 ? want - i : 72;

		if (n < 3)
			n = 3;
		memset(body + i, 'a' + (int)(i / 72 % 26), n - 2);
		memcpy(body + i + n - 2, "\r\n", 2);
		i += n;
	}
	memcpy(body + i, ".\r\n", 3);
	body_len = i + 3;
}

static void
watch(struct session *s, bool out)
{
	struct epoll_event e = { .events = out ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = s };

	if (out == s->want_out)
		return;
	s->want_out = out;
	epoll_ctl(run.ep, EPOLL_CTL_MOD, s->fd, &e);
}

/* One record of what waits. After EAGAIN the same bytes come again. */
static ssize_t
send_record(struct session *s)
{
	static char record[16384];
	size_t n = 0;
	int rc;

	for (int i = 0; i < 2; i++) {
		size_t k = s->out[i].iov_len < sizeof record - n ? s->out[i].iov_len : sizeof record - n;

		memcpy(record + n, s->out[i].iov_base, k);
		n += k;
	}
	rc = SSL_write(s->ssl, record, (int)n);
	if (rc > 0)
		return rc;
	errno = SSL_get_error(s->ssl, rc) == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
	return -1;
}

/* As much as the socket takes; the rest when it is writable again. */
static void
flush(struct session *s)
{
	while (s->out[0].iov_len + s->out[1].iov_len > 0) {
		ssize_t n = s->ssl != NULL ? send_record(s) : writev(s->fd, s->out, 2);

		if (n < 0) {
			watch(s, errno == EAGAIN);
			return; /* a broken connection shows when it is read */
		}
		for (int i = 0; i < 2; i++) {
			size_t k = (size_t)n < s->out[i].iov_len ? (size_t)n : s->out[i].iov_len;

			s->out[i].iov_base = (char *)s->out[i].iov_base + k;
			s->out[i].iov_len -= k;
			n -= (ssize_t)k;
		}
	}
	watch(s, false);
	if (s->step == STEP_DOT)
		s->dot_ns = now_ns();
}

static void
say(struct session *s, enum step step, size_t len)
{
	s->step = step;
	s->out[0] = (struct iovec){ .iov_base = s->head, .iov_len = len };
	s->out[1] = (struct iovec){ 0 };
	flush(s);
}

static void
say_line(struct session *s, enum step step, const char *line)
{
	say(s, step, (size_t)snprintf(s->head, sizeof s->head, "%s\r\n", line));
}

static void
connect_session(struct session *s)
{
	struct sockaddr_in a = loopback(opt.port);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = s };

	s->fd = socket(AF_INET, opt.tls ? SOCK_STREAM : SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (s->fd < 0 || (connect(s->fd, (struct sockaddr *)&a, sizeof a) < 0 && errno != EINPROGRESS))
		die("connect");
	no_delay(s->fd);
	s->ssl = opt.tls ? secure_connect(tls_context, s->fd) : NULL;
	if (opt.tls)
		fcntl(s->fd, F_SETFL, O_NONBLOCK);
	s->step = STEP_GREETING;
	s->line_len = 0;
	s->continued = s->want_out = false;
	s->out[0].iov_len = s->out[1].iov_len = 0;
	epoll_ctl(run.ep, EPOLL_CTL_ADD, s->fd, &e);
	run.connections++;
	run.open++;
}

static void
close_session(struct session *s)
{
	SSL_free(s->ssl);
	s->ssl = NULL;
	close(s->fd);
	s->fd = -1;
	run.open--;
}

static void
begin_message(struct session *s)
{
	size_t n;

	s->rcpt_left = opt.recipients;
	n = (size_t)snprintf(s->head, sizeof s->head, "MAIL FROM:<%s>\r\n", opt.from);
	if (opt.pipelining)
		n += (size_t)snprintf(s->head + n, sizeof s->head - n, "RCPT TO:<%s>\r\nDATA\r\n", opt.to);
	say(s, STEP_MAIL, n);
}

/* When the next message may begin, in ns. */
static uint64_t
next_due(void)
{
	return opt.rate == 0 ? 0 : run.start_ns + (uint64_t)run.begun * 1000000000u / (uint64_t)opt.rate;
}

/* Gives a session its next message, or parks it until one is due; false when none is left. */
static bool
next_message(struct session *s, uint64_t now)
{
	uint64_t due = next_due();

	if (run.begun == opt.messages)
		return false;
	if (now < due) {
		s->next_idle = run.idle;
		run.idle = s;
		return true;
	}
	if (opt.rate > 0 && now - due > run.late_ns)
		run.late_ns = now - due;
	run.begun++;
	if (s->fd < 0)
		connect_session(s);
	else
		begin_message(s);
	return true;
}

static void
message_sent(struct session *s)
{
	uint64_t now = now_ns();

	run.latency_us[run.sent++] = (uint32_t)((now - s->dot_ns) / 1000);
	run.latest_ns = now;
	if (!opt.kept || !next_message(s, now))
		say_line(s, STEP_QUIT, "QUIT");
}

static void
say_content(struct session *s)
{
	static unsigned long serial;
	int n = snprintf(s->head, sizeof s->head,
	    "From: <%s>\r\nTo: <%s>\r\nDate: Sun, 22 Nov 2026 09:26:38 +0000\r\nMessage-ID: <%lu.%d@bench.example>\r\n"
	    "Subject: load\r\n\r\n", opt.from, opt.to, serial++, (int)getpid());

	s->step = STEP_DOT;
	s->out[0] = (struct iovec){ .iov_base = s->head, .iov_len = (size_t)n };
	s->out[1] = (struct iovec){ .iov_base = body, .iov_len = body_len };
	flush(s);
}

static void
refused(struct session *s)
{
	run.refused++;
	if (s->step == STEP_GREETING || s->step == STEP_EHLO) {
		run.begun -= opt.kept ? 0 : 1;
		say_line(s, STEP_QUIT, "QUIT");
	} else
		say_line(s, STEP_RSET, "RSET");
}

/* One whole reply: CODE is its first digit. */
static void
reply(struct session *s, char code)
{
	if (s->step == STEP_QUIT) {
		close_session(s);
		if (!opt.kept)
			next_message(s, now_ns());
		return;
	}
	if (code != '2' && code != '3') {
		refused(s);
		return;
	}
	switch (s->step) {
	case STEP_GREETING:
		say_line(s, STEP_EHLO, "EHLO bench.example");
		break;
	case STEP_EHLO:
		if (!opt.kept)
			begin_message(s);
		else if (!next_message(s, now_ns()))
			say_line(s, STEP_QUIT, "QUIT");
		break;
	case STEP_MAIL:
	case STEP_RCPT:
		if (opt.pipelining) {
			s->step = s->step == STEP_MAIL ? STEP_RCPT : STEP_DATA;
		} else if (s->rcpt_left-- > 0) {
			say(s, STEP_RCPT, (size_t)snprintf(s->head, sizeof s->head, "RCPT TO:<%s>\r\n", opt.to));
		} else
			say_line(s, STEP_DATA, "DATA");
		break;
	case STEP_DATA:
		say_content(s);
		break;
	case STEP_DOT:
		message_sent(s);
		break;
	case STEP_RSET:
		if (!opt.kept || !next_message(s, now_ns()))
			say_line(s, STEP_QUIT, "QUIT");
		break;
	default:
		break;
	}
}

static ssize_t
receive(struct session *s, char *p, size_t size)
{
	int rc;

	if (s->ssl == NULL)
		return recv(s->fd, p, size, 0);
	rc = SSL_read(s->ssl, p, (int)size);
	if (rc <= 0)
		errno = SSL_get_error(s->ssl, rc) == SSL_ERROR_WANT_READ ? EAGAIN : EPIPE;
	return rc;
}

/* False: nothing more is there now. */
static bool
read_some(struct session *s)
{
	static char in[65536];
	ssize_t n = receive(s, in, sizeof in);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		if (s->step != STEP_QUIT)
			run.lost++;
		close_session(s);
		return false;
	}
	for (ssize_t i = 0; i < n && s->fd >= 0; i++) {
		if (in[i] == '\n') {
			bool last = s->line_len < 4 || s->code[3] != '-';

			s->line_len = 0;
			if (last)
				reply(s, s->code[0]);
		} else if (s->line_len++ < 4)
			s->code[s->line_len - 1] = in[i];
	}
	return s->ssl != NULL;
}

/* What TLS holds already is told by no event. */
static void
readable(struct session *s)
{
	while (read_some(s) && SSL_has_pending(s->ssl))
		;
}

static void
wake_idle(void)
{
	uint64_t now = now_ns();

	while (run.idle != NULL && (run.begun == opt.messages || now >= next_due())) {
		struct session *s = run.idle;

		run.idle = s->next_idle;
		if (!next_message(s, now) && s->fd >= 0)
			say_line(s, STEP_QUIT, "QUIT");
	}
}

static void
serve(void)
{
	struct epoll_event events[256];

	while (run.open > 0 || run.idle != NULL) {
		struct timespec wait = { 0 }, *timeout = NULL;
		int n;

		if (run.idle != NULL) {
			uint64_t now = now_ns(), due = next_due();

			wait.tv_nsec = due > now && due - now < 999999999 ? (long)(due - now) : due > now ? 999999999 : 0;
			timeout = &wait;
		}
		n = epoll_pwait2(run.ep, events, 256, timeout, NULL);
		for (int i = 0; i < n; i++) {
			struct session *s = events[i].data.ptr;

			if (events[i].events & EPOLLOUT)
				flush(s);
			if (events[i].events & ~(uint32_t)EPOLLOUT)
				readable(s);
		}
		wake_idle();
	}
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t
percentile(double p)
{
	return run.sent == 0 ? 0 : run.latency_us[(long)((double)(run.sent - 1) * p)];
}

static void
print_result(void)
{
	double seconds = (double)(run.latest_ns - run.start_ns) / 1e9;
	struct rusage u;

	if (run.sent == 0)
		seconds = 0;
	getrusage(RUSAGE_SELF, &u);
	qsort(run.latency_us, (size_t)run.sent, sizeof *run.latency_us, compare);
	printf("{\"sent\": %ld, \"refused\": %ld, \"lost\": %ld, \"seconds\": %.6f, \"per_second\": %.1f, "
	       "\"connections\": %ld, \"p50_us\": %u, \"p99_us\": %u, \"p999_us\": %u, \"max_us\": %u, "
	       "\"late_ms\": %.1f, \"start_ns\": %llu, \"cpu_s\": %.3f}\n",
	    run.sent, run.refused, run.lost, seconds, seconds > 0 ? (double)run.sent / seconds : 0, run.connections,
	    percentile(0.5), percentile(0.99), percentile(0.999), percentile(1), (double)run.late_ns / 1e6,
	    (unsigned long long)run.start_ns,
	    (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
}

static void __attribute__((noreturn))
usage(void)
{
	fprintf(stderr,
	    "usage: bench-source [options] PORT\n"
	    "  -s N  parallel sessions (20)          -m N  messages (1000)\n"
	    "  -l N  bytes a message (4096)          -n N  recipients a message (1)\n"
	    "  -d    keep connections between messages\n"
	    "  -T    TLS from the first byte on\n"
	    "  -p    pipeline MAIL, RCPT and DATA    -r N  messages a second at most\n"
	    "  -f A  sender                          -t A  recipient\n");
	exit(2);
}

static void
parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:m:l:n:dpTr:f:t:")) != -1) {
		switch (c) {
		case 's': opt.sessions = number(optarg, 1); break;
		case 'm': opt.messages = number(optarg, 1); break;
		case 'l': opt.size = number(optarg, 1); break;
		case 'n': opt.recipients = number(optarg, 1); break;
		case 'd': opt.kept = true; break;
		case 'T': opt.tls = true; break;
		case 'p': opt.pipelining = true; break;
		case 'r': opt.rate = number(optarg, 0); break;
		case 'f': opt.from = optarg; break;
		case 't': opt.to = optarg; break;
		default: usage();
		}
	}
	if (optind + 1 != argc || (opt.pipelining && opt.recipients != 1) || strlen(opt.from) + strlen(opt.to) > 80)
		usage();
	opt.port = number(argv[optind], 1);
	if (opt.sessions > opt.messages)
		opt.sessions = opt.messages;
}

int
main(int argc, char **argv)
{
	struct session *sessions;

	parse_options(argc, argv);
	prepare_process();
	if (opt.tls)
		tls_context = secure_context();
	make_body();
	sessions = calloc((size_t)opt.sessions, sizeof *sessions);
	run.latency_us = calloc((size_t)opt.messages, sizeof *run.latency_us);
	if (sessions == NULL || run.latency_us == NULL)
		die("calloc");
	run.ep = epoll_create1(0);
	run.start_ns = now_ns();
	for (long i = 0; i < opt.sessions; i++) {
		sessions[i].fd = -1;
		if (opt.kept)
			connect_session(&sessions[i]);
		else
			next_message(&sessions[i], run.start_ns);
	}
	serve();
	print_result();
	return run.sent == opt.messages ? 0 : 1;
}
