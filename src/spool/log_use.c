/* SPDX-License-Identifier: MIT */
/* Segments in use: found by number, pinned, read, walked. */
#include "spool/log_file.h"
#include "util/check.h"
#include "util/crc32c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Beyond these, descriptors of segments nobody reads are closed. */
enum { OPEN_MAX_IDLE = 64 };

/* A record's head and small body are read in one go. */
enum { READ_AHEAD = 8192 };

struct segment *
use_find(struct file_log *l, uint32_t number)
{
	struct map_link *link;

	for (link = map_first(&l->segments, hash_u64(number)); link != NULL; link = map_next(link))
		if (list_entry(link, struct segment, link)->number == number)
			return list_entry(link, struct segment, link);
	return NULL;
}

void
use_add(struct file_log *l, struct segment *s)
{
	s->number = ++l->numbers;
	check(s->number != 0);
	s->epoch->segments++;
	map_add(&l->segments, &s->link, hash_u64(s->number));
	if (s->fd >= 0 && s != l->current)
		l->open_files++;
}

void
use_remove(struct file_log *l, struct segment *s)
{
	map_remove(&l->segments, &s->link);
	s->epoch->segments--;
	if (s->fd >= 0 && s != l->current)
		l->open_files--;
	if (s == l->current)
		l->current = NULL;
}

static void
trim(struct file_log *l, struct segment *s)
{
	if (s->pins > 0 || s->fd < 0 || s == l->current || l->open_files <= OPEN_MAX_IDLE)
		return;
	segment_close(s, l->disk);
	l->open_files--;
}

void
use_retire(struct file_log *l)
{
	struct segment *s = l->current;

	l->current = NULL;
	l->open_files++;
	segment_end_writing(s, l->disk);
	trim(l, s);
}

/* Pins the segment; NULL when it is gone or going. */
static struct segment *
pin(struct file_log *l, uint32_t number)
{
	struct segment *s;

	pthread_mutex_lock(&l->lock);
	s = use_find(l, number);
	if (s != NULL && s->freeing)
		s = NULL;
	if (s != NULL)
		s->pins++;
	pthread_mutex_unlock(&l->lock);
	return s;
}

static void
unpin(struct file_log *l, struct segment *s)
{
	pthread_mutex_lock(&l->lock);
	check(s->pins > 0);
	s->pins--;
	trim(l, s);
	pthread_mutex_unlock(&l->lock);
}

/* The descriptor of a pinned segment, or -1 with errno. */
static int
descriptor(struct file_log *l, struct segment *s)
{
	int fd;

	pthread_mutex_lock(&l->lock);
	if (s->fd < 0 && segment_open(s, l->disk) == 0)
		l->open_files++;
	fd = s->fd;
	pthread_mutex_unlock(&l->lock);
	return fd;
}

bool
filelog_pin(struct spool_log *log, uint32_t segment)
{
	return pin(file_log(log), segment) != NULL;
}

void
filelog_unpin(struct spool_log *log, uint32_t segment)
{
	struct file_log *l = file_log(log);
	struct segment *s;

	pthread_mutex_lock(&l->lock);
	s = use_find(l, segment);
	pthread_mutex_unlock(&l->lock);
	check(s != NULL);
	unpin(l, s);
}

/* N bytes at OFF in fresh memory, terminated; the first AHEAD_LEN of them were read already. */
static char *
get_bytes(struct file_log *l, struct segment *s, int fd, uint64_t off, uint64_t n, const char *ahead, uint64_t ahead_len,
    struct err *err)
{
	uint64_t have = ahead_len < n ? ahead_len : n;
	char *p = xmalloc((size_t)n + 1);
	ssize_t r;

	if (have > 0)
		memcpy(p, ahead, (size_t)have);
	p[n] = '\0';
	if (have == n)
		return p;
	r = disk_read_all(l->disk, fd, p + have, (size_t)(n - have), off + have);
	if (r == (ssize_t)(n - have))
		return p;
	if (r < 0)
		err_sys(err, "cannot read %s/%08x.seg", s->epoch->path, s->file);
	else
		log_err(err, EBADMSG, "%s/%08x.seg is cut", s->epoch->path, s->file);
	free(p);
	return NULL;
}

static int
read_record(struct file_log *l, struct segment *s, uint32_t off, bool with_body, bool checked, struct log_view *out,
    struct err *err)
{
	struct record_head h;
	char ahead[READ_AHEAD];
	uint64_t head_at = (uint64_t)off + RECORD_HEAD, body_at, have;
	int fd = descriptor(l, s);
	ssize_t n;

