/* SPDX-License-Identifier: MIT */
#include "mail/dsn.h"

#include "mail/header.h"
#include "mail/mime.h"
#include "mail/params.h"
#include "mail/reply.h"
#include "mail/utf8.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

enum { VALUE_MAX = 900, LINE_WIDTH = 76, BOUNDARY_TEXT = 72 };

/* What a person can do about a status, by what follows its class. */
static const struct hint {
	const char *prefix, *text;
} hints[] = {
	{ ".1.8", "Your own address was not accepted as a sender there." },
	{ ".1.", "Please check the spelling of the address." },
	{ ".2.2", "The mailbox is full; please try again later." },
	{ ".2.3", "The message is too large for this recipient." },
	{ ".2.", "The mailbox does not take mail at present." },
	{ ".3.4", "The message is too large for the receiving system." },
	{ ".4.6", "The message went round in circles; the postmaster of the recipient's domain can help." },
	{ ".4.7", "It could not be delivered in time; please try again later." },
	{ ".7.", "It was refused by the rules of the receiving system; its postmaster can tell why." },
};

/* ---- text that cannot break out of where it is put ---- */

/* At most VALUE_MAX octets of printable ASCII. */
static void
add_clean(struct buf *out, const char *s, size_t n)
{
	char *p = buf_reserve(out, VALUE_MAX);
	size_t i;

	for (i = 0; i < n && i < VALUE_MAX; i++)
		p[i] = s[i] >= ' ' && s[i] <= '~' ? s[i] : s[i] == '\t' ? ' ' : '?';
	out->len += i;
}

static void
adds_clean(struct buf *out, const char *s)
{
	add_clean(out, s, strlen(s));
}

/* Cleaned words of S, broken between them; lines after the first begin with INDENT. COLUMN: where we are. */
static void
add_words(struct buf *out, size_t column, const char *indent, const char *s)
{
	size_t word, used = 0;

	for (;;) {
		s += strspn(s, " \t\r\n");
		word = strcspn(s, " \t\r\n");
		if (word == 0 || used >= VALUE_MAX)
			return;
		if (word > VALUE_MAX - used)
			word = VALUE_MAX - used;
		if (used > 0 && column + 1 + word > LINE_WIDTH) {
			buf_adds(out, "\r\n");
			buf_adds(out, indent);
			column = strlen(indent);
		} else if (used > 0) {
			buf_addc(out, ' ');
			column++;
		}
		add_clean(out, s, word);
		column += word;
		used += word;
		s += word;
	}
}

static void
add_date(struct buf *out, const char *name, int64_t when)
{
	char text[40];

	if (when == 0)
		return;
	clock_rfc5322(when, text, sizeof text);
	buf_printf(out, "%s: %s\r\n", name, text);
}

/* An address behind its type. Beyond ASCII it is a utf-8-addr-xtext (RFC 6533 3). */
static void
add_typed_address(struct buf *out, const char *address)
{
	size_t n = strlen(address), i, len, start = out->len;
	uint32_t cp;

	for (i = 0; i < n && (unsigned char)address[i] < 128; i++)
		;
	if (i == n) {
		buf_adds(out, "rfc822; ");
		add_clean(out, address, n);
		return;
	}
	buf_adds(out, "utf-8; ");
	for (i = 0; i < n && out->len - start < VALUE_MAX; i += len) {
		len = utf8_next(address + i, n - i, &cp);
		if (len > 1) {
			buf_printf(out, "\\x{%X}", cp);
		} else {
			len = 1;
			add_clean(out, address + i, 1);
		}
	}
}

/* ---- statuses ---- */

static bool
is_smtp_reply(const char *s)
{
	return s[0] >= '2' && s[0] <= '5' && ascii_is_digit(s[1]) && ascii_is_digit(s[2]) &&
	    (s[3] == '\0' || s[3] == ' ');
}

void
dsn_status(const char *reply, enum dsn_action action, char out[DSN_STATUS_TEXT])
{
	size_t len = 0;

	memcpy(out, action == DSN_DELAYED ? "4.0.0" : "5.0.0", 6);
	if (reply == NULL || !is_smtp_reply(reply) || reply[0] < '4')
		return;
	if (reply[3] == ' ')
		len = reply_enhanced_length(reply + 4, strlen(reply + 4), reply[0] - '0');
	if (len > 0) {
		memcpy(out, reply + 4, len);
		out[len] = '\0';
	}
	/* What is only delayed has not failed for good, whatever was said (5xx to a greeting, for one). */
	out[0] = action == DSN_DELAYED ? '4' : reply[0];
}

