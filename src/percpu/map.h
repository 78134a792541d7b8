/* SPDX-License-Identifier: MIT */
/*
 * percpu/map.h - which granules of a page are used, and where objects begin: map.c
 *
 * A map is 1 << map_shift bytes: half_words words with a bit for each used granule, then as many
 * words with a bit for each boundary, which is a granule where an object begins.  In a page of
 * fours the whole map has one bit for each used half granule.
 */
#ifndef PERCPU_MAP_H
#define PERCPU_MAP_H

#include "percpu/place.h"

/* Frees without the lock ignore a map with this bit, since it is not, or not yet, a map of
 * granules.  The size of a map is a multiple of 128 bytes, so the bit is free; it is set in
 * NONE. */
#define WORDS_HIDDEN 1u

/* ---- a page's map ---- */

/* Gives a page a map in which everything is free. */
uint32_t map_take_locked(struct percpu *pc, uint32_t page);
/* Takes a page's map away; the last map moves into its place. */
void map_give_locked(struct percpu *pc, uint32_t page);
/* Publishes the position of a page's map. */
void map_show_locked(struct percpu *pc, uint32_t page, uint32_t map);

/* ---- granules of one chunk, across pages; a page without a map is free ---- */

bool map_is_used(const struct percpu *pc, uint32_t granule);
/* The first of @n free granules in [from, end) that begin at a multiple of @align, or NONE. */
uint32_t map_find(const struct percpu *pc, uint32_t from, uint32_t end, uint32_t n, uint32_t align);
/* The first used, or free, granule in [from, end), or @end. */
uint32_t map_next_used(const struct percpu *pc, uint32_t from, uint32_t end);
uint32_t map_next_free(const struct percpu *pc, uint32_t from, uint32_t end);
/* The end of the object that begins at @granule. */
uint32_t map_object_end(const struct percpu *pc, uint32_t granule);

/* ---- granules of one page ---- */

/* Marks granules used; with @start, an object begins at @from. */
void map_set(struct percpu *pc, uint32_t from, uint32_t end, bool start);
/* Marks granules free, and clears their boundaries. */
void map_clear(struct percpu *pc, uint32_t from, uint32_t end);
/* Length of the free run that contains [from, end), which was just freed. */
uint32_t map_run_around(const struct percpu *pc, uint32_t from, uint32_t end);
/* Length of the longest free run, or of the first one with @enough granules. */
uint32_t map_longest(const struct percpu *pc, uint32_t page, uint32_t enough);
/* In a page of fours: the index of a free half in the page, or NONE. */
uint32_t map_find_four(const struct percpu *pc, uint32_t page);

static inline uint64_t *map_words(const struct percpu *pc, uint32_t map)
{
	return (uint64_t *)(void *)(pc->maps + ((size_t)map << pc->map_shift));
}

/* The same, from a page's words. */
static inline const uint64_t *map_words_at(const struct percpu *pc, uint32_t words)
{
	return (const uint64_t *)(const void *)(pc->maps + (size_t)words * 64);
}

/* A page's map, or NONE. */
static inline uint32_t page_map(const struct percpu *pc, const struct percpu_page *page)
{
	return page->words == NONE ? NONE : page->words >> (pc->map_shift - 6);
}

static inline bool page_has_map(const struct percpu_page *page)
{
	return page->words != NONE;
}

static inline uint32_t page_words(const struct percpu *pc, const struct percpu_page *page,
				  uint32_t map)
{
	return map << (pc->map_shift - 6) | (page->kind > KIND_SMALL ? WORDS_HIDDEN : 0);
}

/* Index of the map's word that has the granule; the bit in that word is granule % 64. */
static inline uint32_t map_word_in_page(const struct percpu *pc, uint32_t granule)
{
	return granule_in_page(pc, granule) / 64;
}

/* Words of a map's first half: bits of used granules.  As many words of boundaries follow. */
static inline uint32_t map_half(const struct percpu *pc)
{
	return page_granules(pc) / 64;
}

#endif
