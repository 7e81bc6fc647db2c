/* SPDX-License-Identifier: MIT */
/* What a report says to people, and text that cannot break out of where it is put. */
#include "mail/dsn_private.h"

#include "mail/reply.h"
#include "mail/utf8.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/str.h"

#include <string.h>

enum { LINE_WIDTH = 76 };

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

/* What a report says about those who share an action, before and behind their list; in the order of importance. */
static const struct section {
	enum dsn_action action;
	const char *subject, *before, *behind;
} sections[] = {
	{ DSN_FAILED, "Your message could not be delivered", "Your message could not be delivered to:",
	    "Delivery will not be tried again." },
	{ DSN_DELAYED, "Your message is delayed", "Your message has not been delivered yet to:",
	    "This is only a warning: you need not send the message again." },
	{ DSN_RELAYED, "Your message was handed on",
	    "As you asked to be told: your message was handed on towards:",
	    "The servers behind do not report deliveries, so that you may hear no more of it." },
	{ DSN_DELIVERED, "Your message was delivered", "As you asked to be told: your message was delivered to:", NULL },
};

/* Octets of the character at S, one where it is none. */
static size_t
character(const char *s, size_t n, bool utf8, bool *clean)
{
	uint32_t cp;
	size_t len;

	*clean = s[0] >= ' ' && s[0] <= '~';
	if ((unsigned char)s[0] < 128 || !utf8)
		return 1;
	len = utf8_next(s, n, &cp);
	*clean = len > 0 && cp >= 0xa0;
	return len > 0 ? len : 1;
}

void
dsn_add_clean(struct buf *out, const struct dsn_report *r, const char *s, size_t n)
{
	char *p = buf_reserve(out, DSN_VALUE_MAX), *begin = p;
	size_t i, len;
	bool clean;

	for (i = 0; i < n; i += len) {
		len = character(s + i, n - i, r->utf8, &clean);
		if ((size_t)(p - begin) + len > DSN_VALUE_MAX)
			break;
		if (clean) {
			memcpy(p, s + i, len);
			p += len;
		} else {
			*p++ = s[i] == '\t' ? ' ' : '?';
		}
	}
	out->len += (size_t)(p - begin);
}

void
dsn_adds_clean(struct buf *out, const struct dsn_report *r, const char *s)
{
	dsn_add_clean(out, r, s, strlen(s));
}

void
dsn_add_words(struct buf *out, const struct dsn_report *r, size_t column, const char *indent, const char *s)
{
	size_t word, used = 0;

	for (;;) {
		s += strspn(s, " \t\r\n");
		word = strcspn(s, " \t\r\n");
		if (word == 0 || used >= DSN_VALUE_MAX)
			return;
		if (word > DSN_VALUE_MAX - used)
			word = DSN_VALUE_MAX - used;
		if (used > 0 && column + 1 + word > LINE_WIDTH) {
			buf_adds(out, "\r\n");
			buf_adds(out, indent);
			column = strlen(indent);
		} else if (used > 0) {
			buf_addc(out, ' ');
			column++;
		}
		dsn_add_clean(out, r, s, word);
		column += word;
		used += word;
		s += word;
	}
}

void
dsn_add_date(struct buf *out, const char *name, int64_t when)
{
	char text[40];

	if (when == 0)
		return;
	clock_rfc5322(when, text, sizeof text);
	buf_printf(out, "%s: %s\r\n", name, text);
}

/* ---- statuses ---- */

bool
dsn_is_smtp_reply(const char *s)
{
	return s[0] >= '2' && s[0] <= '5' && ascii_is_digit(s[1]) && ascii_is_digit(s[2]) &&
	    (s[3] == '\0' || s[3] == ' ');
}

void
dsn_status(const char *reply, enum dsn_action action, char out[DSN_STATUS_TEXT])
{
	bool good = action == DSN_RELAYED || action == DSN_DELIVERED;
	size_t len = 0;

	memcpy(out, good ? "2.0.0" : action == DSN_DELAYED ? "4.0.0" : "5.0.0", 6);
	if (reply == NULL || !dsn_is_smtp_reply(reply) || (good ? reply[0] != '2' : reply[0] < '4'))
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

void
dsn_status_of(const struct dsn *d, const struct dsn_recipient *r, char out[DSN_STATUS_TEXT])
{
	size_t len = r->status != NULL ? strlen(r->status) : 0;

	if (len > 0 && len < DSN_STATUS_TEXT)
		memcpy(out, r->status, len + 1);
	else
		dsn_status(r->reply, dsn_action_of(d, r), out);
}

/* ---- the text ---- */

static bool
has_action(const struct dsn *d, enum dsn_action action)
{
	unsigned i;

	for (i = 0; i < d->count; i++)
		if (dsn_action_of(d, &d->rcpt[i]) == action)
			return true;
	return false;
}

const char *
dsn_subject(const struct dsn *d)
{
	size_t i;

	for (i = 0; i < sizeof sections / sizeof *sections; i++)
		if (has_action(d, sections[i].action))
			return sections[i].subject;
	return "Delivery report";
}

static void
add_hint(struct buf *out, const struct dsn_report *r, const char *status)
{
	size_t i;

	for (i = 0; i < sizeof hints / sizeof *hints; i++) {
		if (!str_starts(status + 1, hints[i].prefix))
			continue;
		buf_adds(out, "    ");
		dsn_add_words(out, r, 4, "    ", hints[i].text);
		buf_adds(out, "\r\n");
		return;
	}
}

static void
add_explanation(struct buf *out, const struct dsn_report *report, const struct dsn_recipient *r)
{
	char status[DSN_STATUS_TEXT];

	dsn_status_of(report->d, r, status);
	buf_adds(out, "  <");
	dsn_adds_clean(out, report, r->address);
	buf_adds(out, ">\r\n");
	if (r->reply != NULL && *r->reply != '\0') {
		buf_adds(out, "    ");
		if (r->peer != NULL && dsn_is_smtp_reply(r->reply)) {
			dsn_adds_clean(out, report, r->peer);
			buf_adds(out, " said:\r\n    ");
		}
		dsn_add_words(out, report, 4, "    ", r->reply);
		buf_adds(out, "\r\n");
	}
	if (status[0] != '2')
		add_hint(out, report, status);
	buf_adds(out, "\r\n");
}

static void
add_section(struct buf *out, const struct dsn_report *r, const struct section *section)
{
	const struct dsn *d = r->d;
	unsigned i;

	if (!has_action(d, section->action))
		return;
	buf_printf(out, "%s\r\n\r\n", section->before);
	for (i = 0; i < d->count; i++)
		if (dsn_action_of(d, &d->rcpt[i]) == section->action)
			add_explanation(out, r, &d->rcpt[i]);
	if (section->behind != NULL)
		buf_printf(out, "%s\r\n", section->behind);
	if (section->action == DSN_DELAYED)
		dsn_add_date(out, "Delivery will be tried until", d->retry_until);
}

void
dsn_add_text(struct buf *out, const struct dsn_report *r)
{
	size_t i;

	buf_printf(out, "This is the mail gateway at %s.\r\n\r\n", r->d->hostname);
	for (i = 0; i < sizeof sections / sizeof *sections; i++)
		add_section(out, r, &sections[i]);
	if (r->d->original_id != NULL) {
		buf_adds(out, "If you ask your postmaster for help, please give this number: ");
		dsn_adds_clean(out, r, r->d->original_id);
		buf_adds(out, "\r\n");
	}
}
