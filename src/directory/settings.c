/* SPDX-License-Identifier: MIT */
#include "directory/settings.h"
#include "directory/settings_client.h"
#include "directory/settings_destination.h"
#include "directory/settings_dns.h"
#include "directory/settings_route.h"
#include "directory/settings_source.h"
#include "directory/settings_types.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/file.h"
#include "util/map.h"

#include <pwd.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { TASKS = 16000 };

const char settings_demo[] =
    "# A gateway to try: takes mail from this machine only and hands it to port 2526.\n"
    "hostname   = gateway.example\n"
    "state      = tmail-state\n"
    "relay_from = { 127.0.0.0/8, ::1 }\n"
    "listener demo { address = \"127.0.0.1:2525\" }\n"
    "route default { next_hop = { \"127.0.0.1:2526\" } }\n"
    "limits { sessions_per_client = 20000 }\n";

/* An address being listened on. */
struct taken {
	struct map_link link;
	const struct addr *address;
	const struct listener_settings *listener;
};

static const struct listener_settings *
who_has(const struct map *m, const struct addr *a, uint64_t hash)
{
	const struct taken *t;
	struct map_link *l;

	for (l = map_first(m, hash); l != NULL; l = map_next(l)) {
		t = (const void *)((const char *)l - offsetof(struct taken, link));
		if (t->address->len == a->len && memcmp(&t->address->u, &a->u, a->len) == 0)
			return t->listener;
	}
	return NULL;
}

static void
check_listeners(struct settings *s, const struct option_context *c)
{
	const struct listener_settings *l, *other;
	struct map addresses = { 0 };
	char text[ADDR_TEXT];
	struct taken *t;
	uint64_t hash;
	unsigned i, k;

	for (i = 0; i < s->listener_count; i++) {
		l = &s->listener[i];
		for (k = 0; k < l->address_count; k++) {
			hash = hash_bytes(&l->address[k].u, l->address[k].len);
			other = who_has(&addresses, &l->address[k], hash);
			if (other != NULL && l->address[k].len > 0)
				conf_error(c->errors, &l->place, "listener: the address %s is already taken, at %s:%d",
				    addr_text(&l->address[k], text), other->place.file, other->place.line);
			t = arena_zalloc(c->arena, sizeof *t);
			t->address = &l->address[k];
			t->listener = l;
			map_add(&addresses, &t->link, hash);
		}
	}
	map_fini(&addresses);
}

static void
check_client_certificate(const struct listener_settings *l, const struct option_context *c)
{
	if (l->client_certificate == CLIENT_CERTIFICATE_REQUIRED && l->tls != TLS_REQUIRED && l->tls != TLS_IMPLICIT)
		conf_error(c->errors, &l->place,
		    "listener: 'client_certificate = required' needs 'tls = required' or 'tls = implicit'");
	else if (l->client_certificate != CLIENT_CERTIFICATE_NONE && l->tls == TLS_NONE)
		conf_error(c->errors, &l->place, "listener: without TLS there is no 'client_certificate'");
}

/* What TLS comes to, and a listener's name when it has none. */
static void
settle_listeners(struct settings *s, const struct option_context *c)
{
	bool sound = c->errors->count == 0; /* else a certificate may be what did not parse */
	struct listener_settings *l;
	char text[ADDR_TEXT];
	unsigned i;

	for (i = 0; i < s->listener_count; i++) {
		l = &s->listener[i];
		if (l->name == NULL && l->address_count > 0)
			l->name = arena_strdup(c->arena, addr_text(&l->address[0], text));
		if (l->xclient_login && l->xclient_count == 0)
			conf_error(c->errors, &l->place, "listener: 'xclient_login' needs clients in 'xclient'");
		if (l->tls == TLS_AUTO)
			l->tls = s->tls.certificate_count > 0 ? TLS_OPTIONAL : TLS_NONE;
		else if (l->tls != TLS_NONE && s->tls.certificate_count == 0 && sound)
			conf_error(c->errors, &l->place,
			    "listener: its 'tls' needs a certificate: tls { certificate = /etc/tmail/tls/mx.pem }");
		check_client_certificate(l, c);
	}
}

static unsigned
half_the_processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 4 ? 1 : n > 128 ? 64 : (unsigned)n / 2;
}

/* Defaults that depend on the machine or on other values. */
static void
settle_defaults(struct settings *s, const struct option_context *c)
{
	const struct place nowhere = { s->path, 0 };
	struct queue_settings *q = &s->queue;
	const struct sockaddr_un un;

	if (s->state == NULL)
		s->state = TMAIL_STATEDIR;
	if (s->user == NULL)
		s->user = getpwnam("tmail") != NULL ? "tmail" : "nobody";
	if (s->threads == 0)
		s->threads = half_the_processors();
	if (s->limits.tasks == 0)
		s->limits.tasks = TASKS / s->threads;
	if (q->cache == SETTINGS_UNSET)
		q->cache = q->memory_total / 4;
	q->retry_min = q->retry[0];
	q->retry_max = q->retry[q->retry_count - 1];
	if (s->admin.socket != NULL)
		return;
	s->admin.socket = arena_printf(c->arena, "%s/admin.sock", s->state);
	if (strlen(s->admin.socket) >= sizeof un.sun_path)
		conf_error(c->errors, &nowhere,
		    "the path of 'state' is too long for a socket in it, name a shorter one: "
		    "admin { socket = /run/tmail/admin.sock }");
}

static bool
has_listener(const struct settings *s, const char *name)
{
	unsigned i;

	for (i = 0; i < s->listener_count; i++)
		if (s->listener[i].name != NULL && strcmp(s->listener[i].name, name) == 0)
			return true;
	return false;
}

