/* SPDX-License-Identifier: MIT */
/*
 * page/block.c - the free lists inside one pageblock, and the bins that order partial blocks
 *
 * Linux keeps one free list per order and type for a whole zone and takes its head, so new pages
 * are scattered over all blocks with holes, and blocks hardly ever become free again.  Here free
 * runs smaller than a block are listed in their block, and blocks are binned by how full they
 * are.  An allocation uses the fullest block that has a large enough hole.  Sparse blocks get no
 * allocations and drain.  Whole blocks are kept separately (buddy.c).
 *
 * Bounds: finding a block reads BUCKETS_NR masks; moving one between bins is a list splice.
 *
 * Invariants (page_verify() returns 100 + the number)
 *   B4  nr_free[order][row] equals the runs on the lists; free_pages the sum of nr_free << order
 *   B6  every run on a block's lists counts under the row that the block's tag says
 */
#include "page/block.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "page/layout.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/state.h"
#include "page/zone.h"

unsigned block_row(uint8_t tag)
{
	if (tag & TAG_ISOLATE)
		return ROW_ISOLATE;
	if (tag & TAG_HIGHATOMIC)
		return ROW_HIGHATOMIC;
	if (tag & TAG_EMPTYING)
		return ROW_EMPTYING + (tag & TAG_TYPE);
	return ROW_TYPE + (tag & TAG_TYPE);
}

/* ---- bins ---- */

static uint16_t bin_make(unsigned row, unsigned bucket, unsigned order)
{
	return (uint16_t)((row * BUCKETS_NR + bucket) * PAGEBLOCK_ORDER_MAX + order);
}

/* Two buckets an octave, fine where blocks are nearly full, since that is where "fullest first"
 * chooses. */
unsigned block_bucket(unsigned free_pages)
{
	unsigned octave = 31u - (unsigned)__builtin_clz(free_pages);

	return octave * 2u + (octave != 0 ? free_pages >> (octave - 1u) & 1u : 0);
}

struct bin_place {
	unsigned row, bucket, order;
};

static struct bin_place bin_split(uint16_t bin)
{
	return (struct bin_place){ .row = bin / (BUCKETS_NR * PAGEBLOCK_ORDER_MAX),
				   .bucket = bin / PAGEBLOCK_ORDER_MAX % BUCKETS_NR,
				   .order = bin % PAGEBLOCK_ORDER_MAX };
}

static unsigned highest_bit(unsigned mask)
{
	return 31u - (unsigned)__builtin_clz(mask);
}

void block_unbin_locked(struct pages *p, struct zone *zone, uint32_t block)
{
	struct pageblock *b = &p->block[block];
	struct bin_place place;

	DCHECK(lock_is_held(&zone->lock));
	if (b->bin == BIN_NONE)
		return;
	place = bin_split(b->bin);
	if (b->prev != BLOCK_NONE)
		p->block[b->prev].next = b->next;
	else
		zone->bins[place.row][place.bucket][place.order] = b->next;
	if (b->next != BLOCK_NONE)
		p->block[b->next].prev = b->prev;
	if (zone->bins[place.row][place.bucket][place.order] == BLOCK_NONE)
		zone->bin_orders[place.row][place.bucket] &= (uint16_t) ~(1u << place.order);
	zone->row_blocks[place.row]--;
	zone->bucket_blocks[place.row][place.bucket]--;
	zone->row_free[place.row] -= b->binned_pages;
	b->bin = BIN_NONE;
}

static void block_bin_locked(struct pages *p, struct zone *zone, uint32_t block, uint16_t bin)
{
	struct pageblock *b = &p->block[block];
	struct bin_place place = bin_split(bin);
	uint32_t *head = &zone->bins[place.row][place.bucket][place.order];

	DCHECK(lock_is_held(&zone->lock));
	b->prev = BLOCK_NONE;
	b->next = *head;
	if (*head != BLOCK_NONE)
		p->block[*head].prev = block;
	*head = block;
	zone->bin_orders[place.row][place.bucket] |= (uint16_t)(1u << place.order);
	zone->row_blocks[place.row]++;
	zone->bucket_blocks[place.row][place.bucket]++;
	zone->row_free[place.row] += b->free_pages;
	b->binned_pages = b->free_pages;
	b->bin = bin;
}

void block_rebin_locked(struct pages *p, struct zone *zone, uint32_t block)
{
	struct pageblock *b = &p->block[block];
	uint16_t bin;

	DCHECK(lock_is_held(&zone->lock));
	CHECK(!b->whole);
	if (b->free_pages == 0) {
		block_unbin_locked(p, zone, block);
		return;
	}
	bin = bin_make(block_row(p->tag[block]), block_bucket(b->free_pages),
		       highest_bit(b->orders));
	if (bin == b->bin) {
		zone->row_free[bin_split(bin).row] += b->free_pages;
		zone->row_free[bin_split(bin).row] -= b->binned_pages;
		b->binned_pages = b->free_pages;
		return;
	}
	block_unbin_locked(p, zone, block);
	block_bin_locked(p, zone, block, bin);
}

static uint32_t bin_best_order(const struct zone *zone, unsigned row, unsigned bucket,
			       unsigned order)
{
	unsigned orders = (unsigned)zone->bin_orders[row][bucket] >> order;

	if (orders == 0)
		return BLOCK_NONE;
	return zone->bins[row][bucket][order + (unsigned)__builtin_ctz(orders)];
}

