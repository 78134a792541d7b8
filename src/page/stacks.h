/* SPDX-License-Identifier: MIT */
/* page/stacks.h - which stacks of pages there are, and how much they keep: classes of stacks/stacks.h */
#ifndef PAGE_STACKS_H
#define PAGE_STACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "page/pages.h"
#include "page/state.h"

struct pcp;

/* Index of an order among those that stacks keep, 0..STACK_ORDERS_NR - 1; STACK_ORDERS_NR if they
 * do not keep it.  The same for lists. */
static inline unsigned stack_order_index(const struct pages *p, unsigned order)
{
	if (order < STACK_ORDERS_NR - 1)
		return order;
	return order == p->pageblock_order ? STACK_ORDERS_NR - 1 : STACK_ORDERS_NR;
}

static inline unsigned list_order_index(const struct pages *p, unsigned order)
{
	if (order < LIST_ORDERS_NR - 1)
		return order;
	return order == p->pageblock_order ? LIST_ORDERS_NR - 1 : LIST_ORDERS_NR;
}

static inline bool pcp_stacks_keep_order(const struct pages *p, unsigned order)
{
	return stack_order_index(p, order) < STACK_ORDERS_NR;
}

static inline bool pcp_lists_keep_order(const struct pages *p, unsigned order)
{
	return list_order_index(p, order) < LIST_ORDERS_NR;
}

/*
 * The order of an index, of the @kept_nr orders that stacks or lists keep: the last is a block's.
 * With a block's order 9 and 6 kept: 0 -> 0, 4 -> 4, 5 -> 9.
 */
unsigned pcp_kept_order(const struct pages *p, unsigned index, unsigned kept_nr);
/* The order of the runs on a class. */
unsigned pcp_stack_order(const struct pages *p, unsigned class);

/* Sets up an instance's classes: which there are, and where in a slot's region each is. */
void pcp_stacks_init(struct pages *p);
/* The classes of a zone: their door on a slot is the pcp. */
void pcp_stacks_init_door(struct pcp *pcp, unsigned zone, unsigned slot);

/* Takes up to @n entries out of closed and fenced stacks; returns how many. */
unsigned pcp_stacks_take_locked(struct pages *p, struct pcp *pcp, uint32_t *frames, unsigned n);
/* Pages on a door's stacks: exact while closed and fenced, else a hint. */
uint32_t pcp_stacks_pages(const struct pages *p, const struct pcp *pcp);
/* Runs that a stack keeps. */
unsigned pcp_stack_keeps_locked(const struct pages *p, const struct pcp *pcp, unsigned order,
				unsigned type);
/* Lets a stack keep more after a slow path: one batch when cold, then twice as much. */
void pcp_stack_tune_locked(struct pages *p, struct pcp *pcp, unsigned order, unsigned type);
/* No stack keeps anything, so the next free on any CPU takes a slow path, which asks for the worker.  A
 * hint: a slow path that makes a stack warm meanwhile has asked for it, too. */
bool pcps_are_cold(const struct pages *p);

#endif
