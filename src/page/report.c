/* SPDX-License-Identifier: MIT */
/*
 * page/report.c - giving free memory back to the system
 *
 * Reporting takes free runs out of the buddy (state REPORTING), drops the zone lock, gives them all
 * back in one gather, and puts them back with ZERO set: they are free as before, but have no
 * memory behind them and read zero.  While they are out they count as available, and a caller that
 * finds nothing else waits for them (report_wait) before it is refused.
 *
 * What goes: whole blocks that were whole for a full turn of the worker; smaller runs only when
 * the instance was idle for a turn, or when asked: giving back parts of a block behind which a huge
 * page stands splits that page, so it is done for all free runs of a block at once and not while
 * the block is in use.
 *
 * Time.  The worker comes every decay (1 s by default) while there is anything to give back.  Each
 * visit drains idle CPUs, then reports.  If more than a fifth of what was reported was taken into
 * use again within a turn, the decay doubles, to at most 60 s; otherwise it returns by halves.
 * One visit in which nothing was left to do is the last until something is freed.
 */
#include "page/pcp.h"

#include "machine/clock.h"
#include "machine/mem.h"

/* Runs in one gather: 256 ranges are past the knee of the cost per range. */
#define REPORT_RANGES 256u
/* Whole blocks in one gather: at most 64 MiB are out of reach at a time. */
#define REPORT_WHOLE  32u
/* Runs put back in one hold of the zone lock. */
#define PUT_BACK_RUNS 32u
/* Blocks looked at in one hold of the zone lock. */
#define REPORT_SCAN   512u
#define DECAY_MAX_NS  ((uint64_t)60 * 1000000000u)

/*
 * Runs taken out of one zone for one gather.  It stands in the instance, under report_mutex: 14 KiB
 * are more than a caller of quire_release() may have on its stack.
 */
struct report {
	struct quire *q;
	struct zone *zone;
	uint32_t frames[REPORT_RANGES];
	struct mem_range ranges[REPORT_RANGES];
	struct mem_vector vector[REPORT_RANGES];
	bool given[REPORT_RANGES];
	unsigned nr;
	uint32_t cursor; /* next block to look at, from the zone's first */
};

static void collect_run(struct report *report, uint32_t frame, unsigned order)
{
	page_set_state(report->q, frame, STATE_REPORTING | order);
	report->zone->reporting_pages += (uint64_t)1 << order;
	report->frames[report->nr++] = frame;
}

/* ---- whole blocks -------------------------------------------------------------------------------
 */

/* Lists have runs with memory behind them first, so the walk ends at the first without. */
static void collect_whole_list(struct report *report, unsigned order_above, unsigned row,
			       uint32_t age_min)
{
	struct quire *q = report->q;
	uint32_t block = report->zone->whole[order_above][row].head;
	unsigned order = order_above + q->block_order;

	for (unsigned looked = 0;
	     block != BLOCK_NONE && report->nr < REPORT_WHOLE && looked < REPORT_SCAN; looked++) {
		uint32_t frame = block_frame(q, block), next = q->block[block].next;

		if (page_state(q, frame) & STATE_ZERO)
			return;
		if (load_relaxed(&q->epoch) - q->block[block].epoch >= age_min) {
			buddy_whole_remove_locked(q, report->zone, frame, order);
			collect_run(report, frame, order);
		}
		block = next;
	}
}

static void collect_whole(struct report *report, uint32_t age_min)
{
	lock_token token;

	zone_lock_for(report->zone, 0, &token);
	for (unsigned o = 0; o < whole_orders(report->q); o++)
		for (unsigned row = 0; row < ROWS_NR; row++)
			collect_whole_list(report, o, row, age_min);
	zone_unlock(report->zone, token);
}

/* ---- pieces ---- */

static void collect_block(struct report *report, uint32_t block)
{
	struct quire *q = report->q;
	struct block *b = &q->block[block];

	for (unsigned order = 0; order < q->block_order; order++) {
		uint32_t frame = b->free[order] == OFFSET_NONE
					 ? FRAME_NONE
					 : block_frame(q, block) + b->free[order];

		while (frame != FRAME_NONE && report->nr < REPORT_RANGES) {
			uint32_t next = q->page[frame].next;

			if (!(page_state(q, frame) & STATE_ZERO)) {
				block_free_take_locked(q, report->zone, frame, order);
				collect_run(report, frame, order);
			}
			frame = next;
		}
	}
	block_rebin_locked(q, report->zone, block);
}

