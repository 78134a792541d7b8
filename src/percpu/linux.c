/* SPDX-License-Identifier: MIT */
/*
 * percpu/linux.c - placement as in Linux, for comparison
 *
 * Chunks by their largest hole, the smallest class that can serve first; in a chunk the lowest
 * address that fits, across pages if need be; sidelined chunks after active ones, free ones last.
 */
#include "percpu/placement.h"
#include "percpu/index.h"
#include "percpu/map.h"

/* Pages that objects of 8 bytes and more may be in. */
static uint64_t open_pages(const struct percpu *pc, uint32_t chunk)
{
	const struct percpu_chunk *c = &pc->chunk[chunk];

	return c->free | c->kind[KIND_BIG] | c->kind[KIND_SMALL];
}

static bool is_populated(const struct percpu *pc, uint32_t chunk, uint32_t at, uint32_t n)
{
	uint32_t first = at >> pc->page_granules_shift,
		 last = (at + n - 1) >> pc->page_granules_shift;
	uint64_t pages = ~(uint64_t)0 >> (63 - (last - first)) << first;

	return (pages & ~pc->chunk[chunk].populated) == 0;
}

/* First fit between two page offsets. */
static uint32_t fit_between(const struct percpu *pc, uint32_t chunk, uint32_t first, uint32_t end,
			    const struct percpu_request *request)
{
	uint32_t from = first << pc->page_granules_shift, stop = end << pc->page_granules_shift;

	for (;;) {
		uint32_t at = map_find(pc, chunk, from, stop, request->n, request->align);

		if (at == NONE || !request->populated_only ||
		    is_populated(pc, chunk, at, request->n))
			return at;
		from = ((at >> pc->page_granules_shift) + 1) << pc->page_granules_shift;
	}
}

static uint32_t fit(const struct percpu *pc, uint32_t chunk, const struct percpu_request *request)
{
	uint64_t open = open_pages(pc, chunk);

	while (open != 0) {
		uint32_t first = bit_lowest(open);
		uint64_t rest = ~(open >> first);
		uint32_t end = rest == 0 ? 64 : first + bit_lowest(rest);
		uint32_t at = fit_between(pc, chunk, first, end, request);

		if (at != NONE)
			return at;
		open &= end == 64 ? 0 : ~(uint64_t)0 << end;
	}
	return NONE;
}

/* Cheap and one-sided: what stands in a chunk's list is a run inside a page, or whole pages; a run
 * across two pages is found too, when the chunk is looked at. */
static uint32_t first_list(const struct percpu *pc, uint32_t n)
{
	if (n <= page_granules(pc))
		return bit_highest(n) + 1;
	return LIST_PAGES + bit_highest(((n - 1) >> pc->page_granules_shift) + 1);
}

/* First fit, but CHUNKS_MAX chunks are looked at in vain at most. */
static bool first_fit(struct percpu *pc, const struct percpu_request *request, uint32_t *chunk,
		      uint32_t *at)
{
	uint32_t tries = request->everywhere ? UINT32_MAX : CHUNKS_MAX;

	for (uint32_t list = first_list(pc, request->n); list <= LIST_FREE; list++) {
		for (uint32_t i = pc->list[list].head; i != NONE; i = pc->chunk[i].next) {
			if (tries-- == 0)
				return false;
			pc->looks++;
			*chunk = i;
			*at = fit(pc, i, request);
			if (*at != NONE)
				return true;
		}
	}
	return false;
}

/* A chunk whose largest hole is large enough wherever it begins. */
static bool certain_fit(struct percpu *pc, const struct percpu_request *request, uint32_t *chunk,
			uint32_t *at)
{
	uint32_t least = bit_highest(2 * (request->n + request->align - 1) - 1);

	for (uint32_t list = least + 1; list < LIST_PAGES; list++) {
		*chunk = pc->list[list].head;
		if (*chunk == NONE)
			continue;
		pc->looks++;
		*at = fit(pc, *chunk, request);
		return *at != NONE;
	}
	return false;
}

int placement_linux_locked(struct percpu *pc, const struct percpu_request *request,
			   uint32_t charged, struct placed *placed)
{
	uint32_t chunk, at;

	DCHECK(lock_is_held(&pc->lock));
	placed->missing = 0;
	if (request->fours)
		return placement_fours_locked(pc, request, charged, placed);
	if (request->everywhere && placement_is_missed_locked(pc, request))
		return -EAGAIN;
	if (first_fit(pc, request, &chunk, &at) || certain_fit(pc, request, &chunk, &at))
		return placement_run_locked(pc, chunk, at, request, charged, placed);
	if (request->everywhere)
		placement_missed_locked(pc, request);
	return placement_new_locked(pc, request, charged, placed);
}
