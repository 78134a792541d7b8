/* SPDX-License-Identifier: MIT */
/* page_giveback_sim.c - memory that is needed again while it is being returned, and fork */
#include "machine/clock.h"
#include "page/charge.h"
#include "page/giveback.h"
#include "page/zone.h"
#include "sim/page/page_scene.h"

static void takes_and_writes(void *arg)
{
	struct page_scene *scene = arg;
	uint32_t *page = take(scene, 0, QUIRE_ZERO);

	if (page == NULL)
		return;
	check_u64_eq(page[0], 0);
	store_relaxed(page, 7);
	check_u64_eq(page[0], 7);
}

static void releases(void *arg)
{
	quire_release(((struct page_scene *)arg)->q);
}

/* A page that is being returned is not allocated before the gather has finished; a returned page reads
 * zero. */
SIM_TEST(giveback_against_reuse, .events = SIM_MEMORY)
{
	struct page_scene *scene = page_scene_make(sim, true);

	store_relaxed((uint32_t *)scene->page[6], 5);
	give(scene, scene->page[6], 0);
	sim_cpu(sim, 0, takes_and_writes, scene);
	sim_cpu(sim, 1, releases, scene);
	sim_run(sim);
	page_scene_check(scene);
}

/* Pages that are no neighbours go two at a time, more than once from one block: when the visit has ended, all have gone that
 * nobody took. */
SIM_TEST(giveback_in_full_batches_leaves_nothing, .batch_max = 2, .events = SIM_MEMORY,
	 .enters = { "collect_pieces" })
{
	struct page_scene *scene = page_scene_make(sim, true);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	for (unsigned i = 0; i < 8; i += 2) {
		store_relaxed((uint32_t *)scene->page[i], 5);
		give(scene, scene->page[i], 0);
	}
	quire_drain_all(scene->q);
	sim_cpu(sim, 0, takes_and_writes, scene);
	sim_cpu(sim, 1, releases, scene);
	sim_run(sim);
	page_scene_check(scene);
	quire_page_stat_read(scene->q, &stat);
	SIM_CHECK(stat.free_pages <= stat.reported_pages + stat.cached_pages);
}

/* Blocks that have nothing to give are looked at one under one hold of the zone's lock, so that an allocation comes between. */
SIM_TEST(giveback_drops_the_lock_between_blocks, .cpus_nr = 1, .batch_max = 1,
	 .enters = { "collect_pieces" })
{
	struct page_scene *scene = page_scene_make_zones(sim, true, 1, UINT64_C(16) << 20);
	struct zone *zone = &pages_of(scene->q)->zone[0];
	uint64_t before;

	while (take(scene, 9, QUIRE_NORETRY) != NULL)
		;
	quire_release(scene->q);
	before = zone->lock_acquisitions;
	SIM_CHECK(zone->blocks_touched >= 4);
	sim_cpu(sim, 0, releases, scene);
	sim_run(sim);
	SIM_CHECK(zone->lock_acquisitions - before >= zone->blocks_touched);
	page_scene_check(scene);
}

static void takes_block(void *arg)
{
	give(arg, take(arg, 9, 0), 9);
}

