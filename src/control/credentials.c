/* SPDX-License-Identifier: MIT */
#include "control/credentials.h"
#include "control/certificates.h"
#include "net/tls.h"

#include <string.h>

int
credentials_apply(struct credentials *c, struct keyring *ring, struct err *err)
{
	int rc = c->server == NULL ? tls_server_new(&c->server, ring, err) : tls_replace(c->server, ring, err);

	if (rc == 0 && c->client == NULL)
		rc = tls_client_new(&c->client, false, ring, err);
	if (rc == 0)
		rc = c->verify == NULL ? tls_client_new(&c->verify, true, ring, err) : tls_replace(c->verify, ring, err);
	if (rc < 0) {
		keyring_fini(ring);
		return -1;
	}
	keyring_fini(&c->ring);
	c->ring = *ring;
	memset(ring, 0, sizeof *ring);
	return 0;
}

int
credentials_open(struct credentials *c, const struct settings *s, struct err *err)
{
	struct keyring ring = { 0 };

	memset(c, 0, sizeof *c);
	if (certificates_read(&ring, s, NULL, err) < 0)
		return -1;
	if (credentials_apply(c, &ring, err) == 0)
		return 0;
	credentials_fini(c);
	return -1;
}

void
credentials_fini(struct credentials *c)
{
	keyring_fini(&c->ring);
	tls_free(&c->server);
	tls_free(&c->client);
	tls_free(&c->verify);
}
