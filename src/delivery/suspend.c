/* SPDX-License-Identifier: MIT */
#include "delivery/suspend.h"

#include "util/buf.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/json.h"
#include "util/log.h"
#include "util/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20, SUSPENSIONS_MAX = 1000 };

struct suspensions {
	char *path; /* or NULL */
	pthread_mutex_t lock;
	struct suspension *one;
	unsigned count;
	atomic_bool any;
};

static void
put(struct suspensions *s, const char *name, const char *reason, int64_t since)
{
	s->one = xrealloc(s->one, (s->count + 1) * sizeof(*s->one));
	s->one[s->count++] = (struct suspension){ xstrdup(name), reason != NULL ? xstrdup(reason) : NULL, since };
	atomic_store(&s->any, true);
}

static void
take_out(struct suspensions *s, unsigned i)
{
	free(s->one[i].name);
	free(s->one[i].reason);
	s->one[i] = s->one[--s->count];
	atomic_store(&s->any, s->count > 0);
}

/* One JSON object a line. */
static int
read_file(struct suspensions *s, struct err *err)
{
	struct buf text = { 0 };
	const char *p, *end;
	int rc = 0;

	if (s->path == NULL || (access(s->path, F_OK) < 0 && errno == ENOENT))
		return 0;
	if (file_read(s->path, FILE_MAX, &text, err) < 0)
		return -1;
	for (p = text.data; rc == 0 && (end = memchr(p, '\n', text.len - (size_t)(p - text.data))) != NULL; p = end + 1) {
		json_t *o = json_from_line(p, (size_t)(end - p), err);
		const char *name = json_string_value(json_object_get(o, "name"));

		if (name == NULL)
			rc = err_set(err, "%s is damaged", s->path);
		else
			put(s, name, json_string_value(json_object_get(o, "reason")),
			    json_integer_value(json_object_get(o, "since")));
		json_decref(o);
	}
	buf_fini(&text);
	return rc;
}

struct suspensions *
suspensions_new(const char *path)
{
	struct suspensions *s = xcalloc(1, sizeof(*s));
	struct err err;

	pthread_mutex_init(&s->lock, NULL);
	s->path = path != NULL ? xstrdup(path) : NULL;
	if (read_file(s, &err) < 0)
		log_event(LOG_ERROR, "suspensions", "what was suspended is not known: %s", err.text);
	return s;
}

void
suspensions_free(struct suspensions **suspensions)
{
	struct suspensions *s = *suspensions;

	if (s == NULL)
		return;
	while (s->count > 0)
		take_out(s, 0);
	free(s->one);
	free(s->path);
	pthread_mutex_destroy(&s->lock);
	free(s);
	*suspensions = NULL;
}

static int
write_file(const struct suspensions *s, struct err *err)
{
	struct buf text = { 0 };
	int rc;

	if (s->path == NULL)
		return 0;
	for (unsigned i = 0; i < s->count; i++) {
		json_t *o = json_pack("{s:o,s:o,s:I}", "name", json_peer(s->one[i].name), "reason",
		    json_peer(s->one[i].reason), "since", (json_int_t)s->one[i].since);

		json_to_line(o, &text);
		json_decref(o);
	}
	rc = file_replace(s->path, text.data != NULL ? text.data : "", text.len, 0600, err);
	buf_fini(&text);
	return rc;
}

static int
place_of(const struct suspensions *s, const char *name)
{
	for (unsigned i = 0; i < s->count; i++)
		if (str_ieq(s->one[i].name, name))
			return (int)i;
	return -1;
}

int
suspensions_add(struct suspensions *s, const char *name, const char *reason, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (s->count >= SUSPENSIONS_MAX)
		rc = err_set(err, "%d names are suspended already", SUSPENSIONS_MAX);
	else if (place_of(s, name) < 0) {
		put(s, name, reason, clock_wall());
		rc = write_file(s, err) < 0 ? -1 : 1;
		if (rc < 0)
			take_out(s, s->count - 1);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int
suspensions_remove(struct suspensions *s, const char *name, struct err *err)
{
	struct suspension kept;
	int rc = 0, i;

	pthread_mutex_lock(&s->lock);
	i = place_of(s, name);
	if (i >= 0) {
		kept = s->one[i];
		s->one[i] = s->one[--s->count];
		rc = write_file(s, err) < 0 ? -1 : 1;
		/* Back again, or gone for good. */
		s->one[s->count++] = kept;
		if (rc == 1)
			take_out(s, s->count - 1);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

bool
suspensions_any(const struct suspensions *s)
{
	return atomic_load_explicit(&((struct suspensions *)(uintptr_t)s)->any, memory_order_relaxed);
}

static bool
names_host(const char *name, const char *host)
{
	return host != NULL && (name[0] == '.' ? str_ends_nocase(host, name) : str_ieq(host, name));
}

static bool
same(const char *name, const char *text)
{
	return text != NULL && str_ieq(name, text);
}

bool
suspensions_match(struct suspensions *s, const struct suspension_names *n)
{
	bool found = false;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; !found && i < s->count; i++) {
		const char *name = s->one[i].name;

		found = same(name, n->route) || same(name, n->destination) || same(name, n->hop) ||
		    names_host(name, n->host) || names_host(name, n->domain);
	}
	pthread_mutex_unlock(&s->lock);
	return found;
}

void
suspensions_each(struct suspensions *s, void (*fn)(const struct suspension *one, void *arg), void *arg)
{
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->count; i++)
		fn(&s->one[i], arg);
	pthread_mutex_unlock(&s->lock);
}
