/* SPDX-License-Identifier: MIT */
/*
 * percpu/packed.c - placement that lets pages become empty
 *
 * A page can be returned when its last object is freed.  So objects that are freed together
 * should lie together, and small objects should not pin pages of large ones.  The rules, in
 * order; docs/percpu.md shows the effect of each on recordings of a kernel (the option
 * placement_without leaves one out):
 *
 *   apart     objects below 64 bytes have pages of their own.  A page holds dozens of owners'
 *             small objects and one or two owners' large ones: if they were mixed, every remaining
 *             owner would pin one more page.
 *   gaps      As an exception, a small object fills a gap that alignment left before the fill point of the
 *             page of large ones, where its neighbours were allocated at the same time,
 *   slivers   unless the gap is so small that another owner's object would fill it next.
 *   time      The next object goes into the page of the last one, into the first hole from half a page
 *             before the fill point on, so short-lived objects reuse the same place.
 *   holes     older holes are used once they exceed a 20th of what is in use, lowest address
 *             first, so that high pages empty.
 *   across    an object crosses into the next page only if more than 64 bytes would be left over.
 *
 * Sizes that are freed and allocated alternately are served from per-CPU stacks (cache.c) first.
 */
#include "percpu/placement.h"
#include "percpu/balance.h"
#include "percpu/index.h"
#include "percpu/map.h"
#include "percpu/object.h"
#include "percpu/place.h"

#define SLIVER	   3u /* a gap of fewer granules is a sliver */
#define LEFTOVER   8u
#define HOLES_PART 20u

static bool stream_is_usable(struct percpu *pc, const struct stream *stream)
{
	return stream->page != NONE && page_has_map(&pc->page[stream->page]) &&
	       chunk_is_usable(&pc->chunk[page_chunk(pc, stream->page)]);
}

/* The fill point of a stream after an object that ends with @granule. */
static uint32_t fill_to(const struct percpu *pc, uint32_t granule)
{
	return granule_in_page(pc, granule) + 1;
}

/* Puts the object into the first room in [from, end), if there is any. */
static bool put_between(struct percpu *pc, uint32_t from, uint32_t end,
			const struct percpu_request *request, struct placed *placed)
{
	uint32_t granule = map_find(pc, from, end, request->n, request->align);

	if (granule == NONE)
		return false;
	object_put_locked(pc, place_of_granule(granule), request, placed);
	return true;
}

static uint32_t last_granule(const struct percpu_request *request, const struct placed *placed)
{
	return place_granule(placed->place) + request->n - 1;
}

static bool in_gap(struct percpu *pc, const struct percpu_request *request, struct placed *placed)
{
	struct stream *big = &pc->stream[KIND_BIG];
	struct percpu_request wide = *request;
	uint32_t first, end, granule;

	if (request->kind != KIND_SMALL || !has_rule(pc, QUIRE_RULE_GAPS) ||
	    !stream_is_usable(pc, big))
		return false;
	first = page_granule(pc, big->page);
	end = page_granules(pc) - big->fill < LEFTOVER ? page_granules(pc) : big->fill;
	wide.n = wide.n < SLIVER && has_rule(pc, QUIRE_RULE_SLIVERS) ? SLIVER : wide.n;
	if (pc->page[big->page].free_nr - (page_granules(pc) - end) < wide.n)
		return false;
	granule = map_find(pc, first, first + end, wide.n, wide.align);
	if (granule == NONE)
		return false;
	object_put_locked(pc, place_of_granule(granule), request, placed);
	if (fill_to(pc, last_granule(request, placed)) > big->fill)
		big->fill = fill_to(pc, last_granule(request, placed));
	return true;
}

static bool in_stream(struct percpu *pc, const struct percpu_request *request,
		      struct placed *placed)
{
	struct stream *stream = &pc->stream[request->kind];
	uint32_t half = page_granules(pc) / 2, first;

	if (!stream_is_usable(pc, stream) || pc->page[stream->page].free_nr < request->n)
		return false;
	first = page_granule(pc, stream->page);
	if (!put_between(pc, first + (stream->fill > half ? stream->fill - half : 0),
			 first + page_granules(pc), request, placed))
		return false;
	if (fill_to(pc, last_granule(request, placed)) > stream->fill)
		stream->fill = fill_to(pc, last_granule(request, placed));
	return true;
}

/* The chunks and pages that a search may still examine without success. */
struct search {
	uint32_t slot; /* log2 of the smallest hole to consider */
	uint32_t chunks, pages;
};

static bool in_chunk_holes(struct percpu *pc, uint32_t chunk, const struct percpu_request *request,
			   struct search *search, struct placed *placed)
{
	const struct percpu_chunk *c = &pc->chunk[chunk];
	uint64_t pages = 0;

	for (uint32_t slot = search->slot; slot < SLOTS_PAGE_NR; slot++)
		pages |= c->by_longest[slot];
	for (pages &= c->kind[request->kind]; pages != 0 && search->pages != 0;
	     pages &= pages - 1) {
		uint32_t page = page_number(pc, chunk, bit_lowest(pages));

		if (pc->page[page].longest < request->n)
			continue; /* its hole is of the same power of two, but too small */
		search->pages--;
		pc->looks++;
		if (put_between(pc, page_granule(pc, page), page_granule(pc, page + 1), request,
				placed))
			return true;
	}
	search->chunks--;
	pc->looks++;
	return false;
}

