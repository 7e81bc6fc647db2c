/* SPDX-License-Identifier: MIT */
#include "mail/address.h"

#include "mail/utf8.h"
#include "util/str.h"

#include <arpa/inet.h>
#include <string.h>

enum { LABEL_MAX = 63 }; /* RFC 1035 2.3.4 */

enum class {
	ATEXT = 1,  /* RFC 5322 3.2.3 */
	LET_DIG = 2,
	QTEXT = 4,  /* qtextSMTP */
	QUOTED = 8, /* what may follow a backslash */
};

static const unsigned char class_of[128] = {
	[' '] = QTEXT | QUOTED,
	['!'] = ATEXT | QTEXT | QUOTED,
	['"'] = QUOTED,
	['#' ... '\''] = ATEXT | QTEXT | QUOTED,
	['(' ... ')'] = QTEXT | QUOTED,
	['*' ... '+'] = ATEXT | QTEXT | QUOTED,
	[','] = QTEXT | QUOTED,
	['-'] = ATEXT | QTEXT | QUOTED,
	['.'] = QTEXT | QUOTED,
	['/'] = ATEXT | QTEXT | QUOTED,
	['0' ... '9'] = ATEXT | LET_DIG | QTEXT | QUOTED,
	[':' ... '<'] = QTEXT | QUOTED,
	['='] = ATEXT | QTEXT | QUOTED,
	['>'] = QTEXT | QUOTED,
	['?'] = ATEXT | QTEXT | QUOTED,
	['@'] = QTEXT | QUOTED,
	['A' ... 'Z'] = ATEXT | LET_DIG | QTEXT | QUOTED,
	['['] = QTEXT | QUOTED,
	['\\'] = QUOTED,
	[']'] = QTEXT | QUOTED,
	['^'] = ATEXT | QTEXT | QUOTED,
	['_'] = ATEXT | LET_DIG | QTEXT | QUOTED,
	['`'] = ATEXT | QTEXT | QUOTED,
	['a' ... 'z'] = ATEXT | LET_DIG | QTEXT | QUOTED,
	['{' ... '~'] = ATEXT | QTEXT | QUOTED,
};

struct scan {
	const char *p, *end;
	unsigned flags;
	bool utf8;
	const char *why;
};

static int
fail(struct scan *s, enum address_failure failure, const char *why)
{
	s->why = why;
	return failure;
}

static bool
at(const struct scan *s, char c)
{
	return s->p < s->end && *s->p == c;
}

/* Octets of the character at p if it is of CLASS: characters above ASCII are of every class where they are allowed
 * at all, but for the C1 controls. 0: it is not. */
static size_t
of_class(struct scan *s, unsigned class)
{
	uint32_t cp;
	size_t n;

	if (s->p == s->end)
		return 0;
	if ((unsigned char)*s->p < 128)
		return (class_of[(unsigned char)*s->p] & class) != 0;
	if (!(s->flags & ADDRESS_UTF8))
		return 0;
	n = utf8_next(s->p, (size_t)(s->end - s->p), &cp);
	if (n == 0 || cp < 0xa0)
		return 0;
	s->utf8 = true;
	return n;
}

/* The failure for the character at p, which is not what the grammar wants here. */
static int
unexpected(struct scan *s, const char *why)
{
	if (s->p < s->end && (unsigned char)*s->p > 127)
		return (s->flags & ADDRESS_UTF8) ? fail(s, ADDRESS_BAD, "not valid UTF-8") :
		    fail(s, ADDRESS_NOT_ASCII, "characters outside ASCII need SMTPUTF8");
	return fail(s, ADDRESS_BAD, why);
}

/* Dot-string = Atom *("." Atom) */
static int
scan_dot_string(struct scan *s)
{
	const char *atom;
	size_t n;

	for (;;) {
		for (atom = s->p; (n = of_class(s, ATEXT)) > 0; s->p += n)
			;
		if (s->p == atom)
			return unexpected(s, "local part has an empty or misspelt word");
		if (!at(s, '.'))
			return 0;
		s->p++;
	}
}

