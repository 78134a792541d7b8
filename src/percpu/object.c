/* SPDX-License-Identifier: MIT */
/*
 * percpu/object.c - objects put into a chunk's granules and taken out again
 *
 * Both keep everything that is counted or hinted about the pages they touch: free granules, the
 * longest run, the masks of the chunk, holes and use by kind, what is fresh.  The longest run of a
 * page is kept from below: a free raises it to the run it made; what a stream fills has none until
 * the stream leaves; an object put into a hole has it counted again only if it took the longest.
 */
#include "percpu/object.h"
#include "percpu/index.h"
#include "percpu/map.h"

static uint32_t slot_of(uint32_t longest)
{
	return bit_highest(longest);
}

/* Puts the page into the mask of its longest run. */
static void set_longest(struct percpu *pc, uint32_t page, uint32_t longest)
{
	struct percpu_chunk *chunk = &pc->chunk[page >> pc->pages_shift];
	uint64_t bit = (uint64_t)1 << (page & (unit_pages(pc) - 1));
	struct percpu_page *p = &pc->page[page];

	if (p->kind >= KIND_FOURS)
		longest = 0; /* only objects that belong there find room there */
	if (p->longest == longest)
		return;
	pc->gains += longest > p->longest;
	if (p->longest != 0) {
		chunk->by_longest[slot_of(p->longest)] &= ~bit;
		index_hole_locked(pc, page >> pc->pages_shift, p->kind, slot_of(p->longest));
	}
	if (longest != 0) {
		chunk->by_longest[slot_of(longest)] |= bit;
		index_hole_locked(pc, page >> pc->pages_shift, p->kind, slot_of(longest));
	}
	p->longest = (uint16_t)longest;
}

