/* SPDX-License-Identifier: MIT */
/*
 * page/zone.c - how much a zone may allocate, and how it grows
 *
 * Watermarks follow Linux: min = sqrt(16 x zone in KiB) clamped to 128 KiB .. 256 MiB, in the
 * zone's share; low and high are one gap above each, gap = max(min / 4, managed / 1000).  Here a
 * zone's pages are those of its limit, and uncommitted pages count as available, since committing
 * them takes memory from no other user of the instance.
 *
 * The limit is exact, but blocks are whole, so a zone's blocks may hold more than its share of
 * the limit.  The excess is never available, as if it were charged permanently:
 *
 *     managed = allocated + cached + charged + available
 *
 * Growing commits whole pageblocks: their memory, and struct pages and state bytes of
 * META_STEP_BLOCKS blocks at a time.  Callers that may wait do it one at a time, under grow_mutex, so
 * that one commit serves all.  A caller that may not wait and finds the mutex held commits a step of its own
 * concurrently: it is refused only if there is no memory, not because another caller is
 * committing.  No spin lock is held over a system call.
 *
 * A step takes the lowest unclaimed blocks, under the zone lock; they belong to its grower until
 * they are online.  Besides grow_mutex each step has a mutex, which its grower never waits for: a
 * caller that may wait and finds all blocks claimed waits there for those growers.
 *
 *   from   when                                              to     under
 *   NONE   never-used or offline blocks are claimed          BUSY   zone lock
 *   LEFT   it is resumed before any other                    BUSY   zone lock
 *   BUSY   all its blocks are online                         NONE   zone lock
 *   BUSY   the system refused, and the rest went back: to    NONE   zone lock
 *          the offline list, or to the never-used blocks
 *   BUSY   the system refused, and never-used blocks behind  LEFT   zone lock
 *          the rest are claimed already, so it cannot go back
 *   BUSY   fork: its grower stayed in the parent             LEFT   fork, in the child
 */
#include "page/zone.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/mem.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "page/advice.h"
#include "page/block.h"
#include "page/buddy.h"
#include "page/grow.h"
#include "page/layout.h"
#include "page/limit.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/request.h"
#include "page/state.h"

/* Pageblocks committed in one go: an eighth of what is online, within these.  Two keep the largest
 * order, which spans two blocks of 4 KiB pages, within reach of one step, and four hold a block of each
 * type; 16 blocks are 32 MiB, a few microseconds of system calls against milliseconds of faults. */
#define GROW_BLOCKS_PAIR 2u
#define GROW_BLOCKS_MIN	 4u
#define GROW_BLOCKS_MAX	 16u

