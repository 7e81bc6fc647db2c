/* SPDX-License-Identifier: MIT */
#include "spool/load.h"
#include "net/task.h"
#include "net/work.h"
#include "spool/blob.h"
#include "spool/committer.h"
#include "spool/record.h"
#include "util/arena.h"
#include "util/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A record moves at most once in a while: more misses in a row mean something else is wrong. */
enum { MOVES_MAX = 100 };

void
view_fini(struct log_view *v)
{
	free(v->head);
	free(v->body);
	memset(v, 0, sizeof *v);
}

int
load_record(struct spool *spool, const _Atomic log_pos *where, bool with_body, struct log_view *out, struct err *err)
{
	log_pos pos;
	int i, rc;

	memset(out, 0, sizeof *out);
	for (i = 0; i < MOVES_MAX; i++) {
		pos = atomic_load(where);
		if (pos == 0)
			return err_set(err, "no such record");
		if (!spool_log_pin(spool->log, LOG_POS_SEGMENT(pos)))
			continue;
		if (atomic_load(where) != pos) {
			spool_log_unpin(spool->log, LOG_POS_SEGMENT(pos));
			continue;
		}
		rc = spool_log_read(spool->log, pos, with_body, true, out, err);
		spool_log_unpin(spool->log, LOG_POS_SEGMENT(pos));
		return rc;
	}
	return err_set(err, "the record's segment is gone");
}

int
load_message(struct spool *spool, const struct stored *s, bool content, struct message **out, struct err *err)
{
	struct log_view v;
	int rc;

	if (load_record(spool, &s->pos, true, &v, err) < 0)
		return -1;
	if (v.type == RECORD_MESSAGE)
		rc = record_load_message(v.head, v.head_len, v.body, v.body_len, out, err);
	else
		rc = err_set(err, "the record is not a message");
	view_fini(&v);
	if (rc < 0)
		return -1;
	if (content && (*out)->blob[0] != '\0' && blob_check(spool->blobs, *out, err) < 0) {
		message_unref(out);
		return -1;
	}
	return 0;
}

/* ---- entry_load() ---- */

struct load {
	struct spool *spool;
	struct entry *entry;
	bool want_rcpts, rcpts_lost, want_reason;
	struct message *message;
	struct log_view rcpts, state;
	int rc;
	struct err *err;
};

static void
load_run(void *arg)
{
	struct load *l = arg;
	struct err ignored;

	if (l->message == NULL && (l->rc = load_message(l->spool, stored_of(l->entry), true, &l->message, l->err)) < 0)
		return;
	/* The report can do without it. */
	if (l->want_reason && load_record(l->spool, &l->entry->state_pos, false, &l->state, &ignored) < 0)
		memset(&l->state, 0, sizeof l->state);
	if (!l->want_rcpts)
		return;
	l->rc = load_record(l->spool, &l->entry->rcpts_pos, true, &l->rcpts, l->err);
	l->rcpts_lost = l->rc < 0 && l->err->code == EBADMSG;
}

void
entry_keep_rcpts(struct entry *e, const void *p, size_t n)
{
	if (e->attempt == NULL)
		e->attempt = xcalloc(1, sizeof *e->attempt);
	free(e->attempt->rcpts);
	e->attempt->rcpts = xmemdup(p, n);
	e->attempt->rcpts_len = n;
}

/* The entry's share of the message's recipients, with what is known of them. */
static int
fill_rcpts(struct entry *e, struct loaded *out, struct err *err)
{
	const struct message *m = out->message;
	struct rcpt_state *known = NULL;
	size_t n = 0, k = 0;
	uint32_t i;

	if (e->attempt != NULL && e->attempt->rcpts != NULL && record_get_rcpts(e->attempt->rcpts,
	    e->attempt->rcpts_len, out->arena, &known, &n, &out->last_peer) < 0)
		return err_set(err, "the record of the recipients is damaged");
	out->rcpt = arena_zalloc(out->arena, (e->rcpt_count + 1) * sizeof *out->rcpt);
	for (i = 0; i < m->rcpt_count; i++) {
		if (m->rcpt[i].group != e->group)
			continue;
		if (out->count == e->rcpt_count)
			return err_set(err, "the envelope and its summary disagree");
		out->rcpt[out->count].index = i;
		while (k < n && known[k].index < i)
			k++;
		if (k < n && known[k].index == i)
			out->rcpt[out->count] = known[k];
		out->count++;
	}
	return out->count == e->rcpt_count ? 0 : err_set(err, "the envelope and its summary disagree");
}

