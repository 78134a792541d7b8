/* SPDX-License-Identifier: MIT */
/*
 * page/giveback.c - returning free memory to the system
 *
 * This takes free runs out of the buddy (state REPORTING: Linux reports free pages to its host,
 * and the option and the statistics keep that word), drops the zone lock, unbacks them all in one
 * gather, and puts them into the buddy again with ZERO set: they are free as before, but have no
 * memory and read zero.  While they are out they count as available, and a caller that finds
 * nothing else waits for them (drain_and_take(), giveback_wait()) before it is refused.
 *
 * What is returned: blocks that were whole for a full turn of the worker.  Smaller runs are
 * returned only if the instance was idle for a turn, or on request: returning part of a block
 * with a huge page splits that page, so it is done for all free runs of the block at once, and
 * not while the block is in use.
 *
 * Time.  The worker runs every decay (1 s by default) while there is anything to return.  Each
 * visit drains idle CPUs, then returns memory.  If more than a fifth of the returned memory is
 * used again within a turn, the decay doubles, to at most 60 s; otherwise it shrinks back by
 * halves.  After a visit with nothing to do, the worker sleeps until something is freed.
 *
 * A thread costs about 0.1 ms and 16 KiB.  So no module asks for one before the instance has WORTH_BYTES of
 * the system's memory: in use, cached, or free with memory behind them, in pages or charged for areas and
 * per-CPU memory.  Pages in use that nobody can have written do not count (page_note_fresh()).  An instance that
 * never has so much keeps what it has, until quire_release() or quire_poll() is called: what is due stays due.  What
 * is taken later is seen by the slow path that takes it, since zones count it before that path comes here.
 */
#include "page/giveback.h"

#include <quire/page.h>
#include <quire/quire.h>

#include "base/check.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/batch.h"
#include "machine/clock.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/work.h"
#include "page/advice.h"
#include "page/block.h"
#include "page/buddy.h"
#include "page/charge.h"
#include "page/drain.h"
#include "page/free.h"
#include "page/isolate.h"
#include "page/layout.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/pcp.h"
#include "page/stacks.h"
#include "page/stat.h"
#include "page/state.h"
#include "page/zone.h"
#include "stacks/stacks.h"

/* Runs in one gather: 256 ranges are past the knee of the cost per range. */
#define GIVEBACK_RANGES 256u
/* Whole blocks in one gather: at most 64 MiB are out of reach at a time. */
#define GIVEBACK_WHOLE	32u
/* Runs put back in one hold of the zone lock. */
#define PUT_BACK_RUNS	32u
/* Blocks looked at in one hold of the zone lock. */
#define GIVEBACK_SCAN	512u
#define DECAY_MAX_NS	((uint64_t)60 * 1000000000u)
/* One huge page, and more than the first refills of three types: 1.25 MiB of single pages. */
#define WORTH_BYTES	((uint64_t)2 << 20)

/*
 * Runs taken out of one zone for one gather.  It is part of the instance, under giveback_mutex: 14
 * KiB are more than a caller of quire_release() may have on its stack.
 */
struct giveback {
	struct pages *p;
	struct zone *zone;
	uint32_t frames[GIVEBACK_RANGES];
	struct mem_range ranges[GIVEBACK_RANGES];
	struct mem_vector vector[GIVEBACK_RANGES];
	bool given[GIVEBACK_RANGES];
	unsigned nr;
	uint32_t cursor; /* next block to look at, from the zone's first */
};

static void collect_run(struct giveback *batch, uint32_t frame, unsigned order)
{
	page_set_state(batch->p, frame, STATE_REPORTING | order);
	batch->zone->reporting_pages += (uint64_t)1 << order;
	batch->frames[batch->nr++] = frame;
}

/* ---- whole blocks ---- */

