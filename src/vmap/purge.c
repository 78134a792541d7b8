/* SPDX-License-Identifier: MIT */
/*
 * vmap/purge.c - purging freed ranges, many with one flush
 *
 * A purge splices the lazy list, adds old pooled ranges, sorts them by address, and gives their
 * memory back in gathers of up to PURGE_RANGES merged ranges.  When a gather has finished, no CPU
 * can access the old memory.  Then the ranges are returned to the free tree one by one; the lock
 * is dropped after each batch (R20).  lazy_pages is decremented as ranges are returned, not
 * before (R19).
 *
 * Purges are serialized: purge_mutex is held from the splice to the last return.  So a thread that
 * has waited for it finds everything that the purge in flight has freed (R17, V11).  Two other
 * policies exist for comparison only.  With `counter`, the atomic counter of 2016, purges do not
 * exclude each other, and the loser finds an empty list.  With `lock`, the lock is not dropped
 * while ranges are returned.
 *
 * Huge pages.  If a range covers only part of a 2 MiB block that has a huge page, unmapping the
 * part would free nothing, so the huge page is split first.  Blocks of which nothing is in use any more
 * need no advice of their own: dense_went().
 */
#include "vmap/purge.h"

#include <quire/quire.h>

#include "base/check.h"
#include "huge/policy.h"
#include "machine/atomic.h"
#include "machine/batch.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/usdt.h"
#include "page/charge.h"
#include "vmap/commit.h"
#include "vmap/decay.h"
#include "vmap/dense.h"
#include "vmap/frames.h"
#include "vmap/guarded.h"
#include "vmap/layout.h"
#include "vmap/lazy.h"
#include "vmap/mapped.h"
#include "vmap/ram.h"
#include "vmap/range.h"
#include "vmap/space.h"
#include "vmap/vmap.h"

/* The most ranges that the kernel accepts in one call; the array takes 24 KiB per instance. */
#define PURGE_RANGES	  1024u
#define COUNTER_RANGES	  64u /* purge:counter keeps its array on the stack */
/* Areas returned under one hold of the lock: about 3 us.  The larger batch is used while more than
 * twice lazy_max_pages are lazy. */
#define RETURN_BATCH	  32u
#define RETURN_BATCH_OVER 64u
#define POOL_BATCH	  32u

/* ---- sorting a chain by address ---- */

static uint32_t merge_chains(struct vmap *v, uint32_t a, uint32_t b)
{
	uint32_t head = RANGE_NONE, *link = &head;

	while (a != RANGE_NONE && b != RANGE_NONE) {
		uint32_t *least = range_at(v, a)->start < range_at(v, b)->start ? &a : &b;

		*link = *least;
		link = &range_at(v, *least)->next;
		*least = *link;
	}
	*link = a != RANGE_NONE ? a : b;
	return head;
}

/* Bottom-up merge sort: runs[n] holds a sorted run of 2^n ranges, or none. */
uint32_t purge_sort(struct vmap *v, uint32_t chain)
{
	uint32_t runs[32], sorted = RANGE_NONE;

	for (unsigned i = 0; i < 32; i++)
		runs[i] = RANGE_NONE;
	while (chain != RANGE_NONE) {
		uint32_t one = chain;
		unsigned i = 0;

		chain = range_at(v, one)->next;
		range_at(v, one)->next = RANGE_NONE;
		for (; runs[i] != RANGE_NONE; i++) {
			one = merge_chains(v, runs[i], one);
			runs[i] = RANGE_NONE;
		}
		runs[i] = one;
	}
	for (unsigned i = 0; i < 32; i++)
		sorted = merge_chains(v, runs[i], sorted);
	return sorted;
}

/* ---- giving memory back ---- */

/* Splits the huge page, if any, of a 2 MiB block of which only [addr, addr + bytes) is purged. */
static void split_edge(struct vmap *v, char *addr, size_t bytes)
{
	uint32_t section = page_at(v, addr) >> section_page_shift(v);

	/* The section may not be committed, if a handler was refused the range. */
	if (huge_part_goes(&v->advice, section, section + 1))
		mem_split_huge(addr, bytes);
}

/* Does so for the blocks that [addr, addr + bytes) covers only in part: the first, the last, or
 * both. */
