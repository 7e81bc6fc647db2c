/* SPDX-License-Identifier: MIT */
#include "dns/dns.h"

#include "dns/answer.h"
#include "dns/context.h"
#include "net/task.h"
#include "util/arena.h"
#include "util/check.h"
#include "util/counters.h"
#include "util/list.h"
#include "util/log.h"
#include "util/map.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound-event.h>
#include <unbound.h>

enum { KEPT_MAX = 10000, SECURE = 2, BOGUS = 1 };

struct resolver {
	struct loop *loop;
	struct context *context;
	struct list contexts;  /* it, and those that still have questions */
	struct map questions;
	struct list kept;      /* answered ones, the last used first */
	unsigned kept_count;
	uint64_t timeout;      /* milliseconds */
};

/* Under way while it has no answer; afterwards the cache's entry. */
struct question {
	struct map_link link;
	struct list order;     /* in resolver->kept */
	struct resolver *resolver;
	struct context *context; /* while under way */
	int id;                  /* libunbound's */
	struct answer *answer;
	uint64_t expires;
	struct list waiters;
	struct timer timer;    /* the end of our patience */
	enum dns_type type;
	char name[];
};

/* On its task's stack. */
struct waiter {
	struct list link;
	struct task *task;
	struct answer *answer;
};

/* What a change brings, shared by the loops it goes to. */
struct change {
	struct dns_config config;
	struct arena *arena;
	atomic_uint refs;
};

struct change_post {
	struct post post;
	struct resolver *resolver;
	struct change *change;
};

static struct change *in_force; /* how questions are asked; a reference */
static struct resolver *resolvers;
static unsigned resolver_count;

static uint64_t
timeout_of(const struct dns_config *config)
{
	return 1000ull * (config->timeout ? config->timeout : DNS_TIMEOUT);
}

static void
question_free(struct question *q)
{
	struct resolver *r = q->resolver;

	map_remove(&r->questions, &q->link);
	if (q->answer != NULL) {
		list_remove(&q->order);
		r->kept_count--;
		answer_drop(q->answer);
	}
	free(q);
}

static void
forget_all(struct resolver *r)
{
	struct list *link;

	while ((link = r->kept.next) != &r->kept)
		question_free(list_entry(link, struct question, order));
}

/* ---- configuration ---- */

static struct change *
copy_config(const struct dns_config *config, unsigned refs)
{
	struct arena *arena = arena_new(0);
	struct change *c = arena_zalloc(arena, sizeof *c);
	struct addr *forward = arena_alloc(arena, (config->forward_count + 1) * sizeof *forward);
	const char **anchor = arena_alloc(arena, (config->anchor_count + 1) * sizeof *anchor);

	for (unsigned i = 0; i < config->forward_count; i++)
		forward[i] = config->forward[i];
	for (unsigned i = 0; i < config->anchor_count; i++)
		anchor[i] = arena_strdup(arena, config->anchor[i]);
	c->config = *config;
	c->config.forward = forward;
	c->config.anchor = anchor;
	c->arena = arena;
	atomic_init(&c->refs, refs);
	return c;
}

static void
change_drop(struct change *c)
{
	struct arena *arena = c->arena;

	if (atomic_fetch_sub(&c->refs, 1) == 1)
		arena_free(&arena);
}

static bool
same_config(const struct dns_config *a, const struct dns_config *b)
{
	if (a->forward_count != b->forward_count || a->anchor_count != b->anchor_count || timeout_of(a) != timeout_of(b))
		return false;
	for (unsigned i = 0; i < a->forward_count; i++)
		if (a->forward[i].len != b->forward[i].len ||
		    memcmp(&a->forward[i].u, &b->forward[i].u, a->forward[i].len) != 0)
			return false;
	for (unsigned i = 0; i < a->anchor_count; i++)
		if (strcmp(a->anchor[i], b->anchor[i]) != 0)
			return false;
	return true;
}

/* ---- life ---- */

int
dns_start(struct loop **loops, unsigned count, const struct dns_config *config, struct err *err)
{
	check(resolvers == NULL);
	in_force = copy_config(config, 1);
	resolvers = xcalloc(count, sizeof *resolvers);
	for (unsigned i = 0; i < count; i++) {
		struct resolver *r = &resolvers[i];

		check(loop_index(loops[i]) == i);
		r->loop = loops[i];
		r->timeout = timeout_of(config);
		list_init(&r->kept);
		list_init(&r->contexts);
		resolver_count++;
		if (context_new(&r->context, r->loop, config, err) < 0) {
			dns_stop();
			return -1;
		}
		list_append(&r->contexts, &r->context->link);
	}
	return 0;
}

/* Deleting a context calls back for every question that is not cancelled. */
static void
free_link(struct map_link *link, void *arg)
{
	struct question *q = list_entry(link, struct question, link);

	(void)arg;
	if (q->context != NULL)
		ub_cancel(q->context->ub, q->id);
	question_free(q);
}

