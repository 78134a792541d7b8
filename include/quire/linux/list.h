/* SPDX-License-Identifier: MIT */
/* linux/list.h - doubly linked rings whose links are in what they link */
#ifndef QUIRE_LINUX_LIST_H
#define QUIRE_LINUX_LIST_H

#include <linux/kernel.h>

/* clang-format off */
#define LIST_HEAD_INIT(name) { &(name), &(name) }
/* clang-format on */
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list;
	list->prev = list;
}

/* Puts @entry between two neighbours. */
static inline void quire_linux_link_(struct list_head *before, struct list_head *entry,
				     struct list_head *behind)
{
	entry->prev = before;
	entry->next = behind;
	before->next = entry;
	behind->prev = entry;
}

static inline void list_add(struct list_head *entry, struct list_head *head)
{
	quire_linux_link_(head, entry, head->next);
}

static inline void list_add_tail(struct list_head *entry, struct list_head *head)
{
	quire_linux_link_(head->prev, entry, head);
}

/* Its own links stay as they are, for a walk that has read them. */
static inline void list_del(struct list_head *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
}

static inline void list_del_init(struct list_head *entry)
{
	list_del(entry);
	INIT_LIST_HEAD(entry);
}

static inline void list_move(struct list_head *entry, struct list_head *head)
{
	list_del(entry);
	list_add(entry, head);
}

static inline void list_move_tail(struct list_head *entry, struct list_head *head)
{
	list_del(entry);
	list_add_tail(entry, head);
}

static inline int list_empty(const struct list_head *head)
{
	return READ_ONCE(head->next) == head;
}

#define list_entry(ptr, type, member)	     container_of(ptr, type, member)
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)
#define list_last_entry(head, type, member)  list_entry((head)->prev, type, member)
#define list_next_entry(at, member)	     list_entry((at)->member.next, __typeof__(*(at)), member)
#define list_prev_entry(at, member)	     list_entry((at)->member.prev, __typeof__(*(at)), member)

#define list_for_each(at, head) for ((at) = (head)->next; (at) != (head); (at) = (at)->next)
#define list_for_each_entry(at, head, member)                                                      \
	for ((at) = list_first_entry(head, __typeof__(*(at)), member); &(at)->member != (head);    \
	     (at) = list_next_entry(at, member))
/* @next is read before the body, which may take @at off the list. */
#define list_for_each_entry_safe(at, next, head, member)                                           \
	for ((at) = list_first_entry(head, __typeof__(*(at)), member),                             \
	    (next) = list_next_entry(at, member);                                                  \
	     &(at)->member != (head); (at) = (next), (next) = list_next_entry(next, member))

#endif