static void split_edges(struct vmap *v, char *addr, size_t bytes)
{
	size_t block = (size_t)v->block_pages << v->page_shift;
	size_t into = (size_t)(addr - v->base) & (block - 1);
	size_t front = into != 0 ? block - into : 0, back;

	if (front > bytes)
		front = bytes;
	back = (into + bytes) & (block - 1);
	if (front != 0)
		split_edge(v, addr, front);
	if (back != 0 && front < bytes)
		split_edge(v, addr + bytes - back, back);
}

/* Adds ranges of a sorted chain to a gather until it is full.  Returns the first range that is
 * left. */
static uint32_t collect_ranges(struct vmap *v, struct gather *gather, uint32_t chain, bool *guards)
{
	char *addr = NULL;
	size_t bytes = 0;

	for (; chain != RANGE_NONE; chain = range_at(v, chain)->next) {
		struct range *r = range_at(v, chain);

		if (bytes == 0 || addr + bytes != range_addr(v, r)) {
			if (gather_is_full(gather))
				break;
			if (v->huge && bytes != 0)
				split_edges(v, addr, bytes);
			addr = range_addr(v, r);
			bytes = 0;
		}
		range_set_state(r, RANGE_PURGED);
		gather_unback(gather, range_addr(v, r), (size_t)r->pages << v->page_shift);
		bytes += (size_t)r->pages << v->page_shift;
		*guards |= (r->flags & (RANGE_GUARD | RANGE_GUARDED)) != 0;
	}
	if (v->huge && bytes != 0)
		split_edges(v, addr, bytes);
	return chain;
}

static void note_what_went(struct vmap *v, const struct gather *gather)
{
	for (unsigned i = 0; i < gather->ranges_nr; i++) {
		const struct mem_range *one = &gather->ranges[i];
		uint32_t page = page_at(v, one->addr);

		if (one->error == 0)
			dense_went(v, page, page + (uint32_t)(one->bytes >> v->page_shift));
	}
}

static bool any_refused(const struct gather *gather)
{
	for (unsigned i = 0; i < gather->ranges_nr; i++) {
		if (gather->ranges[i].error != 0)
			return true;
	}
	return false;
}

/* Removes the guards from all ranges of a gather.  Ranges that the system refused keep their
 * flags. */
static void unguard(struct vmap *v, struct gather *gather, uint32_t chain, uint32_t end)
{
	bool all;

	mem_unguard_ranges(gather->ranges, gather->ranges_nr);
	for (unsigned i = 0; i < gather->ranges_nr; i++) {
		const struct mem_range *one = &gather->ranges[i];
		uint32_t page = page_at(v, one->addr);
		uint32_t n = (uint32_t)(one->bytes >> v->page_shift);

		if (one->error != 0)
			continue;
		guarded_forget(v, page, n);
		mapped_forget(v, page, n);
	}
	all = !any_refused(gather);
	for (; chain != end; chain = range_at(v, chain)->next) {
		if (all || gather_gave_back(gather, range_addr(v, range_at(v, chain))))
			range_at(v, chain)->flags &= (uint8_t) ~(RANGE_GUARD | RANGE_GUARDED);
	}
}

/* Marks the ranges that the system refused to take back: their content is unspecified. */
static void mark_refused(struct vmap *v, const struct gather *gather, uint32_t chain, uint32_t end)
{
	for (; chain != end; chain = range_at(v, chain)->next) {
		if (!gather_gave_back(gather, range_addr(v, range_at(v, chain))))
			range_at(v, chain)->flags |= RANGE_DIRTY;
	}
}

/* ---- returning ---- */

/* Joins to the first range the ones that follow it without a gap, up to @most ranges in total.
 * Returns how many the joined range consists of. */
static unsigned join_neighbours_locked(struct vmap *v, uint32_t first, uint32_t *rest, uint32_t end,
				       unsigned most)
{
	struct range *r = range_at(v, first);
	unsigned n = 1;

	CHECK(lock_is_held(&v->lock));
	while (n < most && *rest != end && range_at(v, *rest)->start == range_end(r)) {
		uint32_t behind = *rest;

		*rest = range_at(v, behind)->next;
		space_join_locked(v, first, behind);
		n++;
	}
	return n;
}