/* From memory what is there; true when nothing is missing. */
static bool
load_from_memory(struct load *l)
{
	struct entry *e = l->entry;
	const struct job *job = e->unwritten;

	if (e->cached != NULL)
		l->message = message_ref(e->cached->message);
	if (e->attempt == NULL || e->attempt->rcpts == NULL) {
		if (job != NULL)
			entry_keep_rcpts(e, job->data + job->state_len + job->rcpts_head_len, job->rcpts_len);
		else
			l->want_rcpts = atomic_load(&e->rcpts_pos) != 0;
	}
	l->want_reason = (e->flags & ENTRY_BOUNCE) && (e->attempt == NULL || e->attempt->reason == NULL) &&
	    atomic_load(&e->state_pos) != 0;
	return l->message != NULL && !l->want_rcpts && !l->want_reason;
}

/* From the attempt where it was asked for in this life, else from the record. */
static const char *
bounce_reason(const struct load *l, struct arena *arena)
{
	const struct entry *e = l->entry;
	struct state_head h;

	if (!(e->flags & ENTRY_BOUNCE))
		return NULL;
	if (e->attempt != NULL && e->attempt->reason != NULL)
		return arena_strdup(arena, e->attempt->reason);
	if (l->state.head == NULL || record_get_state(l->state.head, l->state.head_len, &h) < 0 || h.reason == NULL ||
	    h.state != ENTRY_DUE)
		return NULL;
	return arena_strndup(arena, h.reason, h.reason_len);
}

int
entry_load(struct entry *e, struct loaded *out, struct err *err)
{
	struct err local;
	struct load l = { .spool = e->queue->port->spool, .entry = e, .err = err != NULL ? err : &local };

	check(e->state == ENTRY_ACTIVE);
	memset(out, 0, sizeof *out);
	if (!load_from_memory(&l)) {
		if (task_self() != NULL)
			work_run(load_run, &l);
		else
			load_run(&l);
	}
	if (l.rc < 0) {
		if (l.rcpts_lost)
			e->flags |= ENTRY_RCPTS_LOST;
		message_unref(&l.message);
		view_fini(&l.state);
		return -1;
	}
	if (l.want_rcpts)
		entry_keep_rcpts(e, l.rcpts.body, l.rcpts.body_len);
	view_fini(&l.rcpts);
	message_charge_rest(l.message, &l.spool->budget);
	out->message = l.message;
	out->arena = arena_new(256 + e->rcpt_count * sizeof *out->rcpt);
	out->bounce_reason = bounce_reason(&l, out->arena);
	view_fini(&l.state);
	if (fill_rcpts(e, out, err) < 0) {
		loaded_fini(out);
		return -1;
	}
	return 0;
}

void
loaded_fini(struct loaded *l)
{
	message_unref(&l->message);
	arena_free(&l->arena);
	memset(l, 0, sizeof *l);
}

/* ---- message_read() ---- */

struct blob_read {
	struct spool *spool;
	const struct message *m;
	uint64_t off;
	void *p;
	size_t n;
	ssize_t got;
	struct err *err;
};

static void
blob_read_run(void *arg)
{
	struct blob_read *r = arg;

	r->got = blob_read(r->spool->blobs, r->m, r->off, r->p, r->n, r->err);
}

ssize_t
message_read(struct spool *spool, const struct message *m, uint64_t off, void *p, size_t n, struct err *err)
{
	struct blob_read r = { .spool = spool, .m = m, .p = p, .err = err };
	const struct chunk *c;
	size_t got = 0, take;

	for (c = m->first; c != NULL && got < n; c = c->next) {
		if (off >= c->len) {
			off -= c->len;
			continue;
		}
		take = c->len - off < n - got ? c->len - off : n - got;
		memcpy((char *)p + got, c->data + off, take);
		got += take;
		off = 0;
	}
	if (got > 0 || m->blob[0] == '\0')
		return (ssize_t)got;
	r.off = off;
	r.n = n;
	if (task_self() != NULL)
		work_run(blob_read_run, &r);
	else
		blob_read_run(&r);
	return r.got;
}
