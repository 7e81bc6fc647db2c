/* SPDX-License-Identifier: MIT */
/* What a client has sent and nobody has looked at yet, and the command lines in it.
 *
 * A session that waits holds no buffer of its own but for the few bytes of a partial line; while it is served the
 * bytes lie in a buffer borrowed from its loop. */
#ifndef TMAIL_SMTP_INPUT_H
#define TMAIL_SMTP_INPUT_H

#include <stdbool.h>
#include <stddef.h>

enum {
	/* Octets of a command line with its CRLF. RFC 5321 4.5.3.1.4 asks for 512; MAIL and RCPT grow by what the
	 * parameters of extensions add (RFC 1870, 3461, 4954), so that the limit for these is higher. */
	INPUT_LINE_MAX = 2048,

	/* Octets of a line that is being thrown away; a client that sends more than this is let go. */
	INPUT_SKIP_MAX = 1 << 20,
};

/* Zeroed memory is an empty input. */
struct input {
	char *data;     /* bytes [pos, len) are waiting */
	size_t pos, len;
	size_t cap;     /* of a borrowed buffer; 0: data is our own allocation, or NULL */
	size_t line_max; /* longest line with its CRLF; 0: INPUT_LINE_MAX. A borrowed buffer holds more */
	size_t skipped; /* octets of an overlong line thrown away so far; 0: no such line */
};

/* Releases what is ours. */
void input_fini(struct input *in);

/* Lays the waiting bytes into BUFFER (CAP bytes, more than a line may have), so that more can be received behind
 * them. The bytes must fit, which they do after input_line() said INPUT_MORE; see input_fits(). */
void input_borrow(struct input *in, char *buffer, size_t cap);
bool input_fits(const struct input *in, size_t cap);

/* The borrowed buffer goes back to its owner: waiting bytes move into an allocation of their own. */
void input_park(struct input *in);

/* Room behind the waiting bytes of a borrowed buffer, and what was put there. */
char *input_room(struct input *in, size_t *room);
void input_filled(struct input *in, size_t n);

/* Bytes received elsewhere that belong here; nothing else may be waiting. */
void input_unread(struct input *in, const char *p, size_t n);

static inline size_t
input_waiting(const struct input *in)
{
	return in->len - in->pos;
}

enum input_line {
	INPUT_MORE = 0, /* no whole line is there */
	INPUT_LINE,     /* *LINE, without its CRLF, valid until the input changes */
	INPUT_TOO_LONG, /* a line that is too long has ended; none of it is kept */
	INPUT_BARE_LF,  /* a line ends with LF alone: nothing behind it can be trusted to be a command */
	INPUT_FLOOD,    /* a line went on beyond INPUT_SKIP_MAX */
};

enum input_line input_line(struct input *in, const char **line, size_t *n);

#endif
