/* SPDX-License-Identifier: MIT */
/* Power loss: random work on a recorded disk, then thousands of disks as a crash could have left them, each adopted
 * and compared with what was promised. Lives follow each other: by power loss, by kill, by a clean stop.
 *
 *	TMAIL_CRASH_STATES=100000 tests/unit/test_crash     more states than the default
 *	TMAIL_CRASH_SEED=7 tests/unit/test_crash            other ones; a failure prints the seed to repeat it
 */
#include "simdisk.h"
#include "spool/batch.h"
#include "spool/log.h"
#include "util/check.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { SEGMENT = 64 << 10, STATES = 4000, STATES_PER_LIFE = 40, STATES_AFTER_FAULTS = 10, LIVES = 4, STEPS = 45, UNITS = 4, RECORDS = 3 };
static const uint64_t NEVER = UINT64_MAX;

/* One record and what was promised about it, as moments of the disk's recording. */
struct rec {
	uint32_t id;          /* its place in world.rec */
	uint32_t call, unit;  /* which append; unit numbers never repeat */
	uint32_t life;
	uint8_t type;
	uint32_t head_len, body_len;
	char *body;
	uint64_t started;     /* the append was called; NEVER: it must not be seen any more */
	uint64_t failed;      /* the append answered -1 */
	uint64_t durable;     /* a sync covering it answered 0 */
	uint64_t free_started, freed;
	bool failed_once;
	bool sticky;          /* when its append failed, the disk went on failing */
	uint32_t half_freed;  /* the power went while it was being freed: the life that adopts it removes it */
	bool doubtful;        /* unsynced in a segment that broke: it may be listed and unreadable */
	log_pos pos;          /* in the life that runs */
	bool seen, read;
};

struct world {
	uint64_t seed, rnd;
	uint32_t life, call, unit;
	struct rec *rec;
	uint32_t count, cap;
	uint32_t epoch[LIVES + 1];
	uint64_t opened[LIVES + 1]; /* when that epoch had begun */
	bool uniform;         /* all records are of one size: units of two lives of a segment lie at the same places */
	bool faults;          /* of this life */
	bool sticky;
	/* While adopting. */
	struct spool_log *log;
	uint32_t last;        /* id seen last, plus 1 */
	unsigned alarms;
	char alarm[300];
	char where[200];
};

static unsigned total_states, total_rots, total_alarms, total_faults;

