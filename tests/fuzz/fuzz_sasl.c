/* SPDX-License-Identifier: MIT */
/* What strangers say while they log in, and what Dovecot answers: the first octet chooses. */
#include "mail/authline.h"
#include "mail/mailbox.h"
#include "mail/sasl.h"
#include "mail/scram.h"
#include "util/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_scram(const char *s, size_t n)
{
	const char *lf = memchr(s, '\n', n);
	size_t first = lf != NULL ? (size_t)(lf - s) : n;
	struct scram_server server = { 0 };
	struct scram_client client = { 0 };
	struct scram_verifier v = { .iterations = 1, .salt_len = 4 };
	struct buf out = { 0 };

	if (scram_server_begin(&server, s, first) == 0) {
		check(strlen(server.login.data) == server.login.len);
		scram_server_challenge(&server, &v, "nonce", &out);
		if (lf != NULL)
			check(scram_server_finish(&server, lf + 1, n - first - 1, &out) != SCRAM_GOOD);
	}
	check(scram_client_verify(&client, s, n, NULL) < 0 || n >= 46);
	scram_server_fini(&server);
	scram_client_fini(&client);
	buf_fini(&out);
}

static void
try_mailbox(const char *s, size_t n)
{
	struct mailbox_scan m;
	int rc;

	mailbox_scan(&m, s, n);
	while ((rc = mailbox_next(&m)) == 1)
		check(strchr(m.address, '@') != NULL && strlen(m.address) < MAILBOX_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf message = { 0 };
	struct authline line;
	struct sasl_plain p;
	char *s;

	if (size == 0)
		return 0;
	s = xmalloc(size); /* with room for the terminator */
	memcpy(s, data + 1, size - 1);
	switch (data[0] % 4) {
	case 0:
		if (authline_parse(s, size - 1, &line) == 0 && line.user != NULL)
			check(strlen(line.user) < size);
		break;
	case 1:
		buf_add(&message, s, size - 1);
		if (sasl_plain_parse(&message, &p) == 0)
			check(sasl_login_valid(p.login, strlen(p.login)) && strlen(p.password) == p.password_len);
		break;
	case 2:
		try_scram(s, size - 1);
		break;
	case 3:
		try_mailbox(s, size - 1);
		break;
	}
	sasl_forget(&message);
	free(s);
	return 0;
}