/* The last block is on its way back: who wants it waits and gets it. */
SIM_TEST(giveback_is_waited_for, .events = SIM_MEMORY)
{
	struct page_scene *scene = page_scene_make(sim, true);
	void *block = take(scene, 9, 0);

	give(scene, block, 9);
	sim_cpu(sim, 0, takes_block, scene);
	sim_cpu(sim, 1, releases, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

/* What may still be charged, with what is on its way back; set before the tasks run. */
static uint64_t chargeable_pages;

static void charges_all(void *arg)
{
	struct quire *q = ((struct page_scene *)arg)->q;

	check_u64_eq((uint64_t)page_charge(q, chargeable_pages, 0), 0);
	page_uncharge(q, chargeable_pages);
}

/* The same for memory outside the page allocator that is charged to the limit. */
SIM_TEST(giveback_is_waited_for_by_a_charge, .events = SIM_MEMORY)
{
	struct page_scene *scene = page_scene_make(sim, true);
	struct zone *zone = &pages_of(scene->q)->zone[0];
	void *block = take(scene, 9, 0);
	lock_token token;

	give(scene, block, 9);
	quire_drain_all(scene->q);
	token = lock_acquire(&zone->lock);
	chargeable_pages = zone_available_locked(pages_of(scene->q), zone) - zone_mark(zone, 0);
	lock_release(&zone->lock, token);
	sim_cpu(sim, 0, charges_all, scene);
	sim_cpu(sim, 1, releases, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void giveback_refused_scene(struct sim *sim)
{
	struct page_scene *scene = page_scene_make(sim, true);

	give(scene, scene->page[6], 0);
	sim_cpu(sim, 0, takes_and_writes, scene);
	sim_cpu(sim, 1, releases, scene);
	sim_run(sim);
	page_scene_check(scene);
}

/* Backing calls that are refused leave all as it was. */
SIM_TEST(giveback_refused_keeps_pages, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 2)
{
	giveback_refused_scene(sim);
}

static void offlines(void *arg)
{
	struct page_scene *scene = arg;
	int error = quire_offline_pageblock(scene->q, scene->block);

	SIM_CHECK(error == 0 || error == -EBUSY);
}

static void frees_far_and_takes(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, scene->far_page, 0);
	scene->far_page = NULL;
	take(scene, 0, QUIRE_MOVABLE);
}

/* A block goes offline, or stays because a page of it is in use; nothing between. */
SIM_TEST(offline_against_free_and_alloc, .events = SIM_MEMORY)
{
	struct page_scene *scene = page_scene_make(sim, true);

	scene->far_page = take(scene, 0, QUIRE_MOVABLE);
	scene->block = scene->far_page;
	sim_cpu(sim, 0, frees_far_and_takes, scene);
	sim_cpu(sim, 1, offlines, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void frees_and_takes(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, scene->page[0], 0);
	take(scene, 0, 0);
}

static void frees_and_takes_order_5(void *arg)
{
	frees_and_takes(arg);
	take(arg, 5, 0); /* which no stack keeps: the zone lock is all it takes */
}

static void forks_child(void *arg)
{
	struct page_scene *scene = arg;

	sim_fork_child();
	give(scene, scene->page[1], 0);
	SIM_CHECK(take(scene, 0, 0) != NULL);
	SIM_CHECK(take(scene, 5, 0) != NULL);
	store_relaxed(&scene->turn, 1);
}

/* The child finds every lock free and every stack open, whatever the others were doing. */
SIM_TEST(fork_child_can_go_on, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, frees_and_takes_order_5, scene);
	sim_cpu(sim, 1, forks_child, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	for (unsigned i = 0; i < 2; i++)
		SIM_CHECK(!pages_of(scene->q)->pcp[i].door.ready ||
			  pages_of(scene->q)->pcp[i].door.closed_nr == 0);
	check_u64_eq(quire_verify(scene->q), 0);
}

static void forks_parent(void *arg)
{
	(void)arg;
	sim_fork_parent();
}

SIM_TEST(fork_parent_loses_nothing, .cpus_nr = 3)
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, frees_and_takes, scene);
	sim_cpu(sim, 1, forks_parent, scene);
	sim_cpu(sim, 2, releases, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void handler_frees(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, scene->page[1], 0);
	scene->page[1] = NULL;
}

/* On one CPU the tokens keep handlers away as long as fork holds any spin lock. */
SIM_TEST(fork_on_up_keeps_handlers_away, .cpus_nr = 1, .config = SIM_UP,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct page_scene *scene = page_scene_make(sim, false);

	sim_cpu(sim, 0, forks_parent, scene);
	sim_irq(sim, 0, handler_frees, scene, 1);
	sim_run(sim);
	quire_drain_all(scene->q);
	page_scene_check(scene);
}

static void frees_three(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < 3; i++)
		give(scene, scene->page[i], 0);
}

/* The worker comes at any moment of two users' work: drains what is idle, and reports. */
SIM_TEST(worker_visits_between_any_two_steps, .events = SIM_MEMORY)
{
	struct page_scene *scene = page_scene_make_worker(sim);

	sim_cpu(sim, 0, frees_three, scene);
	sim_cpu(sim, 1, takes_and_writes, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

/* Destroying stops the worker, wherever it is, and leaves nothing behind. */
SIM_TEST(destroy_gives_everything_back, .events = SIM_MEMORY)
{
	struct page_scene *scene = page_scene_make_worker(sim);

	sim_cpu(sim, 0, frees_three, scene);
	sim_run(sim);
	quire_destroy(scene->q);
	check_u64_eq(sim_reserved_bytes(), 0);
}

/* ---- beside isolation and offlining ----------------------------------------------------------- */

static void gives_free_runs_back(void *arg)
{
	giveback_free_runs(pages_of(((struct page_scene *)arg)->q));
}

static void isolates(void *arg)
{
	struct page_scene *scene = arg;

	check_u64_eq(quire_isolate_pageblock(scene->q, scene->block), 0);
}

/* A run of two blocks is free. */
static struct page_scene *scene_with_free_run(struct sim *sim)
{
	struct page_scene *scene = page_scene_make_zones(sim, true, 1, UINT64_C(16) << 20);

	scene->block = take(scene, 10, QUIRE_MOVABLE);
	SIM_CHECK(scene->block != NULL);
	store_relaxed((uint32_t *)scene->block, 5);
	give(scene, scene->block, 10);
	return scene;
}

/* The run is on its way back when one of its blocks is isolated: isolation waits, or the run would come back as a
 * whole, under the type of a block that is not isolated. */
SIM_TEST(giveback_against_isolate, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "collect_whole", "retag_whole_locked" })
{
	struct page_scene *scene = scene_with_free_run(sim);
	struct pages *p = pages_of(scene->q);
	void *got;

	sim_cpu(sim, 0, gives_free_runs_back, scene);
	sim_cpu(sim, 1, isolates, scene);
	sim_run(sim);
	page_scene_check(scene);
	while ((got = take(scene, 9, 0)) != NULL)
		SIM_CHECK(page_block(p, page_frame(p, got)) !=
			  page_block(p, page_frame(p, scene->block)));
}

static void offlines_free_block(void *arg)
{
	struct page_scene *scene = arg;

	check_u64_eq((uint64_t)quire_offline_pageblock(scene->q, scene->block), 0);
}

/* A free block can go offline, whatever is on its way back: offlining waits until it has arrived. */
SIM_TEST(giveback_against_offline, .enters = { "collect_whole", "take_out_locked" })
{
	struct page_scene *scene = scene_with_free_run(sim);

	sim_cpu(sim, 0, gives_free_runs_back, scene);
	sim_cpu(sim, 1, offlines_free_block, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void offlines_or_not(void *arg)
{
	struct page_scene *scene = arg;

	scene->turn = quire_offline_pageblock(scene->q, scene->block) == 0;
}

static void takes_both_blocks(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < 2; i++)
		scene->page[i] = take(scene, 9, QUIRE_MOVABLE);
}

/* The system does not take a block's memory: it is online again, isolated no more, and has all its pages. */
SIM_TEST(offline_refused_puts_the_block_back, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .events = SIM_REFUSE, .refusals = 1, .enters = { "put_online", "put_offline" })
{
	struct page_scene *scene = scene_with_free_run(sim);

	sim_cpu(sim, 0, offlines_or_not, scene);
	sim_cpu(sim, 1, takes_both_blocks, scene);
	sim_run(sim);
	page_scene_check(scene);
	if (scene->turn == 0)
		check_u64_eq(pages_of(scene->q)->zone[0].blocks_growing, 0);
}

/* ---- the worker is not lost ------------------------------------------------------------------- */

static void worker_comes_twice(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < 2; i++) {
		sim_pass_ns(UINT64_C(3000000000));
		giveback_tick(pages_of(scene->q), clock_now_ns());
	}
}

static void frees_order_5(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, scene->block, 5);
}

/* What is freed while the worker is there is given back by this visit, or another one is due. */
SIM_TEST(free_during_the_workers_visit_is_seen_to, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "giveback_visit", "giveback_kick" })
{
	struct page_scene *scene = page_scene_make(sim, true);
	struct pages *p = pages_of(scene->q);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	scene->block = take(scene, 5, 0);
	quire_release(scene->q);
	giveback_tick(p, clock_now_ns() + UINT64_C(3000000000));
	sim_cpu(sim, 0, frees_order_5, scene);
	sim_cpu(sim, 1, worker_comes_twice, scene);
	sim_run(sim);
	quire_page_stat_read(scene->q, &stat);
	SIM_CHECK(load_relaxed(&p->giveback_due_ns) != WORK_IDLE ||
		  stat.free_pages == stat.reported_pages);
	page_scene_check(scene);
}

static void frees_first(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, scene->page[0], 0);
}