/* What routes name has to be there. */
static void
settle_routes(struct settings *s, const struct option_context *c)
{
	const struct route_settings *r;
	unsigned i, k;

	for (i = 0; i < s->route_count; i++) {
		r = &s->route[i];
		s->routes_by_listener = s->routes_by_listener || r->listener_count > 0;
		for (k = 0; k < r->listener_count && !c->partial; k++)
			if (r->listener[k] != NULL && !has_listener(s, r->listener[k]))
				conf_error(c->errors, &r->place, "route %s: there is no listener '%s'", r->name,
				    r->listener[k]);
	}
}

static void
check_whole(struct settings *s, const struct option_context *c)
{
	const struct place nowhere = { s->path, 0 };

	check_listeners(s, c);
	settle_listeners(s, c);
	settle_defaults(s, c);
	settings_settle_auth(s, c);
	settle_routes(s, c);
	settings_source_settle(s, c);
	settings_destination_settle(s, c);
	settings_dns_settle(&s->dns, c);
	if (s->route_count == 0 && !c->partial)
		conf_error(c->errors, &nowhere, "no mail would be accepted: a domain is missing, as in %s",
		    "domain example.com { next_hop = { \"10.0.0.5:25\" } }");
}

/* TEXT NULL: the file PATH. */
static int
load(struct settings **out, const char *path, const char *text, size_t n, struct buf *messages)
{
	struct conf_errors errors = { messages, 0 };
	struct arena *arena = arena_new(16384);
	struct option_context c = { arena, &errors, false };
	struct settings *s = arena_zalloc(arena, sizeof *s);
	const struct place place = { arena_strdup(arena, path), 0 };
	struct conf_node *first;

	s->arena = arena;
	s->refs = 1;
	s->path = place.file;
	s->queue.cache = SETTINGS_UNSET;
	c.partial = (text != NULL ? conf_parse(arena, place.file, text, n, &first, &errors)
	    : conf_load(arena, place.file, &first, &errors)) < 0;
	option_apply(&settings_vocabulary, first, &place, s, &c);
	check_whole(s, &c);
	s->index = route_index_new(s, arena, &errors);
	s->clients = client_index_new(s, arena, &errors);
	if (errors.count > 0) {
		settings_free(&s);
		return -1;
	}
	*out = s;
	return 0;
}

int
settings_load(struct settings **s, const char *path, struct buf *errors)
{
	if (path == NULL)
		return load(s, "demonstration", settings_demo, sizeof settings_demo - 1, errors);
	return load(s, path, NULL, 0, errors);
}

int
settings_parse(struct settings **s, const char *name, const char *text, size_t n, struct buf *errors)
{
	return load(s, name, text, n, errors);
}

static int
load_with(enum file_source source, struct settings **s, const char *path, struct archive *files, struct buf *errors)
{
	struct err err;
	int rc;

	file_use(source, files);
	rc = settings_load(s, path, errors);
	if (rc == 0 && secrets_read(*s, &err) < 0) {
		buf_printf(errors, "%s\n", err.text);
		settings_free(s);
		rc = -1;
	}
	file_use(FILE_DISK, NULL);
	return rc;
}

int
settings_load_recorded(struct settings **s, const char *path, struct archive *files, struct buf *errors)
{
	return load_with(FILE_RECORD, s, path, files, errors);
}

int
settings_load_replayed(struct settings **s, const char *path, struct archive *files, struct buf *errors)
{
	return load_with(FILE_REPLAY, s, path, files, errors);
}

const struct settings *
settings_ref(const struct settings *s)
{
	atomic_fetch_add_explicit(&((struct settings *)(uintptr_t)s)->refs, 1, memory_order_relaxed);
	return s;
}

void
settings_unref(const struct settings **s)
{
	struct settings *own = (struct settings *)(uintptr_t)*s;

	*s = NULL;
	settings_free(&own);
}

void
settings_free(struct settings **settings)
{
	struct settings *s = *settings;
	struct arena *arena;

	*settings = NULL;
	if (s == NULL || atomic_fetch_sub(&s->refs, 1) > 1)
		return;
	arena = s->arena;
	route_index_fini(s->index);
	map_fini(&s->users);
	client_index_fini(s->clients);
	arena_free(&arena);
}

void
settings_keep(struct settings *next, const struct settings *now,
    void (*kept)(const char *name, const char *old, const char *wanted, void *arg), void *arg)
{
	option_keep(&settings_vocabulary, next, now, next->arena, kept, arg);
}

void
settings_print(const struct settings *s, struct buf *out)
{
	option_print(&settings_vocabulary, s, 0, out);
}

void
settings_show(const struct settings *s, bool mark, struct buf *out)
{
	option_print(&settings_vocabulary, s, OPTION_HIDE | (mark ? OPTION_MARK : 0), out);
}

void
settings_print_blocks(const struct settings *s, const char *type, struct buf *out)
{
	option_print_blocks(&settings_vocabulary, type, s, out);
}

void
settings_print_route(const struct route_settings *r, struct buf *out)
{
	const struct option_block *b;

	for (b = settings_vocabulary.blocks; b->name != NULL; b++)
		if (strcmp(b->name, r->block) == 0)
			option_print_block(b, r, out);
}

void
settings_manual(struct buf *out)
{
	option_manual(&settings_vocabulary, out);
}

void
settings_manual_types(struct buf *out)
{
	option_manual_types(&settings_vocabulary, out);
}

void
settings_sample(struct buf *out)
{
	option_sample(&settings_vocabulary, out);
}
