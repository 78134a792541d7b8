/* SPDX-License-Identifier: MIT */
/*
 * page/depot.c - one zone's store of entries between the CPUs' stacks and the buddy
 *
 * When one CPU allocates and another frees, every page moves from the freeing CPU's stack to the
 * allocating CPU's.  Through the buddy this costs a merge and a split per page; through linked
 * lists, a cache miss per page.  Here it costs one copy of an array per batch.  The depot also
 * takes the overflow of bursts before a CPU's own lists do.  It is Bonwick's magazine depot with
 * loose rounds.
 *
 * Bounds: DEPOT_ENTRIES(order) entries per order and type; one hold copies at most MOVE_MAX of
 * them.  quire_drain_all(), isolation and the idle worker drain it.
 */
#include "page/depot.h"

#include "base/check.h"
#include "base/mem.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "page/layout.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/pcp.h"
#include "page/request.h"
#include "page/state.h"
#include "page/zone.h"

/* Entries given to the buddy in one hold: about two microseconds. */
#define DRAIN_ENTRIES 64u

void depot_init(struct depot *depot, uint32_t *entries)
{
	lock_init(&depot->lock, RANK_DEPOT);
	depot->entries = entries;
}

/* First entry of an order and type: orders in turn, types in turn. */
static uint32_t *depot_array(struct depot *depot, unsigned order, unsigned type)
{
	uint32_t before = 0;

	for (unsigned o = 0; o < order; o++)
		before += DEPOT_ENTRIES(o);
	return depot->entries + (size_t)before * TYPES_NR + (size_t)type * DEPOT_ENTRIES(order);
}

static void copy_entries(uint32_t *to, const uint32_t *from, unsigned n)
{
	memcpy(to, from, n * sizeof(*to));
}

/* Room is the depot's, but never more than an eighth of the zone in pages of one class. */
static uint32_t depot_room(const struct zone *zone, unsigned order)
{
	uint32_t most = (uint32_t)(load_relaxed(&zone->managed_pages) / 8 >> order);

	return most < DEPOT_ENTRIES(order) ? most : DEPOT_ENTRIES(order);
}

static unsigned put_locked(struct zone *zone, unsigned order, unsigned type, const uint32_t *frames,
			   unsigned n)
{
	struct depot *depot = &zone->depot;
	uint32_t room = depot_room(zone, order);

	DCHECK(lock_is_held(&depot->lock));
	room = room > depot->held[order][type] ? room - depot->held[order][type] : 0;
	if (depot->disabled)
		room = 0;
	if (n > room)
		n = room;
	copy_entries(depot_array(depot, order, type) + depot->held[order][type], frames, n);
	store_relaxed(&depot->held[order][type], (uint16_t)(depot->held[order][type] + n));
	count_add(depot->moves, n != 0);
	count_add(depot->moved_entries, n);
	return n;
}

unsigned depot_put(struct zone *zone, unsigned order, unsigned type, const uint32_t *frames,
		   unsigned n)
{
	struct depot *depot = &zone->depot;
	lock_token token;

	if (order >= DEPOT_ORDERS_NR || !lock_try(&depot->lock, &token))
		return 0;
	n = put_locked(zone, order, type, frames, n);
	lock_release(&depot->lock, token);
	return n;
}

bool depot_put_one(struct pages *p, uint32_t frame, unsigned order)
{
	struct zone *zone = page_zone(p, frame);
	unsigned n = 0;
	lock_token token;
	uint8_t tag;

	if (p->stacks.cpu.slots_nr == 0 || order >= DEPOT_ORDERS_NR ||
	    !lock_try(&zone->depot.lock, &token))
		return false;
	tag = load_relaxed(&p->tag[page_block(p, frame)]);
	if (tag < TAG_SPECIAL)
		n = put_locked(zone, order, tag & TAG_TYPE, &frame, 1);
	lock_release(&zone->depot.lock, token);
	return n != 0;
}

unsigned depot_take(struct zone *zone, unsigned order, unsigned type, uint32_t *frames, unsigned n)
{
	struct depot *depot = &zone->depot;
	lock_token token;
	uint32_t held;

	/* A hint: pairs with depot_put()'s store under the lock. */
	held = order < DEPOT_ORDERS_NR ? load_relaxed(&depot->held[order][type]) : 0;
	if (held == 0)
		return 0;
	if (!lock_try(&depot->lock, &token))
		return 0;
	held = depot->held[order][type];
	if (n > held)
		n = held;
	copy_entries(frames, depot_array(depot, order, type) + held - n, n);
	store_relaxed(&depot->held[order][type], (uint16_t)(held - n));
	count_add(depot->moves, n != 0);
	count_add(depot->moved_entries, n);
	lock_release(&depot->lock, token);
	return n;
}

uint32_t depot_take_one(struct pages *p, const struct page_request *request)
{
	uint32_t frame = FRAME_NONE;

	if (!(request->flags & QUIRE_NOLOCK))
		depot_take(&p->zone[request->zone], request->order, request->type, &frame, 1);
	return frame;
}

static unsigned depot_take_any_locked(struct depot *depot, uint32_t *frames, unsigned n)
{
	unsigned taken = 0;

	DCHECK(lock_is_held(&depot->lock));
	for (unsigned order = 0; order < DEPOT_ORDERS_NR; order++) {
		for (unsigned type = 0; type < TYPES_NR; type++) {
			unsigned held = depot->held[order][type];
			unsigned some = held < n - taken ? held : n - taken;

			store_relaxed(&depot->held[order][type], (uint16_t)(held - some));
			copy_entries(frames + taken, depot_array(depot, order, type) + held - some,
				     some);
			taken += some;
		}
	}
	return taken;
}

size_t depot_drain(struct pages *p, struct zone *zone)
{
	uint32_t frames[DRAIN_ENTRIES];
	size_t pages = 0;
	unsigned n;

	do {
		lock_token token = lock_acquire(&zone->depot.lock);

		n = depot_take_any_locked(&zone->depot, frames, DRAIN_ENTRIES);
		pages += pcp_frames_to_buddy(p, zone, frames, n);
		lock_release(&zone->depot.lock, token);
	} while (n != 0);
	return pages;
}

uint64_t depot_pages(const struct depot *depot)
{
	uint64_t pages = 0;

	for (unsigned order = 0; order < DEPOT_ORDERS_NR; order++)
		for (unsigned type = 0; type < TYPES_NR; type++)
			pages += (uint64_t)load_relaxed(&depot->held[order][type]) << order;
	return pages;
}
