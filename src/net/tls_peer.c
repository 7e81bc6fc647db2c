/* SPDX-License-Identifier: MIT */
/* What is demanded of the peer's certificate, and what is known of it afterwards. */
#include "net/tls.h"
#include "net/tls_identity.h"
#include "net/tls_private.h"
#include "util/check.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* The verdict is kept by the library; here it decides nothing. */
static int
go_on(int good, X509_STORE_CTX *ctx)
{
	(void)good;
	(void)ctx;
	return 1;
}

void
tls_ask(SSL *ssl, enum tls_ask ask)
{
	if (ask == TLS_ASK_OPTIONAL)
		SSL_set_verify(ssl, SSL_VERIFY_PEER, go_on);
	else if (ask == TLS_ASK_REQUIRED)
		SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

static bool
is_address(const char *name)
{
	unsigned char ip[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1;
}

/* RFC 6066 3 allows no addresses in SNI. A star of a certificate stands for a whole label (RFC 6125 6.4.3). */
int
tls_expect(SSL *ssl, const struct tls_ctx *ctx, const char *name, struct err *err)
{
	bool address = name != NULL && is_address(name);
	int done = 1;

	if (name == NULL && ctx->verify)
		return err_set(err, "there is no name its certificate could be verified for");
	if (name != NULL && !address)
		done = SSL_set_tlsext_host_name(ssl, name) == 1;
	if (ctx->verify && address)
		done = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
	else if (ctx->verify) {
		SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		done = done && SSL_set1_host(ssl, name) == 1;
	}
	ERR_clear_error();
	return done == 1 ? 0 : err_set(err, "\"%.200s\" is no name for TLS", name);
}

static bool
set_name(struct tls_peer *p, const ASN1_STRING *s)
{
	int n = ASN1_STRING_length(s);

	if (n <= 0 || (size_t)n >= sizeof p->name || memchr(ASN1_STRING_get0_data(s), '\0', (size_t)n) != NULL)
		return false;
	memcpy(p->name, ASN1_STRING_get0_data(s), (size_t)n);
	p->name[n] = '\0';
	return true;
}

static bool
learn_alternative(struct tls_peer *p, const GENERAL_NAMES *all, int type)
{
	int i;

	for (i = 0; i < sk_GENERAL_NAME_num(all); i++)
		if (sk_GENERAL_NAME_value(all, i)->type == type && set_name(p, sk_GENERAL_NAME_value(all, i)->d.ia5))
			return true;
	return false;
}

static void
learn_name(struct tls_peer *p, X509 *x)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if ((all == NULL || (!learn_alternative(p, all, GEN_DNS) && !learn_alternative(p, all, GEN_EMAIL))) && at >= 0)
		set_name(p, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	GENERAL_NAMES_free(all);
	ERR_clear_error();
}

struct tls_peer *
tls_peer_new(SSL *ssl)
{
	X509 *x = SSL_get0_peer_certificate(ssl);
	long verdict = SSL_get_verify_result(ssl);
	struct tls_peer *p;

	if (x == NULL)
		return NULL;
	p = xcalloc(1, sizeof *p);
	p->verified = verdict == X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE;
	p->reason = p->verified ? NULL : verdict == X509_V_OK ? "not looked at" : X509_verify_cert_error_string(verdict);
	tls_fingerprint(x, p->fingerprint);
	learn_name(p, x);
	return p;
}
