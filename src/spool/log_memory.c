/* SPDX-License-Identifier: MIT */
/* A stand-in until log_file.c is there: batches in memory, gone with the process. */
#include "spool/log.h"
#include "util/check.h"
#include "util/list.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENT_BYTES = 64 << 20 };

struct kept {
	uint8_t type;
	uint32_t head_len;
	uint64_t body_len;
	char bytes[];
};

struct piece {
	struct list link;
	uint32_t number;
	struct kept **record;
	uint32_t count, cap;
	uint64_t used;
};

struct spool_log {
	pthread_mutex_t lock;
	bool discard;
	struct list pieces;
	unsigned count;
	uint32_t current;
};

int
spool_log_open(struct spool_log **log, const struct log_config *config, struct err *err)
{
	struct spool_log *l = xcalloc(1, sizeof *l);

	(void)err;
	pthread_mutex_init(&l->lock, NULL);
	list_init(&l->pieces);
	l->discard = config->discard;
	*log = l;
	return 0;
}

static void
piece_free(struct piece *p)
{
	uint32_t i;

	for (i = 0; i < p->count; i++)
		free(p->record[i]);
	free(p->record);
	free(p);
}

void
spool_log_close(struct spool_log **log)
{
	struct list *link;

	while ((link = list_shift(&(*log)->pieces)) != NULL)
		piece_free(list_entry(link, struct piece, link));
	free(*log);
	*log = NULL;
}

uint32_t
spool_log_epoch(const struct spool_log *log)
{
	(void)log;
	return 1;
}

static struct piece *
find(struct spool_log *l, uint32_t number)
{
	list_each(link, &l->pieces)
		if (list_entry(link, struct piece, link)->number == number)
			return list_entry(link, struct piece, link);
	return NULL;
}

static struct piece *
current(struct spool_log *l)
{
	struct piece *p = find(l, l->current);

	if (p != NULL && p->used < SEGMENT_BYTES)
		return p;
	p = xcalloc(1, sizeof *p);
	p->number = ++l->current;
	list_append(&l->pieces, &p->link);
	l->count++;
	return p;
}

static void
store(struct piece *p, struct spool_record *r)
{
	struct kept *k = xmalloc(sizeof *k + r->head_len + r->body_len);
	char *at = k->bytes + r->head_len;
	unsigned i;

	k->type = r->type;
	k->head_len = r->head_len;
	k->body_len = r->body_len;
	memcpy(k->bytes, r->head, r->head_len);
	for (i = 0; i < r->body_count; i++) {
		memcpy(at, r->body[i].iov_base, r->body[i].iov_len);
		at += r->body[i].iov_len;
	}
	if (p->count == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 256;
		p->record = xrealloc(p->record, p->cap * sizeof *p->record);
	}
	r->pos = (uint64_t)p->number << 32 | (p->count + 1);
	p->record[p->count++] = k;
	p->used += r->head_len + r->body_len;
}

int
spool_log_append(struct spool_log *l, const struct log_unit *units, unsigned count, enum log_room room, bool sync,
    uint32_t *broken, struct err *err)
{
	struct piece *p;
	unsigned i, j;

	(void)room;
	(void)sync;
	(void)err;
	*broken = 0;
	if (l->discard)
		return 0;
	pthread_mutex_lock(&l->lock);
	p = current(l);
	for (i = 0; i < count; i++)
		for (j = 0; j < units[i].count; j++)
			store(p, &units[i].record[j]);
	pthread_mutex_unlock(&l->lock);
	return 0;
}

int
spool_log_sync(struct spool_log *l, uint32_t *broken, struct err *err)
{
	(void)l;
	(void)err;
	*broken = 0;
	return 0;
}

int
spool_log_read(struct spool_log *l, log_pos pos, bool with_body, bool checked, struct log_view *out, struct err *err)
{
	struct piece *p;
	struct kept *k;

	(void)checked;
	pthread_mutex_lock(&l->lock);
	p = find(l, LOG_POS_SEGMENT(pos));
	k = p != NULL && (uint32_t)pos - 1 < p->count ? p->record[(uint32_t)pos - 1] : NULL;
	pthread_mutex_unlock(&l->lock);
	if (k == NULL)
		return err_set(err, "no such record");
	out->type = k->type;
	out->head_len = k->head_len;
	out->body_len = k->body_len;
	out->head = xmemdup(k->bytes, k->head_len);
	out->body = with_body ? xmemdup(k->bytes + k->head_len, k->body_len) : NULL;
	return 0;
}

bool
spool_log_pin(struct spool_log *l, uint32_t segment)
{
	bool found;

	pthread_mutex_lock(&l->lock);
	found = find(l, segment) != NULL;
	pthread_mutex_unlock(&l->lock);
	return found;
}

void
spool_log_unpin(struct spool_log *l, uint32_t segment)
{
	(void)l;
	(void)segment;
}

int
spool_log_free(struct spool_log *l, uint32_t segment, struct err *err)
{
	struct piece *p;

	(void)err;
	pthread_mutex_lock(&l->lock);
	p = find(l, segment);
	if (p != NULL) {
		list_remove(&p->link);
		l->count--;
		piece_free(p);
	}
	pthread_mutex_unlock(&l->lock);
	return 0;
}

uint64_t
spool_log_used(struct spool_log *l, uint32_t segment)
{
	struct piece *p = find(l, segment);

	return p != NULL ? p->used : 0;
}

unsigned
spool_log_segments(struct spool_log *l)
{
	return l->count;
}

uint32_t
spool_log_current(struct spool_log *l)
{
	return l->current;
}

bool
spool_log_room(struct spool_log *l)
{
	(void)l;
	return true;
}
