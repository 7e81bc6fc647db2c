/* SPDX-License-Identifier: MIT */
#include "mail/sasl.h"

#include "util/str.h"

#include <string.h>

static const struct {
	const char *name;
	enum sasl_mechanism bit;
} mechanisms[] = {
	{ "PLAIN", SASL_PLAIN },
	{ "LOGIN", SASL_LOGIN },
	{ "SCRAM-SHA-256", SASL_SCRAM_SHA_256 },
};

enum { MECHANISMS = sizeof mechanisms / sizeof *mechanisms };

const char *
sasl_name(enum sasl_mechanism m)
{
	unsigned i;

	for (i = 0; i < MECHANISMS; i++)
		if (mechanisms[i].bit == m)
			return mechanisms[i].name;
	return "unknown";
}

enum sasl_mechanism
sasl_find(const char *name, size_t n)
{
	unsigned i;

	for (i = 0; i < MECHANISMS; i++)
		if (strlen(mechanisms[i].name) == n && str_nieq(name, mechanisms[i].name, n))
			return mechanisms[i].bit;
	return 0;
}

unsigned
sasl_find_all(const char *names, size_t n)
{
	const char *space;
	unsigned set = 0;
	size_t len;

	for (; n > 0; names += len, n -= len) {
		space = memchr(names, ' ', n);
		len = space != NULL ? (size_t)(space - names) : n;
		set |= (unsigned)sasl_find(names, len);
		if (len < n)
			len++;
	}
	return set;
}

void
sasl_add_names(struct buf *out, unsigned set)
{
	unsigned i;

	for (i = 0; i < MECHANISMS; i++)
		if (set & mechanisms[i].bit)
			buf_printf(out, " %s", mechanisms[i].name);
}

bool
sasl_login_valid(const char *s, size_t n)
{
	size_t i;

	if (n == 0 || n > SASL_LOGIN_MAX)
		return false;
	for (i = 0; i < n; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return false;
	return true;
}

int
sasl_plain_parse(struct buf *message, struct sasl_plain *out)
{
	const char *s = buf_str(message), *end = s + message->len, *nul;

	nul = memchr(s, '\0', (size_t)(end - s));
	if (nul == NULL)
		return -1;
	out->authzid = s;
	out->login = nul + 1;
	nul = memchr(out->login, '\0', (size_t)(end - out->login));
	if (nul == NULL || !sasl_login_valid(out->login, (size_t)(nul - out->login)))
		return -1;
	out->password = nul + 1;
	out->password_len = (size_t)(end - out->password);
	if (out->password_len == 0 || out->password_len > SASL_PASSWORD_MAX ||
	    memchr(out->password, '\0', out->password_len) != NULL)
		return -1;
	return 0;
}

void
sasl_plain_add(struct buf *out, const char *login, const char *password)
{
	buf_addc(out, '\0');
	buf_add(out, login, strlen(login) + 1);
	buf_adds(out, password);
}

void
sasl_forget(struct buf *secret)
{
	if (secret->data != NULL)
		explicit_bzero(secret->data, secret->cap);
	buf_fini(secret);
}
