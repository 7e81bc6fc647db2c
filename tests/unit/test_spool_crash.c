/* SPDX-License-Identifier: MIT */
/* The whole spool on a simulated disk: random lives with mail, deferrals, bounces, holds, blobs and compaction, cut at
 * random moments, recovered, compared with a model of what was acknowledged, and lived on.
 *
 * A moment is a count of recorded changes. What was handed over before moment `from` may be on disk from then on; what
 * was known to be on stable storage at moment `sure` must be. Arguments: number of lives, first seed. */
#include "net/loop.h"
#include "simdisk.h"
#include "spool/committer.h"
#include "spool/compact.h"
#include "spool/load.h"
#include "spool/record.h"
#include "spool/store.h"
#include "util/arena.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { KEYS = 4, GROUPS = 3, RCPTS = 3, SEGMENT = 64 * 1024, JOBS = 64 };

#define NEVER UINT64_MAX

static const char *const key[KEYS] = { "domain:a.example", "domain:b.example", "route:c", "domain:d.example" };

/* ---- the model ---- */

struct step {
	uint64_t from, sure;
	uint8_t state;          /* enum entry_state; 0: done */
	uint8_t key;
	uint8_t status[RCPTS];  /* enum rcpt_status */
	uint16_t attempts;
	uint64_t report;        /* committed in the same transaction; 0: none */
};

struct group {
	unsigned rcpts;
	unsigned base;          /* its first recipient's place in the message */
	struct step *step;
	size_t steps;
};

struct mail {
	uint64_t id;
	uint64_t from, sure;    /* sure: acknowledged */
	size_t size;
	bool blob;
	unsigned groups;
	struct group group[GROUPS];
};

struct model {
	struct mail *mail;
	size_t count, cap;
};

static struct mail *
model_find(struct model *m, uint64_t id)
{
	size_t i;

	for (i = m->count; i > 0; i--)
		if (m->mail[i - 1].id == id)
			return &m->mail[i - 1];
	return NULL;
}

static struct mail *
model_add(struct model *m)
{
	if (m->count == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 64;
		m->mail = xrealloc(m->mail, m->cap * sizeof *m->mail);
	}
	memset(&m->mail[m->count], 0, sizeof *m->mail);
	return &m->mail[m->count++];
}

static struct step *
group_step(struct group *g)
{
	struct step *s;

	g->step = xrealloc(g->step, (g->steps + 1) * sizeof *g->step);
	s = &g->step[g->steps];
	if (g->steps > 0)
		*s = g->step[g->steps - 1];
	else
		memset(s, 0, sizeof *s);
	s->report = 0;
	s->sure = NEVER;
	g->steps++;
	return s;
}

static void
model_free(struct model *m)
{
	size_t i;
	unsigned g;

	for (i = 0; i < m->count; i++)
		for (g = 0; g < m->mail[i].groups; g++)
			free(m->mail[i].group[g].step);
	free(m->mail);
	memset(m, 0, sizeof *m);
}

static void
model_copy(struct model *to, const struct model *from)
{
	struct mail *m;
	size_t i;
	unsigned g;

	memset(to, 0, sizeof *to);
	for (i = 0; i < from->count; i++) {
		m = model_add(to);
		*m = from->mail[i];
		for (g = 0; g < m->groups; g++)
			m->group[g].step = xmemdup(from->mail[i].group[g].step,
			    from->mail[i].group[g].steps * sizeof *m->group[g].step);
	}
}

/* ---- a life ---- */

struct sim;
static void compare(struct sim *s, struct model *m, uint64_t moment);

enum mood {
	BUSY,  /* mail in nearly every pass */
	QUIET, /* mail is rare, so that most of what is written is not synced */
	CHURN, /* a few messages, deferred again and again: segments of nothing but states */
};

struct sim {
	struct simdisk *disk;
	enum mood mood;
	struct spool *spool;
	struct loop *loop;
	struct spool_config config;
	struct model *model;
	uint64_t seed;
	struct job *job[JOBS];   /* commits of this pass */
	struct message *message[JOBS];
	unsigned jobs;
	uint64_t *active;        /* ids and groups taken */
	uint16_t *active_group;
	size_t actives;
	uint32_t pinned;
	const char *what;        /* for the failure's text */
	bool faults, running;
};

static _Noreturn void
failed(const struct sim *s, uint64_t id, const char *what)
{
	char text[ID_TEXT];

	id_text(id, text);
	fprintf(stderr, "%s: message %s (%llx): %s\n", s->what, text, (unsigned long long)id, what);
	abort();
}

static char
content_at(uint64_t id, size_t off)
{
	return (char)('a' + (id * 31 + off * 7 + off / 61) % 26);
}

