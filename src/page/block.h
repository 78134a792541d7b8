/* SPDX-License-Identifier: MIT */
/*
 * page/block.h - pageblocks: the free runs inside one, and the bins that order partial ones
 *
 * A block's row determines which requests it serves; its bucket is how full it is.  A bin is a
 * list of partial blocks with the same row, bucket and largest free order; block.c has the
 * reasons.
 */
#ifndef PAGE_BLOCK_H
#define PAGE_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct pages;
struct zone;

#define BLOCK_NONE UINT32_MAX

/* Pageblocks are 2 MiB: order 9, 7, 5 for pages of 4, 16, 64 KiB. */
#define BLOCK_SHIFT	    21
#define PAGEBLOCK_ORDER_MAX 9

enum row {
	ROW_TYPE = 0,	  /* 0..2: ordinary, by type */
	ROW_EMPTYING = 3, /* 3..5: by type; only when nothing ordinary fits */
	ROW_HIGHATOMIC = 6,
	ROW_ISOLATE = 7,
	ROWS_NR = 8,
};
#define BUCKETS_NR 20 /* by free pages, two an octave: 0 is the fullest, 512 is 18 */

/*
 * One pageblock.  All fields under the zone's lock.
 *   links      prev, next: in its bin, its whole list, or the offline list
 *   free[o]    newest free head of order o, as an offset in the block; OFFSET_NONE
 *   orders     bit o is set when free[o] is not OFFSET_NONE
 *   free_pages pages on those lists; the whole size when the block is whole
 *   epoch      worker's epoch when it became whole or a part of it was reported
 */
#define OFFSET_NONE UINT16_MAX
#define BIN_NONE    UINT16_MAX
struct pageblock {
	uint32_t prev, next;
	uint16_t free_pages;
	uint16_t orders;
	uint16_t bin;
	uint16_t binned_pages; /* free_pages as its bin's row counts them */
	uint16_t free[PAGEBLOCK_ORDER_MAX];
	uint32_t epoch;
	bool online;
	bool whole;    /* head of, or inside, a whole run */
	bool reported; /* its memory, or that of runs in it, went back (not: never used) */
};

struct block_list {
	uint32_t head, tail; /* block indexes */
	uint32_t nr;
};

/* The row of a block with this tag. */
unsigned block_row(uint8_t tag);
/* 1 -> 0, 2 -> 2, 3 -> 3, 5 -> 4, 7 -> 5, 300 -> 16, 512 (just broken) -> 18. */
unsigned block_bucket(unsigned free_pages);

/* Adds a run to the zone's totals, or subtracts it (B4).  @zero is STATE_ZERO or 0, here and below. */
void zone_count_run_locked(struct zone *zone, unsigned row, unsigned order, unsigned zero,
			   bool arrives);
/* Puts a free run smaller than a block on its block's lists.  The caller then rebins the block. */
void block_free_add_locked(struct pages *p, struct zone *zone, uint32_t frame, unsigned order,
			   unsigned zero);
/* Takes a run off its block's lists.  The caller changes its state byte and rebins the block. */
void block_free_take_locked(struct pages *p, struct zone *zone, uint32_t frame, unsigned order);

/* Puts a partial block into the bin that matches its lists.  A full block leaves its bin. */
void block_rebin_locked(struct pages *p, struct zone *zone, uint32_t block);
/* Takes a block out of its bin, if it is in one. */
void block_unbin_locked(struct pages *p, struct zone *zone, uint32_t block);
/*
 * Gives a partial or full block a new tag: its free runs then count, and are found, under the new
 * row (B6).  Whole blocks are taken off their list first and put back by the caller.
 */
void block_set_tag_locked(struct pages *p, struct zone *zone, uint32_t block, uint8_t tag);
/* Of the row's blocks that have a free run of @order or more: one of the fullest, and of those one with the
 * smallest such run.  BLOCK_NONE if there is none. */
uint32_t block_fullest_locked(const struct zone *zone, unsigned row, unsigned order);
/* As block_fullest_locked(), but one of the emptiest: to claim it, or to empty it. */
uint32_t block_emptiest_locked(const struct zone *zone, unsigned row, unsigned order);

/* The order of the smallest free run of @order or more in a block that has one: it is cut next. */
static inline unsigned block_order_cut(const struct pageblock *b, unsigned order)
{
	return order + (unsigned)__builtin_ctz((unsigned)b->orders >> order);
}

/* Whole and offline blocks; under the zone's lock.  Lists are newest first but for what is pushed
 * @at_tail. */
void block_list_push(struct pages *p, struct block_list *list, uint32_t block, bool at_tail);
void block_list_take(struct pages *p, struct block_list *list, uint32_t block);

#endif
