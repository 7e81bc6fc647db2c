/* SPDX-License-Identifier: MIT */
#include "net/keyring.h"
#include "util/check.h"
#include "util/file.h"

#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PEM_MAX = 1 << 20, ROOTS_MAX = 16 << 20 };

void
keyring_wipe(struct buf *b)
{
	if (b->data != NULL)
		OPENSSL_cleanse(b->data, b->cap);
	buf_fini(b);
}

void
keyring_fini(struct keyring *ring)
{
	unsigned i;

	for (i = 0; i < ring->count; i++) {
		free(ring->pair[i].file);
		free(ring->pair[i].problem);
		keyring_wipe(&ring->pair[i].pem);
	}
	free(ring->pair);
	free(ring->roots_file);
	buf_fini(&ring->roots);
	memset(ring, 0, sizeof *ring);
}

static struct keyring_pair *
append(struct keyring *ring, const char *file)
{
	struct keyring_pair *p;

	ring->pair = xrealloc(ring->pair, (ring->count + 1) * sizeof *ring->pair);
	p = &ring->pair[ring->count++];
	memset(p, 0, sizeof *p);
	p->file = xstrdup(file);
	return p;
}

struct keyring_pair *
keyring_add(struct keyring *ring, const char *file, const struct buf *chain, const struct buf *key)
{
	struct keyring_pair *p = append(ring, file);

	/* Grown once, so that no copy of the key stays behind. */
	buf_reserve(&p->pem, chain->len + (key != NULL ? key->len : 0) + 2);
	buf_add(&p->pem, chain->data, chain->len);
	buf_addc(&p->pem, '\n');
	if (key != NULL)
		buf_add(&p->pem, key->data, key->len);
	return p;
}

struct keyring_pair *
keyring_copy_pair(struct keyring *ring, const struct keyring_pair *pair)
{
	struct keyring_pair *p = append(ring, pair->file);

	if (pair->problem != NULL)
		p->problem = xstrdup(pair->problem);
	buf_add(&p->pem, pair->pem.data, pair->pem.len);
	return p;
}

const struct keyring_pair *
keyring_find(const struct keyring *ring, const char *file)
{
	unsigned i;

	for (i = 0; i < ring->count; i++)
		if (strcmp(ring->pair[i].file, file) == 0)
			return &ring->pair[i];
	return NULL;
}

static bool
same_bytes(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool
keyring_same_pair(const struct keyring_pair *a, const struct keyring_pair *b)
{
	return same_text(a->file, b->file) && same_bytes(&a->pem, &b->pem);
}

bool
keyring_same(const struct keyring *a, const struct keyring *b)
{
	unsigned i;

	if (a->count != b->count || !same_text(a->roots_file, b->roots_file) || !same_bytes(&a->roots, &b->roots))
		return false;
	for (i = 0; i < a->count; i++)
		if (!keyring_same_pair(&a->pair[i], &b->pair[i]) ||
		    !same_text(a->pair[i].problem, b->pair[i].problem))
			return false;
	return true;
}

int
keyring_read(struct keyring *ring, const char *cert, const char *key, struct err *err)
{
	struct buf chain = { 0 }, secret = { 0 };
	int rc = file_read(cert, PEM_MAX, &chain, err);

	if (rc == 0 && key != NULL)
		rc = file_read(key, PEM_MAX, &secret, err);
	if (rc == 0)
		keyring_add(ring, cert, &chain, key != NULL ? &secret : NULL);
	keyring_wipe(&chain);
	keyring_wipe(&secret);
	return rc;
}

/* Where systems keep the authorities they trust, in one file. */
static const char *
system_roots(void)
{
	static const char *const known[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem" };
	const char *file = getenv(X509_get_default_cert_file_env());
	size_t i;

	if (file != NULL && *file != '\0')
		return file;
	file = X509_get_default_cert_file();
	for (i = 0; access(file, R_OK) < 0; file = known[i++])
		if (i == sizeof known / sizeof *known)
			return NULL;
	return file;
}

int
keyring_read_roots(struct keyring *ring, const char *file, struct err *err)
{
	if (file == NULL)
		file = system_roots();
	if (file == NULL)
		return err_set(err, "the system has no list of certificate authorities: install ca-certificates, or name "
		    "them: tls { ca = /etc/tmail/tls/ca.pem }");
	if (ring->roots_file == NULL)
		ring->roots_file = xstrdup(file);
	if (file_read(file, ROOTS_MAX, &ring->roots, err) < 0)
		return -1;
	buf_addc(&ring->roots, '\n');
	return 0;
}

/* ---- for another process: lengths and bytes ---- */

static void
put(struct buf *out, const void *p, size_t n)
{
	buf_add_u32(out, (uint32_t)n);
	buf_add(out, p, n);
}

static void
put_text(struct buf *out, const char *s)
{
	put(out, s, s != NULL ? strlen(s) : 0);
}

void
keyring_encode(const struct keyring *ring, struct buf *out)
{
	unsigned i;

	put_text(out, ring->roots_file);
	put(out, ring->roots.data, ring->roots.len);
	buf_add_u32(out, ring->count);
	for (i = 0; i < ring->count; i++) {
		put_text(out, ring->pair[i].file);
		put_text(out, ring->pair[i].problem);
		put(out, ring->pair[i].pem.data, ring->pair[i].pem.len);
	}
}

struct reader {
	const char *p, *end;
};

static int
get_u32(struct reader *r, uint32_t *v)
{
	const unsigned char *p = (const unsigned char *)r->p;

	if (r->end - r->p < 4)
		return -1;
	*v = p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
	r->p += 4;
	return 0;
}

static int
get(struct reader *r, const char **p, uint32_t *n)
{
	if (get_u32(r, n) < 0 || (size_t)(r->end - r->p) < *n)
		return -1;
	*p = r->p;
	r->p += *n;
	return 0;
}

static int
get_text(struct reader *r, char **out)
{
	const char *p;
	uint32_t n;

	if (get(r, &p, &n) < 0)
		return -1;
	*out = n > 0 ? xstrndup(p, n) : NULL;
	return 0;
}

static int
get_bytes(struct reader *r, struct buf *out)
{
	const char *p;
	uint32_t n;

	if (get(r, &p, &n) < 0)
		return -1;
	buf_add(out, p, n);
	return 0;
}

static int
get_pair(struct reader *r, struct keyring *ring)
{
	struct keyring_pair *p = append(ring, "");

	free(p->file);
	p->file = NULL;
	if (get_text(r, &p->file) < 0 || get_text(r, &p->problem) < 0 || get_bytes(r, &p->pem) < 0)
		return -1;
	return p->file != NULL ? 0 : -1;
}

int
keyring_decode(struct keyring *ring, const char *p, size_t n, struct err *err)
{
	struct reader r = { p, p + n };
	uint32_t count, i;
	int rc;

	memset(ring, 0, sizeof *ring);
	rc = get_text(&r, &ring->roots_file) < 0 || get_bytes(&r, &ring->roots) < 0 || get_u32(&r, &count) < 0 ? -1 : 0;
	for (i = 0; rc == 0 && i < count; i++)
		rc = get_pair(&r, ring);
	if (rc == 0 && r.p == r.end)
		return 0;
	keyring_fini(ring);
	return err_set(err, "certificates from the supervisor are damaged");
}