static int
sim_open(struct sim *s)
{
	struct err err;

	if (loop_new(&s->loop, 0, &err) < 0)
		fatal("%s", err.text);
	memset(&s->config, 0, sizeof s->config);
	s->config.path = "/spool";
	s->config.segment_size = SEGMENT;
	s->config.memory_max = 8000;
	s->config.memory_total = 64 << 20;
	s->config.cache = 20000;
	s->config.compact_from = 3;
	s->config.foreground = true;
	s->config.disk = simdisk_disk(s->disk);
	s->config.loops = &s->loop;
	s->config.loop_count = 1;
	if (spool_open(&s->spool, &s->config, &err) == 0)
		return 0;
	loop_free(&s->loop);
	if (!s->faults)
		failed(s, 0, err.text);
	return -1;
}

static void
sim_close(struct sim *s)
{
	unsigned i;

	for (i = 0; i < s->jobs; i++) {
		stored_forget(s->job[i]->added);
		stored_unref(s->job[i]->added);
		free(s->job[i]);
		message_unref(&s->message[i]);
	}
	s->jobs = 0;
	spool_close(&s->spool);
	loop_free(&s->loop);
	free(s->active);
	free(s->active_group);
	s->active = NULL;
	s->active_group = NULL;
	s->actives = 0;
}

/* kill -9: nothing more reaches the disk. */
static void
sim_kill(struct sim *s)
{
	simdisk_stop(s->disk);
	sim_close(s);
	simdisk_kill(s->disk);
}

static struct entry *
sim_entry(struct sim *s, uint64_t id, unsigned group)
{
	struct stored *m = index_find(&s->spool->index, id);

	return m != NULL ? &m->entry[group] : NULL;
}

/* ---- mail ---- */

static struct message *
make_message(struct sim *s, unsigned groups, unsigned max_rcpts, size_t size)
{
	struct arena *a = arena_new(0);
	struct message *m = message_new(spool_next_id(s->spool), &a);
	unsigned g, i, n, k = (unsigned)sim_below(&s->seed, KEYS);

	m->received = clock_wall();
	m->sender = "sender@example.org";
	m->rcpt = arena_zalloc(m->arena, (size_t)GROUPS * RCPTS * sizeof *m->rcpt);
	for (g = 0; g < groups; g++) {
		n = 1 + (unsigned)sim_below(&s->seed, max_rcpts);
		message_group(m, key[(k + g) % KEYS]);
		for (i = 0; i < n; i++) {
			m->rcpt[m->rcpt_count].address = arena_printf(m->arena, "u%u@example.net", m->rcpt_count);
			m->rcpt[m->rcpt_count++].group = (uint16_t)g;
		}
	}
	for (i = 0; i < size; i++) {
		char c = content_at(m->id, i);

		message_append(m, &c, 1);
	}
	return m;
}

static void
note_mail(struct sim *s, const struct message *m)
{
	struct mail *mail = model_add(s->model);
	struct step *step;
	unsigned g, i, k;

	mail->id = m->id;
	mail->from = simdisk_now(s->disk);
	mail->sure = NEVER;
	mail->size = m->size;
	mail->blob = m->blob[0] != '\0';
	mail->groups = m->group_count;
	for (g = 0; g < m->group_count; g++) {
		for (i = 0; i < m->rcpt_count; i++)
			mail->group[g].rcpts += m->rcpt[i].group == g;
		mail->group[g].base = g > 0 ? mail->group[g - 1].base + mail->group[g - 1].rcpts : 0;
		step = group_step(&mail->group[g]);
		step->from = mail->from;
		step->state = ENTRY_DUE;
		for (k = 0; strcmp(key[k], m->group[g]) != 0; k++)
			;
		step->key = (uint8_t)k;
	}
}

static void
do_commit(struct sim *s)
{
	bool blob = sim_below(&s->seed, 20) == 0;
	struct message *m = make_message(s, 1 + (unsigned)sim_below(&s->seed, GROUPS), RCPTS,
	    blob ? 10000 : 100 + sim_below(&s->seed, 6000));
	struct job *job;

	/* Sometimes admission came before the disk failed. */
	if (s->jobs == JOBS || (spool_admit(s->spool, m->size, NULL) < 0 && sim_below(&s->seed, 2) == 0)) {
		message_unref(&m);
		return;
	}
	if (blob && (spool_blob_begin(s->spool, m, NULL) < 0 || spool_blob_append(s->spool, m, "tail", 4, NULL) < 0 ||
	    spool_blob_end(s->spool, m, NULL) < 0)) {
		if (!s->faults)
			failed(s, m->id, "blob");
		message_unref(&m);
		return;
	}
	job = xcalloc(1, sizeof *job);
	note_mail(s, m);
	check(commit_begin(&s->spool->port[0], m, job) == 0);
	s->job[s->jobs] = job;
	s->message[s->jobs++] = m;
}

