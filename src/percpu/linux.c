/* SPDX-License-Identifier: MIT */
/*
 * percpu/linux.c - placement as in Linux, for comparison
 *
 * Chunks are tried by their largest hole, beginning with the smallest class that can serve the
 * request: active chunks, then sidelined ones, then free ones.  In a chunk the lowest address that
 * fits is used, across pages if necessary.
 */
#include "percpu/placement.h"
#include "percpu/index.h"
#include "percpu/map.h"

/* Pages that may hold objects of 8 bytes and more. */
static uint64_t open_pages(const struct percpu *pc, uint32_t chunk)
{
	const struct percpu_chunk *c = &pc->chunk[chunk];

	return c->free | c->kind[KIND_BIG] | c->kind[KIND_SMALL];
}

static bool is_populated(const struct percpu *pc, struct place place,
			 const struct percpu_request *request)
{
	uint64_t pages = place_pages(pc, place, request_bytes(request));

	return (pages & ~pc->chunk[place_chunk(pc, place)].populated) == 0;
}

/* First fit in pages [first, end) of one chunk. */
static struct place fit_between(const struct percpu *pc, uint32_t first, uint32_t end,
				const struct percpu_request *request)
{
	uint32_t from = page_granule(pc, first), stop = page_granule(pc, end);

	for (;;) {
		uint32_t granule = map_find(pc, from, stop, request->n, request->align);
		struct place place = place_of_granule(granule);

		if (granule == NONE)
			return PLACE_NONE;
		if (!request->populated_only || is_populated(pc, place, request))
			return place;
		from = page_granule(pc, granule_page(pc, granule) + 1);
	}
}

static struct place fit(const struct percpu *pc, uint32_t chunk,
			const struct percpu_request *request)
{
	uint64_t open = open_pages(pc, chunk);

	while (open != 0) {
		uint32_t first = bit_lowest(open);
		uint64_t rest = ~(open >> first);
		uint32_t end = rest == 0 ? 64 : first + bit_lowest(rest);
		uint32_t before = page_number(pc, chunk, 0);
		struct place place = fit_between(pc, before + first, before + end, request);

		if (!place_is_none(place))
			return place;
		open &= end == 64 ? 0 : ~(uint64_t)0 << end;
	}
	return PLACE_NONE;
}

/* The first list to search.  Cheap but one-sided: a chunk's list reflects only runs inside one page
 * and runs of whole pages.  A run across two pages is found too, but only if its chunk is
 * searched. */
static uint32_t first_list(const struct percpu *pc, uint32_t n)
{
	if (n <= page_granules(pc))
		return bit_highest(n) + 1;
	return LIST_PAGES + bit_highest(((n - 1) >> pc->page_granules_shift) + 1);
}

/* First fit, which gives up after CHUNKS_MAX chunks without room. */
static struct place first_fit(struct percpu *pc, const struct percpu_request *request)
{
	uint32_t tries = request->everywhere ? UINT32_MAX : CHUNKS_MAX;

	for (uint32_t list = first_list(pc, request->n); list <= LIST_FREE; list++) {
		for (uint32_t i = pc->list[list].head; i != NONE; i = pc->chunk[i].next) {
			struct place place;

			if (tries-- == 0)
				return PLACE_NONE;
			pc->looks++;
			place = fit(pc, i, request);
			if (!place_is_none(place))
				return place;
		}
	}
	return PLACE_NONE;
}

/* Uses a chunk whose largest hole fits the object at any alignment. */
static struct place certain_fit(struct percpu *pc, const struct percpu_request *request)
{
	uint32_t least = bit_highest(2 * (request->n + request->align - 1) - 1);

	for (uint32_t list = least + 1; list < LIST_PAGES; list++) {
		uint32_t chunk = pc->list[list].head;

		if (chunk == NONE)
			continue;
		pc->looks++;
		return fit(pc, chunk, request);
	}
	return PLACE_NONE;
}

int placement_linux_locked(struct percpu *pc, const struct percpu_request *request,
			   struct placed *placed)
{
	struct place place;

	DCHECK(lock_is_held(&pc->lock));
	placed->missing = 0;
	if (request->fours)
		return placement_fours_locked(pc, request, placed);
	if (request->everywhere && placement_is_missed_locked(pc, request))
		return -EAGAIN;
	place = first_fit(pc, request);
	if (place_is_none(place))
		place = certain_fit(pc, request);
	if (!place_is_none(place))
		return placement_at_locked(pc, place, request, placed);
	if (request->everywhere)
		placement_missed_locked(pc, request);
	return placement_new_locked(pc, request, placed);
}