/* A page of fours has room, or none. */
static void set_fours(struct percpu *pc, uint32_t page, bool room)
{
	struct percpu_chunk *chunk = &pc->chunk[page >> pc->pages_shift];
	uint64_t bit = (uint64_t)1 << (page & (unit_pages(pc) - 1)), was = chunk->fours;

	chunk->fours = room ? was | bit : was & ~bit;
	if ((was != 0) != (chunk->fours != 0))
		index_fours_locked(pc, page >> pc->pages_shift);
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

/* A stream goes elsewhere: from now on the page's holes can be found. */
void page_left_locked(struct percpu *pc, uint32_t page)
{
	DCHECK(lock_is_held(&pc->lock));
	if (page == NONE || !page_has_map(&pc->page[page]) || pc->page[page].kind == KIND_FOURS)
		return;
	set_longest(pc, page, map_longest(pc, page, UINT32_MAX));
	chunk_relocate_locked(pc, page >> pc->pages_shift);
}

/* A stream begins there: the search for holes passes it over. */
void page_entered_locked(struct percpu *pc, uint32_t page)
{
	DCHECK(lock_is_held(&pc->lock));
	set_longest(pc, page, 0);
	chunk_relocate_locked(pc, page >> pc->pages_shift);
}

/* ---- taking ---- */

static void page_begins(struct percpu *pc, uint32_t page, uint8_t kind)
{
	struct percpu_chunk *chunk = &pc->chunk[page >> pc->pages_shift];
	struct percpu_page *p = &pc->page[page];
	uint64_t bit = (uint64_t)1 << (page & (unit_pages(pc) - 1));
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
	if (chunk->populated & bit && !chunk->isolated)
		store_relaxed(&pc->empty_pages, pc->empty_pages - 1);
	chunk_update_free_locked(pc, page >> pc->pages_shift);
}

/* Granules [from, end) of one page become an object's. */
static void page_take(struct percpu *pc, uint32_t page, uint32_t from, uint32_t end,
		      const struct percpu_request *request, bool start)
{
	struct percpu_page *p = &pc->page[page];
	uint32_t n = end - from, run = p->longest;
	bool took_longest;

	if (!page_has_map(p))
		page_begins(pc, page, request->kind);
	took_longest = run != 0 && !is_streamed(pc, page);
	map_set(pc, page, from, end, start);
	p->free_nr = (uint16_t)(p->free_nr - n);
	if (p->kind < STREAMS_NR) {
		pc->holes[p->kind] -= n;
		pc->used[p->kind] += n;
	}
	if (p->free_nr == 0)
		set_longest(pc, page, 0);
	else if (took_longest) /* it is not longer than before: another of its length will do */
		set_longest(pc, page, least(run, map_longest(pc, page, run)));
	else if (run == 0 && !is_streamed(pc, page))
		set_longest(pc, page, map_longest(pc, page, UINT32_MAX));
	else if (run > p->free_nr)
		set_longest(pc, page, 0);
}

/* Marks what is used from here on as not fresh; returns whether it was. */
static bool use_fresh(struct percpu *pc, uint32_t page, uint32_t from, uint32_t end)
{
	struct percpu_page *p = &pc->page[page];
	bool fresh = from >= p->fresh;

	if (end > p->fresh)
		p->fresh = (uint16_t)end;
	return fresh;
}

static void take_four(struct percpu *pc, uint32_t chunk, uint32_t half, struct placed *placed)
{
	uint32_t halves = page_granules(pc) * 2, in_page = half & (halves - 1);
	uint32_t page = page_number(pc, chunk, half / halves);
	struct percpu_page *p = &pc->page[page];
	uint64_t *words;

	if (!page_has_map(p))
		page_begins(pc, page, KIND_FOURS);
	words = map_words(pc, page_map(pc, p));
	store_relaxed(&words[in_page / 64], words[in_page / 64] | (uint64_t)1 << in_page % 64);
	p->free_nr--;
	set_fours(pc, page, p->free_nr != 0);
	pc->holes[KIND_FOURS]--;
	pc->used[KIND_FOURS]++;
	placed->fresh = false; /* the other half of its granule may have been used */
	placed->seen = p->seen == PAGE_SEEN;
	use_fresh(pc, page, in_page / 2, in_page / 2 + 1);
}

/*
 * Puts an object where there is room in populated pages: at granule @at of the chunk's unit, or at
 * that half granule for an object of 4 bytes.
 */
void object_put_locked(struct percpu *pc, uint32_t chunk, const struct percpu_request *request,
		       uint32_t at, struct placed *placed)
{
	struct percpu_chunk *c = &pc->chunk[chunk];
	uint32_t mask = page_granules(pc) - 1, end = at + request->n;

	DCHECK(lock_is_held(&pc->lock));
	CHECK_VALUES(chunk_is_usable(c), chunk, c->state);
	*placed = (struct placed){ .chunk = chunk, .at = at, .fresh = true, .seen = true };
	c->objects_nr++;
	if (request->fours) {
		take_four(pc, chunk, at, placed);
	} else {
		c->free_granules -= request->n;
		for (uint32_t from = at; from < end;) {
			uint32_t page = page_number(pc, chunk, from >> pc->page_granules_shift);
			uint32_t stop = (from | mask) + 1 < end ? (from | mask) + 1 : end;

			page_take(pc, page, from & mask, ((stop - 1) & mask) + 1, request,
				  from == at);
			if (!use_fresh(pc, page, from & mask, ((stop - 1) & mask) + 1))
				placed->fresh = false;
			if (pc->page[page].seen != PAGE_SEEN)
				placed->seen = false;
			from = stop;
		}
	}
	chunk_after_alloc_locked(pc, chunk);
}

/* ---- giving back ---- */

static void page_ends(struct percpu *pc, uint32_t page)
{
	struct percpu_chunk *chunk = &pc->chunk[page >> pc->pages_shift];
	struct percpu_page *p = &pc->page[page];
	uint64_t bit = (uint64_t)1 << (page & (unit_pages(pc) - 1));

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
	chunk_update_free_locked(pc, page >> pc->pages_shift);
}

static void page_free(struct percpu *pc, uint32_t page, uint32_t from, uint32_t end)
{
	struct percpu_page *p = &pc->page[page];
	uint32_t n = end - from, run;

	p->free_nr = (uint16_t)(p->free_nr + n);
	p->seen = PAGE_NOT_SEEN;
	if (p->kind < STREAMS_NR) {
		pc->holes[p->kind] += n;
		pc->used[p->kind] -= n;
	}
	map_clear(pc, page, from, end);
	if (p->free_nr == page_granules(pc)) {
		page_ends(pc, page);
		return;
	}
	if (is_streamed(pc, page))
		return;
	run = map_run_around(pc, page, from, end);
	if (run > p->longest)
		set_longest(pc, page, run);
}

static void free_four(struct percpu *pc, uint32_t chunk, uint32_t half)
{
	uint32_t halves = page_granules(pc) * 2, in_page = half & (halves - 1);
	uint32_t page = page_number(pc, chunk, half / halves);
	struct percpu_page *p = &pc->page[page];
	uint64_t *words = map_words(pc, page_map(pc, p));

	store_relaxed(&words[in_page / 64], words[in_page / 64] & ~((uint64_t)1 << in_page % 64));
	p->free_nr++;
	p->seen = PAGE_NOT_SEEN;
	pc->holes[KIND_FOURS]++;
	pc->used[KIND_FOURS]--;
	set_fours(pc, page, p->free_nr != halves);
	if (p->free_nr == halves)
		page_ends(pc, page);
}

/* Frees the object that begins at granule @at (or half granule, in a page of fours), which was
 * checked.  Returns the granules it had.  The caller asks what the chunk is to become. */
uint32_t object_free_locked(struct percpu *pc, uint32_t chunk, uint32_t at, bool half)
{
	uint32_t mask = page_granules(pc) - 1, end = half ? at + 1 : map_object_end(pc, chunk, at);

	DCHECK(lock_is_held(&pc->lock));
	pc->chunk[chunk].objects_nr--;
	if (half) {
		free_four(pc, chunk, at);
		return 1;
	}
	pc->chunk[chunk].free_granules += end - at;
	for (uint32_t from = at; from < end;) {
		uint32_t page = page_number(pc, chunk, from >> pc->page_granules_shift);
		uint32_t stop = (from | mask) + 1 < end ? (from | mask) + 1 : end;

		page_free(pc, page, from & mask, ((stop - 1) & mask) + 1);
		from = stop;
	}
	return end - at;
}

/* Does an object begin there? */
bool object_is_at_locked(const struct percpu *pc, uint64_t linear)
{
	uint32_t chunk = (uint32_t)(linear >> pc->unit_shift);
	uint32_t inside = (uint32_t)linear & ((1u << pc->page_shift) - 1);
	const struct percpu_page *p;

	DCHECK(lock_is_held(&pc->lock));
	if (chunk >= pc->chunks_end || pc->chunk[chunk].state == CHUNK_NONE)
		return false;
	p = &pc->page[linear >> pc->page_shift];
	if (!page_has_map(p) || inside % 4 != 0)
		return false;
	if (p->kind == KIND_FOURS)
		return (map_words(pc, page_map(pc, p))[inside / 256] >> inside / 4 % 64 & 1) != 0;
	return inside % 8 == 0 &&
	       (map_words(pc, page_map(pc, p))[pc->half_words + inside / 512] >> inside / 8 % 64 &
		1) != 0;
}

/* Size in bytes of the object that begins there, 0 if none does. */
uint32_t object_bytes_locked(const struct percpu *pc, uint64_t linear)
{
	uint32_t chunk = (uint32_t)(linear >> pc->unit_shift);
	uint32_t byte = (uint32_t)(linear & (((uint64_t)1 << pc->unit_shift) - 1));

	DCHECK(lock_is_held(&pc->lock));
	if (!object_is_at_locked(pc, linear))
		return 0;
	if (pc->page[linear >> pc->page_shift].kind == KIND_FOURS)
		return 4;
	return (map_object_end(pc, chunk, byte / 8) - byte / 8) * 8;
}
