/* SPDX-License-Identifier: MIT */
/* queue.shape: how many entries of which age wait for whom. */
#include "control/commands.h"
#include "control/scan.h"
#include "util/arena.h"
#include "util/check.h"
#include "util/list.h"
#include "util/map.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

/* Age classes double from 5 minutes; the last one has no end. */
enum { AGES = 10, FIRST_AGE = 300, ROWS_MAX = 20000 };

struct row {
	struct map_link link;
	const char *name;
	uint64_t last; /* number of the match that counted last: one entry counts once */
	uint64_t total;
	uint64_t age[AGES];
};

enum shape_by { BY_HOP, BY_DOMAIN, BY_SENDER };

struct shape {
	struct scan scan;
	enum shape_by by;
	struct map rows;
	struct row *other;    /* what found no row: a queue of more names than fit in memory's share */
	struct row **sorted;  /* while results are written */
	size_t count, at;
};

static const char *const by_names[] = { [BY_HOP] = "hop", [BY_DOMAIN] = "domain", [BY_SENDER] = "sender" };

static struct row *
row_new(struct job *job, const char *name)
{
	struct row *row = arena_zalloc(job->arena, sizeof *row);

	row->name = arena_strdup(job->arena, name);
	return row;
}

static struct row *
row_of(struct job *job, const char *name)
{
	struct shape *s = job->state;
	uint64_t hash = hash_nocase(name);
	struct map_link *link;
	struct row *row;

	for (link = map_first(&s->rows, hash); link != NULL; link = map_next(link)) {
		row = list_entry(link, struct row, link);
		if (str_ieq(row->name, name))
			return row;
	}
	if (s->rows.count == ROWS_MAX)
		return s->other;
	row = row_new(job, name);
	map_add(&s->rows, &row->link, hash);
	return row;
}

static void
row_count(struct row *row, uint64_t match, int64_t age)
{
	int64_t end = FIRST_AGE;
	unsigned i;

	if (row->last == match)
		return;
	row->last = match;
	for (i = 0; i < AGES - 1 && age >= end; i++)
		end *= 2;
	row->age[i]++;
	row->total++;
}

static const char *
domain_name(const char *address)
{
	const char *at = strrchr(address, '@');

	return at == NULL ? "<>" : at + 1;
}

static void
count_domains(struct job *job, const struct entry_info *e, const struct spool_detail *d, int64_t age)
{
	struct shape *s = job->state;
	const char *address;
	unsigned i;

	for (i = 0; i < d->count; i++) {
		address = d->message->rcpt[d->rcpt[i].index].address;
		if (filter_waits(d, i, e->key))
			row_count(row_of(job, domain_name(address)), s->scan.matched, age);
	}
}

static void
shape_entry_found(struct job *job, const struct entry_info *e, const struct spool_detail *d)
{
	struct shape *s = job->state;
	int64_t age = s->scan.now - e->received;

	if (s->by == BY_HOP)
		row_count(row_of(job, e->key), s->scan.matched, age);
	else if (d == NULL)
		row_count(s->other, s->scan.matched, age);
	else if (s->by == BY_SENDER)
		row_count(row_of(job, domain_name(d->message->sender)), s->scan.matched, age);
	else
		count_domains(job, e, d, age);
}

static int
shape_begin(struct job *job)
{
	struct shape *s = job->state;
	const char *by = json_string_value(json_object_get(job->args, "by"));

	if (by != NULL) {
		while (s->by <= BY_SENDER && strcmp(by, by_names[s->by]) != 0)
			s->by++;
		if (s->by > BY_SENDER)
			return job_fail(job, "bad-request", "by: \"%s\" is none of hop, domain, sender", by);
	}
	s->other = row_new(job, "(others)");
	return scan_begin(&s->scan, job, s->by != BY_HOP);
}

static void
row_collect(struct map_link *link, void *arg)
{
	struct shape *s = arg;

	s->sorted[s->count++] = list_entry(link, struct row, link);
}

static int
row_compare(const void *a, const void *b)
{
	const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;

	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void
sort_rows(struct job *job)
{
	struct shape *s = job->state;

	s->sorted = arena_alloc(job->arena, (s->rows.count + 1) * sizeof *s->sorted);
	map_each(&s->rows, row_collect, s);
	qsort(s->sorted, s->count, sizeof *s->sorted, row_compare);
	if (s->other->total > 0)
		s->sorted[s->count++] = s->other;
}

static void
row_result(struct job *job, const struct row *row)
{
	json_t *ages = json_array();
	unsigned i;

	for (i = 0; i < AGES; i++)
		json_array_append_new(ages, json_integer((json_int_t)row->age[i]));
	job_result(job, json_pack("{s:o,s:I,s:o}", "name", json_peer(row->name), "total", (json_int_t)row->total,
	    "ages", ages));
}

static bool
shape_step(struct job *job)
{
	struct shape *s = job->state;
	unsigned n;

	if (s->sorted == NULL) {
		if (!scan_step(&s->scan, job, shape_entry_found))
			sort_rows(job);
		return true;
	}
	for (n = 0; n < SCAN_SLICE && s->at < s->count; n++)
		row_result(job, s->sorted[s->at++]);
	return s->at < s->count;
}

static void
shape_end(struct job *job)
{
	struct shape *s = job->state;

	scan_end(&s->scan);
	map_fini(&s->rows);
}

static const struct admin_arg shape_args[] = {
	{ "by", ARG_TEXT },
	{ 0 },
};

const struct admin_command queue_shape_command = {
	.name = "queue.shape",
	.args = shape_args,
	.filter = true,
	.state_size = sizeof(struct shape),
	.begin = shape_begin,
	.step = shape_step,
	.end = shape_end,
};