/* A list has its runs with memory first, so the walk ends at the first run without. */
static void collect_whole_list(struct giveback *batch, unsigned order_above, unsigned row,
			       uint32_t age_min)
{
	struct pages *p = batch->p;
	uint32_t block = batch->zone->whole[order_above][row].head;
	unsigned order = order_above + p->pageblock_order;

	for (unsigned looked = 0;
	     block != BLOCK_NONE && batch->nr < GIVEBACK_WHOLE && looked < GIVEBACK_SCAN;
	     looked++) {
		uint32_t frame = block_frame(p, block), next = p->block[block].next;

		if (page_state(p, frame) & STATE_ZERO)
			return;
		if (load_relaxed(&p->epoch) - p->block[block].epoch >= age_min) {
			buddy_whole_remove_locked(p, batch->zone, frame, order);
			collect_run(batch, frame, order);
		}
		block = next;
	}
}

static void collect_whole(struct giveback *batch, uint32_t age_min)
{
	lock_token token;

	zone_lock_for(batch->zone, 0, &token);
	for (unsigned o = 0; o < whole_orders(batch->p); o++)
		for (unsigned row = 0; row < ROWS_NR; row++)
			collect_whole_list(batch, o, row, age_min);
	zone_unlock(batch->zone, token);
}

/* ---- pieces ---- */

static void collect_block(struct giveback *batch, uint32_t block)
{
	struct pages *p = batch->p;
	struct pageblock *b = &p->block[block];

	for (unsigned order = 0; order < p->pageblock_order; order++) {
		uint32_t frame = b->free[order] == OFFSET_NONE
					 ? FRAME_NONE
					 : block_frame(p, block) + b->free[order];

		while (frame != FRAME_NONE && batch->nr < batch_most(GIVEBACK_RANGES)) {
			uint32_t next = page_of(p, frame)->next;

			if (!(page_state(p, frame) & STATE_ZERO)) {
				block_free_take_locked(p, batch->zone, frame, order);
				collect_run(batch, frame, order);
			}
			frame = next;
		}
	}
	block_rebin_locked(p, batch->zone, block);
}

/* Free runs of partial blocks from the cursor on; false when the zone's end was reached. */
static bool collect_pieces(struct giveback *batch)
{
	struct pages *p = batch->p;
	uint32_t end = batch->cursor + batch_most(GIVEBACK_SCAN);
	lock_token token;
	bool more;

	zone_lock_for(batch->zone, 0, &token);
	while (batch->cursor < end && batch->cursor < batch->zone->blocks_touched) {
		uint32_t block = batch->zone->block_first + batch->cursor;

		if (p->block[block].online && !p->block[block].whole)
			collect_block(batch, block);
		if (batch->nr == batch_most(GIVEBACK_RANGES))
			break;
		batch->cursor++;
	}
	more = batch->cursor < batch->zone->blocks_touched;
	zone_unlock(batch->zone, token);
	return more;
}

/* ---- giving back ---- */

static void put_back(struct giveback *batch, unsigned i, bool given)
{
	struct pages *p = batch->p;
	uint32_t frame = batch->frames[i];
	unsigned order = page_state(p, frame) & STATE_ORDER;
	unsigned zero = given ? STATE_ZERO : 0;

	batch->zone->reporting_pages -= (uint64_t)1 << order;
	if (given)
		batch->zone->reported_total += (uint64_t)1 << order;
	for (uint32_t b = 0; order >= p->pageblock_order && b < 1u << (order - p->pageblock_order);
	     b++)
		store_relaxed(&p->block[page_block(p, frame) + b].reported, given);
	if (given && order < p->pageblock_order) {
		store_relaxed(&p->block[page_block(p, frame)].reported, true);
		p->block[page_block(p, frame)].epoch = load_relaxed(&p->epoch);
	}
	buddy_free_locked(p, batch->zone, frame, order, zero);
}

/* One hold of the zone lock. */
static void put_back_some(struct giveback *batch, unsigned first)
{
	lock_token token;

	zone_lock_for(batch->zone, 0, &token);
	for (unsigned i = first; i < batch->nr && i < first + PUT_BACK_RUNS; i++)
		put_back(batch, i, batch->given[i]);
	zone_unlock(batch->zone, token);
}

void page_unback(const struct pages *p, struct gather *gather, void *addr, size_t bytes)
{
	if (p->q.shared)
		gather_unback_shared(gather, addr, bytes);
	else
		gather_unback(gather, addr, bytes);
}

