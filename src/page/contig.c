/* SPDX-License-Identifier: MIT */
/*
 * page/contig.c - taking a given range of pages, and giving it back
 *
 * Nothing migrates, so a range can be taken only if all of its pages are free.  Its blocks are isolated and
 * drained together (isolate.c), after which each of its pages is in use or in the buddy, and what is in the
 * buddy stays there.  Then it is checked, block by block; and if that finds all of them free, taken, block
 * by block.  giveback_mutex is held from the check to the end: no page is on its way back to the system, and
 * nobody else can end the isolation, so what was checked cannot change.  The blocks are ordinary again when
 * the call returns, whatever it returns.
 *
 * Fork takes pcp_disable_mutex, which is held all the time: no child has blocks that are isolated for this.
 */
#include <quire/page.h>

#include "base/check.h"
#include "base/errno.h"
#include "machine/lock.h"
#include "page/alloc.h"
#include "page/block.h"
#include "page/buddy.h"
#include "page/charge.h"
#include "page/drain.h"
#include "page/free.h"
#include "page/giveback.h"
#include "page/isolate.h"
#include "page/layout.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/request.h"
#include "page/state.h"
#include "page/watch.h"
#include "page/zone.h"

/* Frames [first, end), of one zone. */
struct contig {
	struct pages *p;
	struct zone *zone;
	uint32_t first, end;
};

/* ---- one block after the other ---- */

static uint32_t blocks_end(const struct contig *range)
{
	return page_block(range->p, range->end - 1) + 1;
}

/* The range's first frame in a block, and the end of its frames there. */
static uint32_t first_in(const struct contig *range, uint32_t block)
{
	uint32_t first = block_frame(range->p, block);

	return range->first > first ? range->first : first;
}

static uint32_t end_in(const struct contig *range, uint32_t block)
{
	uint32_t end = block_frame(range->p, block + 1);

	return range->end < end ? range->end : end;
}

/* Ends the isolation of the range's blocks before @end. */
static void unisolate_before_locked(const struct contig *range, uint32_t end)
{
	DCHECK(mutex_is_held(&range->p->giveback_mutex));
	/* One that another caller has un-isolated meanwhile is what it is to be. */
	for (uint32_t b = page_block(range->p, range->first); b < end; b++)
		(void)page_set_isolate_locked(range->p, b, false);
}

/* Isolates all blocks of the range, or none. */
static int isolate_range_locked(const struct contig *range)
{
	struct pages *p = range->p;
	uint32_t block = page_block(p, range->first);
	int error = 0;

	DCHECK(mutex_is_held(&p->pcp_disable_mutex));
	mutex_acquire(&p->giveback_mutex);
	for (; block < blocks_end(range) && !error; block++)
		error = page_set_isolate_locked(p, block, true);
	if (error)
		unisolate_before_locked(range, block - 1);
	mutex_release(&p->giveback_mutex);
	return error;
}

/* Are the range's pages in a block free, and is the block isolated?  Adds what is free of the block to @free_pages. */
static bool is_free_in(const struct contig *range, uint32_t block, uint64_t *free_pages)
{
	struct pages *p = range->p;
	uint32_t frame = first_in(range, block), end = end_in(range, block);
	lock_token token;

	zone_lock_for(range->zone, 0, &token);
	if (!(p->tag[block] & TAG_ISOLATE))
		end = frame;
	else
		*free_pages += p->block[block].free_pages;
	while (frame < end) {
		unsigned order;
		uint32_t head = buddy_head_locked(p, range->zone, frame, &order);

		if (head == FRAME_NONE)
			break;
		frame = head + (1u << order);
	}
	zone_unlock(range->zone, token);
	return frame >= end_in(range, block);
}

