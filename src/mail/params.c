/* SPDX-License-Identifier: MIT */
#include "mail/params.h"

#include "mail/utf8.h"
#include "util/str.h"

#include <string.h>

/* RFC 3461 4.2 and 4.4: octets, as given. */
enum { ENVID_MAX = 100, ORCPT_MAX = 500 };

struct value {
	const char *s; /* NULL: no "=" was given */
	size_t len;
};

struct row {
	const char *name;
	unsigned offer;
	int (*parse)(const struct value *v, void *out); /* -1: malformed */
};

static bool
value_is(const struct value *v, const char *word)
{
	return v->s != NULL && strlen(word) == v->len && str_nieq(v->s, word, v->len);
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte at s[*i], decoded; *i moves behind it. -1: not xtext. */
static int
xtext_byte(const char *s, size_t n, size_t *i)
{
	unsigned char c = (unsigned char)s[*i];
	int high, low;

	if (c < '!' || c > '~' || c == '=')
		return -1;
	if (c != '+') {
		*i += 1;
		return c;
	}
	if (n - *i < 3 || (high = hex(s[*i + 1])) < 0 || (low = hex(s[*i + 2])) < 0)
		return -1;
	*i += 3;
	return high << 4 | low;
}

bool
xtext_valid(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n) {
		if (xtext_byte(s, n, &i) < 0)
			return false;
	}
	return true;
}

/* What goes into reports and other servers' logs is graphic or a space once decoded (RFC 3461 4.4); above all, it
 * holds no line ends. */
static bool
xtext_printable(const char *s, size_t n)
{
	size_t i = 0;
	int c;

	while (i < n) {
		c = xtext_byte(s, n, &i);
		if (c < ' ' || c > '~')
			return false;
	}
	return true;
}

long
xtext_decode(const char *s, size_t n, char *out)
{
	size_t i = 0;
	long len = 0;
	int c;

	while (i < n) {
		if ((c = xtext_byte(s, n, &i)) < 0)
			return -1;
		out[len++] = (char)c;
	}
	return len;
}

size_t
xtext_encode(const char *s, size_t n, char *out)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i, len = 0;
	unsigned char c;

	for (i = 0; i < n; i++) {
		c = (unsigned char)s[i];
		if (c >= '!' && c <= '~' && c != '+' && c != '=') {
			out[len++] = (char)c;
			continue;
		}
		out[len++] = '+';
		out[len++] = digits[c >> 4];
		out[len++] = digits[c & 15];
	}
	return len;
}

/* RFC 1870 3: 1*20DIGIT, which may be more than 64 bits hold. */
static int
parse_size(const struct value *v, void *out)
{
	struct mail_params *m = out;
	size_t i;

	if (v->s == NULL || v->len == 0 || v->len > 20)
		return -1;
	for (i = 0; i < v->len; i++) {
		if (!ascii_is_digit(v->s[i]))
			return -1;
	}
	if (str_u64(v->s, v->len, UINT64_MAX, &m->size) != 0)
		m->size = UINT64_MAX;
	m->has_size = true;
	return 0;
}

static int
parse_body(const struct value *v, void *out)
{
	struct mail_params *m = out;

	if (value_is(v, "8BITMIME"))
		m->body = BODY_8BITMIME;
	else if (value_is(v, "7BIT"))
		m->body = BODY_7BIT;
	else if (value_is(v, "BINARYMIME"))
		m->body = BODY_BINARYMIME;
	else
		return -1;
	return 0;
}

static int
parse_ret(const struct value *v, void *out)
{
	struct mail_params *m = out;

	if (value_is(v, "FULL"))
		m->ret = 'F';
	else if (value_is(v, "HDRS"))
		m->ret = 'H';
	else
		return -1;
	return 0;
}

static int
parse_envid(const struct value *v, void *out)
{
	struct mail_params *m = out;

	if (v->s == NULL || v->len == 0 || v->len > ENVID_MAX || !xtext_printable(v->s, v->len))
		return -1;
	m->envid = v->s;
	m->envid_len = v->len;
	return 0;
}

