/* SPDX-License-Identifier: MIT */
/* page/zone.h - a zone: what it holds, what it may hand out, its watermarks */
#ifndef PAGE_ZONE_H
#define PAGE_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include <quire/page.h>

#include "machine/lock.h"
#include "page/block.h"
#include "page/depot.h"
#include "page/grow.h"

struct pages;

/* Orders from a block's up to the largest: at most 5..10 for 64 KiB pages. */
#define WHOLE_ORDERS_MAX 6

/*
 * Keys: all under lock, but (c) constant once made; (r) written under lock, load_relaxed() without it
 * gives a hint.
 */
struct zone {
	struct lock lock; /* RANK_ZONE */
	lock_token kept;  /* over fork */
	uint8_t index;
	bool below_high;	   /* (r) available pages under the high watermark */
	uint32_t block_first;	   /* (c) */
	uint32_t blocks_nr;	   /* (c) */
	uint32_t blocks_touched;   /* (r) blocks [0, touched) were handed out to growers */
	uint32_t blocks_described; /* atomic: metadata of blocks [0, described) is committed */
	uint32_t blocks_growing; /* in steps, or on their way offline: neither online nor listed */
	struct grow_step steps[GROWERS_MAX];
	struct block_list offline;
	uint64_t most_pages;			/* (c) that were reserved for it */
	uint64_t managed_pages;			/* (r) limit of this zone */
	uint64_t online_pages;			/* (r) */
	uint64_t free_pages;			/* (r) B4: sum of nr_free << order */
	uint64_t isolated_pages;		/* of those, in isolated blocks */
	uint64_t zero_pages;			/* (r) of those, without memory */
	uint64_t reporting_pages;		/* out of the lists while a gather runs */
	uint64_t charged_pages;			/* (r) of the limit, used by other modules */
	uint64_t mark_min, mark_low, mark_high; /* (r) */
	uint32_t pcp_batch, pcp_high_min, pcp_high_max; /* (r) */
	uint32_t highatomic_blocks;
	uint32_t nr_free[QUIRE_ORDERS][ROWS_NR];
	uint32_t bins[ROWS_NR][BUCKETS_NR][PAGEBLOCK_ORDER_MAX]; /* head block */
	uint16_t bin_orders[ROWS_NR][BUCKETS_NR];		 /* bit o: that bin is not empty */
	uint32_t row_blocks[ROWS_NR];				 /* partial blocks in the row */
	uint64_t row_free[ROWS_NR];				 /* their free pages */
	uint32_t bucket_blocks[ROWS_NR][BUCKETS_NR];
	struct block_list whole[WHOLE_ORDERS_MAX][ROWS_NR];
	uint64_t used_high;  /* the most that ever were not available */
	uint32_t choose_due; /* operations until emptying is chosen again */
	uint64_t lock_acquisitions, buddy_allocs, buddy_frees, claims, steals, emptying_frees;
	uint64_t reports, reported_total, reused, reused_epoch, reported_epoch;
	struct depot depot;
} __attribute__((aligned(64)));

/* Blocks [block_first, block_first + blocks_nr) are the zone's; none is online yet. */
void zone_init(struct pages *p, unsigned index, uint32_t block_first, uint32_t blocks_nr);
/* Makes its limit @pages; at least what is in use, and at most what was reserved.  Returns the limit. */
uint64_t zone_set_limit(struct pages *p, struct zone *zone, uint64_t pages);
/* Takes the zone lock, or only tries it if the flags say so.  Returns whether it is held. */
bool zone_lock_for(struct zone *zone, unsigned flags, lock_token *token);
void zone_unlock(struct zone *zone, lock_token token);
/* Pages that callers could still get, free or not yet committed. */
uint64_t zone_available_locked(const struct pages *p, const struct zone *zone);
/* By how much more is taken than ever was before, if @available pages are left. */
uint64_t zone_above_high_locked(const struct zone *zone, uint64_t available);
/* Of what is taken now, up to @most pages more than ever before count as the most that ever was. */
void zone_raise_high_locked(const struct pages *p, struct zone *zone, uint64_t most);
/* True if @pages of @isolated_pages, the free ones in blocks that the caller has isolated, may be taken now. */
bool zone_has_isolated_room_locked(const struct pages *p, const struct zone *zone, uint64_t pages,
				   uint64_t isolated_pages);
/* Pages that a request with @flags must leave available. */
uint64_t zone_mark(const struct zone *zone, unsigned flags);
/* True if a request with @flags may take @pages now. */
bool zone_has_room_locked(const struct pages *p, const struct zone *zone, unsigned flags,
			  uint64_t pages);

#endif