/* Uses the lowest hole that fits.  After CHUNKS_MAX chunks or PAGES_MAX pages without success, the
 * next hole that fits at any alignment. */
static bool in_holes_of(struct percpu *pc, bool sidelined, const struct percpu_request *request,
			struct placed *placed)
{
	uint32_t certain = bit_highest(2 * (request->n + request->align - 1) - 1), chunk = 0;
	struct search search = {
		.slot = bit_highest(request->n),
		.chunks = request->everywhere ? UINT32_MAX : CHUNKS_MAX,
		.pages = request->everywhere ? UINT32_MAX : PAGES_MAX,
	};

	while (search.slot < SLOTS_PAGE_NR) {
		chunk = index_next_locked(pc, sets_of_holes(sidelined, request->kind, search.slot),
					  chunk);
		if (chunk == NONE)
			return false;
		if (in_chunk_holes(pc, chunk, request, &search, placed))
			return true;
		if (search.pages == 0 || search.chunks == 0) /* go on with this chunk */
			search = (struct search){ certain, UINT32_MAX, UINT32_MAX };
		else
			chunk++;
	}
	return false;
}

/* Uses an older hole, of sidelined chunks only if the others have none. */
static bool in_holes(struct percpu *pc, const struct percpu_request *request, bool force,
		     struct placed *placed)
{
	uint32_t kind = request->kind;
	uint64_t holes = pc->holes[kind];

	if (pc->stream[kind].page != NONE)
		holes -= pc->page[pc->stream[kind].page].free_nr;
	if (!force && (holes * HOLES_PART <= pc->used[kind] || !has_rule(pc, QUIRE_RULE_HOLES)))
		return false;
	if (request->everywhere && placement_is_missed_locked(pc, request))
		return false;
	if (in_holes_of(pc, false, request, placed) || in_holes_of(pc, true, request, placed))
		return true;
	if (request->everywhere)
		placement_missed_locked(pc, request);
	return false;
}

/* Moves the stream to the page in which the object ends. */
static void stream_follows(struct percpu *pc, const struct percpu_request *request,
			   const struct placed *placed)
{
	struct stream *stream = &pc->stream[request->kind];
	uint32_t last = last_granule(request, placed), left = stream->page;
	uint32_t page = granule_page(pc, last);

	stream->page = page;
	stream->fill = fill_to(pc, last);
	page_entered_locked(pc, page);
	if (left != page)
		page_left_locked(pc, left);
}

/* True if an object may continue in @page, the page after a stream's. */
static bool can_go_on(const struct percpu *pc, uint32_t page, bool may_use_reserve)
{
	const struct percpu_chunk *chunk = &pc->chunk[page_chunk(pc, page)];
	uint64_t bit = page_bit(pc, page);

	if ((chunk->free & bit) == 0)
		return false;
	return may_use_reserve || (chunk->populated & bit) == 0 || pc->empty_pages > EMPTY_HIGH;
}

/* Places an object across the end of the stream's page into the next page, which must be free.
 * Returns 0; -EAGAIN if that is impossible or, with placed->missing set, if maps are missing; or
 * the charge's error. */
static int across(struct percpu *pc, const struct percpu_request *request, struct placed *placed)
{
	struct stream *stream = &pc->stream[request->kind];
	uint32_t page = stream->page, granule;
	int error;

	if (!has_rule(pc, QUIRE_RULE_ACROSS) || !stream_is_usable(pc, stream) ||
	    request->n <= LEFTOVER || page_granules(pc) - stream->fill <= LEFTOVER ||
	    page_offset(pc, page) + 1 == unit_pages(pc) ||
	    !can_go_on(pc, page + 1, request->may_use_reserve))
		return -EAGAIN;
	granule = page_granule(pc, page) + stream->fill;
	granule = (granule + request->align - 1) & ~(request->align - 1);
	if (granule_page(pc, granule) != page ||
	    map_next_used(pc, granule, granule + request->n) != granule + request->n)
		return -EAGAIN;
	error = placement_at_locked(pc, place_of_granule(granule), request, placed);
	if (!error)
		stream_follows(pc, request, placed);
	return error;
}

static int in_new_page(struct percpu *pc, const struct percpu_request *request,
		       struct placed *placed)
{
	int error = placement_new_locked(pc, request, placed);

	if (!error)
		stream_follows(pc, request, placed);
	return error;
}

int placement_packed_locked(struct percpu *pc, const struct percpu_request *request,
			    struct placed *placed)
{
	int error;

	DCHECK(lock_is_held(&pc->lock));
	placed->missing = 0;
	if (request->fours)
		return placement_fours_locked(pc, request, placed);
	if (request->n <= page_granules(pc)) {
		bool any_hole = !has_rule(pc, QUIRE_RULE_TIME);

		if (in_gap(pc, request, placed) ||
		    (any_hole && in_holes(pc, request, true, placed)) ||
		    in_stream(pc, request, placed) || in_holes(pc, request, false, placed))
			return 0;
		error = across(pc, request, placed);
		if (!error || (placed->missing != 0 && !request->populated_only))
			return error;
	}
	error = in_new_page(pc, request, placed);
	/* The last resort, for callers that may not wait and for the last attempt of others. */
	if (error && request->populated_only && request->may_use_reserve &&
	    request->n <= page_granules(pc) && in_holes(pc, request, true, placed))
		return 0;
	return error;
}
