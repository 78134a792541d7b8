/* SPDX-License-Identifier: MIT */
/*
 * page/isolate.c - taking a pageblock out of circulation, and away
 *
 * Isolating sets the block's ISOLATE bit under the zone lock; its free pages then count and lie
 * under the isolated row, from which nothing allocates, and its own type survives in the tag.
 * Then lists and stacks are disabled and drained, so when the call returns, every page of the
 * block is either in use or in the buddy (B9).  A free that read the old tag cannot push
 * afterwards: the sequence reads the tag again (the guard), and the fence of the drain restarts
 * sequences that had read it already.  All of this is one hold of pcp_disable_mutex, which fork
 * takes, so no child has an isolated block whose pages are still on lists.  Offlining is one hold
 * too, so no child has a block that is isolated on behalf of a thread that does not exist there.
 *
 * Offlining: isolate the block; if it is then whole, take it out of the buddy, return its memory
 * and its struct pages, and keep its number on the zone's offline list for growing again.
 */
#include "page/isolate.h"

#include <quire/page.h>

#include "base/check.h"
#include "base/errno.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "page/advice.h"
#include "page/block.h"
#include "page/buddy.h"
#include "page/drain.h"
#include "page/giveback.h"
#include "page/layout.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/state.h"
#include "page/zone.h"

/* Changes one block of a whole run: the run is taken off and its blocks go back one by one. */
static void retag_whole_locked(struct pages *p, struct zone *zone, uint32_t block, uint8_t tag)
{
	unsigned order;
	uint32_t head = buddy_head_locked(p, zone, block_frame(p, block), &order);
	unsigned zero;

	DCHECK(lock_is_held(&zone->lock));
	CHECK(head != FRAME_NONE && order >= p->pageblock_order);
	zero = page_state(p, head) & STATE_ZERO;
	buddy_whole_remove_locked(p, zone, head, order);
	page_set_state(p, head, STATE_TAIL);
	/* Pairs with the load in quire_free_pages() and the guard of stack_push(). */
	store_relaxed(&p->tag[block], tag);
	for (uint32_t i = 0; i < 1u << (order - p->pageblock_order); i++)
		buddy_whole_add_locked(p, zone, head + (i << p->pageblock_order),
				       p->pageblock_order, zero);
}

static void retag_locked(struct pages *p, struct zone *zone, uint32_t block, uint8_t tag)
{
	DCHECK(lock_is_held(&zone->lock));
	if (p->block[block].whole)
		retag_whole_locked(p, zone, block, tag);
	else
		block_set_tag_locked(p, zone, block, tag);
}

/* Number of the block that holds an address, or BLOCK_NONE. */
static uint32_t block_of(struct pages *p, const void *addr)
{
	uintptr_t offset = (uintptr_t)addr - (uintptr_t)p->base;

	return offset < p->span_bytes ? (uint32_t)(offset >> BLOCK_SHIFT) : BLOCK_NONE;
}

static struct zone *block_zone(struct pages *p, uint32_t block)
{
	return &p->zone[block / p->zone_blocks];
}

int page_set_isolate_locked(struct pages *p, uint32_t block, bool isolate)
{
	struct zone *zone = block_zone(p, block);
	lock_token token;
	int error = -EBUSY;

	/* Nothing is REPORTING while it is held. */
	DCHECK(mutex_is_held(&p->giveback_mutex));
	zone_lock_for(zone, 0, &token);
	if (p->block[block].online && ((p->tag[block] & TAG_ISOLATE) != 0) != isolate) {
		uint8_t tag = (uint8_t)(p->tag[block] & ~(TAG_ISOLATE | TAG_EMPTYING));

		if (tag & TAG_HIGHATOMIC)
			zone->highatomic_blocks--;
		tag = (uint8_t)(tag & ~TAG_HIGHATOMIC);
		retag_locked(p, zone, block, isolate ? tag | TAG_ISOLATE : tag);
		error = 0;
	}
	zone_unlock(zone, token);
	return error;
}

int page_set_isolate(struct pages *p, uint32_t block, bool isolate)
{
	int error;

	mutex_acquire(&p->giveback_mutex);
	error = page_set_isolate_locked(p, block, isolate);
	mutex_release(&p->giveback_mutex);
	return error;
}

static int isolate_locked(struct pages *p, uint32_t block)
{
	int error;

	DCHECK(mutex_is_held(&p->pcp_disable_mutex));
	error = page_set_isolate(p, block, true);
	if (error)
		return error;
	drain_disabled_locked(p);
	return 0;
}

static int refuses(const struct pages *p, uint32_t block)
{
	if (p->q.dead)
		return -EOWNERDEAD;
	return block == BLOCK_NONE ? -EINVAL : 0;
}

int quire_isolate_pageblock(struct quire *q, void *addr)
{
	struct pages *p = pages_of(q);
	uint32_t block = block_of(p, addr);
	int error = refuses(p, block);

	if (error)
		return error;
	mutex_acquire(&p->pcp_disable_mutex);
	error = isolate_locked(p, block);
	mutex_release(&p->pcp_disable_mutex);
	return error;
}

int quire_unisolate_pageblock(struct quire *q, void *addr)
{
	struct pages *p = pages_of(q);
	uint32_t block = block_of(p, addr);

	if (q->dead)
		return -EOWNERDEAD;
	if (block == BLOCK_NONE || page_set_isolate(p, block, false) != 0)
		return -EINVAL;
	return 0;
}

