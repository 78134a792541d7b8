/* SPDX-License-Identifier: MIT */
/*
 * percpu/object.c - putting objects into a chunk's granules and taking them out
 *
 * Both operations maintain all counts and hints of the pages they touch: free granules, the
 * longest run, the masks of the chunk, holes and use by kind, and which granules are fresh.  The
 * longest run of a page is a lower bound: a free raises it to the run it created; a page that a
 * stream is filling has none until the stream leaves; after an object was put into a hole it is
 * recounted only if that was the longest.
 */
#include "percpu/object.h"
#include "percpu/index.h"
#include "percpu/map.h"

static uint32_t slot_of(uint32_t longest)
{
	return bit_highest(longest);
}

/* Moves the page to the mask of its longest run. */
static void set_longest(struct percpu *pc, uint32_t page, uint32_t longest)
{
	struct percpu_chunk *chunk = &pc->chunk[page_chunk(pc, page)];
	uint64_t bit = page_bit(pc, page);
	struct percpu_page *p = &pc->page[page];

	if (p->kind >= KIND_FOURS)
		longest = 0; /* only objects of the stream use its room */
	if (p->longest == longest)
		return;
	pc->gains += longest > p->longest;
	if (p->longest != 0) {
		chunk->by_longest[slot_of(p->longest)] &= ~bit;
		index_hole_locked(pc, page_chunk(pc, page), p->kind, slot_of(p->longest));
	}
	if (longest != 0) {
		chunk->by_longest[slot_of(longest)] |= bit;
		index_hole_locked(pc, page_chunk(pc, page), p->kind, slot_of(longest));
	}
	p->longest = (uint16_t)longest;
}