/* All pages are in use; CPU 0's stack of single pages is empty, and accepts some. */
static struct page_scene *scene_with_warm_stack(struct sim *sim)
{
	struct page_scene *scene = page_scene_make(sim, true);

	take_all_but(scene, 0);
	give(scene, scene->page[0], 0);
	scene->page[0] = take(scene, 0, 0);
	giveback_tick(pages_of(scene->q), clock_now_ns() + UINT64_C(3000000000));
	return scene;
}

/* The same for a push that began when its stack was warm: the visit makes the stack cold, and does not count what lies on
 * it before that push has ended. */
SIM_TEST(push_during_the_workers_visit_is_seen_to, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "giveback_visit", "is_idle_locked" })
{
	struct page_scene *scene = scene_with_warm_stack(sim);

	sim_cpu(sim, 0, frees_first, scene);
	sim_cpu(sim, 1, worker_comes_twice, scene);
	sim_run(sim);
	SIM_CHECK(load_relaxed(&pages_of(scene->q)->giveback_due_ns) != WORK_IDLE);
	page_scene_check(scene);
}

/* As a handler does that interrupted a holder of the zone's lock. */
static void defers_first(void *arg)
{
	struct page_scene *scene = arg;
	struct zone *zone = &pages_of(scene->q)->zone[0];
	lock_token token = lock_acquire(&zone->lock);

	give(scene, scene->block, 5);
	lock_release(&zone->lock, token);
}

