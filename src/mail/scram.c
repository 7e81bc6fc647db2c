/* SPDX-License-Identifier: MIT */
#include "mail/scram.h"

#include "util/base64.h"
#include "util/random.h"
#include "util/str.h"

#include <string.h>

/* The keys of RFC 5802 3, from SaltedPassword. */
struct keys {
	uint8_t client[DIGEST_SIZE], stored[DIGEST_SIZE], server[DIGEST_SIZE];
};

static void
derive(struct keys *k, const char *password, size_t n, const void *salt, size_t salt_len, uint32_t iterations)
{
	uint8_t salted[DIGEST_SIZE];

	digest_pbkdf2(password, n, salt, salt_len, iterations, salted);
	digest_hmac(salted, sizeof salted, "Client Key", 10, k->client);
	digest_sha256(k->client, sizeof k->client, k->stored);
	digest_hmac(salted, sizeof salted, "Server Key", 10, k->server);
	explicit_bzero(salted, sizeof salted);
}

void
scram_verifier_make(struct scram_verifier *v, const char *password, size_t n, const void *salt, size_t salt_len,
    uint32_t iterations)
{
	struct keys k;

	derive(&k, password, n, salt, salt_len, iterations);
	v->iterations = iterations;
	v->salt_len = salt_len < sizeof v->salt ? salt_len : sizeof v->salt;
	memcpy(v->salt, salt, v->salt_len);
	memcpy(v->stored_key, k.stored, sizeof v->stored_key);
	memcpy(v->server_key, k.server, sizeof v->server_key);
	explicit_bzero(&k, sizeof k);
}

bool
scram_verifier_check(const struct scram_verifier *v, const char *password, size_t n)
{
	struct keys k;
	bool good;

	derive(&k, password, n, v->salt, v->salt_len, v->iterations);
	good = digest_equal(k.stored, v->stored_key, DIGEST_SIZE);
	explicit_bzero(&k, sizeof k);
	return good;
}

/* ---- "a=value,b=value" ---- */

struct slice {
	const char *s;
	size_t n;
};

/* The attribute NAME, which must come next, with its value; *REST moves behind it and its comma. */
static int
attribute(struct slice *rest, char name, struct slice *value)
{
	const char *comma;

	if (rest->n < 2 || rest->s[0] != name || rest->s[1] != '=')
		return -1;
	value->s = rest->s + 2;
	comma = memchr(value->s, ',', rest->n - 2);
	value->n = comma != NULL ? (size_t)(comma - value->s) : rest->n - 2;
	rest->n -= 2 + value->n;
	rest->s = value->s + value->n;
	if (rest->n > 0) {
		rest->s++;
		rest->n--;
	}
	return 0;
}

/* saslname: "=2C" is a comma, "=3D" an equal sign. */
static int
take_name(const struct slice *value, struct buf *out)
{
	size_t i;

	for (i = 0; i < value->n; i++) {
		if (value->s[i] == '\0')
			return -1;
		if (value->s[i] != '=') {
			buf_addc(out, value->s[i]);
			continue;
		}
		if (value->n - i < 3 || (memcmp(value->s + i, "=2C", 3) != 0 && memcmp(value->s + i, "=3D", 3) != 0))
			return -1;
		buf_addc(out, value->s[i + 2] == 'C' ? ',' : '=');
		i += 2;
	}
	return 0;
}

static void
add_name(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++)
		if (*s == ',')
			buf_adds(out, "=2C");
		else if (*s == '=')
			buf_adds(out, "=3D");
		else
			buf_addc(out, *s);
}

/* printable = %x21-2B / %x2D-7E */
static bool
is_nonce(const struct slice *v)
{
	size_t i;

	for (i = 0; i < v->n; i++)
		if (v->s[i] < '!' || v->s[i] > '~' || v->s[i] == ',')
			return false;
	return v->n > 0 && v->n <= 512;
}