/* RFC 4954 5: "<>" or a mailbox as xtext. Nobody here is trusted to vouch for another, so it is only checked. */
static int
parse_auth(const struct value *v, void *out)
{
	(void)out;
	return v->s != NULL && v->len > 0 && xtext_printable(v->s, v->len) ? 0 : -1;
}

static int
parse_smtputf8(const struct value *v, void *out)
{
	struct mail_params *m = out;

	if (v->s != NULL)
		return -1;
	m->smtputf8 = true;
	return 0;
}

/* "NEVER" / 1#("SUCCESS" / "FAILURE" / "DELAY") */
static int
parse_notify(const struct value *v, void *out)
{
	static const struct {
		const char *name;
		enum notify bit;
	} words[] = { { "SUCCESS", NOTIFY_SUCCESS }, { "FAILURE", NOTIFY_FAILURE }, { "DELAY", NOTIFY_DELAY } };
	struct rcpt_params *r = out;
	struct value word = *v;
	const char *comma;
	size_t i, rest = v->len;

	if (value_is(v, "NEVER")) {
		r->notify = NOTIFY_NEVER;
		return 0;
	}
	if (v->s == NULL)
		return -1;
	for (;;) {
		comma = memchr(word.s, ',', rest);
		word.len = comma != NULL ? (size_t)(comma - word.s) : rest;
		for (i = 0; i < 3 && !value_is(&word, words[i].name); i++)
			;
		if (i == 3)
			return -1;
		r->notify |= (uint8_t)words[i].bit;
		if (comma == NULL)
			return 0;
		rest -= word.len + 1;
		word.s = comma + 1;
	}
}

/* utf-8-addr-unitext (RFC 6533 3). */
static bool
unitext_valid(const char *s, size_t n)
{
	size_t i, len;
	uint32_t cp;

	for (i = 0; i < n; i += len) {
		len = utf8_next(s + i, n - i, &cp);
		if (len == 0 || cp <= ' ' || cp == 0x7f || (cp > 0x7f && cp < 0xa0) || cp == '+' || cp == '=')
			return false;
	}
	return true;
}

static bool
has_8bit(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if ((unsigned char)s[i] > 127)
			return true;
	return false;
}

/* addr-type ";" xtext, the type an atom (RFC 3461 4.2); of the type "utf-8" also as UTF-8. */
static int
parse_orcpt(const struct value *v, void *out)
{
	struct rcpt_params *r = out;
	const char *semicolon;
	size_t i, type;

	if (v->s == NULL || v->len > ORCPT_MAX || (semicolon = memchr(v->s, ';', v->len)) == NULL)
		return -1;
	type = (size_t)(semicolon - v->s);
	for (i = 0; i < type; i++) {
		if (!ascii_is_alnum(v->s[i]) && v->s[i] != '-')
			return -1;
	}
	if (type == 0 || type + 1 == v->len)
		return -1;
	r->utf8 = type == 5 && str_nieq(v->s, "utf-8", 5) && has_8bit(semicolon, v->len - type);
	if (r->utf8 ? !unitext_valid(semicolon + 1, v->len - type - 1)
	    : !xtext_printable(semicolon + 1, v->len - type - 1))
		return -1;
	r->orcpt = v->s;
	r->orcpt_len = v->len;
	return 0;
}

static const struct row mail_rows[] = {
	{ "SIZE", OFFER_SIZE, parse_size },
	{ "BODY", OFFER_8BITMIME, parse_body },
	{ "AUTH", OFFER_AUTH, parse_auth },
	{ "RET", OFFER_DSN, parse_ret },
	{ "ENVID", OFFER_DSN, parse_envid },
	{ "SMTPUTF8", OFFER_SMTPUTF8, parse_smtputf8 },
	{ NULL, 0, NULL },
};

static const struct row rcpt_rows[] = {
	{ "NOTIFY", OFFER_DSN, parse_notify },
	{ "ORCPT", OFFER_DSN, parse_orcpt },
	{ NULL, 0, NULL },
};