/* ---- delivery ---- */

static void
do_take(struct sim *s)
{
	const char *k = key[sim_below(&s->seed, KEYS)];
	struct queue *q = queue_get(&s->spool->port[0], k, strlen(k));
	struct entry *e = queue_take(q);

	if (e == NULL)
		return;
	s->active = xrealloc(s->active, (s->actives + 1) * sizeof *s->active);
	s->active_group = xrealloc(s->active_group, (s->actives + 1) * sizeof *s->active_group);
	s->active[s->actives] = entry_id(e);
	s->active_group[s->actives++] = e->group;
}

static bool
content_ok(struct sim *s, const struct message *m, const struct mail *mail)
{
	char *all = xmalloc(mail->size + 1);
	size_t got = 0, i;
	ssize_t n;
	bool ok;

	while ((n = message_read(s->spool, m, got, all + got, mail->size + 1 - got, NULL)) > 0)
		got += (size_t)n;
	ok = n == 0 && got == mail->size && m->size == mail->size;
	for (i = 0; ok && i < got; i++)
		ok = mail->blob && i >= got - 4 ? all[i] == "tail"[i - (got - 4)] : all[i] == content_at(m->id, i);
	free(all);
	return ok;
}

/* Random fates for the pending recipients; the model's new step follows them. */
static unsigned
draw_fates(struct sim *s, struct loaded *l, struct rcpt_state *rcpt, struct step *step)
{
	unsigned i, n = 0, kind = (unsigned)sim_below(&s->seed, 4);

	if (s->mood == CHURN && sim_below(&s->seed, 10) > 0)
		kind = 3;

	for (i = 0; i < l->count; i++) {
		if (l->rcpt[i].status != RCPT_PENDING)
			continue;
		rcpt[n] = l->rcpt[i];
		rcpt[n].reply = (char *)(uintptr_t)"450 4.0.0 said so";
		if (kind < 2)
			rcpt[n].status = RCPT_DELIVERED;
		else if (kind == 2)
			rcpt[n].status = (enum rcpt_status)sim_below(&s->seed, 3);
		step->status[i] = (uint8_t)rcpt[n].status;
		n++;
	}
	return n;
}

static void
finish(struct sim *s, struct entry *e, struct mail *mail, struct loaded *l)
{
	struct rcpt_state rcpt[RCPTS];
	struct outcome o = { .rcpt = rcpt, .count_attempt = true, .peer = "192.0.2.1" };
	struct group *g = &mail->group[e->group];
	struct step *step = group_step(g);
	unsigned i, pending = 0;

	step->from = simdisk_now(s->disk);
	o.count = draw_fates(s, l, rcpt, step);
	for (i = 0; i < g->rcpts; i++)
		pending += step->status[i] == RCPT_PENDING;
	step->state = pending > 0 ? ENTRY_DEFERRED : 0;
	step->attempts++;
	o.next_attempt = clock_wall() + 1000;
	if (s->mood != CHURN && sim_below(&s->seed, 3) == 0) {
		o.report = make_message(s, 1, 1, 300);
		step->report = o.report->id;
		note_mail(s, o.report); /* moves the model's mail: step and mail are not used below */
	}
	entry_finish(e, &o);
	message_unref(&o.report);
}

static void
do_finish(struct sim *s)
{
	size_t at = sim_below(&s->seed, s->actives + 1);
	struct entry *e;
	struct mail *mail;
	struct step *step;
	struct loaded l;
	struct err err;
	unsigned what = (unsigned)sim_below(&s->seed, 10);
	uint64_t id;

	if (at == s->actives)
		return;
	id = s->active[at];
	e = sim_entry(s, id, s->active_group[at]);
	mail = model_find(s->model, id);
	check(e != NULL && mail != NULL && e->state == ENTRY_ACTIVE);
	s->active[at] = s->active[--s->actives];
	s->active_group[at] = s->active_group[s->actives];
	if (entry_load(e, &l, &err) < 0) {
		if (!s->faults)
			failed(s, id, err.text);
		entry_return(e, false);
		return;
	}
	if (!content_ok(s, l.message, mail) && !s->faults)
		failed(s, id, "content differs at delivery");
	if (what == 0) {
		entry_return(e, sim_below(&s->seed, 2));
	} else if (what == 1) {
		step = group_step(&mail->group[e->group]);
		step->from = simdisk_now(s->disk);
		step->state = ENTRY_HELD;
		entry_hold(e, "because");
	} else if (what == 2) {
		step = group_step(&mail->group[e->group]);
		step->from = simdisk_now(s->disk);
		step->state = ENTRY_DUE;
		step->key = (uint8_t)sim_below(&s->seed, KEYS);
		entry_rekey(e, key[step->key]);
	} else {
		finish(s, e, mail, &l);
	}
	loaded_fini(&l);
}