static _Noreturn void broken_promise(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static _Noreturn void
broken_promise(struct world *w, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	fail_msg("%s: %s (last alarm: %s; TMAIL_CRASH_SEED=%llu)", w->where, text, w->alarm, (unsigned long long)w->seed);
	abort();
}

static uint64_t
below(struct world *w, uint64_t limit)
{
	return sim_below(&w->rnd, limit);
}

/* ---- records ---- */

static void
make_head(const struct rec *r, char *out)
{
	uint32_t i;

	memcpy(out, &r->id, 4);
	for (i = 4; i < r->head_len; i++)
		out[i] = (char)(r->id * 31 + i);
}

static struct rec *
new_rec(struct world *w)
{
	struct rec *r;

	if (w->count == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 256;
		w->rec = xrealloc(w->rec, w->cap * sizeof *w->rec);
	}
	r = &w->rec[w->count];
	memset(r, 0, sizeof *r);
	r->id = w->count++;
	r->call = w->call;
	r->unit = w->unit;
	r->life = w->life;
	r->type = (uint8_t)(1 + below(w, 5));
	r->head_len = w->uniform ? 60 : 4 + (uint32_t)below(w, below(w, 8) == 0 ? 1500 : 200);
	r->started = r->failed = r->durable = r->free_started = r->freed = NEVER;
	return r;
}

/* Content that is a copy of the segment being written, at the same alignment: the worst a peer could send. */
static void
copy_of_segment(struct world *w, struct simdisk *s, struct rec *r)
{
	char path[100];
	const unsigned char *p;
	uint64_t size, from;
	uint32_t pad;

	snprintf(path, sizeof path, "/spool/%08x/%08x.seg", spool_log_epoch(w->log), 1 + (uint32_t)below(w, 4));
	p = simdisk_bytes(s, path, &size);
	if (p == NULL)
		return;
	pad = LOG_BLOCK - (BATCH_HEAD + UNIT_HEAD + RECORD_HEAD + r->head_len) % LOG_BLOCK;
	from = (1 + below(w, 6)) * LOG_BLOCK;
	r->body_len = pad + 3 * LOG_BLOCK;
	r->body = xcalloc(1, r->body_len);
	memcpy(r->body + pad, p + from, 3 * LOG_BLOCK);
}

static void
make_body(struct world *w, struct simdisk *s, struct rec *r)
{
	uint32_t i;

	if (!w->uniform && below(w, 12) == 0)
		copy_of_segment(w, s, r);
	if (r->body != NULL)
		return;
	r->body_len = w->uniform ? 300 : (uint32_t)below(w, below(w, 10) == 0 ? 12000 : below(w, 3) == 0 ? 1 : 2500);
	r->body = xmalloc(r->body_len + 1);
	for (i = 0; i < r->body_len; i++)
		r->body[i] = (char)(r->id * 131 + i * (1 + r->id % 7));
}

/* 0, or -1 with EBADMSG or a read error; wrong bytes end the test. */
static int
read_back(struct world *w, const struct rec *r, log_pos pos)
{
	struct log_view v;
	struct err err;
	char head[2000];

	if (spool_log_read(w->log, pos, true, true, &v, &err) < 0)
		return -1;
	make_head(r, head);
	if (v.type != r->type || v.head_len != r->head_len || v.body_len != r->body_len ||
	    memcmp(v.head, head, r->head_len) != 0 || memcmp(v.body, r->body, r->body_len) != 0)
		broken_promise(w, "record %u reads as something else", r->id);
	free(v.head);
	free(v.body);
	return 0;
}

/* ---- adopting ---- */

static void
on_record(void *arg, log_pos pos, uint32_t unit, uint8_t type, const void *head, uint32_t head_len, uint64_t body_len)
{
	struct world *w = arg;
	char expected[2000];
	struct rec *r;
	uint32_t id;

	(void)unit;
	if (head_len < 4)
		broken_promise(w, "a record that was never appended");
	memcpy(&id, head, 4);
	if (id >= w->count)
		broken_promise(w, "record %u was never appended", id);
	r = &w->rec[id];
	make_head(r, expected);
	if (type != r->type || head_len != r->head_len || body_len != r->body_len ||
	    memcmp(head, expected, head_len) != 0)
		broken_promise(w, "record %u is not what was appended", id);
	if (r->seen)
		broken_promise(w, "record %u is found twice", id);
	if (id < w->last)
		broken_promise(w, "record %u is found after %u", id, w->last - 1);
	w->last = id + 1;
	r->seen = true;
	r->pos = pos;
}

static void
on_alarm(void *arg, const char *file, const char *what)
{
	struct world *w = arg;

	w->alarms++;
	snprintf(w->alarm, sizeof w->alarm, "%s: %s", file, what);
}

static int
open_log(struct world *w, struct simdisk *s)
{
	const struct log_config config = { .path = "/spool", .segment_size = SEGMENT, .foreground = true,
		.disk = simdisk_disk(s) };
	struct err err;

	return spool_log_open(&w->log, &config, &err);
}

/* Sets seen, pos and read of every record. */
static void
adopt(struct world *w)
{
	struct err err;
	uint32_t i;

	w->last = w->alarms = 0;
	w->alarm[0] = '\0';
	for (i = 0; i < w->count; i++)
		w->rec[i].seen = w->rec[i].read = false;
	if (spool_log_adopt(w->log, on_record, on_alarm, w, &err) < 0)
		broken_promise(w, "adopting failed: %s", err.text);
	for (i = 0; i < w->count; i++)
		if (w->rec[i].seen)
			w->rec[i].read = read_back(w, &w->rec[i], w->rec[i].pos) == 0;
}

/* ---- promises ---- */

/* R's append failed before CUT. May it be found? Not when the disk took the index that leaves it out; else not when
 * the append that got its number is durable and still there. */
static bool
overruled(const struct world *w, const struct rec *r, uint64_t cut)
{
	uint32_t i;

	if (!r->sticky)
		return true;
	for (i = r->id + 1; i < w->count; i++)
		if (w->rec[i].life == r->life && w->rec[i].call > r->call && w->rec[i].failed == NEVER)
			return w->rec[i].durable <= cut && w->rec[i].free_started > cut;
	return false;
}

static void
must_be_whole(struct world *w)
{
	uint32_t i;

	for (i = 1; i < w->count; i++)
		if (w->rec[i].unit == w->rec[i - 1].unit && w->rec[i].seen != w->rec[i - 1].seen)
			broken_promise(w, "half of the unit of record %u", i);
}

static bool
must_be_found(const struct rec *r, uint64_t cut)
{
	return r->durable <= cut && r->free_started > cut;
}

/* What adopt() found, against what was promised at CUT. */
static void
check_promises(struct world *w, uint64_t cut)
{
	uint32_t i;

	for (i = 0; i < w->count; i++) {
		const struct rec *r = &w->rec[i];

		if (r->seen && (r->started > cut || r->started == NEVER))
			broken_promise(w, "record %u is found, but was not appended or was gone before", i);
		if (r->seen && r->freed <= cut)
			broken_promise(w, "record %u is found, but its segment was freed", i);
		if (r->seen && r->failed <= cut && overruled(w, r, cut))
			broken_promise(w, "record %u is found, but its append had failed", i);
		if (must_be_found(r, cut) && !r->seen)
			broken_promise(w, "record %u is lost", i);
		if (r->seen && !r->read && !(r->doubtful && r->durable == NEVER))
			broken_promise(w, "record %u cannot be read", i);
	}
	must_be_whole(w);
	if (w->alarms > 0 && !w->faults)
		broken_promise(w, "an alarm without damage");
}

/* The same with one block damaged: what is lost is of one batch, and not silently if a later one proves it. */
static void
check_promises_rotten(struct world *w, uint64_t cut)
{
	const struct rec *lost = NULL;
	uint32_t i;

	for (i = 0; i < w->count; i++) {
		const struct rec *r = &w->rec[i];

		/* Damage in the index that leaves a failed append out, on top of the failure, is one fault too many. So is
		 * damage in the new head where only one of the two was changed, until the segment has been removed. */
		if (r->seen && r->half_freed == w->life && cut < w->opened[w->life])
			continue;
		if (r->seen && !r->failed_once && (r->started > cut || r->started == NEVER || r->freed <= cut))
			broken_promise(w, "record %u is found, but was gone or never there", i);
		if (!must_be_found(r, cut) || (r->seen && r->read))
			continue;
		if (lost != NULL && r->call != lost->call)
			broken_promise(w, "records %u and %u are lost by one damaged block", lost->id, i);
		lost = r;
	}
	must_be_whole(w);
	if (lost == NULL || lost->seen || w->alarms > 0)
		return;
	/* A later batch proves it, if no segment between them was freed. */
	for (i = lost->id + 1; i < w->count && w->rec[i].started != NEVER && w->rec[i].free_started > cut; i++)
		if (w->rec[i].seen && w->rec[i].life == lost->life && w->rec[i].started >= lost->durable &&
		    w->rec[i].started > 0)
			broken_promise(w, "record %u was lost silently", lost->id);
}

/* ---- one life ---- */

static void
pick_units(struct world *w, struct simdisk *s, struct log_unit *unit, struct spool_record *record, struct iovec *iov,
    char (*head)[2000], unsigned *units)
{
	uint64_t room = spool_log_append_max(w->log);
	unsigned i, k, n = 0, first = w->count;

	*units = w->uniform ? UNITS : 1 + (unsigned)below(w, UNITS);
	for (i = 0; i < *units; i++) {
		unit[i].record = &record[n];
		unit[i].count = w->uniform ? RECORDS : 1 + (unsigned)below(w, RECORDS);
		w->unit++;
		for (k = 0; k < unit[i].count; k++, n++) {
			struct rec *r = new_rec(w);

			make_body(w, s, r);
			make_head(r, head[n]);
			iov[n] = (struct iovec){ r->body, r->body_len };
			record[n] = (struct spool_record){ .type = r->type, .head = head[n], .head_len = r->head_len,
				.body = &iov[n], .body_count = 1, .body_len = r->body_len };
		}
		if (spool_log_unit_size(&unit[i]) > room) {
			for (k = first + n - unit[i].count; k < w->count; k++)
				free(w->rec[k].body);
			w->count = first + n - unit[i].count;
			*units = i;
			break;
		}
		room -= spool_log_unit_size(&unit[i]);
	}
}

static void
segment_broke(struct world *w, uint32_t segment)
{
	uint32_t i;

	for (i = 0; i < w->count; i++)
		if (LOG_POS_SEGMENT(w->rec[i].pos) == segment && w->rec[i].durable == NEVER && segment != 0)
			w->rec[i].doubtful = true;
}

static void
synced(struct world *w, uint64_t now)
{
	uint32_t i;

	for (i = 0; i < w->count; i++)
		if (w->rec[i].life == w->life && w->rec[i].durable == NEVER && w->rec[i].failed == NEVER &&
		    w->rec[i].started != NEVER && !w->rec[i].doubtful)
			w->rec[i].durable = now;
}

static void
step_append(struct world *w, struct simdisk *s)
{
	struct log_unit unit[UNITS];
	struct spool_record record[UNITS * RECORDS];
	struct iovec iov[UNITS * RECORDS];
	char head[UNITS * RECORDS][2000];
	bool sync = below(w, 3) > 0;
	uint32_t first = w->count, broken, i;
	uint64_t start = simdisk_now(s);
	enum log_room room = below(w, 4) == 0 ? LOG_ROOM_RESERVE : LOG_ROOM_MESSAGES;
	unsigned units;
	struct err err;
	int rc;

	w->call++;
	pick_units(w, s, unit, record, iov, head, &units);
	if (units == 0)
		return;
	rc = spool_log_append(w->log, unit, units, room, sync, &broken, &err);
	for (i = first; i < w->count; i++) {
		w->rec[i].started = start;
		w->rec[i].sticky = w->sticky;
		if (rc < 0)
			w->rec[i].failed = simdisk_now(s), w->rec[i].failed_once = true;
		else
			w->rec[i].pos = record[i - first].pos;
	}
	if (rc < 0 && !w->faults)
		broken_promise(w, "append failed: %s", err.text);
	if (rc < 0)
		segment_broke(w, broken);
	else if (sync)
		synced(w, simdisk_now(s));
}

static void
step_sync(struct world *w, struct simdisk *s)
{
	uint32_t broken;
	struct err err;

	if (spool_log_sync(w->log, &broken, &err) == 0)
		synced(w, simdisk_now(s));
	else {
		if (!w->faults)
			broken_promise(w, "sync failed: %s", err.text);
		segment_broke(w, broken);
	}
}

static bool
in_use(const struct rec *r)
{
	return r->pos != 0 && r->failed == NEVER && r->freed == NEVER && r->started != NEVER;
}

static void
step_free(struct world *w, struct simdisk *s)
{
	uint32_t segment = 0, i, tries;
	uint64_t start = simdisk_now(s);
	struct err err;
	int rc;

	for (tries = 0; tries < 20 && segment == 0 && w->count > 0; tries++) {
		const struct rec *r = &w->rec[below(w, w->count)];

		if (in_use(r) && (LOG_POS_SEGMENT(r->pos) != spool_log_current(w->log) || tries > 15))
			segment = LOG_POS_SEGMENT(r->pos);
	}
	if (segment == 0)
		return;
	rc = spool_log_free(w->log, segment, &err);
	if (rc < 0 && !w->faults)
		broken_promise(w, "free failed: %s", err.text);
	for (i = 0; i < w->count; i++)
		if (in_use(&w->rec[i]) && LOG_POS_SEGMENT(w->rec[i].pos) == segment) {
			if (w->rec[i].free_started > start)
				w->rec[i].free_started = start;
			if (rc == 0) {
				w->rec[i].freed = simdisk_now(s);
				w->rec[i].pos = 0;
			}
		}
}

static void
step_read(struct world *w)
{
	const struct rec *r;

	if (w->count == 0)
		return;
	r = &w->rec[below(w, w->count)];
	if (in_use(r) && r->free_started == NEVER && read_back(w, r, r->pos) < 0 && !w->faults)
		broken_promise(w, "record %u cannot be read", r->id);
}

/* spool_log_scan() lists just what is in the segment. */
struct listing {
	struct world *w;
	uint32_t segment;
	uint32_t found;
};

static void
on_listed(void *arg, log_pos pos, uint32_t unit, uint8_t type, const void *head, uint32_t head_len, uint64_t body_len)
{
	struct listing *l = arg;
	uint32_t id;

	(void)unit, (void)type, (void)head_len, (void)body_len;
	memcpy(&id, head, 4);
	if (id >= l->w->count || l->w->rec[id].pos != pos || !in_use(&l->w->rec[id]))
		broken_promise(l->w, "scan lists record %u", id);
	l->found++;
}

static void
step_scan(struct world *w)
{
	struct listing l = { .w = w };
	uint32_t i, expected = 0;
	struct err err;

	if (w->count == 0 || w->faults)
		return;
	i = (uint32_t)below(w, w->count);
	if (!in_use(&w->rec[i]))
		return;
	l.segment = LOG_POS_SEGMENT(w->rec[i].pos);
	for (i = 0; i < w->count; i++)
		if (in_use(&w->rec[i]) && LOG_POS_SEGMENT(w->rec[i].pos) == l.segment)
			expected++;
	if (spool_log_scan(w->log, l.segment, on_listed, &l, &err) < 0 || l.found != expected)
		broken_promise(w, "scan of segment %u lists %u of %u records", l.segment, l.found, expected);
}

static void
live(struct world *w, struct simdisk *s)
{
	static const int errors[] = { EIO, ENOSPC };
	unsigned i, fault;

	w->sticky = false;
	fault = w->faults ? (unsigned)below(w, STEPS) : STEPS;

	for (i = 0; i < STEPS; i++) {
		if (i == fault) {
			w->sticky = below(w, 2) == 0;
			simdisk_fail(s, 1 + below(w, 12), errors[below(w, 2)], w->sticky);
			total_faults++;
		}
		if (i == fault + 8)
			simdisk_heal(s);
		switch (below(w, 10)) {
		case 0:
			step_sync(w, s);
			break;
		case 1:
		case 2:
			step_free(w, s);
			break;
		case 3:
			step_read(w);
			break;
		case 4:
			step_scan(w);
			break;
		default:
			step_append(w, s);
		}
	}
	simdisk_heal(s);
}

/* ---- states ---- */

/* The disk D, as a crash at CUT left it, is opened and adopted. */
static void
recover(struct world *w, struct simdisk *d, uint64_t cut, uint64_t seed)
{
	static const char *const rots[] = { ".seg", ".seg", ".seg", ".seg", ".idx" };
	struct spool_log *outer = w->log;
	const char *rot = NULL;
	uint32_t i;

	simdisk_record(d, false);
	if (!w->faults && seed % 3 == 0) /* an index is advisory, except after a failure */
		simdisk_remove(d, ".idx");
	if (seed % 5 == 0)
		rot = simdisk_rot(d, rots[seed / 5 % 5], seed);
	snprintf(w->where, sizeof w->where, "life %u, cut at %llu, state %llx%s%s", w->life, (unsigned long long)cut,
	    (unsigned long long)seed, rot != NULL ? ", rot in " : "", rot != NULL ? rot : "");
	if (open_log(w, d) < 0)
		broken_promise(w, "cannot open");
	for (i = 1; i <= w->life; i++)
		if (w->opened[i] <= cut && spool_log_epoch(w->log) <= w->epoch[i])
			broken_promise(w, "epoch %u comes again", spool_log_epoch(w->log));
	adopt(w);
	total_states++;
	total_rots += rot != NULL;
	total_alarms += w->alarms > 0;
	if (rot != NULL)
		check_promises_rotten(w, cut);
	else
		check_promises(w, cut);
	simdisk_stop(d);
	spool_log_close(&w->log);
	if (seed % 7 == 0 && rot == NULL) { /* whatever this life decided, the next one sees the same */
		bool *before = xcalloc(w->count + 1, sizeof *before);

		for (i = 0; i < w->count; i++)
			before[i] = w->rec[i].seen;
		simdisk_kill(d);
		if (open_log(w, d) < 0)
			broken_promise(w, "cannot open again");
		adopt(w);
		for (i = 0; i < w->count; i++)
			if (before[i] != w->rec[i].seen)
				broken_promise(w, "record %u is seen by one life and not by the other", i);
		free(before);
		simdisk_stop(d);
		spool_log_close(&w->log);
	}
	w->log = outer;
}

static int
by_number(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return a < b ? -1 : a > b;
}

/* Crash states all along the recording of S. */
static void
crash_everywhere(struct world *w, struct simdisk *s, unsigned states)
{
	struct simreplay *r = simreplay_new(s);
	uint64_t cut[STATES_PER_LIFE], now = simdisk_now(s);
	struct simdisk *d;
	unsigned i;

	for (i = 0; i < states; i++)
		cut[i] = below(w, now + 1);
	qsort(cut, states, sizeof *cut, by_number);
	for (i = 0; i < states; i++) {
		uint64_t seed = sim_random(&w->rnd);

		simreplay_to(r, cut[i]);
		d = simreplay_crash(r, seed);
		recover(w, d, cut[i], seed);
		simdisk_free(&d);
	}
	simreplay_free(&r);
}

/* After the first adoption of a new life: what was found is the truth from now on. */
static void
settle(struct world *w, bool same_disk, uint64_t now) /* another disk: NOW is where the old one was cut */
{
	uint32_t i;

	for (i = 0; i < w->count; i++) {
		struct rec *r = &w->rec[i];

		if (!same_disk) {
			if (r->free_started <= now && r->freed > now && !r->seen)
				r->half_freed = w->life + 1;
			r->started = r->durable = r->seen ? 0 : NEVER;
			r->free_started = r->freed = r->failed = NEVER;
		} else if (!r->seen) {
			if (r->free_started > now)
				r->free_started = 0;
			if (r->freed > now)
				r->freed = now;
		} else if (r->failed != NEVER)
			r->doubtful = true; /* a sync of it may have failed: read from memory, it may not be on the disk */
		else if (r->durable > now && !r->doubtful)
			r->durable = now;
		if (r->seen)
			r->failed = NEVER;
		if (!same_disk) {
			r->doubtful = r->seen && !r->read;
			r->durable = r->read ? r->durable : NEVER;
		}
		if (!r->seen)
			r->pos = 0;
	}
}

/* Ends the life on *S: by kill (the disk stays) or by power loss (another disk). Returns whether the disk stayed. */
static bool
die(struct world *w, struct simdisk **s)
{
	uint64_t how = below(w, 5), cut;
	struct simreplay *r;
	struct simdisk *d;
	uint32_t i;

	if (how > 0)
		simdisk_stop(*s);
	spool_log_close(&w->log);
	simdisk_kill(*s);
	if (how <= 2)
		return true;
	r = simreplay_new(*s);
	cut = below(w, simdisk_now(*s) + 1);
	simreplay_to(r, cut);
	d = simreplay_crash(r, sim_random(&w->rnd));
	simreplay_free(&r);
	simdisk_free(s);
	*s = d;
	/* What was promised at the cut. */
	snprintf(w->where, sizeof w->where, "life %u, going on from a cut at %llu", w->life, (unsigned long long)cut);
	if (open_log(w, d) < 0)
		broken_promise(w, "cannot open");
	adopt(w);
	check_promises(w, cut);
	settle(w, false, cut);
	for (i = 1; i <= w->life; i++)
		w->opened[i] = w->opened[i] <= cut ? 0 : NEVER;
	return false;
}

static void
one_world(uint64_t seed, unsigned *states, bool faults)
{
	struct world w = { .seed = seed, .rnd = seed };
	struct simdisk *s = simdisk_new();
	bool stayed = true;
	uint32_t i;

	w.uniform = below(&w, 3) == 0;
	for (w.life = 1; w.life <= LIVES && *states > 0; w.life++) {
		unsigned most = faults ? STATES_AFTER_FAULTS : STATES_PER_LIFE, n = *states < most ? *states : most;

		snprintf(w.where, sizeof w.where, "life %u", w.life);
		if (stayed) {
			if (open_log(&w, s) < 0)
				broken_promise(&w, "cannot open");
			adopt(&w);
			check_promises(&w, simdisk_now(s));
			settle(&w, true, simdisk_now(s));
		}
		w.epoch[w.life] = spool_log_epoch(w.log);
		w.opened[w.life] = simdisk_now(s);
		w.faults = w.faults || (faults && below(&w, 2) == 0);
		live(&w, s);
		crash_everywhere(&w, s, n);
		*states -= n;
		snprintf(w.where, sizeof w.where, "life %u, its end", w.life);
		stayed = die(&w, &s);
	}
	if (!stayed) {
		simdisk_stop(s);
		spool_log_close(&w.log);
	}
	for (i = 0; i < w.count; i++)
		free(w.rec[i].body);
	free(w.rec);
	simdisk_free(&s);
}

static unsigned
setting(const char *name, unsigned otherwise)
{
	const char *v = getenv(name);

	return v != NULL ? (unsigned)strtoul(v, NULL, 10) : otherwise;
}

static void
run_worlds(bool faults, unsigned states)
{
	uint64_t seed = setting("TMAIL_CRASH_SEED", 1);

	while (states > 0)
		one_world(seed++, &states, faults);
}

static void
nothing_acknowledged_is_lost_and_nothing_invented_by_a_power_loss(void **state)
{
	(void)state;
	run_worlds(false, setting("TMAIL_CRASH_STATES", STATES) / 2);
	print_message("%u states, %u with damage, alarms in %u\n", total_states, total_rots, total_alarms);
	assert_true(total_rots > 0 && total_alarms > 0);
}

static void
the_same_holds_when_system_calls_fail_before(void **state)
{
	(void)state;
	run_worlds(true, setting("TMAIL_CRASH_STATES", STATES) / 2);
	print_message("%u states, %u faults\n", total_states, total_faults);
	assert_true(total_faults > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_acknowledged_is_lost_and_nothing_invented_by_a_power_loss),
		cmocka_unit_test(the_same_holds_when_system_calls_fail_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
