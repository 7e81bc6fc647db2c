/* SPDX-License-Identifier: MIT */
#include "smtp/verify_known.h"

#include "util/check.h"
#include "util/str.h"
#include "mail/address.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_OCTETS = 1000 };

struct item {
	struct map_link link;
	struct list order;
	int64_t expires;
	char fact;
	char name[];
};

void
known_init(struct known *k, unsigned good_max, unsigned bad_max)
{
	memset(k, 0, sizeof *k);
	list_init(&k->good);
	list_init(&k->bad);
	k->good_max = good_max;
	k->bad_max = bad_max;
}

static void
drop(struct known *k, struct item *i)
{
	if (i->fact == FACT_BAD)
		k->bad_count--;
	else
		k->good_count--;
	map_remove(&k->map, &i->link);
	list_remove(&i->order);
	free(i);
}

void
known_fini(struct known *k)
{
	struct map_link *link;

	while ((link = map_any(&k->map)) != NULL)
		drop(k, list_entry(link, struct item, link));
	map_fini(&k->map);
}

static uint64_t
hash(const char *name)
{
	return hash_nocase(strrchr(name, '@'));
}

static uint64_t
hash_all(const char *name)
{
	const char *at = strrchr(name, '@');

	return hash(name) ^ hash_bytes(name, (size_t)(at - name));
}

static struct item *
find(const struct known *k, const char *name)
{
	struct map_link *link;

	for (link = map_first(&k->map, hash_all(name)); link != NULL; link = map_next(link))
		if (address_eq(list_entry(link, struct item, link)->name, name))
			return list_entry(link, struct item, link);
	return NULL;
}

enum fact
known_get(const struct known *k, const char *name, int64_t now)
{
	const struct item *i = find(k, name);

	return i != NULL && i->expires > now ? (enum fact)i->fact : FACT_NONE;
}

/* Good ones and bad ones have room of their own: who tries many addresses drives out none of the good. */
void
known_put(struct known *k, const char *name, enum fact fact, int64_t expires)
{
	size_t n = strlen(name);
	struct item *i = find(k, name);

	if (i != NULL)
		drop(k, i);
	i = xmalloc(sizeof *i + n + 1);
	memset(i, 0, sizeof *i);
	i->expires = expires;
	i->fact = (char)fact;
	memcpy(i->name, name, n + 1);
	map_add(&k->map, &i->link, hash_all(name));
	list_append(fact == FACT_BAD ? &k->bad : &k->good, &i->order);
	if (fact == FACT_BAD && ++k->bad_count > k->bad_max)
		drop(k, list_entry(k->bad.next, struct item, order));
	else if (fact != FACT_BAD && ++k->good_count > k->good_max)
		drop(k, list_entry(k->good.next, struct item, order));
}

void
known_print(struct buf *out, const char *name, enum fact fact, int64_t expires)
{
	buf_printf(out, "%c %" PRId64 " %s\n", (char)fact, expires, name);
}

void
known_print_all(const struct known *k, struct buf *out)
{
	const struct list *lists[] = { &k->good, &k->bad };
	const struct list *l;
	const struct item *i;
	unsigned n;

	for (n = 0; n < 2; n++)
		for (l = lists[n]->next; l != lists[n]; l = l->next) {
			i = list_entry(l, struct item, order);
			known_print(out, i->name, (enum fact)i->fact, i->expires);
		}
}

/* "+ 1790000000 user@example.com" */
static bool
read_line(struct known *k, const char *p, size_t n, int64_t now)
{
	char name[NAME_MAX_OCTETS + 1];
	const char *space;
	uint64_t expires;
	size_t len;

	if (n < 6 || strchr("+-*=", p[0]) == NULL || p[1] != ' ' || (space = memchr(p + 2, ' ', n - 2)) == NULL)
		return false;
	len = (size_t)(p + n - space - 1);
	if (str_u64(p + 2, (size_t)(space - p - 2), INT64_MAX, &expires) < 0 || len == 0 || len > NAME_MAX_OCTETS)
		return false;
	memcpy(name, space + 1, len);
	name[len] = '\0';
	if (strlen(name) != len || strrchr(name, '@') == NULL || (int64_t)expires <= now)
		return false;
	known_put(k, name, (enum fact)p[0], (int64_t)expires);
	return true;
}

unsigned
known_read(struct known *k, const char *text, size_t n, int64_t now)
{
	const char *end = text + n, *lf;
	unsigned count = 0;

	for (; text < end && (lf = memchr(text, '\n', (size_t)(end - text))) != NULL; text = lf + 1)
		count += read_line(k, text, (size_t)(lf - text), now);
	return count;
}
