/* SPDX-License-Identifier: MIT */
/*
 * page/stacks.c - the page allocator's layout of the machine's per-CPU stacks
 *
 * One stack for each kept order (0..4 and the block order), type and zone, in each slot's region.
 * Room is laid out for the most entries; `high`, the entries really kept, is stack_high[][] of the
 * pcp that is the stacks' door.  It begins at 0 (cold): the first free or refill takes the slow
 * path, warms the stack, and tells the worker that there is something to give back.  Each further
 * slow path doubles it, an idle visit of the worker makes it cold again.
 *
 * Bounds: a warm stack begins with two refills; it never keeps more than its room, nor more than
 * stack_pages_max() says, so that a small zone is not parked on one CPU: of 1 GiB and 2 CPUs, 1 MiB
 * of single pages.
 */
#include "page/page.h"

#include "machine/mem.h"

/* Room of one stack in entries: shared among zones. */
uint32_t stacks_capacity(const struct quire *q, unsigned order_index)
{
	return STACK_ENTRIES_MAX(order_index) / q->zones_nr;
}

_Static_assert(
	STACK_CLASSES_NR * sizeof(struct stack_header) + 4096 +
			(size_t)TYPES_NR * sizeof(uint32_t) * STACK_ENTRIES_SUM <=
		STACKS_STRIDE,
	"headers and all entries fit into one slot's region, wherever in its page it begins");

/*
 * The order of an index, of the @kept_nr orders that stacks or lists keep: the last is a block's.
 * With a block's order 9 and 6 kept: 0 -> 0, 4 -> 4, 5 -> 9.
 */
unsigned stacks_kept_order(const struct quire *q, unsigned index, unsigned kept_nr)
{
	CHECK(index < kept_nr);
	return index == kept_nr - 1 ? q->block_order : index;
}

/* First entry of a stack, as an index of 4-byte words in the region. */
static uint32_t stack_low(const struct quire *q, unsigned zone, unsigned order_index, unsigned type)
{
	uint32_t low =
		(uint32_t)(STACK_CLASSES_NR * sizeof(struct stack_header) / sizeof(uint32_t));
	uint32_t per_zone = 0;

	for (unsigned i = 0; i < STACK_ORDERS_NR; i++) {
		if (i < order_index)
			low += stacks_capacity(q, i) * TYPES_NR;
		per_zone += stacks_capacity(q, i) * TYPES_NR;
	}
	return low + zone * per_zone + type * stacks_capacity(q, order_index);
}

static struct stack_header *header_of(struct quire *q, const struct pcp *pcp, unsigned order_index,
				      unsigned type)
{
	return stack_header(&q->stacks, pcp->slot,
			    STACK_CLASS(stacks_kept_order(q, order_index, STACK_ORDERS_NR),
					(unsigned)pcp->zone << TAG_ZONE_SHIFT | type));
}

/* The two limits are one word, so that a sequence sees both or neither. */
static void set_limits(struct stack_header *header, uint32_t low, uint32_t high)
{
	union {
		struct {
			uint32_t low, high;
		} part;
		uint64_t whole;
	} limits = { .part = { .low = low, .high = high } };

	/* Pairs with the loads inside the sequences, which read a bound before top: whoever sees a
	 * stack open sees what the closer made of it. */
	store_release((uint64_t *)(void *)&header->low, limits.whole);
}

/* Such a CPU has no stacks at all: nothing ever has to interrupt it. */
bool stacks_are_isolated(const struct quire *q, unsigned slot)
{
	return q->isolated_cpus != NULL && (q->isolated_cpus[slot / 64] >> slot % 64 & 1) != 0;
}

/*
 * Until its first use a region can only be read, and its headers of zeroes refuse.  The region is wherever
 * in its page it begins: what lies behind it, up to a page, is no entry's (the assertion above).
 */
int stacks_commit(const struct cpu_stacks *s, unsigned slot)
{
	uintptr_t base = (uintptr_t)s->base & ~(uintptr_t)(mem_page_bytes() - 1);

	return mem_commit((char *)base + ((size_t)slot << STACKS_STRIDE_SHIFT), STACKS_STRIDE,
			  "quire-cpus");
}

/* All of them, before anybody uses one: @end is what they end at in their reservation. */
int stacks_commit_readable(const struct cpu_stacks *s, char *end)
{
	char *base = (char *)((uintptr_t)s->base & ~(uintptr_t)(mem_page_bytes() - 1));

	return s->slots_nr == 0 ? 0 : mem_commit_readonly(base, (size_t)(end - base), "quire-cpus");
}

/* Refuses every sequence from the next fence on.  The caller holds the door and fences. */
void stacks_close_locked(struct quire *q, struct pcp *pcp)
{
	DCHECK(lock_is_held(&pcp->lock));
	pcp->closed_nr++;
	for (unsigned i = 0; q->stacks.slots_nr != 0 && i < STACK_ORDERS_NR; i++)
		for (unsigned type = 0; type < TYPES_NR; type++)
			set_limits(header_of(q, pcp, i, type), UINT32_MAX, 0);
}

