/* SPDX-License-Identifier: MIT */
#include "directory/password.h"

#include "util/random.h"
#include "util/str.h"

#include <argon2.h>
#include <string.h>

/* New hashes. The verifier's iterations are a client's work too, so they stay moderate; argon2id as RFC 9106 4
 * recommends where memory is short. */
enum {
	NEW_ITERATIONS = 65536,
	NEW_SALT = 16,
	NEW_MEMORY = 65536, /* KiB */
	NEW_PASSES = 3,
	NEW_LANES = 1,
};

/* Hashes that are accepted. */
enum { MEMORY_MAX = 262144, PASSES_MAX = 20, LANES_MAX = 16, WORK_MAX = 1048576 /* KiB, all passes */ };

static const char argon2_prefix[] = "$argon2id$v=19$";

/* "m=65536," */
static int
take_cost(const char **at, char name, char end, uint64_t max, uint64_t *out)
{
	const char *stop = strchr(*at, end);

	if (stop == NULL || (*at)[0] != name || (*at)[1] != '=' ||
	    str_u64(*at + 2, (size_t)(stop - *at) - 2, max, out) < 0 || *out == 0)
		return -1;
	*at = stop + 1;
	return 0;
}

static bool
is_unpadded_base64(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!ascii_is_alnum(s[i]) && s[i] != '+' && s[i] != '/')
			return false;
	return n >= 11 && n <= 128 && n % 4 != 1; /* 8 octets at least */
}

static int
parse_argon2(const char *text, struct password *out, struct err *err)
{
	const char *at = text + sizeof argon2_prefix - 1, *dollar;
	uint64_t memory, passes, lanes;

	if (!str_starts(text, argon2_prefix) || take_cost(&at, 'm', ',', UINT32_MAX, &memory) < 0 ||
	    take_cost(&at, 't', ',', UINT32_MAX, &passes) < 0 || take_cost(&at, 'p', '$', UINT32_MAX, &lanes) < 0 ||
	    (dollar = strchr(at, '$')) == NULL || !is_unpadded_base64(at, (size_t)(dollar - at)) ||
	    !is_unpadded_base64(dollar + 1, strlen(dollar + 1)))
		return err_set(err, "an argon2id hash looks like %sm=65536,t=3,p=1$SALT$HASH", argon2_prefix);
	if (memory > MEMORY_MAX || passes > PASSES_MAX || lanes > LANES_MAX || memory * passes > WORK_MAX)
		return err_set(err, "this argon2id hash would take too long to check: m is at most %d, t at most %d, p at "
		    "most %d, and m times t at most %d", MEMORY_MAX, PASSES_MAX, LANES_MAX, WORK_MAX);
	out->scheme = PASSWORD_ARGON2ID;
	out->argon2 = text;
	return 0;
}

int
password_parse(const char *text, struct password *out, struct err *err)
{
	memset(out, 0, sizeof *out);
	if (str_starts(text, "{SCRAM-SHA-256}")) {
		out->scheme = PASSWORD_SCRAM;
		return scram_verifier_parse(text, &out->verifier, err);
	}
	if (str_starts(text, "{ARGON2ID}"))
		text += sizeof "{ARGON2ID}" - 1;
	if (str_starts(text, "$argon2id$"))
		return parse_argon2(text, out, err);
	return err_set(err, "a password is kept as {SCRAM-SHA-256}... or $argon2id$...; make one with: tmail user hash");
}

bool
password_check(const struct password *p, const char *given, size_t n)
{
	if (p->scheme == PASSWORD_SCRAM)
		return scram_verifier_check(&p->verifier, given, n);
	return argon2id_verify(p->argon2, given, n) == ARGON2_OK;
}

int
password_hash(enum password_scheme scheme, const char *given, size_t n, struct buf *out, struct err *err)
{
	struct scram_verifier v;
	uint8_t salt[NEW_SALT];
	char text[256];
	int rc;

	random_bytes(salt, sizeof salt);
	if (scheme == PASSWORD_SCRAM) {
		scram_verifier_make(&v, given, n, salt, sizeof salt, NEW_ITERATIONS);
		scram_verifier_print(&v, out);
		return 0;
	}
	rc = argon2id_hash_encoded(NEW_PASSES, NEW_MEMORY, NEW_LANES, given, n, salt, sizeof salt, DIGEST_SIZE, text,
	    sizeof text);
	if (rc != ARGON2_OK)
		return err_set(err, "argon2id: %s", argon2_error_message(rc));
	buf_adds(out, text);
	return 0;
}