static void
status_of(const struct dsn *d, const struct dsn_recipient *r, char out[DSN_STATUS_TEXT])
{
	size_t len = r->status != NULL ? strlen(r->status) : 0;

	if (len > 0 && len < DSN_STATUS_TEXT)
		memcpy(out, r->status, len + 1);
	else
		dsn_status(r->reply, d->action, out);
}

/* ---- the parts ---- */

/* The original's Message-ID, so that mail programs show the report beside it. */
static void
add_references(struct buf *out, const struct dsn *d)
{
	struct header_field f;
	char id[256];
	size_t n, i;

	if (!header_find(d->content, d->content_len, "Message-ID", &f) || f.value_len >= sizeof id)
		return;
	n = header_unfold(&f, id, sizeof id);
	if (n < 3 || id[0] != '<' || id[n - 1] != '>')
		return;
	for (i = 1; i < n - 1; i++) {
		if (id[i] <= ' ' || id[i] > '~' || id[i] == '<' || id[i] == '>')
			return;
	}
	buf_printf(out, "In-Reply-To: %s\r\nReferences: %s\r\n", id, id);
}

static void
add_header(struct buf *out, const struct dsn *d, const char *boundary)
{
	add_date(out, "Date", d->now);
	buf_printf(out, "From: \"Mail Delivery System\" <MAILER-DAEMON@%s>\r\nTo: <", d->hostname);
	adds_clean(out, d->to);
	buf_printf(out, ">\r\nSubject: %s\r\nMessage-ID: <%s@%s>\r\n",
	    d->action == DSN_DELAYED ? "Your message is delayed" : "Your message could not be delivered", d->id,
	    d->hostname);
	add_references(out, d);
	buf_printf(out,
	    "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"%s\"\r\n"
	    "\r\n"
	    "This is a delivery report in MIME format.\r\n",
	    boundary);
}

static void
add_explanation(struct buf *out, const struct dsn *d, const struct dsn_recipient *r)
{
	char status[DSN_STATUS_TEXT];
	size_t i;

	status_of(d, r, status);
	buf_adds(out, "  <");
	adds_clean(out, r->address);
	buf_adds(out, ">\r\n");
	if (r->reply != NULL && *r->reply != '\0') {
		buf_adds(out, "    ");
		if (r->peer != NULL && is_smtp_reply(r->reply)) {
			adds_clean(out, r->peer);
			buf_adds(out, " said:\r\n    ");
		}
		add_words(out, 4, "    ", r->reply);
		buf_adds(out, "\r\n");
	}
	for (i = 0; i < sizeof hints / sizeof *hints; i++) {
		if (!str_starts(status + 1, hints[i].prefix))
			continue;
		buf_adds(out, "    ");
		add_words(out, 4, "    ", hints[i].text);
		buf_adds(out, "\r\n");
		break;
	}
	buf_adds(out, "\r\n");
}

static void
add_text_part(struct buf *out, const struct dsn *d, const char *boundary)
{
	unsigned i;

	buf_printf(out, "\r\n--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", boundary);
	buf_printf(out, "This is the mail gateway at %s.\r\n\r\n", d->hostname);
	buf_adds(out, d->action == DSN_DELAYED ? "Your message has not been delivered yet to:\r\n\r\n" :
	    "Your message could not be delivered to:\r\n\r\n");
	for (i = 0; i < d->count; i++)
		add_explanation(out, d, &d->rcpt[i]);
	if (d->action == DSN_DELAYED) {
		buf_adds(out, "This is only a warning: you need not send the message again.\r\n");
		add_date(out, "Delivery will be tried until", d->retry_until);
	} else {
		buf_adds(out, "Delivery will not be tried again.\r\n");
	}
	if (d->original_id != NULL) {
		buf_adds(out, "If you ask your postmaster for help, please give this number: ");
		adds_clean(out, d->original_id);
		buf_adds(out, "\r\n");
	}
}

/* "192.0.2.1:25" and "[2001:db8::1]:25" as RFC 5321 literals; host names without their port. */
static void
add_mta_name(struct buf *out, const char *peer)
{
	size_t n;
	bool bracket;

	if (str_starts(peer, "lmtp:"))
		peer += 5;
	n = strcspn(peer, ":");
	bracket = peer[0] == '[' || strchr(peer + n + (peer[n] == ':'), ':') != NULL;
	if (str_starts(peer, "unix:")) {
		buf_adds(out, "x-local; ");
		adds_clean(out, peer);
		return;
	}
	buf_adds(out, "dns; ");
	if (bracket) {
		peer += peer[0] == '[';
		n = strcspn(peer, "]");
		buf_adds(out, memchr(peer, ':', n) != NULL && !str_starts(peer, "IPv6:") ? "[IPv6:" : "[");
	} else if (n > 0 && strspn(peer, "0123456789.") >= n) {
		buf_addc(out, '[');
		bracket = true;
	}
	add_clean(out, peer, n);
	if (bracket)
		buf_addc(out, ']');
}