/* Ends one stacks_close_locked(); the last one opens. */
void stacks_open_locked(struct quire *q, struct pcp *pcp)
{
	DCHECK(lock_is_held(&pcp->lock));
	CHECK(pcp->closed_nr != 0);
	if (--pcp->closed_nr != 0 || q->stacks.slots_nr == 0 || stacks_are_isolated(q, pcp->slot))
		return;
	for (unsigned i = 0; i < STACK_ORDERS_NR; i++) {
		for (unsigned type = 0; type < TYPES_NR; type++) {
			struct stack_header *header = header_of(q, pcp, i, type);
			uint32_t low = stack_low(q, pcp->zone, i, type);

			/* Pairs with stacks_pages(), which reads it as a hint. */
			if (header->top < low)
				store_relaxed(&header->top, low);
			set_limits(header, low, low + pcp->stack_high[i][type]);
		}
	}
}

/* Makes idle stacks cold: they give out what they hold, and the next free takes the slow path. */
void stacks_cool_locked(struct quire *q, struct pcp *pcp)
{
	DCHECK(lock_is_held(&pcp->lock));
	memset(pcp->stack_high, 0, sizeof(pcp->stack_high));
	store_relaxed(&pcp->warm, false); /* pairs with stacks_are_cold() */
	if (pcp->closed_nr != 0 || q->stacks.slots_nr == 0 || stacks_are_isolated(q, pcp->slot))
		return;
	for (unsigned i = 0; i < STACK_ORDERS_NR; i++) {
		for (unsigned type = 0; type < TYPES_NR; type++) {
			uint32_t low = stack_low(q, pcp->zone, i, type);

			set_limits(header_of(q, pcp, i, type), low, low);
		}
	}
}

/* Whoever frees next tells the worker.  A hint: a slow path that warms a stack meanwhile does so, too. */
bool stacks_are_cold(const struct quire *q)
{
	for (size_t i = 0; i < (size_t)q->zones_nr * q->stacks.doors_nr; i++)
		if (load_relaxed(&q->pcp[i].warm))
			return false;
	return true;
}

/* The closer owns top, but stacks_pages() may look at it: relaxed. */
static uint32_t closed_pop(struct stack_header *header, const uint32_t *entries)
{
	uint32_t top = load_relaxed(&header->top) - 1;

	store_relaxed(&header->top, top);
	return entries[top];
}

/* Takes up to @n entries out of closed and fenced stacks. */
unsigned stacks_take_closed_locked(struct quire *q, struct pcp *pcp, uint32_t *frames, unsigned n)
{
	const uint32_t *entries = stack_entries(&q->stacks, pcp->slot);
	unsigned taken = 0;

	DCHECK(lock_is_held(&pcp->lock));
	CHECK(pcp->closed_nr != 0);
	for (unsigned i = 0; q->stacks.slots_nr != 0 && i < STACK_ORDERS_NR; i++) {
		for (unsigned type = 0; type < TYPES_NR; type++) {
			struct stack_header *header = header_of(q, pcp, i, type);
			uint32_t low = stack_low(q, pcp->zone, i, type);

			while (taken < n && header->top > low)
				frames[taken++] = closed_pop(header, entries);
		}
	}
	return taken;
}

/* Pages on the stacks behind a door: exact when closed, a hint otherwise. */
uint32_t stacks_pages(struct quire *q, const struct pcp *pcp)
{
	uint32_t pages = 0;

	for (unsigned i = 0; q->stacks.slots_nr != 0 && i < STACK_ORDERS_NR; i++) {
		for (unsigned type = 0; type < TYPES_NR; type++) {
			/* Pairs with the sequences' commits; a hint. */
			uint32_t top = load_relaxed(&header_of(q, pcp, i, type)->top);
			uint32_t low = stack_low(q, pcp->zone, i, type);

			if (top > low)
				pages += (top - low) << stacks_kept_order(q, i, STACK_ORDERS_NR);
		}
	}
	return pages;
}

/*
 * Pages that one stack may keep, of the pcp's high_max: a 64th of single pages and small runs, which
 * are holes in blocks while they wait here; a 16th of the largest runs below a block, of which a
 * burst of a thousand is 64 MiB; twice as much of whole blocks, which tear no holes.
 */
static uint32_t stack_pages_max(const struct quire *q, const struct zone *zone, unsigned order)
{
	if (order == q->block_order)
		return zone->pcp_high_max * 2;
	return zone->pcp_high_max >> (order < 4 ? 6 : 4);
}

/* Lets a stack keep more after a slow path: one batch when cold, then twice as much. */
void stacks_tune_locked(struct quire *q, struct pcp *pcp, unsigned order, unsigned type)
{
	unsigned order_index = stack_order_index(q, order);
	const struct zone *zone = &q->zone[pcp->zone];
	uint32_t most, first, high;
	uint32_t low;

	DCHECK(lock_is_held(&pcp->lock));
	if (order_index == STACK_ORDERS_NR || pcp->closed_nr != 0 || q->stacks.slots_nr == 0 ||
	    stacks_are_isolated(q, pcp->slot))
		return;
	most = stack_pages_max(q, zone, order) >> order;
	if (most > stacks_capacity(q, order_index))
		most = stacks_capacity(q, order_index);
	first = 2 * pcp_refill_least(zone->pcp_batch, order);
	high = pcp->stack_high[order_index][type] * 2u;
	if (high == 0)
		high = first;
	if (high > most)
		high = most;
	pcp->stack_high[order_index][type] = (uint16_t)high;
	store_relaxed(&pcp->warm, true); /* pairs with stacks_are_cold() */
	low = stack_low(q, pcp->zone, order_index, type);
	set_limits(header_of(q, pcp, order_index, type), low, low + high);
}