/* Returns up to @most areas to the free tree, under one hold of the lock.  The result is the rest
 * of the chain. */
static uint32_t return_some(struct vmap *v, uint32_t chain, uint32_t end, unsigned most)
{
	uint64_t uncharge = 0;
	unsigned returned = 0;
	lock_token token = lock_acquire(&v->lock);

	while (chain != end && returned < most) {
		uint32_t first = chain, rest = range_at(v, chain)->next;
		unsigned n = join_neighbours_locked(v, first, &rest, end, most - returned);
		uint64_t pages = range_at(v, first)->usable;

		uncharge += space_free_locked(v, first);
		lazy_uncount(v, pages, n);
		count_add(v->purged_pages, pages);
		count_add(v->purged_ranges, 1);
		count_add(v->purged_areas, n);
		returned += n;
		chain = rest;
	}
	if (returned > v->areas_per_hold_max)
		store_relaxed(&v->areas_per_hold_max, returned);
	lock_release(&v->lock, token);
	page_uncharge(v->q, uncharge);
	return chain;
}

void purge_return(struct vmap *v, uint32_t chain, uint32_t end)
{
	while (chain != end) {
		unsigned most = RETURN_BATCH;

		if (load_relaxed(&v->lazy_pages) > 2 * load_relaxed(&v->lazy_max_pages))
			most = RETURN_BATCH_OVER;
		if (v->policy == QUIRE_PURGE_LOCK)
			most = UINT32_MAX;
		chain = return_some(v, chain, end, most);
		if (chain != end)
			lock_let_others_in(&v->lock);
	}
}

void purge_extend(struct purge_extent *extent, const struct range *r)
{
	extent->low = r->start < extent->low ? r->start : extent->low;
	extent->high = r->start + r->pages > extent->high ? r->start + r->pages : extent->high;
	extent->areas++;
}

void purge_say(const struct vmap *v, const struct purge_extent *extent)
{
	if (extent->areas == 0)
		return;
	USDT(purge_vmap_area_lazy, (uintptr_t)v->base + ((uintptr_t)extent->low << v->page_shift),
	     (uintptr_t)v->base + ((uintptr_t)extent->high << v->page_shift), extent->areas);
}

/* Purges a chain whose pages are counted in lazy_pages.  Returns the number of pages. */
static uint64_t purge_chain(struct vmap *v, uint32_t chain, struct mem_range *ranges, unsigned most)
{
	struct purge_extent extent = { .low = UINT32_MAX };
	uint64_t pages = 0;

	for (uint32_t i = chain; i != RANGE_NONE; i = range_at(v, i)->next) {
		pages += range_at(v, i)->usable;
		purge_extend(&extent, range_at(v, i));
	}
	if (chain != RANGE_NONE)
		fetch_add_relaxed(&v->purges, 1);
	if (chain != RANGE_NONE)
		dense_look(v);
	for (chain = purge_sort(v, chain); chain != RANGE_NONE;) {
		struct gather gather;
		bool guards = false;
		uint32_t end;

		gather_begin(&gather, ranges, most);
		if (ranges == v->ranges)
			gather_lend(&gather, v->vector, most);
		end = collect_ranges(v, &gather, chain, &guards);
		gather_finish(&gather);
		fetch_add_relaxed(&v->flushes, 1);
		if (any_refused(&gather))
			mark_refused(v, &gather, chain, end);
		if (guards && !v->guard_freed)
			unguard(v, &gather, chain, end);
		purge_return(v, chain, end);
		if (v->huge)
			note_what_went(v, &gather);
		chain = end;
	}
	vmap_count_advice(v);
	dense_settle(v);
	purge_say(v, &extent);
	return pages;
}

/* ---- pooled ranges ---- */

static bool is_at_or_before(uint32_t stamp_ms, uint32_t before_ms)
{
	return before_ms == EVERYTHING_MS || (int32_t)(before_ms - stamp_ms) >= 0;
}

