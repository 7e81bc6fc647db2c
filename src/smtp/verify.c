/* SPDX-License-Identifier: MIT */
#include "smtp/verify.h"

#include "util/check.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"
#include "util/str.h"
#include "net/task.h"
#include "net/work.h"
#include "mail/address.h"
#include "directory/settings.h"
#include "delivery/callout.h"
#include "smtp/session.h"
#include "smtp/verify_known.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The file is written anew when so many lines were added. */
enum { LINES_MAX = 4 * (VERIFY_GOOD_MAX + VERIFY_BAD_MAX), FILE_MAX = 1 << 30, HOUR = 3600 };

/* A route's next hop. */
struct backend {
	struct map_link link;
	unsigned asking;     /* call-outs under way */
	uint64_t down_until; /* clock_ms() */
	char key[];
};

struct verify {
	pthread_mutex_t lock;
	pthread_cond_t idle;
	struct delivery *delivery;
	struct known known;
	struct map backends;
	struct buf pending; /* lines to be written */
	struct work_job job;
	bool posted;
	unsigned lines;     /* added to the file */
	int fd;             /* -1: nothing is written */
	char *path;
};

/* ---- the file ---- */

static void
write_failed(struct verify *v, const struct err *err)
{
	log_event(LOG_WARN, "recipients_known", "%s: %s; what is learnt of recipients is forgotten with the process",
	    v->path, err->text);
	if (v->fd >= 0)
		close(v->fd);
	v->fd = -1;
}

/* The whole of what is known takes the place of the lines. It need not be durable before anything, only whole. */
static int
rewrite(struct verify *v, struct buf *all, struct err *err)
{
	if (v->fd >= 0)
		close(v->fd);
	v->fd = -1;
	if (file_replace(v->path, all->data, all->len, 0600, err) < 0)
		return -1;
	v->fd = open(v->path, O_WRONLY | O_APPEND | O_CLOEXEC);
	return v->fd < 0 ? err_sys(err, "cannot open") : 0;
}

static void
write_job(struct work_job *job)
{
	struct verify *v = list_entry(job, struct verify, job);
	struct buf lines = { 0 };
	bool anew;
	struct err err;

	pthread_mutex_lock(&v->lock);
	while (v->pending.len > 0) {
		buf_fini(&lines);
		anew = v->lines > LINES_MAX;
		if (anew) {
			known_print_all(&v->known, &lines);
			buf_fini(&v->pending);
			v->lines = 0;
		} else {
			lines = v->pending;
			memset(&v->pending, 0, sizeof v->pending);
		}
		pthread_mutex_unlock(&v->lock);
		if ((anew ? rewrite(v, &lines, &err) : file_write_all(v->fd, lines.data, lines.len, &err)) < 0)
			write_failed(v, &err);
		pthread_mutex_lock(&v->lock);
		if (v->fd < 0)
			buf_fini(&v->pending);
	}
	v->posted = false;
	pthread_cond_signal(&v->idle);
	pthread_mutex_unlock(&v->lock);
	buf_fini(&lines);
}

static void
learn(struct verify *v, const char *name, enum fact fact, unsigned hours)
{
	int64_t expires = clock_wall() + (int64_t)hours * HOUR;

	known_put(&v->known, name, fact, expires);
	if (v->fd < 0)
		return;
	known_print(&v->pending, name, fact, expires);
	v->lines++;
	if (v->posted)
		return;
	v->posted = true;
	v->job.fn = write_job;
	work_post(&v->job);
}

static void
load(struct verify *v)
{
	struct buf text = { 0 };
	struct err err;

	if (access(v->path, F_OK) == 0 && file_read(v->path, FILE_MAX, &text, &err) < 0)
		log_event(LOG_WARN, "recipients_known", "%s", err.text);
	known_read(&v->known, text.data, text.len, clock_wall());
	text.len = 0;
	known_print_all(&v->known, &text);
	if (rewrite(v, &text, &err) < 0)
		write_failed(v, &err);
	buf_fini(&text);
}

struct verify *
verify_new(const char *path, struct delivery *delivery)
{
	struct verify *v = xcalloc(1, sizeof *v);

	check(pthread_mutex_init(&v->lock, NULL) == 0 && pthread_cond_init(&v->idle, NULL) == 0);
	known_init(&v->known, VERIFY_GOOD_MAX, VERIFY_BAD_MAX);
	v->delivery = delivery;
	v->fd = -1;
	if (path != NULL) {
		v->path = xstrdup(path);
		load(v);
	}
	return v;
}

