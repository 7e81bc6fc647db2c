/* SPDX-License-Identifier: MIT */
#include "net/task.h"
#include "net/context.h"
#include "net/loop.h"
#include "net/loop_private.h"
#include "util/check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/valgrind.h>
#endif

/* Address space a stack takes; only touched pages are resident. Instrumented code needs more. */
enum { STACK_SIZE = 256 * 1024, SPARE_MAX = 256, PAGE = 4096 };

struct task {
	struct list link; /* in runnable or yielded */
	struct task *next_spare;
	struct loop *loop;
	void *context;
	void *map;        /* guard page, stack, this struct */
	void (*fn)(void *);
	void *arg;
	const char *name;
	uint64_t message;
	struct timer timer;
	enum task_wake why;
	bool waiting;
	bool ready;       /* in runnable after a wait: `why` is its answer */
	bool shielded;    /* the wait ignores cancellation */
	bool woken_early;
	bool cancelled;
	bool finished;
	void *fake_stack; /* AddressSanitizer's */
	void *fiber;      /* ThreadSanitizer's */
#ifdef HAVE_VALGRIND_VALGRIND_H
	unsigned valgrind_id;
#endif
};

static unsigned limit = 16000;
static volatile uint64_t *crash_slot;
static unsigned crash_slots;

void
task_set_limit(unsigned n)
{
	limit = n;
}

void
task_set_crash_slots(volatile uint64_t *slots, unsigned count)
{
	crash_slot = slots;
	crash_slots = count;
}

static void
note_message(struct loop *l, uint64_t id)
{
	if (l->index < crash_slots)
		crash_slot[l->index] = id;
}

/* The sanitizers have to be told where the stack goes. */
static void
to_task(struct loop *l, struct task *t)
{
	void *fake = NULL;

	l->running = t;
	l->last_task = t->name;
	note_message(l, t->message);
#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(&fake, (char *)t->map + PAGE, STACK_SIZE);
#endif
#ifdef WITH_TSAN
	l->fiber = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(t->fiber, 0);
#endif
	context_switch(&l->loop_context, t->context);
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(fake, NULL, NULL);
#endif
	(void)fake;
	l->running = NULL;
	note_message(l, 0);
}

static void
to_loop(struct task *t)
{
	struct loop *l = t->loop;

#ifdef WITH_ASAN
	__sanitizer_start_switch_fiber(t->finished ? NULL : &t->fake_stack, l->stack_bottom, l->stack_size);
#endif
#ifdef WITH_TSAN
	__tsan_switch_to_fiber(l->fiber, 0);
#endif
	context_switch(&t->context, l->loop_context);
#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(t->fake_stack, &l->stack_bottom, &l->stack_size);
#endif
}

static void
entry(void *arg)
{
	struct task *t = arg;

#ifdef WITH_ASAN
	__sanitizer_finish_switch_fiber(NULL, &t->loop->stack_bottom, &t->loop->stack_size);
#endif
	for (;;) {
		t->fn(t->arg);
		t->finished = true;
#ifdef WITH_ASAN
		/* The next use of this stack begins here again, with its own fake frames. */
		t->fake_stack = NULL;
#endif
		to_loop(t);
	}
}

static void
make_ready(struct task *t, enum task_wake why)
{
	t->waiting = false;
	t->ready = true;
	t->why = why;
	list_append(&t->loop->runnable, &t->link);
}

static void
on_deadline(struct timer *timer)
{
	struct task *t = list_entry(timer, struct task, timer);

	if (!t->waiting)
		return;
	make_ready(t, TASK_TIMEOUT);
}

static void
stack_free(struct task *t)
{
#ifdef WITH_TSAN
	__tsan_destroy_fiber(t->fiber);
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
	VALGRIND_STACK_DEREGISTER(t->valgrind_id);
#endif
#ifdef WITH_ASAN
	__asan_unpoison_memory_region(t->map, PAGE + STACK_SIZE + PAGE);
#endif
	munmap(t->map, PAGE + STACK_SIZE + PAGE);
}

