/* SPDX-License-Identifier: MIT */
#include "mail/dsn.h"

#include "mail/dsn_private.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/params.h"
#include "mail/utf8.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
add_header(struct buf *out, const struct dsn_report *r)
{
	const struct dsn *d = r->d;

	dsn_add_date(out, "Date", d->now);
	buf_printf(out, "From: \"Mail Delivery System\" <MAILER-DAEMON@%s>\r\nTo: <", d->hostname);
	dsn_adds_clean(out, r, d->to);
	buf_printf(out, ">\r\nSubject: %s\r\nMessage-ID: <%s@%s>\r\n", dsn_subject(d), d->id, d->hostname);
	add_references(out, d);
	buf_printf(out,
	    "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"%s\"\r\n"
	    "\r\n"
	    "This is a delivery report in MIME format.\r\n",
	    r->boundary);
}

/* A part of the report. What is not plain goes out encoded, unless the report may be 8-bit and this is good UTF-8. */
static void
add_part(struct buf *out, const struct dsn_report *r, const char *type, const char *body, size_t n)
{
	buf_printf(out, "\r\n--%s\r\nContent-Type: %s\r\n", r->boundary, type);
	if (mime_is_plain(body, n)) {
		buf_adds(out, "\r\n");
		buf_add(out, body, n);
	} else if (r->raw && mime_is_8bit(body, n) && utf8_valid(body, n)) {
		buf_adds(out, "Content-Transfer-Encoding: 8bit\r\n\r\n");
		buf_add(out, body, n);
	} else {
		buf_adds(out, "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
		mime_add_quoted_printable(out, body, n);
	}
}

static void
add_text_part(struct buf *out, const struct dsn_report *r)
{
	struct buf body = { 0 };

	dsn_add_text(&body, r);
	add_part(out, r, r->utf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", body.data, body.len);
	buf_fini(&body);
}

/* "192.0.2.1:25" and "[2001:db8::1]:25" as RFC 5321 literals; host names without address and port. */
static void
add_mta_name(struct buf *out, const struct dsn_report *r, const char *peer)
{
	size_t n;
	bool bracket;

	if (str_starts(peer, "lmtp:"))
		peer += 5;
	n = strcspn(peer, ":[");
	bracket = peer[0] == '[' || (peer[n] == ':' && strchr(peer + n + 1, ':') != NULL);
	if (str_starts(peer, "unix:")) {
		buf_adds(out, "x-local; ");
		dsn_adds_clean(out, r, peer);
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
	dsn_add_clean(out, r, peer, n);
	if (bracket)
		buf_addc(out, ']');
}

/* The address of an ORCPT: xtext, which RFC 6533 lets be UTF-8 too. Its "utf-8" type has an encoding of its own. */
static void
add_xtext(struct buf *out, const struct dsn_report *r, const char *s)
{
	size_t n = strlen(s);
	char *p = xmalloc(n + 1);
	long len = xtext_decode(s, n, p);

	if (len >= 0)
		dsn_add_clean(out, r, p, (size_t)len);
	else
		dsn_add_clean(out, r, s, n);
	free(p);
}

static void
add_original_recipient(struct buf *out, const struct dsn_report *r, const char *orcpt)
{
	const char *semicolon = orcpt != NULL ? strchr(orcpt, ';') : NULL;

	if (semicolon == NULL)
		return;
	buf_adds(out, "Original-Recipient: ");
	dsn_add_clean(out, r, orcpt, (size_t)(semicolon - orcpt));
	buf_adds(out, "; ");
	add_xtext(out, r, semicolon + 1);
	buf_adds(out, "\r\n");
}

static const char *
action_name(enum dsn_action action)
{
	static const char *const names[] = { [DSN_FAILED] = "failed", [DSN_DELAYED] = "delayed",
		[DSN_RELAYED] = "relayed", [DSN_DELIVERED] = "delivered" };

	return names[action];
}

/* RFC 3464 2.3, in its order. */
static void
add_recipient(struct buf *out, const struct dsn_report *report, const struct dsn_recipient *r)
{
	const struct dsn *d = report->d;
	enum dsn_action action = dsn_action_of(d, r);
	char status[DSN_STATUS_TEXT];

	dsn_status_of(d, r, status);
	buf_adds(out, "\r\n");
	add_original_recipient(out, report, r->orcpt);
	buf_adds(out, utf8_is_ascii(r->address) ? "Final-Recipient: rfc822; " : "Final-Recipient: utf-8; ");
	dsn_adds_clean(out, report, r->address);
	buf_printf(out, "\r\nAction: %s\r\nStatus: ", action_name(action));
	dsn_adds_clean(out, report, status);
	buf_adds(out, "\r\n");
	if (r->peer != NULL) {
		buf_adds(out, "Remote-MTA: ");
		add_mta_name(out, report, r->peer);
		buf_adds(out, "\r\n");
	}
	if (r->reply != NULL && *r->reply != '\0') {
		buf_adds(out, dsn_is_smtp_reply(r->reply) ? "Diagnostic-Code: smtp; " : "Diagnostic-Code: x-tmail; ");
		dsn_add_words(out, report, 24, " ", r->reply);
		buf_adds(out, "\r\n");
	}
	dsn_add_date(out, "Last-Attempt-Date", r->last_attempt);
	if (action == DSN_DELAYED)
		dsn_add_date(out, "Will-Retry-Until", d->retry_until);
}

static void
add_status_part(struct buf *out, const struct dsn_report *r)
{
	const struct dsn *d = r->d;
	struct buf body = { 0 };
	unsigned i;

	buf_printf(&body, "Reporting-MTA: dns; %s\r\n", d->hostname);
	if (d->envid != NULL) {
		buf_adds(&body, "Original-Envelope-Id: ");
		add_xtext(&body, r, d->envid);
		buf_adds(&body, "\r\n");
	}
	dsn_add_date(&body, "Arrival-Date", d->arrival);
	for (i = 0; i < d->count; i++)
		add_recipient(&body, r, &d->rcpt[i]);
	add_part(out, r, r->utf8 ? "message/global-delivery-status" : "message/delivery-status", body.data, body.len);
	buf_fini(&body);
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

/* RFC 3461 4.3: the whole message goes with failures only. */
static bool
returns_all(const struct dsn *d)
{
	unsigned i;

	if (!d->full || d->content_len != d->content_size || d->content_len > DSN_FULL_MAX)
		return false;
	for (i = 0; i < d->count; i++)
		if (dsn_action_of(d, &d->rcpt[i]) == DSN_FAILED)
			return true;
	return false;
}

/* A message/rfc822 may not be encoded (RFC 2046 5.2.1), message/global may (RFC 6532 3.7). */
static void
add_original_part(struct buf *out, const struct dsn_report *r)
{
	const struct dsn *d = r->d;
	size_t headers = headers_length(d);
	bool global = r->utf8 && !mime_is_plain(d->content, headers) && utf8_valid(d->content, headers);

	if (returns_all(d) && (global || mime_is_plain(d->content, d->content_len)))
		add_part(out, r, global ? "message/global" : "message/rfc822", d->content, d->content_len);
	else
		add_part(out, r, global ? "message/global-headers" : "text/rfc822-headers", d->content, headers);
}

/* A line that nothing we return contains. What we write ourselves never begins a line with "--". */
static void
choose_boundary(const struct dsn *d, char out[DSN_BOUNDARY_TEXT])
{
	unsigned n = 0;

	do {
		snprintf(out, DSN_BOUNDARY_TEXT, "=_%.40s_%u", d->id, n++);
	} while (d->content_len > 0 && memmem(d->content, d->content_len, out, strlen(out)) != NULL);
}

static bool
beyond_ascii(const struct dsn *d)
{
	unsigned i;

	for (i = 0; i < d->count; i++)
		if (!utf8_is_ascii(d->rcpt[i].address) || (d->rcpt[i].orcpt != NULL && !utf8_is_ascii(d->rcpt[i].orcpt)))
			return true;
	return !utf8_is_ascii(d->to);
}

void
dsn_build(struct buf *out, const struct dsn *d)
{
	struct dsn_report r = { .d = d, .utf8 = beyond_ascii(d), .raw = !utf8_is_ascii(d->to) };

	choose_boundary(d, r.boundary);
	add_header(out, &r);
	add_text_part(out, &r);
	add_status_part(out, &r);
	add_original_part(out, &r);
	buf_printf(out, "\r\n--%s--\r\n", r.boundary);
}