void
verify_free(struct verify **verify)
{
	struct verify *v = *verify;
	struct map_link *link;

	if (v == NULL)
		return;
	pthread_mutex_lock(&v->lock);
	while (v->posted)
		pthread_cond_wait(&v->idle, &v->lock);
	pthread_mutex_unlock(&v->lock);
	while ((link = map_any(&v->backends)) != NULL) {
		map_remove(&v->backends, link);
		free(list_entry(link, struct backend, link));
	}
	map_fini(&v->backends);
	known_fini(&v->known);
	buf_fini(&v->pending);
	if (v->fd >= 0)
		close(v->fd);
	free(v->path);
	pthread_mutex_destroy(&v->lock);
	pthread_cond_destroy(&v->idle);
	free(v);
	*verify = NULL;
}

/* ---- asking ---- */

static struct backend *
backend_of(struct verify *v, const char *key)
{
	uint64_t hash = hash_bytes(key, strlen(key));
	struct map_link *link;
	struct backend *b;

	for (link = map_first(&v->backends, hash); link != NULL; link = map_next(link))
		if (strcmp(list_entry(link, struct backend, link)->key, key) == 0)
			return list_entry(link, struct backend, link);
	b = xcalloc(1, sizeof *b + strlen(key) + 1);
	memcpy(b->key, key, strlen(key) + 1);
	map_add(&v->backends, &b->link, hash);
	return b;
}

/* What the next hop said, under the lock. */
static enum verify_answer
take_in(struct verify *v, struct backend *b, const struct callout *call, const char *domain)
{
	switch (call->result) {
	case CALLOUT_GOOD:
		learn(v, call->address, FACT_GOOD, VERIFY_GOOD_DAYS * 24);
		if (call->probe)
			learn(v, domain, FACT_REFUSES_SOME, VERIFY_DOMAIN_HOURS);
		return VERIFY_ACCEPT;
	case CALLOUT_BAD:
		learn(v, call->address, FACT_BAD, VERIFY_BAD_HOURS);
		return VERIFY_UNKNOWN;
	case CALLOUT_ANY:
		learn(v, domain, FACT_TAKES_ANY, VERIFY_DOMAIN_HOURS);
		log_event(LOG_WARN, "recipients_any", "the next hop of %s accepts any address of %s: its recipients "
			"cannot be verified; recipients = any says that this is meant", b->key, domain + 1);
		return VERIFY_ACCEPT;
	case CALLOUT_NONE:
		break;
	}
	b->down_until = clock_ms() + VERIFY_DOWN_MS;
	log_event(LOG_WARN, "callout_failed", "%s: %s; recipients are accepted unseen for %d s", b->key, call->text,
	    VERIFY_DOWN_MS / 1000);
	return VERIFY_ACCEPT;
}

static enum verify_answer
ask(struct verify *v, struct session *s, const struct route_settings *route, struct callout *call, struct backend *b,
    const char *domain)
{
	enum verify_answer answer = VERIFY_ACCEPT;
	bool here = session_park(s) == 0;

	if (here)
		callout_ask(v->delivery, session_settings(s), route, call);
	pthread_mutex_lock(&v->lock);
	b->asking--;
	if (here && !task_cancelled())
		answer = take_in(v, b, call, domain);
	pthread_mutex_unlock(&v->lock);
	session_unpark(s);
	return answer;
}

enum verify_answer
verify_recipient(struct verify *v, struct session *s, const struct route_settings *route, const char *address,
    bool *parked)
{
	struct callout call = { .address = address, .timeout = VERIFY_TIMEOUT_MS };
	const char *domain = strrchr(address, '@');
	int64_t now = clock_wall();
	enum fact fact, of_domain;
	struct backend *b;

	if (v->delivery == NULL || str_nieq(address, "postmaster@", 11))
		return VERIFY_ACCEPT; /* RFC 5321 4.5.1 */
	pthread_mutex_lock(&v->lock);
	of_domain = known_get(&v->known, domain, now);
	fact = of_domain == FACT_TAKES_ANY ? FACT_GOOD : known_get(&v->known, address, now);
	b = backend_of(v, route->key);
	if (fact != FACT_NONE || b->down_until > clock_ms() || b->asking >= VERIFY_AT_ONCE) {
		bool busy = fact == FACT_NONE && b->down_until <= clock_ms();

		pthread_mutex_unlock(&v->lock);
		return fact == FACT_BAD ? VERIFY_UNKNOWN : busy ? VERIFY_BUSY : VERIFY_ACCEPT;
	}
	b->asking++;
	call.probe = of_domain == FACT_NONE;
	pthread_mutex_unlock(&v->lock);
	*parked = true;
	return ask(v, s, route, &call, b, domain);
}
