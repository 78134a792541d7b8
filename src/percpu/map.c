/* SPDX-License-Identifier: MIT */
/*
 * percpu/map.c - which granules of a page are used, and where objects begin
 *
 * A map has two bits for each granule of 8 bytes: the granule is used, and an object begins
 * there.  Only pages with an object have a map.  Maps are dense: when one is freed, the last one
 * takes its place, so their memory shrinks with the pages in use.  With two CPUs a map is 1.6 %
 * of its page; two maps of 4-byte granules for every page of every chunk would be 3.1 % of what
 * can be populated.  Objects of 4 bytes have pages of their own, where both halves of the map
 * together have one bit for each 4 bytes.
 *
 * Words are written under the lock.  A free reads them without it to check whether an object
 * begins at its address (cache.c), so all accesses are relaxed atomics.
 */
#include "percpu/map.h"

static uint64_t *words_of(const struct percpu *pc, uint32_t page)
{
	uint32_t map = page_map(pc, &pc->page[page]);

	return map == NONE ? NULL : map_words(pc, map);
}

/* Gives a page a map in which everything is free.  Populating has ensured that a map is ready
 * (P5). */
uint32_t map_take_locked(struct percpu *pc, uint32_t page)
{
	uint32_t map = pc->maps_nr;
	uint64_t *words = map_words(pc, map);

	DCHECK(lock_is_held(&pc->lock));
	CHECK_VALUES(map < pc->maps_ready && !page_has_map(&pc->page[page]), map, page);
	/* Release: who still reads here for a page whose map has moved sees that it has.  No scenario misses it, since that was
	 * under an earlier hold of the lock, and no processor lets a store pass the end of one and the beginning of the
	 * next; C wants it. */
	for (uint32_t i = 0; i < 2 * map_half(pc); i++)
		store_release(&words[i], 0);
	pc->maps_nr++;
	pc->map_page[map] = page;
	map_show_locked(pc, page, map);
	return map;
}

/* Publishes where a page's map is, and, depending on the page's kind, whether frees without the
 * lock may read it. */
void map_show_locked(struct percpu *pc, uint32_t page, uint32_t map)
{
	struct percpu_page *p = &pc->page[page];

	DCHECK(lock_is_held(&pc->lock));
	/* Release: pairs with look_at() and ends_with_page(). */
	store_release(&p->words, page_words(pc, p, map));
}

/*
 * Takes a page's map away; the last map moves into its place.  The page's map is hidden before: a free of the object
 * in front of this page looks whether it goes on here (free.c), and would combine a word of the one map with a word of
 * the other.  Release: who has read a word of the map that moves sees that this one is hidden.
 */
void map_give_locked(struct percpu *pc, uint32_t page)
{
	uint32_t map = page_map(pc, &pc->page[page]), last = pc->maps_nr - 1;

	DCHECK(lock_is_held(&pc->lock));
	CHECK_VALUES(map <= last, map, last);
	store_relaxed(&pc->page[page].words, NONE); /* pairs with covers(), look_at() */
	if (map != last) {
		uint64_t *to = map_words(pc, map);
		const uint64_t *from = map_words(pc, last);

		for (uint32_t i = 0; i < 2 * map_half(pc); i++)
			store_release(&to[i], from[i]);
		pc->map_page[map] = pc->map_page[last];
		map_show_locked(pc, pc->map_page[map], map);
	}
	pc->maps_nr = last;
}

static uint64_t word_of(const struct percpu *pc, uint32_t page, uint32_t word)
{
	const uint64_t *words = words_of(pc, page);

	return words == NULL ? 0 : load_relaxed(&words[word]);
}

/* The map words that hold a granule's used bit and its boundary bit. */
static uint64_t used_at(const struct percpu *pc, uint32_t granule)
{
	return word_of(pc, granule_page(pc, granule), map_word_in_page(pc, granule));
}

static uint64_t starts_at(const struct percpu *pc, uint32_t granule)
{
	return word_of(pc, granule_page(pc, granule), map_half(pc) + map_word_in_page(pc, granule));
}

bool map_is_used(const struct percpu *pc, uint32_t granule)
{
	return (used_at(pc, granule) >> granule % 64 & 1) != 0;
}

/* The first granule in [from, end) that is used, or free if @flip is all ones; @end if there is
 * none. */
static uint32_t next_bit(const struct percpu *pc, uint32_t from, uint32_t end, uint64_t flip)
{
	while (from < end) {
		uint64_t word = (used_at(pc, from) ^ flip) & ~(uint64_t)0 << from % 64;

		if (word != 0) {
			from = (from & ~63u) + bit_lowest(word);
			return from < end ? from : end;
		}
		from = (from & ~63u) + 64;
	}
	return end;
}

uint32_t map_next_used(const struct percpu *pc, uint32_t from, uint32_t end)
{
	return next_bit(pc, from, end, 0);
}

uint32_t map_next_free(const struct percpu *pc, uint32_t from, uint32_t end)
{
	return next_bit(pc, from, end, ~(uint64_t)0);
}

