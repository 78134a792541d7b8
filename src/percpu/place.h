/* SPDX-License-Identifier: MIT */
/*
 * percpu/place.h - positions in per-CPU memory, and conversions between their units
 *
 * An object occupies the same bytes of every unit, so one number gives its position on all CPUs.  Imagine
 * CPU 0's units of all chunks laid end to end in the order of chunk numbers.  Positions in that sequence
 * are counted in five units:
 *
 *   place      bytes.  A multiple of 4, since objects begin at multiples of 4.
 *   granule    8 bytes.  Every granule's number fits into 32 bits (space.c).  Maps, the search for room and
 *              the stacks use granules; only objects of 4 bytes can begin in the middle of one.
 *   half       4 bytes: half a granule; 64 bits wide.  Objects of 4 bytes have pages of their own, and the
 *              maps of those pages count in halves.  So does the deferred bitmap.
 *   page       pages: the index into pc->page.
 *   chunk      units: the index into pc->chunk.
 *
 * A range of granules is [from, end).  A function's name says which of the five it returns; a name that
 * ends in _in_page counts from the beginning of the page.
 */
#ifndef PERCPU_PLACE_H
#define PERCPU_PLACE_H

#include "percpu/percpu.h"

struct place {
	uint64_t byte;
};

/* Converts to page NONE and chunk NONE, which are never below pages_end and chunks_end. */
#define PLACE_NONE ((struct place){ .byte = UINT64_MAX })

static inline bool place_is_none(struct place place)
{
	return place.byte == UINT64_MAX;
}

/* ---- addresses ---- */

/* True if @ptr lies in CPU 0's copies and is a multiple of @align.  Then *place is its place, which
 * may be beyond the last chunk. */
static inline bool place_decode(const struct percpu *pc, const void *ptr, uint64_t align,
				struct place *place)
{
	uint64_t offset = (uintptr_t)ptr - (uintptr_t)pc->base;
	uint64_t window = offset >> pc->window_shift,
		 inside = offset - (window << pc->window_shift);

	*place = (struct place){ .byte = window << 20 | inside };
	return (inside & ~(uint64_t)(QUIRE_PERCPU_STRIDE - align)) == 0;
}

/* PLACE_NONE unless @ptr lies in CPU 0's copies and is a multiple of 4. */
static inline struct place place_of(const struct percpu *pc, const void *ptr)
{
	struct place place;

	if (UNLIKELY((uintptr_t)ptr - (uintptr_t)pc->base >= pc->span_bytes ||
		     !place_decode(pc, ptr, 4, &place)))
		return PLACE_NONE;
	return place;
}

/* The address of CPU 0's copy. */
static inline char *place_ptr(const struct percpu *pc, struct place place)
{
	return pc->base + (place.byte >> 20 << pc->window_shift) + (place.byte & ((1u << 20) - 1));
}

/* The mark of a cached object: the first word of its copy on the home CPU.  Never 0.  @ptr is CPU
 * 0's copy. */
static inline uint64_t cache_mark(const struct percpu *pc, const void *ptr)
{
	return (uintptr_t)ptr ^ pc->secret;
}

/* ---- granules ---- */

static inline struct place place_of_granule(uint32_t granule)
{
	return (struct place){ .byte = (uint64_t)granule << GRANULE_SHIFT };
}

static inline uint32_t place_granule(struct place place)
{
	return (uint32_t)(place.byte >> GRANULE_SHIFT);
}

/* As place_ptr() of its place, but with one dependent step less: for quire_alloc_percpu(). */
static inline char *granule_ptr(const struct percpu *pc, uint32_t granule)
{
	uint32_t in_window = granule & ((1u << (20 - GRANULE_SHIFT)) - 1);

	return pc->base + ((uint64_t)granule >> (20 - GRANULE_SHIFT) << pc->window_shift) +
	       (in_window << GRANULE_SHIFT);
}

static inline uint32_t granule_page(const struct percpu *pc, uint32_t granule)
{
	return granule >> pc->page_granules_shift;
}

static inline uint32_t granule_in_page(const struct percpu *pc, uint32_t granule)
{
	return granule & pc->granule_mask;
}

/* The page's first granule. */
static inline uint32_t page_granule(const struct percpu *pc, uint32_t page)
{
	return page << pc->page_granules_shift;
}

/* ---- pages ---- */

static inline struct place place_of_page(const struct percpu *pc, uint32_t page)
{
	return (struct place){ .byte = (uint64_t)page << pc->page_shift };
}

static inline uint32_t place_page(const struct percpu *pc, struct place place)
{
	return (uint32_t)(place.byte >> pc->page_shift);
}

static inline uint32_t page_chunk(const struct percpu *pc, uint32_t page)
{
	return page >> pc->pages_shift;
}

/* The page's index in its chunk. */
static inline uint32_t page_offset(const struct percpu *pc, uint32_t page)
{
	return page & (unit_pages(pc) - 1);
}

/* The page's bit in its chunk's masks. */
static inline uint64_t page_bit(const struct percpu *pc, uint32_t page)
{
	return (uint64_t)1 << page_offset(pc, page);
}

/* The page at index @offset of @chunk. */
static inline uint32_t page_number(const struct percpu *pc, uint32_t chunk, uint32_t offset)
{
	return chunk << pc->pages_shift | offset;
}

/* ---- halves ---- */

static inline struct place place_of_half(uint64_t half)
{
	return (struct place){ .byte = half << 2 };
}

static inline uint64_t place_half(struct place place)
{
	return place.byte >> 2;
}

static inline uint32_t place_half_in_page(const struct percpu *pc, struct place place)
{
	return (uint32_t)place_half(place) & (2 * pc->granule_mask + 1);
}

/* The page's first half. */
static inline uint64_t page_half(const struct percpu *pc, uint32_t page)
{
	return (uint64_t)page_granule(pc, page) << 1;
}

/* ---- chunks ---- */

static inline uint32_t place_chunk(const struct percpu *pc, struct place place)
{
	return (uint32_t)(place.byte >> pc->unit_shift);
}

static inline uint64_t place_in_unit(const struct percpu *pc, struct place place)
{
	return place.byte & (((uint64_t)1 << pc->unit_shift) - 1);
}

/* Granules per unit, the same in every chunk. */
static inline uint32_t unit_granules(const struct percpu *pc)
{
	return page_granule(pc, unit_pages(pc));
}

/* The address of CPU 0's unit. */
static inline char *chunk_ptr(const struct percpu *pc, uint32_t chunk)
{
	return place_ptr(pc, place_of_page(pc, page_number(pc, chunk, 0)));
}

/* The pages that @bytes bytes at @place touch, as a mask of their chunk. */
static inline uint64_t place_pages(const struct percpu *pc, struct place place, size_t bytes)
{
	uint32_t first = place_page(pc, place);
	uint32_t last = place_page(pc, (struct place){ .byte = place.byte + bytes - 1 });

	return ~(uint64_t)0 >> (63 - (last - first)) << page_offset(pc, first);
}

#endif
