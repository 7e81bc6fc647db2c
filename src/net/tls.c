/* SPDX-License-Identifier: MIT */
#include "net/tls.h"
#include "net/keyring.h"
#include "net/tls_identity.h"
#include "net/tls_private.h"
#include "util/check.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
tls_error(char *out, size_t size)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(e);

	if (e == 0)
		snprintf(out, size, "unknown TLS error");
	else if (reason != NULL && !ERR_SYSTEM_ERROR(e))
		snprintf(out, size, "%s", reason);
	else
		ERR_error_string_n(e, out, size);
	ERR_clear_error();
	return out;
}

SSL_CTX *
tls_make(bool server)
{
	SSL_CTX *ssl;

	ERR_clear_error();
	ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	check(ssl != NULL);
	SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
	/* Tickets sent behind the handshake lost the end of bulk transfers to an RST when the peer closed early. */
	SSL_CTX_set_num_tickets(ssl, 0);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
	    SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* A record costs one call of the system instead of two: one for its header, one for the rest. */
	SSL_CTX_set_read_ahead(ssl, 1);
	return ssl;
}

int
tls_pair_check(const struct keyring_pair *pair, struct err *err)
{
	struct keyring ring = { .pair = (struct keyring_pair *)(uintptr_t)pair, .count = 1 };
	SSL_CTX *ssl = tls_make(true);
	int rc = tls_certificates_set(ssl, &ring, err);

	SSL_CTX_free(ssl);
	return rc;
}

static int
set_roots(SSL_CTX *ssl, const struct keyring *ring, struct err *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ssl);
	BIO *b = BIO_new_mem_buf(ring->roots.data, (int)ring->roots.len);
	unsigned count = 0;
	X509 *x;

	check(b != NULL);
	while ((x = PEM_read_bio_X509_AUX(b, NULL, NULL, NULL)) != NULL) {
		count += X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	BIO_free(b);
	ERR_clear_error();
	if (count == 0)
		return err_set(err, "%s: no certificate of an authority in it", ring->roots_file);
	return 0;
}

int
tls_roots_check(const struct keyring *ring, struct err *err)
{
	SSL_CTX *ssl = tls_make(false);
	int rc = set_roots(ssl, ring, err);

	SSL_CTX_free(ssl);
	return rc;
}

/* What RING makes of a context like CTX. */
static int
build(SSL_CTX **out, const struct tls_ctx *ctx, const struct keyring *ring, struct err *err)
{
	SSL_CTX *ssl = tls_make(ctx->server);

	if ((ctx->server && tls_certificates_set(ssl, ring, err) < 0) ||
	    ((ctx->server || ctx->verify) && ring->roots_file != NULL && set_roots(ssl, ring, err) < 0)) {
		SSL_CTX_free(ssl);
		return -1;
	}
	if (ctx->verify)
		SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	*out = ssl;
	return 0;
}

static int
make(struct tls_ctx **out, const struct tls_ctx *like, const struct keyring *ring, struct err *err)
{
	struct tls_ctx *c = xmemdup(like, sizeof *like);

	pthread_mutex_init(&c->lock, NULL);
	*out = c;
	if (build(&c->ssl, c, ring, err) == 0)
		return 0;
	tls_free(out);
	return -1;
}

int
tls_server_new(struct tls_ctx **ctx, const struct keyring *ring, struct err *err)
{
	const struct tls_ctx like = { .server = true };

	return make(ctx, &like, ring, err);
}

int
tls_client_new(struct tls_ctx **ctx, bool verify, const struct keyring *ring, struct err *err)
{
	const struct tls_ctx like = { .verify = verify };

	return make(ctx, &like, ring, err);
}

/* The lock is held for a few instructions; what took time is done. */
int
tls_replace(struct tls_ctx *ctx, const struct keyring *ring, struct err *err)
{
	SSL_CTX *new, *old;

	if (build(&new, ctx, ring, err) < 0)
		return -1;
	pthread_mutex_lock(&ctx->lock);
	old = ctx->ssl;
	ctx->ssl = new;
	pthread_mutex_unlock(&ctx->lock);
	SSL_CTX_free(old);
	return 0;
}

void
tls_free(struct tls_ctx **ctx)
{
	if (*ctx == NULL)
		return;
	SSL_CTX_free((*ctx)->ssl);
	pthread_mutex_destroy(&(*ctx)->lock);
	free(*ctx);
	*ctx = NULL;
}

/* What is in force, for the caller to free. */
static SSL_CTX *
hold(struct tls_ctx *ctx)
{
	SSL_CTX *ssl;

	pthread_mutex_lock(&ctx->lock);
	ssl = ctx->ssl;
	SSL_CTX_up_ref(ssl);
	pthread_mutex_unlock(&ctx->lock);
	return ssl;
}

SSL *
tls_new(struct tls_ctx *ctx)
{
	SSL_CTX *now = hold(ctx);
	SSL *ssl = SSL_new(now);

	check(ssl != NULL);
	SSL_CTX_free(now);
	return ssl;
}

void
tls_each(struct tls_ctx *ctx, void (*fn)(const struct tls_certificate *c, void *arg), void *arg)
{
	SSL_CTX *ssl = hold(ctx);
	struct tls_certificate c;
	unsigned count, i;
	const struct tls_identity *id = tls_certificates_get(ssl, &count);

	for (i = 0; i < count; i++, id++) {
		c = (struct tls_certificate){ .file = id->file, .kind = id->kind_text,
			.name = (const char *const *)id->name, .name_count = id->name_count, .problem = id->problem,
			.not_before = id->not_before, .not_after = id->not_after, .used = id->used };
		tls_fingerprint(id->cert, c.fingerprint);
		fn(&c, arg);
	}
	SSL_CTX_free(ssl);
}