/* Notes whether a page of fours has room. */
static void set_fours(struct percpu *pc, uint32_t page, bool room)
{
	struct percpu_chunk *chunk = &pc->chunk[page_chunk(pc, page)];
	uint64_t bit = page_bit(pc, page), was = chunk->fours;

	chunk->fours = room ? was | bit : was & ~bit;
	if ((was != 0) != (chunk->fours != 0))
		index_fours_locked(pc, page_chunk(pc, page));
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static bool is_streamed(const struct percpu *pc, uint32_t page)
{
	uint8_t kind = pc->page[page].kind;

	return kind < STREAMS_NR && pc->stream[kind].page == page;
}

/* The stream leaves the page: from now on searches find its holes. */
void page_left_locked(struct percpu *pc, uint32_t page)
{
	DCHECK(lock_is_held(&pc->lock));
	if (page == NONE || !page_has_map(&pc->page[page]))
		return;
	set_longest(pc, page, map_longest(pc, page, UINT32_MAX));
	chunk_relocate_locked(pc, page_chunk(pc, page));
}

/* A stream enters the page: searches for holes skip it. */
void page_entered_locked(struct percpu *pc, uint32_t page)
{
	DCHECK(lock_is_held(&pc->lock));
	set_longest(pc, page, 0);
	chunk_relocate_locked(pc, page_chunk(pc, page));
}

/* ---- taking ---- */

static void page_begins(struct percpu *pc, uint32_t page, uint8_t kind)
{
	struct percpu_chunk *chunk = &pc->chunk[page_chunk(pc, page)];
	struct percpu_page *p = &pc->page[page];
	uint64_t bit = page_bit(pc, page);
	bool is_first = p->kind >= KIND_STATIC && p->kind != KIND_FREE;

	if (!is_first)
		p->kind = kind;
	map_take_locked(pc, page);
	if (is_first)
		return;
	chunk->kind[kind] |= bit;
	p->free_nr = (uint16_t)(page_granules(pc) << (kind == KIND_FOURS));
	pc->holes[kind] += p->free_nr;
	chunk->free_granules -= kind == KIND_FOURS ? page_granules(pc) : 0;
	chunk->free &= ~bit;
	CHECK_VALUES((chunk->populated & bit) != 0, page, chunk->populated); /* P9 */
	if (!chunk->isolated)
		store_relaxed(&pc->empty_pages, pc->empty_pages - 1);
	chunk_update_free_locked(pc, page_chunk(pc, page));
}

/* Marks granules of one page as used by an object. */
static void page_take(struct percpu *pc, uint32_t from, uint32_t end,
		      const struct percpu_request *request, bool start)
{
	uint32_t page = granule_page(pc, from), n = end - from;
	struct percpu_page *p = &pc->page[page];
	uint32_t run = p->longest;
	bool took_longest;

	if (!page_has_map(p))
		page_begins(pc, page, request->kind);
	took_longest = run != 0 && !is_streamed(pc, page);
	map_set(pc, from, end, start);
	p->free_nr = (uint16_t)(p->free_nr - n);
	if (p->kind < STREAMS_NR) {
		pc->holes[p->kind] -= n;
		pc->used[p->kind] += n;
	}
	if (p->free_nr == 0)
		set_longest(pc, page, 0);
	else if (took_longest) /* stop at a run of the old length; none is longer */
		set_longest(pc, page, least(run, map_longest(pc, page, run)));
	else if (run == 0 && !is_streamed(pc, page))
		set_longest(pc, page, map_longest(pc, page, UINT32_MAX));
	else if (run > p->free_nr)
		set_longest(pc, page, 0);
}

/* Marks the granules used as not fresh.  Returns whether they were fresh. */
static bool use_fresh(struct percpu *pc, uint32_t from, uint32_t end)
{
	struct percpu_page *p = &pc->page[granule_page(pc, from)];
	uint32_t from_in_page = granule_in_page(pc, from);
	uint32_t end_in_page = from_in_page + (end - from);
	bool fresh = from_in_page >= p->fresh;

	if (end_in_page > p->fresh)
		p->fresh = (uint16_t)end_in_page;
	return fresh;
}

/* The end of the part of [from, end) that lies in the page of @from. */
static uint32_t end_in_same_page(const struct percpu *pc, uint32_t from, uint32_t end)
{
	return least((from | pc->granule_mask) + 1, end);
}

static void put_four(struct percpu *pc, struct place place, struct placed *placed)
{
	uint32_t page = place_page(pc, place), half_in_page = place_half_in_page(pc, place);
	struct percpu_page *p = &pc->page[page];
	uint64_t *word;

	if (!page_has_map(p))
		page_begins(pc, page, KIND_FOURS);
	word = map_words(pc, page_map(pc, p)) + half_in_page / 64;
	store_relaxed(word, *word | (uint64_t)1 << half_in_page % 64);
	p->free_nr--;
	set_fours(pc, page, p->free_nr != 0);
	pc->holes[KIND_FOURS]--;
	pc->used[KIND_FOURS]++;
	placed->fresh = false; /* the other half of its granule may have been used */
	placed->seen = p->seen == PAGE_SEEN;
	use_fresh(pc, place_granule(place), place_granule(place) + 1);
}

static void put_granules(struct percpu *pc, uint32_t first, const struct percpu_request *request,
			 struct placed *placed)
{
	uint32_t end = first + request->n;

	for (uint32_t from = first; from < end;) {
		uint32_t stop = end_in_same_page(pc, from, end);

		page_take(pc, from, stop, request, from == first);
		if (!use_fresh(pc, from, stop))
			placed->fresh = false;
		if (pc->page[granule_page(pc, from)].seen != PAGE_SEEN)
			placed->seen = false;
		from = stop;
	}
}

void object_put_locked(struct percpu *pc, struct place place, const struct percpu_request *request,
		       struct placed *placed)
{
	uint32_t chunk = place_chunk(pc, place);
	struct percpu_chunk *c = &pc->chunk[chunk];

	DCHECK(lock_is_held(&pc->lock));
	CHECK_VALUES(chunk_is_usable(c), chunk, c->state);
	*placed = (struct placed){ .place = place, .fresh = true, .seen = true };
	c->objects_nr++;
	if (request->fours) {
		put_four(pc, place, placed);
	} else {
		c->free_granules -= request->n;
		put_granules(pc, place_granule(place), request, placed);
	}
	chunk_after_alloc_locked(pc, chunk);
}

/* ---- giving back ---- */

static void page_ends(struct percpu *pc, uint32_t page)
{
	struct percpu_chunk *chunk = &pc->chunk[page_chunk(pc, page)];
	struct percpu_page *p = &pc->page[page];
	uint64_t bit = page_bit(pc, page);

	set_longest(pc, page, 0);
	map_give_locked(pc, page);
	if (p->kind >= STREAMS_NR)
		return;
	if (is_streamed(pc, page))
		pc->stream[p->kind].page = NONE;
	pc->holes[p->kind] -= p->free_nr;
	chunk->free_granules += p->kind == KIND_FOURS ? page_granules(pc) : 0;
	chunk->kind[p->kind] &= ~bit;
	p->kind = KIND_FREE;
	p->free_nr = (uint16_t)page_granules(pc);
	chunk->free |= bit;
	pc->gains++;
	if (!chunk->isolated)
		store_relaxed(&pc->empty_pages, pc->empty_pages + 1);
	chunk->emptied_ns = pc->tick_ns;
	chunk_update_free_locked(pc, page_chunk(pc, page));
}

static void page_free(struct percpu *pc, uint32_t from, uint32_t end)
{
	uint32_t page = granule_page(pc, from), n = end - from, run;
	struct percpu_page *p = &pc->page[page];

	p->free_nr = (uint16_t)(p->free_nr + n);
	p->seen = PAGE_NOT_SEEN;
	if (p->kind < STREAMS_NR) {
		pc->holes[p->kind] += n;
		pc->used[p->kind] -= n;
	}
	map_clear(pc, from, end);
	if (p->free_nr == page_granules(pc)) {
		page_ends(pc, page);
		return;
	}
	if (is_streamed(pc, page))
		return;
	run = map_run_around(pc, from, end);
	if (run > p->longest)
		set_longest(pc, page, run);
}

static void free_four(struct percpu *pc, struct place place)
{
	uint32_t page = place_page(pc, place), half_in_page = place_half_in_page(pc, place);
	struct percpu_page *p = &pc->page[page];
	uint64_t *word = map_words(pc, page_map(pc, p)) + half_in_page / 64;

	store_relaxed(word, *word & ~((uint64_t)1 << half_in_page % 64));
	p->free_nr++;
	p->seen = PAGE_NOT_SEEN;
	pc->holes[KIND_FOURS]++;
	pc->used[KIND_FOURS]--;
	set_fours(pc, page, p->free_nr != 2 * page_granules(pc));
	if (p->free_nr == 2 * page_granules(pc))
		page_ends(pc, page);
}

static uint32_t free_granules(struct percpu *pc, uint32_t first)
{
	uint32_t end = map_object_end(pc, first);

	for (uint32_t from = first; from < end;) {
		uint32_t stop = end_in_same_page(pc, from, end);

		page_free(pc, from, stop);
		from = stop;
	}
	return end - first;
}

static bool is_of_fours(const struct percpu *pc, struct place place)
{
	return pc->page[place_page(pc, place)].kind == KIND_FOURS;
}

uint32_t object_free_locked(struct percpu *pc, struct place place)
{
	struct percpu_chunk *chunk = &pc->chunk[place_chunk(pc, place)];
	uint32_t granules = 0;

	DCHECK(lock_is_held(&pc->lock));
	chunk->objects_nr--;
	if (is_of_fours(pc, place)) {
		free_four(pc, place);
	} else {
		granules = free_granules(pc, place_granule(place));
		chunk->free_granules += granules;
	}
	return granules;
}

bool object_is_at_locked(const struct percpu *pc, struct place place)
{
	uint32_t chunk = place_chunk(pc, place), granule = place_granule(place), half_in_page;
	const struct percpu_page *p;
	const uint64_t *words;

	DCHECK(lock_is_held(&pc->lock));
	if (chunk >= pc->chunks_end)
		return false;
	p = &pc->page[place_page(pc, place)];
	if (!page_has_map(p)) /* nor has a page of a chunk that is gone */
		return false;
	words = map_words(pc, page_map(pc, p));
	half_in_page = place_half_in_page(pc, place);
	if (p->kind == KIND_FOURS)
		return (words[half_in_page / 64] >> half_in_page % 64 & 1) != 0;
	return half_in_page % 2 == 0 &&
	       (words[pc->half_words + map_word_in_page(pc, granule)] >> granule % 64 & 1) != 0;
}

uint32_t object_bytes_locked(const struct percpu *pc, struct place place)
{
	uint32_t granule = place_granule(place);

	DCHECK(lock_is_held(&pc->lock));
	if (!object_is_at_locked(pc, place))
		return 0;
	if (is_of_fours(pc, place))
		return 4;
	return (map_object_end(pc, granule) - granule) << GRANULE_SHIFT;
}

/* ---- fetching ahead ---- */

void object_prefetch(const struct percpu *pc, struct place place)
{
	if (place_page(pc, place) < load_relaxed(&pc->pages_end)) { /* only what exists: a hint */
		const char *chunk = (const char *)&pc->chunk[place_chunk(pc, place)];

		__builtin_prefetch(&pc->page[place_page(pc, place)]);
		for (size_t i = 0; i < sizeof(struct percpu_chunk); i += 64)
			__builtin_prefetch(chunk + i);
	}
}

void object_prefetch_map_locked(const struct percpu *pc, struct place place)
{
	uint32_t page = place_page(pc, place);

	DCHECK(lock_is_held(&pc->lock));
	if (page < pc->pages_end && page_has_map(&pc->page[page])) {
		const uint64_t *words = map_words(pc, page_map(pc, &pc->page[page])) +
					map_word_in_page(pc, place_granule(place));

		__builtin_prefetch(words);
		__builtin_prefetch(words + pc->half_words);
	}
}
