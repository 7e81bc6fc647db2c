/* SPDX-License-Identifier: MIT */
#include "control/watch.h"
#include "control/certificates.h"
#include "control/reload.h"
#include "control/worker.h"
#include "directory/settings.h"
#include "net/tls.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/map.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SETTLE_MS = 300,      /* between a change and the look at it: certificate and key are written one after the other */
	LOOK_MS = 60 * 1000,  /* without a change that was told */
	BUSY_MS = 500,        /* another change is being handed over */
	EXPIRY_MS = 3600 * 1000,
	DAY = 86400,
	WARN_DAYS = 14,
	WARN_LOUD_DAYS = 3,
	FOLDER_EVENTS = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB,
};

/* When a certificate was warned about. */
struct warned {
	char fingerprint[65];
	int64_t at;
};

struct watch {
	const struct worker_config *now;
	struct reload *reload;
	const struct settings *seen; /* only compared: the stamp is of these */
	int inotify;
	uint64_t stamp;     /* of the files as they were read last */
	uint64_t look_at;   /* clock_ms() */
	uint64_t expiry_at;
	struct warned *warned, *next;
	unsigned warned_count, next_count;
};

/* ---- what the files are like ---- */

static void
watch_folder_of(const struct watch *w, const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];

	if (slash == NULL || (size_t)(slash - path) >= sizeof folder)
		return;
	memcpy(folder, path, (size_t)(slash - path) + 1);
	folder[slash == path ? 1 : slash - path] = '\0';
	inotify_add_watch(w->inotify, folder, FOLDER_EVENTS | IN_ONLYDIR);
}

struct look {
	struct watch *w;
	uint64_t stamp;
};

/* Renewal may change a file, put another in its place, or turn a link. */
static void
look_at_file(const char *path, void *arg)
{
	struct look *look = arg;
	char real[PATH_MAX];
	struct stat st;
	uint64_t what[7] = { look->stamp, hash_bytes(path, strlen(path)) };

	if (look->w->inotify >= 0) {
		watch_folder_of(look->w, path);
		if (realpath(path, real) != NULL)
			watch_folder_of(look->w, real);
	}
	if (path[strlen(path) - 1] == '/')
		return;
	if (stat(path, &st) == 0) {
		what[2] = (uint64_t)st.st_dev;
		what[3] = (uint64_t)st.st_ino;
	}
	if (what[3] != 0 && !S_ISDIR(st.st_mode)) {
		what[4] = (uint64_t)st.st_size;
		what[5] = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
		what[6] = (uint64_t)st.st_ctim.tv_sec * 1000000000 + (uint64_t)st.st_ctim.tv_nsec;
	}
	look->stamp = hash_bytes(what, sizeof what);
}

/* A stamp of all files, whose folders are watched from now on. */
static uint64_t
take_stamp(struct watch *w)
{
	struct look look = { .w = w };
	const char *roots = w->now->credentials.ring.roots_file;

	certificates_each_file(w->now->settings, look_at_file, &look);
	if (roots != NULL)
		look_at_file(roots, &look);
	return look.stamp;
}

/* ---- renewal ---- */

static void
say_what_is_new(const struct keyring *old, const struct keyring *new)
{
	const struct keyring_pair *was;
	struct log_record r;
	unsigned i;

	for (i = 0; i < new->count; i++) {
		was = keyring_find(old, new->pair[i].file);
		if (was != NULL && keyring_same_pair(was, &new->pair[i]))
			continue;
		log_begin(&r, LOG_INFO, "certificate-renewed");
		log_str(&r, "file", new->pair[i].file);
		log_end(&r);
	}
}

/* True: done with this state of the files. */
static bool
renew(struct watch *w, struct supervisor *s)
{
	const struct keyring *old = &w->now->credentials.ring;
	struct keyring ring = { 0 };
	struct err err;

	if (reload_busy(w->reload))
		return false;
	if (certificates_read(&ring, w->now->settings, old, &err) < 0) {
		log_event(LOG_ERROR, "certificate", "%s", err.text);
		return true;
	}
	if (keyring_same(old, &ring)) {
		keyring_fini(&ring);
		return true;
	}
	say_what_is_new(old, &ring);
	check(reload_keys(w->reload, s, &ring));
	return true;
}

