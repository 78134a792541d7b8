/* SPDX-License-Identifier: MIT */
/*
 * page/buddy.c - merging and splitting, inside blocks and above them
 *
 * The buddy of a run of 2^order frames at frame f is f XOR 2^order; two free buddies merge at
 * once, so after every release of the zone lock no two mergeable buddies are free (B3).  Merging
 * stays inside a pageblock until the block is whole; whole blocks are on the zone's whole lists by
 * order and row, linked through their block records, newest first, but those that have no
 * memory last.  They merge further, up to the largest order, only among ordinary types, which are
 * then re-typed; never with isolated or highatomic ones.
 *
 * Against Linux: the same rules of merging; the lists of orders below a block are per block.
 */
#include "page/buddy.h"

#include <quire/page.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "page/block.h"
#include "page/layout.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/state.h"
#include "page/zone.h"

/* ---- whole blocks ---- */

static struct block_list *whole_list(struct pages *p, struct zone *zone, uint32_t frame,
				     unsigned order)
{
	return &zone->whole[order - p->pageblock_order][block_row(p->tag[page_block(p, frame)])];
}

/* Puts a run of whole blocks on its list without merging it: at the tail if it has no memory. */
static void whole_list_add(struct pages *p, struct zone *zone, uint32_t frame, unsigned order,
			   unsigned zero)
{
	uint32_t block = page_block(p, frame);
	uint32_t blocks = 1u << (order - p->pageblock_order);

	for (uint32_t i = 0; i < blocks; i++) {
		p->block[block + i].whole = true;
		p->block[block + i].free_pages = (uint16_t)block_pages(p);
		p->block[block + i].epoch = load_relaxed(&p->epoch);
	}
	page_set_state(p, frame, STATE_BUDDY | zero | order);
	block_list_push(p, whole_list(p, zone, frame, order), block, zero != 0);
	zone_count_run_locked(zone, block_row(p->tag[block]), order, zero, true);
}

void buddy_whole_remove_locked(struct pages *p, struct zone *zone, uint32_t frame, unsigned order)
{
	uint32_t block = page_block(p, frame);

	DCHECK(lock_is_held(&zone->lock));
	CHECK_VALUES((page_state(p, frame) & ~STATE_ZERO) == (STATE_BUDDY | order), frame,
		     page_state(p, frame));
	block_list_take(p, whole_list(p, zone, frame, order), block);
	zone_count_run_locked(zone, block_row(p->tag[block]), order,
			      page_state(p, frame) & STATE_ZERO, false);
}

/* True if the run at @buddy is free, whole and of this order, and the two rows may mix. */
static bool whole_can_merge(const struct pages *p, const struct zone *zone, uint32_t frame,
			    uint32_t buddy, unsigned order)
{
	uint32_t block = page_block(p, buddy);
	unsigned row = block_row(p->tag[page_block(p, frame)]);

	if (order >= QUIRE_ORDER_MAX)
		return false;
	if (block < zone->block_first || block >= zone->block_first + zone->blocks_touched)
		return false;
	if ((page_state(p, buddy) & ~STATE_ZERO) != (STATE_BUDDY | order))
		return false;
	return row < ROW_EMPTYING && block_row(p->tag[block]) < ROW_EMPTYING;
}

void buddy_whole_add_locked(struct pages *p, struct zone *zone, uint32_t frame, unsigned order,
			    unsigned zero)
{
	DCHECK(lock_is_held(&zone->lock));
	for (;;) {
		uint32_t buddy = frame ^ 1u << order;
		uint8_t tag = p->tag[page_block(p, frame)];

		if (!whole_can_merge(p, zone, frame, buddy, order))
			break;
		buddy_whole_remove_locked(p, zone, buddy, order);
		zero &= page_state(p, buddy);
		for (uint32_t i = 0; i < 1u << (order - p->pageblock_order); i++)
			store_relaxed(&p->tag[page_block(p, buddy) + i], tag);
		page_set_state(p, frame | 1u << order, STATE_TAIL);
		frame &= ~(1u << order);
		order++;
	}
	whole_list_add(p, zone, frame, order, zero & STATE_ZERO);
}

