/* SPDX-License-Identifier: MIT */
/* Taking over what dead lives left: which segments hold what, what is damaged, and telling the caller. The rules are
 * in doc/spool.md, "What a crash can leave". */
#include "spool/log_file.h"
#include "util/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One epoch being adopted. Segments are taken from the last to the first. */
struct adoption {
	struct file_log *l;
	struct epoch *epoch;
	log_scan_fn *fn;
	log_alarm_fn *alarm;
	void *arg;
	struct segment **segment; /* in order of generation once sorted; NULL: dealt with */
	unsigned count;
	/* What the segments seen so far, which are later ones, say of those before. */
	bool used;                /* one holds a batch */
	uint64_t limit;           /* batches from this number on do not count */
	uint64_t synced;          /* batches up to this number were on stable storage */
	uint64_t previous, first; /* in the segment of this generation batches below FIRST are complete; 0: unknown */
};

static void
raise_alarm(struct adoption *a, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
raise_alarm(struct adoption *a, const char *path, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	a->alarm(a->arg, path, text);
}

static int
corrupt_path(struct adoption *a, const struct segment *s, uint64_t from, char path[LOG_PATH_MAX + 64])
{
	struct file_log *l = a->l;

	snprintf(path, LOG_PATH_MAX + 64, "%s/corrupt", l->path);
	if (l->disk->mkdir(l->disk, path) < 0 && errno != EEXIST)
		return -1;
	snprintf(path, LOG_PATH_MAX + 64, "%s/corrupt/%08x-%08x-%08x", l->path, a->epoch->number, s->file, (uint32_t)from);
	return 0;
}

static int
sync_corrupt(struct adoption *a)
{
	char path[LOG_PATH_MAX + 64];

	snprintf(path, sizeof path, "%s/corrupt", a->l->path);
	return a->l->disk->sync_folder(a->l->disk, path) < 0 ? -1 : a->l->disk->sync_folder(a->l->disk, a->l->path);
}

/* Copies bytes of S to a file in corrupt/. -1: they are only in the segment. */
static int
copy_aside(struct adoption *a, const struct segment *s, const char *p, uint64_t from, uint64_t to)
{
	char path[LOG_PATH_MAX + 64], tmp[LOG_PATH_MAX + 64];

	while (to > from && p[to - 1] == 0)
		to--; /* blocks never written say nothing */
	if (to == from)
		return 0;
	if (corrupt_path(a, s, from, path) < 0)
		return -1;
	snprintf(tmp, sizeof tmp, "%s/corrupt/tmp", a->l->path);
	if (disk_replace(a->l->disk, tmp, path, p + from, (size_t)(to - from)) < 0)
		return -1;
	return sync_corrupt(a);
}

/* The whole file to corrupt/: nothing in it can be used. */
static void
move_aside(struct adoption *a, struct segment **s, const char *why)
{
	char from[LOG_PATH_MAX], to[LOG_PATH_MAX + 64];
	struct disk *d = a->l->disk;

	segment_path(*s, "seg", from);
	if (corrupt_path(a, *s, 0, to) == 0 && d->rename(d, from, to) == 0) {
		sync_corrupt(a);
		raise_alarm(a, to, "%s; moved here from %s", why, from);
	} else
		raise_alarm(a, from, "%s; it cannot be moved to %s: error %d", why, to, errno);
	segment_free(s, d);
}

/* It stays where it is, for the next life to try again. */
static void
leave(struct adoption *a, struct segment **s, const char *why)
{
	char path[LOG_PATH_MAX];

	segment_path(*s, "seg", path);
	raise_alarm(a, path, "%s: error %d; left alone", why, errno);
	segment_free(s, a->l->disk);
}

static bool
has_extension(const char *name, const char *ext)
{
	return strlen(name) == 12 && strspn(name, "0123456789abcdef") == 8 && strcmp(name + 8, ext) == 0;
}

static void
list_file(void *arg, const char *name)
{
	struct adoption *a = arg;
	struct segment *s;

	if (has_extension(name, ".seg")) {
		s = segment_found(a->epoch, (uint32_t)strtoul(name, NULL, 16));
		if (a->count % 64 == 0)
			a->segment = xrealloc(a->segment, (a->count + 64) * sizeof *a->segment);
		a->segment[a->count++] = s;
	} else if (strcmp(name, "lock") != 0 && !has_extension(name, ".idx") && !has_extension(name, ".new") &&
	    !has_extension(name, ".tmp"))
		raise_alarm(a, a->epoch->path, "foreign file %s, left alone", name);
}

/* What a crash left that is worth nothing: half made files, indexes without a segment. */
static void
sweep_file(void *arg, const char *name)
{
	struct adoption *a = arg;
	char path[LOG_PATH_MAX + 300];
	uint32_t file;
	unsigned i;

	if (!has_extension(name, ".idx") && !has_extension(name, ".new") && !has_extension(name, ".tmp"))
		return;
	file = (uint32_t)strtoul(name, NULL, 16);
	for (i = 0; strcmp(name + 8, ".idx") == 0 && i < a->count; i++)
		if (a->segment[i] != NULL && a->segment[i]->file == file)
			return;
	snprintf(path, sizeof path, "%s/%s", a->epoch->path, name);
	a->l->disk->unlink(a->l->disk, path);
}

static int
by_generation(const void *x, const void *y)
{
	const struct segment *const *a = x, *const *b = y;
	uint64_t g = (*a)->stamp.generation, h = (*b)->stamp.generation;

	return g < h ? -1 : g > h;
}

/* Both copies of the head, as far as the file goes. -1: there is no valid one. */
static int
read_heads(struct adoption *a, struct segment *s, uint64_t there)
{
	struct disk *d = a->l->disk;
	char block[LOG_BLOCK], path[LOG_PATH_MAX];
	struct segment_head h[2];
	bool valid[2];

	segment_path(s, "seg", path);
	valid[0] = disk_read_all(d, s->fd, block, sizeof block, 0) == LOG_BLOCK && segment_head_get(block, 0, &h[0]) == 0;
	/* The file is as long as its head says, or it was cut. */
	valid[1] = there >= LOG_BLOCK && there % LOG_BLOCK == 0 &&
	    disk_read_all(d, s->fd, block, sizeof block, there - LOG_BLOCK) == LOG_BLOCK &&
	    segment_head_get(block, 1, &h[1]) == 0 && h[1].size == there;
	if (!valid[0] && !valid[1])
		return -1;
	if (!valid[0])
		h[0] = h[1];
	else if (valid[1] && h[1].stamp.generation > h[0].stamp.generation)
		h[0] = h[1];
	if (there < h[0].size)
		raise_alarm(a, path, "cut: %" PRIu64 " bytes instead of %" PRIu64, there, h[0].size);
	else if (valid[0] != valid[1])
		raise_alarm(a, path, "one copy of the segment's head is damaged");
	s->stamp = h[0].stamp;
	s->size = h[0].size;
	return 0;
}

static void
find_stamp(struct adoption *a, struct segment **s)
{
	struct disk *d = a->l->disk;
	uint64_t there = 0;

	if (segment_open(*s, d) < 0 || d->size(d, (*s)->fd, &there) < 0) {
		leave(a, s, "cannot be read");
		return;
	}
	errno = 0;
	if (read_heads(a, *s, there) < 0) {
		if (errno != 0)
			leave(a, s, "cannot be read");
		else
			move_aside(a, s, "no valid head");
		return;
	}
	(*s)->indexed = there >= (*s)->size; /* may be: see look_at() */
	segment_close(*s, d);
}

/* Judges what SCAN found missing. -1: some damage could not be copied aside. */
static int
judge_holes(struct adoption *a, const struct segment *s, const struct scan *scan, const char *p, uint64_t n)
{
	char path[LOG_PATH_MAX];
	unsigned i;
	int rc = 0;

	segment_path(s, "seg", path);
	for (i = 0; i < scan->holes; i++) {
		const struct hole *h = &scan->hole[i];

		if (h->first > a->synced)
			continue; /* never known to be synced: torn */
		raise_alarm(a, path, "damaged from %" PRIu64 " to %" PRIu64 ": batch %" PRIu64 " to %" PRIu64, h->from, h->to,
		    h->first, h->last);
		if (h->from < n && copy_aside(a, s, p, h->from, h->to < n ? h->to : n) < 0) {
			raise_alarm(a, path, "the damaged bytes could not be copied: error %d", errno);
			rc = -1;
		}
	}
	return rc;
}

static void
note_later(struct adoption *a, const struct segment *s, uint64_t lowest, uint64_t synced)
{
	a->used = true;
	if (lowest < a->limit)
		a->limit = lowest;
	if (synced > a->synced)
		a->synced = synced;
	a->previous = s->index.previous;
	a->first = s->index.first;
}

/* Numbers up to the next segment's first must have been here if that one says so. */
static void
check_end(struct adoption *a, const struct segment *s, struct scan *scan)
{
	uint64_t next = s->index.last + 1;

	if (a->previous != s->stamp.generation || a->first <= next)
		return;
	scan->hole = xrealloc(scan->hole, (scan->holes + 1) * sizeof *scan->hole);
	scan->hole[scan->holes++] = (struct hole){ .from = s->index.end, .to = s->size - LOG_BLOCK, .first = next,
		.last = a->first - 1 };
}

/* What was believed without an index is made durable, and written down so that the next life believes the same. */
static void
settle(struct adoption *a, struct segment *s)
{
	struct disk *d = a->l->disk;
	char tmp[LOG_PATH_MAX], path[LOG_PATH_MAX];

	segment_path(s, "tmp", tmp);
	segment_path(s, "idx", path);
	if (log_index_save(&s->index, &s->stamp, d, tmp, path) < 0)
		return;
	buf_fini(&s->index.file);
	s->indexed = true;
}

/* No batch in it is valid: stock, or damaged beyond use. */
static void
drop_empty(struct adoption *a, struct segment **s, unsigned unreadable)
{
	char path[LOG_PATH_MAX];

	if (unreadable > 0) {
		errno = EIO;
		leave(a, s, "nothing in it can be read");
	} else if (a->used)
		move_aside(a, s, "was in use, and no batch in it is valid");
	else {
		segment_path(*s, "seg", path);
		a->l->disk->unlink(a->l->disk, path);
		segment_free(s, a->l->disk);
	}
}

static void
judge_segment(struct adoption *a, struct segment **at, const char *p, uint64_t n, unsigned unreadable)
{
	struct segment *s = *at;
	struct scan scan;

	s->limit = a->limit;
	scan_bytes(&scan, p, n, s->size, &s->stamp, s->limit);
	if (scan.first_below == UINT64_MAX) {
		drop_empty(a, at, unreadable);
		scan_fini(&scan);
		return;
	}
	s->index = scan.index;
	memset(&scan.index, 0, sizeof scan.index);
	s->end = s->index.end;
	check_end(a, s, &scan);
	note_later(a, s, scan.first_below, scan.synced);
	if (judge_holes(a, s, &scan, p, n) == 0 && unreadable == 0)
		settle(a, s);
	scan_fini(&scan);
}

static void
scan_segment(struct adoption *a, struct segment **at)
{
	struct segment *s = *at;
	struct disk *d = a->l->disk;
	char path[LOG_PATH_MAX], *p;
	unsigned unreadable;
	int64_t n;

	segment_path(s, "seg", path);
	if (segment_open(s, d) < 0 || (n = scan_read(d, s->fd, s->size, &p, &unreadable)) < 0) {
		leave(a, at, "cannot be read");
		return;
	}
	if (unreadable > 0)
		raise_alarm(a, path, "%u blocks cannot be read", unreadable);
	/* After a mere kill what we read may be in memory only. */
	if (d->fdatasync(d, s->fd) < 0)
		raise_alarm(a, path, "cannot be synced: error %d", errno);
	judge_segment(a, at, p, (uint64_t)n, unreadable);
	free(p);
	if (*at != NULL)
		segment_close(*at, d);
}

/* Fills in the segment's index, from its file or by scanning. */
static void
look_at(struct adoption *a, struct segment **at)
{
	struct segment *s = *at;
	char path[LOG_PATH_MAX];

	segment_path(s, "idx", path);
	if (s->indexed && log_index_load(&s->index, &s->stamp, s->size, a->l->disk, path) == 0) {
		buf_fini(&s->index.file);
		if (s->index.doubtful) {
			/* It says what does not count; what of the rest is there, only the segment can say. */
			if (s->index.last + 1 < a->limit)
				a->limit = s->index.last + 1;
			log_index_fini(&s->index);
			s->indexed = false;
			scan_segment(a, at);
			return;
		}
		s->end = s->index.end;
		note_later(a, s, s->index.first, s->index.last);
		return;
	}
	s->indexed = false;
	scan_segment(a, at);
}

/* Gives the segment a number and its records to the caller; what holds none is removed. */
static void
hand_over(struct adoption *a, struct segment *s)
{
	struct file_log *l = a->l;
	struct log_index index;
	char path[LOG_PATH_MAX];
	struct err err;

	if (s->index.count == 0) {
		segment_path(s, "seg", path);
		l->disk->unlink(l->disk, path);
		segment_free(&s, l->disk);
		return;
	}
	if (use_index(l, s, &index, &err) < 0) {
		errno = err.code;
		leave(a, &s, "cannot be read");
		return;
	}
	pthread_mutex_lock(&l->lock);
	use_add(l, s);
	pthread_mutex_unlock(&l->lock);
	log_index_walk(&index, s->number, a->fn, a->arg);
	log_index_fini(&index);
}

static void
find_segments(struct adoption *a)
{
	unsigned i, n;

	for (i = n = 0; i < a->count; i++) {
		find_stamp(a, &a->segment[i]);
		if (a->segment[i] != NULL)
			a->segment[n++] = a->segment[i];
	}
	a->count = n;
	if (n > 0)
		qsort(a->segment, n, sizeof *a->segment, by_generation);
}

static void
adopt_epoch(struct adoption *a)
{
	struct disk *d = a->l->disk;
	unsigned i;

	if (a->epoch->lock < 0 || d->list(d, a->epoch->path, list_file, a) < 0) {
		raise_alarm(a, a->epoch->path, "cannot be adopted: error %d", errno);
		return;
	}
	find_segments(a);
	for (i = a->count; i-- > 0;)
		look_at(a, &a->segment[i]);
	/* What the indexes leave out stays out, whatever is freed from now on. */
	if (d->sync_folder(d, a->epoch->path) < 0)
		raise_alarm(a, a->epoch->path, "cannot be synced: error %d", errno);
	d->list(d, a->epoch->path, sweep_file, a);
	for (i = 0; i < a->count; i++)
		if (a->segment[i] != NULL)
			hand_over(a, a->segment[i]);
}

int
filelog_adopt(struct spool_log *log, log_scan_fn *fn, log_alarm_fn *alarm, void *arg, struct err *err)
{
	struct file_log *l = file_log(log);
	struct list claimed;
	int count = 0;

	list_init(&claimed);
	if (epoch_claim(l->disk, l->path, &l->epochs, &claimed, err) < 0) {
		list_each_safe(link, &claimed) {
			struct epoch *e = list_entry(link, struct epoch, link);

			epoch_free(l->disk, &e);
		}
		return -1;
	}
	list_each_safe(link, &claimed) {
		struct adoption a = { .l = l, .fn = fn, .alarm = alarm, .arg = arg, .limit = UINT64_MAX };

		a.epoch = list_entry(link, struct epoch, link);
		adopt_epoch(&a);
		free(a.segment);
		list_remove(&a.epoch->link);
		list_append(&l->epochs, &a.epoch->link);
		if (a.epoch->segments == 0)
			epoch_remove(l->disk, l->path, &a.epoch);
		count++;
	}
	return count;
}