/* Adds the oldest pooled ranges to a chain and counts them as lazy. */
static uint32_t add_pooled(struct vmap *v, uint32_t chain, uint32_t before_ms, uint64_t keep_pages)
{
	bool more = true;

	while (more) {
		lock_token token = lock_acquire(&v->lock);

		for (unsigned i = 0; more && i < batch_most(POOL_BATCH); i++) {
			uint32_t index = v->oldest;
			struct range *r;

			more = index != RANGE_NONE && v->pooled.pages > keep_pages &&
			       is_at_or_before(range_at(v, index)->stamp_ms, before_ms);
			if (!more)
				break;
			r = range_at(v, index);
			fetch_add_relaxed(&v->lazy_areas, 1);
			fetch_add_relaxed(&v->lazy_pages, r->usable); /* V4: before unpooling */
			space_unpool_locked(v, index);
			range_set_state(r, RANGE_PURGED);
			r->next = chain;
			chain = index;
		}
		lock_release(&v->lock, token);
		if (more)
			lock_let_others_in(&v->lock);
	}
	return chain;
}

/* ---- the policies ---- */

/* Does not exclude other purges: a second one splices an empty list, and returns while the first
 * has yet to return the memory. */
static uint64_t run_counter(struct vmap *v, uint32_t before_ms, uint64_t keep_pages)
{
	struct mem_range ranges[COUNTER_RANGES];
	uint64_t pages;

	fetch_add_relaxed(&v->purging, 1);
	pages = purge_chain(v, add_pooled(v, lazy_splice(v), before_ms, keep_pages), ranges,
			    COUNTER_RANGES);
	fetch_sub_relaxed(&v->purging, 1);
	if (mutex_try(&v->purge_mutex)) {
		pages += frames_purge(v);
		mutex_release(&v->purge_mutex);
	}
	return pages;
}

bool purge_try(struct vmap *v, uint32_t before_ms, uint64_t keep_pages, uint64_t *pages)
{
	*pages = 0;
	if (v->policy == QUIRE_PURGE_COUNTER) {
		*pages = run_counter(v, before_ms, keep_pages);
		return true;
	}
	if (!mutex_try(&v->purge_mutex))
		return false;
	*pages = purge_chain(v, add_pooled(v, lazy_splice(v), before_ms, keep_pages), v->ranges,
			     PURGE_RANGES);
	*pages += frames_purge(v);
	mutex_release(&v->purge_mutex);
	return true;
}

uint64_t purge_run(struct vmap *v, uint32_t before_ms, uint64_t keep_pages)
{
	uint64_t pages;

	(void)purge_try(v, before_ms, keep_pages, &pages);
	return pages;
}

struct purged purge_everything(struct vmap *v)
{
	struct purged purged;

	CHECK(mutex_is_held(&v->purge_mutex));
	ram_purge_fragmented(v, true);
	purged.alias_pages = frames_purge(v);
	purged.area_pages = purge_chain(v, add_pooled(v, lazy_splice(v), EVERYTHING_MS, 0),
					v->ranges, PURGE_RANGES);
	return purged;
}

/* ---- back to the pool ---- */

void purge_pool_chain(struct vmap *v, uint32_t chain)
{
	uint32_t now_ms = chain != RANGE_NONE ? decay_now_ms() : 0;

	while (chain != RANGE_NONE) {
		lock_token token = lock_acquire(&v->lock);

		for (unsigned i = 0; i < batch_most(POOL_BATCH) && chain != RANGE_NONE; i++) {
			uint32_t index = chain;

			chain = range_at(v, index)->next;
			space_pool_locked(v, index, now_ms);
		}
		lock_release(&v->lock, token);
	}
}

unsigned purge_rescue(struct vmap *v, unsigned most)
{
	uint64_t pages = 0;
	unsigned n = 0;
	uint32_t chain;

	/* purge:counter splices without purge_mutex, so a popped range could be on the list again
	 * already. */
	if (!v->cache || v->policy != QUIRE_PURGE_SPLICE)
		return 0;
	/* A hint: pairs with push(). */
	if (load_relaxed(&v->lazy) == RANGE_NONE || !mutex_try(&v->purge_mutex))
		return 0;
	chain = lazy_pop(v, most);
	for (uint32_t i = chain; i != RANGE_NONE; i = range_at(v, i)->next, n++)
		pages += range_at(v, i)->usable;
	purge_pool_chain(v, chain);
	lazy_uncount(v, pages, n);
	mutex_release(&v->purge_mutex);
	return n;
}
