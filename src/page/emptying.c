/* SPDX-License-Identifier: MIT */
/*
 * page/emptying.c - choosing blocks to become whole
 *
 * A LIFO stack in front of the buddy reuses a freed page at once, so a half-empty zone stays
 * evenly half-empty for ever: after random churn half of the memory is free, but no block of 2
 * MiB.  So the sparsest blocks of a type are marked in their tags.  Frees of their pages bypass
 * the stack and go to the buddy, and no page is allocated from them while another block has a
 * hole.  Each page of a marked block takes the zone lock once; then the block is whole.
 *
 * How many: packed, all used pages of the type's partial blocks would fill ceil(used / block) of
 * them.  The blocks beyond that number, minus a slack, are marked, sparsest first.  The slack is
 * one block in SLACK_SHARE and at least SLACK_MIN, so that a type with few partial blocks is left
 * alone and the remaining blocks have holes to serve refills from.
 *
 * Choosing examines at most CHOOSE_MAX blocks per turn and happens once per CHOOSE_EVERY slow
 * paths, so its cost per operation is bounded for any size of zone.
 */
#include "page/emptying.h"

#include "base/check.h"
#include "page/block.h"
#include "page/layout.h"
#include "page/pages.h"
#include "page/state.h"
#include "page/zone.h"

#define SLACK_MIN    1u
#define SLACK_SHARE  256u
#define CHOOSE_EVERY 16u
#define CHOOSE_MAX   8u

/* Partial blocks of a type that could be emptied into the others; 32, 8 used pages each, slack 1
 * -> 30;  2, half full -> 0;  1 -> 0. */
static uint32_t blocks_to_empty(const struct pages *p, const struct zone *zone, unsigned type)
{
	uint32_t blocks = zone->row_blocks[ROW_TYPE + type] + zone->row_blocks[ROW_EMPTYING + type];
	uint64_t free_pages = zone->row_free[ROW_TYPE + type] + zone->row_free[ROW_EMPTYING + type];
	uint64_t used = ((uint64_t)blocks << p->pageblock_order) - free_pages;
	uint64_t needed = (used + block_pages(p) - 1) >> p->pageblock_order;
	uint64_t kept = needed + SLACK_MIN + needed / SLACK_SHARE;

	return kept < blocks ? (uint32_t)(blocks - kept) : 0;
}

static void mark(struct pages *p, struct zone *zone, uint32_t block, bool emptying)
{
	uint8_t tag = p->tag[block];

	block_set_tag_locked(p, zone, block,
			     (uint8_t)(emptying ? tag | TAG_EMPTYING : tag & ~TAG_EMPTYING));
}

static void choose_type(struct pages *p, struct zone *zone, unsigned type)
{
	uint32_t wanted = blocks_to_empty(p, zone, type);
	uint32_t marked = zone->row_blocks[ROW_EMPTYING + type];

	for (unsigned i = 0; i < CHOOSE_MAX && marked < wanted; i++, marked++) {
		uint32_t block = block_emptiest_locked(zone, ROW_TYPE + type, 0);

		if (block == BLOCK_NONE)
			return;
		mark(p, zone, block, true);
	}
	for (unsigned i = 0; i < CHOOSE_MAX && marked > wanted; i++, marked--) {
		uint32_t block = block_fullest_locked(zone, ROW_EMPTYING + type, 0);

		if (block == BLOCK_NONE)
			return;
		mark(p, zone, block, false);
	}
}

void emptying_choose_locked(struct pages *p, struct zone *zone)
{
	DCHECK(lock_is_held(&zone->lock));
	if (zone->choose_due-- != 0)
		return;
	zone->choose_due = CHOOSE_EVERY;
	for (unsigned type = 0; type < TYPES_NR; type++)
		choose_type(p, zone, type);
}
