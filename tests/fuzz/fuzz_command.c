/* SPDX-License-Identifier: MIT */
/* A client's command line the way the server reads it: verb, path, parameters. */
#include "mail/address.h"
#include "mail/command.h"
#include "mail/params.h"
#include "util/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_xtext(const char *s, size_t n)
{
	char *plain = xmalloc(n + 1), *coded = xmalloc(3 * n + 1);
	long len = xtext_decode(s, n, plain), i;

	check(len >= 0 && (size_t)len <= n && xtext_valid(s, n));
	/* no line end gets into what others read */
	for (i = 0; i < len; i++)
		check(plain[i] >= ' ' && plain[i] <= '~');
	n = xtext_encode(plain, (size_t)len, coded);
	check(xtext_decode(coded, n, coded) == len && memcmp(coded, plain, (size_t)len) == 0);
	free(plain);
	free(coded);
}

static void
check_error(const struct params_error *e)
{
	check(e->code == 501 || e->code == 555);
	check(strcmp(e->enhanced, "5.5.4") == 0 && e->text != NULL);
}

static void
read_params(const char *s, size_t n, unsigned offered)
{
	struct params_error e = { 0 };
	struct mail_params m;
	struct rcpt_params r;

	if (params_parse_mail(s, n, offered, &m, &e) == 0) {
		check(!m.has_size || (offered & OFFER_SIZE));
		check(m.body == BODY_DEFAULT || (offered & OFFER_8BITMIME));
		check((m.ret == 0 && m.envid == NULL) || (offered & OFFER_DSN));
		if (m.envid != NULL) {
			check(m.envid > s && m.envid + m.envid_len <= s + n);
			check_xtext(m.envid, m.envid_len);
		}
	} else {
		check_error(&e);
	}
	memset(&e, 0, sizeof e);
	if (params_parse_rcpt(s, n, offered, &r, &e) == 0) {
		check((r.notify == 0 && r.orcpt == NULL) || (offered & OFFER_DSN));
		check(!(r.notify & NOTIFY_NEVER) || r.notify == NOTIFY_NEVER);
		if (r.orcpt != NULL)
			check_xtext(strchr(r.orcpt, ';') + 1,
			    r.orcpt_len - (size_t)(strchr(r.orcpt, ';') + 1 - r.orcpt));
	} else {
		check_error(&e);
	}
}

static void
read_command(const struct command *c, unsigned offered)
{
	struct address a;
	const char *rest;
	size_t n;
	int used;

	rest = command_after(c, "FROM:", &n);
	if (rest == NULL)
		rest = command_after(c, "TO:", &n);
	if (rest == NULL)
		return;
	check(rest >= c->args && rest + n == c->args + c->args_len);
	used = address_parse_path(rest, n, ADDRESS_NULL | ADDRESS_POSTMASTER, &a, NULL);
	if (used > 0)
		read_params(rest + used, n - (size_t)used, offered);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct command c;
	const char *why = NULL, *s;
	size_t i;

	if (size < 1)
		return 0;
	s = (const char *)data + 1;
	size--;
	if (command_split(s, size, &c, &why) == 0) {
		check(c.verb == s && c.verb_len > 0);
		check(c.args >= s + c.verb_len && c.args + c.args_len <= s + size);
		for (i = 0; i < c.args_len; i++)
			check((unsigned char)c.args[i] >= ' ' && c.args[i] != 0x7f);
		read_command(&c, data[0]);
	} else {
		check(why != NULL);
	}
	read_params(s, size, data[0]);
	return 0;
}
