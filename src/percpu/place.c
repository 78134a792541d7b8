/* SPDX-License-Identifier: MIT */
/*
 * percpu/place.c - what both placements share: free pages, and objects of 4 bytes
 *
 * A caller that may wait leaves the reserve of empty pages to those who may not, and has new pages
 * populated instead: it comes back with the charge that placed->missing asked for.  Chunks are
 * looked through in order of their numbers: active ones, then sidelined, then free ones.
 */
#include "percpu/percpu.h"

/* First page of the lowest run of @pages set bits, or NONE.  1,0b0110 -> 1; 2,0b0110 -> 1. */
static uint32_t lowest_run(uint64_t bits, uint32_t pages)
{
	for (uint32_t i = 1; i < pages && bits != 0; i++)
		bits &= bits >> 1;
	return bits == 0 ? NONE : bit_lowest(bits);
}

/* An object at a given place, populated first if what that takes is charged. */
int place_run_locked(struct percpu *pc, uint32_t chunk, uint32_t at, const struct request *request,
		     uint32_t charged, struct placed *placed)
{
	uint32_t shift = pc->page_granules_shift + (request->fours ? 1u : 0u);
	uint32_t first = at >> shift, last = (at + request->n - 1) >> shift;
	uint64_t pages = ~(uint64_t)0 >> (63 - (last - first)) << first;
	uint64_t missing = pages & ~pc->chunk[chunk].populated;

	DCHECK(lock_is_held(&pc->lock));
	if (missing != 0) {
		placed->missing = bits_count(missing);
		if (request->populated_only || placed->missing > charged)
			return -EAGAIN;
		populate_locked(pc, chunk, missing);
	}
	area_take_locked(pc, chunk, request, at, placed);
	return 0;
}

/* A run of free pages in a chunk of one state. */
static int new_in_state(struct percpu *pc, enum chunk_state state, uint32_t pages, bool populated,
			uint32_t *page)
{
	for (uint32_t i = pc->free_chunk; i < pc->chunks_end; i++) {
		const struct percpu_chunk *chunk = &pc->chunk[i];
		uint64_t free = chunk->free & (populated ? chunk->populated : ~(uint64_t)0);

		if (i == pc->free_chunk && chunk->free == 0)
			pc->free_chunk++;
		if (chunk->state != state || free == 0)
			continue;
		*page = lowest_run(free, pages);
		if (*page == NONE)
			continue;
		*page |= i << pc->pages_shift;
		return 0;
	}
	return -ENOSPC;
}

/*
 * The object at the beginning of free pages: empty ones if it may have them, else the lowest.
 * Returns -EAGAIN with placed->missing 0 if there is none: a chunk is missing.
 */
int place_new_locked(struct percpu *pc, const struct request *request, uint32_t charged,
		     struct placed *placed)
{
	uint32_t shift = pc->page_granules_shift + (request->fours ? 1u : 0u);
	uint32_t pages = (request->n + (1u << shift) - 1) >> shift, page = NONE;
	int error = -ENOSPC;

	DCHECK(lock_is_held(&pc->lock));
	placed->missing = 0;
	if (request->may_use_reserve || pc->empty_pages >= EMPTY_HIGH + pages)
		error = new_in_state(pc, CHUNK_ACTIVE, pages, true, &page);
	if (error && request->may_use_reserve)
		error = new_in_state(pc, CHUNK_FREE, pages, true, &page);
	if (error && request->populated_only && !MUTANT(percpu_starved_by_isolated))
		error = new_in_state(pc, CHUNK_SIDELINED, pages, true, &page);
	if (error && !request->populated_only) {
		error = new_in_state(pc, CHUNK_ACTIVE, pages, false, &page);
		if (error)
			error = new_in_state(pc, CHUNK_SIDELINED, pages, false, &page);
		if (error)
			error = new_in_state(pc, CHUNK_FREE, pages, false, &page);
	}
	if (error)
		return -EAGAIN;
	return place_run_locked(pc, page >> pc->pages_shift, (page & (unit_pages(pc) - 1)) << shift,
				request, charged, placed);
}

/* ---- objects of 4 bytes ---- */

static bool four_in_page(struct percpu *pc, uint32_t page, const struct request *request,
			 struct placed *placed)
{
	uint32_t chunk = page >> pc->pages_shift, in_unit = page & (unit_pages(pc) - 1);

	if (pc->page[page].kind != KIND_FOURS || pc->page[page].free_nr == 0 ||
	    !chunk_is_usable(&pc->chunk[chunk]))
		return false;
	pc->stream[KIND_FOURS].page = page;
	area_take_locked(pc, chunk, request,
			 in_unit << (pc->page_granules_shift + 1) | map_find_four(pc, page),
			 placed);
	return true;
}

static bool four_in_holes(struct percpu *pc, const struct request *request, struct placed *placed)
{
	if (pc->holes[KIND_FOURS] == 0)
		return false;
	for (uint32_t i = pc->hole_chunk[KIND_FOURS]; i < pc->chunks_end; i++) {
		uint64_t pages = pc->chunk[i].kind[KIND_FOURS];

		for (; pages != 0; pages &= pages - 1)
			if (four_in_page(pc, page_number(pc, i, bit_lowest(pages)), request,
					 placed))
				return true;
		if (i == pc->hole_chunk[KIND_FOURS] && chunk_is_usable(&pc->chunk[i]))
			pc->hole_chunk[KIND_FOURS]++;
	}
	return false;
}

/* A thousand to a page: any page of fours with room will do, the last one first. */
int place_fours_locked(struct percpu *pc, const struct request *request, uint32_t charged,
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
	error = place_new_locked(pc, request, charged, placed);
	if (!error)
		stream->page =
			page_number(pc, placed->chunk, placed->at >> (pc->page_granules_shift + 1));
	return error;
}
