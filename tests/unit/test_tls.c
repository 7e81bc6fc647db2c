/* SPDX-License-Identifier: MIT */
/* Which certificate a client is shown, and which are refused when they are read. */
#include "net/keyring.h"
#include "net/tls.h"
#include "net/tls_private.h"
#include "util/check.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static EVP_PKEY *rsa, *other_rsa, *small_rsa, *ec, *ed;

static int
setup(void **state)
{
	(void)state;
	rsa = EVP_RSA_gen(2048);
	other_rsa = EVP_RSA_gen(2048);
	small_rsa = EVP_RSA_gen(1024);
	ec = EVP_EC_gen("P-256");
	ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	return rsa != NULL && other_rsa != NULL && small_rsa != NULL && ec != NULL && ed != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(other_rsa);
	EVP_PKEY_free(small_rsa);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(ed);
	return 0;
}

static void
take(BIO *b, struct buf *out)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);

	buf_add(out, p, (size_t)n);
	BIO_free(b);
}

static void
add_names(X509 *x, const char *names)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

	check(e != NULL && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
}

/* A self-signed certificate for CN and, unless NULL, the subject alternative NAMES; its file is called CN. */
static void
make_certificate(struct buf *out, const char *cn, const char *names, EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x);
	BIO *b = BIO_new(BIO_s_mem());

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(x, subject);
	X509_set_pubkey(x, key);
	if (names != NULL)
		add_names(x, names);
	check(X509_sign(x, key, key == ed ? NULL : EVP_sha256()) > 0);
	check(PEM_write_bio_X509(b, x) == 1);
	X509_free(x);
	take(b, out);
}

static void
make_key(struct buf *out, EVP_PKEY *key)
{
	BIO *b = BIO_new(BIO_s_mem());

	check(PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) == 1);
	take(b, out);
}

static void
add(struct keyring *ring, const char *cn, const char *names, EVP_PKEY *key)
{
	struct buf chain = { 0 }, secret = { 0 };

	make_certificate(&chain, cn, names, key);
	make_key(&secret, key);
	keyring_add(ring, cn, &chain, &secret);
	keyring_wipe(&chain);
	keyring_wipe(&secret);
}

/* RSA for mx and a wildcard, ECDSA for mx and another domain, Ed25519 for one name, a common name only. */
static void
fill(struct keyring *ring)
{
	add(ring, "first", "DNS:mx.example,DNS:*.wild.example", rsa);
	add(ring, "second", "DNS:MX.example,DNS:other.example", ec);
	add(ring, "third", "DNS:exact.wild.example,DNS:mx.example", ec);
	add(ring, "fourth", "DNS:modern.example", ed);
	add(ring, "cn.example", NULL, other_rsa);
	add(ring, "shadowed", "DNS:mx.example", other_rsa);
}

static void
exchange(SSL *server, SSL *client)
{
	int i;

	for (i = 0; i < 10; i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	ERR_clear_error();
}

/* The common name of what a client sees that asks for NAME and takes signatures by ALGORITHMS; "" when the
 * handshake fails. */
static const char *
shown(struct tls_ctx *ctx, const char *name, const char *algorithms)
{
	static char cn[64];
	SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
	SSL *server = tls_new(ctx), *client = SSL_new(client_ctx);
	BIO *a, *b;
	X509 *x;

	cn[0] = '\0';
	check(BIO_new_bio_pair(&a, 0, &b, 0) == 1);
	SSL_set_bio(server, a, a);
	SSL_set_bio(client, b, b);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	if (name != NULL)
		SSL_set_tlsext_host_name(client, name);
	if (algorithms != NULL)
		check(SSL_set1_sigalgs_list(client, algorithms) == 1);
	exchange(server, client);
	x = SSL_is_init_finished(client) ? SSL_get1_peer_certificate(client) : NULL;
	if (x != NULL)
		X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof cn);
	X509_free(x);
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(client_ctx);
	return cn;
}

#define RSA_ONLY "RSA-PSS+SHA256:RSA+SHA256"
#define EC_ONLY "ECDSA+SHA256"

