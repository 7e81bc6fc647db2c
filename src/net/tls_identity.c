/* SPDX-License-Identifier: MIT */
#include "net/tls_identity.h"
#include "net/keyring.h"
#include "net/tls_private.h"
#include "util/check.h"
#include "util/str.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAMES_MAX = 10000, NAME_MAX_LENGTH = 255 };

/* The library would ask on the terminal. */
static int
no_passphrase(char *out, int size, int writing, void *arg)
{
	(void)out;
	(void)size;
	(void)writing;
	*(bool *)arg = true;
	return -1;
}

static BIO *
open_pem(const struct keyring_pair *pair)
{
	BIO *b = BIO_new_mem_buf(pair->pem.len > 0 ? pair->pem.data : "", (int)pair->pem.len);

	check(b != NULL);
	ERR_clear_error();
	return b;
}

/* Is what stopped the reading just that there is no more? */
static bool
at_the_end(void)
{
	unsigned long e = ERR_peek_last_error();

	return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

static int
read_chain(struct tls_identity *id, const struct keyring_pair *pair, struct err *err)
{
	bool locked = false;
	char reason[256];
	BIO *b = open_pem(pair);
	X509 *x;
	int rc = 0;

	id->chain = sk_X509_new_null();
	check(id->chain != NULL);
	id->cert = PEM_read_bio_X509_AUX(b, NULL, no_passphrase, &locked);
	while (id->cert != NULL && (x = PEM_read_bio_X509(b, NULL, no_passphrase, &locked)) != NULL)
		check(sk_X509_push(id->chain, x) > 0);
	if (!at_the_end())
		rc = err_set(err, "damaged certificate: %s", tls_error(reason, sizeof reason));
	else if (id->cert == NULL)
		rc = err_set(err, "no certificate in it (-----BEGIN CERTIFICATE-----)");
	ERR_clear_error();
	BIO_free(b);
	return rc;
}

static int
read_key(struct tls_identity *id, const struct keyring_pair *pair, struct err *err)
{
	static const char mark[] = "PRIVATE KEY-----";
	bool locked = false;
	char reason[256];
	BIO *b = open_pem(pair);

	id->key = PEM_read_bio_PrivateKey(b, NULL, no_passphrase, &locked);
	BIO_free(b);
	if (id->key != NULL) {
		ERR_clear_error();
		return 0;
	}
	tls_error(reason, sizeof reason);
	if (locked)
		return err_set(err, "the private key is locked by a passphrase");
	if (memmem(pair->pem.data, pair->pem.len, mark, sizeof mark - 1) == NULL)
		return err_set(err, "no private key in it (-----BEGIN PRIVATE KEY-----)");
	return err_set(err, "damaged private key: %s", reason);
}

static int
learn_kind(struct tls_identity *id, struct err *err)
{
	int type = EVP_PKEY_get_base_id(id->key), bits = EVP_PKEY_get_bits(id->key);

	switch (type) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
		id->kind = TLS_KIND_RSA;
		snprintf(id->kind_text, sizeof id->kind_text, "RSA %d", bits);
		return 0;
	case EVP_PKEY_EC:
		id->kind = TLS_KIND_ECDSA;
		snprintf(id->kind_text, sizeof id->kind_text, "ECDSA P-%d", bits);
		return 0;
	case EVP_PKEY_ED25519:
	case EVP_PKEY_ED448:
		id->kind = TLS_KIND_EDDSA;
		snprintf(id->kind_text, sizeof id->kind_text, "%s", type == EVP_PKEY_ED25519 ? "Ed25519" : "Ed448");
		return 0;
	default:
		return err_set(err, "keys of this kind are not supported: RSA, ECDSA or Ed25519 are");
	}
}

/* What a certificate names but no client can ask for is left out. */
static void
add_name(struct tls_identity *id, const ASN1_STRING *s)
{
	const char *p = (const char *)ASN1_STRING_get0_data(s);
	int n = ASN1_STRING_length(s), i;
	char *name;

	if (n <= 0 || n > NAME_MAX_LENGTH || id->name_count == NAMES_MAX)
		return;
	for (i = 0; i < n; i++)
		if (!ascii_is_alnum(p[i]) && strchr("-._", p[i]) == NULL && (p[i] != '*' || i > 0))
			return;
	name = xstrndup(p, (size_t)n);
	if (memchr(p, '\0', (size_t)n) != NULL || (name[0] == '*' && name[1] != '.')) {
		free(name);
		return;
	}
	str_lower(name);
	id->name = xrealloc(id->name, (id->name_count + 1) * sizeof *id->name);
	id->name[id->name_count++] = name;
}

/* The common name counts where there is no DNS name (RFC 6125 6.4.4). */
static void
learn_names(struct tls_identity *id)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(id->cert, NID_subject_alt_name, NULL, NULL);
	X509_NAME *subject = X509_get_subject_name(id->cert);
	int i, at;

	for (i = 0; all != NULL && i < sk_GENERAL_NAME_num(all); i++)
		if (sk_GENERAL_NAME_value(all, i)->type == GEN_DNS)
			add_name(id, sk_GENERAL_NAME_value(all, i)->d.dNSName);
	GENERAL_NAMES_free(all);
	if (id->name_count == 0 && (at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1)) >= 0)
		add_name(id, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	ERR_clear_error();
}

static int64_t
wall(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int
tls_identity_init(struct tls_identity *id, const struct keyring_pair *pair, struct err *err)
{
	memset(id, 0, sizeof *id);
	id->file = xstrdup(pair->file);
	if (pair->problem != NULL)
		id->problem = xstrdup(pair->problem);
	if (read_chain(id, pair, err) < 0 || read_key(id, pair, err) < 0 || learn_kind(id, err) < 0)
		goto failed;
	if (X509_check_private_key(id->cert, id->key) != 1) {
		ERR_clear_error();
		err_set(err, "the private key does not belong to the certificate");
		goto failed;
	}
	learn_names(id);
	id->not_before = wall(X509_get0_notBefore(id->cert));
	id->not_after = wall(X509_get0_notAfter(id->cert));
	return 0;
failed:
	tls_identity_fini(id);
	return -1;
}

void
tls_identity_fini(struct tls_identity *id)
{
	unsigned i;

	X509_free(id->cert);
	sk_X509_pop_free(id->chain, X509_free);
	EVP_PKEY_free(id->key);
	for (i = 0; i < id->name_count; i++)
		free(id->name[i]);
	free(id->name);
	free(id->file);
	free(id->problem);
	memset(id, 0, sizeof *id);
}

void
tls_fingerprint(const X509 *cert, char out[TLS_FINGERPRINT])
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0, i;

	check(X509_digest(cert, EVP_sha256(), md, &n) == 1 && n * 2 + 1 == TLS_FINGERPRINT);
	for (i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", md[i]);
}
