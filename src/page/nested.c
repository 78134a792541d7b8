/* SPDX-License-Identifier: MIT */
/*
 * page/nested.c - serving a caller that may only try locks: a signal handler, QUIRE_NOLOCK
 *
 * The handler may have interrupted a holder of this CPU's lock, of the zone's lock, or of both, and
 * those stay held for as long as it runs.  So it takes any run it can reach, of any type, and cuts runs
 * that are too large.  A run of another type is a steal that ends with its free, which follows the tag
 * of its block.  The sources, in order:
 *
 *   1. this CPU's stacks: sequences, no lock at all
 *   2. the spares: a few runs of each small order kept for this case, in slots that are emptied
 *      and filled by single atomic exchanges.  An instance has none until the first nested call comes
 *      here; then the next ordinary slow path fills the empty slots.
 *   3. the deferred list: frees of signal handlers that were not processed yet
 *   4. other CPUs' lists and the zone's depot, then the buddy, for a bounded number of rounds: their
 *      locks may be held by other threads, which continue meanwhile
 *
 * Spares are cached runs like those on lists: drains empty them, statistics and quire_verify()
 * count them.  They are filled under a pcp lock, so that isolation, which takes every such lock
 * before the last drain of the spares, leaves no page of the block behind (B9).
 *
 * Fork.  A spare is taken without a lock, so a child, whose memory is copied page by page, could have it both as a
 * spare and in use.  So spares are laid aside while a fork holds the doors; both processes have them again.
 *
 * Bound: ROUNDS x (NEIGHBOURS + 2) failed tries, a few microseconds.  The search ends early once the
 * buddy could be locked and had nothing.
 */
#include "page/nested.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/stack.h"
#include "page/depot.h"
#include "page/free.h"
#include "page/layout.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/pcp.h"
#include "page/request.h"
#include "page/rmqueue.h"
#include "page/stacks.h"
#include "page/state.h"
#include "page/zone.h"

#define ROUNDS	   16u
#define NEIGHBOURS 4u

/* Puts a cut-off piece (state CACHED) where the next nested call finds it. */
static void put_piece(struct pages *p, uint32_t frame, unsigned order)
{
	const uint8_t *guard = &p->tag[page_block(p, frame)];
	/* As in quire_free_pages(). */
	uint8_t tag = load_relaxed(guard);

	if (tag >= TAG_SPECIAL ||
	    !stack_push(&p->stacks.cpu, STACK_CLASS(order, tag), frame, guard, tag))
		page_put_frame(p, frame, order, QUIRE_NOLOCK);
}

/* Cuts a run in hand (state CACHED) down to @order.  A piece is a head before the run is shorter: a child of fork, which may
 * begin in between, finds a head wherever a run ends. */
static uint32_t cut(struct pages *p, uint32_t frame, unsigned order)
{
	unsigned state = page_state(p, frame), from = state & STATE_ORDER;

	CHECK_VALUES((state & STATE_KIND) == STATE_CACHED && from >= order, frame, state);
	while (from > order) {
		uint32_t piece = frame + (1u << --from);

		page_set_state(p, piece, (state & ~STATE_ORDER) | from);
		page_set_state(p, frame, (state & ~STATE_ORDER) | from);
		put_piece(p, piece, from);
	}
	return frame;
}

static uint32_t from_stacks(struct pages *p, const struct page_request *request)
{
	struct page_request try = *request;

	for (; pcp_stacks_keep_order(p, try.order) && p->stacks.cpu.slots_nr != 0; try.order++) {
		for (try.type = 0; try.type < TYPES_NR; try.type++) {
			uint32_t frame = stack_pop(&p->stacks.cpu, page_request_class(&try));

			if (frame != STACK_NONE)
				return frame;
		}
	}
	return FRAME_NONE;
}

static uint32_t from_neighbours(struct pages *p, const struct page_request *request)
{
	unsigned slot = (unsigned)stack_slot(&p->stacks.cpu), doors = p->stacks.cpu.all_slots_nr;

	for (unsigned i = 0; i < doors && i <= NEIGHBOURS; i++) {
		struct pcp *pcp = page_pcp(p, request->zone, (slot + i) % doors);
		uint32_t frame = FRAME_NONE;
		lock_token token;

		if (!lock_try(&pcp->door.lock, &token))
			continue;
		if (pcp->door.ready)
			frame = pcp_take_any_locked(p, pcp, request->order);
		lock_release(&pcp->door.lock, token);
		if (frame != FRAME_NONE)
			return frame;
	}
	return FRAME_NONE;
}

static uint32_t from_depot(struct zone *zone, unsigned order)
{
	uint32_t frame;

	for (unsigned o = order; o < DEPOT_ORDERS_NR; o++)
		for (unsigned type = 0; type < TYPES_NR; type++)
			if (depot_take(zone, o, type, &frame, 1) == 1)
				return frame;
	return FRAME_NONE;
}

