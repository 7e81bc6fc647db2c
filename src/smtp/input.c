/* SPDX-License-Identifier: MIT */
#include "smtp/input.h"

#include "util/check.h"

#include <stdlib.h>
#include <string.h>

void
input_fini(struct input *in)
{
	if (in->cap == 0)
		free(in->data);
	memset(in, 0, sizeof *in);
}

bool
input_fits(const struct input *in, size_t cap)
{
	return input_waiting(in) < cap;
}

void
input_borrow(struct input *in, char *buffer, size_t cap)
{
	size_t n = input_waiting(in);

	check(in->cap == 0 && input_fits(in, cap));
	if (n > 0)
		memcpy(buffer, in->data + in->pos, n);
	free(in->data);
	in->data = buffer;
	in->pos = 0;
	in->len = n;
	in->cap = cap;
}

void
input_park(struct input *in)
{
	size_t n = input_waiting(in);

	char *kept;

	if (in->cap == 0 && in->pos == 0)
		return;
	kept = n > 0 ? xmemdup(in->data + in->pos, n) : NULL;
	if (in->cap == 0)
		free(in->data);
	in->data = kept;
	in->pos = 0;
	in->len = n;
	in->cap = 0;
}

char *
input_room(struct input *in, size_t *room)
{
	check(in->cap > 0);
	if (in->pos > 0) {
		memmove(in->data, in->data + in->pos, in->len - in->pos);
		in->len -= in->pos;
		in->pos = 0;
	}
	*room = in->cap - in->len;
	return in->data + in->len;
}

void
input_filled(struct input *in, size_t n)
{
	check(n <= in->cap - in->len);
	in->len += n;
}

void
input_unread(struct input *in, const char *p, size_t n)
{
	check(input_waiting(in) == 0 && in->cap == 0);
	free(in->data);
	in->data = n > 0 ? xmemdup(p, n) : NULL;
	in->pos = 0;
	in->len = n;
}

/* Throws waiting bytes away up to the CRLF that ends the overlong line; a CR at their end may be half of it. */
static enum input_line
skip(struct input *in)
{
	const char *p = in->data + in->pos, *end = in->data + in->len, *lf;

	while ((lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		if (lf > in->data + in->pos && lf[-1] == '\r') {
			in->pos = (size_t)(lf + 1 - in->data);
			in->skipped = 0;
			return INPUT_TOO_LONG;
		}
		p = lf + 1;
	}
	p = in->data + in->pos;
	if (p < end && end[-1] == '\r')
		end--;
	in->skipped += (size_t)(end - p);
	in->pos = (size_t)(end - in->data);
	return in->skipped > INPUT_SKIP_MAX ? INPUT_FLOOD : INPUT_MORE;
}

enum input_line
input_line(struct input *in, const char **line, size_t *n)
{
	size_t waiting = input_waiting(in), most = in->line_max != 0 ? in->line_max : INPUT_LINE_MAX;
	const char *start, *lf;

	if (waiting == 0)
		return INPUT_MORE;
	if (in->skipped > 0)
		return skip(in);
	start = in->data + in->pos;
	lf = memchr(start, '\n', waiting < most ? waiting : most);
	if (lf == NULL && waiting < most)
		return INPUT_MORE;
	if (lf == NULL)
		return skip(in);
	in->pos += (size_t)(lf + 1 - start);
	if (lf == start || lf[-1] != '\r')
		return INPUT_BARE_LF;
	*line = start;
	*n = (size_t)(lf - 1 - start);
	return INPUT_LINE;
}
