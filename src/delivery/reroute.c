/* SPDX-License-Identifier: MIT */
/* Entries under a key the configuration has no more, after a change of it. Each recipient is routed again: all to
 * one route, the entry moves there; to several, the others leave as a message of their own, in the transaction that
 * takes them off this one; to none, they fail (5.4.4) and the sender is told. */
#include "delivery/errand.h"
#include "delivery/errand_history.h"
#include "delivery/routing.h"
#include "delivery/site.h"
#include "directory/settings.h"
#include "net/loop.h"
#include "net/task.h"
#include "spool/spool.h"
#include "util/arena.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 256 * 1024 };

/* The key recipient I goes to now, or NULL. */
static const char *
key_of(const struct errand *a, unsigned i)
{
	const char *address = errand_recipient(a, i)->address;
	const struct route_settings *route = routing_of(a->site->work_settings, a->loaded.message, address);

	if (route == NULL)
		return NULL;
	return settings_key(route, address, arena_alloc(a->loaded.arena, SETTINGS_KEY_TEXT));
}

static bool
goes_to(const struct errand *a, unsigned i, const char *key)
{
	const char *own = key_of(a, i);

	return own != NULL && strcmp(own, key) == 0;
}

static void
log_reroute(const struct errand *a, const char *key, uint64_t other)
{
	struct log_record r;

	log_begin(&r, LOG_INFO, "rerouted");
	log_id(&r, "msg", entry_id(a->entry));
	log_str(&r, "from", queue_key(entry_queue(a->entry)));
	log_str(&r, "key", key);
	if (other != 0)
		log_id(&r, "as", other);
	log_end(&r);
	errand_history_rerouted(a, key, other);
}

/* Content of M to COPY: in memory while the budget has room, else in a blob. */
static int
copy_content(struct spool *spool, const struct message *m, struct message *copy, struct err *err)
{
	char *piece = xmalloc(PIECE);
	bool blob = false;
	uint64_t off = 0;
	int rc = 0;

	while (rc == 0 && off < m->size) {
		ssize_t n = message_read(spool, m, off, piece, PIECE, err);

		if (n <= 0) {
			rc = n < 0 ? -1 : err_set(err, "it ends too early");
			break;
		}
		off += (uint64_t)n;
		if (!blob && spool_charge(spool, copy, (size_t)n) < 0) {
			rc = spool_blob_begin(spool, copy, err);
			blob = rc == 0;
		}
		if (rc == 0 && blob)
			rc = spool_blob_append(spool, copy, piece, (size_t)n, err);
		else if (rc == 0)
			message_append(copy, piece, (size_t)n);
	}
	free(piece);
	if (rc == 0 && blob)
		rc = spool_blob_end(spool, copy, err);
	if (rc < 0 && blob)
		spool_blob_drop(spool, copy);
	return rc;
}

static const char *
dup(struct arena *arena, const char *s)
{
	return s != NULL ? arena_strdup(arena, s) : NULL;
}

/* A new message with the recipients that do not go to STAY. */
static struct message *
make_other(const struct errand *a, const char *stay, struct err *err)
{
	const struct message *m = a->loaded.message;
	struct arena *arena = arena_new(0);
	struct message *copy = message_new(spool_next_id(a->site->spool), &arena);

	arena = copy->arena;
	copy->received = m->received;
	copy->flags = m->flags;
	copy->sender = arena_strdup(arena, m->sender);
	copy->envid = dup(arena, m->envid);
	copy->ret = m->ret;
	copy->client = dup(arena, m->client);
	copy->helo = dup(arena, m->helo);
	copy->login = dup(arena, m->login);
	copy->listener = dup(arena, m->listener);
	copy->rcpt = arena_zalloc(arena, a->count * sizeof(*copy->rcpt));
	for (unsigned i = 0; i < a->count; i++) {
		const struct recipient *from = errand_recipient(a, i);
		const char *key = key_of(a, i);
		struct recipient *to = &copy->rcpt[copy->rcpt_count];

		if (key == NULL || strcmp(key, stay) == 0)
			continue;
		to->address = arena_strdup(arena, from->address);
		to->orcpt = dup(arena, from->orcpt);
		to->notify = from->notify;
		to->group = message_group(copy, key);
		copy->rcpt_count++;
	}
	if (copy_content(a->site->spool, m, copy, err) == 0)
		return copy;
	message_unref(&copy);
	return NULL;
}

/* Several routes: the recipients of the first stay, the others leave. */
static void
split(struct errand *a, const char *stay)
{
	struct outcome outcome = { .next_attempt = clock_wall() };
	struct rcpt_state *moved = arena_zalloc(a->loaded.arena, a->count * sizeof(*moved));
	struct err err;

	outcome.report = make_other(a, stay, &err);
	if (outcome.report == NULL) {
		log_event(LOG_ERROR, "reroute-failed", "%s: %s", queue_key(entry_queue(a->entry)), err.text);
		outcome.next_attempt += a->site->settings->queue.retry_min;
	} else
		log_reroute(a, "several", outcome.report->id);
	for (unsigned i = 0; i < a->count && outcome.report != NULL; i++) {
		if (goes_to(a, i, stay))
			continue;
		moved[outcome.count++] = (struct rcpt_state){
			.index = a->loaded.rcpt[a->rcpt[i].state].index, .status = RCPT_DELIVERED };
	}
	outcome.rcpt = moved;
	errand_finish(a, &outcome);
}

static void
reroute_one(struct errand *a)
{
	const char *key, *first = NULL;
	bool failed = entry_bounce_wanted(a->entry), several = false;

	if (failed)
		errand_return_to_sender(a);
	for (unsigned i = 0; i < a->count && !entry_bounce_wanted(a->entry); i++) {
		key = key_of(a, i);
		if (key == NULL) {
			failed = true;
			errand_settle(a, i, 1, FATE_NONE, FATE_FAILED,
			    "the configuration has no route to this recipient any more", "5.4.4");
		} else if (first == NULL)
			first = key;
		else
			several |= strcmp(key, first) != 0;
	}
	if (failed || first == NULL)
		errand_end(a); /* who is left comes again, with a route */
	else if (several)
		split(a, first);
	else {
		char stays[SETTINGS_KEY_TEXT]; /* the arena goes with the errand */

		log_reroute(a, first, 0);
		snprintf(stays, sizeof(stays), "%s", first);
		errand_rekey(a, stays);
	}
}

static void
reroute(void *arg)
{
	struct site *site = arg;
	struct errand a = { 0 };
	struct entry *e;

	while (!site_is_ending(site) && (e = queue_take(site->queue)) != NULL) {
		if (errand_begin(&a, site, e) == 0)
			reroute_one(&a);
		task_yield();
	}
	errand_fini(&a);
	site_work_ended(site);
}

void
site_reroute(struct site *site)
{
	site_work(site, reroute, "reroute");
}