uint32_t buddy_take_whole_locked(struct pages *p, struct zone *zone, unsigned row, unsigned order)
{
	unsigned from = order < p->pageblock_order ? p->pageblock_order : order;

	DCHECK(lock_is_held(&zone->lock));
	for (unsigned o = from; o <= QUIRE_ORDER_MAX; o++) {
		uint32_t block = zone->whole[o - p->pageblock_order][row].head;
		uint32_t frame;
		unsigned zero;

		if (block == BLOCK_NONE)
			continue;
		frame = block_frame(p, block);
		zero = page_state(p, frame) & STATE_ZERO;
		buddy_whole_remove_locked(p, zone, frame, o);
		if (zero && p->block[block].reported &&
		    load_relaxed(&p->epoch) - p->block[block].epoch <= 1)
			count_add(zone->reused, (uint64_t)1 << from);
		while (o > from) {
			o--;
			whole_list_add(p, zone, frame + (1u << o), o, zero);
		}
		page_set_state(p, frame, STATE_BUDDY | zero | from);
		for (uint32_t i = 0; i < 1u << (from - p->pageblock_order); i++) {
			p->block[block + i].whole = false;
			store_relaxed(&p->block[block + i].reported, false); /* a hint elsewhere */
			p->block[block + i].free_pages = 0;
		}
		return frame;
	}
	return FRAME_NONE;
}

void buddy_break_locked(struct pages *p, struct zone *zone, uint32_t frame)
{
	unsigned half = p->pageblock_order - 1u;
	unsigned zero = page_state(p, frame) & STATE_ZERO;

	DCHECK(lock_is_held(&zone->lock));
	block_free_add_locked(p, zone, frame + (1u << half), half, zero);
	block_free_add_locked(p, zone, frame, half, zero);
	block_rebin_locked(p, zone, page_block(p, frame));
}

/* ---- inside a block ---- */

void buddy_free_locked(struct pages *p, struct zone *zone, uint32_t frame, unsigned order,
		       unsigned zero)
{
	uint32_t block = page_block(p, frame);

	DCHECK(lock_is_held(&zone->lock));
	/* Block by block: one of them may have become isolated while the run was in use. */
	if (order > p->pageblock_order) {
		for (uint32_t i = 0; i < 1u << (order - p->pageblock_order); i++)
			buddy_whole_add_locked(p, zone, frame + (i << p->pageblock_order),
					       p->pageblock_order, zero);
		return;
	}
	while (order < p->pageblock_order) {
		uint32_t buddy = frame ^ 1u << order;
		unsigned state = page_state(p, buddy);

		if ((state & ~STATE_ZERO) != (STATE_BUDDY | order))
			break;
		block_free_take_locked(p, zone, buddy, order);
		page_set_state(p, frame | 1u << order, STATE_TAIL);
		zero &= state;
		frame &= ~(1u << order);
		order++;
	}
	if (order < p->pageblock_order) {
		block_free_add_locked(p, zone, frame, order, zero & STATE_ZERO);
		block_rebin_locked(p, zone, block);
		return;
	}
	block_unbin_locked(p, zone, block);
	if (p->tag[block] & TAG_EMPTYING)
		store_relaxed(&p->tag[block], (uint8_t)(p->tag[block] & ~TAG_EMPTYING));
	buddy_whole_add_locked(p, zone, frame, order, zero & STATE_ZERO);
}

/* Takes one run of @order out of a block that has a large enough one, the lowest-placed half of
 * each split first. */
