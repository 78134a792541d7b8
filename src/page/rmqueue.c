/* SPDX-License-Identifier: MIT */
/*
 * page/rmqueue.c - where the buddy takes a run from, as a list of attempts
 *
 * For a request of one type, in this order:
 *
 *   OWN     1. partial blocks of the type, fullest first
 *           2. emptying blocks of the type (the fullest one, which then is no longer emptying)
 *           3. whole blocks of the type
 *           4. whole blocks of another type, which change type (a claim that mixes nothing)
 *   STEAL   5. partial blocks of another type: the emptiest; it changes type if at least half of it
 *              is free, otherwise the run is stolen and the block stays as it is
 *
 * The caller grows the zone between OWN and STEAL, so types mix only when the limit is reached.
 * In Linux a claim depends on how many used pages have the same type; here a page does not record
 * the requested type, and the half rule uses free pages alone.
 *
 * Highatomic: a successful ATOMIC request of order > 0 makes its block a reserve for such
 * requests, up to a hundredth of the zone; under pressure one block at a time is released.
 */
#include "page/rmqueue.h"

#include <quire/quire.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/usdt.h"
#include "page/block.h"
#include "page/buddy.h"
#include "page/emptying.h"
#include "page/grow.h"
#include "page/layout.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/request.h"
#include "page/state.h"
#include "page/zone.h"

/* Linux's order of fallback. */
static const uint8_t fallback[TYPES_NR][TYPES_NR - 1] = {
	[TYPE_UNMOVABLE] = { TYPE_RECLAIMABLE, TYPE_MOVABLE },
	[TYPE_MOVABLE] = { TYPE_RECLAIMABLE, TYPE_UNMOVABLE },
	[TYPE_RECLAIMABLE] = { TYPE_UNMOVABLE, TYPE_MOVABLE },
};

static void retype_whole(struct pages *p, uint32_t frame, unsigned order, unsigned type)
{
	uint32_t block = page_block(p, frame);
	uint32_t blocks_nr = order > p->pageblock_order ? 1u << (order - p->pageblock_order) : 1u;

	for (uint32_t i = 0; i < blocks_nr; i++)
		store_relaxed(&p->tag[block + i],
			      (uint8_t)((p->tag[block + i] & ~TAG_TYPE) | type));
}

static void say_fallback(const struct pages *p, uint32_t frame, const struct page_request *request,
			 unsigned order, unsigned type, bool is_claim)
{
	USDT(mm_page_alloc_extfrag, page_pfn(p, frame), request->order, order, request->type, type,
	     is_claim);
}

/* Attempts 3 and 4: takes a whole run of the type, or one of another type and changes its type. */
static uint32_t take_whole_locked(struct pages *p, struct zone *zone,
				  const struct page_request *request)
{
	unsigned order = request->order, type = request->type;
	uint32_t frame = buddy_take_whole_locked(p, zone, ROW_TYPE + type, order);

	DCHECK(lock_is_held(&zone->lock));
	for (unsigned i = 0; frame == FRAME_NONE && i < TYPES_NR - 1; i++) {
		frame = buddy_take_whole_locked(p, zone, ROW_TYPE + fallback[type][i], order);
		if (frame != FRAME_NONE) {
			zone->claims++;
			retype_whole(p, frame, order, type);
			say_fallback(p, frame, request,
				     order > p->pageblock_order ? order : p->pageblock_order,
				     fallback[type][i], true);
		}
	}
	return frame;
}

/* Attempt 2: uses the fullest block that was being emptied after all. */
static bool keep_emptying_locked(struct pages *p, struct zone *zone,
				 const struct page_request *request)
{
	uint32_t block = block_fullest_locked(zone, ROW_EMPTYING + request->type, request->order);

	DCHECK(lock_is_held(&zone->lock));
	if (block == BLOCK_NONE)
		return false;
	block_set_tag_locked(p, zone, block, (uint8_t)(p->tag[block] & ~TAG_EMPTYING));
	return true;
}

