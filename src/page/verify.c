/* SPDX-License-Identifier: MIT */
/*
 * page/verify.c - checking every invariant of a quiesced instance, by number
 *
 * page_verify() returns 100 + n for the first rule Bn that does not hold.
 *
 *   B1  online = buddy + cached (stacks, lists, depots) + allocated + deferred, in pages, per zone
 *   B2  pcp->count is the sum over its lists
 *   B3  no two free buddies that may merge are separate
 *   B4  nr_free and free_pages equal what the lists hold
 *   B5  a head's state says the one place it is in
 *   B6  a run counts under the row of its block's tag
 *   B7  lists that are off hold nothing; others at most high_max, or high if that is larger, and one refill
 *   B8  lists end: no cycle, no foreign frame
 *   B9  no list, stack or depot holds a page of an isolated block
 *   B10 (behaviour, not state: tests/unit/page/page_pcp_test.c)
 *   B11 a run marked ZERO reads zero (its first bytes)
 *   B12 (behaviour: tests/unit/page/page_drain_test.c)
 *
 * It cannot prove that a run marked ALLOCATED is really in use.
 */
#include "page/verify.h"

#include <quire/page.h>

#include "page/block.h"
#include "page/depot.h"
#include "page/grow.h"
#include "page/layout.h"
#include "page/nested.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/pcp.h"
#include "page/stacks.h"
#include "page/state.h"
#include "page/zone.h"
#include "stacks/stacks.h"

#define LABEL(n) (100 + (n))

/* Walks every head of a zone; @sum counts pages by kind. */
struct sums {
	uint64_t allocated, buddy, cached, deferred, zero, isolated;
	uint64_t listed; /* cached, counted where they are held */
	uint32_t nr_free[QUIRE_ORDERS][ROWS_NR];
};

static bool reads_zero(const struct pages *p, uint32_t frame)
{
	const uint64_t *words = page_addr(p, frame);

	return words[0] == 0 && words[1] == 0;
}

static bool buddy_could_merge(const struct pages *p, const struct zone *zone, uint32_t frame,
			      unsigned order)
{
	uint32_t buddy = frame ^ 1u << order;
	uint32_t block = page_block(p, buddy);
	unsigned row = block_row(p->tag[page_block(p, frame)]);

	if (order >= QUIRE_ORDER_MAX || block >= zone->block_first + zone->blocks_touched ||
	    block < zone->block_first)
		return false;
	if ((page_state(p, buddy) & ~STATE_ZERO) != (STATE_BUDDY | order))
		return false;
	return order < p->pageblock_order ||
	       (row < ROW_EMPTYING && block_row(p->tag[block]) < ROW_EMPTYING);
}

static int verify_free_run(const struct pages *p, const struct zone *zone, uint32_t frame,
			   struct sums *sums)
{
	unsigned state = page_state(p, frame), order = state & STATE_ORDER;
	const struct pageblock *b = &p->block[page_block(p, frame)];
	unsigned row = block_row(p->tag[page_block(p, frame)]);

	sums->buddy += (uint64_t)1 << order;
	sums->nr_free[order][row]++;
	if (row == ROW_ISOLATE)
		sums->isolated += (uint64_t)1 << order;
	if (state & STATE_ZERO)
		sums->zero += (uint64_t)1 << order;
	if ((state & STATE_ZERO) && !reads_zero(p, frame))
		return LABEL(11);
	if (buddy_could_merge(p, zone, frame, order))
		return LABEL(3);
	return b->whole == (order >= p->pageblock_order) ? 0 : LABEL(5);
}

/* One head; advances @frame past its run.  A run never reaches beyond the zone. */
static int verify_head(const struct pages *p, const struct zone *zone, uint32_t *frame,
		       struct sums *sums)
{
	unsigned state = page_state(p, *frame), order = state & STATE_ORDER;
	uint64_t pages = (uint64_t)1 << order;
	int label = 0;

	if (order > QUIRE_ORDER_MAX || (*frame & (pages - 1)) != 0)
		return LABEL(5);
	switch (state & STATE_KIND) {
	case STATE_ALLOCATED:
		sums->allocated += pages;
		break;
	case STATE_BUDDY:
		label = verify_free_run(p, zone, *frame, sums);
		break;
	case STATE_CACHED:
		sums->cached += pages;
		break;
	case STATE_DEFERRED:
		sums->deferred += pages;
		break;
	case STATE_OFFLINE:
		break;
	default:
		return LABEL(5);
	}
	*frame += (uint32_t)pages;
	return label;
}

