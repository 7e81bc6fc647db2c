/* SPDX-License-Identifier: MIT */
#include "net/io.h"
#include "net/loop_private.h"
#include "net/task.h"
#include "net/tls_private.h"
#include "util/check.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <unistd.h>

/* Small pieces are joined into TLS records of this size. */
enum { RECORD = 16384 };

static void
go_idle_over(struct io *io, bool timed_out)
{
	void (*fn)(struct io *, bool) = io->on_idle;

	io->on_idle = NULL;
	fn(io, timed_out);
}

static void
wake(struct task **waiting)
{
	struct task *t = *waiting;

	*waiting = NULL;
	task_wake(t);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct io *io = arg;

	(void)fd;
	(void)what;
	loop_touch(loop_current());
	if (io->on_idle != NULL)
		go_idle_over(io, false);
	else if (io->reader != NULL)
		wake(&io->reader);
	else {
		/* Nobody reads just now: no more events until somebody does. */
		event_del(&io->rd);
		io->armed = false;
	}
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct io *io = arg;

	(void)fd;
	(void)what;
	loop_touch(loop_current());
	if (io->writer != NULL)
		wake(&io->writer);
}

/* The timer is not cleared when the stream gets busy: it finds no call-back and does nothing. */
static void
on_idle_deadline(struct timer *t)
{
	struct io *io = list_entry(t, struct io, timer);

	if (io->on_idle != NULL)
		go_idle_over(io, true);
}

void
io_init(struct io *io, int fd)
{
	struct loop *l = loop_current();

	check(l != NULL);
	memset(io, 0, sizeof *io);
	io->fd = fd;
	timer_init(&io->timer, on_idle_deadline);
	if (fd < 0)
		return;
	event_assign(&io->rd, loop_base(l), fd, EV_READ | EV_PERSIST, on_readable, io);
	event_assign(&io->wr, loop_base(l), fd, EV_WRITE, on_writable, io);
}

void
io_close(struct io *io)
{
	if (io->fd < 0)
		return;
	check(io->reader == NULL && io->writer == NULL);
	if (io->ssl != NULL) {
		ERR_clear_error();
		if (!io->broken && SSL_is_init_finished(io->ssl))
			SSL_shutdown(io->ssl);
		SSL_free(io->ssl);
		io->ssl = NULL;
		ERR_clear_error();
	}
	if (io->armed)
		event_del(&io->rd);
	io->armed = false;
	timer_clear(&io->timer);
	io->on_idle = NULL;
	close(io->fd);
	io->fd = -1;
}

static void
arm(struct io *io)
{
	if (io->armed)
		return;
	event_add(&io->rd, NULL);
	io->armed = true;
}

bool
io_pending(const struct io *io)
{
	return io->ssl != NULL && (SSL_pending(io->ssl) > 0 || (!io->tls_drained && SSL_has_pending(io->ssl)));
}

void
io_idle(struct io *io, void (*fn)(struct io *, bool), uint64_t deadline)
{
	check(io->on_idle == NULL && io->reader == NULL);
	io->on_idle = fn;
	timer_set(&io->timer, deadline);
	arm(io);
	if (io_pending(io))
		event_active(&io->rd, EV_READ, 0);
}

void
io_pause(struct io *io, void (*fn)(struct io *, bool), uint64_t deadline)
{
	check(io->on_idle == NULL && io->reader == NULL);
	io->on_idle = fn;
	timer_set(&io->timer, deadline);
	if (io->armed)
		event_del(&io->rd);
	io->armed = false;
}

void
io_busy(struct io *io)
{
	io->on_idle = NULL;
}

