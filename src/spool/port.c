/* SPDX-License-Identifier: MIT */
#include "spool/committer.h"
#include "net/task.h"
#include "util/check.h"

#include <stdlib.h>
#include <string.h>

void
port_hand_over(struct port *p)
{
	if (p->first == NULL || p->spool->committer == NULL)
		return;
	committer_submit(p->spool, p->first, p->last, p->urgent);
	p->first = NULL;
	p->last = &p->first;
	p->urgent = false;
}

static void
on_pass_end(struct loop_hook *hook)
{
	struct port *p = list_entry(hook, struct port, hook);

	port_announce(p);
	port_hand_over(p);
}

static void
on_post(struct post *post)
{
	port_receive(list_entry(post, struct port, post));
}

void
port_init(struct port *p, struct spool *spool, struct loop *loop, unsigned index)
{
	p->spool = spool;
	p->loop = loop;
	p->index = index;
	p->last = &p->first;
	p->done_last = &p->done;
	p->post.fn = on_post;
	p->hook.fn = on_pass_end;
	list_init(&p->queue_list);
	list_init(&p->entries);
	list_init(&p->announce);
	list_init(&p->cached);
	list_init(&p->markers);
	list_init(&p->arrivals);
	pthread_mutex_init(&p->lock, NULL);
	loop_add_hook(loop, &p->hook);
}

void
port_fini(struct port *p)
{
	struct list *link;

	list_remove(&p->hook.link);
	while ((link = p->queue_list.next) != &p->queue_list)
		queue_free(list_entry(link, struct queue, all));
	map_fini(&p->queues);
	buf_fini(&p->scratch);
	pthread_mutex_destroy(&p->lock);
}

void
port_submit(struct port *p, struct job *job)
{
	job->next = NULL;
	job->port = p;
	*p->last = job;
	p->last = &job->next;
	p->urgent |= job->sync;
}

void
port_deliver(struct port *p, struct job *first, struct job **last, struct list *arrivals)
{
	bool post;

	pthread_mutex_lock(&p->lock);
	if (first != NULL) {
		*p->done_last = first;
		p->done_last = last;
	}
	list_splice(&p->arrivals, arrivals);
	post = !p->posted;
	p->posted = true;
	pthread_mutex_unlock(&p->lock);
	if (post)
		loop_post(p->loop, &p->post);
}

static void
job_done(struct port *p, struct job *job)
{
	if (job->kind != JOB_COMMIT) {
		entry_written(job);
		return;
	}
	if (job->result < 0 || p->spool->config.discard)
		stored_forget(job->added);
	stored_unref(job->added);
	job->written = true;
	if (job->task != NULL)
		task_wake(job->task); /* the job is on its stack */
}

void
port_receive(struct port *p)
{
	struct list arrivals, *link;
	struct job *job, *next;

	list_init(&arrivals);
	pthread_mutex_lock(&p->lock);
	list_splice(&arrivals, &p->arrivals);
	job = p->done;
	p->done = NULL;
	p->done_last = &p->done;
	p->posted = false;
	pthread_mutex_unlock(&p->lock);
	for (; job != NULL; job = next) {
		next = job->next;
		job_done(p, job);
	}
	while ((link = list_shift(&arrivals)) != NULL)
		entry_arrive(p, list_entry(link, struct entry, link));
	port_announce(p);
}

/* READY may take, finish and return entries; queues that become due meanwhile are told in the same round. */
void
port_announce(struct port *p)
{
	struct list *link;
	struct queue *q;

	if (!p->started)
		return;
	while ((link = list_shift(&p->announce)) != NULL) {
		q = list_entry(link, struct queue, announce);
		if (!list_empty(&q->due))
			p->spool->ready(q, p->spool->ready_arg);
	}
}

void
port_start(struct port *p)
{
	p->started = true;
	list_each(link, &p->queue_list)
		queue_arm(list_entry(link, struct queue, all));
	port_announce(p);
}

struct port *
port_of_bytes(struct spool *spool, const char *key, size_t len)
{
	return &spool->port[hash_bytes(key, len) % spool->ports];
}

struct port *
port_of_key(struct spool *spool, const char *key)
{
	return port_of_bytes(spool, key, strlen(key));
}
