/* SPDX-License-Identifier: MIT */
/* Which certificates a client is shown: by the name it asks for (RFC 6066 3), else the first. For one name there may
 * be one of each kind of key; the library takes the one the client's signature algorithms allow. */
#include "net/keyring.h"
#include "net/tls_identity.h"
#include "net/tls_private.h"
#include "util/check.h"
#include "util/list.h"
#include "util/map.h"
#include "util/str.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LENGTH = 255 };

struct group {
	struct tls_identity *by_kind[TLS_KINDS];
};

struct named {
	struct map_link link;
	const char *name; /* of an identity */
	struct group group;
};

/* Never changes once it is made: handshakes on all loops read it. */
struct set {
	struct tls_identity *identity;
	unsigned count;
	struct map names;
	struct group first;
};

static struct named *
find(const struct set *set, const char *name)
{
	struct map_link *l;

	for (l = map_first(&set->names, hash_nocase(name)); l != NULL; l = map_next(l))
		if (str_ieq(list_entry(l, struct named, link)->name, name))
			return list_entry(l, struct named, link);
	return NULL;
}

/* "a.b.example" is "*.b.example"; a star stands for one whole label (RFC 6125 6.4.3). */
static struct named *
find_wildcard(const struct set *set, const char *name)
{
	char pattern[NAME_MAX_LENGTH + 3] = "*";
	const char *dot = strchr(name, '.');

	if (dot == NULL || dot == name || strlen(dot) > NAME_MAX_LENGTH)
		return NULL;
	memcpy(pattern + 1, dot, strlen(dot) + 1);
	return find(set, pattern);
}

/* What a client says is compared, nothing else: the library has refused what is longer or has a NUL octet. */
static const struct group *
choose_group(const struct set *set, const char *asked)
{
	char name[NAME_MAX_LENGTH + 1];
	const struct named *n;
	size_t len = asked != NULL ? strlen(asked) : 0;

	if (len == 0 || len > NAME_MAX_LENGTH)
		return &set->first;
	memcpy(name, asked, len + 1);
	if (name[len - 1] == '.')
		name[len - 1] = '\0';
	n = find(set, name);
	if (n == NULL)
		n = find_wildcard(set, name);
	return n != NULL ? &n->group : &set->first;
}

static int
use(SSL *ssl, const struct group *g)
{
	const struct tls_identity *id;
	unsigned kind;

	SSL_certs_clear(ssl);
	for (kind = 0; kind < TLS_KINDS; kind++)
		if ((id = g->by_kind[kind]) != NULL &&
		    SSL_use_cert_and_key(ssl, id->cert, id->key, id->chain, 1) != 1)
			return 0;
	return 1;
}

/* The context itself has the first. */
static int
on_certificate_wanted(SSL *ssl, void *arg)
{
	const struct set *set = arg;
	const struct group *g = choose_group(set, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));

	return g == &set->first ? 1 : use(ssl, g);
}

/* ---- making it ---- */

static void
add_to_names(struct set *set, struct tls_identity *id)
{
	struct named *n;
	unsigned i;

	for (i = 0; i < id->name_count; i++) {
		n = find(set, id->name[i]);
		if (n == NULL) {
			n = xcalloc(1, sizeof *n);
			n->name = id->name[i];
			map_add(&set->names, &n->link, hash_nocase(n->name));
		}
		if (n->group.by_kind[id->kind] == NULL) {
			n->group.by_kind[id->kind] = id;
			id->used = true;
		}
	}
}

static void
complete(struct group *g, const struct group *other)
{
	unsigned kind;

	for (kind = 0; kind < TLS_KINDS; kind++)
		if (g->by_kind[kind] == NULL)
			g->by_kind[kind] = other->by_kind[kind];
}

/* A name with an RSA certificate of its own may have its ECDSA one from a wildcard. */
static void
complete_from_wildcard(struct map_link *l, void *arg)
{
	struct named *n = list_entry(l, struct named, link), *wild = find_wildcard(arg, n->name);

	if (wild != NULL && wild != n)
		complete(&n->group, &wild->group);
}

static void
settle_first(struct set *set)
{
	struct tls_identity *id = &set->identity[0];
	unsigned i;

	set->first.by_kind[id->kind] = id;
	id->used = true;
	for (i = 0; i < id->name_count; i++)
		complete(&set->first, &find(set, id->name[i])->group);
}

static void
free_named(struct map_link *l, void *arg)
{
	map_remove(arg, l);
	free(list_entry(l, struct named, link));
}

static void
set_free(struct set *set)
{
	unsigned i;

	map_each(&set->names, free_named, &set->names);
	map_fini(&set->names);
	for (i = 0; i < set->count; i++)
		tls_identity_fini(&set->identity[i]);
	free(set->identity);
	free(set);
}

static void
on_context_freed(void *parent, void *data, CRYPTO_EX_DATA *all, int index, long n, void *arg)
{
	(void)parent;
	(void)all;
	(void)index;
	(void)n;
	(void)arg;
	if (data != NULL)
		set_free(data);
}

/* Where a context keeps its set. */
static int
place(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int index = -1;

	pthread_mutex_lock(&lock);
	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_freed);
	pthread_mutex_unlock(&lock);
	check(index >= 0);
	return index;
}

/* The library refuses some that are whole: keys too small for its security level. */
static int
try_out(SSL_CTX *ssl, const struct tls_identity *id, struct err *err)
{
	char reason[256];

	ERR_clear_error();
	if (SSL_CTX_use_cert_and_key(ssl, id->cert, id->key, id->chain, 1) == 1)
		return 0;
	return err_set(err, "%s: %s", id->file, tls_error(reason, sizeof reason));
}

static int
read_all(struct set *set, const struct keyring *ring, struct err *err)
{
	SSL_CTX *scratch = tls_make(true);
	unsigned i;
	int rc = 0;

	for (i = 0; rc == 0 && i < ring->count; i++) {
		if (tls_identity_init(&set->identity[i], &ring->pair[i], err) < 0) {
			rc = err_context(err, "%s", ring->pair[i].file);
			break;
		}
		set->count++;
		rc = try_out(scratch, &set->identity[i], err);
	}
	SSL_CTX_free(scratch);
	return rc;
}

static int
load(SSL_CTX *ssl, struct set *set, const struct keyring *ring, struct err *err)
{
	unsigned i, kind;

	if (read_all(set, ring, err) < 0)
		return -1;
	for (i = 0; i < set->count; i++)
		add_to_names(set, &set->identity[i]);
	map_each(&set->names, complete_from_wildcard, set);
	settle_first(set);
	for (kind = 0; kind < TLS_KINDS; kind++)
		if (set->first.by_kind[kind] != NULL && try_out(ssl, set->first.by_kind[kind], err) < 0)
			return -1;
	return 0;
}

int
tls_certificates_set(SSL_CTX *ssl, const struct keyring *ring, struct err *err)
{
	struct set *set;

	if (ring->count == 0)
		return 0;
	set = xcalloc(1, sizeof *set);
	set->identity = xcalloc(ring->count, sizeof *set->identity);
	if (load(ssl, set, ring, err) < 0) {
		set_free(set);
		return -1;
	}
	check(SSL_CTX_set_ex_data(ssl, place(), set) == 1);
	SSL_CTX_set_cert_cb(ssl, on_certificate_wanted, set);
	return 0;
}

const struct tls_identity *
tls_certificates_get(SSL_CTX *ssl, unsigned *count)
{
	const struct set *set = SSL_CTX_get_ex_data(ssl, place());

	*count = set != NULL ? set->count : 0;
	return set != NULL ? set->identity : NULL;
}
