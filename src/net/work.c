/* SPDX-License-Identifier: MIT */
#include "net/work.h"
#include "net/task.h"
#include "util/check.h"
#include "util/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct work_job *first, **last;
	struct work_job *slow, **last_slow; /* while the others are done */
	unsigned slow_waiting, slow_running;
	pthread_t *thread;
	unsigned count;
	bool stopping;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .last = &pool.first,
	.last_slow = &pool.slow };

/* The next job, or NULL. Locked. */
static struct work_job *
take(bool *slow)
{
	struct work_job *job = pool.first;

	*slow = false;
	if (job != NULL) {
		if ((pool.first = job->next) == NULL)
			pool.last = &pool.first;
		return job;
	}
	job = pool.slow;
	if (job == NULL || pool.slow_running >= (pool.count + 1) / 2)
		return NULL;
	if ((pool.slow = job->next) == NULL)
		pool.last_slow = &pool.slow;
	pool.slow_waiting--;
	pool.slow_running++;
	*slow = true;
	return job;
}

static void *
worker(void *arg)
{
	struct work_job *job;
	bool slow;

	(void)arg;
	pthread_mutex_lock(&pool.lock);
	for (;;) {
		job = take(&slow);
		if (job == NULL && pool.stopping && pool.slow == NULL)
			break;
		if (job == NULL) {
			pthread_cond_wait(&pool.more, &pool.lock);
			continue;
		}
		pthread_mutex_unlock(&pool.lock);
		job->fn(job);
		pthread_mutex_lock(&pool.lock);
		if (!slow)
			continue;
		pool.slow_running--;
		pthread_cond_broadcast(&pool.more);
	}
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

int
work_start(unsigned threads, struct err *err)
{
	check(pool.count == 0);
	pool.thread = xcalloc(threads, sizeof *pool.thread);
	pool.stopping = false;
	for (; pool.count < threads; pool.count++)
		if (thread_start(&pool.thread[pool.count], "work", worker, NULL, err) < 0) {
			work_stop();
			return -1;
		}
	return 0;
}

void
work_stop(void)
{
	unsigned i;

	pthread_mutex_lock(&pool.lock);
	pool.stopping = true;
	pthread_cond_broadcast(&pool.more);
	pthread_mutex_unlock(&pool.lock);
	for (i = 0; i < pool.count; i++)
		pthread_join(pool.thread[i], NULL);
	free(pool.thread);
	pool.thread = NULL;
	pool.count = 0;
}

void
work_post(struct work_job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&pool.lock);
	*pool.last = job;
	pool.last = &job->next;
	pthread_cond_signal(&pool.more);
	pthread_mutex_unlock(&pool.lock);
}

struct call {
	struct work_job job;
	struct post post;
	struct loop *loop;
	struct task *task;
	void (*fn)(void *);
	void *arg;
	bool done;
};

static void
on_done(struct post *post)
{
	struct call *c = list_entry(post, struct call, post);

	c->done = true;
	task_wake(c->task);
}

static void
call_run(struct work_job *job)
{
	struct call *c = list_entry(job, struct call, job);

	c->fn(c->arg);
	loop_post(c->loop, &c->post);
}

static void
post_slow(struct work_job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&pool.lock);
	*pool.last_slow = job;
	pool.last_slow = &job->next;
	pool.slow_waiting++;
	pthread_cond_signal(&pool.more);
	pthread_mutex_unlock(&pool.lock);
}

static void
run(void (*fn)(void *arg), void *arg, void (*post)(struct work_job *job))
{
	struct call c = { .job = { .fn = call_run }, .post = { .fn = on_done }, .fn = fn, .arg = arg };

	c.loop = loop_current();
	c.task = task_self();
	check(c.task != NULL);
	post(&c.job);
	while (!c.done)
		task_wait_always();
}

void
work_run(void (*fn)(void *arg), void *arg)
{
	run(fn, arg, work_post);
}

void
work_run_slow(void (*fn)(void *arg), void *arg)
{
	run(fn, arg, post_slow);
}

unsigned
work_slow_waiting(void)
{
	unsigned n;

	pthread_mutex_lock(&pool.lock);
	n = pool.slow_waiting;
	pthread_mutex_unlock(&pool.lock);
	return n;
}