/* 0, or why the range cannot be taken: -EBUSY, -ENOMEM. */
static int check_locked(const struct contig *range)
{
	uint64_t free_pages = 0;
	lock_token token;
	bool has_room;

	DCHECK(mutex_is_held(&range->p->giveback_mutex));
	for (uint32_t b = page_block(range->p, range->first); b < blocks_end(range); b++)
		if (!is_free_in(range, b, &free_pages))
			return -EBUSY;
	zone_lock_for(range->zone, 0, &token);
	has_room = zone_has_isolated_room_locked(range->p, range->zone, range->end - range->first,
						 free_pages);
	zone_unlock(range->zone, token);
	return has_room ? 0 : -ENOMEM;
}

static void take_locked(const struct contig *range)
{
	struct pages *p = range->p;

	DCHECK(mutex_is_held(&p->giveback_mutex));
	for (uint32_t b = page_block(p, range->first); b < blocks_end(range); b++) {
		lock_token token;

		zone_lock_for(range->zone, 0, &token);
		buddy_take_range_locked(p, range->zone, first_in(range, b), end_in(range, b));
		zone_unlock(range->zone, token);
	}
}

/* ---- the calls ---- */

/* Takes the range's pages (state CACHED): 0, -EBUSY or -ENOMEM. */
static int contig_attempt(void *arg)
{
	const struct contig *range = arg;
	struct pages *p = range->p;
	int error;

	mutex_acquire(&p->pcp_disable_mutex);
	error = isolate_range_locked(range);
	if (!error) {
		drain_disabled_locked(p);
		page_take_deferred(p);
		mutex_acquire(&p->giveback_mutex);
		error = check_locked(range);
		if (!error)
			take_locked(range);
		unisolate_before_locked(range, blocks_end(range));
		mutex_release(&p->giveback_mutex);
	}
	mutex_release(&p->pcp_disable_mutex);
	return error;
}

/* 0, -EOWNERDEAD, or -EINVAL for what is no range of whole pages of one zone. */
static int contig_make(struct pages *p, const void *addr, size_t bytes, struct contig *range)
{
	uintptr_t offset = (uintptr_t)addr - (uintptr_t)p->base;
	uint32_t block, last;

	if (p->q.dead)
		return -EOWNERDEAD;
	if (offset >= p->span_bytes || offset & p->page_mask || bytes == 0 ||
	    bytes > p->span_bytes - offset)
		return -EINVAL;
	*range = (struct contig){
		.p = p,
		.first = page_frame(p, addr),
		.end = (uint32_t)((offset + bytes + p->page_mask) >> p->page_shift),
	};
	block = page_block(p, range->first);
	last = page_block(p, range->end - 1);
	range->zone = &p->zone[block / p->zone_blocks];
	return block / p->zone_blocks == last / p->zone_blocks ? 0 : -EINVAL;
}

int quire_alloc_contig_range(struct quire *q, void *addr, size_t bytes, unsigned flags)
{
	struct pages *p = pages_of(q);
	struct contig range;
	int error = contig_make(p, addr, bytes, &range);
	struct page_request request = { .flags = flags };

	if (error)
		return error;
	if (flags & ~QUIRE_ZERO)
		return -EINVAL;
	error = page_attempt(q, bytes, 0, contig_attempt, &range);
	for (uint32_t frame = range.first; frame < range.end && !error; frame++)
		(void)page_finish_alloc(p, frame, &request);
	return error;
}

void quire_free_contig_range(struct quire *q, void *addr, size_t bytes)
{
	struct pages *p = pages_of(q);
	size_t page_bytes = (size_t)1 << p->page_shift;

	if (addr == NULL || q->dead)
		return;
	for (size_t at = 0; at < bytes; at += page_bytes) {
		char *page = (char *)addr + at;
		uint32_t frame = page_check_free(p, page, 0, "quire_free_contig_range");

		if (UNLIKELY(q->watched))
			page_watch_free(p, page, page_bytes);
		page_set_state(p, frame, STATE_CACHED);
		page_free_direct(p, frame);
	}
	giveback_kick(p);
	giveback_ensure_worker_freed(p);
}