/* Exactly LEN decoded octets. */
static int
take_key(const struct slice *v, uint8_t *out, size_t len)
{
	struct buf b = { 0 };
	int rc = base64_decode(v->s, v->n, &b) == 0 && b.len == len ? 0 : -1;

	if (rc == 0)
		memcpy(out, b.data, len);
	buf_fini(&b);
	return rc;
}

static int
take_salt(const struct slice *v, uint8_t out[SCRAM_SALT_MAX], size_t *len)
{
	struct buf b = { 0 };
	int rc = base64_decode(v->s, v->n, &b) == 0 && b.len > 0 && b.len <= SCRAM_SALT_MAX ? 0 : -1;

	if (rc == 0)
		memcpy(out, b.data, *len = b.len);
	buf_fini(&b);
	return rc;
}

static void
xor(uint8_t *a, const uint8_t *b)
{
	unsigned i;

	for (i = 0; i < DIGEST_SIZE; i++)
		a[i] ^= b[i];
}

/* ---- verifiers as text ---- */

static bool
next_part(struct slice *rest, struct slice *part)
{
	const char *comma = rest->s != NULL ? memchr(rest->s, ',', rest->n) : NULL;

	part->s = rest->s;
	part->n = comma != NULL ? (size_t)(comma - rest->s) : rest->n;
	if (part->s == NULL)
		return false;
	rest->n = comma != NULL ? rest->n - part->n - 1 : 0;
	rest->s = comma != NULL ? comma + 1 : NULL;
	return true;
}

static const char prefix[] = "{SCRAM-SHA-256}";

int
scram_verifier_parse(const char *text, struct scram_verifier *out, struct err *err)
{
	struct slice rest, iterations, salt, stored, server;
	uint64_t count;

	memset(out, 0, sizeof *out);
	if (!str_starts(text, prefix))
		return err_set(err, "a verifier begins with %s", prefix);
	rest.s = text + sizeof prefix - 1;
	rest.n = strlen(rest.s);
	if (!next_part(&rest, &iterations) || !next_part(&rest, &salt) || !next_part(&rest, &stored) ||
	    !next_part(&rest, &server) || rest.s != NULL ||
	    str_u64(iterations.s, iterations.n, SCRAM_ITERATIONS_MAX, &count) < 0 || count < 1 ||
	    take_salt(&salt, out->salt, &out->salt_len) < 0 ||
	    take_key(&stored, out->stored_key, DIGEST_SIZE) < 0 || take_key(&server, out->server_key, DIGEST_SIZE) < 0)
		return err_set(err, "%s is followed by iterations (up to %d), salt and two keys in base64, with commas "
		    "between them", prefix, SCRAM_ITERATIONS_MAX);
	out->iterations = (uint32_t)count;
	return 0;
}

void
scram_verifier_print(const struct scram_verifier *v, struct buf *out)
{
	buf_printf(out, "%s%u,", prefix, v->iterations);
	base64_encode(v->salt, v->salt_len, out);
	buf_addc(out, ',');
	base64_encode(v->stored_key, DIGEST_SIZE, out);
	buf_addc(out, ',');
	base64_encode(v->server_key, DIGEST_SIZE, out);
}

void
scram_nonce(char out[SCRAM_NONCE + 1])
{
	uint8_t random[SCRAM_NONCE / 4 * 3];
	struct buf b = { 0 };

	random_bytes(random, sizeof random);
	base64_encode(random, sizeof random, &b);
	memcpy(out, buf_str(&b), SCRAM_NONCE + 1);
	buf_fini(&b);
}

/* ---- the server's side ---- */

void
scram_server_fini(struct scram_server *s)
{
	buf_fini(&s->login);
	buf_fini(&s->authzid);
	buf_fini(&s->gs2);
	buf_fini(&s->bare);
	buf_fini(&s->nonce);
	explicit_bzero(&s->verifier, sizeof s->verifier);
}