static void
do_act(struct sim *s)
{
	struct mail *mail;
	struct entry *e;
	struct step *step;
	enum spool_action action = (enum spool_action)sim_below(&s->seed, s->mood == CHURN ? 3 : 5);
	unsigned g;

	if (s->model->count == 0)
		return;
	mail = &s->model->mail[sim_below(&s->seed, s->model->count)];
	g = (unsigned)sim_below(&s->seed, mail->groups);
	e = sim_entry(s, mail->id, g);
	/* Arriving, moving and active entries are left alone: their acts come later. */
	if (e == NULL || e->queue == NULL || e->state == 0 || e->state == ENTRY_ACTIVE)
		return;
	if (!entry_act(e, action, "an operator") || action == SPOOL_RETRY)
		return;
	step = group_step(&mail->group[g]);
	step->from = simdisk_now(s->disk);
	step->state = action == SPOOL_DROP ? 0 : action == SPOOL_HOLD ? ENTRY_HELD : ENTRY_DUE;
}

/* ---- passes ---- */

/* Whatever is settled now is sure from now on. */
static void
note_settled(struct sim *s)
{
	bool settled = committer_settled(s->spool);
	uint64_t now = simdisk_now(s->disk);
	struct group *g;
	size_t i, k;
	unsigned n;

	for (i = 0; i < s->model->count; i++)
		for (n = 0; n < s->model->mail[i].groups; n++) {
			g = &s->model->mail[i].group[n];
			for (k = g->steps; k > 1 && g->step[k - 1].sure == NEVER; k--) {
				/* Written with its report: sure as soon as the report is queued. */
				if (!settled && (g->step[k - 1].report == 0 ||
				    index_find(&s->spool->index, g->step[k - 1].report) == NULL))
					continue;
				g->step[k - 1].sure = now;
				if (g->step[k - 1].report != 0)
					model_find(s->model, g->step[k - 1].report)->sure = now;
			}
		}
}

static void
note_commits(struct sim *s)
{
	struct mail *mail;
	unsigned i, kept = 0;

	for (i = 0; i < s->jobs; i++) {
		if (!s->job[i]->written) {
			s->job[kept] = s->job[i];
			s->message[kept++] = s->message[i];
			continue;
		}
		mail = model_find(s->model, s->message[i]->id);
		if (s->job[i]->result == 0)
			mail->sure = simdisk_now(s->disk);
		else if (!s->faults)
			failed(s, mail->id, "refused");
		free(s->job[i]);
		message_unref(&s->message[i]);
	}
	s->jobs = kept;
}

static void
pass(struct sim *s)
{
	struct port *p = &s->spool->port[0];

	port_hand_over(p);
	/* Its copies meet what was just handed over in one batch. */
	if (sim_below(&s->seed, 5) == 0)
		compactor_pass(s->spool);
	committer_pass(s->spool);
	port_receive(p);
	note_commits(s);
	port_hand_over(p);
	note_settled(s);
}

/* Somebody reads a segment for a while: it cannot be freed meanwhile, though newer ones can. */
static void
do_pin(struct sim *s)
{
	uint64_t n = sim_below(&s->seed, s->spool->index.count + 1);

	if (s->pinned != 0)
		spool_log_unpin(s->spool->log, s->pinned);
	s->pinned = 0;
	list_each(link, &s->spool->index.order)
		if (n-- == 0)
			s->pinned = list_entry(link, struct usage, order)->number;
	if (s->pinned != 0 && !spool_log_pin(s->spool->log, s->pinned))
		s->pinned = 0;
}

/* Now and then one call of the disk fails, or all of a kind until it is healed. */
static void
do_fault(struct sim *s)
{
	static const int error[] = { EIO, EIO, ENOSPC };

	if (sim_below(&s->seed, 5) == 0)
		simdisk_heal(s->disk);
	if (sim_below(&s->seed, 15) == 0)
		simdisk_fail(s->disk, 1 + sim_below(&s->seed, 20), error[sim_below(&s->seed, 3)], sim_below(&s->seed, 2));
}

static void
forgive(struct map_link *link, void *arg)
{
	(void)arg;
	list_entry(link, struct stored, link)->unread = 0;
}