static struct task *
task_get(struct loop *l)
{
	struct task *t = l->spare;
	char *map;

	if (t != NULL) {
		l->spare = t->next_spare;
		l->spare_count--;
		return t;
	}
	/* Guard page, stack growing down to it, and the task itself on a page of its own above. */
	map = mmap(NULL, PAGE + STACK_SIZE + PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	if (mprotect(map, PAGE, PROT_NONE) < 0) {
		munmap(map, PAGE + STACK_SIZE + PAGE);
		return NULL;
	}
	t = (struct task *)(void *)(map + PAGE + STACK_SIZE);
	t->map = map;
	t->loop = l;
	timer_init(&t->timer, on_deadline);
	list_init(&t->link);
	t->context = context_make(map + PAGE, STACK_SIZE, entry, t);
#ifdef WITH_TSAN
	t->fiber = __tsan_create_fiber(0);
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
	t->valgrind_id = VALGRIND_STACK_REGISTER(map + PAGE, map + PAGE + STACK_SIZE);
#endif
	return t;
}

static void
task_put(struct task *t)
{
	struct loop *l = t->loop;

	timer_clear(&t->timer);
	l->task_count--;
	if (l->spare_count >= SPARE_MAX) {
		stack_free(t);
		return;
	}
	t->next_spare = l->spare;
	l->spare = t;
	l->spare_count++;
}

void
task_loop_fini(struct loop *l)
{
	struct task *t;

	while ((t = l->spare) != NULL) {
		l->spare = t->next_spare;
		stack_free(t);
	}
	l->spare_count = 0;
}

static void
resume(struct task *t)
{
	t->ready = false;
	to_task(t->loop, t);
	if (t->finished)
		task_put(t);
}

int
task_start(void (*fn)(void *arg), void *arg, const char *name)
{
	struct loop *l = loop_current();
	struct task *t;

	check(l != NULL);
	if (l->task_count >= limit || (t = task_get(l)) == NULL)
		return -1;
	l->task_count++;
	t->fn = fn;
	t->arg = arg;
	t->name = name;
	t->message = 0;
	t->waiting = t->ready = t->shielded = t->woken_early = t->cancelled = t->finished = false;
	if (l->running != NULL)
		list_append(&l->runnable, &t->link);
	else
		resume(t);
	return 0;
}

struct task *
task_self(void)
{
	struct loop *l = loop_current();

	return l != NULL ? l->running : NULL;
}

unsigned
task_count(void)
{
	struct loop *l = loop_current();

	return l != NULL ? l->task_count : 0;
}

bool
task_run_ready(struct loop *l)
{
	struct list batch, *link;

	if (list_empty(&l->runnable))
		return false;
	list_init(&batch);
	list_splice(&batch, &l->runnable);
	while ((link = list_shift(&batch)) != NULL)
		resume(list_entry(link, struct task, link));
	return true;
}

static enum task_wake
suspend(struct task *t, uint64_t deadline)
{
	t->waiting = true;
	if (deadline != TASK_NEVER)
		timer_set(&t->timer, deadline);
	to_loop(t);
	if (deadline != TASK_NEVER)
		t->timer.when = UINT64_MAX / 2; /* stays in the wheel: the next wait mostly sets it later */
	return t->why;
}

enum task_wake
task_wait(uint64_t deadline)
{
	struct task *t = task_self();

	check(t != NULL);
	if (t->cancelled)
		return TASK_CANCELLED;
	if (t->woken_early) {
		t->woken_early = false;
		return TASK_WOKEN;
	}
	return suspend(t, deadline);
}

void
task_wait_always(void)
{
	struct task *t = task_self();

	check(t != NULL);
	if (t->woken_early) {
		t->woken_early = false;
		return;
	}
	t->shielded = true;
	suspend(t, TASK_NEVER);
	t->shielded = false;
}

void
task_wake(struct task *t)
{
	check(t->loop == loop_current());
	if (t->waiting)
		make_ready(t, TASK_WOKEN);
	else if (t->ready)
		t->why = t->why == TASK_TIMEOUT ? TASK_WOKEN : t->why; /* it came in time after all */
	else
		t->woken_early = true;
}

void
task_cancel(struct task *t)
{
	check(t->loop == loop_current());
	t->cancelled = true;
	if (t->waiting && !t->shielded)
		make_ready(t, TASK_CANCELLED);
}

bool
task_cancelled(void)
{
	struct task *t = task_self();

	return t != NULL && t->cancelled;
}

enum task_wake
task_sleep(uint64_t ms)
{
	uint64_t until = loop_now(loop_current()) + ms;
	enum task_wake why;

	do
		why = task_wait(until);
	while (why == TASK_WOKEN);
	return why;
}

void
task_yield(void)
{
	struct task *t = task_self();

	check(t != NULL);
	t->why = TASK_WOKEN;
	list_append(&t->loop->yielded, &t->link);
	to_loop(t);
}

void
task_set_message(uint64_t id)
{
	struct task *t = task_self();

	check(t != NULL);
	t->message = id;
	note_message(t->loop, id);
}

#ifndef WITH_ASAN
/* A stack overflow hits the guard page: say which task, then die as we would have. */
static void
on_fault(int sig, siginfo_t *info, void *context)
{
	struct loop *l = loop_current();
	char text[256];
	int n;

	(void)context;
	if (l != NULL && l->running != NULL && (char *)info->si_addr >= (char *)l->running->map &&
	    (char *)info->si_addr < (char *)l->running->map + PAGE) {
		n = snprintf(text, sizeof text, "tmail: bug: task %s overflowed its stack\n", l->running->name);
		if (write(STDERR_FILENO, text, (size_t)n) < 0)
			_exit(3);
	}
	signal(sig, SIG_DFL);
	raise(sig);
}
#endif

void
task_thread_init(void)
{
#ifndef WITH_ASAN
	static _Thread_local char alternate[65536];
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t ss = { .ss_sp = alternate, .ss_size = sizeof alternate };

	sigaltstack(&ss, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
#endif
}
