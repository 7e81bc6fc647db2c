/* SPDX-License-Identifier: MIT */
/* Walking all entries from the control thread: one slice at a time is taken on each loop, with a marker left in the
 * loop's list of entries. */
#include "spool/store.h"
#include "util/check.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Markers and entries both hang in port->entries by a list link; a marker also in port->markers. */
struct marker {
	struct list link;
	struct list all;
	bool placed;
};

struct spool_walk {
	struct spool *spool;
	unsigned port;         /* the one being walked */
	struct marker marker;
	/* One slice, asked of the loop. */
	struct post post;
	sem_t done;
	struct entry_info *out;
	unsigned max, count;
	bool finish;
};

static bool
is_marker(const struct port *p, const struct list *link)
{
	list_each(at, &p->markers)
		if (&list_entry(at, struct marker, all)->link == link)
			return true;
	return false;
}

void
entry_describe(const struct entry *e, struct entry_info *out)
{
	const struct stored *s = stored_of(e);

	out->id = s->link.hash;
	snprintf(out->key, sizeof out->key, "%s", e->queue->key);
	out->state = (enum entry_state)e->state;
	out->received = s->received;
	out->next_attempt = e->next_attempt;
	out->size = s->size;
	out->attempts = e->attempts;
	out->rcpt_count = e->rcpt_count;
	out->rcpt_pending = e->rcpt_pending;
	out->warned = (e->flags & ENTRY_WARNED) != 0;
}

static void
place(struct port *p, struct marker *m)
{
	list_prepend(&p->entries, &m->link);
	list_append(&p->markers, &m->all);
	m->placed = true;
}

static void
unplace(struct marker *m)
{
	if (!m->placed)
		return;
	list_remove(&m->link);
	list_remove(&m->all);
	m->placed = false;
}

static void
on_slice(struct post *post)
{
	struct spool_walk *w = list_entry(post, struct spool_walk, post);
	struct port *p = &w->spool->port[w->port];
	struct list *link, *next;

	if (!w->marker.placed && !w->finish)
		place(p, &w->marker);
	for (link = w->marker.link.next; !w->finish && w->count < w->max && link != &p->entries; link = next) {
		next = link->next;
		if (!is_marker(p, link))
			entry_describe(list_entry(link, struct entry, all), &w->out[w->count++]);
		list_remove(&w->marker.link);
		list_prepend(link, &w->marker.link);
	}
	if (w->finish || link == &p->entries)
		unplace(&w->marker);
	sem_post(&w->done);
}

static void
ask(struct spool_walk *w)
{
	loop_post(w->spool->port[w->port].loop, &w->post);
	while (sem_wait(&w->done) < 0 && errno == EINTR)
		;
}

struct spool_walk *
spool_walk_begin(struct spool *spool)
{
	struct spool_walk *w = xcalloc(1, sizeof *w);

	w->spool = spool;
	w->post.fn = on_slice;
	list_init(&w->marker.link);
	list_init(&w->marker.all);
	sem_init(&w->done, 0, 0);
	return w;
}

/* The marker is taken away where a loop's list ended: then the next loop's turn has come. */
unsigned
spool_walk_next(struct spool_walk *w, struct entry_info *out, unsigned max)
{
	w->out = out;
	w->max = max;
	w->count = 0;
	while (max > 0 && w->count == 0 && w->port < w->spool->ports) {
		ask(w);
		if (!w->marker.placed)
			w->port++;
	}
	return w->count;
}

void
spool_walk_end(struct spool_walk **walk)
{
	struct spool_walk *w = *walk;

	if (w == NULL)
		return;
	w->finish = true;
	if (w->marker.placed)
		ask(w);
	sem_destroy(&w->done);
	free(w);
	*walk = NULL;
}
