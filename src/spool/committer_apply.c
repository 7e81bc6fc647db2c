/* SPDX-License-Identifier: MIT */
/* What a batch on disk means for the index and for the queues. */
#include "spool/committer_private.h"
#include "spool/compact.h"
#include "spool/record.h"
#include "util/check.h"
#include "util/counters.h"

static void
arrive(struct committer *c, struct stored *s, const struct message *m)
{
	unsigned i;

	for (i = 0; i < s->count; i++)
		if (!s->entry[i].done)
			list_append(&c->outbox[port_of_key(c->spool, m->group[i])->index].arrivals, &s->entry[i].link);
}

static void
added(struct committer *c, const struct unit *u, struct job *job)
{
	struct spool *spool = c->spool;

	if (spool->config.discard)
		return;
	index_add(&spool->index, stored_ref(job->added), u->record[u->message].pos,
	    (uint32_t)(u->record[u->message].head_len + u->record[u->message].body_len));
	arrive(c, job->added, job->message);
	if (job->added->blob)
		atomic_fetch_add(&spool->blob_count, 1);
}

static void
done(struct committer *c, const struct unit *u, struct job *job)
{
	struct index *ix = &c->spool->index;
	struct stored *s = job->stored;
	struct entry *e = job->entry;

	index_done(ix, s->link.hash, e->group, LOG_POS_SEGMENT(atomic_load(&s->pos)), u->record[0].pos);
	index_state(ix, e, 0);
	index_rcpts(ix, e, 0);
	e->done = 1;
	if (--s->open > 0)
		return;
	index_remove(ix, s);
	if (s->blob)
		compactor_remove_blob(c->spool, s->link.hash);
	stored_unref(s);
}

static void
copied_whole(struct index *ix, const struct unit *u)
{
	struct stored *s = u->copy->stored;
	const struct spool_record *r = u->record;
	struct entry *e;
	unsigned i;

	index_move(ix, s, r++->pos);
	for (i = 0; i < s->count; i++) {
		e = &s->entry[i];
		if (e->rcpt_count == 0)
			continue;
		if (e->done) {
			r++;
			continue;
		}
		if (atomic_load(&e->state_pos) != 0)
			index_state(ix, e, r++->pos);
		if (atomic_load(&e->rcpts_pos) != 0)
			index_rcpts(ix, e, r++->pos);
	}
	check(r == u->record + u->count);
	counter_add(COUNTER_SPOOL_COMPACTED, 1);
}

static void
copied(struct committer *c, const struct unit *u)
{
	struct index *ix = &c->spool->index;
	struct copy *copy = u->copy;

	copy->written = true;
	switch ((enum record_type)copy->type) {
	case RECORD_MESSAGE:
		copied_whole(ix, u);
		break;
	case RECORD_STATE:
		index_state(ix, &copy->stored->entry[copy->group], u->record[0].pos);
		break;
	case RECORD_RCPTS:
		index_rcpts(ix, &copy->stored->entry[copy->group], u->record[0].pos);
		break;
	case RECORD_DONE:
		/* Its message's segment may have gone in the meantime: then nobody needs it. */
		if (index_have_usage(ix, copy->home) != NULL)
			index_done(ix, copy->id, copy->group, copy->home, u->record[0].pos);
		else
			index_usage(ix, LOG_POS_SEGMENT(u->record[0].pos));
		break;
	case RECORD_PROBE:
		break;
	}
}

void
committer_apply(struct committer *c, const struct unit *u)
{
	struct index *ix = &c->spool->index;
	struct job *job = u->job;

	switch (job->kind) {
	case JOB_COMMIT:
		added(c, u, job);
		atomic_fetch_add_explicit(&c->spool->commits, 1, memory_order_relaxed);
		break;
	case JOB_STATE:
		index_state(ix, job->entry, u->record[0].pos);
		if (job->rcpts_head_len > 0)
			index_rcpts(ix, job->entry, u->record[1].pos);
		break;
	case JOB_DONE:
		done(c, u, job);
		break;
	case JOB_COPY:
		copied(c, u);
		break;
	case JOB_BARRIER:
		break;
	}
	if (job->kind != JOB_COMMIT && job->message != NULL)
		added(c, u, job);
}