/* The same for a page that is deferred, which takes no lock after the visit's: what says that a visit is due was taken
 * back before the list was found empty. */
SIM_TEST(deferred_free_during_the_workers_visit_is_seen_to, .model = SIM_ARM,
	 .enters = { "deferred_push", "giveback_kick", "giveback_visit" })
{
	struct page_scene *scene = page_scene_make(sim, false);
	struct pages *p = pages_of(scene->q);

	scene->block = take(scene, 5, 0); /* no list keeps this order */
	quire_release(scene->q);
	giveback_tick(p, clock_now_ns() + UINT64_C(3000000000));
	sim_cpu(sim, 0, defers_first, scene);
	sim_cpu(sim, 1, worker_comes_twice, scene);
	sim_run(sim);
	SIM_CHECK(load_relaxed(&p->giveback_due_ns) != WORK_IDLE || p->deferred == FRAME_NONE);
	page_take_deferred(p);
	page_scene_check(scene);
}

static void takes_fast_before_the_visit(void *arg)
{
	SIM_CHECK(take(arg, 0, 0) != NULL);
	sim_pass_ns(UINT64_C(6000000000));
	giveback_tick(pages_of(((struct page_scene *)arg)->q), clock_now_ns());
}

/* The stack's only page was taken since the last visit, so nothing is left to give back; but the stack is in use, and what
 * is freed to it calls nobody: the worker comes again. */
SIM_TEST(worker_comes_again_while_a_stack_is_warm, .cpus_nr = 1, .enters = { "pcps_are_cold" })
{
	struct page_scene *scene = page_scene_make(sim, true);
	struct pages *p = pages_of(scene->q);

	take_all_but(scene, 0);
	give(scene, scene->page[0], 0);
	giveback_tick(p, clock_now_ns() + UINT64_C(3000000000));
	sim_cpu(sim, 0, takes_fast_before_the_visit, scene);
	sim_run(sim);
	SIM_CHECK(load_relaxed(&p->giveback_due_ns) != WORK_IDLE);
	page_scene_check(scene);
}

static void frees_two_in_bulk(void *arg)
{
	struct page_scene *scene = arg;
	void *pages[2] = { scene->page[0], scene->page[1] };

	for (unsigned i = 0; i < 2; i++)
		sim_disown(pages[i], (size_t)1 << scene->q->page_shift);
	scene->held_pages -= 2;
	quire_free_pages_bulk(scene->q, pages, 2);
}

/* Where they go to a CPU's stack at once, too. */
SIM_TEST(bulk_free_calls_the_worker, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "quire_free_pages_bulk", "giveback_kick" })
{
	struct page_scene *scene = scene_with_warm_stack(sim);

	store_relaxed(&pages_of(scene->q)->giveback_due_ns, WORK_IDLE);
	scene->q->work.due_ns = WORK_IDLE;
	sim_cpu(sim, 0, frees_two_in_bulk, scene);
	sim_run(sim);
	SIM_CHECK(load_relaxed(&pages_of(scene->q)->giveback_due_ns) != WORK_IDLE);
	SIM_CHECK(scene->q->work.due_ns != WORK_IDLE);
	page_scene_check(scene);
}

