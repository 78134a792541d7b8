/* SPDX-License-Identifier: MIT */
/*
 * percpu/place.c - what both placements share: free pages, and objects of 4 bytes
 *
 * A caller that may wait leaves the reserve of empty pages to those who may not, and has new pages
 * populated instead: it comes back with the charge that placed->missing asked for.  Chunks are
 * looked through in order of their numbers: active ones, then sidelined, then free ones.
 */
#include "percpu/map.h"

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

enum which {
	POPULATED,
	UNPOPULATED,
	ANY,
};

static uint64_t free_pages(const struct percpu_chunk *chunk, enum which which)
{
	if (which == ANY)
		return chunk->free;
	return chunk->free & (which == POPULATED ? chunk->populated : ~chunk->populated);
}

/* A run of free pages in the lowest chunk of some lists: active chunks with free pages have lists of
 * their own, so those without are not looked at. */
static int new_in_lists(struct percpu *pc, uint32_t first, uint32_t last, uint32_t pages,
			enum which which, uint32_t *page)
{
	*page = NONE;
	for (uint32_t list = first; list <= last; list++) {
		for (uint32_t i = pc->list[list].head; i != NONE; i = pc->chunk[i].next) {
			uint32_t run = NONE;

			if (*page == NONE || i < *page >> pc->pages_shift)
				run = lowest_run(free_pages(&pc->chunk[i], which), pages);
			if (run != NONE)
				*page = page_number(pc, i, run);
		}
	}
	return *page != NONE ? 0 : -ENOSPC;
}

static int new_in_any_state(struct percpu *pc, uint32_t pages, enum which which, uint32_t *page)
{
	int error = -ENOSPC;

	if (MUTANT(percpu_scan_reaches_to_depopulate)) /* R2 */
		error = new_in_lists(pc, LIST_TO_DEPOPULATE, LIST_TO_DEPOPULATE, pages, which,
				     page);
	if (error)
		error = new_in_lists(pc, LIST_PAGES + bit_highest(pages), LIST_SIDELINED - 1, pages,
				     which, page);
	if (error)
		error = new_in_lists(pc, LIST_SIDELINED, LIST_SIDELINED, pages, which, page);
	if (error)
		error = new_in_lists(pc, LIST_FREE, LIST_FREE, pages, which, page);
	return error;
}

/*
 * The object at the beginning of free pages: empty ones if it may have them, else the lowest that
 * are not populated.  Returns -EAGAIN with placed->missing 0 if there is none: a chunk is missing.
 */
int place_new_locked(struct percpu *pc, const struct request *request, uint32_t charged,
		     struct placed *placed)
{
	uint32_t shift = pc->page_granules_shift + (request->fours ? 1u : 0u);
	uint32_t pages = (request->n + (1u << shift) - 1) >> shift, page = NONE;
	bool reserve = request->may_use_reserve || pc->empty_pages >= EMPTY_HIGH + pages;
	int error = -ENOSPC;

	DCHECK(lock_is_held(&pc->lock));
	placed->missing = 0;
	if (reserve)
		error = new_in_any_state(pc, pages, POPULATED, &page);
	if (error && !request->populated_only)
		error = new_in_any_state(pc, pages, reserve ? ANY : UNPOPULATED, &page);
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