/* gs2-header = ("n" / "y") "," [ "a=" saslname ] ","; "p=..." wants channel binding, which is not announced. */
static int
take_gs2(struct scram_server *s, struct slice *rest)
{
	const char *start = rest->s;
	struct slice authzid;

	if (rest->n < 3 || (rest->s[0] != 'n' && rest->s[0] != 'y') || rest->s[1] != ',')
		return -1;
	rest->s += 2;
	rest->n -= 2;
	if (rest->s[0] == ',') {
		rest->s++;
		rest->n--;
	} else if (attribute(rest, 'a', &authzid) < 0 || take_name(&authzid, &s->authzid) < 0) {
		return -1;
	}
	buf_add(&s->gs2, start, (size_t)(rest->s - start));
	return 0;
}

int
scram_server_begin(struct scram_server *s, const char *message, size_t n)
{
	struct slice rest = { message, n }, name, nonce;

	if (take_gs2(s, &rest) < 0)
		return -1;
	buf_add(&s->bare, rest.s, rest.n);
	if (attribute(&rest, 'n', &name) < 0 || take_name(&name, &s->login) < 0 || attribute(&rest, 'r', &nonce) < 0 ||
	    !is_nonce(&nonce))
		return -1;
	buf_add(&s->nonce, nonce.s, nonce.n);
	buf_str(&s->login);
	buf_str(&s->authzid);
	return 0;
}

void
scram_server_challenge(struct scram_server *s, const struct scram_verifier *v, const char *nonce, struct buf *out)
{
	size_t start = out->len;

	s->verifier = *v;
	buf_adds(&s->nonce, nonce);
	buf_adds(out, "r=");
	buf_add(out, s->nonce.data, s->nonce.len);
	buf_adds(out, ",s=");
	base64_encode(v->salt, v->salt_len, out);
	buf_printf(out, ",i=%u", v->iterations);
	buf_addc(&s->bare, ',');
	buf_add(&s->bare, out->data + start, out->len - start);
}

static bool
same(const struct slice *v, const struct buf *b)
{
	return v->n == b->len && memcmp(v->s, b->data, v->n) == 0;
}

/* The channel binding's value is the header it began with, in base64. */
static bool
binding_matches(const struct scram_server *s, const struct slice *c)
{
	struct buf decoded = { 0 };
	struct slice v;
	bool good = base64_decode(c->s, c->n, &decoded) == 0;

	v = (struct slice){ decoded.data, decoded.len };
	good = good && same(&v, &s->gs2);
	buf_fini(&decoded);
	return good;
}

enum scram_result
scram_server_finish(struct scram_server *s, const char *message, size_t n, struct buf *out)
{
	uint8_t proof[DIGEST_SIZE], signature[DIGEST_SIZE], stored[DIGEST_SIZE];
	struct slice rest = { message, n }, c, r, p = { NULL, 0 };
	const char *without_proof;

	if (attribute(&rest, 'c', &c) < 0 || attribute(&rest, 'r', &r) < 0)
		return SCRAM_MALFORMED;
	without_proof = rest.s;
	/* Extensions may stand between; none is known, so none matters. */
	while (rest.n > 0 && rest.s[0] != 'p') {
		if (attribute(&rest, rest.s[0], &p) < 0)
			return SCRAM_MALFORMED;
		without_proof = rest.s;
	}
	if (attribute(&rest, 'p', &p) < 0 || rest.n > 0 || take_key(&p, proof, sizeof proof) < 0)
		return SCRAM_MALFORMED;
	if (!binding_matches(s, &c) || !same(&r, &s->nonce))
		return SCRAM_MALFORMED;
	buf_addc(&s->bare, ',');
	buf_add(&s->bare, message, (size_t)(without_proof - message) - 1);
	digest_hmac(s->verifier.stored_key, DIGEST_SIZE, s->bare.data, s->bare.len, signature);
	xor(proof, signature); /* now the ClientKey */
	digest_sha256(proof, sizeof proof, stored);
	if (!digest_equal(stored, s->verifier.stored_key, DIGEST_SIZE))
		return SCRAM_WRONG;
	digest_hmac(s->verifier.server_key, DIGEST_SIZE, s->bare.data, s->bare.len, signature);
	buf_adds(out, "v=");
	base64_encode(signature, sizeof signature, out);
	return SCRAM_GOOD;
}

