/* SPDX-License-Identifier: MIT */
#include "control/desk.h"
#include "control/channel.h"
#include "util/check.h"
#include "util/list.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct request {
	struct list link;
	uint32_t serial;
	char *answer; /* NULL: not yet */
};

struct desk {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct list requests;
	uint32_t last;
	int channel;
};

struct desk *
desk_new(int channel)
{
	struct desk *d = xcalloc(1, sizeof *d);
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->answered, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&d->lock, NULL);
	list_init(&d->requests);
	d->channel = channel;
	return d;
}

static void
drop(struct request *r)
{
	list_remove(&r->link);
	free(r->answer);
	free(r);
}

void
desk_free(struct desk **desk)
{
	struct desk *d = *desk;

	if (d == NULL)
		return;
	list_each_safe(l, &d->requests)
		drop(list_entry(l, struct request, link));
	pthread_cond_destroy(&d->answered);
	pthread_mutex_destroy(&d->lock);
	free(d);
	*desk = NULL;
}

static struct request *
find(struct desk *d, uint32_t serial)
{
	list_each(l, &d->requests)
		if (list_entry(l, struct request, link)->serial == serial)
			return list_entry(l, struct request, link);
	return NULL;
}

uint32_t
desk_ask_reload(struct desk *d, struct err *err)
{
	struct request *r = xcalloc(1, sizeof *r);
	uint32_t serial;

	pthread_mutex_lock(&d->lock);
	if (++d->last == 0)
		d->last = 1;
	serial = r->serial = d->last;
	list_append(&d->requests, &r->link);
	pthread_mutex_unlock(&d->lock);
	if (channel_send(d->channel, CHANNEL_RELOAD, serial, "", -1, err) == 0)
		return serial;
	desk_forget(d, serial);
	return 0;
}

char *
desk_await(struct desk *d, uint32_t serial, unsigned ms)
{
	struct request *r;
	struct timespec until;
	char *answer;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&d->lock);
	r = find(d, serial);
	check(r != NULL);
	while (r->answer == NULL && pthread_cond_timedwait(&d->answered, &d->lock, &until) == 0)
		;
	answer = r->answer;
	r->answer = NULL;
	pthread_mutex_unlock(&d->lock);
	return answer;
}

void
desk_forget(struct desk *d, uint32_t serial)
{
	struct request *r;

	pthread_mutex_lock(&d->lock);
	r = find(d, serial);
	if (r != NULL)
		drop(r);
	pthread_mutex_unlock(&d->lock);
}

void
desk_answer(struct desk *d, uint32_t serial, const char *text)
{
	struct request *r;

	pthread_mutex_lock(&d->lock);
	r = find(d, serial);
	if (r != NULL) {
		free(r->answer);
		r->answer = xstrdup(text);
		pthread_cond_broadcast(&d->answered);
	}
	pthread_mutex_unlock(&d->lock);
}