static bool is_piece(const struct giveback *batch, unsigned i)
{
	return (page_state(batch->p, batch->frames[i]) & STATE_ORDER) < batch->p->pageblock_order;
}

/* Pieces from @i on in one block or its neighbour, upwards.  Returns where they end; *@end: their last
 * block's end. */
static unsigned neighbours_end(const struct giveback *batch, unsigned i, uint32_t *end)
{
	*end = page_block(batch->p, batch->frames[i]) + 1;
	for (i++; i < batch->nr && is_piece(batch, i); i++) {
		uint32_t block = page_block(batch->p, batch->frames[i]);

		if (block + 1 != *end && block != *end)
			break;
		*end = block + 1;
	}
	return i;
}

/* Taking away a part of a huge page frees nothing, so the first piece of each block splits it. */
static void split_blocks(struct giveback *batch, unsigned i, unsigned end)
{
	struct pages *p = batch->p;
	uint32_t split = BLOCK_NONE;

	for (; i < end && !p->q.shared; i++) {
		uint32_t frame = batch->frames[i];

		if (page_block(p, frame) == split)
			continue;
		split = page_block(p, frame);
		mem_split_huge(page_addr(p, frame),
			       (size_t)1 << ((page_state(p, frame) & STATE_ORDER) + p->page_shift));
	}
}

/* Blocks that go in part lose their huge pages, and the advice for as long as a page is in use: the
 * system would fill again what is given back. */
static void deny_pieces(struct giveback *batch)
{
	struct pages *p = batch->p;
	unsigned i = 0;

	while (p->q.thp && i < batch->nr) {
		uint32_t end;
		unsigned next = i + 1;

		if (is_piece(batch, i)) {
			next = neighbours_end(batch, i, &end);
			if (page_advise_pieces(p, page_block(p, batch->frames[i]), end))
				split_blocks(batch, i, next);
		}
		i = next;
	}
}

/* Whole blocks that went may be huge again. */
static void allow_whole(struct giveback *batch)
{
	struct pages *p = batch->p;

	for (unsigned i = 0; i < batch->nr; i++) {
		unsigned order = page_state(p, batch->frames[i]) & STATE_ORDER;
		uint32_t block = page_block(p, batch->frames[i]);

		if (order >= p->pageblock_order && batch->given[i])
			page_advise_empty(p, block, block + (1u << (order - p->pageblock_order)));
	}
}

/* One gather for what was collected.  Returns bytes given back. */
static size_t give_back(struct giveback *batch)
{
	struct pages *p = batch->p;
	struct gather gather;
	size_t bytes;

	if (batch->nr == 0)
		return 0;
	deny_pieces(batch);
	gather_begin(&gather, batch->ranges, GIVEBACK_RANGES);
	gather_lend(&gather, batch->vector, GIVEBACK_RANGES);
	for (unsigned i = 0; i < batch->nr; i++) {
		unsigned order = page_state(p, batch->frames[i]) & STATE_ORDER;

		page_unback(p, &gather, page_addr(p, batch->frames[i]),
			    (size_t)1 << (order + p->page_shift));
	}
	bytes = gather_finish(&gather);
	for (unsigned i = 0; i < batch->nr; i++)
		batch->given[i] = gather_gave_back(&gather, page_addr(p, batch->frames[i]));
	allow_whole(batch);
	count_add(batch->zone->reports, 1);
	for (unsigned i = 0; i < batch->nr; i += PUT_BACK_RUNS)
		put_back_some(batch, i);
	batch->nr = 0;
	return bytes;
}

size_t giveback_room_bytes(void)
{
	return sizeof(struct giveback);
}

