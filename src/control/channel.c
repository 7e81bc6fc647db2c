/* SPDX-License-Identifier: MIT */
#include "control/channel.h"
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* A busy worker may take its time, a stuck one must not take the supervisor with it. */
enum { PATIENCE_MS = 5000, ROOM = 1 << 20, DATA_MAX = 1 << 30 };

struct head {
	uint32_t kind, serial;
};

int
channel_open(int end[2], struct err *err)
{
	int i, room = ROOM;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, end) < 0)
		return err_sys(err, "cannot make a pair of sockets");
	for (i = 0; i < 2; i++)
		setsockopt(end[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	return 0;
}

static ssize_t
send_patiently(int end, const struct msghdr *msg)
{
	struct pollfd p = { .fd = end, .events = POLLOUT };
	ssize_t n;

	for (;;) {
		n = sendmsg(end, msg, MSG_NOSIGNAL);
		if (n >= 0 || (errno != EINTR && errno != EAGAIN))
			return n;
		if (errno == EAGAIN && poll(&p, 1, PATIENCE_MS) == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
	}
}

int
channel_send(int end, enum channel_kind kind, uint32_t serial, const char *text, int fd, struct err *err)
{
	struct head head = { kind, serial };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec part[2] = { { &head, sizeof head }, { (char *)(uintptr_t)text, strlen(text) } };
	struct msghdr msg = { .msg_iov = part, .msg_iovlen = 2 };
	struct cmsghdr *c;

	if (part[1].iov_len > CHANNEL_TEXT)
		part[1].iov_len = CHANNEL_TEXT;
	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof control;
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	if (send_patiently(end, &msg) < 0)
		return err_sys(err, "cannot tell the other process");
	return 0;
}

int
channel_send_data(int end, enum channel_kind kind, const char *text, const struct buf *data, struct err *err)
{
	int rc, fd = memfd_create("tmail", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_sys(err, "cannot make a file of memory");
	rc = file_write_all(fd, data->data, data->len, err);
	if (rc == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		rc = err_sys(err, "cannot seal a file of memory");
	if (rc == 0)
		rc = channel_send(end, kind, 0, text, fd, err);
	close(fd);
	return rc;
}

int
channel_data(int fd, struct buf *out, struct err *err)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0 || st.st_size > DATA_MAX)
		return err_set(err, "what was handed over cannot be read");
	n = st.st_size == 0 ? 0 : pread(fd, buf_reserve(out, (size_t)st.st_size), (size_t)st.st_size, 0);
	if (n != st.st_size)
		return err_set(err, "what was handed over is cut short");
	out->len += (size_t)n;
	return 0;
}

int
channel_receive(int end, struct channel_message *m)
{
	struct head head;
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part[2] = { { &head, sizeof head }, { m->text, CHANNEL_TEXT } };
	struct msghdr msg = { .msg_iov = part, .msg_iovlen = 2, .msg_control = &control,
		.msg_controllen = sizeof control };
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(end, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < (ssize_t)sizeof head)
		return -1;
	m->kind = head.kind;
	m->serial = head.serial;
	m->fd = -1;
	m->len = (size_t)n - sizeof head;
	m->text[m->len] = '\0';
	c = CMSG_FIRSTHDR(&msg);
	if (c != NULL && c->cmsg_type == SCM_RIGHTS)
		memcpy(&m->fd, CMSG_DATA(c), sizeof m->fd);
	return 1;
}