/* Rounds of attempts at what others hold now and then. */
static uint32_t from_others(struct pages *p, const struct page_request *request)
{
	struct zone *zone = &p->zone[request->zone];

	for (unsigned round = 0; round < ROUNDS; round++) {
		uint32_t frame = from_neighbours(p, request);
		bool asked;

		if (frame == FRAME_NONE)
			frame = from_depot(zone, request->order);
		asked = !lock_is_held(&zone->lock);
		if (frame == FRAME_NONE)
			frame = rmqueue_direct(p, request);
		if (frame != FRAME_NONE || asked)
			return frame;
	}
	return FRAME_NONE;
}

/* ---- spares ---- */

static uint32_t from_spares(struct pages *p, unsigned order)
{
	store_relaxed(&p->spares_used, true); /* pairs with drain_idle() */
	for (unsigned o = order; o < SPARE_ORDERS_NR; o++) {
		for (unsigned i = 0; i < SPARES_NR; i++) {
			/* Pairs with the release in spare_put(). */
			uint32_t frame = exchange_acq_rel(&p->spares[o][i], FRAME_NONE);

			if (frame != FRAME_NONE)
				return frame;
		}
	}
	return FRAME_NONE;
}

static bool spare_put(struct pages *p, unsigned order, uint32_t frame)
{
	for (unsigned i = 0; i < SPARES_NR; i++) {
		uint32_t found = FRAME_NONE;

		/* Pairs with the exchanges in from_spares() and nested_drain(). */
		if (cas_release(&p->spares[order][i], &found, frame))
			return true;
	}
	return false;
}

static unsigned spares_missing(struct pages *p, unsigned order)
{
	unsigned missing = 0;

	for (unsigned i = 0; i < SPARES_NR; i++)
		missing += load_relaxed(&p->spares[order][i]) == FRAME_NONE; /* a hint */
	return missing;
}

static void fill_locked(struct pages *p, struct pcp *pcp)
{
	struct zone *zone = &p->zone[pcp->zone];

	DCHECK(lock_is_held(&pcp->door.lock));
	for (unsigned order = 0; order < SPARE_ORDERS_NR && pcp->high != 0; order++) {
		const struct page_request request = { .order = order,
						      .type = TYPE_UNMOVABLE,
						      .zone = pcp->zone };
		uint32_t frames[SPARES_NR];
		unsigned n = spares_missing(p, order);

		if (n != 0)
			n = rmqueue_bulk(p, zone, &request, frames, n);
		while (n != 0 && spare_put(p, order, frames[n - 1]))
			n--;
		pcp_frames_to_buddy(p, zone, frames, n);
	}
}

void nested_fill(struct pages *p)
{
	lock_token token;
	struct pcp *pcp;

	/* Calls of the forking thread have the doors, too. */
	if (load_relaxed(&p->forking))
		return;
	pcp = pcp_current_try(p, 0, &token);
	if (pcp == NULL)
		return;
	store_relaxed(&p->spares_wanted, false); /* pairs with nested_alloc()'s; a hint */
	fill_locked(p, pcp);
	lock_release(&pcp->door.lock, token);
}

size_t nested_drain(struct pages *p)
{
	uint32_t frames[SPARE_ORDERS_NR * SPARES_NR];
	unsigned n = 0;

	for (unsigned order = 0; order < SPARE_ORDERS_NR; order++) {
		for (unsigned i = 0; i < SPARES_NR; i++) {
			/* Pairs with the release in spare_put(). */
			frames[n] = exchange_acq_rel(&p->spares[order][i], FRAME_NONE);
			n += frames[n] != FRAME_NONE;
		}
	}
	return pcp_frames_to_buddy(p, &p->zone[0], frames, n);
}

void nested_fork_prepare(struct pages *p)
{
	for (unsigned order = 0; order < SPARE_ORDERS_NR; order++)
		for (unsigned i = 0; i < SPARES_NR; i++)
			/* Pairs with the release in spare_put(). */
			p->fork_spares[order][i] =
				exchange_acq_rel(&p->spares[order][i], FRAME_NONE);
}

void nested_fork_done(struct pages *p)
{
	for (unsigned order = 0; order < SPARE_ORDERS_NR; order++)
		for (unsigned i = 0; i < SPARES_NR; i++)
			/* Pairs with the exchanges, as in spare_put(). */
			store_release(&p->spares[order][i], p->fork_spares[order][i]);
}

void nested_init(struct pages *p)
{
	for (unsigned order = 0; order < SPARE_ORDERS_NR; order++)
		for (unsigned i = 0; i < SPARES_NR; i++)
			p->spares[order][i] = FRAME_NONE;
}

uint64_t nested_pages(struct pages *p)
{
	uint64_t pages = 0;

	for (unsigned order = 0; order < SPARE_ORDERS_NR; order++)
		pages += (uint64_t)(SPARES_NR - spares_missing(p, order)) << order;
	return pages;
}

uint32_t nested_alloc(struct pages *p, const struct page_request *request)
{
	uint32_t frame = from_stacks(p, request);

	/* Read by the next ordinary slow path. */
	store_relaxed(&p->spares_wanted, true);
	if (frame == FRAME_NONE && request->zone == 0)
		frame = from_spares(p, request->order);
	if (frame == FRAME_NONE && !request->zone_only)
		frame = page_take_deferred_one(p, request->order);
	if (frame == FRAME_NONE)
		frame = from_others(p, request);
	return frame == FRAME_NONE ? FRAME_NONE : cut(p, frame, request->order);
}
