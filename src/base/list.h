/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list: intrusive, doubly linked, circular. A link that is in no list points to itself, so
 * list_remove is safe to call twice. Each member says which head it hangs on: struct list link; //
 * registry::all
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

#define LIST_INIT(head)          \
	{                        \
		&(head), &(head) \
	}

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_append(struct list *head, struct list *link)
{
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

#define list_entry(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
/* The first of a list that is not empty. */
#define list_get_first(head, type, member) list_entry((head)->next, type, member)
/* The first, or NULL. */
#define list_first(head, type, member) \
	(list_is_empty(head) ? NULL : list_entry((head)->next, type, member))

/* The entry may be removed inside list_for_each_safe. */
#define list_for_each(pos, head, member)                                   \
	for ((pos) = list_entry((head)->next, __typeof__(*(pos)), member); \
		&(pos)->member != (head);                                  \
		(pos) = list_entry((pos)->member.next, __typeof__(*(pos)), member))
#define list_for_each_safe(pos, tmp, head, member)                              \
	for ((pos) = list_entry((head)->next, __typeof__(*(pos)), member),      \
	    (tmp) = list_entry((pos)->member.next, __typeof__(*(pos)), member); \
		&(pos)->member != (head);                                       \
		(pos) = (tmp), (tmp) = list_entry((tmp)->member.next, __typeof__(*(tmp)), member))
