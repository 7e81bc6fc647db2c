/* SPDX-License-Identifier: MIT */
#include "net/loop.h"
#include "net/loop_private.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/log.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A pass longer than this is named in the log: something held the loop. */
enum { SLOW_PASS_US = 500000 };

static _Thread_local struct loop *current;

struct loop *
loop_current(void)
{
	return current;
}

unsigned
loop_index(const struct loop *loop)
{
	return loop->index;
}

struct event_base *
loop_base(struct loop *loop)
{
	return loop->base;
}

uint64_t
loop_now(const struct loop *loop)
{
	return loop->now;
}

void
loop_touch(struct loop *l)
{
	if (l->in_pass)
		return;
	l->in_pass = true;
	l->pass_began = clock_us();
	l->now = l->pass_began / 1000;
}

static void
on_wakeup(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	loop_touch(arg);
	while (read((int)fd, &count, sizeof count) < 0 && errno == EINTR)
		;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	loop_touch(arg); /* only ends the wait: the pass looks at the wheel itself */
	((struct loop *)arg)->tick_at = 0;
}

int
loop_new(struct loop **out, unsigned index, struct err *err)
{
	struct event_config *config = event_config_new();
	struct loop *l;

	check(config != NULL);
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	l = xcalloc(1, sizeof *l);
	l->index = index;
	l->base = event_base_new_with_config(config);
	event_config_free(config);
	l->wakeup = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->base == NULL || l->wakeup < 0) {
		err_sys(err, "cannot make an event loop");
		loop_free(&l);
		return -1;
	}
	l->wakeup_event = event_new(l->base, l->wakeup, EV_READ | EV_PERSIST, on_wakeup, l);
	l->tick = evtimer_new(l->base, on_tick, l);
	check(l->wakeup_event != NULL && l->tick != NULL);
	event_add(l->wakeup_event, NULL);
	list_init(&l->hooks);
	list_init(&l->runnable);
	list_init(&l->yielded);
	l->now = clock_ms();
	wheel_init(&l->wheel, l->now);
	*out = l;
	return 0;
}

void
loop_free(struct loop **loop)
{
	struct loop *l = *loop;

	if (l == NULL)
		return;
	task_loop_fini(l);
	if (l->wakeup_event != NULL)
		event_free(l->wakeup_event);
	if (l->tick != NULL)
		event_free(l->tick);
	if (l->base != NULL)
		event_base_free(l->base);
	if (l->wakeup >= 0)
		close(l->wakeup);
	free(l);
	*loop = NULL;
}

void
loop_post(struct loop *loop, struct post *post)
{
	struct post *head = atomic_load_explicit(&loop->posts, memory_order_relaxed);
	uint64_t one = 1;

	do
		post->next = head;
	while (!atomic_compare_exchange_weak_explicit(&loop->posts, &head, post, memory_order_release,
	    memory_order_relaxed));
	/* Whoever found the stack empty wakes the loop; its own thread looks at the stack before it sleeps. */
	if (head == NULL && current != loop)
		while (write(loop->wakeup, &one, sizeof one) < 0 && errno == EINTR)
			;
}

static bool
run_posts(struct loop *l)
{
	struct post *p = atomic_exchange_explicit(&l->posts, NULL, memory_order_acquire), *next, *first = NULL;

	if (p == NULL)
		return false;
	for (; p != NULL; p = next) {
		next = p->next;
		p->next = first;
		first = p;
	}
	for (; first != NULL; first = next) {
		next = first->next;
		first->fn(first);
	}
	return true;
}

void
loop_add_hook(struct loop *loop, struct loop_hook *hook)
{
	list_append(&loop->hooks, &hook->link);
}

void
loop_stop(struct loop *loop)
{
	uint64_t one = 1;

	atomic_store(&loop->stop, true);
	while (write(loop->wakeup, &one, sizeof one) < 0 && errno == EINTR)
		;
}

/* Everything that became ready, until nothing is; then the hooks, which hand over what the pass collected. */
static void
finish_pass(struct loop *l)
{
	int rounds;

	list_splice(&l->runnable, &l->yielded);
	/* Bounded, so that tasks waking each other cannot keep the sockets waiting. */
	for (rounds = 0; rounds < 64; rounds++) {
		bool more = run_posts(l);

		more |= task_run_ready(l);
		if (!more)
			break;
	}
	wheel_advance(&l->wheel, l->now);
	task_run_ready(l);
	list_each(link, &l->hooks)
	{
		struct loop_hook *h = list_entry(link, struct loop_hook, link);

		h->fn(h);
	}
}

static bool
has_work(struct loop *l)
{
	return !list_empty(&l->runnable) || !list_empty(&l->yielded) ||
	    atomic_load_explicit(&l->posts, memory_order_acquire) != NULL;
}

static void
arm_tick(struct loop *l)
{
	uint64_t next = wheel_next(&l->wheel), ms;
	struct timeval tv;

	if (next == l->tick_at)
		return;
	l->tick_at = next;
	if (next == 0) {
		evtimer_del(l->tick);
		return;
	}
	ms = next > l->now ? next - l->now : 0;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	evtimer_add(l->tick, &tv);
}

static void
account(struct loop *l, uint64_t began)
{
	uint64_t us = clock_us() - began;

	/* Written by this thread alone; readers take what they see. */
	__atomic_store_n(&l->stats.passes, l->stats.passes + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&l->stats.busy_us, l->stats.busy_us + us, __ATOMIC_RELAXED);
	if (us > l->stats.longest_us)
		__atomic_store_n(&l->stats.longest_us, us, __ATOMIC_RELAXED);
	if (us > SLOW_PASS_US)
		log_event(LOG_WARN, "slow-loop", "loop %u was held for %llu ms, last task: %s", l->index,
		    (unsigned long long)us / 1000, l->last_task ? l->last_task : "none");
}

void
loop_run(struct loop *l)
{
	check(current == NULL);
	current = l;
	task_thread_init();
	loop_touch(l);
	finish_pass(l);
	l->in_pass = false;
	while (!atomic_load_explicit(&l->stop, memory_order_relaxed)) {
		arm_tick(l);
		event_base_loop(l->base, has_work(l) ? EVLOOP_ONCE | EVLOOP_NONBLOCK : EVLOOP_ONCE);
		loop_touch(l);
		finish_pass(l);
		account(l, l->pass_began);
		l->in_pass = false;
	}
	current = NULL;
}

void
loop_stats(const struct loop *l, struct loop_stats *out)
{
	out->passes = __atomic_load_n(&l->stats.passes, __ATOMIC_RELAXED);
	out->busy_us = __atomic_load_n(&l->stats.busy_us, __ATOMIC_RELAXED);
	out->longest_us = __atomic_load_n(&l->stats.longest_us, __ATOMIC_RELAXED);
}