static size_t giveback_zone(struct pages *p, struct zone *zone, uint32_t age_min, bool pieces)
{
	struct giveback *batch = p->giveback_room;
	size_t bytes = 0, some;
	bool more = pieces;

	DCHECK(mutex_is_held(&p->giveback_mutex));
	batch->p = p;
	batch->zone = zone;
	batch->cursor = batch->nr = 0;
	do {
		collect_whole(batch, age_min);
		some = give_back(batch);
		bytes += some;
	} while (some != 0);
	while (more) {
		bool full;

		more = collect_pieces(batch);
		full = batch->nr == batch_most(GIVEBACK_RANGES);
		some = give_back(batch);
		bytes += some;
		/* A block whose runs are all refused (locked memory) must not be tried for ever. */
		batch->cursor += full && some == 0;
	}
	return bytes;
}

unsigned giveback_block_pages(struct pages *p, uint32_t block)
{
	struct zone *zone = page_zone(p, block_frame(p, block));
	unsigned free_pages;
	lock_token token;

	zone_lock_for(zone, 0, &token);
	free_pages = p->block[block].free_pages;
	zone_unlock(zone, token);
	return free_pages;
}

size_t giveback_free_runs(struct pages *p)
{
	size_t bytes = 0;

	mutex_acquire(&p->giveback_mutex);
	for (unsigned i = 0; i < p->zones_nr; i++)
		bytes += giveback_zone(p, &p->zone[i], 0, true);
	mutex_release(&p->giveback_mutex);
	return bytes;
}

void giveback_wait(struct pages *p)
{
	mutex_acquire(&p->giveback_mutex);
	mutex_release(&p->giveback_mutex);
}

/* ---- time ---- */

/* How much the instance has been used: unchanged over a turn means idle. */
static uint64_t activity(struct pages *p)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < (size_t)p->zones_nr * p->stacks.cpu.all_slots_nr; i++)
		sum += load_relaxed(&p->pcp[i].activity);
	for (unsigned i = 0; i < p->zones_nr; i++)
		sum += load_relaxed(&p->zone[i].buddy_allocs) +
		       load_relaxed(&p->zone[i].buddy_frees);
	return sum;
}

/* Pairs with giveback_kick()'s load. */
static void set_decay(struct pages *p, uint64_t decay_ns)
{
	store_relaxed(&p->decay_ns, decay_ns);
}

/* More than a fifth taken into use again: wait longer next time, at most 60 s or what was asked for. */
static void tune_decay(struct pages *p)
{
	uint64_t most = p->q.decay_base_ns > DECAY_MAX_NS ? p->q.decay_base_ns : DECAY_MAX_NS;
	uint64_t reported = 0, reused = 0;

	for (unsigned i = 0; i < p->zones_nr; i++) {
		struct zone *zone = &p->zone[i];

		reported += zone->reported_total - zone->reported_epoch;
		reused += load_relaxed(&zone->reused) - zone->reused_epoch;
		zone->reported_epoch = zone->reported_total;
		zone->reused_epoch = load_relaxed(&zone->reused);
	}
	if (reused * 5 > reported && reused != 0)
		set_decay(p, p->decay_ns * 2 < most ? p->decay_ns * 2 : most);
	else if (p->decay_ns / 2 > p->q.decay_base_ns)
		set_decay(p, p->decay_ns / 2);
	else
		set_decay(p, p->q.decay_base_ns);
}

/* Pages that a later visit could give back: free ones that have memory, and cached ones. */
static uint64_t left_to_give(struct pages *p, bool *all_free)
{
	struct quire_page_stat stat;

	page_stat_collect(p, &stat);
	*all_free = stat.allocated_pages == 0;
	return stat.free_pages - stat.reported_pages + stat.cached_pages;
}

/* One turn. */
uint64_t giveback_visit(struct pages *p, uint64_t now_ns)
{
	uint64_t active, left;
	bool idle, rests, all_free;

	/* Held for the whole visit, so a caller that waits for it finds no page in our hands. */
	if (!mutex_try(&p->giveback_mutex))
		return now_ns + p->decay_ns;
	fetch_add_relaxed(&p->epoch, 1);
	page_take_deferred(p);
	drain_idle(p);
	active = activity(p);
	idle = active == p->active_seen;
	p->active_seen = active;
	for (unsigned i = 0; i < p->zones_nr; i++)
		giveback_zone(p, &p->zone[i], 1, idle || !p->q.thp);
	page_advise_full(p);
	tune_decay(p);
	/* While a stack is warm, a free may push there without calling the worker.  The fence ends those that began
	 * before it was cold; what they freed is then counted. */
	rests = idle && pcps_are_cold(p);
	if (rests)
		stacks_fence_all(&p->stacks);
	left = left_to_give(p, &all_free);
	mutex_release(&p->giveback_mutex);
	if (left != 0 || !rests)
		return now_ns + p->decay_ns;
	return all_free ? WORK_EXIT : WORK_IDLE;
}

