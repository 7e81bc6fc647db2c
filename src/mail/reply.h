/* SPDX-License-Identifier: MIT */
/* SMTP replies: those we write, and those a next hop sends, which are never trusted. */
#ifndef TMAIL_MAIL_REPLY_H
#define TMAIL_MAIL_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* ---- writing ---- */

/* Appends a reply of as many lines as TEXT has ('\n' between them): "550-5.1.1 one\r\n550 5.1.1 two\r\n". ENHANCED
 * may be NULL (greeting, EHLO, 354). Control characters and bytes above 127 become '?', and lines are cut so that
 * they keep to 512 octets (RFC 5321 4.5.3.1.5): TEXT may hold what a peer sent. */
void reply_add(struct buf *out, int code, const char *enhanced, const char *text);
void reply_addf(struct buf *out, int code, const char *enhanced, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- reading ---- */

enum {
	REPLY_READ_MAX = 65536, /* octets of a whole reply, then it is rubbish */
	REPLY_TEXT_MAX = 1024,  /* octets kept of it, terminator included */
	REPLY_LINES_MAX = 48    /* lines that can be looked at one by one */
};

enum reply_state {
	REPLY_MORE = 0, /* not complete */
	REPLY_DONE,     /* code, enhanced and text are set */
	REPLY_BAD,      /* not SMTP, or over REPLY_READ_MAX: close the connection, treat as temporary */
};

/* Fields are valid when the state is REPLY_DONE; `text` also when it is REPLY_BAD, for the log. */
struct reply {
	enum reply_state state;
	int code;          /* 200 to 599, the last line's; lines of different classes (250- then 550) make it 451 */
	bool mixed;        /* lines had different codes */
	char enhanced[12]; /* "5.1.1" where the first line has one of the code's class (RFC 2034), else "" */
	size_t len;
	char text[REPLY_TEXT_MAX]; /* "550 5.1.1 No such user; second line": one line of printable ASCII, the code and
	                            * status of the first line in front, lines joined by "; ", terminated */
	unsigned lines;            /* in all; only the first REPLY_LINES_MAX are in line[]. 0 where classes differ */
	struct {
		uint16_t off, len;     /* of its text, without the codes, in text[] */
	} line[REPLY_LINES_MAX];

	/* the parser's */
	int line_code;
	char separator;
	bool cr, classes_differ;
	unsigned column;
	uint32_t read;
	size_t mark, start; /* of the current line in text[]: before its separator, of its text */
};

/* Ready for the next reply. */
void reply_init(struct reply *r);

/* Feeds what was received. *USED tells how many octets belong to this reply: what follows is the next one's.
 * Accepts lines without text, lines over 512 octets (cut), and a lone LF as line end. */
enum reply_state reply_feed(struct reply *r, const char *p, size_t n, size_t *used);

/* 2 to 5, the class of the code. */
int reply_class(const struct reply *r);

/* EHLO keywords of a parsed 250: *AT begins at 0; false at the end. Slices of r->text. */
struct ehlo_keyword {
	const char *name, *args;
	size_t name_len, args_len;
};
bool reply_ehlo_next(const struct reply *r, unsigned *at, struct ehlo_keyword *out);

/* By name in either case; OUT may be NULL. */
bool reply_ehlo_find(const struct reply *r, const char *name, struct ehlo_keyword *out);

/* The RFC 3463 status at the start of S ("5.1.1 No such user"): its length when it is one and its class is CLASS,
 * else 0. */
size_t reply_enhanced_length(const char *s, size_t n, int class);

#endif