/* Quoted-string = DQUOTE *(qtextSMTP / quoted-pairSMTP) DQUOTE */
static int
scan_quoted_string(struct scan *s)
{
	size_t n;

	s->p++;
	while (!at(s, '"')) {
		if (at(s, '\\')) {
			s->p++;
			if (s->p == s->end || (unsigned char)*s->p > 127 || !of_class(s, QUOTED))
				return unexpected(s, "bad character behind a backslash");
			s->p++;
			continue;
		}
		if ((n = of_class(s, QTEXT)) == 0)
			return unexpected(s, s->p == s->end ? "quoted local part does not end" :
			    "bad character in the quoted local part");
		s->p += n;
	}
	s->p++;
	return 0;
}

static int
scan_local(struct scan *s, struct address *out)
{
	int rc;

	out->text = s->p;
	out->quoted = at(s, '"');
	rc = out->quoted ? scan_quoted_string(s) : scan_dot_string(s);
	if (rc < 0)
		return rc;
	out->local_len = (size_t)(s->p - out->text);
	if (out->local_len > ADDRESS_LOCAL_MAX)
		return fail(s, ADDRESS_TOO_LONG, "local part is too long");
	return 0;
}

/* sub-domain = Let-dig [Ldh-str], a hyphen neither first nor last. */
static int
scan_label(struct scan *s)
{
	const char *label = s->p;
	bool ascii = true;
	size_t n;

	while (s->p < s->end) {
		if (*s->p == '-') {
			s->p++;
			continue;
		}
		if ((n = of_class(s, LET_DIG)) == 0)
			break;
		ascii = ascii && n == 1;
		s->p += n;
	}
	if (s->p == label)
		return unexpected(s, "domain has an empty or misspelt label");
	if (*label == '-' || s->p[-1] == '-')
		return fail(s, ADDRESS_BAD, "domain label begins or ends with a hyphen");
	/* Of a U-label only the encoded form is bounded. */
	if (ascii && s->p - label > LABEL_MAX)
		return fail(s, ADDRESS_TOO_LONG, "domain label is over 63 octets");
	return 0;
}

static int
scan_domain_name(struct scan *s)
{
	const char *start = s->p;
	int rc;

	for (;;) {
		if ((rc = scan_label(s)) < 0)
			return rc;
		if (s->p - start > ADDRESS_DOMAIN_MAX)
			return fail(s, ADDRESS_TOO_LONG, "domain is over 255 octets");
		if (!at(s, '.'))
			return 0;
		s->p++;
	}
}

/* The inside of the brackets. */
static bool
is_literal_text(const char *s, size_t n)
{
	static const char tag[] = "IPv6:";
	unsigned char ip[16];
	char text[INET6_ADDRSTRLEN + 1];
	int family = AF_INET;

	if (n >= sizeof tag - 1 && str_nieq(s, tag, sizeof tag - 1)) {
		s += sizeof tag - 1;
		n -= sizeof tag - 1;
		family = AF_INET6;
	}
	if (n >= sizeof text || memchr(s, '\0', n) != NULL)
		return false;
	memcpy(text, s, n);
	text[n] = '\0';
	return inet_pton(family, text, ip) == 1;
}

static int
scan_literal(struct scan *s)
{
	const char *close = memchr(s->p, ']', (size_t)(s->end - s->p));

	if (close == NULL || !is_literal_text(s->p + 1, (size_t)(close - s->p - 1)))
		return fail(s, ADDRESS_BAD, "bad address literal");
	s->p = close + 1;
	return 0;
}

