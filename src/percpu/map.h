/* SPDX-License-Identifier: MIT */
/*
 * percpu/map.h - which granules of a page are used, and where objects begin: map.c
 *
 * A map is 1 << map_shift bytes: half_words words of used granules, then as many of boundaries (an object
 * begins here).  In a page of fours all of it is one bit for each used half granule.
 */
#ifndef PERCPU_MAP_H
#define PERCPU_MAP_H

#include "percpu/place.h"

/* Frees without the lock pass such a map by: it is no map of granules, or not yet.  A map is a multiple
 * of 128 bytes, so the bit is free, and it is set in NONE. */
#define WORDS_HIDDEN 1u

/* ---- a page's map ---- */

/* A map that reads all free. */
uint32_t map_take_locked(struct percpu *pc, uint32_t page);
/* The last map moves into its place. */
void map_give_locked(struct percpu *pc, uint32_t page);
/* Says where a page's map is now. */
void map_show_locked(struct percpu *pc, uint32_t page, uint32_t map);

/* ---- granules, which may be of several pages of one chunk; a page without a map is free ---- */

bool map_is_used(const struct percpu *pc, uint32_t granule);
/* The first @n free ones in [from, end) that begin at a multiple of @align, or NONE. */
uint32_t map_find(const struct percpu *pc, uint32_t from, uint32_t end, uint32_t n, uint32_t align);
/* The first one in [from, end), or @end. */
uint32_t map_next_used(const struct percpu *pc, uint32_t from, uint32_t end);
uint32_t map_next_free(const struct percpu *pc, uint32_t from, uint32_t end);
/* Where the object that begins there ends. */
uint32_t map_object_end(const struct percpu *pc, uint32_t granule);

/* ---- granules of one page ---- */

/* Used; @start: an object begins with the first one. */
void map_set(struct percpu *pc, uint32_t from, uint32_t end, bool start);
/* Free, and without a boundary. */
void map_clear(struct percpu *pc, uint32_t from, uint32_t end);
/* Length of the free run that [from, end), just freed, is part of. */
uint32_t map_run_around(const struct percpu *pc, uint32_t from, uint32_t end);
/* The longest free run, or the first one of @enough granules. */
uint32_t map_longest(const struct percpu *pc, uint32_t page, uint32_t enough);
/* In a page of fours: a free half, counted in the page, or NONE. */
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

/* Which of a map's words has the granule; its bit there is granule % 64. */
static inline uint32_t map_word_in_page(const struct percpu *pc, uint32_t granule)
{
	return granule_in_page(pc, granule) / 64;
}

/* Words of used granules; as many of boundaries follow. */
static inline uint32_t map_half(const struct percpu *pc)
{
	return page_granules(pc) / 64;
}

#endif