/* Free runs of partial blocks from the cursor on; false when the zone's end was reached. */
static bool collect_pieces(struct report *report)
{
	struct quire *q = report->q;
	uint32_t end = report->cursor + REPORT_SCAN;
	lock_token token;
	bool more;

	zone_lock_for(report->zone, 0, &token);
	while (report->cursor < end && report->cursor < report->zone->blocks_touched) {
		uint32_t block = report->zone->block_first + report->cursor;

		if (q->block[block].online && !q->block[block].whole)
			collect_block(report, block);
		if (report->nr == REPORT_RANGES)
			break;
		report->cursor++;
	}
	more = report->cursor < report->zone->blocks_touched;
	zone_unlock(report->zone, token);
	return more;
}

/* ---- giving back ---- */

static void put_back(struct report *report, unsigned i, bool given)
{
	struct quire *q = report->q;
	uint32_t frame = report->frames[i];
	unsigned order = page_state(q, frame) & STATE_ORDER;
	unsigned zero = given ? STATE_ZERO : 0;

	report->zone->reporting_pages -= (uint64_t)1 << order;
	if (given)
		report->zone->reported_total += (uint64_t)1 << order;
	for (uint32_t b = 0; order >= q->block_order && b < 1u << (order - q->block_order); b++)
		store_relaxed(&q->block[page_block(q, frame) + b].reported, given);
	if (given && order < q->block_order) {
		store_relaxed(&q->block[page_block(q, frame)].reported, true);
		q->block[page_block(q, frame)].epoch = load_relaxed(&q->epoch);
	}
	buddy_free_locked(q, report->zone, frame, order, zero);
}

/* One hold of the zone lock. */
static void put_back_some(struct report *report, unsigned first)
{
	lock_token token;

	zone_lock_for(report->zone, 0, &token);
	for (unsigned i = first; i < report->nr && i < first + PUT_BACK_RUNS; i++)
		put_back(report, i, report->given[i]);
	zone_unlock(report->zone, token);
}

/* Adds memory behind frames to a gather. */
void page_unback(const struct quire *q, struct gather *gather, void *addr, size_t bytes)
{
	if (q->shared)
		gather_unback_shared(gather, addr, bytes);
	else
		gather_unback(gather, addr, bytes);
}

void page_allow_huge(struct quire *q, uint32_t first, uint32_t end)
{
	if (!q->thp)
		return;
	mutex_acquire(&q->huge_mutex);
	huge_allow(&q->huge, first, end);
	mutex_release(&q->huge_mutex);
}

static bool is_piece(const struct report *report, unsigned i)
{
	return (page_state(report->q, report->frames[i]) & STATE_ORDER) < report->q->block_order;
}

/* Pieces from @i on in one block or its neighbour, upwards.  Returns where they end; *@end: their last
 * block's end. */
static unsigned neighbours_end(const struct report *report, unsigned i, uint32_t *end)
{
	*end = page_block(report->q, report->frames[i]) + 1;
	for (i++; i < report->nr && is_piece(report, i); i++) {
		uint32_t block = page_block(report->q, report->frames[i]);

		if (block + 1 != *end && block != *end)
			break;
		*end = block + 1;
	}
	return i;
}

/* Taking away a part of a huge page frees nothing, so the first piece of each block splits it. */
static void split_blocks(struct report *report, unsigned i, unsigned end)
{
	struct quire *q = report->q;
	uint32_t split = BLOCK_NONE;

	for (; i < end && !q->shared; i++) {
		uint32_t frame = report->frames[i];

		if (page_block(q, frame) == split)
			continue;
		split = page_block(q, frame);
		mem_split_huge(page_addr(q, frame),
			       (size_t)1 << ((page_state(q, frame) & STATE_ORDER) + q->page_shift));
	}
}

/* Blocks that go in part lose their huge pages, and the advice for as long as a page is in use: the
 * system would fill again what is given back. */
static void deny_huge(struct report *report)
{
	struct quire *q = report->q;
	unsigned i = 0;

	while (q->thp && i < report->nr) {
		uint32_t end;
		unsigned next = i + 1;
		bool denied;

		if (is_piece(report, i)) {
			next = neighbours_end(report, i, &end);
			mutex_acquire(&q->huge_mutex);
			denied = huge_deny(&q->huge, page_block(q, report->frames[i]), end);
			mutex_release(&q->huge_mutex);
			if (denied)
				split_blocks(report, i, next);
		}
		i = next;
	}
}

/* Whole blocks that went may be huge again. */
static void allow_huge(struct report *report)
{
	struct quire *q = report->q;

	for (unsigned i = 0; i < report->nr; i++) {
		unsigned order = page_state(q, report->frames[i]) & STATE_ORDER;
		uint32_t block = page_block(q, report->frames[i]);

		if (order >= q->block_order && report->given[i])
			page_allow_huge(q, block, block + (1u << (order - q->block_order)));
	}
}