static int
refuse(struct params_error *e, int code, const char *text, const char *name, size_t name_len)
{
	e->code = code;
	e->enhanced = "5.5.4";
	e->text = text;
	e->name = name;
	e->name_len = name_len;
	return -1;
}

/* esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-") */
static size_t
keyword_length(const char *s, size_t n)
{
	size_t i = 0;

	if (n == 0 || !ascii_is_alnum(s[0]))
		return 0;
	while (i < n && (ascii_is_alnum(s[i]) || s[i] == '-'))
		i++;
	return i;
}

/* esmtp-value = 1*(%d33-60 / %d62-126), and with SMTPUTF8 what is beyond ASCII (RFC 6531 3.3): the parameter decides */
static size_t
value_length(const char *s, size_t n, bool utf8)
{
	size_t i = 0;

	while (i < n && ((s[i] > ' ' && s[i] < 0x7f && s[i] != '=') || (utf8 && (unsigned char)s[i] > 127)))
		i++;
	return i;
}

static const struct row *
find_row(const struct row *rows, const char *name, size_t len)
{
	const struct value v = { name, len };

	while (rows->name != NULL && !value_is(&v, rows->name))
		rows++;
	return rows->name != NULL ? rows : NULL;
}

/* One parameter at S; returns its length or -1. SEEN has a bit for each row met. */
static long
parse_one(const char *s, size_t n, const struct row *rows, unsigned offered, unsigned *seen, void *out,
    struct params_error *error)
{
	struct value v = { NULL, 0 };
	const struct row *row;
	size_t name = keyword_length(s, n), used = name;

	if (name == 0)
		return refuse(error, 501, "malformed parameter", s, 0);
	if (used < n && s[used] == '=') {
		v.s = s + used + 1;
		v.len = value_length(v.s, n - used - 1, (offered & OFFER_SMTPUTF8) != 0);
		used += 1 + v.len;
		if (v.len == 0)
			return refuse(error, 501, "parameter without a value", s, name);
	}
	if (used < n && s[used] != ' ')
		return refuse(error, 501, "malformed parameter", s, name);
	row = find_row(rows, s, name);
	if (row == NULL || !(offered & row->offer))
		return refuse(error, 555, "parameter not recognized", s, name);
	if (*seen & 1u << (row - rows))
		return refuse(error, 501, "parameter given twice", s, name);
	*seen |= 1u << (row - rows);
	if (row->parse(&v, out) != 0)
		return refuse(error, 501, "bad parameter value", s, name);
	return (long)used;
}

static int
parse_all(const char *s, size_t n, const struct row *rows, unsigned offered, void *out, struct params_error *error)
{
	unsigned seen = 0;
	size_t i = 0;
	long used;

	if (n > 0 && s[0] != ' ')
		return refuse(error, 501, "something other than a space follows the address", s, 0);
	for (;;) {
		while (i < n && s[i] == ' ')
			i++;
		if (i == n)
			return 0;
		if ((used = parse_one(s + i, n - i, rows, offered, &seen, out, error)) < 0)
			return -1;
		i += (size_t)used;
	}
}

int
params_parse_mail(const char *s, size_t n, unsigned offered, struct mail_params *out, struct params_error *error)
{
	memset(out, 0, sizeof *out);
	if (parse_all(s, n, mail_rows, offered, out, error) < 0)
		return -1;
	if (out->body == BODY_BINARYMIME && !(offered & OFFER_BINARYMIME))
		return refuse(error, 501, "bad parameter value", "BODY", 4);
	return 0;
}

int
params_parse_rcpt(const char *s, size_t n, unsigned offered, struct rcpt_params *out, struct params_error *error)
{
	memset(out, 0, sizeof *out);
	if (parse_all(s, n, rcpt_rows, offered, out, error) < 0)
		return -1;
	if (out->utf8 && !(offered & OFFER_SMTPUTF8))
		return refuse(error, 501, "bad parameter value", "ORCPT", 5);
	return 0;
}