static void
look(struct watch *w, struct supervisor *s, uint64_t now)
{
	uint64_t stamp = take_stamp(w);

	w->look_at = now + LOOK_MS;
	if (stamp == w->stamp)
		return;
	if (!renew(w, s)) {
		w->look_at = now + BUSY_MS;
		return;
	}
	w->stamp = stamp;
	w->expiry_at = now + BUSY_MS;
}

/* ---- expiry ---- */

static int64_t
last_warned(const struct watch *w, const char *fingerprint)
{
	unsigned i;

	for (i = 0; i < w->warned_count; i++)
		if (strcmp(w->warned[i].fingerprint, fingerprint) == 0)
			return w->warned[i].at;
	return 0;
}

static void
warn(const struct tls_certificate *c, int64_t left)
{
	struct log_record r;
	char when[32];

	clock_iso8601(c->not_after, when, sizeof when);
	log_begin(&r, left <= 0 ? LOG_ERROR : LOG_WARN, left <= 0 ? "certificate-expired" : "certificate-expires");
	log_str(&r, "file", c->file);
	log_str(&r, "name", c->name_count > 0 ? c->name[0] : NULL);
	log_str(&r, "not_after", when);
	if (left > 0)
		log_u64(&r, "days_left", (uint64_t)left / DAY);
	log_str(&r, "detail", left <= 0 ? "clients that verify refuse it" : left <= WARN_LOUD_DAYS * DAY
	    ? "renew it now" : "it should have been renewed by now");
	log_end(&r);
}

static void
look_at_expiry(const struct tls_certificate *c, void *arg)
{
	struct watch *w = arg;
	int64_t now = clock_wall(), left = c->not_after - now, last = last_warned(w, c->fingerprint);

	if (left > WARN_DAYS * DAY)
		return;
	if (now - last >= DAY) {
		warn(c, left);
		last = now;
	}
	w->next = xrealloc(w->next, (w->next_count + 1) * sizeof *w->next);
	memcpy(w->next[w->next_count].fingerprint, c->fingerprint, sizeof c->fingerprint);
	w->next[w->next_count++].at = last;
}

static void
check_expiry(struct watch *w, uint64_t now)
{
	tls_each(w->now->credentials.server, look_at_expiry, w);
	free(w->warned);
	w->warned = w->next;
	w->warned_count = w->next_count;
	w->next = NULL;
	w->next_count = 0;
	w->expiry_at = now + EXPIRY_MS;
}

/* ---- life ---- */

/* What changed in watched folders may concern us or not: the stamp tells. */
static bool
anything_told(const struct watch *w)
{
	char events[4096];
	bool any = false;

	while (w->inotify >= 0 && read(w->inotify, events, sizeof events) > 0)
		any = true;
	return any;
}

int64_t
watch_tick(struct watch *w, struct supervisor *s)
{
	uint64_t now = clock_ms(), next;

	if (w->seen != w->now->settings) { /* at start, and after a reload: files may have changed since they were read */
		w->seen = w->now->settings;
		w->stamp = 0;
		w->look_at = w->expiry_at = now;
	}
	if (anything_told(w) && w->look_at > now + SETTLE_MS)
		w->look_at = now + SETTLE_MS;
	if (now >= w->look_at)
		look(w, s, now);
	if (now >= w->expiry_at)
		check_expiry(w, now);
	next = w->look_at < w->expiry_at ? w->look_at : w->expiry_at;
	return next > now ? (int64_t)(next - now) : 0;
}

void
watch_again(struct watch *w)
{
	w->stamp = 0;
	w->look_at = clock_ms();
}

int
watch_fd(const struct watch *w)
{
	return w->inotify;
}

struct watch *
watch_new(const struct worker_config *now, struct reload *reload)
{
	struct watch *w = xcalloc(1, sizeof *w);

	w->now = now;
	w->reload = reload;
	w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	return w;
}

void
watch_free(struct watch **watch)
{
	struct watch *w = *watch;

	if (w == NULL)
		return;
	if (w->inotify >= 0)
		close(w->inotify);
	free(w->warned);
	free(w);
	*watch = NULL;
}
