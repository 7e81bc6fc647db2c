/* SPDX-License-Identifier: MIT */
#include "dns/answer.h"

#include "util/arena.h"
#include "util/check.h"
#include "util/str.h"

#include <string.h>

enum { HEADER = 12, LABEL_MAX = 63, NAME_OCTETS = 255, CNAMES_MAX = 32, CLASS_IN = 1, SOA = 6, RCODE_NXDOMAIN = 3 };

/* A record as it stands in the message. */
struct rr {
	char owner[DNS_NAME_TEXT];
	uint16_t type, class;
	uint32_t ttl;
	size_t data, len; /* RDATA */
};

struct parser {
	const uint8_t *p;
	size_t n, at;
	struct arena *arena;
	uint32_t ttl; /* the least seen */
};

const char *
dns_type_name(enum dns_type type)
{
	switch (type) {
	case DNS_A:
		return "A";
	case DNS_CNAME:
		return "CNAME";
	case DNS_PTR:
		return "PTR";
	case DNS_MX:
		return "MX";
	case DNS_TXT:
		return "TXT";
	case DNS_AAAA:
		return "AAAA";
	case DNS_TLSA:
		return "TLSA";
	}
	return "type";
}

/* One octet of a label; up to four characters. */
static size_t
add_octet(char *out, uint8_t c)
{
	static const char digit[] = "0123456789";

	if (c > ' ' && c < 0x7f && c != '.' && c != '\\' && c != '"' && c != '(' && c != ')' && c != ';' && c != '@' &&
	    c != '$') {
		*out = ascii_lower((char)c);
		return 1;
	}
	out[0] = '\\';
	out[1] = digit[c / 100];
	out[2] = digit[c / 10 % 10];
	out[3] = digit[c % 10];
	return 4;
}

int
dns_name_text(const char *name, char out[DNS_NAME_TEXT])
{
	size_t n = strlen(name), label = 0, len = 0, i;

	if (n > 0 && name[n - 1] == '.')
		n--;
	if (n == 0 || n > NAME_OCTETS - 2)
		return -1;
	for (i = 0; i < n; i++) {
		if (name[i] != '.') {
			if (++label > LABEL_MAX)
				return -1;
			len += add_octet(out + len, (uint8_t)name[i]);
			continue;
		}
		if (label == 0)
			return -1;
		label = 0;
		out[len++] = '.';
	}
	out[len] = '\0';
	return label == 0 ? -1 : 0;
}

static bool
get16(struct parser *s, uint16_t *v)
{
	if (s->n - s->at < 2)
		return false;
	*v = (uint16_t)(s->p[s->at] << 8 | s->p[s->at + 1]);
	s->at += 2;
	return true;
}

static bool
get32(struct parser *s, uint32_t *v)
{
	uint16_t high, low;

	if (!get16(s, &high) || !get16(s, &low))
		return false;
	*v = (uint32_t)high << 16 | low;
	return true;
}

/* A name (RFC 1035 4.1.4). A pointer leads strictly backwards, so that there is an end. */
static bool
get_name(struct parser *s, char out[DNS_NAME_TEXT])
{
	size_t at = s->at, limit = s->at, octets = 1, len = 0;
	bool jumped = false;
	uint8_t c;

	for (;;) {
		if (at >= s->n)
			return false;
		c = s->p[at++];
		if ((c & 0xc0) == 0xc0) {
			if (at >= s->n)
				return false;
			if (!jumped)
				s->at = at + 1;
			jumped = true;
			at = (size_t)(c & 0x3f) << 8 | s->p[at];
			if (at >= limit)
				return false;
			limit = at;
			continue;
		}
		if (c == 0)
			break;
		octets += c + 1u;
		if (c > LABEL_MAX || octets > NAME_OCTETS || s->n - at < c)
			return false;
		if (len > 0)
			out[len++] = '.';
		while (c-- > 0)
			len += add_octet(out + len, s->p[at++]);
	}
	out[len] = '\0';
	if (!jumped)
		s->at = at;
	return true;
}