	if (fd < 0)
		return err_sys(err, "cannot open %s/%08x.seg", s->epoch->path, s->file);
	n = disk_read_all(l->disk, fd, ahead, sizeof ahead, off);
	if (n < 0)
		return err_sys(err, "cannot read %s/%08x.seg", s->epoch->path, s->file);
	if (n < RECORD_HEAD || record_head_get(ahead, &s->stamp, off, &h) < 0 ||
	    head_at + h.head_len + h.body_len > s->size)
		return log_err(err, EBADMSG, "%s/%08x.seg: damaged record at %u", s->epoch->path, s->file, off);
	out->type = h.type;
	out->head_len = h.head_len;
	out->body_len = h.body_len;
	have = (uint64_t)n - RECORD_HEAD;
	out->head = get_bytes(l, s, fd, head_at, h.head_len, ahead + RECORD_HEAD, have, err);
	if (out->head == NULL)
		return -1;
	if (crc32c(0, out->head, h.head_len) != h.head_crc)
		return log_err(err, EBADMSG, "%s/%08x.seg: damaged head at %u", s->epoch->path, s->file, off);
	if (!with_body && !checked)
		return 0;
	body_at = head_at + h.head_len;
	have = have > h.head_len ? have - h.head_len : 0;
	out->body = get_bytes(l, s, fd, body_at, h.body_len, have > 0 ? ahead + RECORD_HEAD + h.head_len : NULL, have, err);
	if (out->body == NULL)
		return -1;
	if (checked && crc32c(0, out->body, h.body_len) != h.body_crc)
		return log_err(err, EBADMSG, "%s/%08x.seg: damaged body at %u", s->epoch->path, s->file, off);
	if (!with_body) {
		free(out->body);
		out->body = NULL;
	}
	return 0;
}

int
filelog_read(struct spool_log *log, log_pos pos, bool with_body, bool checked, struct log_view *out, struct err *err)
{
	struct file_log *l = file_log(log);
	struct segment *s = pin(l, LOG_POS_SEGMENT(pos));
	int rc;

	memset(out, 0, sizeof *out);
	if (s == NULL)
		return log_err(err, ENOENT, "segment %u is gone", LOG_POS_SEGMENT(pos));
	rc = read_record(l, s, (uint32_t)pos, with_body, checked, out, err);
	unpin(l, s);
	if (rc < 0) {
		free(out->head);
		free(out->body);
		memset(out, 0, sizeof *out);
	}
	return rc;
}

static void
copy_index(struct log_index *to, const struct log_index *from)
{
	*to = *from;
	memset(&to->file, 0, sizeof to->file);
	buf_add(&to->file, from->file.data, from->file.len);
}

static int
scan_file(struct file_log *l, struct segment *s, struct log_index *out, struct err *err)
{
	struct scan scan;
	char *p;
	unsigned unreadable;
	int fd = descriptor(l, s);
	int64_t n = fd < 0 ? -1 : scan_read(l->disk, fd, s->size, &p, &unreadable);

	if (n < 0)
		return err_sys(err, "cannot read %s/%08x.seg", s->epoch->path, s->file);
	scan_bytes(&scan, p, (uint64_t)n, s->size, &s->stamp, s->limit);
	free(p);
	*out = scan.index;
	memset(&scan.index, 0, sizeof scan.index);
	scan_fini(&scan);
	return 0;
}

int
use_index(struct file_log *l, struct segment *s, struct log_index *out, struct err *err)
{
	char path[LOG_PATH_MAX];
	bool indexed;

	pthread_mutex_lock(&l->lock);
	while (s->sealing)
		pthread_cond_wait(&l->changed, &l->lock);
	if (s->index.file.len > 0) {
		copy_index(out, &s->index);
		pthread_mutex_unlock(&l->lock);
		return 0;
	}
	indexed = s->indexed;
	pthread_mutex_unlock(&l->lock);
	segment_path(s, "idx", path);
	if (indexed && log_index_load(out, &s->stamp, s->size, l->disk, path) == 0)
		return 0;
	return scan_file(l, s, out, err);
}

int
filelog_scan(struct spool_log *log, uint32_t segment, log_scan_fn *fn, void *arg, struct err *err)
{
	struct file_log *l = file_log(log);
	struct segment *s = pin(l, segment);
	struct log_index index;
	int rc;

	if (s == NULL)
		return log_err(err, ENOENT, "segment %u is gone", segment);
	rc = use_index(l, s, &index, err);
	unpin(l, s);
	if (rc < 0)
		return -1;
	log_index_walk(&index, segment, fn, arg);
	log_index_fini(&index);
	return 0;
}
