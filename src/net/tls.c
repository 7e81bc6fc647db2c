/* SPDX-License-Identifier: MIT */
#include "net/tls.h"
#include "net/tls_private.h"
#include "util/check.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

const char *
tls_error(char *out, size_t size)
{
	unsigned long e = ERR_peek_last_error();

	if (e == 0)
		snprintf(out, size, "unknown TLS error");
	else
		ERR_error_string_n(e, out, size);
	ERR_clear_error();
	return out;
}

static int
failed(struct tls_ctx **ctx, struct err *err, const char *what, const char *file)
{
	char reason[256];

	tls_free(ctx);
	return err_set(err, "%s%s%s: %s", what, file ? " " : "", file ? file : "", tls_error(reason, sizeof reason));
}

static struct tls_ctx *
new_ctx(const SSL_METHOD *method)
{
	struct tls_ctx *c = xcalloc(1, sizeof *c);

	ERR_clear_error();
	c->ssl = SSL_CTX_new(method);
	check(c->ssl != NULL);
	SSL_CTX_set_min_proto_version(c->ssl, TLS1_2_VERSION);
	/* Tickets sent behind the handshake lost the end of bulk transfers to an RST when the peer closed early. */
	SSL_CTX_set_num_tickets(c->ssl, 0);
	SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
	    SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return c;
}

int
tls_server_new(struct tls_ctx **ctx, const char *cert, const char *key, struct err *err)
{
	*ctx = new_ctx(TLS_server_method());
	if (SSL_CTX_use_certificate_chain_file((*ctx)->ssl, cert) != 1)
		return failed(ctx, err, "cannot use the certificate in", cert);
	if (SSL_CTX_use_PrivateKey_file((*ctx)->ssl, key ? key : cert, SSL_FILETYPE_PEM) != 1)
		return failed(ctx, err, "cannot use the private key in", key ? key : cert);
	if (SSL_CTX_check_private_key((*ctx)->ssl) != 1)
		return failed(ctx, err, "the private key does not belong to the certificate in", cert);
	return 0;
}

int
tls_client_new(struct tls_ctx **ctx, bool verify, const char *ca_file, struct err *err)
{
	*ctx = new_ctx(TLS_client_method());
	(*ctx)->verify = verify;
	if (!verify)
		return 0;
	SSL_CTX_set_verify((*ctx)->ssl, SSL_VERIFY_PEER, NULL);
	if (ca_file == NULL) {
		if (SSL_CTX_set_default_verify_paths((*ctx)->ssl) != 1)
			return failed(ctx, err, "cannot load the system's certificate authorities", NULL);
	} else if (SSL_CTX_load_verify_locations((*ctx)->ssl, ca_file, NULL) != 1)
		return failed(ctx, err, "cannot load the certificate authorities in", ca_file);
	return 0;
}

void
tls_free(struct tls_ctx **ctx)
{
	if (*ctx == NULL)
		return;
	SSL_CTX_free((*ctx)->ssl);
	free(*ctx);
	*ctx = NULL;
}