static bool
get_rr(struct parser *s, struct rr *rr)
{
	uint16_t len;

	if (!get_name(s, rr->owner) || !get16(s, &rr->type) || !get16(s, &rr->class) || !get32(s, &rr->ttl) ||
	    !get16(s, &len) || s->n - s->at < len)
		return false;
	if (rr->ttl > INT32_MAX)
		rr->ttl = 0; /* RFC 2181 8 */
	rr->data = s->at;
	rr->len = len;
	s->at += len;
	return true;
}

static void
see_ttl(struct parser *s, uint32_t ttl)
{
	if (ttl < s->ttl)
		s->ttl = ttl;
}

/* The name that is all of the RDATA from OFFSET on. */
static const char *
rdata_name(const struct parser *s, const struct rr *rr, size_t offset)
{
	struct parser r = *s;
	char name[DNS_NAME_TEXT];

	r.at = rr->data + offset;
	r.n = rr->data + rr->len;
	if (rr->len < offset || !get_name(&r, name) || r.at != r.n)
		return NULL;
	return arena_strdup(s->arena, name);
}

static bool
read_address(const struct parser *s, const struct rr *rr, struct addr *out)
{
	if (rr->type == DNS_A && rr->len == 4) {
		out->len = sizeof out->u.in;
		out->u.in.sin_family = AF_INET;
		memcpy(&out->u.in.sin_addr, s->p + rr->data, 4);
		return true;
	}
	if (rr->type == DNS_AAAA && rr->len == 16) {
		out->len = sizeof out->u.in6;
		out->u.in6.sin6_family = AF_INET6;
		memcpy(&out->u.in6.sin6_addr, s->p + rr->data, 16);
		return true;
	}
	return false;
}

/* RFC 1035 3.3.14: one or more strings, each behind its length. */
static bool
read_text(const struct parser *s, const struct rr *rr, struct dns_record *out)
{
	const uint8_t *p = s->p + rr->data;
	uint8_t *text = arena_alloc(s->arena, rr->len ? rr->len : 1);
	size_t at = 0;

	while (at < rr->len) {
		size_t n = p[at++];

		if (rr->len - at < n)
			return false;
		memcpy(text + out->len, p + at, n);
		out->len += n;
		at += n;
	}
	out->data = text;
	return rr->len > 0;
}

static bool
read_record(const struct parser *s, const struct rr *rr, struct dns_record *out)
{
	memset(out, 0, sizeof *out);
	switch ((enum dns_type)rr->type) {
	case DNS_A:
	case DNS_AAAA:
		return read_address(s, rr, &out->address);
	case DNS_MX:
		if (rr->len < 3)
			return false;
		out->preference = (unsigned)(s->p[rr->data] << 8 | s->p[rr->data + 1]);
		out->name = rdata_name(s, rr, 2);
		return out->name != NULL;
	case DNS_CNAME:
	case DNS_PTR:
		out->name = rdata_name(s, rr, 0);
		return out->name != NULL;
	case DNS_TXT:
		return read_text(s, rr, out);
	case DNS_TLSA:
		break;
	}
	out->len = rr->len;
	out->data = memcpy(arena_alloc(s->arena, rr->len ? rr->len : 1), s->p + rr->data, rr->len);
	return true;
}

/* RFC 2308 3, 5: how long "there is nothing" may be kept stands in the zone's SOA. */
static bool
read_denial(struct parser *s, unsigned count)
{
	struct rr rr;
	struct parser r;

	while (count-- > 0) {
		if (!get_rr(s, &rr))
			return false;
		if (rr.type != SOA || rr.class != CLASS_IN || rr.len < 4)
			continue;
		see_ttl(s, rr.ttl);
		r = *s;
		r.at = rr.data + rr.len - 4;
		get32(&r, &rr.ttl);
		see_ttl(s, rr.ttl);
		return true;
	}
	s->ttl = 0;
	return true;
}

/* The answer section in one pass for each link of the chain: it may be in any order. */
static bool
follow_cname(struct parser *s, size_t answers, unsigned count, const char **name)
{
	struct rr rr;

	s->at = answers;
	while (count-- > 0) {
		if (!get_rr(s, &rr))
			return false;
		if (rr.type != DNS_CNAME || rr.class != CLASS_IN || strcmp(rr.owner, *name) != 0)
			continue;
		*name = rdata_name(s, &rr, 0);
		see_ttl(s, rr.ttl);
		return *name != NULL;
	}
	*name = NULL;
	return true;
}

