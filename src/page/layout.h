/* SPDX-License-Identifier: MIT */
/* page/layout.h - addresses, frames, blocks and zones, computed from one another */
#ifndef PAGE_LAYOUT_H
#define PAGE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include <quire/page.h>

#include "machine/atomic.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/state.h"
#include "page/zone.h"

static inline uint32_t page_frame(const struct pages *p, const void *addr)
{
	return (uint32_t)(((uintptr_t)addr - (uintptr_t)p->base) >> p->page_shift);
}

static inline void *page_addr(const struct pages *p, uint32_t frame)
{
	return p->base + ((size_t)frame << p->page_shift);
}

/* What probes call a page: its address in pages; all ones for FRAME_NONE. */
static inline uint64_t page_pfn(const struct pages *p, uint32_t frame)
{
	return frame == FRAME_NONE ? UINT64_MAX : ((uintptr_t)p->base >> p->page_shift) + frame;
}

/* The first ones stand before what else is committed with the instance, so one call commits both. */
static inline struct page *page_of(const struct pages *p, uint32_t frame)
{
	return p->page - 1 - (size_t)frame;
}

/*
 * A head's state byte.  The holder of the run writes it.  A neighbour that merges reads it under the zone
 * lock, to see whether it is BUDDY.  Relaxed accesses are enough: BUDDY, the answer that matters, is written
 * only under that lock.
 */
static inline unsigned page_state(const struct pages *p, uint32_t frame)
{
	return load_relaxed(&p->state[frame]);
}

static inline void page_set_state(struct pages *p, uint32_t frame, unsigned state)
{
	store_relaxed(&p->state[frame], (uint8_t)state);
}

static inline uint32_t page_block(const struct pages *p, uint32_t frame)
{
	return frame >> p->pageblock_order;
}

static inline uint32_t block_frame(const struct pages *p, uint32_t block)
{
	return block << p->pageblock_order;
}

static inline uint32_t block_pages(const struct pages *p)
{
	return 1u << p->pageblock_order;
}

/* Orders from a block's up to the largest. */
static inline unsigned whole_orders(const struct pages *p)
{
	return QUIRE_ORDER_MAX + 1u - p->pageblock_order;
}

static inline struct zone *tag_zone(struct pages *p, uint8_t tag)
{
	return &p->zone[tag >> TAG_ZONE_SHIFT & (ZONES_MAX - 1)];
}

static inline struct zone *page_zone(struct pages *p, uint32_t frame)
{
	return tag_zone(p, load_relaxed(&p->tag[page_block(p, frame)]));
}

#endif