/* ---- the client's side ---- */

void
scram_client_fini(struct scram_client *c)
{
	buf_fini(&c->bare);
	buf_fini(&c->nonce);
	explicit_bzero(c->signature, sizeof c->signature);
}

void
scram_client_first(struct scram_client *c, const char *login, const char *nonce, struct buf *out)
{
	buf_adds(&c->nonce, nonce);
	buf_adds(&c->bare, "n=");
	add_name(&c->bare, login);
	buf_printf(&c->bare, ",r=%s", nonce);
	buf_adds(out, "n,,");
	buf_add(out, c->bare.data, c->bare.len);
}

/* server-first-message = nonce "," salt "," iteration-count; the nonce goes on from ours. */
static int
read_challenge(const struct scram_client *c, struct slice rest, struct slice *nonce, struct scram_verifier *v,
    struct err *err)
{
	struct slice salt, i;
	uint64_t iterations;

	if (attribute(&rest, 'r', nonce) < 0 || attribute(&rest, 's', &salt) < 0 || attribute(&rest, 'i', &i) < 0 ||
	    !is_nonce(nonce) || take_salt(&salt, v->salt, &v->salt_len) < 0 ||
	    str_u64(i.s, i.n, UINT32_MAX, &iterations) < 0)
		return err_set(err, "SCRAM: the server's challenge is malformed");
	if (nonce->n <= c->nonce.len || memcmp(nonce->s, c->nonce.data, c->nonce.len) != 0)
		return err_set(err, "SCRAM: the server's challenge is not for us");
	if (iterations < SCRAM_ITERATIONS_MIN || iterations > SCRAM_ITERATIONS_MAX)
		return err_set(err, "SCRAM: the server wants %llu iterations; %d to %d are believed",
		    (unsigned long long)iterations, SCRAM_ITERATIONS_MIN, SCRAM_ITERATIONS_MAX);
	v->iterations = (uint32_t)iterations;
	return 0;
}

int
scram_client_final(struct scram_client *c, const char *password, const char *message, size_t n, struct buf *out,
    struct err *err)
{
	uint8_t signature[DIGEST_SIZE];
	struct scram_verifier v = { 0 };
	struct buf final = { 0 };
	struct slice nonce;
	struct keys k;

	if (read_challenge(c, (struct slice){ message, n }, &nonce, &v, err) < 0)
		return -1;
	derive(&k, password, strlen(password), v.salt, v.salt_len, v.iterations);
	buf_adds(&final, "c=biws,r=");
	buf_add(&final, nonce.s, nonce.n);
	buf_addc(&c->bare, ',');
	buf_add(&c->bare, message, n);
	buf_addc(&c->bare, ',');
	buf_add(&c->bare, final.data, final.len);
	digest_hmac(k.stored, DIGEST_SIZE, c->bare.data, c->bare.len, signature);
	digest_hmac(k.server, DIGEST_SIZE, c->bare.data, c->bare.len, c->signature);
	xor(k.client, signature); /* now the proof */
	buf_add(out, final.data, final.len);
	buf_adds(out, ",p=");
	base64_encode(k.client, DIGEST_SIZE, out);
	explicit_bzero(&k, sizeof k);
	buf_fini(&final);
	return 0;
}

int
scram_client_verify(const struct scram_client *c, const char *message, size_t n, struct err *err)
{
	uint8_t signature[DIGEST_SIZE];
	struct slice rest = { message, n }, v;

	if (attribute(&rest, 'v', &v) < 0 || take_key(&v, signature, sizeof signature) < 0)
		return err_set(err, "SCRAM: the server did not show that it knows the password");
	if (!digest_equal(signature, c->signature, DIGEST_SIZE))
		return err_set(err, "SCRAM: the server does not know the password: it is not the one we think");
	return 0;
}
