/* SPDX-License-Identifier: MIT */
/*
 * page/stacks.c - which stacks of pages there are, and how much they keep (stacks/stacks.h)
 *
 * One class for each kept order (0..4 and the block order), type and zone.  The classes of one
 * zone follow each other, and a CPU's pcp in that zone is their door.  Classes begin cold: the
 * first free or refill takes the slow path, warms the class, and tells the worker that there is
 * something to return.  Each further slow path doubles the number kept; an idle visit of the
 * worker makes the class cold again.
 *
 * Bounds: a warm class starts with two refills.  It never keeps more than its room, nor more than
 * stack_pages_max(), so that one CPU does not hold a small zone's pages: with 1 GiB and 2 CPUs, 1
 * MiB of single pages.
 */
#include "page/stacks.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/stack.h"
#include "page/pages.h"
#include "page/pcp.h"
#include "page/state.h"
#include "page/zone.h"
#include "stacks/stacks.h"

_Static_assert(
	STACK_HEADERS_NR * sizeof(struct stack_header) + STACKS_OFFSET_MAX +
			(size_t)TYPES_NR * sizeof(uint32_t) * STACK_ENTRIES_SUM <=
		STACKS_STRIDE,
	"headers and all entries fit into one slot's region, wherever in its page it begins");

unsigned pcp_kept_order(const struct pages *p, unsigned index, unsigned kept_nr)
{
	CHECK(index < kept_nr);
	return index == kept_nr - 1 ? p->pageblock_order : index;
}

/* Room of one class in entries: shared among zones. */
static uint32_t class_room(const struct pages *p, unsigned order_index)
{
	return STACK_ENTRIES_MAX(order_index) / p->zones_nr;
}

/* Number of a class in the set: zone by zone, then by order, then by type. */
static unsigned class_index(unsigned zone, unsigned order_index, unsigned type)
{
	return (zone * STACK_ORDERS_NR + order_index) * TYPES_NR + type;
}

unsigned pcp_stack_order(const struct pages *p, unsigned class)
{
	return pcp_kept_order(p, class / TYPES_NR % STACK_ORDERS_NR, STACK_ORDERS_NR);
}

void pcp_stacks_init(struct pages *p)
{
	p->stacks.isolated = p->q.isolated_cpus;
	p->stacks.class = p->stack_class;
	p->stacks.classes_nr = (uint16_t)class_index(p->zones_nr, 0, 0);
	p->stacks.committed = true;
	for (unsigned i = 0; i < p->stacks.classes_nr; i++) {
		unsigned order_index = i / TYPES_NR % STACK_ORDERS_NR;
		unsigned tag = i / STACK_CLASSES_NR << TAG_ZONE_SHIFT | i % TYPES_NR;

		p->stack_class[i] = (struct stacks_class){
			.header = (uint16_t)STACK_CLASS(pcp_stack_order(p, i), tag),
			.room = (uint16_t)class_room(p, order_index),
		};
	}
	stacks_lay_out(&p->stacks, STACK_HEADERS_NR);
}

void pcp_stacks_init_door(struct pcp *pcp, unsigned zone, unsigned slot)
{
	stacks_door_init(&pcp->door, RANK_PCP, slot, class_index(zone, 0, 0),
			 class_index(zone + 1, 0, 0));
}

bool pcps_are_cold(const struct pages *p)
{
	for (size_t i = 0; i < (size_t)p->zones_nr * p->stacks.cpu.all_slots_nr; i++)
		if (load_relaxed(&p->pcp[i].door.warm)) /* a hint */
			return false;
	return true;
}

unsigned pcp_stacks_take_locked(struct pages *p, struct pcp *pcp, uint32_t *frames, unsigned n)
{
	unsigned taken = 0;

	DCHECK(lock_is_held(&pcp->door.lock));
	for (unsigned i = pcp->door.first; i < pcp->door.end && taken < n; i++) {
		const uint32_t *entries;
		unsigned some = stacks_take_locked(&p->stacks, &pcp->door, i, n - taken, &entries);

		while (some != 0)
			frames[taken++] = entries[--some];
	}
	return taken;
}

uint32_t pcp_stacks_pages(const struct pages *p, const struct pcp *pcp)
{
	uint32_t pages = 0;

	for (unsigned i = pcp->door.first; i < pcp->door.end; i++)
		pages += stacks_held(&p->stacks, &pcp->door, i) << pcp_stack_order(p, i);
	return pages;
}

/*
 * Pages that one stack may keep, of the pcp's high_max: a 64th of single pages and small runs,
 * which are holes in blocks while they wait here; a 16th of the largest runs below a block, of
 * which a burst of a thousand is 64 MiB; twice as much of whole blocks, which tear no holes.
 */
static uint32_t stack_pages_max(const struct pages *p, const struct zone *zone, unsigned order)
{
	if (order == p->pageblock_order)
		return load_relaxed(&zone->pcp_high_max) * 2;
	return load_relaxed(&zone->pcp_high_max) >> (order < 4 ? 6 : 4);
}

unsigned pcp_stack_keeps_locked(const struct pages *p, const struct pcp *pcp, unsigned order,
				unsigned type)
{
	DCHECK(lock_is_held(&pcp->door.lock));
	return stacks_keeps_locked(&p->stacks, &pcp->door,
				   class_index(pcp->zone, stack_order_index(p, order), type));
}

void pcp_stack_tune_locked(struct pages *p, struct pcp *pcp, unsigned order, unsigned type)
{
	unsigned order_index = stack_order_index(p, order);
	const struct zone *zone = &p->zone[pcp->zone];

	DCHECK(lock_is_held(&pcp->door.lock));
	if (order_index == STACK_ORDERS_NR || pcp->door.closed_nr != 0 || !pcp->door.usable)
		return;
	stacks_grow_locked(&p->stacks, &pcp->door, class_index(pcp->zone, order_index, type),
			   2 * pcp_refill_least(load_relaxed(&zone->pcp_batch), order),
			   stack_pages_max(p, zone, order) >> order);
}