static unsigned take_own_locked(struct pages *p, struct zone *zone,
				const struct page_request *request, uint32_t *frames, unsigned n)
{
	unsigned taken = 0;

	DCHECK(lock_is_held(&zone->lock));
	while (taken < n && request->order >= p->pageblock_order) {
		uint32_t frame = take_whole_locked(p, zone, request);

		if (frame == FRAME_NONE)
			return taken;
		frames[taken++] = frame;
	}
	while (taken < n) {
		uint32_t frame;

		taken += buddy_take_partial_locked(p, zone, ROW_TYPE + request->type,
						   request->order, frames + taken, n - taken);
		if (taken == n || keep_emptying_locked(p, zone, request))
			continue;
		/* A short refill is cheaper than a fresh block. */
		frame = taken == 0 ? take_whole_locked(p, zone, request) : FRAME_NONE;
		if (frame == FRAME_NONE)
			return taken;
		buddy_break_locked(p, zone, frame);
	}
	return taken;
}

static uint32_t other_partial_locked(struct zone *zone, unsigned order, unsigned other)
{
	uint32_t block = block_emptiest_locked(zone, ROW_EMPTYING + other, order);

	DCHECK(lock_is_held(&zone->lock));
	return block != BLOCK_NONE ? block : block_emptiest_locked(zone, ROW_TYPE + other, order);
}

/* Attempt 5.  Takes at most one run: stealing is the exception, and each steal is decided afresh. */
static unsigned steal_locked(struct pages *p, struct zone *zone, const struct page_request *request,
			     uint32_t *frames)
{
	unsigned order = request->order, type = request->type;

	DCHECK(lock_is_held(&zone->lock));
	for (unsigned i = 0; order < p->pageblock_order && i < TYPES_NR - 1; i++) {
		uint32_t block = other_partial_locked(zone, order, fallback[type][i]);
		unsigned row, whole, taken;
		uint8_t tag;

		if (block == BLOCK_NONE)
			continue;
		tag = (uint8_t)(p->tag[block] & ~TAG_EMPTYING);
		if (p->block[block].free_pages >= block_pages(p) / 2) {
			zone->claims++;
			tag = (uint8_t)((tag & ~TAG_TYPE) | type);
		} else {
			zone->steals++;
		}
		block_set_tag_locked(p, zone, block, tag);
		row = ROW_TYPE + (tag & TAG_TYPE);
		/* Of the run that is cut next, which the probe shows. */
		whole = block_order_cut(&p->block[block_fullest_locked(zone, row, order)], order);
		taken = buddy_take_partial_locked(p, zone, row, order, frames, 1);
		say_fallback(p, frames[0], request, whole, fallback[type][i],
			     (tag & TAG_TYPE) == type);
		return taken;
	}
	return 0;
}

/* ---- highatomic ---- */

static unsigned take_highatomic_locked(struct pages *p, struct zone *zone, unsigned order,
				       uint32_t *frames)
{
	uint32_t frame;

	DCHECK(lock_is_held(&zone->lock));
	if (order < p->pageblock_order &&
	    buddy_take_partial_locked(p, zone, ROW_HIGHATOMIC, order, frames, 1) == 1)
		return 1;
	frame = buddy_take_whole_locked(p, zone, ROW_HIGHATOMIC, order);
	if (frame == FRAME_NONE)
		return 0;
	frames[0] = frame;
	if (order < p->pageblock_order) {
		buddy_break_locked(p, zone, frame);
		return buddy_take_partial_locked(p, zone, ROW_HIGHATOMIC, order, frames, 1);
	}
	return 1;
}

/* Makes the frame's block a reserve, unless a hundredth of the zone's blocks is reserved already. */
static void reserve_highatomic_locked(struct pages *p, struct zone *zone, uint32_t frame)
{
	uint32_t block = page_block(p, frame);

	DCHECK(lock_is_held(&zone->lock));
	if (zone->highatomic_blocks + 1 > zone->blocks_nr / 100 || (p->tag[block] & TAG_HIGHATOMIC))
		return;
	zone->highatomic_blocks++;
	block_set_tag_locked(p, zone, block,
			     (uint8_t)((p->tag[block] & ~TAG_EMPTYING) | TAG_HIGHATOMIC));
}

