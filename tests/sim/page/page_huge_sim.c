/* SPDX-License-Identifier: MIT */
/*
 * page_huge_sim.c - advice about huge pages against memory that goes back
 *
 * The machine fails a run where khugepaged could fill again what went back (src/machine/sim/huge.c).
 */
#include "page/advice.h"
#include "sim/page/page_scene.h"

/* Every page of the scene is written, and has huge pages behind it. */
static struct page_scene *scene_of_huge(struct sim *sim, uint64_t limit_bytes)
{
	struct page_scene *scene = sim_zalloc(sim, sizeof(*scene));
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = limit_bytes, .thp = QUIRE_ON,
				   .worker = QUIRE_WORKER_OFF);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	quire_pcp_disable(scene->q);
	quire_pcp_enable(scene->q);
	for (unsigned i = 0; i < 8; i++) {
		scene->page[i] = take(scene, 0, 0);
		store_relaxed((uint32_t *)scene->page[i], 5);
	}
	return scene;
}

static void frees_and_releases(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, scene->page[6], 0);
	quire_release(scene->q);
}

static void takes_writes_and_frees(void *arg)
{
	struct page_scene *scene = arg;
	uint32_t *page = take(scene, 0, 0);

	if (page == NULL)
		return;
	store_relaxed(page, 7);
	give(scene, scene->page[5], 0);
}

/* A page stays in use in the block, another goes, and a third is taken and written meanwhile. */
SIM_TEST(parts_go_without_advice, .events = SIM_MEMORY)
{
	struct page_scene *scene = scene_of_huge(sim, UINT64_C(4) << 20);

	sim_cpu(sim, 0, frees_and_releases, scene);
	sim_cpu(sim, 1, takes_writes_and_frees, scene);
	sim_run(sim);
	page_scene_check(scene);
}

/* The budget of mappings may refuse: then blocks beside the one that goes in part are denied, too. */
SIM_TEST(parts_go_without_advice_past_the_budget, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 2)
{
	struct page_scene *scene = scene_of_huge(sim, UINT64_C(8) << 20);

	scene->block = take(scene, 9, 0);
	store_relaxed((uint32_t *)scene->block, 5);
	sim_cpu(sim, 0, frees_and_releases, scene);
	sim_cpu(sim, 1, takes_writes_and_frees, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void offlines_far_block(void *arg)
{
	struct page_scene *scene = arg;
	int error = quire_offline_pageblock(scene->q, scene->block);

	SIM_CHECK(error == 0 || error == -EBUSY);
}

/* A block goes back as a whole and is advised again, while a part of its neighbour goes. */
SIM_TEST(whole_blocks_are_advised_while_parts_go, .events = SIM_MEMORY)
{
	struct page_scene *scene = scene_of_huge(sim, UINT64_C(8) << 20);

	scene->block = take(scene, 9, 0);
	store_relaxed((uint32_t *)scene->block, 5);
	give(scene, scene->block, 9);
	sim_cpu(sim, 0, frees_and_releases, scene);
	sim_cpu(sim, 1, offlines_far_block, scene);
	sim_run(sim);
	page_scene_check(scene);
}
