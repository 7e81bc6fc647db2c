/* SPDX-License-Identifier: MIT */
#include "control/filter.h"

#include "util/arena.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

const struct admin_arg filter_args[] = {
	{ "from", ARG_TEXT },
	{ "to", ARG_TEXT },
	{ "domain", ARG_TEXT },
	{ "hop", ARG_TEXT },
	{ "older", ARG_NUMBER },
	{ "younger", ARG_NUMBER },
	{ "state", ARG_TEXT },
	{ "ids", ARG_IDS },
	{ "limit", ARG_NUMBER },
	{ "all", ARG_FLAG },
	{ 0 },
};

static const struct {
	enum entry_state state;
	const char *name;
} state_names[] = {
	{ ENTRY_DUE, "due" },
	{ ENTRY_ACTIVE, "active" },
	{ ENTRY_DEFERRED, "deferred" },
	{ ENTRY_HELD, "held" },
};

enum { STATES = sizeof state_names / sizeof *state_names };

const char *
entry_state_name(enum entry_state state)
{
	unsigned i;

	for (i = 0; i < STATES; i++)
		if (state_names[i].state == state)
			return state_names[i].name;
	return "unknown";
}

/* Goes back only to the last star, so that a pattern costs its length times the text's at most. */
bool
glob_matches(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = pattern++;
			resume = text;
		} else if (*pattern != '\0' && ascii_lower(*pattern) == ascii_lower(*text)) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star + 1;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static const char *
domain_of(const char *address)
{
	const char *at = strrchr(address, '@');

	return at == NULL ? "" : at + 1;
}

bool
address_matches(const char *pattern, const char *address)
{
	if (strcmp(pattern, "<>") == 0)
		return *address == '\0';
	if (*pattern == '@')
		return glob_matches(pattern + 1, domain_of(address));
	return glob_matches(pattern, address);
}

static int
read_states(struct filter *f, const char *text, struct err *err)
{
	size_t n;
	unsigned i;

	for (;; text += n + 1) {
		n = strcspn(text, ",");
		for (i = 0; i < STATES; i++)
			if (strlen(state_names[i].name) == n && str_nieq(state_names[i].name, text, n))
				break;
		if (i == STATES)
			return err_set(err, "state: \"%s\" is none of due, active, deferred, held", text);
		f->states |= 1u << state_names[i].state;
		if (text[n] == '\0')
			return 0;
	}
}

static int
compare_ids(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int
read_ids(struct filter *f, const json_t *array, struct job *job, struct err *err)
{
	size_t count = json_array_size(array), i, kept = 0;
	const char *text;

	if (count > FILTER_IDS_MAX)
		return err_set(err, "more than %d ids", FILTER_IDS_MAX);
	f->ids = arena_alloc(job->arena, count * sizeof *f->ids + 1);
	for (i = 0; i < count; i++) {
		text = json_string_value(json_array_get(array, i));
		if (id_parse(text, &f->ids[i]) < 0)
			return err_set(err, "\"%s\" is not a message id", text);
	}
	qsort(f->ids, count, sizeof *f->ids, compare_ids);
	for (i = 0; i < count; i++)
		if (i == 0 || f->ids[i] != f->ids[kept - 1])
			f->ids[kept++] = f->ids[i];
	f->id_count = (unsigned)kept;
	return 0;
}

int
filter_read(struct filter *f, struct job *job, struct err *err)
{
	const json_t *args = job->args, *ids = json_object_get(args, "ids");
	const char *states = json_string_value(json_object_get(args, "state"));

	*f = (struct filter){
		.from = json_string_value(json_object_get(args, "from")),
		.to = json_string_value(json_object_get(args, "to")),
		.domain = json_string_value(json_object_get(args, "domain")),
		.hop = json_string_value(json_object_get(args, "hop")),
		.older = json_integer_value(json_object_get(args, "older")),
		.younger = json_integer_value(json_object_get(args, "younger")),
		.limit = (uint64_t)json_integer_value(json_object_get(args, "limit")),
		.all = json_is_true(json_object_get(args, "all")),
	};
	if (states != NULL && read_states(f, states, err) < 0)
		return -1;
	if (ids != NULL && read_ids(f, ids, job, err) < 0)
		return -1;
	return 0;
}

static bool
has_criteria(const struct filter *f)
{
	return f->from != NULL || f->to != NULL || f->domain != NULL || f->hop != NULL || f->older > 0 ||
	    f->younger > 0 || f->states != 0;
}

bool
filter_is_empty(const struct filter *f)
{
	return !has_criteria(f) && f->id_count == 0 && !f->all;
}

bool
filter_is_ids(const struct filter *f)
{
	return !has_criteria(f) && f->id_count > 0 && f->limit == 0;
}

bool
filter_needs_envelope(const struct filter *f)
{
	return f->from != NULL || f->to != NULL || f->domain != NULL;
}

bool
filter_matches(const struct filter *f, const struct entry_info *e, int64_t now)
{
	int64_t age = now - e->received;

	if (f->states != 0 && (f->states & 1u << e->state) == 0)
		return false;
	if ((f->older > 0 && age < f->older) || (f->younger > 0 && age >= f->younger))
		return false;
	if (f->id_count > 0 && bsearch(&e->id, f->ids, f->id_count, sizeof *f->ids, compare_ids) == NULL)
		return false;
	return f->hop == NULL || glob_matches(f->hop, e->key);
}

/* An entry whose route changed has a key none of the recipients was given: then all of them are its own. */
static bool
is_of(const struct spool_detail *d, unsigned i, const char *key)
{
	const struct message *m = d->message;
	uint32_t g;

	if (m->group_count < 2)
		return true;
	for (g = 0; g < m->group_count; g++)
		if (strcmp(m->group[g], key) == 0)
			return m->rcpt[i].group == g;
	return true;
}

bool
filter_waits(const struct spool_detail *d, unsigned i, const char *key)
{
	return d->rcpt[i].status == RCPT_PENDING && is_of(d, d->rcpt[i].index, key);
}

bool
filter_matches_envelope(const struct filter *f, const struct entry_info *e, const struct spool_detail *d)
{
	const char *address;
	unsigned i;

	if (f->from != NULL && !address_matches(f->from, d->message->sender))
		return false;
	if (f->to == NULL && f->domain == NULL)
		return true;
	for (i = 0; i < d->count; i++) {
		address = d->message->rcpt[d->rcpt[i].index].address;
		if (filter_waits(d, i, e->key) && (f->to == NULL || address_matches(f->to, address)) &&
		    (f->domain == NULL || glob_matches(f->domain, domain_of(address))))
			return true;
	}
	return false;
}