uint32_t block_fullest_locked(const struct zone *zone, unsigned row, unsigned order)
{
	DCHECK(lock_is_held(&zone->lock));
	for (unsigned bucket = 0; bucket < BUCKETS_NR; bucket++) {
		uint32_t block = bin_best_order(zone, row, bucket, order);

		if (block != BLOCK_NONE)
			return block;
	}
	return BLOCK_NONE;
}

uint32_t block_emptiest_locked(const struct zone *zone, unsigned row, unsigned order)
{
	DCHECK(lock_is_held(&zone->lock));
	for (unsigned bucket = BUCKETS_NR; bucket-- != 0;) {
		uint32_t block = bin_best_order(zone, row, bucket, order);

		if (block != BLOCK_NONE)
			return block;
	}
	return BLOCK_NONE;
}

/* ---- lists of blocks ---- */

void block_list_push(struct pages *p, struct block_list *list, uint32_t block, bool at_tail)
{
	struct pageblock *b = &p->block[block];

	b->prev = at_tail ? list->tail : BLOCK_NONE;
	b->next = at_tail ? BLOCK_NONE : list->head;
	if (b->prev != BLOCK_NONE)
		p->block[b->prev].next = block;
	else
		list->head = block;
	if (b->next != BLOCK_NONE)
		p->block[b->next].prev = block;
	else
		list->tail = block;
	list->nr++;
}

void block_list_take(struct pages *p, struct block_list *list, uint32_t block)
{
	struct pageblock *b = &p->block[block];

	CHECK(list->nr != 0);
	if (b->prev != BLOCK_NONE)
		p->block[b->prev].next = b->next;
	else
		list->head = b->next;
	if (b->next != BLOCK_NONE)
		p->block[b->next].prev = b->prev;
	else
		list->tail = b->prev;
	list->nr--;
}

/* ---- free runs inside a block ---- */

void zone_count_run_locked(struct zone *zone, unsigned row, unsigned order, unsigned zero,
			   bool arrives)
{
	uint64_t pages = arrives ? (uint64_t)1 << order : 0 - ((uint64_t)1 << order);

	DCHECK(lock_is_held(&zone->lock));
	zone->nr_free[order][row] += arrives ? 1u : 0u - 1u;
	store_relaxed(&zone->free_pages, zone->free_pages + pages);
	if (zero)
		store_relaxed(&zone->zero_pages, zone->zero_pages + pages);
	if (row == ROW_ISOLATE)
		zone->isolated_pages += pages;
}

void block_free_add_locked(struct pages *p, struct zone *zone, uint32_t frame, unsigned order,
			   unsigned zero)
{
	uint32_t block = page_block(p, frame);
	struct pageblock *b = &p->block[block];
	uint32_t first = block_frame(p, block);
	uint16_t old = b->free[order];

	DCHECK(lock_is_held(&zone->lock));
	page_of(p, frame)->prev = FRAME_NONE;
	page_of(p, frame)->next = old == OFFSET_NONE ? FRAME_NONE : first + old;
	if (old != OFFSET_NONE)
		page_of(p, first + old)->prev = frame;
	b->free[order] = (uint16_t)(frame - first);
	b->orders |= (uint16_t)(1u << order);
	b->free_pages = (uint16_t)(b->free_pages + (1u << order));
	page_set_state(p, frame, STATE_BUDDY | zero | order);
	zone_count_run_locked(zone, block_row(p->tag[block]), order, zero, true);
}

void block_free_take_locked(struct pages *p, struct zone *zone, uint32_t frame, unsigned order)
{
	uint32_t block = page_block(p, frame);
	struct pageblock *b = &p->block[block];
	struct page *page = page_of(p, frame);
	uint32_t first = block_frame(p, block);

	DCHECK(lock_is_held(&zone->lock));
	CHECK_VALUES((page_state(p, frame) & ~STATE_ZERO) == (STATE_BUDDY | order), frame,
		     page_state(p, frame));
	if (page->prev != FRAME_NONE)
		page_of(p, page->prev)->next = page->next;
	else
		b->free[order] =
			page->next == FRAME_NONE ? OFFSET_NONE : (uint16_t)(page->next - first);
	if (page->next != FRAME_NONE)
		page_of(p, page->next)->prev = page->prev;
	if (b->free[order] == OFFSET_NONE)
		b->orders &= (uint16_t) ~(1u << order);
	b->free_pages = (uint16_t)(b->free_pages - (1u << order));
	zone_count_run_locked(zone, block_row(p->tag[block]), order,
			      page_state(p, frame) & STATE_ZERO, false);
}

void block_set_tag_locked(struct pages *p, struct zone *zone, uint32_t block, uint8_t tag)
{
	struct pageblock *b = &p->block[block];
	unsigned from = block_row(p->tag[block]), to = block_row(tag);

	DCHECK(lock_is_held(&zone->lock));
	CHECK(!b->whole);
	for (unsigned order = 0; order < p->pageblock_order; order++) {
		uint32_t runs_nr = 0;

		if (b->free[order] == OFFSET_NONE)
			continue;
		for (uint32_t f = block_frame(p, block) + b->free[order]; f != FRAME_NONE;
		     f = page_of(p, f)->next)
			runs_nr++;
		zone->nr_free[order][from] -= runs_nr;
		zone->nr_free[order][to] += runs_nr;
	}
	if (from == ROW_ISOLATE)
		zone->isolated_pages -= b->free_pages;
	if (to == ROW_ISOLATE)
		zone->isolated_pages += b->free_pages;
	block_unbin_locked(p, zone, block);
	/* Pairs with the load in quire_free_pages() and the guard of stack_push(). */
	store_relaxed(&p->tag[block], tag);
	block_rebin_locked(p, zone, block);
}