bool giveback_nothing_left(struct pages *p)
{
	bool all_free;

	return left_to_give(p, &all_free) == 0 && all_free;
}

static void lower_due(struct pages *p, uint64_t due_ns)
{
	uint64_t found = load_relaxed(&p->giveback_due_ns);

	while (due_ns < found && !cas_acq_rel(&p->giveback_due_ns, &found, due_ns))
		;
}

/*
 * Pages' part of the worker's visit.  It comes more often for other modules' sake, but turns of
 * pages have to be whole decays: giveback_due_ns says when the next one is.
 */
uint64_t giveback_tick(struct pages *p, uint64_t now_ns)
{
	uint64_t due_ns =
		exchange_acq_rel(&p->giveback_due_ns, WORK_IDLE); /* with giveback_kick() */

	if (due_ns <= now_ns)
		due_ns = giveback_visit(p, now_ns);
	if (due_ns < WORK_EXIT)
		lower_due(p, due_ns);
	return due_ns;
}

void giveback_kick(struct pages *p)
{
	uint64_t due_ns;

	/* Pairs with the worker's exchange: a hint. */
	if (!p->q.report || load_relaxed(&p->giveback_due_ns) != WORK_IDLE)
		return;
	due_ns = clock_now_ns() + load_relaxed(&p->decay_ns);
	lower_due(p, due_ns);
	worker_kick(&p->q, due_ns);
}

void giveback_init(struct pages *p)
{
	p->giveback_due_ns = WORK_IDLE;
	p->decay_ns = p->q.decay_base_ns;
	/* One that is observed has a worker whatever it holds. */
	p->worth_pages = p->q.options.observe == QUIRE_ON ? 0 : WORTH_BYTES >> p->page_shift;
}

/* Of two threads that take memory at once, the one whose zone's lock came last sees what both took. */
bool page_is_worth_a_worker(struct quire *q, uint64_t pages)
{
	struct pages *p = pages_of(q);
	uint64_t held = 0;

	if (load_relaxed(&q->looks)) /* callers do the work; a hint: pairs with worker_follow() */
		return true;
	for (unsigned i = 0; i < p->zones_nr; i++) {
		uint64_t zero = load_relaxed(&p->zone[i].zero_pages);
		uint64_t online = load_relaxed(&p->zone[i].online_pages);

		held += online > zero ? online - zero : 0;
		held += load_relaxed(&p->zone[i].charged_pages);
	}
	return held >= p->worth_pages + load_relaxed(&p->fresh_pages) || pages >= p->worth_pages;
}

void page_note_fresh(struct quire *q, uint64_t pages)
{
	fetch_add_relaxed(&pages_of(q)->fresh_pages, pages);
}

void giveback_ensure_worker(struct pages *p, unsigned flags)
{
	if (page_is_worth_a_worker(&p->q, 0))
		worker_ensure(&p->q, flags);
}

void giveback_ensure_worker_freed(struct pages *p)
{
	if (page_is_worth_a_worker(&p->q, 0))
		worker_ensure_freed(&p->q);
}

void giveback_call_worker(struct pages *p)
{
	if (load_relaxed(&p->q.work.due_ns) < WORK_EXIT) /* a hint: pairs with kicks */
		giveback_ensure_worker(p, 0);
}

size_t giveback_everything(struct pages *p)
{
	size_t bytes;

	page_take_deferred(p);
	drain_everything(p);
	bytes = giveback_free_runs(p);
	offline_whole_blocks(p);
	return bytes;
}