/* One gather for what was collected.  Returns bytes given back. */
static size_t give_back(struct report *report)
{
	struct quire *q = report->q;
	struct gather gather;
	size_t bytes;

	if (report->nr == 0)
		return 0;
	deny_huge(report);
	gather_begin(&gather, report->ranges, REPORT_RANGES);
	gather_lend(&gather, report->vector, REPORT_RANGES);
	for (unsigned i = 0; i < report->nr; i++) {
		unsigned order = page_state(q, report->frames[i]) & STATE_ORDER;

		page_unback(q, &gather, page_addr(q, report->frames[i]),
			    (size_t)1 << (order + q->page_shift));
	}
	bytes = gather_finish(&gather);
	for (unsigned i = 0; i < report->nr; i++)
		report->given[i] = gather_gave_back(&gather, page_addr(q, report->frames[i]));
	allow_huge(report);
	count_add(report->zone->reports, 1);
	for (unsigned i = 0; i < report->nr; i += PUT_BACK_RUNS)
		put_back_some(report, i);
	report->nr = 0;
	return bytes;
}

size_t report_room_bytes(void)
{
	return sizeof(struct report);
}

static size_t report_zone(struct quire *q, struct zone *zone, uint32_t age_min, bool pieces)
{
	struct report *report = q->report_room;
	size_t bytes = 0, some;
	bool more = pieces;

	DCHECK(mutex_is_held(&q->report_mutex));
	report->q = q;
	report->zone = zone;
	report->cursor = report->nr = 0;
	do {
		collect_whole(report, age_min);
		some = give_back(report);
		bytes += some;
	} while (some != 0);
	while (more) {
		bool full;

		more = collect_pieces(report);
		full = report->nr == REPORT_RANGES;
		some = give_back(report);
		bytes += some;
		/* A block whose runs are all refused (locked memory) must not be tried for ever. */
		report->cursor += full && some == 0;
	}
	return bytes;
}

/* Everything that is free, now.  Returns bytes. */
size_t report_all(struct quire *q)
{
	size_t bytes = 0;

	mutex_acquire(&q->report_mutex);
	for (unsigned i = 0; i < q->zones_nr; i++)
		bytes += report_zone(q, &q->zone[i], 0, true);
	mutex_release(&q->report_mutex);
	return bytes;
}

void report_wait(struct quire *q)
{
	mutex_acquire(&q->report_mutex);
	mutex_release(&q->report_mutex);
}

/* ---- time
 * ------------------------------------------------------------------------------------------------
 */

/* How much the instance has been used: unchanged over a turn means idle. */
static uint64_t activity(struct quire *q)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < (size_t)q->zones_nr * q->stacks.doors_nr; i++)
		sum += load_relaxed(&q->pcp[i].activity);
	for (unsigned i = 0; i < q->zones_nr; i++)
		sum += load_relaxed(&q->zone[i].buddy_allocs) +
		       load_relaxed(&q->zone[i].buddy_frees);
	return sum;
}

/* Pairs with report_kick()'s load. */
static void set_decay(struct quire *q, uint64_t decay_ns)
{
	store_relaxed(&q->decay_ns, decay_ns);
}

/* More than a fifth taken into use again: wait longer next time, at most 60 s or what was asked for. */
static void tune_decay(struct quire *q)
{
	uint64_t most = q->decay_base_ns > DECAY_MAX_NS ? q->decay_base_ns : DECAY_MAX_NS;
	uint64_t reported = 0, reused = 0;

	for (unsigned i = 0; i < q->zones_nr; i++) {
		struct zone *zone = &q->zone[i];

		reported += zone->reported_total - zone->reported_epoch;
		reused += load_relaxed(&zone->reused) - zone->reused_epoch;
		zone->reported_epoch = zone->reported_total;
		zone->reused_epoch = load_relaxed(&zone->reused);
	}
	if (reused * 5 > reported && reused != 0)
		set_decay(q, q->decay_ns * 2 < most ? q->decay_ns * 2 : most);
	else if (q->decay_ns / 2 > q->decay_base_ns)
		set_decay(q, q->decay_ns / 2);
	else
		set_decay(q, q->decay_base_ns);
}

/* Pages that are free with memory behind them, or cached: what a later visit could give back. */
static uint64_t left_to_give(struct quire *q, bool *all_free)
{
	struct quire_page_stat stat;

	page_stat_collect(q, &stat);
	*all_free = stat.allocated_pages == 0;
	return stat.free_pages - stat.reported_pages + stat.cached_pages;
}

