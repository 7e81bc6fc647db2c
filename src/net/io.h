/* SPDX-License-Identifier: MIT */
/* A stream of one loop: a socket, plain or TLS, with deadlines. libevent and OpenSSL stay behind it.
 *
 * Between two uses a stream is idle: plain event state without a task (io_idle()). The waiting calls are for
 * tasks. Deadlines are in loop_now() milliseconds. On failure calls return -1 with errno: ETIMEDOUT (deadline),
 * ECANCELED (task cancelled), EPROTO (TLS broken), or the socket's. */
#ifndef TMAIL_NET_IO_H
#define TMAIL_NET_IO_H

#include "net/addr.h"
#include "net/loop.h"
#include "net/tls.h"
#include "util/err.h"

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct ssl_st;
struct task;

/* Shown so that it can be embedded; callers use no field but fd (read only). */
struct io {
	int fd; /* -1: closed */
	struct ssl_st *ssl;
	struct task *reader, *writer; /* waiting tasks */
	struct event rd, wr;
	struct timer timer; /* of the idle state */
	void (*on_idle)(struct io *io, bool timed_out);
	bool armed;    /* rd is added */
	bool broken;   /* an error was seen: nothing more can be sent */
	bool tls_want_write;
	bool tls_drained; /* what TLS has read ahead is less than a record */
};

/* Takes FD (made non-blocking by the caller, as accept4(SOCK_NONBLOCK) does). */
void io_init(struct io *io, int fd);

/* Closes the socket (with a TLS close_notify where possible, without waiting). Harmless when closed. */
void io_close(struct io *io);

/* Makes the stream idle: FN runs once on the loop's stack, in a moment when bytes can be read (timed_out false)
 * or after DEADLINE. It does what it likes, usually task_start(). Bytes TLS holds already count as readable. */
void io_idle(struct io *io, void (*fn)(struct io *io, bool timed_out), uint64_t deadline);

/* As io_idle(), but bytes that come do not end it: FN runs after DEADLINE, with timed_out true. */
void io_pause(struct io *io, void (*fn)(struct io *io, bool timed_out), uint64_t deadline);

/* Takes the stream out of the idle state without FN being called. */
void io_busy(struct io *io);

/* What is there now, without waiting: > 0 bytes, 0 end of stream, -1 with EAGAIN when nothing is there. */
ssize_t io_recv(struct io *io, void *p, size_t n);

/* As io_recv(), of a plain stream, and leaves the bytes there. */
ssize_t io_peek(struct io *io, void *p, size_t n);

/* In a task: waits for at least one byte. > 0, 0 at the end of stream, -1. */
ssize_t io_read(struct io *io, void *p, size_t n, uint64_t deadline);

/* In a task: waits until io_recv() has something to say; 0 or -1. */
int io_wait_readable(struct io *io, uint64_t deadline);

/* In a task: all of it; 0 or -1. The vector's entries are changed. Tries at once, waits only when the socket is
 * full. */
int io_write(struct io *io, const void *p, size_t n, uint64_t deadline);
int io_writev(struct io *io, struct iovec *v, int count, uint64_t deadline);

/* On any stack, never waits: as much as fits; for a last word (421) before closing. */
ssize_t io_send(struct io *io, const void *p, size_t n);

/* In a task: a connection to TO, from FROM unless NULL. TCP_NODELAY is set. */
int io_connect(struct io *io, const struct addr *to, const struct addr *from, uint64_t deadline, struct err *err);

/* What was received is acknowledged now, not with the next write; not for what comes later. */
void io_quick_ack(struct io *io);

/* A place to connect to, and the address to come from (NULL: the system's choice). */
struct io_target {
	const struct addr *to, *from;
};

enum { IO_TARGETS_MAX = 16 };

/* In a task: a connection to the first of COUNT targets that takes it, in their order: the next one is tried when
 * those before have failed, or after STAGGER ms without an answer beside them (RFC 8305). *CHOSEN is its index. On
 * failure ERR tells of all. */
int io_connect_any(struct io *io, const struct io_target *target, unsigned count, uint64_t stagger, uint64_t deadline,
    unsigned *chosen, struct err *err);

/* In a task: the handshake. Bytes received in plain text must have been discarded by the caller before. */
int io_tls_accept(struct io *io, struct tls_ctx *ctx, enum tls_ask ask, uint64_t deadline, struct err *err);

/* NAME: for SNI and, where CTX verifies, what the certificate has to be for (RFC 6125): a host name, or a numeric
 * address, which is not sent. NULL: none is sent, and a CTX that verifies refuses. */
int io_tls_connect(struct io *io, struct tls_ctx *ctx, const char *name, uint64_t deadline, struct err *err);

bool io_is_tls(const struct io *io);

/* "TLSv1.3", "TLS_AES_256_GCM_SHA384" and the cipher's bits, for Received and logs; NULL and 0 when plain. */
const char *io_tls_version(const struct io *io);
const char *io_tls_cipher(const struct io *io);
int io_tls_bits(const struct io *io);

/* The certificate the peer showed, or NULL; the caller frees it. */
struct tls_peer *io_tls_peer(const struct io *io);

/* True when TLS may have bytes that io_recv() would return at once, though the socket has none. */
bool io_pending(const struct io *io);

#endif
