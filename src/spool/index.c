/* SPDX-License-Identifier: MIT */
#include "spool/store.h"
#include "util/check.h"

#include <stdlib.h>
#include <string.h>

void
index_init(struct index *ix)
{
	memset(ix, 0, sizeof *ix);
	pthread_mutex_init(&ix->lock, NULL);
	list_init(&ix->order);
}

void
index_fini(struct index *ix)
{
	struct list *link;

	while ((link = ix->order.next) != &ix->order)
		index_drop_usage(ix, list_entry(link, struct usage, order));
	map_fini(&ix->segments);
	map_fini(&ix->messages);
	pthread_mutex_destroy(&ix->lock);
}

/* Ids count up, so they spread over the buckets by themselves, and nobody outside chooses them. */
struct stored *
index_find(struct index *ix, uint64_t id)
{
	struct map_link *l = map_first(&ix->messages, id);

	return l != NULL ? list_entry(l, struct stored, link) : NULL;
}

struct usage *
index_have_usage(struct index *ix, uint32_t number)
{
	struct map_link *l = map_first(&ix->segments, number);

	return l != NULL ? list_entry(l, struct usage, link) : NULL;
}

struct usage *
index_usage(struct index *ix, uint32_t number)
{
	struct usage *s = index_have_usage(ix, number);
	struct list *before;

	if (s != NULL)
		return s;
	s = xcalloc(1, sizeof *s);
	s->number = number;
	list_init(&s->messages);
	map_add(&ix->segments, &s->link, number);
	for (before = &ix->order; before->prev != &ix->order; before = before->prev)
		if (list_entry(before->prev, struct usage, order)->number < number)
			break;
	list_append(before, &s->order);
	ix->count++;
	return s;
}

static void
look_at(struct index *ix, const struct usage *s)
{
	if (!usage_needed(s))
		ix->look = true;
}

/* Whatever stood elsewhere because of this segment need not any more. */
static void
forget_refs(struct index *ix, struct usage *s, uint32_t gone)
{
	size_t i;

	for (i = 0; i < s->refs; i++)
		if (s->ref[i].segment == gone) {
			s->ref[i] = s->ref[--s->refs];
			look_at(ix, s);
			return;
		}
}

void
index_drop_usage(struct index *ix, struct usage *s)
{
	uint32_t number = s->number;

	map_remove(&ix->segments, &s->link);
	list_remove(&s->order);
	ix->count--;
	free(s->done);
	free(s->ref);
	free(s);
	list_each(link, &ix->order)
		forget_refs(ix, list_entry(link, struct usage, order), number);
}

static struct usage_ref *
refer(struct usage *u, uint32_t to)
{
	struct usage_ref *r;
	size_t i;

	/* The newest are asked for most. */
	for (i = u->refs; i > 0; i--)
		if (u->ref[i - 1].segment == to)
			return &u->ref[i - 1];
	if (u->refs == u->ref_cap) {
		u->ref_cap = u->ref_cap ? u->ref_cap * 2 : 4;
		u->ref = xrealloc(u->ref, u->ref_cap * sizeof *u->ref);
	}
	r = &u->ref[u->refs++];
	memset(r, 0, sizeof *r);
	r->segment = to;
	return r;
}

static void
settle(struct index *ix, struct stored *s, log_pos pos)
{
	struct usage *seg = index_usage(ix, LOG_POS_SEGMENT(pos));

	atomic_store(&s->pos, pos);
	list_append(&seg->messages, &s->live);
	seg->live++;
	seg->live_bytes += s->length;
}

static void
unsettle(struct index *ix, struct stored *s)
{
	struct usage *seg = index_have_usage(ix, LOG_POS_SEGMENT(atomic_load(&s->pos)));

	check(seg != NULL && seg->live > 0 && seg->live_bytes >= s->length);
	list_remove(&s->live);
	seg->live--;
	seg->live_bytes -= s->length;
	look_at(ix, seg);
}

void
index_add(struct index *ix, struct stored *s, log_pos pos, uint32_t length)
{
	s->length = length;
	map_add(&ix->messages, &s->link, s->link.hash);
	settle(ix, s, pos);
}

/* The older copy would count again if the newer one went first. */
void
index_move(struct index *ix, struct stored *s, log_pos pos)
{
	uint32_t from = LOG_POS_SEGMENT(atomic_load(&s->pos)), to = LOG_POS_SEGMENT(pos);

	unsettle(ix, s);
	settle(ix, s, pos);
	if (from != to)
		refer(index_usage(ix, to), from)->copies++;
}

void
index_remove(struct index *ix, struct stored *s)
{
	unsettle(ix, s);
	map_remove(&ix->messages, &s->link);
}

static void
count_state(struct index *ix, _Atomic log_pos *where, log_pos pos)
{
	log_pos old = atomic_load(where);
	struct usage *seg;

	if (old != 0) {
		seg = index_have_usage(ix, LOG_POS_SEGMENT(old));
		check(seg != NULL && seg->states > 0);
		seg->states--;
		look_at(ix, seg);
	}
	if (pos != 0)
		index_usage(ix, LOG_POS_SEGMENT(pos))->states++;
	atomic_store(where, pos);
}

void
index_state(struct index *ix, struct entry *e, log_pos pos)
{
	count_state(ix, &e->state_pos, pos);
}

void
index_rcpts(struct index *ix, struct entry *e, log_pos pos)
{
	count_state(ix, &e->rcpts_pos, pos);
}

void
index_done(struct index *ix, uint64_t id, uint16_t group, uint32_t home, log_pos pos)
{
	struct usage *s = index_usage(ix, LOG_POS_SEGMENT(pos));

	if (s->number == home)
		return;
	refer(s, home)->dones++;
	if (s->dones == s->done_cap) {
		s->done_cap = s->done_cap ? s->done_cap * 2 : 64;
		s->done = xrealloc(s->done, s->done_cap * sizeof *s->done);
	}
	s->done[s->dones].id = id;
	s->done[s->dones].group = group;
	s->done[s->dones++].home = home;
}

void
index_forget_dones(struct index *ix, struct usage *u)
{
	size_t i, kept = 0;

	for (i = 0; i < u->refs; i++) {
		u->ref[i].dones = 0;
		if (u->ref[i].copies > 0)
			u->ref[kept++] = u->ref[i];
	}
	u->refs = kept;
	u->dones = 0;
	look_at(ix, u);
}

bool
usage_needed(const struct usage *s)
{
	return s->live > 0 || s->states > 0 || s->refs > 0 || s->foreign;
}

/* What compaction would have to write. */
uint64_t
usage_bytes(const struct usage *s)
{
	uint64_t n = s->live_bytes + (uint64_t)s->states * 256;
	size_t i;

	for (i = 0; i < s->refs; i++)
		n += (uint64_t)s->ref[i].dones * 64;
	return n;
}