/* Pages' part of the worker's visit. */
uint64_t report_visit(struct quire *q, uint64_t now_ns)
{
	uint64_t active, left;
	bool idle, rests, all_free;

	/* Held for the whole visit: whoever waits for it finds no page in our hands. */
	if (!mutex_try(&q->report_mutex))
		return now_ns + q->decay_ns;
	fetch_add_relaxed(&q->epoch, 1);
	page_take_deferred(q);
	drain_idle(q);
	active = activity(q);
	idle = active == q->active_seen;
	q->active_seen = active;
	for (unsigned i = 0; i < q->zones_nr; i++)
		report_zone(q, &q->zone[i], 1, idle || !q->thp);
	tune_decay(q);
	/* While a stack is warm, frees may go there and tell nobody.  The fence ends those that began
	 * before it was cold; what they freed is then counted. */
	rests = idle && stacks_are_cold(q);
	if (rests)
		stacks_fence_all(&q->stacks, q->isolated_cpus);
	left = left_to_give(q, &all_free);
	mutex_release(&q->report_mutex);
	if (left != 0 || !rests)
		return now_ns + q->decay_ns;
	return all_free ? WORK_EXIT : WORK_IDLE;
}

/* Nothing to give back and nothing in use: the worker may end. */
static bool nothing_left(struct quire *q)
{
	bool all_free;

	return left_to_give(q, &all_free) == 0 && all_free;
}

static void lower_due(struct quire *q, uint64_t due_ns)
{
	uint64_t found = load_relaxed(&q->report_due_ns);

	while (due_ns < found && !cas_acq_rel(&q->report_due_ns, &found, due_ns))
		;
}

/*
 * The modules' part comes after the pages': their locks are taken before report_mutex, not under
 * it.  Modules come more often than pages, whose turns have to be whole decays: report_due_ns says
 * when theirs is.
 */
static uint64_t visit(struct quire *q, uint64_t now_ns)
{
	uint64_t due_ns = exchange_acq_rel(&q->report_due_ns, WORK_IDLE); /* with report_kick() */
	uint64_t modules_due_ns;

	if (due_ns <= now_ns)
		due_ns = report_visit(q, now_ns);
	if (due_ns < WORK_EXIT)
		lower_due(q, due_ns);
	modules_due_ns = modules_tick(q, now_ns);
	if (modules_due_ns < WORK_EXIT)
		return modules_due_ns < due_ns ? modules_due_ns : due_ns;
	if (modules_due_ns == WORK_IDLE)
		return due_ns == WORK_EXIT ? WORK_IDLE : due_ns;
	return due_ns == WORK_IDLE && nothing_left(q) ? WORK_EXIT : due_ns;
}

/* One visit at a time, and none while somebody wants the instance still. */
uint64_t report_run(void *arg, uint64_t now_ns)
{
	struct quire *q = arg;
	uint64_t due_ns;

	if (q->dead)
		return WORK_EXIT;
	mutex_acquire(&q->visit_mutex);
	due_ns = visit(q, now_ns);
	mutex_release(&q->visit_mutex);
	return due_ns;
}

void page_still_begin(struct quire *q)
{
	mutex_acquire(&q->visit_mutex);
}

void page_still_end(struct quire *q)
{
	mutex_release(&q->visit_mutex);
}

/* Something was freed or cached: the worker shall come a decay from now if it is not due. */
void report_kick(struct quire *q)
{
	uint64_t due_ns;

	/* Pairs with the worker's exchange: a hint. */
	if (!q->report || load_relaxed(&q->report_due_ns) != WORK_IDLE)
		return;
	due_ns = clock_now_ns() + load_relaxed(&q->decay_ns);
	lower_due(q, due_ns);
	if (load_relaxed(&q->work.due_ns) > due_ns)
		work_kick(&q->work, due_ns);
}

size_t quire_release(struct quire *q)
{
	size_t bytes;

	if (q->dead)
		return 0;
	/* What the worker gives back meanwhile would be missing in the sum. */
	page_still_begin(q);
	bytes = modules_shrink(q);
	page_take_deferred(q);
	drain_everything(q);
	bytes += report_all(q);
	offline_whole_blocks(q);
	page_still_end(q);
	return bytes;
}

int quire_poll(struct quire *q)
{
	uint64_t due, now;

	if (q->dead)
		return -EOWNERDEAD;
	due = work_poll(&q->work);
	now = clock_now_ns();
	if (due == WORK_IDLE || due == WORK_EXIT)
		return 0;
	return due <= now ? 1 : (int)((due - now) / 1000000 + 1);
}
