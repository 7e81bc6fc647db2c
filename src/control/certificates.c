/* SPDX-License-Identifier: MIT */
#include "control/certificates.h"
#include "directory/settings.h"
#include "net/keyring.h"
#include "net/tls.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/log.h"
#include "util/str.h"

#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

/* How those who renew certificates lay out a folder. */
static const struct layout {
	const char *certificate, *key;
} layouts[] = {
	{ "fullchain.pem", "privkey.pem" },
	{ "tls.crt", "tls.key" },
};

struct reading {
	struct keyring *ring;
	const struct keyring *old;
	bool strict; /* what cannot be read is an error */
};

/* Where a certificate and its key are; key "" means in one file. */
struct location {
	char certificate[PATH_SIZE], key[PATH_SIZE];
};

static int
set_path(char out[PATH_SIZE], const char *start, const char *slash, const char *name, struct err *err)
{
	if ((size_t)snprintf(out, PATH_SIZE, "%s%s%s", start, slash, name) >= PATH_SIZE)
		return err_set(err, "the path is too long: %.200s...", start);
	return 0;
}

static int
find_in_folder(struct location *l, const char *folder, struct err *err)
{
	const struct layout *y;

	for (y = layouts; y < layouts + sizeof layouts / sizeof *layouts; y++) {
		if (set_path(l->certificate, folder, "/", y->certificate, err) < 0 ||
		    set_path(l->key, folder, "/", y->key, err) < 0)
			return -1;
		if (access(l->certificate, F_OK) == 0)
			return 0;
	}
	return err_set(err, "%s: the folder has no fullchain.pem", folder);
}

/* "mx.pem" may have its key in "mx.key". */
static void
find_key_beside(struct location *l)
{
	const char *slash = strrchr(l->certificate, '/'), *dot = strrchr(l->certificate, '.');
	size_t stem = dot != NULL && dot > slash ? (size_t)(dot - l->certificate) : strlen(l->certificate);

	if ((size_t)snprintf(l->key, sizeof l->key, "%.*s.key", (int)stem, l->certificate) >= sizeof l->key ||
	    access(l->key, F_OK) < 0)
		l->key[0] = '\0';
}

static int
locate(struct location *l, const char *path, const char *key, struct err *err)
{
	struct stat st;

	l->key[0] = '\0';
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return find_in_folder(l, path, err);
	if (set_path(l->certificate, path, "", "", err) < 0)
		return -1;
	if (key != NULL)
		return set_path(l->key, key, "", "", err);
	find_key_beside(l);
	return 0;
}

/* The ring without its last pair. */
static void
drop_last(struct keyring *ring)
{
	struct keyring last = { .pair = xmemdup(&ring->pair[ring->count - 1], sizeof *ring->pair), .count = 1 };

	ring->count--;
	keyring_fini(&last);
}

static int
read_whole(struct keyring *ring, const struct location *l, struct err *err)
{
	if (keyring_read(ring, l->certificate, l->key[0] != '\0' ? l->key : NULL, err) < 0)
		return -1;
	if (tls_pair_check(&ring->pair[ring->count - 1], err) == 0)
		return 0;
	drop_last(ring);
	return l->key[0] != '\0' ? err_context(err, "with the key of %s", l->key) : -1;
}

/* What the configuration asks for and the disk does not give: the older one, if there is one. */
static int
make_do(struct reading *r, const char *file, struct err *err)
{
	const struct keyring_pair *old = r->old != NULL ? keyring_find(r->old, file) : NULL;
	struct keyring_pair *p;

	if (old == NULL && r->strict)
		return -1;
	log_event(LOG_ERROR, "certificate", "%s%s", err->text,
	    old != NULL ? "; the certificate read before stays in use" : "; it is left out");
	if (old == NULL)
		return 0;
	p = keyring_copy_pair(r->ring, old);
	free(p->problem);
	p->problem = xstrdup(err->text);
	return 0;
}

static int
read_one(struct reading *r, const char *path, const char *key, struct err *err)
{
	struct location l;

	if (locate(&l, path, key, err) < 0)
		return make_do(r, path, err);
	if (keyring_find(r->ring, l.certificate) != NULL)
		return 0;
	return read_whole(r->ring, &l, err) < 0 ? make_do(r, l.certificate, err) : 0;
}

/* A pattern meets what else is kept in such folders: keys, notes, folders for other things. */
static bool
is_candidate(const char *path)
{
	static const char mark[] = "-----BEGIN ";
	struct location l;
	struct stat st;
	char head[65536];
	size_t n;
	FILE *f;

	if (stat(path, &st) < 0)
		return true; /* a broken link: said when it is read */
	if (S_ISDIR(st.st_mode))
		return find_in_folder(&l, path, NULL) == 0;
	if (str_ends_nocase(path, ".key") || (f = fopen(path, "re")) == NULL)
		return !str_ends_nocase(path, ".key");
	n = fread(head, 1, sizeof head, f);
	fclose(f);
	return memmem(head, n, mark, sizeof mark - 1) != NULL && memmem(head, n, "CERTIFICATE-----", 16) != NULL;
}