uint32_t map_find(const struct percpu *pc, uint32_t from, uint32_t end, uint32_t n, uint32_t align)
{
	for (;;) {
		uint32_t used;

		from = map_next_free(pc, from, end);
		from = (from + align - 1) & ~(align - 1);
		if (from + n > end)
			return NONE;
		used = map_next_used(pc, from, from + n);
		if (used == from + n)
			return from;
		from = used;
	}
}

uint32_t map_object_end(const struct percpu *pc, uint32_t granule)
{
	uint32_t chunk_end = (granule | (unit_granules(pc) - 1)) + 1;
	const uint64_t *words = words_of(pc, granule_page(pc, granule));
	uint32_t word = map_word_in_page(pc, granule);
	uint64_t near = (words[pc->half_words + word] | ~words[word]) >> granule % 64 >> 1;

	if (LIKELY(near != 0))
		return granule + 1 + bit_lowest(near);
	for (uint32_t from = (granule & ~63u) + 64; from < chunk_end; from += 64) {
		uint64_t ends = ~used_at(pc, from) | starts_at(pc, from);

		/* The map of a page of fours has another format. */
		if (pc->page[granule_page(pc, from)].kind == KIND_FOURS)
			return from;
		if (ends != 0)
			return from + bit_lowest(ends);
	}
	return chunk_end;
}

uint32_t map_longest(const struct percpu *pc, uint32_t page, uint32_t enough)
{
	uint32_t from = page_granule(pc, page), end = from + page_granules(pc), longest = 0;

	while (from + longest < end && longest < enough) {
		uint32_t start = map_next_free(pc, from, end);

		from = map_next_used(pc, start, end);
		longest = from - start > longest ? from - start : longest;
	}
	return longest;
}

/* Release: a free without the lock that sees a bit sees what was written before it. */
static void set_words(uint64_t *words, uint32_t from, uint32_t end, bool value)
{
	while (from < end) {
		uint32_t stop = (from & ~63u) + 64 < end ? (from & ~63u) + 64 : end;
		uint64_t bits = ~(uint64_t)0 >> (64 - (stop - from)) << from % 64;
		uint64_t word = words[from / 64];

		store_release(&words[from / 64], value ? word | bits : word & ~bits);
		from = stop;
	}
}

/*
 * A granule's two bits are in two words.  A free without the lock reads the used bit first, then
 * the boundary.  If it saw the first granule of an object as used but without a boundary, it would
 * take that object for a part of the one before.  So the boundary is set before the used bits and
 * cleared after them.  In between, a counter of changes is incremented, so a reader that has
 * combined the old used bit with the new boundary finds that the counter has changed.  Pairs with
 * quire_free_percpu() and free_past_word().
 */

void map_set(struct percpu *pc, uint32_t from, uint32_t end, bool start)
{
	uint64_t *words = words_of(pc, granule_page(pc, from));
	uint32_t from_in_page = granule_in_page(pc, from);

	if (start)
		set_words(words + map_half(pc), from_in_page, from_in_page + 1, true);
	set_words(words, from_in_page, from_in_page + (end - from), true);
}

void map_clear(struct percpu *pc, uint32_t from, uint32_t end)
{
	uint64_t *words = words_of(pc, granule_page(pc, from));
	uint32_t from_in_page = granule_in_page(pc, from);

	set_words(words, from_in_page, from_in_page + (end - from), false);
	store_release(&pc->changes, pc->changes + 1);
	set_words(words + map_half(pc), from_in_page, from_in_page + 1, false);
}

/* ---- runs ---- */

/* The number of free granules directly below @granule_in_page.  Used bits 0b0110, 3: 0; 0b0010, 4:
 * 2. */
static uint32_t free_below(const uint64_t *words, uint32_t granule_in_page)
{
	uint32_t from = granule_in_page;

	while (from > 0) {
		uint64_t word = words[(from - 1) / 64] << (63 - (from - 1) % 64);

		if (word != 0)
			return granule_in_page - (from - (63 - bit_highest(word)));
		from = (from - 1) & ~63u;
	}
	return granule_in_page;
}

/* The number from @granule_in_page upwards, to the @end of the page.  0b0110, 0: 1; 0b1000, 1:
 * 2. */
static uint32_t free_above(const uint64_t *words, uint32_t granule_in_page, uint32_t end)
{
	for (uint32_t from = granule_in_page; from < end; from = (from & ~63u) + 64) {
		uint64_t word = words[from / 64] >> from % 64;

		if (word != 0)
			return from + bit_lowest(word) - granule_in_page;
	}
	return end - granule_in_page;
}

uint32_t map_run_around(const struct percpu *pc, uint32_t from, uint32_t end)
{
	const uint64_t *words = words_of(pc, granule_page(pc, from));
	uint32_t from_in_page = granule_in_page(pc, from), n = end - from;

	return free_below(words, from_in_page) + n +
	       free_above(words, from_in_page + n, page_granules(pc));
}

uint32_t map_find_four(const struct percpu *pc, uint32_t page)
{
	for (uint32_t i = 0; i < 2 * map_half(pc); i++) {
		uint64_t word = ~word_of(pc, page, i);

		if (word != 0)
			return i * 64 + bit_lowest(word);
	}
	return NONE;
}