/* Passes over blocks that a grower has left: nothing was said of their frames. */
static bool skip_step(const struct pages *p, const struct zone *zone, uint32_t *frame)
{
	if ((*frame & (block_pages(p) - 1)) != 0)
		return false;
	for (unsigned i = 0; i < GROWERS_MAX; i++) {
		const struct grow_step *step = &zone->steps[i];

		if (step->state != GROW_NONE && step->first == page_block(p, *frame)) {
			*frame += step->blocks_nr << p->pageblock_order;
			return true;
		}
	}
	return false;
}

/* In a child of fork a run in hand may be one that another thread of the parent was just cutting, and is lost (nested.c). */
static bool has_tails(const struct pages *p, unsigned state)
{
	unsigned kind = state & STATE_KIND;

	return kind != STATE_OFFLINE && !(kind == STATE_CACHED && p->q.forked);
}

/* Heads tile the zone's touched blocks without gap or overlap. */
static int verify_states(const struct pages *p, const struct zone *zone, struct sums *sums)
{
	uint32_t frame = block_frame(p, zone->block_first);
	uint32_t end = block_frame(p, zone->block_first + zone->blocks_touched);

	while (frame < end) {
		uint32_t head = frame;
		int label;

		if (skip_step(p, zone, &frame))
			continue;
		label = verify_head(p, zone, &frame, sums);
		if (label)
			return label;
		if (!has_tails(p, page_state(p, head)))
			continue;
		for (uint32_t f = head + 1; f < frame; f++)
			if (page_state(p, f) != STATE_TAIL)
				return LABEL(5);
	}
	return 0;
}

/* ---- lists ---- */

static int verify_block_lists(const struct pages *p, uint32_t block)
{
	const struct pageblock *b = &p->block[block];
	uint32_t first = block_frame(p, block), end = first + block_pages(p);
	uint32_t pages = 0;

	if (!b->online || b->whole)
		return 0;
	for (unsigned order = 0; order < p->pageblock_order; order++) {
		uint32_t frame =
			b->free[order] == OFFSET_NONE ? FRAME_NONE : first + b->free[order];
		uint32_t runs = 0, before = FRAME_NONE;

		if ((frame != FRAME_NONE) != ((b->orders >> order & 1) != 0))
			return LABEL(4);
		for (; frame != FRAME_NONE; frame = page_of(p, frame)->next) {
			if (frame < first || frame >= end || runs++ > block_pages(p))
				return LABEL(8);
			if ((page_state(p, frame) & ~STATE_ZERO) != (STATE_BUDDY | order))
				return LABEL(5);
			if (page_of(p, frame)->prev != before)
				return LABEL(8);
			before = frame;
			pages += 1u << order;
		}
	}
	if (pages != b->free_pages)
		return LABEL(4);
	return (b->bin == BIN_NONE) == (pages == 0) ? 0 : LABEL(6);
}

static int verify_whole_list(const struct pages *p, const struct block_list *list, unsigned order,
			     unsigned row)
{
	uint32_t runs = 0, before = BLOCK_NONE;

	for (uint32_t block = list->head; block != BLOCK_NONE; block = p->block[block].next) {
		if (block >= p->blocks_nr || runs++ > p->blocks_nr ||
		    p->block[block].prev != before)
			return LABEL(8);
		before = block;
		if ((page_state(p, block_frame(p, block)) & ~STATE_ZERO) != (STATE_BUDDY | order))
			return LABEL(5);
		if (block_row(p->tag[block]) != row)
			return LABEL(6);
	}
	if (list->tail != before)
		return LABEL(8);
	return runs == list->nr ? 0 : LABEL(4);
}

/* Blocks without memory are all on the offline list, and reserved ones are counted. */
static int verify_block_counts(const struct pages *p, const struct zone *zone)
{
	uint32_t offline_nr = 0, highatomic_nr = 0, listed_nr = 0;

	for (uint32_t b = 0; b < zone->blocks_touched; b++) {
		offline_nr += !p->block[zone->block_first + b].online;
		highatomic_nr += (p->tag[zone->block_first + b] & TAG_HIGHATOMIC) != 0;
	}
	for (uint32_t block = zone->offline.head; block != BLOCK_NONE; block = p->block[block].next)
		if (block >= p->blocks_nr || p->block[block].online || listed_nr++ > offline_nr)
			return LABEL(8);
	if (listed_nr != zone->offline.nr || offline_nr != listed_nr + zone->blocks_growing)
		return LABEL(4);
	return highatomic_nr == zone->highatomic_blocks ? 0 : LABEL(4);
}