/* ---- offline ---- */

/* Takes a whole block out of the buddy for good.  False: a page of it is in use. */
static bool take_out_locked(struct pages *p, struct zone *zone, uint32_t block)
{
	uint32_t frame = block_frame(p, block);

	DCHECK(lock_is_held(&zone->lock));
	if ((page_state(p, frame) & ~STATE_ZERO) != (STATE_BUDDY | p->pageblock_order))
		return false;
	buddy_whole_remove_locked(p, zone, frame, p->pageblock_order);
	page_set_state(p, frame, STATE_OFFLINE | p->pageblock_order);
	p->block[block].online = false;
	p->block[block].whole = false;
	p->block[block].free_pages = 0;
	store_relaxed(&p->tag[block], (uint8_t)(p->tag[block] & ~TAG_ISOLATE));
	store_relaxed(&zone->online_pages, zone->online_pages - block_pages(p));
	zone->blocks_growing++; /* neither online nor yet free to grow into */
	return true;
}

/* Its memory goes, and its struct pages where they fill whole system pages.  False: the system
 * refused to take the memory, so it is not known to read zero when the block grows again. */
static bool unback_block(struct pages *p, uint32_t block)
{
	size_t meta_bytes = (size_t)block_pages(p) * sizeof(struct page);
	struct mem_range ranges[2];
	struct gather gather;
	bool is_gone;

	gather_begin(&gather, ranges, 2);
	page_unback(p, &gather, page_addr(p, block_frame(p, block)), (size_t)1 << BLOCK_SHIFT);
	if (meta_bytes % mem_page_bytes() == 0)
		gather_unback(&gather, p->page - block_frame(p, block) - block_pages(p),
			      meta_bytes);
	gather_finish(&gather);
	is_gone = gather_gave_back(&gather, page_addr(p, block_frame(p, block)));
	page_advise_offline(p, block, is_gone);
	return is_gone;
}

/* Undoes take_out_locked().  The block counts as having memory, which a visit of the worker could give back. */
static void put_online(struct pages *p, struct zone *zone, uint32_t block)
{
	lock_token token;

	zone_lock_for(zone, 0, &token);
	zone->blocks_growing--;
	p->block[block].online = true;
	store_relaxed(&p->block[block].reported, false);
	store_relaxed(&zone->online_pages, zone->online_pages + block_pages(p));
	buddy_whole_add_locked(p, zone, block_frame(p, block), p->pageblock_order, 0);
	zone_unlock(zone, token);
	giveback_kick(p);
}

static void put_offline(struct pages *p, struct zone *zone, uint32_t block)
{
	lock_token token;

	zone_lock_for(zone, 0, &token);
	zone->blocks_growing--;
	block_list_push(p, &zone->offline, block, true);
	zone_unlock(zone, token);
}

static bool take_offline_locked(struct pages *p, uint32_t block)
{
	struct zone *zone = block_zone(p, block);
	lock_token token;
	bool taken;

	/* Fork takes it, too, and so finds no block between the buddy and the offline list. */
	DCHECK(mutex_is_held(&p->giveback_mutex));
	zone_lock_for(zone, 0, &token);
	taken = take_out_locked(p, zone, block);
	zone_unlock(zone, token);
	if (taken && unback_block(p, block)) {
		put_offline(p, zone, block);
	} else if (taken) {
		put_online(p, zone, block);
		taken = false;
	}
	return taken;
}

static int offline_locked(struct pages *p, uint32_t block)
{
	int error;

	DCHECK(mutex_is_held(&p->pcp_disable_mutex));
	error = isolate_locked(p, block);
	if (error)
		return error;
	/* Nothing of it is on its way back while the mutex is held. */
	mutex_acquire(&p->giveback_mutex);
	if (!take_offline_locked(p, block)) {
		page_set_isolate_locked(p, block, false);
		error = -EBUSY;
	}
	mutex_release(&p->giveback_mutex);
	return error;
}

int quire_offline_pageblock(struct quire *q, void *addr)
{
	struct pages *p = pages_of(q);
	uint32_t block = block_of(p, addr);
	int error = refuses(p, block);

	if (error)
		return error;
	mutex_acquire(&p->pcp_disable_mutex);
	error = offline_locked(p, block);
	mutex_release(&p->pcp_disable_mutex);
	if (error)
		giveback_call_worker(p);
	return error;
}

/* Takes one whole block offline, or leaves it as it is.  While giveback_mutex is held a caller that
 * finds nothing else waits: the block is not lost between two lists to it. */
static bool offline_whole(struct pages *p, uint32_t block)
{
	bool taken = false;

	mutex_acquire(&p->giveback_mutex);
	if (page_set_isolate_locked(p, block, true) == 0) {
		taken = take_offline_locked(p, block);
		if (!taken)
			page_set_isolate_locked(p, block, false);
	}
	mutex_release(&p->giveback_mutex);
	return taken;
}

size_t offline_whole_blocks(struct pages *p)
{
	size_t blocks = 0;

	for (unsigned i = 0; i < p->zones_nr; i++) {
		struct zone *zone = &p->zone[i];

		/* A block that is missed now is not reported yet. */
		for (uint32_t b = 0; b < load_relaxed(&zone->blocks_touched); b++) {
			uint32_t block = zone->block_first + b;

			/* A hint; take_out_locked() looks again under the lock. */
			if (load_relaxed(&p->block[block].reported))
				blocks += offline_whole(p, block);
		}
	}
	return blocks;
}
