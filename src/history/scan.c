/* SPDX-License-Identifier: MIT */
#include "history/scan.h"

#include "util/check.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	READ_LEAST = 4096, /* many small blocks, or the head of a large one */
	BUF_SIZE = HISTORY_BLOCK_HEAD + HISTORY_FILTER_MAX + HISTORY_BODY_MAX + READ_LEAST,
	LOOK_EVERY = 64,   /* blocks between looks at the clock */
};

int
history_scan_begin(struct history_scan *s, const char *path, struct err *err)
{
	memset(s, 0, sizeof *s);
	s->fd = -1;
	s->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return err_sys(err, "cannot open %s", path);
	if (history_files_list(&s->files, path, err) < 0) {
		history_scan_end(s);
		return -1;
	}
	s->buf = xmalloc(BUF_SIZE);
	return 0;
}

static void
leave(struct history_scan *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->pos = s->end = s->buf_pos = 0;
	s->buf_len = 0;
}

void
history_scan_end(struct history_scan *s)
{
	leave(s);
	if (s->dir >= 0)
		close(s->dir);
	history_files_fini(&s->files);
	free(s->buf);
	memset(s, 0, sizeof *s);
	s->dir = s->fd = -1;
}

void
history_scan_enter_fd(struct history_scan *s, int fd)
{
	struct stat st;

	if (s->buf == NULL)
		s->buf = xmalloc(BUF_SIZE);
	leave(s);
	s->fd = fd;
	if (fstat(fd, &st) == 0)
		s->end = (uint64_t)st.st_size;
}

void
history_scan_enter(struct history_scan *s, unsigned i)
{
	int fd = openat(s->dir, s->files.file[i].name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		leave(s);
	else
		history_scan_enter_fd(s, fd);
}

/* N bytes at S->pos, fewer only where the file ends; *GOT says how many. NULL: the disk does not give them. */
static const char *
bytes(struct history_scan *s, size_t n, size_t *got)
{
	size_t want = n < READ_LEAST ? READ_LEAST : n;
	ssize_t r;

	if (s->pos < s->buf_pos || s->pos + n > s->buf_pos + s->buf_len) {
		s->buf_pos = s->pos;
		s->buf_len = 0;
		do {
			r = pread(s->fd, s->buf + s->buf_len, want - s->buf_len, (off_t)(s->pos + s->buf_len));
			if (r > 0)
				s->buf_len += (size_t)r;
		} while ((r < 0 && errno == EINTR) || (r > 0 && s->buf_len < want));
		if (r < 0)
			return NULL;
	}
	*got = (size_t)(s->buf_pos + s->buf_len - s->pos);
	return s->buf + (s->pos - s->buf_pos);
}

/* Head and filter of the block at S->pos. False: there is none. */
static bool
read_head(struct history_scan *s, struct history_block *b, const char **filter)
{
	size_t got, want = HISTORY_BLOCK_HEAD;
	const char *p;
	int rc;

	for (;;) {
		p = bytes(s, want, &got);
		if (p == NULL)
			return false;
		rc = history_block_head(p, got, b);
		if (rc != 0 || got < want || want > HISTORY_BLOCK_HEAD)
			break;
		want = history_block_before(b);
	}
	*filter = p + HISTORY_BLOCK_HEAD;
	return rc == 1;
}

static void
read_body(struct history_scan *s, const struct history_block *b, history_seen *seen, void *arg)
{
	size_t before = history_block_before(b), got, at = 0;
	const char *p = bytes(s, before + b->body, &got);
	struct history_view e;

	s->blocks_read++;
	if (p == NULL || got < before + b->body || !history_block_body_ok(b, p + before)) {
		s->damaged++;
		return;
	}
	while (history_body_next(p + before, b->body, &at, &e))
		seen(&e, arg);
}

bool
history_scan_step(struct history_scan *s, uint64_t until, history_wanted *wanted, history_seen *seen, void *arg)
{
	struct history_block b;
	const char *filter;
	unsigned n = 0;

	while (s->fd >= 0 && s->pos < s->end) {
		if (++n % LOOK_EVERY == 0 && clock_ms() >= until)
			return true;
		if (!read_head(s, &b, &filter)) {
			/* Damage, or a tail that was torn: the next block begins at some multiple of eight. */
			if (s->pos % READ_LEAST == 0)
				s->damaged++;
			s->pos += HISTORY_BLOCK_ALIGN;
			continue;
		}
		if (wanted == NULL || wanted(&b, filter, arg))
			read_body(s, &b, seen, arg);
		else
			s->blocks_passed++;
		s->pos += history_block_size(&b);
	}
	leave(s);
	return false;
}
