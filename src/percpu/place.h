/* SPDX-License-Identifier: MIT */
/*
 * percpu/place.h - a place in per-CPU memory, and its few conversions
 *
 * An object is the same bytes of every unit, so one number says where it is on all CPUs.  Lay the units that
 * CPU 0 has of all chunks end to end, in the order of the chunks' numbers, and count:
 *
 *   place      bytes.  A multiple of 4: where an object may begin.
 *   granule    8 bytes.  32 bits hold all (space.c).  Maps, searches for room and stacks count in these, since
 *              nothing but an object of 4 bytes begins in the middle of one.
 *   half       4 bytes: half a granule.  Objects of 4 bytes have pages of their own, whose maps count in
 *              these; so does the deferred bitmap.  It takes 64 bits.
 *   page       pages: the index of pc->page.
 *   chunk      units: the index of pc->chunk.
 *
 * A range of granules is [from, end).  What a name says is one of these; where it is counted from the
 * beginning of the page, the name ends in _in_page.
 */
#ifndef PERCPU_PLACE_H
#define PERCPU_PLACE_H

#include "percpu/percpu.h"

struct place {
	uint64_t byte;
};

/* Its page and chunk are NONE, which is at or above pages_end and chunks_end. */
#define PLACE_NONE ((struct place){ .byte = UINT64_MAX })

static inline bool place_is_none(struct place place)
{
	return place.byte == UINT64_MAX;
}

/* ---- addresses ---- */

/* True if @ptr is CPU 0's copy and a multiple of @align: then *place is where, or beyond what there is. */
static inline bool place_try(const struct percpu *pc, const void *ptr, uint64_t align,
			     struct place *place)
{
	uint64_t offset = (uintptr_t)ptr - (uintptr_t)pc->base;
	uint64_t window = offset >> pc->window_shift,
		 inside = offset - (window << pc->window_shift);

	*place = (struct place){ .byte = window << 20 | inside };
	return (inside & ~(uint64_t)(QUIRE_PERCPU_STRIDE - align)) == 0;
}

/* PLACE_NONE if @ptr is not CPU 0's copy of 4 bytes that an object may begin with. */
static inline struct place place_of(const struct percpu *pc, const void *ptr)
{
	struct place place;

	if (UNLIKELY((uintptr_t)ptr - (uintptr_t)pc->base >= pc->span_bytes ||
		     !place_try(pc, ptr, 4, &place)))
		return PLACE_NONE;
	return place;
}

/* CPU 0's copy. */
static inline char *place_ptr(const struct percpu *pc, struct place place)
{
	return pc->base + (place.byte >> 20 << pc->window_shift) + (place.byte & ((1u << 20) - 1));
}

/* What the home CPU's copy of a cached object begins with; never 0.  @ptr: CPU 0's copy. */
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

/* place_ptr() of its place, but without a step that waits for the granule: quire_alloc_percpu(). */
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

/* Its first granule. */
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

/* Counted from the beginning of its chunk. */
static inline uint32_t page_offset(const struct percpu *pc, uint32_t page)
{
	return page & (unit_pages(pc) - 1);
}

/* In masks of its chunk. */
static inline uint64_t page_bit(const struct percpu *pc, uint32_t page)
{
	return (uint64_t)1 << page_offset(pc, page);
}

/* From its chunk and its offset there. */
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

/* Its first half. */
static inline uint64_t page_half(const struct percpu *pc, uint32_t page)
{
	return (uint64_t)page_granule(pc, page) << 1;
}

/* ---- chunks ---- */

static inline uint32_t place_chunk(const struct percpu *pc, struct place place)
{
	return (uint32_t)(place.byte >> pc->unit_shift);
}

/* In each chunk. */
static inline uint32_t unit_granules(const struct percpu *pc)
{
	return page_granule(pc, unit_pages(pc));
}

/* The beginning of its unit: CPU 0's copy. */
static inline char *chunk_ptr(const struct percpu *pc, uint32_t chunk)
{
	return place_ptr(pc, place_of_page(pc, page_number(pc, chunk, 0)));
}

/* The pages that so many bytes there touch, in masks of their chunk. */
static inline uint64_t place_pages(const struct percpu *pc, struct place place, size_t bytes)
{
	uint32_t first = place_page(pc, place);
	uint32_t last = place_page(pc, (struct place){ .byte = place.byte + bytes - 1 });

	return ~(uint64_t)0 >> (63 - (last - first)) << page_offset(pc, first);
}

#endif
