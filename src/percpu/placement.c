/* SPDX-License-Identifier: MIT */
/*
 * percpu/placement.c - shared by both placements: free pages, and objects of 4 bytes
 *
 * A caller that may wait leaves the reserve of empty pages to callers that may not, and populates
 * new pages instead.  The lowest suitable chunk is used: an active one, else a sidelined one,
 * else a free one (index.c).
 */
#include "percpu/placement.h"
#include "percpu/balance.h"
#include "percpu/index.h"
#include "percpu/map.h"
#include "percpu/object.h"
#include "percpu/place.h"
#include "percpu/populate.h"

/* The first page of the lowest run of @pages set bits, or NONE.  1,0b0110 -> 1; 2,0b0110 -> 1. */
static uint32_t lowest_run(uint64_t bits, uint32_t pages)
{
	for (uint32_t i = 1; i < pages && bits != 0; i++)
		bits &= bits >> 1;
	return bits == 0 ? NONE : bit_lowest(bits);
}

/* ---- searches everywhere ---- */

/* True if a search has failed for a request that was as easy to place and no room has appeared
 * since.  Then another search would fail too, so callers that are refused again and again do not
 * examine every chunk each time. */
bool placement_is_missed_locked(const struct percpu *pc, const struct percpu_request *request)
{
	DCHECK(lock_is_held(&pc->lock));
	return pc->missed.gains == pc->gains && pc->missed.kind == request->kind &&
	       pc->missed.n <= request->n && pc->missed.align <= request->align;
}

void placement_missed_locked(struct percpu *pc, const struct percpu_request *request)
{
	DCHECK(lock_is_held(&pc->lock));
	pc->missed = (struct missed){
		.gains = pc->gains, .n = request->n, .align = request->align, .kind = request->kind
	};
}

/* ---- pages ---- */

int placement_at_locked(struct percpu *pc, struct place place, const struct percpu_request *request,
			struct placed *placed)
{
	uint32_t chunk = place_chunk(pc, place);
	uint64_t pages = place_pages(pc, place, request_bytes(request));
	uint64_t missing = pages & ~pc->chunk[chunk].populated;
	int error;

	DCHECK(lock_is_held(&pc->lock));
	if (missing != 0) {
		placed->missing = bits_count(missing);
		if (request->populated_only)
			return -EAGAIN;
		error = populate_try_locked(pc, chunk, missing, request->charged, request->flags);
		if (error)
			return error;
	}
	object_put_locked(pc, place, request, placed);
	return 0;
}

/*
 * Finds a run of free pages in the lowest chunk of one state.  Runs of the request's own power of
 * two may be too short: at most CHUNKS_MAX chunks with such runs are examined, then only chunks
 * with runs that are certainly long enough.
 */
static uint32_t new_in_state(struct percpu *pc, enum chunk_state state, uint32_t pages,
			     enum free_pages which)
{
	struct sets sets = sets_of_runs(state, which, bit_highest(pages));
	uint32_t chunk = index_next_locked(pc, sets, 0);

	for (uint32_t tries = 1; chunk != NONE; tries++) {
		uint32_t run = lowest_run(chunk_pages(&pc->chunk[chunk], which), pages);

		pc->looks++;
		if (run != NONE)
			return page_number(pc, chunk, run);
		if (tries == CHUNKS_MAX)
			sets = sets_of_runs(state, which, bit_highest(pages) + 1);
		chunk = index_next_locked(pc, sets, chunk + 1);
	}
	return NONE;
}

static uint32_t new_in_any_state(struct percpu *pc, uint32_t pages, enum free_pages which)
{
	uint32_t page = NONE;

	for (enum chunk_state state = CHUNK_ACTIVE; state <= CHUNK_FREE && page == NONE; state++)
		page = new_in_state(pc, state, pages, which);
	return page;
}

/*
 * Places the object at the beginning of free pages: empty ones if it may use them, else the lowest
 * that are not populated.  If there are none, returns -EAGAIN with placed->missing 0: a chunk is
 * missing.
 */
int placement_new_locked(struct percpu *pc, const struct percpu_request *request,
			 struct placed *placed)
{
	uint32_t pages = (uint32_t)((request_bytes(request) - 1) >> pc->page_shift) + 1,
		 page = NONE;
	bool reserve = request->may_use_reserve || pc->empty_pages >= EMPTY_HIGH + pages;

	DCHECK(lock_is_held(&pc->lock));
	placed->missing = 0;
	if (reserve)
		page = new_in_any_state(pc, pages, FREE_POPULATED);
	if (page == NONE && !request->populated_only)
		page = new_in_any_state(pc, pages, reserve ? FREE_ANY : FREE_UNPOPULATED);
	if (page == NONE)
		return -EAGAIN;
	return placement_at_locked(pc, place_of_page(pc, page), request, placed);
}

/* ---- objects of 4 bytes ---- */

static bool four_in_page(struct percpu *pc, uint32_t page, const struct percpu_request *request,
			 struct placed *placed)
{
	if (pc->page[page].free_nr == 0 || !chunk_is_usable(&pc->chunk[page_chunk(pc, page)]))
		return false;
	pc->stream[KIND_FOURS].page = page;
	object_put_locked(pc, place_of_half(page_half(pc, page) + map_find_four(pc, page)), request,
			  placed);
	return true;
}

static bool four_in_holes(struct percpu *pc, const struct percpu_request *request,
			  struct placed *placed)
{
	uint32_t chunk = index_next_locked(pc, (struct sets){ SET_FOURS, SET_FOURS }, 0);

	if (chunk == NONE)
		return false;
	pc->looks++;
	return four_in_page(pc, page_number(pc, chunk, bit_lowest(pc->chunk[chunk].fours)), request,
			    placed);
}

/* A page holds a thousand objects of 4 bytes, so any page of fours with room is used, the latest
 * one first. */
int placement_fours_locked(struct percpu *pc, const struct percpu_request *request,
			   struct placed *placed)
{
	struct stream *stream = &pc->stream[KIND_FOURS];
	int error;

	DCHECK(lock_is_held(&pc->lock));
	if (stream->page != NONE && four_in_page(pc, stream->page, request, placed))
		return 0;
	if (four_in_holes(pc, request, placed))
		return 0;
	stream->page = NONE;
	error = placement_new_locked(pc, request, placed);
	if (!error)
		stream->page = place_page(pc, placed->place);
	return error;
}