void
dns_stop(void)
{
	for (unsigned i = 0; i < resolver_count; i++) {
		map_each(&resolvers[i].questions, free_link, NULL);
		map_fini(&resolvers[i].questions);
		list_each_safe(link, &resolvers[i].contexts)
			context_free(list_entry(link, struct context, link));
	}
	free(resolvers);
	resolvers = NULL;
	if (in_force != NULL)
		change_drop(in_force);
	in_force = NULL;
	resolver_count = 0;
}

/* Questions under way keep their context, and nobody finds them any more. */
static void
on_change(struct post *post)
{
	struct change_post *p = list_entry(post, struct change_post, post);
	struct resolver *r = p->resolver;
	struct context *old = r->context;
	struct err err;

	if (context_new(&r->context, r->loop, &p->change->config, &err) < 0) {
		r->context = old;
		log_event(LOG_ERROR, "dns", "the resolver stays as it was: %s", err.text);
	} else {
		list_append(&r->contexts, &r->context->link);
		r->timeout = timeout_of(&p->change->config);
		forget_all(r);
		context_retire(old);
	}
	change_drop(p->change);
	free(p);
}

int
dns_check(const struct dns_config *config, struct err *err)
{
	return context_check(config, err);
}

int
dns_configure(const struct dns_config *config, struct err *err)
{
	struct change *change;

	if (same_config(config, &in_force->config))
		return 0;
	if (context_check(config, err) < 0)
		return -1;
	change = copy_config(config, resolver_count + 1);
	change_drop(in_force);
	in_force = change;
	for (unsigned i = 0; i < resolver_count; i++) {
		struct change_post *p = xcalloc(1, sizeof *p);

		p->post.fn = on_change;
		p->resolver = &resolvers[i];
		p->change = change;
		loop_post(resolvers[i].loop, &p->post);
	}
	return 0;
}

/* ---- answers ---- */

static struct answer *
hold(struct answer *a)
{
	a->refs++;
	return a;
}

const struct dns_answer *
dns_hold(const struct dns_answer *answer)
{
	return &hold((struct answer *)(uintptr_t)answer)->pub;
}

void
dns_release(const struct dns_answer **answer)
{
	if (*answer != NULL)
		answer_drop((struct answer *)(uintptr_t)*answer);
	*answer = NULL;
}

static const struct dns_answer *
temporary(const char *reason)
{
	return &answer_new(reason)->pub;
}

static void
leave_context(struct question *q)
{
	struct context *c = q->context;

	q->context = NULL;
	c->pending--;
	if (c->retired)
		context_retire(c);
}

static void
keep(struct question *q, struct answer *a)
{
	struct resolver *r = q->resolver;

	q->answer = a;
	q->expires = loop_now(r->loop) + 1000ull * a->pub.ttl;
	list_prepend(&r->kept, &q->order);
	if (++r->kept_count > KEPT_MAX)
		question_free(list_entry(r->kept.prev, struct question, order));
}

/* Takes the reference to A. What is not known is not kept, nor what a newer context might see otherwise. */
static void
settle(struct question *q, struct answer *a)
{
	bool current = q->context == q->resolver->context;
	struct list *link;

	leave_context(q);
	timer_clear(&q->timer);
	if (a->pub.status == DNS_TEMPORARY)
		counter_add(COUNTER_DNS_FAILED, 1);
	while ((link = list_shift(&q->waiters)) != NULL) {
		struct waiter *w = list_entry(link, struct waiter, link);

		w->answer = hold(a);
		if (w->task != NULL)
			task_wake(w->task);
	}
	if (current && a->pub.status != DNS_TEMPORARY && a->pub.ttl > 0)
		keep(q, a);
	else {
		answer_drop(a);
		question_free(q);
	}
}