static void frees_a_range(void *arg)
{
	struct page_scene *scene = arg;
	size_t bytes = quire_page_bytes(scene->q);

	sim_disown(scene->page[0], bytes);
	scene->held_pages--;
	quire_free_contig_range(scene->q, scene->page[0], bytes);
}

/* Whose pages go to no stack. */
SIM_TEST(range_free_calls_the_worker, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "quire_free_contig_range", "giveback_kick" })
{
	struct page_scene *scene = scene_with_warm_stack(sim);

	store_relaxed(&pages_of(scene->q)->giveback_due_ns, WORK_IDLE);
	scene->q->work.due_ns = WORK_IDLE;
	sim_cpu(sim, 0, frees_a_range, scene);
	sim_run(sim);
	SIM_CHECK(load_relaxed(&pages_of(scene->q)->giveback_due_ns) != WORK_IDLE);
	SIM_CHECK(scene->q->work.due_ns != WORK_IDLE);
	page_scene_check(scene);
}

/* ---- what others want to know of a block ------------------------------------------------------ */

static void counts_free_pages(void *arg)
{
	struct page_scene *scene = arg;
	struct pages *p = pages_of(scene->q);
	uint32_t block = page_block(p, page_frame(p, scene->page[0]));

	SIM_CHECK(giveback_block_pages(p, block) <= block_pages(p));
}

static void takes_and_gives_order_4(void *arg)
{
	give(arg, take(arg, 4, 0), 4);
}

