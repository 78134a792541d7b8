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

uint32_t map_take_locked(struct percpu *pc, uint32_t page);
void map_give_locked(struct percpu *pc, uint32_t page);
void map_show_locked(struct percpu *pc, uint32_t page, uint32_t map);
bool map_is_used(const struct percpu *pc, uint32_t page, uint32_t granule);
bool map_is_start(const struct percpu *pc, uint32_t page, uint32_t granule);
uint32_t map_find(const struct percpu *pc, uint32_t chunk, uint32_t from, uint32_t end, uint32_t n,
		  uint32_t align);
uint32_t map_next_used(const struct percpu *pc, uint32_t chunk, uint32_t from, uint32_t end);
uint32_t map_next_free(const struct percpu *pc, uint32_t chunk, uint32_t from, uint32_t end);
uint32_t map_object_end(const struct percpu *pc, uint32_t chunk, uint32_t at);
uint32_t map_longest(const struct percpu *pc, uint32_t page, uint32_t enough);
void map_set(struct percpu *pc, uint32_t page, uint32_t from, uint32_t end, bool start);
void map_clear(struct percpu *pc, uint32_t page, uint32_t from, uint32_t end);
uint32_t map_run_around(const struct percpu *pc, uint32_t page, uint32_t from, uint32_t end);
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

/* Words of used granules; as many of boundaries follow. */
static inline uint32_t map_half(const struct percpu *pc)
{
	return page_granules(pc) / 64;
}

#endif
