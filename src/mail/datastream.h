/* SPDX-License-Identifier: MIT */
/* The bytes of a message as they come, decoded where they lie and watched on their way: behind DATA with dots unstuffed
 * and the end found, behind BDAT (RFC 3030) as they are, for somebody else counts them.
 *
 * Line ends are strict for every client: only CRLF ends a line and only CRLF "." CRLF ends the message (RFC 5321
 * 4.1.1.4). A bare CR, bare LF or NUL is flagged; such a message is read to its real end and then refused. */
#ifndef TMAIL_MAIL_DATASTREAM_H
#define TMAIL_MAIL_DATASTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum datastream_flag {
	DATA_BARE_CR = 1 << 0,
	DATA_BARE_LF = 1 << 1,
	DATA_NUL = 1 << 2,
	DATA_LINE_TOO_LONG = 1 << 3,   /* a line over limits.line */
	DATA_HEADER_TOO_BIG = 1 << 4,  /* header section over limits.header */
	DATA_TOO_MANY_HOPS = 1 << 5,   /* more Received fields than limits.hops: 5.4.6 */
	DATA_8BIT = 1 << 6,            /* a byte above 127 */
	DATA_DOTS = 1 << 7,            /* a line as stored begins with a dot: stuff while sending */
	DATA_LONG_LINE = 1 << 8,       /* a line over 998 octets (RFC 5322 2.1.1): relayed whole */

	/* with any of these the message is refused with a 5xx; its bytes need not be kept */
	DATA_REFUSED = DATA_BARE_CR | DATA_BARE_LF | DATA_NUL | DATA_LINE_TOO_LONG | DATA_HEADER_TOO_BIG |
	    DATA_TOO_MANY_HOPS
};

/* 0: no limit. */
struct datastream_limits {
	uint64_t line;   /* octets of a line without its CRLF; below 998 it means 998 */
	uint64_t header; /* octets of the header section */
	uint32_t hops;
};

struct datastream {
	bool ended;
	uint32_t flags;        /* enum datastream_flag */
	uint32_t received;     /* Received fields in the header section */
	uint64_t size;         /* octets kept so far: the message as stored */
	uint64_t header_size;  /* of them the header section, with the empty line that ends it */
	bool header_ended;     /* header_size is final: an empty line, or a line that is no header field, was seen */
	uint64_t longest;      /* octets of the longest line so far, without CRLF */
	uint64_t long_lines;   /* lines over 998 octets */

	bool chunked;          /* BDAT: set after datastream_init(); a dot is nothing special */

	/* the decoder's */
	struct datastream_limits limits;
	unsigned char state;
	bool cr;               /* the last byte was a CR */
	unsigned char field;   /* where in a header line we are */
	unsigned char name_len;
	char name[8];
	uint64_t line;         /* octets of the current line so far */
};

void datastream_init(struct datastream *d, const struct datastream_limits *limits);

/* Decodes DATA[0..N) in place: the message's bytes are moved to the start of DATA and their number returned. *USED
 * tells how many octets were consumed: all N, or up to the end of the message (d->ended), behind which the next
 * command begins; those bytes are left where they were. Any splitting of the same input gives the same result. */
size_t datastream_feed(struct datastream *d, char *data, size_t n, size_t *used);

/* Chunked: the last octet has been fed. A CR at the end is a bare one. */
void datastream_end(struct datastream *d);

/* Does any line of a stored message begin with a dot? For messages made here. */
bool datastream_has_dots(const char *data, size_t n);

#endif