static struct answer *
read_answer(const struct question *q, int rcode, const void *packet, int n, int security, const char *why)
{
	static const char *const names[] = { "", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED" };
	struct answer *a;
	char reason[300];

	if (security == BOGUS) {
		snprintf(reason, sizeof reason, "DNSSEC: %.250s", why != NULL ? why : "bogus");
		return answer_new(reason);
	}
	if (rcode != 0) {
		snprintf(reason, sizeof reason, "%s", rcode > 0 && rcode < 6 ? names[rcode] : "the question failed");
		return answer_new(reason);
	}
	a = answer_parse(packet, n > 0 ? (size_t)n : 0, q->name, q->type);
	a->pub.secure = security == SECURE && a->pub.status != DNS_TEMPORARY;
	return a;
}

/* Of libunbound: on the loop's stack, or within ub_resolve_event() on a task's. */
static void
on_answer(void *arg, int rcode, void *packet, int n, int security, char *why, int limited)
{
	struct question *q = arg;

	(void)limited;
	settle(q, read_answer(q, rcode, packet, n, security, why));
}

static void
on_timer(struct timer *timer)
{
	struct question *q = list_entry(timer, struct question, timer);

	ub_cancel(q->context->ub, q->id);
	settle(q, answer_new("no answer in time"));
}

/* ---- questions ---- */

static uint64_t
hash_question(const char *name, enum dns_type type)
{
	return hash_bytes(name, strlen(name)) ^ hash_u64(type);
}

/* The question under way, or its answer while it is good. */
static struct question *
find(struct resolver *r, const char *name, enum dns_type type)
{
	struct question *q;
	struct map_link *l;

	for (l = map_first(&r->questions, hash_question(name, type)); l != NULL; l = map_next(l)) {
		q = list_entry(l, struct question, link);
		if (q->type != type || strcmp(q->name, name) != 0 ||
		    (q->context != NULL && q->context != r->context))
			continue;
		if (q->answer == NULL || q->expires > loop_now(r->loop))
			return q;
		question_free(q);
		return NULL;
	}
	return NULL;
}

/* The question may be answered, and gone, when this returns: W has the answer then. */
static void
ask(struct resolver *r, const char *name, enum dns_type type, struct waiter *w)
{
	size_t n = strlen(name);
	struct question *q = xcalloc(1, sizeof *q + n + 1);
	int rc, id = 0;

	memcpy(q->name, name, n);
	q->type = type;
	q->resolver = r;
	q->context = r->context;
	q->context->pending++;
	list_init(&q->waiters);
	list_init(&q->order);
	list_append(&q->waiters, &w->link);
	timer_init(&q->timer, on_timer);
	map_add(&r->questions, &q->link, hash_question(name, type));
	counter_add(COUNTER_DNS_QUESTIONS, 1);
	rc = ub_resolve_event(r->context->ub, q->name, (int)type, 1, q, on_answer, &id);
	if (w->answer != NULL)
		return;
	if (rc != 0) {
		settle(q, answer_new(ub_strerror(rc)));
		return;
	}
	q->id = id;
	timer_set(&q->timer, loop_now(r->loop) + r->timeout);
}

/* Answered from what is known, or W waits for a question.. */
static void
begin(struct resolver *r, const char *name, enum dns_type type, struct waiter *w)
{
	char text[DNS_NAME_TEXT];
	struct question *q;

	*w = (struct waiter){ 0 };
	list_init(&w->link);
	if (dns_name_text(name, text) < 0) {
		w->answer = answer_new(NULL);
		return;
	}
	q = find(r, text, type);
	if (q == NULL) {
		ask(r, text, type, w);
		return;
	}
	if (q->answer == NULL) {
		list_append(&q->waiters, &w->link);
		return;
	}
	counter_add(COUNTER_DNS_CACHED, 1);
	list_remove(&q->order);
	list_prepend(&r->kept, &q->order);
	w->answer = hold(q->answer);
}

/* The answer, or NULL when it has not come by DEADLINE: W still waits then. */
static const struct dns_answer *
wait(struct waiter *w, uint64_t deadline)
{
	enum task_wake woken = TASK_WOKEN;

	w->task = task_self();
	while (w->answer == NULL && woken == TASK_WOKEN)
		woken = task_wait(deadline);
	return w->answer != NULL ? &w->answer->pub : NULL;
}

/* The same; W waits no more. */
static const struct dns_answer *
finish(struct waiter *w, uint64_t deadline)
{
	const struct dns_answer *a = wait(w, deadline);

	if (a != NULL)
		return a;
	list_remove(&w->link);
	return temporary(task_cancelled() ? "cancelled" : "no answer in time");
}

static struct resolver *
here(void)
{
	struct loop *loop = loop_current();

	check(loop != NULL && task_self() != NULL && loop_index(loop) < resolver_count);
	return &resolvers[loop_index(loop)];
}

/* The question's own end comes before that of nobody's. */
static uint64_t
deadline_of(const struct resolver *r, uint64_t deadline)
{
	return deadline != 0 ? deadline : loop_now(r->loop) + 2 * r->timeout;
}

const struct dns_answer *
dns_lookup(const char *name, enum dns_type type, uint64_t deadline)
{
	struct resolver *r = here();
	struct waiter w;

	begin(r, name, type, &w);
	return finish(&w, deadline_of(r, deadline));
}

void
dns_lookup_addresses(const char *name, uint64_t deadline, const struct dns_answer **v6, const struct dns_answer **v4)
{
	struct resolver *r = here();
	uint64_t patience = loop_now(r->loop) + DNS_V6_PATIENCE;
	struct waiter six, four;

	deadline = deadline_of(r, deadline);
	begin(r, name, DNS_AAAA, &six);
	begin(r, name, DNS_A, &four);
	*v4 = finish(&four, deadline);
	if ((*v4)->status == DNS_FOUND && patience < deadline)
		deadline = patience;
	*v6 = finish(&six, deadline);
}

static void
prefetch(struct resolver *r, const char *name, enum dns_type type)
{
	struct waiter w;

	begin(r, name, type, &w);
	list_remove(&w.link);
	if (w.answer != NULL)
		answer_drop(w.answer);
}

void
dns_prefetch_addresses(const char *name)
{
	struct resolver *r = here();

	prefetch(r, name, DNS_AAAA);
	prefetch(r, name, DNS_A);
}
