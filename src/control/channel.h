/* SPDX-License-Identifier: MIT */
/* How supervisor and worker talk: messages over a pair of sockets, each with a text and at most one descriptor. What
 * takes privileges the supervisor does, and hands over: a changed configuration is
 *
 *	CHANNEL_LISTEN  a socket, TEXT its address       for each address that is new
 *	CHANNEL_LOG     where lines go, TEXT how         always: the file was opened again
 *	CHANNEL_KEYS    certificates and keys            net/keyring.h, as keyring_encode() writes them
 *	CHANNEL_FILES   what the configuration consists of; TEXT is its path
 *	CHANNEL_APPLY   serial: all this is in force now, all or nothing
 *
 * and the worker says CHANNEL_APPLIED or CHANNEL_REFUSED with that serial. Keys that were renewed come by themselves:
 * CHANNEL_KEYS and CHANNEL_APPLY, without files. Only one change is under way at a time: control/reload.h sees to it. */
#ifndef TMAIL_CONTROL_CHANNEL_H
#define TMAIL_CONTROL_CHANNEL_H

#include "util/buf.h"
#include "util/err.h"

#include <stddef.h>
#include <stdint.h>

enum channel_kind {
	/* supervisor to worker */
	CHANNEL_LISTEN = 1,
	CHANNEL_LOG,
	CHANNEL_KEYS,
	CHANNEL_FILES,
	CHANNEL_APPLY,
	CHANNEL_ANSWER,  /* to CHANNEL_RELOAD, with its serial; TEXT: "applied" or "refused", then a line a remark */
	/* worker to supervisor */
	CHANNEL_READY,   /* serves */
	CHANNEL_RELOAD,  /* an administrator asks for a reload */
	CHANNEL_APPLIED, /* TEXT: remarks, a line each */
	CHANNEL_REFUSED, /* nothing has changed; TEXT: why */
};

enum { CHANNEL_TEXT = 65536 };

struct channel_message {
	enum channel_kind kind;
	uint32_t serial;
	int fd;      /* the receiver's to close; -1: none */
	size_t len;
	char text[CHANNEL_TEXT + 1]; /* terminated */
};

/* Two ends, non-blocking, closed on exec. */
int channel_open(int end[2], struct err *err);

/* Any thread. TEXT is cut at CHANNEL_TEXT; FD -1: none. -1: the other end is gone, or does not take it. */
int channel_send(int end, enum channel_kind kind, uint32_t serial, const char *text, int fd, struct err *err);

/* As channel_send(), with the bytes of DATA in a sealed file of memory as the descriptor; channel_data() reads it. */
int channel_send_data(int end, enum channel_kind kind, const char *text, const struct buf *data, struct err *err);
int channel_data(int fd, struct buf *out, struct err *err);

/* 1: a message; 0: none now; -1: the other end is gone. */
int channel_receive(int end, struct channel_message *m);

#endif