static uint32_t block_take_run(struct pages *p, struct zone *zone, struct pageblock *b,
			       uint32_t first, unsigned order)
{
	unsigned o = block_order_cut(b, order);
	uint32_t frame = first + b->free[o];
	unsigned zero = page_state(p, frame) & STATE_ZERO;

	if (zero && b->reported && load_relaxed(&p->epoch) - b->epoch <= 1)
		count_add(zone->reused, (uint64_t)1 << order);
	block_free_take_locked(p, zone, frame, o);
	while (o > order) {
		o--;
		block_free_add_locked(p, zone, frame + (1u << o), o, zero);
	}
	page_set_state(p, frame, STATE_BUDDY | zero | order);
	return frame;
}

unsigned buddy_take_partial_locked(struct pages *p, struct zone *zone, unsigned row, unsigned order,
				   uint32_t *frames, unsigned n)
{
	unsigned taken = 0;

	DCHECK(lock_is_held(&zone->lock));
	while (taken < n) {
		uint32_t block = block_fullest_locked(zone, row, order);
		struct pageblock *b;

		if (block == BLOCK_NONE)
			break;
		b = &p->block[block];
		while (taken < n && b->orders >> order != 0)
			frames[taken++] = block_take_run(p, zone, b, block_frame(p, block), order);
		block_rebin_locked(p, zone, block);
	}
	return taken;
}

/* ---- given frames ---- */

uint32_t buddy_head_locked(const struct pages *p, const struct zone *zone, uint32_t frame,
			   unsigned *order)
{
	DCHECK(lock_is_held(&zone->lock));
	for (*order = 0; *order <= QUIRE_ORDER_MAX; (*order)++) {
		uint32_t head = frame & ~((1u << *order) - 1);

		if ((page_state(p, head) & ~STATE_ZERO) == (STATE_BUDDY | *order))
			return head;
	}
	return FRAME_NONE;
}

/* The order of the largest aligned run that begins at @frame and ends at @end or before: 4, 7 -> 1; 0, 7 -> 2; 6, 7 -> 0. */
static unsigned order_up_to(uint32_t frame, uint32_t end)
{
	unsigned order = 0;

	while ((frame & ((2u << order) - 1)) == 0 && frame + (2u << order) <= end)
		order++;
	return order;
}

/* Puts frames [frame, end), a part of a run that was free, back on their block's lists. */
static void put_rest_locked(struct pages *p, struct zone *zone, uint32_t frame, uint32_t end,
			    unsigned zero)
{
	DCHECK(lock_is_held(&zone->lock));
	while (frame < end) {
		unsigned order = order_up_to(frame, end);

		block_free_add_locked(p, zone, frame, order, zero);
		frame += 1u << order;
	}
}

void buddy_take_range_locked(struct pages *p, struct zone *zone, uint32_t first, uint32_t end)
{
	uint32_t block = page_block(p, first), frame = first;

	DCHECK(lock_is_held(&zone->lock));
	CHECK(page_block(p, end - 1) == block && p->tag[block] & TAG_ISOLATE);
	if (p->block[block].whole) {
		uint32_t whole = block_frame(p, block);

		buddy_whole_remove_locked(p, zone, whole, p->pageblock_order);
		p->block[block].whole = false;
		p->block[block].free_pages = 0;
		store_relaxed(&p->block[block].reported, false); /* a hint elsewhere */
		buddy_break_locked(p, zone, whole);
	}
	while (frame < end) {
		unsigned order, zero;
		uint32_t head = buddy_head_locked(p, zone, frame, &order), run_end;

		CHECK_VALUES(head != FRAME_NONE, frame, page_state(p, frame));
		zero = page_state(p, head) & STATE_ZERO;
		run_end = head + (1u << order);
		block_free_take_locked(p, zone, head, order);
		put_rest_locked(p, zone, head, frame, zero);
		for (; frame < end && frame < run_end; frame++)
			page_set_state(p, frame, STATE_CACHED | zero);
		put_rest_locked(p, zone, frame, run_end, zero);
	}
	block_rebin_locked(p, zone, block);
}