/* A block's free pages are counted under its zone's lock: without it, the count is a race. */
SIM_TEST(free_pages_of_a_block_against_allocation, .enters = { "giveback_block_pages" })
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, counts_free_pages, scene);
	sim_cpu(sim, 1, takes_and_gives_order_4, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void takes_four_blocks(void *arg)
{
	for (unsigned i = 0; i < 4; i++)
		take(arg, 9, 0);
}

/* Blocks that another CPU is committing have no free runs, and what would say so is not there yet. */
SIM_TEST(giveback_passes_over_growing_blocks, .events = SIM_MEMORY,
	 .enters = { "collect_pieces", "grow_commit" })
{
	struct page_scene *scene = page_scene_make_unused_wide(sim);

	sim_cpu(sim, 0, takes_four_blocks, scene);
	sim_cpu(sim, 1, gives_free_runs_back, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

/* ---- how much of it is used again ------------------------------------------------------------- */

/* A whole block, and a piece of another one. */
static void takes_block_and_piece(void *arg)
{
	take(arg, 9, 0);
	take(arg, 5, 0);
}

static void check_reused(struct sim *sim, struct page_scene *scene, uint64_t pages)
{
	struct zone *zone = &pages_of(scene->q)->zone[0];
	uint64_t before = zone->reused;

	sim_cpu(sim, 0, takes_block_and_piece, scene);
	sim_run(sim);
	check_u64_eq(zone->reused - before, pages);
	page_scene_check(scene);
}

/* A block went back, and a page of another one. */
static struct page_scene *scene_of_returned(struct sim *sim)
{
	struct page_scene *scene = page_scene_make(sim, true);
	void *block = take(scene, 9, 0);

	store_relaxed((uint32_t *)block, 5);
	store_relaxed((uint32_t *)scene->page[7], 5);
	give(scene, block, 9);
	give(scene, scene->page[7], 0);
	quire_drain_all(scene->q);
	gives_free_runs_back(scene);
	return scene;
}

/* What the worker's times are tuned by: what was returned, and taken again within a turn, counts. */
SIM_TEST(memory_that_is_taken_again_at_once_counts, .cpus_nr = 1,
	 .enters = { "buddy_take_whole_locked", "block_take_run" })
{
	struct page_scene *scene = scene_of_returned(sim);

	check_reused(sim, scene, 512 + 32);
}

/* Two turns later it does not. */
SIM_TEST(memory_that_is_taken_again_later_does_not_count, .cpus_nr = 1,
	 .enters = { "buddy_take_whole_locked", "block_take_run" })
{
	struct page_scene *scene = scene_of_returned(sim);

	pages_of(scene->q)->epoch += 2;
	check_reused(sim, scene, 0);
}

/* Nor does what is fresh, and so reads zero too. */
SIM_TEST(fresh_memory_does_not_count_as_taken_again, .cpus_nr = 1,
	 .enters = { "buddy_take_whole_locked", "block_take_run" })
{
	struct page_scene *scene = page_scene_make(sim, true);

	pages_of(scene->q)->epoch = 0;
	check_reused(sim, scene, 0);
}

/* ---- what rests -------------------------------------------------------------------------------- */

static void worker_comes_three_times(void *arg)
{
	worker_comes_twice(arg);
	worker_comes_twice(arg);
}

/* Spares are in stock, and pages in the depot: when nobody asks for them, visits take them away. */
SIM_TEST(worker_empties_depot_and_spares_that_rest, .cpus_nr = 1,
	 .enters = { "drain_idle", "depot_drain", "nested_drain" })
{
	struct page_scene *scene = page_scene_make(sim, true);
	struct pages *p = pages_of(scene->q);
	uint32_t frame;

	nested_fill(p);
	frame = page_frame(p, scene->page[0]);
	sim_disown(scene->page[0], quire_page_bytes(scene->q));
	scene->held_pages--;
	page_set_state(p, frame, STATE_CACHED);
	check_u64_eq(depot_put(&p->zone[0], 0, TYPE_UNMOVABLE, &frame, 1), 1);
	SIM_CHECK(nested_pages(p) != 0);
	sim_cpu(sim, 0, worker_comes_three_times, scene);
	sim_run(sim);
	check_u64_eq(depot_pages(&p->zone[0].depot), 0);
	check_u64_eq(nested_pages(p), 0);
	page_scene_check(scene);
}

/* A block that went as a whole, and of which nothing is in use, goes offline when all is released. */
SIM_TEST(released_block_goes_offline, .cpus_nr = 1, .enters = { "offline_whole_blocks" })
{
	struct page_scene *scene = scene_with_free_run(sim);
	struct pages *p = pages_of(scene->q);

	sim_cpu(sim, 0, releases, scene);
	sim_run(sim);
	SIM_CHECK(!p->block[page_block(p, page_frame(p, scene->block))].online);
	SIM_CHECK(quire_isolate_pageblock(scene->q, scene->block) == -EBUSY);
	page_scene_check(scene);
}

/* ---- isolated once ---------------------------------------------------------------------------- */

static void isolates_or_not(void *arg)
{
	struct page_scene *scene = arg;

	if (quire_isolate_pageblock(scene->q, scene->page[0]) == 0)
		fetch_add_relaxed(&scene->turn, 1); /* read at the end */
}

/* Of two who isolate a block one has it, and it is given up once. */
SIM_TEST(block_is_isolated_by_one, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "page_set_isolate_locked" })
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, isolates_or_not, scene);
	sim_cpu(sim, 1, isolates_or_not, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	check_u64_eq((uint64_t)quire_unisolate_pageblock(scene->q, scene->page[0]), 0);
	SIM_CHECK(quire_unisolate_pageblock(scene->q, scene->page[0]) == -EINVAL);
	page_scene_check(scene);
}

static void offlines_block(void *arg)
{
	struct page_scene *scene = arg;
	int error = quire_offline_pageblock(scene->q, scene->block);

	SIM_CHECK(error == 0 || error == -EBUSY);
}

/* The worker has left nothing that it could give back.  The system refuses to take a block offline, which then counts as
 * having memory: the worker comes again, whenever it looked. */
SIM_TEST(offline_that_is_refused_calls_the_worker, .events = SIM_REFUSE, .refusals = 1,
	 .enters = { "put_online", "giveback_kick" })
{
	struct page_scene *scene = page_scene_make(sim, true);
	struct pages *p = pages_of(scene->q);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	scene->block = take(scene, 9, 0);
	give(scene, scene->block, 9);
	worker_comes_twice(scene);
	check_u64_eq(load_relaxed(&p->giveback_due_ns), WORK_IDLE);
	sim_cpu(sim, 0, offlines_block, scene);
	sim_cpu(sim, 1, worker_comes_twice, scene);
	sim_run(sim);
	quire_page_stat_read(scene->q, &stat);
	SIM_CHECK(load_relaxed(&p->giveback_due_ns) != WORK_IDLE ||
		  stat.free_pages == stat.reported_pages);
	page_scene_check(scene);
}
