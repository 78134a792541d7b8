/* SPDX-License-Identifier: MIT */
/* page_grow_sim.c - blocks that come online while others want pages */
#include "page_scene.h"

static void takes_and_writes(void *arg)
{
	uint32_t *page = take(arg, 0, 0);

	if (page != NULL)
		store_relaxed(page, 7);
}

/* Two CPUs find nothing online and grow: each block comes online once, nobody is refused. */
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

/* Who does not grow takes what another has just brought online, and may write to it at once. */
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
	if (page == NULL)
		fetch_sub_relaxed(&scene->refused, 1); /* it may be refused */
}

/* NOWAIT: whoever grows, drains or reports meanwhile is not waited for. */
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

static void offlines(void *arg)
{
	struct page_scene *scene = arg;
	int error = quire_offline_block(scene->q, scene->block);

	SIM_CHECK(error == 0 || error == -EBUSY);
}

/* A block goes offline while another CPU grows into what is left, perhaps into that block.  It may
 * be refused: what is isolated is nobody's. */
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