/* Turns what SSL_*() answered into errno; EAGAIN means wait, for writing if tls_want_write. */
static int
tls_errno(struct io *io, int rc)
{
	int saved = errno;

	io->tls_want_write = false;
	switch (SSL_get_error(io->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		io->tls_want_write = true;
		return EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		io->broken = true;
		return saved != 0 ? saved : ECONNRESET;
	default:
		io->broken = true;
		return EPROTO;
	}
}

static ssize_t
tls_recv(struct io *io, void *p, size_t n)
{
	int rc, e;

	ERR_clear_error();
	errno = 0;
	rc = SSL_read(io->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
	io->tls_drained = rc <= 0;
	if (rc > 0)
		return rc;
	e = tls_errno(io, rc);
	if (e == 0)
		return 0;
	errno = e;
	return -1;
}

ssize_t
io_peek(struct io *io, void *p, size_t n)
{
	ssize_t got;

	check(io->ssl == NULL);
	do
		got = recv(io->fd, p, n, MSG_PEEK | MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	return got;
}

ssize_t
io_recv(struct io *io, void *p, size_t n)
{
	ssize_t r;

	if (io->ssl != NULL)
		return tls_recv(io, p, n);
	do
		r = recv(io->fd, p, n, 0);
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno != EAGAIN)
		io->broken = true;
	return r;
}

static int
woken(enum task_wake why)
{
	if (why == TASK_WOKEN)
		return 0;
	errno = why == TASK_TIMEOUT ? ETIMEDOUT : ECANCELED;
	return -1;
}

static int
wait_socket_readable(struct io *io, uint64_t deadline)
{
	enum task_wake why;

	check(io->reader == NULL && io->on_idle == NULL);
	io->reader = task_self();
	arm(io);
	why = task_wait(deadline);
	io->reader = NULL;
	return woken(why);
}

static int
wait_socket_writable(struct io *io, uint64_t deadline)
{
	enum task_wake why;

	check(io->writer == NULL);
	io->writer = task_self();
	event_add(&io->wr, NULL);
	why = task_wait(deadline);
	if (io->writer != NULL)
		event_del(&io->wr);
	io->writer = NULL;
	return woken(why);
}

int
io_wait_readable(struct io *io, uint64_t deadline)
{
	if (io_pending(io))
		return 0;
	return wait_socket_readable(io, deadline);
}

ssize_t
io_read(struct io *io, void *p, size_t n, uint64_t deadline)
{
	ssize_t r;

	for (;;) {
		r = io_recv(io, p, n);
		if (r >= 0 || errno != EAGAIN)
			return r;
		if (io->ssl != NULL && io->tls_want_write) {
			if (wait_socket_writable(io, deadline) < 0)
				return -1;
		} else if (wait_socket_readable(io, deadline) < 0)
			return -1;
	}
}

/* Takes N sent bytes off the front of the vector. */
static void
advance(struct iovec **v, int *count, size_t n)
{
	while (*count > 0 && n >= (*v)->iov_len) {
		n -= (*v)->iov_len;
		(*v)++;
		(*count)--;
	}
	if (n > 0) {
		(*v)->iov_base = (char *)(*v)->iov_base + n;
		(*v)->iov_len -= n;
	}
}

static ssize_t
plain_send(struct io *io, struct iovec *v, int count)
{
	struct msghdr h = { .msg_iov = v, .msg_iovlen = (size_t)(count > 1024 ? 1024 : count) };
	ssize_t r;

	do
		r = sendmsg(io->fd, &h, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno != EAGAIN)
		io->broken = true;
	return r;
}

/* One record a call, made of as many pieces as fit. After EAGAIN the same bytes come again, so the same record. */
static ssize_t
tls_send(struct io *io, const struct iovec *v, int count)
{
	static _Thread_local char joined[RECORD];
	const char *p = v[0].iov_base;
	size_t n = v[0].iov_len, part;
	int rc, e, i;

	if (n < RECORD && count > 1) {
		for (n = 0, i = 0; i < count && n < RECORD; i++) {
			part = v[i].iov_len < RECORD - n ? v[i].iov_len : RECORD - n;
			memcpy(joined + n, v[i].iov_base, part);
			n += part;
		}
		p = joined;
	} else if (n > RECORD)
		n = RECORD;
	ERR_clear_error();
	errno = 0;
	rc = SSL_write(io->ssl, p, (int)n);
	if (rc > 0)
		return rc;
	e = tls_errno(io, rc);
	errno = e != 0 ? e : EPIPE;
	return -1;
}

static ssize_t
send_some(struct io *io, struct iovec *v, int count)
{
	if (io->broken) {
		errno = EPIPE;
		return -1;
	}
	return io->ssl != NULL ? tls_send(io, v, count) : plain_send(io, v, count);
}

int
io_writev(struct io *io, struct iovec *v, int count, uint64_t deadline)
{
	ssize_t r;
	int rc;

	advance(&v, &count, 0);
	while (count > 0) {
		r = send_some(io, v, count);
		if (r >= 0) {
			advance(&v, &count, (size_t)r);
			continue;
		}
		if (errno != EAGAIN)
			return -1;
		if (io->ssl != NULL && !io->tls_want_write)
			rc = wait_socket_readable(io, deadline);
		else
			rc = wait_socket_writable(io, deadline);
		if (rc < 0)
			return -1;
	}
	return 0;
}

int
io_write(struct io *io, const void *p, size_t n, uint64_t deadline)
{
	struct iovec v = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };

	return io_writev(io, &v, 1, deadline);
}

ssize_t
io_send(struct io *io, const void *p, size_t n)
{
	struct iovec v = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };

	return send_some(io, &v, 1);
}