/* The disk works again: everything that was put off is written in the end, and mail is taken. */
static void
recuperate(struct sim *s)
{
	struct err err = { 0 };
	int i;

	simdisk_heal(s->disk);
	map_each(&s->spool->index.messages, forgive, NULL);
	for (i = 0; i < 50 && (!committer_settled(s->spool) || spool_admit(s->spool, 0, &err) < 0 || s->jobs > 0); i++) {
		do_commit(s); /* what was written without sync is settled by the next sync */
		pass(s);
		compactor_pass(s->spool);
	}
	if (i == 50) {
		list_each(link, &s->spool->index.order)
			fprintf(stderr, "segment %u live %u states %u refs %zu broken %u doubtful %u closed %u\n",
			    list_entry(link, struct usage, order)->number, list_entry(link, struct usage, order)->live,
			    list_entry(link, struct usage, order)->states, list_entry(link, struct usage, order)->refs,
			    list_entry(link, struct usage, order)->broken, list_entry(link, struct usage, order)->doubtful,
			    list_entry(link, struct usage, order)->closed != 0);
		failed(s, 0, committer_settled(s->spool) ? err.text : "the committer does not settle");
	}
	pass(s);
	s->running = true;
	compare(s, s->model, NEVER - 1);
	s->running = false;
}

static bool
wants_mail(struct sim *s)
{
	if (s->mood == CHURN)
		return s->spool->index.messages.count < 10;
	return s->mood == BUSY || sim_below(&s->seed, 6) == 0;
}

static void
live(struct sim *s, unsigned passes)
{
	const uint64_t pins = sim_below(&s->seed, 2) ? 6 : 60;
	unsigned n;

	s->mood = (enum mood)sim_below(&s->seed, 3);
	while (passes-- > 0) {
		if (sim_below(&s->seed, pins) == 0)
			do_pin(s);
		if (s->faults)
			do_fault(s);
		for (n = (unsigned)sim_below(&s->seed, 8); n > 0; n--) {
			switch (sim_below(&s->seed, 8)) {
			case 0:
			case 1:
			case 2:
				if (wants_mail(s))
					do_commit(s);
				break;
			case 3:
			case 4:
				do_take(s);
				break;
			case 5:
			case 6:
				do_finish(s);
				break;
			case 7:
				do_act(s);
				break;
			}
		}
		pass(s);
	}
	if (s->pinned != 0)
		spool_log_unpin(s->spool->log, s->pinned);
	s->pinned = 0;
	if (s->faults)
		recuperate(s);
}

/* ---- comparing ---- */

static bool
state_matches(struct sim *s, const struct entry *e, const struct group *g, const struct step *step)
{
	if (step->state == 0)
		return e->done != 0;
	/* While it lives an entry may be ACTIVE, or due because an operator said so: no record says that. */
	return !e->done && (e->state == step->state || s->running) && e->attempts == step->attempts &&
	    strcmp(e->queue->key, key[step->key]) == 0 && e->rcpt_count == g->rcpts;
}

static bool
rcpts_match(struct sim *s, struct entry *e, const struct group *g, const struct step *step)
{
	struct log_view v;
	struct rcpt_state *known = NULL;
	struct arena *a;
	const char *peer;
	size_t n = 0, i, final = 0;
	bool ok = true;
	struct err err;

	if (e->done)
		return step->state == 0;
	for (i = 0; i < g->rcpts; i++)
		final += step->status[i] != RCPT_PENDING;
	if (e->rcpt_pending != g->rcpts - final)
		return false;
	if (atomic_load(&e->rcpts_pos) == 0)
		return final == 0;
	a = arena_new(0);
	if (load_record(s->spool, &e->rcpts_pos, true, &v, &err) < 0)
		failed(s, entry_id(e), err.text);
	ok = record_get_rcpts(v.body, v.body_len, a, &known, &n, &peer) == 0;
	for (i = 0; ok && i < n; i++) {
		ok = known[i].index - g->base < g->rcpts && known[i].status == step->status[known[i].index - g->base];
		final -= known[i].status != RCPT_PENDING;
	}
	view_fini(&v);
	arena_free(&a);
	return ok && final == 0;
}

/* Steps FIRST to LAST hold one that is what was found. A state record may have survived without the unsynced one
 * before it that told of recipients: then these are known as of an earlier step. */
static bool
find_step(struct sim *s, struct entry *e, const struct group *g, size_t first, size_t last, struct step *found)
{
	size_t i, j;

	for (i = last + 1; i-- > first;) {
		if (!state_matches(s, e, g, &g->step[i]))
			continue;
		for (j = i + 1; j-- > first;)
			if (rcpts_match(s, e, g, &g->step[j])) {
				*found = g->step[i];
				memcpy(found->status, g->step[j].status, sizeof found->status);
				return true;
			}
	}
	return false;
}

