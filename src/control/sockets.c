/* SPDX-License-Identifier: MIT */
#include "control/sockets.h"
#include "directory/settings.h"
#include "net/listener.h"
#include "util/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool
is_same(const struct addr *a, const struct addr *b)
{
	return a->len == b->len && a->dual == b->dual && memcmp(&a->u, &b->u, a->len) == 0;
}

struct socket_place *
sockets_find(const struct sockets *s, const struct addr *address)
{
	unsigned i;

	for (i = 0; i < s->count; i++)
		if (is_same(&s->place[i].address, address))
			return &s->place[i];
	return NULL;
}

static int
bind_patiently(const struct addr *a, unsigned tries, struct err *err)
{
	const struct timespec moment = { .tv_nsec = 100 * 1000 * 1000 };
	int fd;

	while ((fd = listener_bind(a, err)) < 0 && err->code == EADDRINUSE && tries-- > 1)
		nanosleep(&moment, NULL);
	return fd;
}

static int
add(struct sockets *next, const struct sockets *now, const struct addr *a, unsigned tries, struct err *err)
{
	const struct socket_place *kept = sockets_find(now, a);
	struct socket_place *p = &next->place[next->count];

	p->address = *a;
	p->fresh = kept == NULL;
	p->fd = kept != NULL ? kept->fd : bind_patiently(a, tries, err);
	if (p->fd < 0)
		return -1;
	next->count++;
	return 0;
}

int
sockets_bind(struct sockets *next, const struct sockets *now, const struct settings *s, unsigned tries, struct err *err)
{
	const struct listener_settings *l;
	unsigned i, k, n = 0;

	for (i = 0; i < s->listener_count; i++)
		n += s->listener[i].address_count;
	next->place = xcalloc(n, sizeof *next->place);
	next->count = 0;
	for (i = 0; i < s->listener_count; i++)
		for (l = &s->listener[i], k = 0; k < l->address_count; k++)
			if (add(next, now, &l->address[k], tries, err) < 0) {
				sockets_refuse(next);
				return err_context(err, "%s:%d", l->place.file, l->place.line);
			}
	return 0;
}

void
sockets_refuse(struct sockets *next)
{
	unsigned i;

	for (i = 0; i < next->count; i++)
		if (next->place[i].fresh)
			close(next->place[i].fd);
	free(next->place);
	memset(next, 0, sizeof *next);
}

void
sockets_accept(struct sockets *now, struct sockets *next)
{
	unsigned i;

	for (i = 0; i < now->count; i++)
		if (sockets_find(next, &now->place[i].address) == NULL)
			close(now->place[i].fd);
	free(now->place);
	*now = *next;
	memset(next, 0, sizeof *next);
}

static void
remark(const struct sockets *some, const struct sockets *other, const char *what, struct buf *out)
{
	char text[ADDR_TEXT];
	unsigned i;

	for (i = 0; i < some->count; i++)
		if (sockets_find(other, &some->place[i].address) == NULL)
			buf_printf(out, "%s %s\n", what, addr_text(&some->place[i].address, text));
}

void
sockets_compare(const struct sockets *now, const struct sockets *next, struct buf *out)
{
	remark(next, now, "listens on", out);
	remark(now, next, "listens no more on", out);
}

void
sockets_fini(struct sockets *s)
{
	unsigned i;

	for (i = 0; i < s->count; i++)
		close(s->place[i].fd);
	free(s->place);
	memset(s, 0, sizeof *s);
}