static void
the_name_asked_for_chooses_the_certificate(void **state)
{
	static char longest[256];
	static const struct {
		const char *name, *algorithms, *shown;
	} rows[] = {
		{ NULL, RSA_ONLY, "first" }, { NULL, EC_ONLY, "second" }, { "mx.example", RSA_ONLY, "first" },
		{ "mx.example", EC_ONLY, "second" }, { "MX.EXAMPLE", EC_ONLY, "second" }, { "mx.example.", EC_ONLY, "second" },
		{ "other.example", NULL, "second" }, { "other.example", RSA_ONLY, "" }, { "a.wild.example", NULL, "first" },
		{ "exact.wild.example", EC_ONLY, "third" }, { "exact.wild.example", RSA_ONLY, "first" },
		{ "a.b.wild.example", RSA_ONLY, "first" }, { "wild.example", EC_ONLY, "second" }, /* strangers: the default */
		{ "cn.example", NULL, "cn.example" }, { "modern.example", NULL, "fourth" }, { "stranger", RSA_ONLY, "first" },
		{ "a\\", RSA_ONLY, "first" }, { "*.wild.example", RSA_ONLY, "first" }, { ".", RSA_ONLY, "first" },
		{ "..", RSA_ONLY, "first" }, { ".wild.example", RSA_ONLY, "first" }, { "\xff\r\n%n${run{x}}", RSA_ONLY, "first" },
		{ longest, RSA_ONLY, "first" },
	};
	struct keyring ring = { 0 };
	struct tls_ctx *ctx;
	struct err err;
	size_t i;

	(void)state;
	memset(longest, 'x', sizeof longest - 1);
	longest[3] = '.';
	fill(&ring);
	assert_int_equal(tls_server_new(&ctx, &ring, &err), 0);
	keyring_fini(&ring);
	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (strcmp(shown(ctx, rows[i].name, rows[i].algorithms), rows[i].shown) != 0)
			fail_msg("row %zu: %s is shown '%s'", i, rows[i].name ? rows[i].name : "nobody",
			    shown(ctx, rows[i].name, rows[i].algorithms));
	}
	tls_free(&ctx);
}

static void
replacing_changes_later_handshakes_only(void **state)
{
	struct keyring old = { 0 }, new = { 0 }, bad = { 0 };
	struct tls_ctx *ctx;
	struct err err;
	SSL *begun;

	(void)state;
	add(&old, "old", "DNS:mx.example", ec);
	add(&new, "new", "DNS:mx.example", rsa);
	add(&bad, "bad", "DNS:mx.example", small_rsa);
	assert_int_equal(tls_server_new(&ctx, &old, &err), 0);
	begun = tls_new(ctx);
	assert_int_equal(tls_replace(ctx, &new, &err), 0);
	assert_string_equal(shown(ctx, "mx.example", NULL), "new");
	assert_int_equal(tls_replace(ctx, &bad, &err), -1);
	assert_string_equal(shown(ctx, "mx.example", NULL), "new");
	SSL_free(begun); /* frees what it began with */
	tls_free(&ctx);
	keyring_fini(&old);
	keyring_fini(&new);
	keyring_fini(&bad);
}

/* PEM of CHAIN and KEY, each may be "", checked as a file called x.pem. */
static const char *
why_refused(const struct buf *chain, const struct buf *key)
{
	static struct err err;
	struct keyring ring = { 0 };
	int rc;

	keyring_add(&ring, "x.pem", chain, key);
	rc = tls_pair_check(&ring.pair[0], &err);
	keyring_fini(&ring);
	if (rc == 0)
		return "";
	assert_non_null(strstr(err.text, "x.pem"));
	return err.text;
}

static void
what_is_half_written_or_does_not_fit_is_refused(void **state)
{
	struct buf chain = { 0 }, key = { 0 }, other = { 0 }, weak = { 0 }, weak_key = { 0 }, none = { 0 }, cut;

	(void)state;
	make_certificate(&chain, "mx", "DNS:mx.example", rsa);
	make_key(&key, rsa);
	make_key(&other, other_rsa);
	make_certificate(&weak, "mx", "DNS:mx.example", small_rsa);
	make_key(&weak_key, small_rsa);
	assert_string_equal(why_refused(&chain, &key), "");
	assert_string_equal(why_refused(&key, &chain), ""); /* the order does not matter */
	assert_non_null(strstr(why_refused(&chain, &other), "does not belong"));
	assert_non_null(strstr(why_refused(&chain, NULL), "no private key"));
	assert_non_null(strstr(why_refused(&none, &key), "no certificate"));
	assert_non_null(strstr(why_refused(&weak, &weak_key), "too small"));
	cut = chain;
	for (cut.len = 1; cut.len < chain.len - 1; cut.len += 97)
		assert_string_not_equal(why_refused(&cut, &key), "");
	cut = key;
	for (cut.len = 1; cut.len < key.len - 10; cut.len += 97)
		assert_string_not_equal(why_refused(&chain, &cut), "");
	buf_fini(&chain);
	buf_fini(&key);
	buf_fini(&other);
	buf_fini(&weak);
	buf_fini(&weak_key);
}