static int verify_zone_lists(const struct pages *p, const struct zone *zone)
{
	int label = 0;

	for (uint32_t b = 0; label == 0 && b < zone->blocks_touched; b++)
		label = verify_block_lists(p, zone->block_first + b);
	for (unsigned o = 0; o < whole_orders(p); o++)
		for (unsigned row = 0; label == 0 && row < ROWS_NR; row++)
			label = verify_whole_list(p, &zone->whole[o][row], o + p->pageblock_order,
						  row);
	return label != 0 ? label : verify_block_counts(p, zone);
}

/* ---- bins ---- */

static int verify_bin(const struct pages *p, const struct zone *zone, unsigned row, unsigned bucket,
		      unsigned order, uint64_t *pages)
{
	uint32_t block = zone->bins[row][bucket][order];
	uint32_t nr = 0, before = BLOCK_NONE;

	if ((block != BLOCK_NONE) != ((zone->bin_orders[row][bucket] >> order & 1) != 0))
		return LABEL(6);
	for (; block != BLOCK_NONE; block = p->block[block].next) {
		const struct pageblock *b;

		if (block >= p->blocks_nr || nr++ > p->blocks_nr || p->block[block].prev != before)
			return LABEL(8);
		before = block;
		b = &p->block[block];
		if (block_row(p->tag[block]) != row || b->whole ||
		    block_bucket(b->free_pages) != bucket || b->orders >> order != 1)
			return LABEL(6);
		*pages += b->free_pages;
	}
	return 0;
}

static int verify_bins(const struct pages *p, const struct zone *zone)
{
	int label = 0;

	for (unsigned row = 0; row < ROWS_NR && label == 0; row++) {
		uint64_t pages = 0;

		for (unsigned bucket = 0; bucket < BUCKETS_NR; bucket++)
			for (unsigned o = 0; o < PAGEBLOCK_ORDER_MAX && label == 0; o++)
				label = verify_bin(p, zone, row, bucket, o, &pages);
		if (label == 0 && pages != zone->row_free[row])
			label = LABEL(6);
	}
	return label;
}

/* ---- caches ---- */

/* One run held by a list, stack or depot: state, zone, and not of an isolated block (B9). */
static int verify_cached(const struct pages *p, const struct zone *zone, uint32_t frame,
			 unsigned order, struct sums *sums)
{
	uint32_t block = page_block(p, frame);

	if (block < zone->block_first || block >= zone->block_first + zone->blocks_touched)
		return LABEL(8);
	if ((page_state(p, frame) & ~STATE_ZERO) != (STATE_CACHED | order))
		return LABEL(5);
	if (p->tag[block] & TAG_ISOLATE)
		return LABEL(9);
	sums->listed += (uint64_t)1 << order;
	return 0;
}

static int verify_pcp_lists(const struct pages *p, const struct zone *zone, const struct pcp *pcp,
			    struct sums *sums)
{
	uint64_t count = 0, most = load_relaxed(&zone->pcp_high_max);

	for (unsigned i = 0; i < LISTS_NR; i++) {
		unsigned order = pcp_kept_order(p, i / TYPES_NR, LIST_ORDERS_NR);

		for (uint32_t frame = pcp->lists[i]; frame != FRAME_NONE;
		     frame = page_of(p, frame)->next) {
			int label = count > pcp->count ? LABEL(2)
						       : verify_cached(p, zone, frame, order, sums);

			if (label)
				return label;
			count += (uint64_t)1 << order;
		}
	}
	if (count != pcp->count)
		return LABEL(2);
	/* One refill, also of a nested call that could not push it, adds at most MOVE_MAX runs. */
	if (pcp->high == 0)
		return count == 0 ? 0 : LABEL(7);
	if (most < pcp->high) /* high_max falls at once with the limit, high at the next decay */
		most = pcp->high;
	if (count > most + ((uint64_t)MOVE_MAX << p->pageblock_order))
		return LABEL(7);
	return 0;
}

