/* SPDX-License-Identifier: MIT */
/* What is kept in memory of a message: its entries, made in one piece, and for a while its bytes. */
#include "spool/store.h"
#include "util/arena.h"
#include "util/check.h"
#include "util/pool.h"

#include <stdlib.h>
#include <string.h>

/* A cached message older than this makes room for a newer one: its next hop does not take mail. */
enum { CACHE_STALE_MS = 10000 };

enum { STORED_ONE = sizeof(struct stored) + sizeof(struct entry) };

struct pool stored_pool = POOL_INIT(stored_pool, (STORED_ONE + 15) / 16 * 16);

struct stored *
stored_new(uint64_t id, unsigned groups)
{
	size_t size = sizeof(struct stored) + groups * sizeof(struct entry);
	struct stored *s = groups == 1 ? pool_alloc(&stored_pool) : xmalloc(size);
	unsigned i;

	memset(s, 0, size);
	check(groups > 0 && groups < UINT16_MAX);
	s->link.hash = id;
	atomic_init(&s->refs, 1);
	list_init(&s->live);
	s->count = (uint16_t)groups;
	for (i = 0; i < groups; i++) {
		list_init(&s->entry[i].all);
		list_init(&s->entry[i].link);
		s->entry[i].group = (uint16_t)i;
		atomic_init(&s->entry[i].loop, LOOP_NONE);
	}
	return s;
}

struct stored *
stored_of(const struct entry *e)
{
	return list_entry(e - e->group, struct stored, entry);
}

struct stored *
stored_ref(struct stored *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

static void
stored_free(struct stored *s)
{
	if (s->count == 1)
		pool_free(&stored_pool, s);
	else
		free(s);
}

void
stored_unref(struct stored *s)
{
	if (s != NULL && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
		stored_free(s);
}

struct stored *
stored_from_message(struct message *m, uint64_t now)
{
	struct cached *cached = arena_alloc(m->arena, m->group_count * sizeof *cached);
	struct stored *s = stored_new(m->id, m->group_count);
	struct entry *e;
	uint32_t i;

	s->size = m->size;
	s->received = m->received;
	s->blob = m->blob[0] != '\0';
	for (i = 0; i < m->rcpt_count; i++)
		s->entry[m->rcpt[i].group].rcpt_count++;
	for (i = 0; i < m->group_count; i++) {
		e = &s->entry[i];
		e->rcpt_pending = e->rcpt_count;
		e->done = e->rcpt_count == 0;
		if (e->done)
			continue;
		s->open++;
		list_init(&cached[i].link);
		cached[i].entry = e;
		cached[i].message = message_ref(m);
		cached[i].since = now;
		e->cached = &cached[i];
	}
	return s;
}

void
stored_forget(struct stored *s)
{
	unsigned i;

	for (i = 0; i < s->count; i++)
		entry_forget(&s->entry[i]);
}

/* ---- the message's bytes ---- */

void
entry_forget(struct entry *e)
{
	struct message *m;

	if (e->cached == NULL)
		return;
	list_remove(&e->cached->link);
	m = e->cached->message;
	e->cached = NULL; /* it lives in the message */
	message_unref(&m);
}

/* While no attempt is near, or the cache is full, the newcomer stays on disk only, unless an old one waits in vain. */
void
entry_keep(struct port *p, struct entry *e)
{
	struct message_budget *b = &p->spool->budget;
	struct message *m = e->cached->message;
	uint64_t now = loop_now(p->loop), limit = p->spool->config.cache;
	struct cached *oldest;

	if (e->queue->stalled) {
		entry_forget(e);
		return;
	}
	if (!atomic_exchange(&m->cached, true))
		atomic_fetch_add_explicit(&b->cached, m->memory, memory_order_relaxed);
	while (atomic_load_explicit(&b->cached, memory_order_relaxed) > limit && !list_empty(&p->cached)) {
		oldest = list_entry(p->cached.next, struct cached, link);
		if (now - oldest->since < CACHE_STALE_MS)
			break;
		entry_forget(oldest->entry);
	}
	if (atomic_load_explicit(&b->cached, memory_order_relaxed) > limit) {
		entry_forget(e);
		return;
	}
	e->cached->since = now;
	list_append(&p->cached, &e->cached->link);
}
