/* SPDX-License-Identifier: MIT */
/* page_grow_sim.c - blocks that come online while other callers need pages */
#include "machine/mem.h"
#include "page/charge.h"
#include "page/map.h"
#include "sim/page/page_scene.h"

static void takes_and_writes(void *arg)
{
	uint32_t *page = take(arg, 0, 0);

	if (page != NULL)
		store_relaxed(page, 7);
}

/* Two CPUs find nothing online and grow: each block comes online once, neither is refused. */
SIM_TEST(grow_by_two_onlines_each_block_once, .events = SIM_MEMORY)
{
	struct page_scene *scene = page_scene_make_unused(sim);

	sim_cpu(sim, 0, takes_and_writes, scene);
	sim_cpu(sim, 1, takes_and_writes, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

static void takes_block(void *arg)
{
	uint32_t *page = take(arg, 9, QUIRE_MOVABLE);

	if (page != NULL)
		store_relaxed(page, 7);
}

/* A CPU that does not grow takes pages that another just brought online, and may write at once. */
SIM_TEST(grow_commits_before_it_onlines, .events = SIM_MEMORY)
{
	struct page_scene *scene = page_scene_make_unused(sim);

	sim_cpu(sim, 0, takes_block, scene);
	sim_cpu(sim, 1, takes_and_writes, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

/* A commit is refused: what was there stays, and the next attempt finds it. */
SIM_TEST(grow_refused_keeps_the_books, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 2)
{
	struct page_scene *scene = page_scene_make_unused(sim);

	sim_cpu(sim, 0, takes_and_writes, scene);
	sim_cpu(sim, 1, takes_block, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void takes_without_waiting(void *arg)
{
	struct page_scene *scene = arg;
	void *page;

	sim_forbid_wait(true);
	page = take(scene, 0, QUIRE_NOWAIT);
	sim_forbid_wait(false);
	if (page == NULL) /* all blocks may be in others' hands, as far as the limit goes */
		fetch_sub_relaxed(&scene->refused, 1);
}

/* NOWAIT: the call does not wait for a CPU that grows, drains or reports. */
SIM_TEST(grow_is_not_waited_for_with_nowait, .cpus_nr = 3, .events = SIM_MEMORY | SIM_TRYFAIL)
{
	struct page_scene *scene = page_scene_make_unused(sim);

	sim_cpu(sim, 0, takes_without_waiting, scene);
	sim_cpu(sim, 1, takes_block, scene);
	sim_cpu(sim, 2, takes_without_waiting, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

static void takes_atomically(void *arg)
{
	uint32_t *page;

	sim_forbid_wait(true);
	page = take(arg, 0, QUIRE_ATOMIC);
	sim_forbid_wait(false);
	if (page != NULL)
		store_relaxed(page, 7);
}

static void takes_block_atomically(void *arg)
{
	uint32_t *page;

	sim_forbid_wait(true);
	page = take(arg, 9, QUIRE_ATOMIC | QUIRE_MOVABLE);
	sim_forbid_wait(false);
	if (page != NULL)
		store_relaxed(page, 7);
}

/* Another is in the middle of committing: an atomic caller commits for itself, and is served. */
SIM_TEST(grow_beside_a_grower_is_not_refused, .events = SIM_MEMORY)
{
	struct page_scene *scene = page_scene_make_unused_wide(sim);

	sim_cpu(sim, 0, takes_block, scene);
	sim_cpu(sim, 1, takes_atomically, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

/* Two that commit beside each other never have the same block. */
SIM_TEST(grow_beside_a_grower_onlines_each_block_once, .events = SIM_MEMORY)
{
	struct page_scene *scene = page_scene_make_unused_wide(sim);

	sim_cpu(sim, 0, takes_block_atomically, scene);
	sim_cpu(sim, 1, takes_block_atomically, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

/* As it is beyond the blocks whose struct pages are committed with the instance: of more than a scene has. */
static void forget_struct_pages(struct pages *p)
{
	size_t frames = (size_t)p->blocks_nr << p->pageblock_order;

	check_u64_eq(p->zone[0].blocks_described, p->blocks_nr);
	p->zone[0].blocks_described = 0;
	SIM_CHECK(mem_decommit(p->page - frames, frames * sizeof(struct page), "quire-pages") == 0);
}

/* Of two that come at once each commits the metadata that both need, or finds it committed: it breaks its
 * block up, and links the parts in their struct pages. */
SIM_TEST(grow_beside_a_grower_has_metadata, .events = SIM_MEMORY)
{
	struct page_scene *scene = page_scene_make_unused_wide(sim);

	forget_struct_pages(pages_of(scene->q));
	sim_cpu(sim, 0, takes_atomically, scene);
	sim_cpu(sim, 1, takes_atomically, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_u64_eq(pages_of(scene->q)->zone[0].blocks_described, 6);
	page_scene_check(scene);
}

/* All that the limit allows can still be had: six blocks but the one that the reserve is in. */
static void check_nothing_is_lost(struct page_scene *scene)
{
	while (take(scene, 9, 0) != NULL)
		;
	check_u64_eq(scene->held_pages, 5 << 9);
	page_scene_check(scene);
}

/* The system refuses one of them, or both: what they had taken is there for the next grower, whichever
 * of them took the lower blocks. */
SIM_TEST(grow_beside_a_grower_refused_loses_nothing, .events = SIM_MEMORY | SIM_REFUSE,
	 .refusals = 2)
{
	struct page_scene *scene = page_scene_make_unused_wide(sim);

	sim_cpu(sim, 0, takes_block_atomically, scene);
	sim_cpu(sim, 1, takes_block, scene);
	sim_run(sim);
	check_u64_eq(quire_verify(scene->q), 0);
	check_nothing_is_lost(scene);
}

static void takes_two_blocks_atomically(void *arg)
{
	sim_forbid_wait(true);
	(void)take(arg, 10, QUIRE_ATOMIC | QUIRE_MOVABLE);
	sim_forbid_wait(false);
}

static void is_served(void *arg)
{
	SIM_CHECK(take(arg, 0, 0) != NULL);
}

/* Of six blocks the lower two are with a step that was left, the others are in use. */
static struct page_scene *scene_with_step_left(struct sim *sim)
{
	struct page_scene *scene = page_scene_make_unused_wide(sim);
	struct zone *zone = &pages_of(scene->q)->zone[0];
	struct grow_step *step = &zone->steps[1];

	step->first = zone->block_first;
	step->blocks_nr = zone->blocks_touched = zone->blocks_growing = 2;
	step->state = GROW_BUSY;
	SIM_CHECK(take(scene, 10, QUIRE_MOVABLE) != NULL);
	step->state = GROW_LEFT;
	check_u64_eq(zone->blocks_touched, zone->blocks_nr);
	check_u64_eq(quire_verify(scene->q), 0);
	return scene;
}

/* The system refuses the caller that resumes the step.  The step stays available to a caller that may
 * wait, even before the refused one has released it: one refused commit is no reason to refuse a
 * page, for which one block is enough. */
SIM_TEST(grow_left_by_a_grower_is_waited_for, .events = SIM_REFUSE | SIM_TRYFAIL, .refusals = 1)
{
	struct page_scene *scene = scene_with_step_left(sim);

	sim_cpu(sim, 0, takes_two_blocks_atomically, scene);
	sim_cpu(sim, 1, is_served, scene);
	sim_run(sim);
	page_scene_check(scene);
}

/* While it holds grow_mutex, another can only grow beside it. */
static void is_served_after_a_claim(void *arg)
{
	struct pages *p = pages_of(((struct page_scene *)arg)->q);

	mutex_acquire(&p->grow_mutex);
	while (load_relaxed(&p->zone[0].blocks_touched) == 0)
		;
	mutex_release(&p->grow_mutex);
	is_served(arg);
}

/* A grower that did not wait for grow_mutex has all blocks: a caller that may wait sleeps until that one is done, and is
 * served.  Without sleeping it would take the zone's lock again and again.  Few runs come to that: the mutant says that some do. */
SIM_TEST(grow_waits_for_a_grower_of_all_blocks)
{
	struct page_scene *scene = page_scene_make_unused(sim);

	sim_cpu(sim, 0, takes_without_waiting, scene);
	sim_cpu(sim, 1, is_served_after_a_claim, scene);
	sim_run(sim);
	SIM_CHECK(pages_of(scene->q)->zone[0].lock_acquisitions <= 16);
	page_scene_check(scene);
}

/* ---- what a grower claims, and what becomes of it when the system refuses --------------------- */

/* What a step claimed is online, or as it was before: never used, or offline. */
static void check_nothing_is_claimed(const struct page_scene *scene)
{
	const struct pages *p = pages_of_const(scene->q);
	const struct zone *zone = &p->zone[0];

	check_u64_eq(zone->blocks_growing, 0);
	check_u64_eq((uint64_t)zone->blocks_touched << p->pageblock_order,
		     zone->online_pages + ((uint64_t)zone->offline.nr << p->pageblock_order));
	check_u64_eq(quire_verify(scene->q), 0);
}

static void takes_without_retry(void *arg)
{
	(void)quire_alloc_pages(((struct page_scene *)arg)->q, 0, QUIRE_NORETRY);
}

/* The system refuses a step, and perhaps the first of its blocks, too: no block stays claimed. */
SIM_TEST(grow_refused_claims_nothing, .cpus_nr = 1, .events = SIM_REFUSE, .refusals = 2)
{
	struct page_scene *scene = page_scene_make_unused_wide(sim);

	sim_cpu(sim, 0, takes_without_retry, scene);
	sim_run(sim);
	check_nothing_is_claimed(scene);
}

/* The system refuses a block that was taken offline, with others behind it: it is offline again, and none stays claimed. */
SIM_TEST(grow_refused_leaves_a_block_offline, .cpus_nr = 1, .events = SIM_REFUSE, .refusals = 2)
{
	struct page_scene *scene = page_scene_make_unused_wide(sim);
	void *block[4];

	for (unsigned i = 0; i < 4; i++)
		block[i] = take(scene, 9, QUIRE_MOVABLE);
	give(scene, block[0], 9);
	check_u64_eq(quire_offline_pageblock(scene->q, block[0]), 0);
	sim_cpu(sim, 0, takes_without_retry, scene);
	sim_run(sim);
	check_nothing_is_claimed(scene);
}

/* A step that is refused but for its first block leaves an odd number of them; every second is free again. */
static void takes_two_blocks_at_the_end(void *arg)
{
	struct page_scene *scene = arg;
	void *block[5];

	for (unsigned i = 0; i < 5; i++)
		block[i] = take(scene, 9, QUIRE_MOVABLE | QUIRE_NORETRY);
	for (unsigned i = 0; i < 5; i += 2)
		give(scene, block[i], 9);
	(void)take(scene, 10, QUIRE_MOVABLE | QUIRE_NORETRY);
}

/* Two blocks are wanted where one is left: that one is claimed, and if it is refused no more is tried. */
SIM_TEST(grow_refused_at_the_end_stays_inside, .cpus_nr = 1, .events = SIM_MEMORY | SIM_REFUSE,
	 .refusals = 2)
{
	struct page_scene *scene = page_scene_make_unused_wide(sim);

	sim_cpu(sim, 0, takes_two_blocks_at_the_end, scene);
	sim_run(sim);
	check_nothing_is_claimed(scene);
	page_scene_check(scene);
}

static void takes_page_and_block(void *arg)
{
	struct page_scene *scene = arg;
	const struct zone *zone = &pages_of(scene->q)->zone[0];

	SIM_CHECK(take(scene, 0, 0) != NULL);
	check_u64_eq(zone->blocks_touched, 1);
	SIM_CHECK(take(scene, 9, QUIRE_MOVABLE) != NULL);
	check_u64_eq(zone->blocks_touched, 2);
}

/* Where memory is locked, all that comes online takes memory at once: a grower claims no more than it needs. */
SIM_TEST(grow_of_locked_memory_claims_no_more, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "grow_one" })
{
	struct page_scene *scene = page_scene_make_unused_wide(sim);

	sim_lock_memory();
	sim_cpu(sim, 0, takes_page_and_block, scene);
	sim_run(sim);
	check_nothing_is_claimed(scene);
	page_scene_check(scene);
}

static void takes_four_blocks_atomically(void *arg)
{
	sim_forbid_wait(true);
	(void)take(arg, 9, QUIRE_ATOMIC | QUIRE_MOVABLE);
	sim_forbid_wait(false);
}

/* While it holds grow_mutex, the other grows as one of several: by two blocks, if two are enough. */
static void sees_four_blocks_claimed(void *arg)
{
	struct pages *p = pages_of(((struct page_scene *)arg)->q);
	uint32_t touched;

	mutex_acquire(&p->grow_mutex);
	while ((touched = load_relaxed(&p->zone[0].blocks_touched)) == 0)
		;
	mutex_release(&p->grow_mutex);
	check_u64_eq(touched, 4);
}

/* A grower claims the whole run that it needs at once, or another might claim a part of it. */
SIM_TEST(grow_beside_a_grower_claims_its_run, .page_shift = 14)
{
	struct page_scene *scene = page_scene_make_unused_wide(sim);

	sim_cpu(sim, 0, takes_four_blocks_atomically, scene);
	sim_cpu(sim, 1, sees_four_blocks_claimed, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

static void charges_all_it_gets(void *arg)
{
	struct page_scene *scene = arg;

	while (page_charge(scene->q, 128, QUIRE_NORETRY) == 0)
		scene->charged_pages += 128;
}

/* Blocks that come online are counted once at any time: what others charge meanwhile and what is
 * allocated stay within the limit. */
SIM_TEST(grow_counts_blocks_once_as_they_come)
{
	struct page_scene *scene = page_scene_make_unused(sim);

	sim_cpu(sim, 0, takes_and_writes, scene);
	sim_cpu(sim, 1, charges_all_it_gets, scene);
	sim_run(sim);
	SIM_CHECK(scene->charged_pages + scene->held_pages <= scene->q->limit_pages);
	page_uncharge(scene->q, scene->charged_pages);
	page_scene_check(scene);
}

static void forks_and_grows(void *arg)
{
	struct page_scene *scene = arg;

	sim_fork_child();
	check_u64_eq(quire_verify(scene->q), 0);
	while (take(scene, 9, 0) != NULL)
		;
	/* No call was refused, so blocks came online in twos. */
	check_u64_eq(pages_of(scene->q)->zone[0].online_pages,
		     pages_of(scene->q)->zone[0].managed_pages);
	store_relaxed(&scene->turn, 1);
}

/* Fork waits only for the holder of grow_mutex: a caller that commits without it stays in the parent, and
 * the child may commit its blocks. */
SIM_TEST(fork_child_of_a_grower_grows, .events = SIM_TRYFAIL)
{
	struct page_scene *scene = page_scene_make_unused_wide(sim);

	sim_cpu(sim, 0, takes_block_atomically, scene);
	sim_cpu(sim, 1, forks_and_grows, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	check_u64_eq(quire_verify(scene->q), 0);
}

static void offlines(void *arg)
{
	struct page_scene *scene = arg;
	int error = quire_offline_pageblock(scene->q, scene->block);

	SIM_CHECK(error == 0 || error == -EBUSY);
}

/* A block goes offline while another CPU grows into the remaining blocks, perhaps into that block.  The
 * call may be refused: an isolated block serves no allocation. */
SIM_TEST(grow_against_offline, .events = SIM_MEMORY)
{
	struct page_scene *scene = page_scene_make(sim, true);

	scene->block = take(scene, 9, QUIRE_MOVABLE);
	give(scene, scene->block, 9);
	sim_cpu(sim, 0, offlines, scene);
	sim_cpu(sim, 1, takes_block, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void takes_runs_of_two_blocks(void *arg)
{
	for (unsigned i = 0; i < 4; i++)
		(void)take(arg, 10, QUIRE_MOVABLE | QUIRE_NORETRY);
}

/* The system refuses to take the block: it is online again, and the blocks that another claims meanwhile are
 * counted. */
SIM_TEST(grow_against_offline_that_is_refused, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 1,
	 .enters = { "put_online" })
{
	struct page_scene *scene = page_scene_make_zones(sim, false, 1, UINT64_C(40) << 20);

	scene->block = take(scene, 9, QUIRE_MOVABLE);
	give(scene, scene->block, 9);
	sim_cpu(sim, 0, offlines, scene);
	sim_cpu(sim, 1, takes_runs_of_two_blocks, scene);
	sim_run(sim);
	check_nothing_is_claimed(scene);
	page_scene_check(scene);
}

static void counts_pages(void *arg)
{
	struct quire *q = ((struct page_scene *)arg)->q;
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	char map[512];

	SIM_CHECK(page_text_map(q, map, sizeof(map)) != 0);
	check_u64_eq((uint64_t)quire_page_stat_read(q, &stat), 0);
	SIM_CHECK(stat.allocated_pages == 0 || stat.allocated_pages == 1u << 9);
}

/* A count of pages beside a grower has all of a new block, or none of it. */
SIM_TEST(grow_against_a_count, .events = SIM_RACE, .enters = { "page_count_blocks" })
{
	struct page_scene *scene = page_scene_make_unused_wide(sim);

	sim_cpu(sim, 0, counts_pages, scene);
	sim_cpu(sim, 1, takes_block, scene);
	sim_run(sim);
	page_scene_check(scene);
}
