/* SPDX-License-Identifier: MIT */
#include "util/archive.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/list.h"
#include "util/map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct member {
	struct map_link link;
	struct list order;
	char *data;
	size_t len;
	char name[];
};

struct archive {
	struct map map;
	struct list members;
};

struct archive *
archive_new(void)
{
	struct archive *a = xcalloc(1, sizeof *a);

	list_init(&a->members);
	return a;
}

static void
drop(struct archive *a, struct member *m)
{
	map_remove(&a->map, &m->link);
	list_remove(&m->order);
	explicit_bzero(m->data, m->len);
	free(m->data);
	free(m);
}

void
archive_free(struct archive **a)
{
	if (*a == NULL)
		return;
	list_each_safe(l, &(*a)->members)
		drop(*a, list_entry(l, struct member, order));
	map_fini(&(*a)->map);
	free(*a);
	*a = NULL;
}

static struct member *
find(const struct archive *a, const char *name)
{
	struct map_link *l;

	for (l = map_first(&a->map, hash_bytes(name, strlen(name))); l != NULL; l = map_next(l))
		if (strcmp(list_entry(l, struct member, link)->name, name) == 0)
			return list_entry(l, struct member, link);
	return NULL;
}

void
archive_put(struct archive *a, const char *name, const void *p, size_t n)
{
	struct member *m = find(a, name);
	size_t len = strlen(name);

	if (m != NULL)
		drop(a, m);
	m = xcalloc(1, sizeof *m + len + 1);
	memcpy(m->name, name, len);
	m->data = xmalloc(n + 1);
	if (n > 0)
		memcpy(m->data, p, n);
	m->len = n;
	map_add(&a->map, &m->link, hash_bytes(name, len));
	list_append(&a->members, &m->order);
}

bool
archive_get(const struct archive *a, const char *name, const char **p, size_t *n)
{
	const struct member *m = find(a, name);

	if (m == NULL)
		return false;
	*p = m->data;
	*n = m->len;
	return true;
}

/* Each member: length of the name, length of the data, name, data. */
void
archive_encode(const struct archive *a, struct buf *out)
{
	list_each(l, &a->members) {
		const struct member *m = list_entry(l, struct member, order);
		size_t len = strlen(m->name);

		buf_add_u32(out, (uint32_t)len);
		buf_add_u64(out, m->len);
		buf_add(out, m->name, len);
		buf_add(out, m->data, m->len);
	}
}

static uint64_t
number(const char *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes-- > 0)
		v = v << 8 | (unsigned char)p[bytes];
	return v;
}

int
archive_decode(struct archive **out, const char *p, size_t n, struct err *err)
{
	struct archive *a = archive_new();
	uint64_t len, size;
	char *name;

	while (n >= 12) {
		len = number(p, 4);
		size = number(p + 4, 8);
		p += 12;
		n -= 12;
		if (len > n || size > n - len)
			break;
		name = xmalloc(len + 1);
		memcpy(name, p, len);
		name[len] = '\0';
		archive_put(a, name, p + len, size);
		free(name);
		p += len + size;
		n -= len + size;
	}
	if (n != 0) {
		archive_free(&a);
		return err_set(err, "an archive of files is cut short");
	}
	*out = a;
	return 0;
}