/* Mailbox = Local-part "@" (Domain / address-literal), or Postmaster alone where FLAGS allow it before a '>'. */
static int
scan_mailbox(struct scan *s, struct address *out)
{
	static const char postmaster[] = "postmaster";
	int rc;

	if ((rc = scan_local(s, out)) < 0)
		return rc;
	if (at(s, '@')) {
		s->p++;
		out->domain = s->p;
		out->literal = at(s, '[');
		if ((rc = out->literal ? scan_literal(s) : scan_domain_name(s)) < 0)
			return rc;
		out->domain_len = (size_t)(s->p - out->domain);
	} else if (!at(s, '>') || !(s->flags & ADDRESS_POSTMASTER) || out->local_len != sizeof postmaster - 1 ||
	    !str_nieq(out->text, postmaster, sizeof postmaster - 1)) {
		return unexpected(s, "domain is missing");
	}
	out->len = (size_t)(s->p - out->text);
	return 0;
}

/* A-d-l ":" = At-domain *("," At-domain) ":" (RFC 5321 appendix C: accepted and ignored) */
static int
scan_source_route(struct scan *s)
{
	const char *start = s->p;
	int rc;

	for (;;) {
		if (!at(s, '@'))
			return fail(s, ADDRESS_BAD, "bad source route");
		s->p++;
		if ((rc = scan_domain_name(s)) < 0)
			return rc;
		if (s->p - start > ADDRESS_ROUTE_MAX)
			return fail(s, ADDRESS_TOO_LONG, "source route is too long");
		if (at(s, ':'))
			break;
		if (!at(s, ','))
			return fail(s, ADDRESS_BAD, "bad source route");
		s->p++;
	}
	s->p++;
	return 0;
}

static int
scan_path(struct scan *s, struct address *out)
{
	int rc;

	if (!at(s, '<'))
		return fail(s, ADDRESS_BAD, "address is not in angle brackets");
	s->p++;
	if (at(s, '>')) {
		if (!(s->flags & ADDRESS_NULL))
			return fail(s, ADDRESS_BAD, "address is empty");
		out->text = s->p++;
		return 0;
	}
	if (at(s, '@') && (rc = scan_source_route(s)) < 0)
		return rc;
	if ((rc = scan_mailbox(s, out)) < 0)
		return rc;
	if (!at(s, '>'))
		return unexpected(s, "address does not end with a bracket");
	s->p++;
	return 0;
}

int
address_parse_path(const char *s, size_t n, unsigned flags, struct address *out, const char **why)
{
	struct scan scan = { .p = s, .end = s + n, .flags = flags };
	int rc;

	memset(out, 0, sizeof *out);
	rc = scan_path(&scan, out);
	out->utf8 = scan.utf8;
	if (why != NULL)
		*why = scan.why;
	return rc < 0 ? rc : (int)(scan.p - s);
}

int
address_parse(const char *s, size_t n, unsigned flags, struct address *out, const char **why)
{
	struct scan scan = { .p = s, .end = s + n, .flags = flags & ADDRESS_UTF8 };
	int rc;

	memset(out, 0, sizeof *out);
	rc = scan_mailbox(&scan, out);
	if (rc == 0 && scan.p != scan.end)
		rc = unexpected(&scan, "something follows the address");
	out->utf8 = scan.utf8;
	if (why != NULL)
		*why = scan.why;
	return rc;
}

bool
address_valid_domain(const char *s, size_t n, unsigned flags)
{
	struct scan scan = { .p = s, .end = s + n, .flags = flags };

	return scan_domain_name(&scan) == 0 && scan.p == scan.end;
}

bool
address_valid_literal(const char *s, size_t n)
{
	return n >= 2 && s[0] == '[' && s[n - 1] == ']' && is_literal_text(s + 1, n - 2);
}

bool
address_is_null(const char *address)
{
	return *address == '\0';
}

const char *
address_domain(const char *address)
{
	const char *last = strrchr(address, '@');

	return last == NULL ? "" : last + 1;
}

bool
address_domain_eq(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && str_nieq(a, b, a_len);
}

bool
address_eq(const char *a, const char *b)
{
	const char *a_at = strrchr(a, '@'), *b_at = strrchr(b, '@');
	size_t n;

	if (a_at == NULL || b_at == NULL)
		return strcmp(a, b) == 0;
	n = (size_t)(a_at - a);
	return n == (size_t)(b_at - b) && memcmp(a, b, n) == 0 && str_ieq(a_at, b_at);
}