static int verify_stack(struct pages *p, const struct zone *zone, const struct pcp *pcp,
			unsigned class, struct sums *sums)
{
	const uint32_t *entries = stacks_entries(&p->stacks, &pcp->door, class);
	unsigned held = stacks_held(&p->stacks, &pcp->door, class);
	int label = 0;

	for (unsigned i = 0; label == 0 && i < held; i++)
		label = verify_cached(p, zone, entries[i], pcp_stack_order(p, class), sums);
	return label;
}

static int verify_depot(const struct pages *p, const struct zone *zone, struct sums *sums)
{
	const uint32_t *entries = zone->depot.entries;
	int label = 0;

	for (unsigned order = 0; order < DEPOT_ORDERS_NR; order++) {
		for (unsigned type = 0; type < TYPES_NR; type++) {
			for (unsigned i = 0; label == 0 && i < zone->depot.held[order][type]; i++)
				label = verify_cached(p, zone, entries[i], order, sums);
			entries += DEPOT_ENTRIES(order);
		}
	}
	return label;
}

static int verify_spares(const struct pages *p, const struct zone *zone, struct sums *sums)
{
	int label = 0;

	for (unsigned order = 0; order < SPARE_ORDERS_NR && zone->index == 0; order++)
		for (unsigned i = 0; label == 0 && i < SPARES_NR; i++)
			if (p->spares[order][i] != FRAME_NONE)
				label = verify_cached(p, zone, p->spares[order][i], order, sums);
	return label;
}

static int verify_caches(struct pages *p, const struct zone *zone, struct sums *sums)
{
	int label = verify_spares(p, zone, sums);

	for (unsigned slot = 0; slot < p->stacks.cpu.all_slots_nr && label == 0; slot++) {
		const struct pcp *pcp = page_pcp(p, zone->index, slot);

		if (!pcp->door.ready)
			continue;
		label = verify_pcp_lists(p, zone, pcp, sums);
		for (unsigned i = pcp->door.first; label == 0 && i < pcp->door.end; i++)
			label = verify_stack(p, zone, pcp, i, sums);
	}
	return label != 0 ? label : verify_depot(p, zone, sums);
}

/* ---- all ---- */

static int verify_totals(const struct pages *p, const struct zone *zone, const struct sums *sums)
{
	if (sums->buddy + sums->cached + sums->allocated + sums->deferred != zone->online_pages)
		return LABEL(1);
	/* In a child of fork, what other threads had in their hands is in no list. */
	if (sums->cached != sums->listed && !(p->q.forked && sums->cached > sums->listed))
		return LABEL(1);
	if (sums->buddy != zone->free_pages || sums->zero != zone->zero_pages ||
	    sums->isolated != zone->isolated_pages)
		return LABEL(4);
	for (unsigned order = 0; order < QUIRE_ORDERS; order++)
		for (unsigned row = 0; row < ROWS_NR; row++)
			if (sums->nr_free[order][row] != zone->nr_free[order][row])
				return LABEL(4);
	return 0;
}

/* @pages are marked DEFERRED: the list must hold them, and nothing else. */
static int verify_deferred(const struct pages *p, uint64_t pages)
{
	uint64_t found = 0;

	for (uint32_t frame = p->deferred; frame != FRAME_NONE; frame = page_of(p, frame)->next) {
		if (frame >= (uint64_t)p->blocks_nr << p->pageblock_order || found > pages)
			return LABEL(8);
		if ((page_state(p, frame) & STATE_KIND) != STATE_DEFERRED)
			return LABEL(5);
		found += (uint64_t)1 << (page_state(p, frame) & STATE_ORDER);
	}
	return found == pages || (p->q.forked && found < pages) ? 0 : LABEL(1);
}

int page_verify(struct pages *p)
{
	uint64_t deferred = 0;
	int label = 0;

	for (unsigned i = 0; i < p->zones_nr && label == 0; i++) {
		const struct zone *zone = &p->zone[i];
		struct sums sums = { .listed = 0 };

		label = verify_states(p, zone, &sums);
		if (label == 0)
			label = verify_zone_lists(p, zone);
		if (label == 0)
			label = verify_bins(p, zone);
		if (label == 0)
			label = verify_caches(p, zone, &sums);
		if (label == 0)
			label = verify_totals(p, zone, &sums);
		deferred += sums.deferred;
	}
	return label != 0 ? label : verify_deferred(p, deferred);
}
