/* SPDX-License-Identifier: MIT */
/* page/state.h - the two bytes that fast paths read: a page's state, a pageblock's tag */
#ifndef PAGE_STATE_H
#define PAGE_STATE_H

#include <quire/page.h>

#include "machine/stack.h"

enum migratetype {
	TYPE_UNMOVABLE = 0,
	TYPE_MOVABLE = 1,
	TYPE_RECLAIMABLE = 2,
	TYPES_NR = 3, /* the types that lists keep; 3 in a tag has no stack */
};

/* The state byte: kind in bits 5..7, ZERO in bit 4, order in bits 0..3.  Heads only; every other
 * frame is TAIL, so that freeing the middle of a block is seen. */
#define STATE_TAIL	0x00u
#define STATE_BUDDY	0x40u
#define STATE_CACHED	0x60u
#define STATE_DEFERRED	0x80u
#define STATE_REPORTING 0xa0u
#define STATE_OFFLINE	0xc0u
/* The largest, so that STATE_ALLOCATED + order equals a state byte for no order but the right one.
 */
#define STATE_ALLOCATED 0xe0u
#define STATE_KIND	0xe0u
#define STATE_ZERO	0x10u /* every byte is known to be zero, and the run has no memory */
#define STATE_ORDER	0x0fu

/* The tag byte of a block: type in bits 0..1, zone in bits 2..4, flags above.  A tag below
 * TAG_SPECIAL says that stacks and lists may hold the block's pages. */
#define TAG_TYPE       0x03u
#define TAG_ZONE_SHIFT 2
#define TAG_SPECIAL    0x20u
#define TAG_EMPTYING   0x20u
#define TAG_ISOLATE    0x40u
#define TAG_HIGHATOMIC 0x80u

/* A stack as the sequences name it: headers are indexed by what a tag says of type and zone, and by order.
 * The stacks of one type are neighbours, and an unmovable run's index is its order. */
#define STACK_CLASS(order, tag) ((unsigned)(tag) << 4 | (order))
#define STACK_HEADERS_NR	(TAG_SPECIAL << 4)

/* The page size for which the fast paths are compiled, so that they shift by a constant.  Instances with
 * another size take the next slower paths, which use the stacks, too. */
#define FAST_PAGE_SHIFT 12

/* Stacks exist for orders 0..4 and the block order; lists for 0..3 and the block order. */
#define STACK_ORDERS_NR	 6
#define LIST_ORDERS_NR	 5
#define LISTS_NR	 (LIST_ORDERS_NR * TYPES_NR)
#define STACK_CLASSES_NR (STACK_ORDERS_NR * TYPES_NR) /* of one zone */

/*
 * Entries of one stack.  A burst of a thousand pages stays within a CPU; with room for no more than
 * it, half of each burst would go through the depot and mix its state bytes with other CPUs'.  What
 * is really kept is `high`, which begins small and grows under churn.  Zones share the room.
 * The sum is what a slot's region must hold.
 */
#define STACK_ENTRIES_MAX(order_index)                                                             \
	((order_index) == 1 ? 1024u : (order_index) == 3 ? 512u : 2048u)
#define STACK_ENTRIES_SUM (4u * 2048u + 1024u + 512u)

#endif