/* Which steps a crash at MOMENT may show: from the last sure one to the last handed over. */
static void
window(const struct group *g, uint64_t moment, size_t *first, size_t *last)
{
	size_t i;

	*first = *last = 0;
	for (i = 1; i < g->steps; i++) {
		if (g->step[i].sure <= moment)
			*first = i;
		if (g->step[i].from < moment)
			*last = i;
	}
}

static bool
may_be_done(const struct group *g, uint64_t moment)
{
	size_t first, last, i;

	window(g, moment, &first, &last);
	for (i = first; i <= last; i++)
		if (g->step[i].state == 0)
			return true;
	return false;
}

static void
compare_report(struct sim *s, struct model *m, const struct mail *mail, unsigned g, bool done, uint64_t moment)
{
	const struct group *group = &mail->group[g];
	const struct mail *report;
	size_t i;
	bool there;

	for (i = 1; i < group->steps; i++) {
		if (group->step[i].report == 0 || group->step[i].state != 0)
			continue;
		report = model_find(m, group->step[i].report);
		there = index_find(&s->spool->index, report->id) != NULL;
		if (done && !there && !may_be_done(&report->group[0], moment))
			failed(s, mail->id, "done, and its report is lost");
		if (!done && there)
			failed(s, mail->id, "not done, and its report is there");
	}
}

static void
describe(const struct mail *mail, const struct entry *e, unsigned g, size_t first, size_t last, uint64_t moment)
{
	const struct step *step;
	size_t i;

	fprintf(stderr, "moment %llu, group %u of %u: done %u state %u attempts %u pending %u of %u key %s\n",
	    (unsigned long long)moment, g, mail->groups, e->done, e->state, e->attempts, e->rcpt_pending, e->rcpt_count,
	    e->queue != NULL ? e->queue->key : "none");
	for (i = 0; i < mail->group[g].steps; i++) {
		step = &mail->group[g].step[i];
		fprintf(stderr, "%s step %zu: %llu to %lld: state %u attempts %u status %u %u %u key %s report %llx\n",
		    i >= first && i <= last ? "may be" : "      ", i, (unsigned long long)step->from, (long long)step->sure,
		    step->state, step->attempts, step->status[0], step->status[1], step->status[2], key[step->key],
		    (unsigned long long)step->report);
	}
}

static void
compare_mail(struct sim *s, struct model *m, const struct mail *mail, uint64_t moment)
{
	struct stored *stored = index_find(&s->spool->index, mail->id);
	struct message *message;
	struct step found;
	size_t first, last;
	struct err err;
	unsigned g;

	if (stored == NULL) {
		if (mail->sure <= moment)
			for (g = 0; g < mail->groups; g++)
				if (!may_be_done(&mail->group[g], moment))
					failed(s, mail->id, "acknowledged, not done, and lost");
		if (mail->sure <= moment)
			for (g = 0; g < mail->groups; g++)
				compare_report(s, m, mail, g, true, moment);
		return;
	}
	if (mail->from >= moment)
		failed(s, mail->id, "there before it was handed over");
	for (g = 0; g < mail->groups; g++) {
		window(&mail->group[g], moment, &first, &last);
		if (!find_step(s, &stored->entry[g], &mail->group[g], first, last, &found)) {
			describe(mail, &stored->entry[g], g, first, last, moment);
			failed(s, mail->id, "its state is none it may have");
		}
		compare_report(s, m, mail, g, stored->entry[g].done, moment);
	}
	if (load_message(s->spool, stored, true, &message, &err) < 0)
		failed(s, mail->id, err.text);
	if (!content_ok(s, message, mail) || message->group_count != mail->groups)
		failed(s, mail->id, "content differs");
	message_unref(&message);
}

struct known {
	struct sim *sim;
	struct model *model;
};

static void
must_be_known(struct map_link *link, void *arg)
{
	struct known *k = arg;

	if (model_find(k->model, link->hash) == NULL)
		failed(k->sim, link->hash, "invented");
}

static void
compare(struct sim *s, struct model *m, uint64_t moment)
{
	struct known known = { .sim = s, .model = m };
	size_t i;

	map_each(&s->spool->index.messages, must_be_known, &known);
	for (i = 0; i < m->count; i++)
		compare_mail(s, m, &m->mail[i], moment);
}

