/* SPDX-License-Identifier: MIT */
/* Intrusive doubly linked list: the link is a member of what is listed. The head is a link too. */
#ifndef TMAIL_UTIL_LIST_H
#define TMAIL_UTIL_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

/* The structure TYPE whose member FIELD is at LINK. */
#define list_entry(link, type, field) ((type *)(void *)((char *)(link) - offsetof(type, field)))

/* Walk from first to last; the body may not remove the current link (use list_each_safe). */
#define list_each(pos, head) for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
#define list_each_safe(pos, head) \
	for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head); \
	    pos = pos##_next, pos##_next = pos->next)

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_empty(const struct list *l)
{
	return l->next == l;
}

/* Puts LINK before POS; with POS the head, at the end. */
static inline void
list_append(struct list *pos, struct list *link)
{
	link->prev = pos->prev;
	link->next = pos;
	pos->prev->next = link;
	pos->prev = link;
}

/* Puts LINK behind POS; with POS the head, at the front. */
static inline void
list_prepend(struct list *pos, struct list *link)
{
	list_append(pos->next, link);
}

/* Takes LINK out and leaves it an empty list of its own, so that removing twice is harmless. */
static inline void
list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

/* Takes out and returns the first link, or NULL. */
static inline struct list *
list_shift(struct list *head)
{
	struct list *first = head->next;

	if (first == head)
		return NULL;
	list_remove(first);
	return first;
}

/* Moves all of FROM to the end of HEAD. */
static inline void
list_splice(struct list *head, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = head->prev;
	head->prev->next = from->next;
	from->prev->next = head;
	head->prev = from->prev;
	list_init(from);
}

#endif