static bool
collect(struct parser *s, size_t answers, unsigned count, const char *name, enum dns_type type, struct answer *a)
{
	struct dns_record *record = arena_alloc(s->arena, (count ? count : 1) * sizeof *record);
	struct rr rr;

	s->at = answers;
	a->pub.record = record;
	a->pub.count = 0;
	while (count-- > 0) {
		if (!get_rr(s, &rr))
			return false;
		if (rr.type != type || rr.class != CLASS_IN || strcmp(rr.owner, name) != 0)
			continue;
		if (!read_record(s, &rr, &record[a->pub.count++]))
			return false;
		see_ttl(s, rr.ttl);
	}
	return true;
}

/* The records under NAME, or under what its CNAMEs lead to. */
static bool
read_answers(struct parser *s, unsigned count, const char *name, enum dns_type type, struct answer *a)
{
	const size_t answers = s->at;
	unsigned links;

	for (links = 0; links < CNAMES_MAX; links++) {
		const char *next = name;

		if (!collect(s, answers, count, name, type, a))
			return false;
		a->pub.canonical = name;
		if (a->pub.count > 0)
			return true;
		if (!follow_cname(s, answers, count, &next))
			return false;
		if (next == NULL)
			return true;
		name = next;
	}
	return false;
}

static bool
read_question(struct parser *s, unsigned count, const char *name, enum dns_type type)
{
	char asked[DNS_NAME_TEXT];
	uint16_t got_type, class;

	return count == 1 && get_name(s, asked) && get16(s, &got_type) && get16(s, &class) && got_type == type &&
	    class == CLASS_IN && strcmp(asked, name) == 0;
}

/* False: rubbish. */
static bool
read_message(struct parser *s, const char *name, enum dns_type type, struct answer *a)
{
	uint16_t flags, questions, answers, authority, additional;

	s->at = 2;
	if (!get16(s, &flags) || !get16(s, &questions) || !get16(s, &answers) || !get16(s, &authority) ||
	    !get16(s, &additional) || answers > DNS_RECORDS_MAX || authority > DNS_RECORDS_MAX)
		return false;
	if ((flags & 0x8000) == 0 || (flags & 0x0200) != 0 || !read_question(s, questions, name, type))
		return false;
	if ((flags & 0xf) != 0 && (flags & 0xf) != RCODE_NXDOMAIN)
		return false;
	if (!read_answers(s, answers, arena_strdup(s->arena, name), type, a))
		return false;
	if (a->pub.count > 0 && (flags & 0xf) == 0) {
		a->pub.status = DNS_FOUND;
		return true;
	}
	if (a->pub.count > 0)
		return false;
	a->pub.status = (flags & 0xf) == RCODE_NXDOMAIN ? DNS_NXDOMAIN : DNS_NODATA;
	a->pub.canonical = NULL;
	return read_denial(s, authority);
}

static struct answer *
make(void)
{
	struct arena *arena = arena_new(0);
	struct answer *a = arena_zalloc(arena, sizeof *a);

	a->arena = arena;
	a->refs = 1;
	return a;
}

struct answer *
answer_new(const char *reason)
{
	struct answer *a = make();

	a->pub.status = reason != NULL ? DNS_TEMPORARY : DNS_NXDOMAIN;
	a->pub.reason = reason != NULL ? arena_strdup(a->arena, reason) : NULL;
	return a;
}

struct answer *
answer_parse(const void *p, size_t n, const char *name, enum dns_type type)
{
	struct answer *a = make();
	struct parser s = { .p = p, .n = n, .arena = a->arena, .ttl = DNS_TTL_MAX };
	char asked[DNS_NAME_TEXT];

	if (n >= HEADER && dns_name_text(name, asked) == 0 && read_message(&s, asked, type, a)) {
		a->pub.ttl = s.ttl;
		return a;
	}
	answer_drop(a);
	return answer_new("the answer makes no sense");
}

void
answer_drop(struct answer *a)
{
	struct arena *arena = a->arena;

	if (--a->refs == 0)
		arena_free(&arena);
}