void
io_quick_ack(struct io *io)
{
	int one = 1;

	setsockopt(io->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one); /* on a unix socket there is nothing to gain */
}

static int
handshake(struct io *io, int (*step)(SSL *), uint64_t deadline, struct err *err)
{
	char reason[256];
	long verdict;
	int rc, e;

	for (;;) {
		ERR_clear_error();
		errno = 0;
		rc = step(io->ssl);
		if (rc == 1)
			return 0;
		e = tls_errno(io, rc);
		if (e != EAGAIN)
			break;
		rc = io->tls_want_write ? wait_socket_writable(io, deadline) : wait_socket_readable(io, deadline);
		if (rc < 0)
			return err_sys(err, "TLS handshake");
	}
	io->broken = true;
	verdict = SSL_get_verify_result(io->ssl);
	if (e == EPROTO && verdict != X509_V_OK)
		err_set(err, "TLS handshake: %s", X509_verify_cert_error_string(verdict));
	else if (e == EPROTO)
		err_set(err, "TLS handshake: %s", tls_error(reason, sizeof reason));
	else {
		errno = e != 0 ? e : ECONNRESET;
		err_sys(err, "TLS handshake");
	}
	errno = e != 0 ? e : ECONNRESET;
	return -1;
}

static void
tls_attach(struct io *io, struct tls_ctx *ctx)
{
	check(io->ssl == NULL);
	io->ssl = tls_new(ctx);
	check(SSL_set_fd(io->ssl, io->fd) == 1);
}

int
io_tls_accept(struct io *io, struct tls_ctx *ctx, enum tls_ask ask, uint64_t deadline, struct err *err)
{
	tls_attach(io, ctx);
	tls_ask(io->ssl, ask);
	return handshake(io, SSL_accept, deadline, err);
}

int
io_tls_connect(struct io *io, struct tls_ctx *ctx, const char *name, uint64_t deadline, struct err *err)
{
	long verdict;

	tls_attach(io, ctx);
	if (tls_expect(io->ssl, ctx, name, err) < 0) {
		errno = EPROTO;
		return -1;
	}
	if (handshake(io, SSL_connect, deadline, err) == 0)
		return 0;
	verdict = SSL_get_verify_result(io->ssl);
	if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH)
		err_set(err, "TLS handshake: the certificate is not for %s", name);
	return -1;
}

struct tls_peer *
io_tls_peer(const struct io *io)
{
	return io->ssl != NULL ? tls_peer_new(io->ssl) : NULL;
}

bool
io_is_tls(const struct io *io)
{
	return io->ssl != NULL;
}

const char *
io_tls_version(const struct io *io)
{
	return io->ssl != NULL ? SSL_get_version(io->ssl) : NULL;
}

const char *
io_tls_cipher(const struct io *io)
{
	return io->ssl != NULL ? SSL_get_cipher_name(io->ssl) : NULL;
}

int
io_tls_bits(const struct io *io)
{
	return io->ssl != NULL ? SSL_get_cipher_bits(io->ssl, NULL) : 0;
}