/* What was found is the truth from now on: nothing else may come back later. */
static void
rebase(struct sim *s, struct model *m)
{
	struct stored *stored;
	struct mail *mail;
	struct step *step, found;
	size_t i;
	unsigned g;

	for (i = 0; i < m->count; i++) {
		mail = &m->mail[i];
		stored = index_find(&s->spool->index, mail->id);
		mail->from = mail->sure = 0;
		for (g = 0; g < mail->groups; g++) {
			memset(&found, 0, sizeof found);
			check(stored == NULL || find_step(s, &stored->entry[g], &mail->group[g], 0,
			    mail->group[g].steps - 1, &found));
			found.report = 0;
			found.from = found.sure = 0;
			step = &mail->group[g].step[0];
			*step = found;
			mail->group[g].steps = 1;
		}
	}
}

/* ---- lives and crashes ---- */

struct plan {
	bool faults;
	uint64_t states;  /* so far */
	unsigned depth;
};

static void lives(struct simdisk *disk, struct model *model, uint64_t seed, unsigned passes, unsigned crashes,
    struct plan *plan, char *what);

/* Recovers DISK, which is a crash of a life with MODEL at MOMENT. */
static void
recover(struct simdisk *disk, struct model *model, uint64_t moment, uint64_t seed, struct plan *plan, char *what)
{
	struct sim s = { .disk = disk, .model = model, .seed = seed, .what = what };
	unsigned what_next = (unsigned)sim_below(&s.seed, 20);
	struct simreplay *replay;
	struct simdisk *again;
	struct model next;
	uint64_t cut, end;

	plan->states++;
	simdisk_record(disk, what_next < 6);
	if (sim_open(&s) < 0)
		failed(&s, 0, "cannot be opened");
	compare(&s, model, moment);
	if (what_next >= 6 || plan->depth >= 3) {
		sim_kill(&s);
		return;
	}
	plan->depth++;
	if (what_next < 2) {
		/* Mail goes on after the crash, and the power fails again. */
		model_copy(&next, model);
		rebase(&s, &next);
		sim_kill(&s);
		lives(disk, &next, s.seed, 25, 6, plan, what);
		model_free(&next);
	} else {
		/* The power fails during recovery, or just after it. */
		if (what_next == 2)
			compactor_pass(s.spool);
		end = simdisk_now(disk);
		sim_kill(&s);
		replay = simreplay_new(disk);
		cut = sim_below(&s.seed, end + 1);
		simreplay_to(replay, cut);
		again = simreplay_crash(replay, s.seed);
		recover(again, model, moment, s.seed + 1, plan, what);
		simdisk_free(&again);
		simreplay_free(&replay);
	}
	plan->depth--;
}

/* One life on DISK with what MODEL says, then crashes of it at random moments. */
static void
lives(struct simdisk *disk, struct model *model, uint64_t seed, unsigned passes, unsigned crashes, struct plan *plan,
    char *what)
{
	struct sim s = { .disk = disk, .model = model, .seed = seed, .what = what, .faults = plan->faults };
	struct simreplay *replay;
	struct simdisk *crash;
	uint64_t begin = simdisk_now(disk), end, moment, step, at = 0;
	unsigned i;

	sim_open(&s);
	compare(&s, model, NEVER - 1);
	live(&s, passes);
	end = simdisk_now(disk);
	sim_kill(&s);
	replay = simreplay_new(disk);
	step = (end - begin) / crashes + 1;
	for (i = 0; i < crashes; i++) {
		moment = begin + i * step + sim_below(&s.seed, step);
		if (moment > end)
			moment = end;
		if (moment < at)
			continue;
		at = moment;
		simreplay_to(replay, moment);
		crash = simreplay_crash(replay, s.seed);
		recover(crash, model, moment, s.seed ^ i, plan, what);
		simdisk_free(&crash);
	}
	simreplay_free(&replay);
}

static unsigned wanted_lives = 25;
static uint64_t first_seed = 1;

static void
run_lives(bool faults)
{
	struct plan plan = { .faults = faults };
	struct simdisk *disk;
	struct model model;
	char what[64];
	unsigned i;

	for (i = 0; i < wanted_lives; i++) {
		snprintf(what, sizeof what, "%sseed %llu", faults ? "faults, " : "", (unsigned long long)(first_seed + i));
		memset(&model, 0, sizeof model);
		disk = simdisk_new();
		lives(disk, &model, (first_seed + i) * 7919, (first_seed + i) % 4 == 3 ? 300 : 60, 40, &plan, what);
		simdisk_free(&disk);
		model_free(&model);
	}
	printf("%llu states\n", (unsigned long long)plan.states);
}

static void
no_crash_loses_invents_or_repeats_anything(void **state)
{
	(void)state;
	run_lives(false);
}

static void
nor_does_a_crash_of_a_disk_that_fails_now_and_then(void **state)
{
	(void)state;
	run_lives(true);
}