static int
by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int
read_pattern(struct reading *r, const char *pattern, struct err *err)
{
	glob_t g;
	size_t i;
	int rc = 0;

	if (glob(pattern, GLOB_NOSORT, NULL, &g) != 0)
		return 0;
	qsort(g.gl_pathv, g.gl_pathc, sizeof *g.gl_pathv, by_bytes);
	r->strict = false;
	for (i = 0; rc == 0 && i < g.gl_pathc; i++)
		if (is_candidate(g.gl_pathv[i]))
			rc = read_one(r, g.gl_pathv[i], NULL, err);
	globfree(&g);
	return rc;
}

static bool
needs_roots(const struct settings *s)
{
	unsigned i;

	for (i = 0; i < s->route_count; i++)
		if (s->route[i].tls == TLS_VERIFY)
			return true;
	for (i = 0; i < s->listener_count; i++)
		if (s->listener[i].client_certificate != CLIENT_CERTIFICATE_NONE)
			return true;
	return false;
}

static int
read_roots(struct keyring *ring, const struct settings *s, struct err *err)
{
	unsigned i;
	int rc = 0;

	if (s->tls.ca_count == 0 && needs_roots(s))
		rc = keyring_read_roots(ring, NULL, err);
	for (i = 0; rc == 0 && i < s->tls.ca_count; i++)
		rc = keyring_read_roots(ring, s->tls.ca[i], err);
	return rc == 0 && ring->roots_file != NULL ? tls_roots_check(ring, err) : rc;
}

/* The roots that were trusted until now go on to be. */
static int
read_or_keep_roots(struct keyring *ring, const struct settings *s, const struct keyring *old, struct err *err)
{
	if (read_roots(ring, s, err) == 0)
		return 0;
	if (old == NULL || old->roots_file == NULL)
		return -1;
	log_event(LOG_ERROR, "certificate", "%s; the authorities read before stay in use", err->text);
	free(ring->roots_file);
	ring->roots_file = xstrdup(old->roots_file);
	ring->roots.len = 0;
	buf_add(&ring->roots, old->roots.data, old->roots.len);
	return 0;
}

int
certificates_read(struct keyring *ring, const struct settings *s, const struct keyring *old, struct err *err)
{
	const struct tls_settings *t = &s->tls;
	struct reading r = { .ring = ring, .old = old };
	const char *path;
	unsigned i;
	int rc = 0;

	for (i = 0; rc == 0 && i < t->certificate_count; i++) {
		path = t->certificate[i];
		r.strict = true;
		if (strpbrk(path, "*?[") != NULL)
			rc = read_pattern(&r, path, err);
		else
			rc = read_one(&r, path, t->key_count > 0 ? t->key[i] : NULL, err);
	}
	if (rc == 0 && t->certificate_count > 0 && ring->count == 0)
		rc = err_set(err, "no certificate is there: nothing matches %s", t->certificate[0]);
	if (rc == 0)
		rc = read_or_keep_roots(ring, s, old, err);
	if (rc == 0)
		return 0;
	keyring_fini(ring);
	return t->place.file != NULL ? err_context(err, "%s:%d", t->place.file, t->place.line) : -1;
}

/* ---- for those who watch ---- */

struct visit {
	void (*fn)(const char *path, void *arg);
	void *arg;
};

static void
visit(const struct visit *v, const char *path)
{
	const struct layout *y;
	struct location l;
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		if (set_path(l.certificate, path, "", "", NULL) < 0)
			return;
		v->fn(path, v->arg);
		find_key_beside(&l);
		if (l.key[0] != '\0')
			v->fn(l.key, v->arg);
		return;
	}
	v->fn(path, v->arg); /* it may be a link that is turned */
	for (y = layouts; y < layouts + sizeof layouts / sizeof *layouts; y++) {
		if (set_path(l.certificate, path, "/", y->certificate, NULL) < 0 ||
		    set_path(l.key, path, "/", y->key, NULL) < 0)
			continue;
		v->fn(l.certificate, v->arg);
		v->fn(l.key, v->arg);
	}
}

/* The folder that is fixed, and what is there now. */
static void
visit_pattern(const struct visit *v, const char *pattern)
{
	size_t fixed = strcspn(pattern, "*?["), i;
	char folder[PATH_SIZE];
	glob_t g;

	while (fixed > 0 && pattern[fixed - 1] != '/')
		fixed--;
	if (fixed > 0 && (size_t)snprintf(folder, sizeof folder, "%.*s", (int)fixed, pattern) < sizeof folder)
		v->fn(folder, v->arg);
	if (glob(pattern, 0, NULL, &g) != 0)
		return;
	for (i = 0; i < g.gl_pathc; i++)
		visit(v, g.gl_pathv[i]);
	globfree(&g);
}

void
certificates_each_file(const struct settings *s, void (*fn)(const char *path, void *arg), void *arg)
{
	const struct tls_settings *t = &s->tls;
	const struct visit v = { fn, arg };
	unsigned i;

	for (i = 0; i < t->certificate_count; i++)
		if (strpbrk(t->certificate[i], "*?[") != NULL)
			visit_pattern(&v, t->certificate[i]);
		else
			visit(&v, t->certificate[i]);
	for (i = 0; i < t->key_count; i++)
		fn(t->key[i], arg);
	for (i = 0; i < t->ca_count; i++)
		fn(t->ca[i], arg);
}