static uint64_t square_root(uint64_t x)
{
	uint64_t low = 0, high = (uint64_t)1 << 32;

	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		if (middle * middle <= x)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static uint64_t clamp(uint64_t x, uint64_t low, uint64_t high)
{
	return x < low ? low : x > high ? high : x;
}

static void zone_init_marks(struct pages *p, struct zone *zone)
{
	uint64_t managed = zone->managed_pages;
	unsigned kib_shift = p->page_shift - 10u;
	uint64_t min_kib = clamp(square_root((managed << kib_shift) * 16), 128, 262144);
	uint64_t gap;

	/* A zone of a few blocks keeps at most a 32nd back. */
	store_relaxed(&zone->mark_min, clamp(min_kib >> kib_shift, 1, managed / 32 + 1));
	gap = zone->mark_min / 4 > managed / 1000 ? zone->mark_min / 4 : managed / 1000;
	store_relaxed(&zone->mark_low, zone->mark_min + gap);
	store_relaxed(&zone->mark_high, zone->mark_low + gap);
}

/* Linux's batch: a quarter of managed/1024 or of 1 MiB, rounded to 2^n - 1; 63 for large zones. */
static uint32_t zone_batch(const struct pages *p, const struct zone *zone)
{
	uint64_t mib_pages = (uint64_t)1 << (20 - p->page_shift);
	uint64_t b = clamp(zone->managed_pages >> 10, 0, mib_pages) / 4;

	b += b / 2;
	if (b < 2)
		return 1;
	return (1u << (31u - (unsigned)__builtin_clz((uint32_t)b))) - 1u;
}

/*
 * high begins at Linux's least, four batches, not at a CPU's share of the low watermark: that share
 * is 5,500 pages for 24 GiB and 2 CPUs, and pages on lists are out of reach of "fullest block
 * first".  In the recorded compile it cost 8 pinned blocks of 73.  Churn raises high in one burst.
 */
static void zone_init_pcp(struct pages *p, struct zone *zone)
{
	uint64_t doors = p->stacks.cpu.all_slots_nr;

	store_relaxed(&zone->pcp_batch, zone_batch(p, zone));
	store_relaxed(&zone->pcp_high_max,
		      (uint32_t)clamp(zone->managed_pages / 8 / doors, 1, 1u << 28));
	store_relaxed(&zone->pcp_high_min,
		      (uint32_t)clamp(4u * (uint64_t)zone->pcp_batch, 1, zone->pcp_high_max));
}

void zone_init(struct pages *p, unsigned index, uint32_t block_first, uint32_t blocks_nr)
{
	struct zone *zone = &p->zone[index];
	struct block_list empty = { .head = BLOCK_NONE, .tail = BLOCK_NONE };

	lock_init(&zone->lock, RANK_ZONE);
	zone->index = (uint8_t)index;
	zone->block_first = block_first;
	zone->blocks_nr = blocks_nr;
	if (index == 0)
		zone->blocks_described = p->state_blocks < blocks_nr ? p->state_blocks : blocks_nr;
	zone->most_pages =
		p->q.limit_pages / p->zones_nr + (index < p->q.limit_pages % p->zones_nr);
	zone->managed_pages = zone->most_pages;
	zone->offline = empty;
	for (unsigned i = 0; i < GROWERS_MAX; i++)
		mutex_init(&zone->steps[i].mutex, RANK_GROW_STEP);
	for (unsigned row = 0; row < ROWS_NR; row++) {
		for (unsigned o = 0; o < WHOLE_ORDERS_MAX; o++)
			zone->whole[o][row] = empty;
		for (unsigned bucket = 0; bucket < BUCKETS_NR; bucket++)
			for (unsigned o = 0; o < PAGEBLOCK_ORDER_MAX; o++)
				zone->bins[row][bucket][o] = BLOCK_NONE;
	}
	zone_init_marks(p, zone);
	zone_init_pcp(p, zone);
}

bool zone_lock_for(struct zone *zone, unsigned flags, lock_token *token)
{
	if (!lock_acquire_or_try(&zone->lock, flags & QUIRE_NOLOCK, token))
		return false;
	zone->lock_acquisitions++;
	return true;
}

void zone_unlock(struct zone *zone, lock_token token)
{
	lock_release(&zone->lock, token);
}

/* @isolated_pages: free ones in isolated blocks that can be got all the same. */
static uint64_t available_with(const struct pages *p, const struct zone *zone,
			       uint64_t isolated_pages)
{
	uint64_t pages, blocks = (uint64_t)zone->blocks_nr - zone->blocks_touched +
				 zone->offline.nr + zone->blocks_growing;
	uint64_t beyond = ((uint64_t)zone->blocks_nr << p->pageblock_order) - zone->managed_pages;
	uint64_t taken = zone->charged_pages + beyond;

	DCHECK(isolated_pages <= zone->isolated_pages);
	pages = zone->free_pages - zone->isolated_pages + isolated_pages + zone->reporting_pages +
		(blocks << p->pageblock_order);
	/* If a block is isolated after callers charged the pages that were free then, more may be taken than
	 * there are pages. */
	return pages > taken ? pages - taken : 0;
}

uint64_t zone_available_locked(const struct pages *p, const struct zone *zone)
{
	DCHECK(lock_is_held(&zone->lock));
	return available_with(p, zone, 0);
}

uint64_t zone_above_high_locked(const struct zone *zone, uint64_t available)
{
	uint64_t used = zone->managed_pages - available;

	DCHECK(lock_is_held(&zone->lock));
	return used > zone->used_high ? used - zone->used_high : 0;
}

void zone_raise_high_locked(const struct pages *p, struct zone *zone, uint64_t most)
{
	uint64_t above = zone_above_high_locked(zone, zone_available_locked(p, zone));

	DCHECK(lock_is_held(&zone->lock));
	zone->used_high += above < most ? above : most;
}

uint64_t zone_set_limit(struct pages *p, struct zone *zone, uint64_t pages)
{
	lock_token token;
	uint64_t used;

	zone_lock_for(zone, 0, &token);
	used = zone->managed_pages - zone_available_locked(p, zone);
	pages = clamp(pages, used, zone->most_pages);
	if (pages != zone->managed_pages) {
		store_relaxed(&zone->managed_pages, pages);
		zone_init_marks(p, zone);
		zone_init_pcp(p, zone);
	}
	zone_unlock(zone, token);
	return pages;
}

/* ATOMIC callers may use half of the reserve and, since they cannot wait either, a quarter of the rest:
 * Linux's arithmetic. */
uint64_t zone_mark(const struct zone *zone, unsigned flags)
{
	uint64_t mark = zone->mark_min;

	if (flags & QUIRE_ATOMIC) {
		mark -= mark / 2;
		mark -= mark / 4;
	}
	return mark;
}

bool zone_has_room_locked(const struct pages *p, const struct zone *zone, unsigned flags,
			  uint64_t pages)
{
	uint64_t available = zone_available_locked(p, zone);

	DCHECK(lock_is_held(&zone->lock));
	return available >= pages && available - pages >= zone_mark(zone, flags);
}

bool zone_has_isolated_room_locked(const struct pages *p, const struct zone *zone, uint64_t pages,
				   uint64_t isolated_pages)
{
	DCHECK(lock_is_held(&zone->lock));
	return available_with(p, zone, isolated_pages) >= pages + zone_mark(zone, 0);
}

/* ---- growing ---- */

/* State bytes and struct pages of blocks [first, end); all else was committed with the instance. */
static int commit_metadata(struct pages *p, uint32_t first, uint32_t end)
{
	size_t frame = (size_t)first << p->pageblock_order;
	size_t frames = (size_t)(end - first) << p->pageblock_order;
	int error = 0;

	if (end > p->state_blocks)
		error = mem_commit_part(mem_commit_apart, p->state, frame, frames);
	if (!error)
		error = mem_commit_part(mem_commit_apart, p->page - frame - frames, 0,
					frames * sizeof(struct page));
	return error;
}

/*
 * Metadata of a zone's blocks up to @end, and some beyond, so that few growths need a call.  Growers that
 * come at once all commit from where it ended: repeating that is harmless, and none waits for another.
 */
static int grow_metadata(struct pages *p, struct zone *zone, uint32_t end)
{
	/* Pairs with the release below. */
	uint32_t described = load_acquire(&zone->blocks_described), then;
	uint32_t needed =
		(end - zone->block_first + 1) / 2 * 2; /* merging looks at the other of a pair */
	int error;

	if (needed <= described)
		return 0;
	then = (needed + META_STEP_BLOCKS - 1) / META_STEP_BLOCKS * META_STEP_BLOCKS;
	if (then > zone->blocks_nr)
		then = zone->blocks_nr;
	error = commit_metadata(p, zone->block_first + described, zone->block_first + then);
	if (error && then > needed) {
		then = needed;
		error = commit_metadata(p, zone->block_first + described, zone->block_first + then);
	}
	while (!error && described < then &&
	       !cas_acq_rel(&zone->blocks_described, &described, then))
		;
	return error;
}

/* The first @n blocks of a step. */
static int grow_commit(struct pages *p, struct zone *zone, const struct grow_step *step, uint32_t n,
		       bool may_wait)
{
	uint32_t first = step->first;
	void *addr = page_addr(p, block_frame(p, first));
	size_t bytes = (size_t)n << BLOCK_SHIFT;
	int error = grow_metadata(p, zone, first + n);

	if (!error)
		error = mem_commit(addr, bytes);
	if (error)
		return error;
	page_advise_fresh(p, first, first + n, step->was_offline, may_wait);
	return 0;
}

static void online_locked(struct pages *p, struct zone *zone, uint32_t block)
{
	struct pageblock *b = &p->block[block];
	uint32_t frame = block_frame(p, block);

	DCHECK(lock_is_held(&zone->lock));
	b->prev = b->next = BLOCK_NONE;
	b->free_pages = b->orders = b->binned_pages = 0;
	b->bin = BIN_NONE;
	b->epoch = 0;
	b->online = true;
	b->whole = false;
	store_relaxed(&b->reported, false); /* pairs with the hint in offline_whole_blocks() */
	for (unsigned o = 0; o < PAGEBLOCK_ORDER_MAX; o++)
		b->free[o] = OFFSET_NONE;
	memset(&p->state[frame], STATE_TAIL, block_pages(p));
	store_relaxed(&p->tag[block], (uint8_t)(zone->index << TAG_ZONE_SHIFT | TYPE_MOVABLE));
	store_relaxed(&zone->online_pages, zone->online_pages + block_pages(p));
	buddy_whole_add_locked(p, zone, frame, p->pageblock_order, STATE_ZERO);
}

/* What a grower knows of its steps. */
struct growth {
	uint32_t needed; /* blocks in one run: a power of two */
	bool alone;	 /* under grow_mutex */
	bool memory_is_locked;
	bool may_wait;
};

/* A step in that state, or NULL.  The first step is for the holder of grow_mutex; of any other the grower
 * now holds the mutex. */
static struct grow_step *step_take_locked(struct zone *zone, unsigned state, bool alone)
{
	DCHECK(lock_is_held(&zone->lock));
	if (alone && zone->steps[0].state == state)
		return &zone->steps[0];
	for (unsigned i = 1; i < GROWERS_MAX; i++)
		if (zone->steps[i].state == state && mutex_try(&zone->steps[i].mutex))
			return &zone->steps[i];
	return NULL;
}

static void step_put(struct zone *zone, struct grow_step *step)
{
	if (step != &zone->steps[0])
		mutex_release(&step->mutex);
}

/* How many never-used blocks a step claims, at most those that are left. */
static uint32_t blocks_wanted_locked(const struct zone *zone, const struct growth *growth)
{
	uint32_t left = zone->blocks_nr - zone->blocks_touched;
	uint32_t first = zone->block_first + zone->blocks_touched;
	uint64_t want = clamp(zone->blocks_touched / 8, GROW_BLOCKS_MIN, GROW_BLOCKS_MAX);

	DCHECK(lock_is_held(&zone->lock));
	if (!growth->alone)
		want = GROW_BLOCKS_PAIR;
	if (growth->memory_is_locked || want < growth->needed)
		want = growth->needed;
	/* The run that is needed is aligned to its size; steps of other sizes may lie before it. */
	want += (growth->needed - (first & (growth->needed - 1))) & (growth->needed - 1);
	return (uint32_t)(want < left ? want : left);
}

/* Claims blocks for a grower: those of a LEFT step, one block that was taken offline, or never-used ones.
 * NULL: there are none, or too many growers are at work. */
static struct grow_step *grow_choose_locked(struct pages *p, struct zone *zone,
					    const struct growth *growth)
{
	struct grow_step *step = step_take_locked(zone, GROW_LEFT, growth->alone);
	uint32_t offline = zone->offline.head, n;

	DCHECK(lock_is_held(&zone->lock));
	if (step != NULL) {
		step->state = GROW_BUSY;
		return step;
	}
	n = offline != BLOCK_NONE ? 1 : blocks_wanted_locked(zone, growth);
	if (n != 0)
		step = step_take_locked(zone, GROW_NONE, growth->alone);
	if (step == NULL)
		return NULL;
	step->first = zone->block_first + zone->blocks_touched;
	step->blocks_nr = n;
	step->state = GROW_BUSY;
	step->was_offline = offline != BLOCK_NONE;
	if (offline != BLOCK_NONE) {
		block_list_take(p, &zone->offline, offline);
		step->first = offline;
	} else {
		store_relaxed(&zone->blocks_touched, zone->blocks_touched + n);
	}
	zone->blocks_growing += n;
	return step;
}

/* After a refusal: returns the rest of a step to where it came from, or leaves it to the next grower. */
static void step_leave_locked(struct pages *p, struct zone *zone, struct grow_step *step)
{
	uint32_t end = step->first + step->blocks_nr;

	DCHECK(lock_is_held(&zone->lock));
	if (!step->was_offline && end != zone->block_first + zone->blocks_touched) {
		step->state = GROW_LEFT;
		return;
	}
	if (step->was_offline)
		block_list_push(p, &zone->offline, step->first, true);
	else
		store_relaxed(&zone->blocks_touched, zone->blocks_touched - step->blocks_nr);
	zone->blocks_growing -= step->blocks_nr;
	step->state = GROW_NONE;
}

/* The first @n blocks of a step are committed. */
static void grow_done(struct pages *p, struct zone *zone, struct grow_step *step, uint32_t n)
{
	lock_token token;

	zone_lock_for(zone, 0, &token);
	CHECK(step->state == GROW_BUSY);
	zone->blocks_growing -= n;
	for (uint32_t i = 0; i < n; i++)
		online_locked(p, zone, step->first + i);
	step->first += n;
	step->blocks_nr -= n;
	step->state = GROW_NONE;
	if (step->blocks_nr != 0)
		step_leave_locked(p, zone, step);
	zone_unlock(zone, token);
	step_put(zone, step);
}

/*
 * Waits for a grower that has claimed blocks.  When it returns, they are online, or can be claimed.
 * -EAGAIN: the caller looks again.  -ENOMEM: there is no such grower, or it may be waiting for this
 * thread.
 */
static int grow_wait(struct zone *zone)
{
	struct grow_step *busy = NULL;
	lock_token token;

	zone_lock_for(zone, 0, &token);
	for (unsigned i = 1; i < GROWERS_MAX; i++)
		if (zone->steps[i].state != GROW_NONE)
			busy = &zone->steps[i];
	zone_unlock(zone, token);
	if (busy == NULL)
		return -ENOMEM;
	/* In a handler of others during a fork: the grower needs a lock that the fork keeps. */
	if (lock_kept())
		return -ENOMEM;
	mutex_acquire(&busy->mutex);
	mutex_release(&busy->mutex);
	return -EAGAIN;
}

void zone_fork_child_locked(struct zone *zone)
{
	DCHECK(lock_is_held(&zone->lock));
	for (unsigned i = 1; i < GROWERS_MAX; i++) {
		mutex_init(&zone->steps[i].mutex, RANK_GROW_STEP);
		if (zone->steps[i].state == GROW_BUSY)
			zone->steps[i].state = GROW_LEFT;
	}
}

static bool has_whole_locked(struct pages *p, struct zone *zone, unsigned order)
{
	unsigned from = order < p->pageblock_order ? 0 : order - p->pageblock_order;

	DCHECK(lock_is_held(&zone->lock));
	for (unsigned o = from; o < whole_orders(p); o++)
		for (unsigned type = 0; type < TYPES_NR; type++)
			if (zone->whole[o][type].nr != 0)
				return true;
	return false;
}

/* 0: a run of the order is there to be taken; -ENOMEM: growing could not help; -EAGAIN: it could. */
static int grow_look(struct pages *p, struct zone *zone, const struct page_request *request)
{
	int error = -EAGAIN;
	lock_token token;

	zone_lock_for(zone, 0, &token);
	if (!zone_has_room_locked(p, zone, request->flags, (uint64_t)1 << request->order))
		error = -ENOMEM;
	else if (has_whole_locked(p, zone, request->order))
		error = 0;
	zone_unlock(zone, token);
	return error;
}

/* One step.  0: more is online now; -ENOMEM: the system refused; -EAGAIN: there are no unclaimed blocks,
 * or no unclaimed step. */
static int grow_one(struct pages *p, struct zone *zone, const struct growth *growth)
{
	struct grow_step *step, taken = { .state = GROW_NONE };
	lock_token token;
	uint32_t n;
	int error;

	zone_lock_for(zone, 0, &token);
	step = grow_choose_locked(p, zone, growth);
	if (step != NULL)
		taken = *step;
	zone_unlock(zone, token);
	if (step == NULL)
		return -EAGAIN;
	n = taken.blocks_nr;
	error = grow_commit(p, zone, &taken, n, growth->may_wait);
	if (error && n > growth->needed) {
		n = growth->needed;
		error = grow_commit(p, zone, &taken, n, growth->may_wait);
	}
	grow_done(p, zone, step, error ? 0 : n);
	return error;
}

/* Takes grow_mutex, or only tries it if the flags forbid waiting.  Returns whether it is held. */
static bool grow_begin(struct pages *p, unsigned flags)
{
	if (flags & FLAGS_NO_MUTEX)
		return mutex_try(&p->grow_mutex);
	mutex_acquire(&p->grow_mutex);
	return true;
}

/* A process that locks its memory later pays for the whole first step at once. */
static bool growth_populates(const struct zone *zone)
{
	/* A hint; pairs with the store of whoever claims blocks. */
	return load_relaxed(&zone->blocks_touched) != 0 ? mem_is_locked() : mem_commits_lock();
}

int zone_grow(struct pages *p, struct zone *zone, const struct page_request *request)
{
	unsigned order = request->order;
	struct growth growth = {
		.needed = order > p->pageblock_order ? 1u << (order - p->pageblock_order) : 1u,
	};
	bool may_wait = !(request->flags & FLAGS_NO_MUTEX);
	int error;

	if (request->flags & QUIRE_NOLOCK)
		return -EAGAIN;
	growth.may_wait = may_wait;
	limit_look(p, (uint64_t)growth.needed << p->pageblock_order, request->flags);
	growth.alone = grow_begin(p, request->flags);
	for (;;) {
		error = grow_look(p, zone, request);
		if (error != -EAGAIN)
			break;
		growth.memory_is_locked = growth_populates(zone); /* not under the lock */
		error = grow_one(p, zone, &growth);
		if (error == -EAGAIN && may_wait)
			error = grow_wait(zone);
		if (error == -ENOMEM || (error && !may_wait))
			break;
	}
	if (growth.alone)
		mutex_release(&p->grow_mutex);
	return error;
}