/* ---- cases made by hand ---- */

static uint64_t
commit_one(struct sim *s, size_t size)
{
	struct message *m = make_message(s, 1, 1, size);
	struct job job = { 0 };
	uint64_t id = m->id;

	check(commit_begin(&s->spool->port[0], m, &job) == 0);
	pass(s);
	check(job.written && job.result == 0);
	message_unref(&m);
	return id;
}

/* Everything that is due, except one. */
static void
deliver_all(struct sim *s, uint64_t but)
{
	struct rcpt_state rcpt = { .status = RCPT_DELIVERED };
	struct outcome o = { .rcpt = &rcpt, .count = 1 };
	struct entry *e, *kept = NULL;
	struct queue *q;
	unsigned k;

	for (k = 0; k < KEYS; k++) {
		q = queue_get(&s->spool->port[0], key[k], strlen(key[k]));
		while ((e = queue_take(q)) != NULL)
			if (entry_id(e) == but)
				kept = e;
			else
				entry_finish(e, &o);
	}
	if (kept != NULL)
		entry_return(kept, false);
	pass(s);
}

static uint32_t
home_of(struct sim *s, uint64_t id)
{
	struct stored *m = index_find(&s->spool->index, id);

	check(m != NULL);
	return LOG_POS_SEGMENT(atomic_load(&m->pos));
}

static void
stream(struct sim *s, unsigned messages, uint64_t but)
{
	while (messages-- > 0) {
		commit_one(s, 4000);
		deliver_all(s, but);
	}
}

static void
an_older_copy_that_cannot_be_freed_yet_does_not_come_back(void **state)
{
	struct model model = { 0 };
	struct sim s = { .model = &model, .seed = 7, .what = "older copy" };
	uint32_t first;
	uint64_t id;
	int i;

	(void)state;
	s.disk = simdisk_new();
	sim_open(&s);
	s.spool->config.compact_from = 1;
	id = commit_one(&s, 4000);
	first = home_of(&s, id);
	assert_true(spool_log_pin(s.spool->log, first));
	for (i = 0; i < 100 && home_of(&s, id) == first; i++) {
		stream(&s, 5, id);
		compactor_pass(s.spool);
	}
	assert_true(home_of(&s, id) != first);
	deliver_all(&s, 0);
	assert_null(index_find(&s.spool->index, id));
	for (i = 0; i < 30; i++) {
		stream(&s, 5, 0);
		compactor_pass(s.spool);
	}
	assert_non_null(index_have_usage(&s.spool->index, first));
	spool_log_unpin(s.spool->log, first);
	sim_kill(&s);
	sim_open(&s);
	assert_null(index_find(&s.spool->index, id));
	sim_kill(&s);
	simdisk_free(&s.disk);
}

static void
one_stuck_message_does_not_pin_the_segments_of_a_stream(void **state)
{
	struct model model = { 0 };
	struct sim s = { .model = &model, .seed = 9, .what = "stuck message" };
	unsigned most = 0, restarts;
	struct spool_stats st;
	uint64_t id;
	int i;

	(void)state;
	s.disk = simdisk_new();
	simdisk_record(s.disk, false);
	sim_open(&s);
	id = commit_one(&s, 4000);
	for (restarts = 0; restarts < 3; restarts++) {
		for (i = 0; i < 100; i++) {
			stream(&s, 10, id);
			compactor_pass(s.spool);
			spool_stats(s.spool, &st);
			most = st.segments > most ? (unsigned)st.segments : most;
		}
		sim_close(&s);
		sim_open(&s);
	}
	/* 12 MB went through segments of 64 KB. */
	assert_true(most <= 6);
	assert_non_null(index_find(&s.spool->index, id));
	deliver_all(&s, 0);
	pass(&s);
	spool_stats(s.spool, &st);
	assert_true(st.messages == 0 && st.segments <= 1);
	sim_close(&s);
	simdisk_free(&s.disk);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_older_copy_that_cannot_be_freed_yet_does_not_come_back),
		cmocka_unit_test(one_stuck_message_does_not_pin_the_segments_of_a_stream),
		cmocka_unit_test(no_crash_loses_invents_or_repeats_anything),
		cmocka_unit_test(nor_does_a_crash_of_a_disk_that_fails_now_and_then),
	};
	struct err err;
	int fd = open("/dev/null", O_WRONLY), rc;

	if (argc > 1)
		wanted_lives = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		first_seed = strtoull(argv[2], NULL, 10);
	if (getenv("SPOOL_CRASH_LOG") == NULL && log_open(fd, LOG_ERROR, &err) < 0)
		fatal("%s", err.text);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	log_close();
	return rc;
}