static void
add_xtext(struct buf *out, const char *s)
{
	size_t n = strlen(s), start;
	char *p = buf_reserve(out, n + 1);
	long len = xtext_decode(s, n, p), i;

	start = out->len;
	for (i = 0; i < len && i < VALUE_MAX; i++)
		p[i] = p[i] >= ' ' && p[i] <= '~' ? p[i] : '?';
	out->len = start + (size_t)i;
}

/* RFC 3464 2.3, in its order. */
static void
add_recipient(struct buf *out, const struct dsn *d, const struct dsn_recipient *r)
{
	char status[DSN_STATUS_TEXT];
	const char *semicolon = r->orcpt != NULL ? strchr(r->orcpt, ';') : NULL;

	status_of(d, r, status);
	buf_adds(out, "\r\n");
	if (semicolon != NULL) {
		buf_adds(out, "Original-Recipient: ");
		add_clean(out, r->orcpt, (size_t)(semicolon - r->orcpt));
		buf_adds(out, "; ");
		add_xtext(out, semicolon + 1);
		buf_adds(out, "\r\n");
	}
	buf_adds(out, "Final-Recipient: ");
	add_typed_address(out, r->address);
	buf_printf(out, "\r\nAction: %s\r\nStatus: ", d->action == DSN_DELAYED ? "delayed" : "failed");
	adds_clean(out, status);
	buf_adds(out, "\r\n");
	if (r->peer != NULL) {
		buf_adds(out, "Remote-MTA: ");
		add_mta_name(out, r->peer);
		buf_adds(out, "\r\n");
	}
	if (r->reply != NULL && *r->reply != '\0') {
		buf_adds(out, is_smtp_reply(r->reply) ? "Diagnostic-Code: smtp; " : "Diagnostic-Code: x-tmail; ");
		add_words(out, 24, " ", r->reply);
		buf_adds(out, "\r\n");
	}
	add_date(out, "Last-Attempt-Date", r->last_attempt);
	if (d->action == DSN_DELAYED)
		add_date(out, "Will-Retry-Until", d->retry_until);
}

static void
add_status_part(struct buf *out, const struct dsn *d, const char *boundary)
{
	unsigned i;

	buf_printf(out, "\r\n--%s\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; %s\r\n", boundary,
	    d->hostname);
	if (d->envid != NULL) {
		buf_adds(out, "Original-Envelope-Id: ");
		add_xtext(out, d->envid);
		buf_adds(out, "\r\n");
	}
	add_date(out, "Arrival-Date", d->arrival);
	for (i = 0; i < d->count; i++)
		add_recipient(out, d, &d->rcpt[i]);
}

/* ---- what is returned of the original ---- */

/* Octets of whole header fields that fit. Where only the message's beginning is at hand its last field may be cut. */
static size_t
headers_length(const struct dsn *d)
{
	struct header_field f;
	size_t at = 0, fit = 0;

	while (header_next(d->content, d->content_len, &at, &f)) {
		if (at > DSN_HEADERS_MAX || (at == d->content_len && d->content_len < d->content_size))
			break;
		fit = at;
	}
	return fit;
}

static void
add_original_part(struct buf *out, const struct dsn *d, const char *boundary)
{
	bool full = d->full && d->action == DSN_FAILED && d->content_len == d->content_size &&
	    d->content_len <= DSN_FULL_MAX && mime_is_plain(d->content, d->content_len);
	size_t n = full ? d->content_len : headers_length(d);

	buf_printf(out, "\r\n--%s\r\nContent-Type: %s\r\n", boundary, full ? "message/rfc822" : "text/rfc822-headers");
	if (mime_is_plain(d->content, n)) {
		buf_adds(out, "\r\n");
		buf_add(out, d->content, n);
	} else {
		buf_adds(out, "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
		mime_add_quoted_printable(out, d->content, n);
	}
}

/* A line that nothing we return contains. What we write ourselves never begins a line with "--". */
static void
choose_boundary(const struct dsn *d, char out[BOUNDARY_TEXT])
{
	unsigned n = 0;

	do {
		snprintf(out, BOUNDARY_TEXT, "=_%.40s_%u", d->id, n++);
	} while (d->content_len > 0 && memmem(d->content, d->content_len, out, strlen(out)) != NULL);
}

void
dsn_build(struct buf *out, const struct dsn *d)
{
	char boundary[BOUNDARY_TEXT];

	choose_boundary(d, boundary);
	add_header(out, d, boundary);
	add_text_part(out, d, boundary);
	add_status_part(out, d, boundary);
	add_original_part(out, d, boundary);
	buf_printf(out, "\r\n--%s--\r\n", boundary);
}