static void
a_locked_key_asks_nobody(void **state)
{
	struct buf chain = { 0 }, key = { 0 };
	BIO *b = BIO_new(BIO_s_mem());

	(void)state;
	make_certificate(&chain, "mx", NULL, ec);
	check(PEM_write_bio_PKCS8PrivateKey(b, ec, EVP_aes_128_cbc(), "secret", 6, NULL, NULL) == 1);
	take(b, &key);
	assert_non_null(strstr(why_refused(&chain, &key), "passphrase"));
	buf_fini(&chain);
	buf_fini(&key);
}

static void
a_ring_travels_between_processes(void **state)
{
	struct keyring ring = { 0 }, got;
	struct buf bytes = { 0 };
	struct err err;
	size_t n;

	(void)state;
	fill(&ring);
	ring.pair[1].problem = xstrdup("cut");
	ring.roots_file = xstrdup("/etc/roots");
	buf_adds(&ring.roots, "roots");
	keyring_encode(&ring, &bytes);
	assert_int_equal(keyring_decode(&got, bytes.data, bytes.len, &err), 0);
	assert_int_equal(got.count, ring.count);
	assert_string_equal(got.pair[1].problem, "cut");
	assert_null(got.pair[0].problem);
	assert_string_equal(got.pair[5].file, "shadowed");
	assert_int_equal(got.pair[5].pem.len, ring.pair[5].pem.len);
	assert_memory_equal(got.pair[5].pem.data, ring.pair[5].pem.data, ring.pair[5].pem.len);
	assert_string_equal(got.roots_file, "/etc/roots");
	assert_int_equal(got.roots.len, 5);
	assert_true(keyring_same(&ring, &got));
	free(got.pair[1].problem);
	got.pair[1].problem = NULL;
	assert_false(keyring_same(&ring, &got));
	assert_true(keyring_same_pair(&ring.pair[1], &got.pair[1]));
	got.pair[1].pem.data[5]++;
	assert_false(keyring_same_pair(&ring.pair[1], &got.pair[1]));
	assert_ptr_equal(keyring_find(&got, "third"), &got.pair[2]);
	assert_null(keyring_find(&got, "nobody"));
	keyring_fini(&got);
	for (n = 0; n < bytes.len; n++)
		assert_int_equal(keyring_decode(&got, bytes.data, n, &err), -1);
	buf_addc(&bytes, 'x');
	assert_int_equal(keyring_decode(&got, bytes.data, bytes.len, &err), -1);
	keyring_fini(&ring);
	keyring_wipe(&bytes);
}

static void
note_certificate(const struct tls_certificate *c, void *arg)
{
	struct buf *out = arg;

	buf_printf(out, "%s|%s|%u|%s|%zu\n", c->file, c->kind, c->name_count, c->used ? "used" : "unused",
	    strlen(c->fingerprint));
}

static void
the_list_tells_what_is_used(void **state)
{
	struct keyring ring = { 0 };
	struct buf out = { 0 };
	struct tls_ctx *ctx;
	struct err err;

	(void)state;
	fill(&ring);
	assert_int_equal(tls_server_new(&ctx, &ring, &err), 0);
	tls_each(ctx, note_certificate, &out);
	assert_string_equal(buf_str(&out),
	    "first|RSA 2048|2|used|64\nsecond|ECDSA P-256|2|used|64\nthird|ECDSA P-256|2|used|64\n"
	    "fourth|Ed25519|1|used|64\ncn.example|RSA 2048|1|used|64\nshadowed|RSA 2048|1|unused|64\n");
	buf_fini(&out);
	tls_free(&ctx);
	keyring_fini(&ring);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_name_asked_for_chooses_the_certificate),
		cmocka_unit_test(replacing_changes_later_handshakes_only),
		cmocka_unit_test(what_is_half_written_or_does_not_fit_is_refused),
		cmocka_unit_test(a_locked_key_asks_nobody),
		cmocka_unit_test(a_ring_travels_between_processes),
		cmocka_unit_test(the_list_tells_what_is_used),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