/* Makes one reserved block that has a free page ordinary again.  Returns false if there is none. */
static bool unreserve_highatomic_locked(struct pages *p, struct zone *zone)
{
	uint32_t block = block_emptiest_locked(zone, ROW_HIGHATOMIC, 0);
	uint32_t frame = FRAME_NONE;

	DCHECK(lock_is_held(&zone->lock));
	if (block == BLOCK_NONE) {
		frame = buddy_take_whole_locked(p, zone, ROW_HIGHATOMIC, p->pageblock_order);
		if (frame == FRAME_NONE)
			return false;
		block = page_block(p, frame);
	}
	zone->highatomic_blocks--;
	block_set_tag_locked(p, zone, block, (uint8_t)(p->tag[block] & ~TAG_HIGHATOMIC));
	if (frame != FRAME_NONE)
		buddy_whole_add_locked(p, zone, frame, p->pageblock_order,
				       page_state(p, frame) & STATE_ZERO);
	return true;
}

/* ---- entry points ---- */

static unsigned attempt_locked(struct pages *p, struct zone *zone,
			       const struct page_request *request, uint32_t *frames, unsigned n)
{
	unsigned order = request->order, flags = request->flags;
	unsigned taken = 0;

	DCHECK(lock_is_held(&zone->lock));
	while (n > 1 && !zone_has_room_locked(p, zone, flags, (uint64_t)n << order))
		n /= 2;
	if (!zone_has_room_locked(p, zone, flags, (uint64_t)1 << order))
		return 0;
	if ((flags & QUIRE_ATOMIC) && order > 0)
		taken = take_highatomic_locked(p, zone, order, frames);
	if (taken == 0)
		taken = take_own_locked(p, zone, request, frames, n);
	if (taken == 0 && request->may_steal)
		taken = steal_locked(p, zone, request, frames);
	while (taken == 0 && request->may_steal && unreserve_highatomic_locked(p, zone))
		taken = take_own_locked(p, zone, request, frames, 1);
	if (taken != 0 && (flags & QUIRE_ATOMIC) && order > 0 && order < p->pageblock_order)
		reserve_highatomic_locked(p, zone, frames[0]);
	return taken;
}

unsigned rmqueue_bulk(struct pages *p, struct zone *zone, const struct page_request *request,
		      uint32_t *frames, unsigned n)
{
	uint64_t available, above;
	lock_token token;
	unsigned taken;

	if (!zone_lock_for(zone, request->flags, &token))
		return 0;
	taken = attempt_locked(p, zone, request, frames, n);
	for (unsigned i = 0; i < taken; i++) {
		page_set_state(p, frames[i],
			       STATE_CACHED | (page_state(p, frames[i]) & STATE_ZERO) |
				       request->order);
		USDT(mm_page_alloc_zone_locked, page_pfn(p, frames[i]), request->order,
		     request->type, n > 1);
	}
	emptying_choose_locked(p, zone);
	available = zone_available_locked(p, zone);
	store_relaxed(&zone->below_high, available < zone->mark_high);
	above = zone_above_high_locked(zone, available);
	zone_unlock(zone, token);
	if (UNLIKELY(above >= PEAK_STEP_BYTES >> p->page_shift))
		store_relaxed(&p->owes, true); /* a hint for make_up() */
	return taken;
}

/* Takes one run (state CACHED) from one zone: grows it if it must, and mixes types last. */
static uint32_t direct_from(struct pages *p, struct zone *zone, const struct page_request *request)
{
	struct page_request stealing = *request;
	uint32_t frame;
	int error;

	if (rmqueue_bulk(p, zone, request, &frame, 1) == 1)
		return frame;
	/* Other callers may take what this one has grown; so a round without success is another caller's
	 * success.  When the zone cannot grow, at its limit or refused by the system, types may mix. */
	do {
		error = zone_grow(p, zone, request);
		if (rmqueue_bulk(p, zone, request, &frame, 1) == 1)
			return frame;
	} while (!error);
	stealing.may_steal = true;
	return rmqueue_bulk(p, zone, &stealing, &frame, 1) == 1 ? frame : FRAME_NONE;
}

uint32_t rmqueue_direct(struct pages *p, const struct page_request *request)
{
	for (unsigned i = 0; i < p->zones_nr; i++) {
		struct zone *zone = &p->zone[(request->zone + i) % p->zones_nr];
		uint32_t frame = direct_from(p, zone, request);

		if (frame != FRAME_NONE) {
			fetch_add_relaxed(&zone->buddy_allocs, 1);
			return frame;
		}
		if (request->zone_only)
			break;
	}
	return FRAME_NONE;
}
