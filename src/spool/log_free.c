/* SPDX-License-Identifier: MIT */
/* Giving segments back: when it is done their contents can never return. */
#include "spool/log_file.h"

#include <errno.h>

/* Under the new stamp nothing in S is valid; it joins the stock. */
static int
recycle(struct file_log *l, struct segment *s)
{
	struct stamp stamp;
	int rc;

	pthread_mutex_lock(&l->order);
	stamp = stock_stamp(l);
	rc = segment_restamp(s, l->disk, &stamp);
	if (rc == 0) {
		segment_begin_writing(s, l->disk);
		pthread_mutex_lock(&l->lock);
		use_remove(l, s);
		log_index_fini(&s->index);
		s->number = 0;
		s->end = LOG_BLOCK;
		s->units = 0;
		s->indexed = s->freeing = false;
		list_append(&l->stock, &s->queue);
		l->stocked++;
		l->full = false;
		pthread_cond_broadcast(&l->changed);
		pthread_mutex_unlock(&l->lock);
	}
	pthread_mutex_unlock(&l->order);
	return rc;
}

static int
remove_file(struct file_log *l, struct segment *s)
{
	struct epoch *e = s->epoch;

	if (segment_unlink(s, l->disk) < 0)
		return -1;
	pthread_mutex_lock(&l->lock);
	use_remove(l, s);
	pthread_mutex_unlock(&l->lock);
	segment_free(&s, l->disk);
	if (!e->own && e->segments == 0)
		epoch_remove(l->disk, l->path, &e);
	return 0;
}

/* Marks S so that nobody pins it, and takes it out of the hands of the others. NULL: err says why not. */
static struct segment *
claim(struct file_log *l, uint32_t number, bool *reuse, struct err *err)
{
	struct segment *s;

	pthread_mutex_lock(&l->lock);
	s = use_find(l, number);
	while (s != NULL && s->sealing)
		pthread_cond_wait(&l->changed, &l->lock);
	if (s == NULL)
		log_err(err, ENOENT, "segment %u is gone", number);
	else if (s->pins > 0) {
		log_err(err, EBUSY, "segment %u is being read", number);
		s = NULL;
	} else {
		s->freeing = true;
		list_remove(&s->queue);
		if (s == l->current) {
			use_retire(l);
			l->dirty = false;
			l->previous = 0;
		}
		if (s->fd < 0 && segment_open(s, l->disk) == 0)
			l->open_files++;
		*reuse = s->epoch->own && !s->broken && s->fd >= 0 && l->stocked < 2 * l->stock_want;
	}
	pthread_mutex_unlock(&l->lock);
	return s;
}

int
filelog_free(struct spool_log *log, uint32_t segment, struct err *err)
{
	struct file_log *l = file_log(log);
	bool reuse = false;
	struct segment *s = claim(l, segment, &reuse, err);

	if (s == NULL)
		return -1;
	if (reuse && recycle(l, s) == 0)
		return 0;
	if (remove_file(l, s) == 0)
		return 0;
	err_sys(err, "cannot free %s/%08x.seg", s->epoch->path, s->file);
	pthread_mutex_lock(&l->lock);
	s->broken = true;
	s->freeing = false;
	pthread_mutex_unlock(&l->lock);
	return -1;
}
