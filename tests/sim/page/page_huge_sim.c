/* SPDX-License-Identifier: MIT */
/*
 * page_huge_sim.c - advice about huge pages against memory that goes back
 *
 * The machine fails a run where khugepaged could fill again what went back (src/machine/sim/huge.c).
 */
#include "huge/huge.h"
#include "page/giveback.h"
#include "sim/page/page_scene.h"

static struct page_scene *scene_backed_by(struct sim *sim, uint64_t limit_bytes,
					  enum quire_backing backing)
{
	struct page_scene *scene = sim_zalloc(sim, sizeof(*scene));
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = limit_bytes, .thp = QUIRE_ON, .backing = backing,
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

/* Every page of the scene is written, and has huge pages behind it. */
static struct page_scene *scene_of_huge(struct sim *sim, uint64_t limit_bytes)
{
	return scene_backed_by(sim, limit_bytes, QUIRE_BACKING_ANON);
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

static enum huge_kind kind_of(const struct page_scene *scene, const void *page)
{
	const struct pages *p = pages_of_const(scene->q);

	return huge_kind(&p->huge, page_block(p, page_frame(p, page)));
}

static void frees_the_rest_and_releases(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < 6; i++)
		give(scene, scene->page[i], 0);
	quire_release(scene->q);
}

static void frees_one_beside_another(void *arg)
{
	struct page_scene *scene = arg;
	uint32_t *page = take(scene, 0, 0);

	give(scene, scene->page[7], 0);
	if (page == NULL)
		return;
	store_relaxed(page, 7);
	give(scene, page, 0);
}

/* A block that went in part is advised again when all of it has gone. */
SIM_TEST(block_that_is_free_has_its_advice_back, .events = SIM_MEMORY)
{
	struct page_scene *scene = scene_of_huge(sim, UINT64_C(8) << 20);

	scene->block = take(scene, 9, 0);
	frees_and_releases(scene);
	check_u64_eq(kind_of(scene, scene->page[0]), HUGE_PLAIN);
	sim_cpu(sim, 0, frees_the_rest_and_releases, scene);
	sim_cpu(sim, 1, frees_one_beside_another, scene);
	sim_run(sim);
	quire_release(scene->q);
	check_u64_eq(kind_of(scene, scene->page[0]), HUGE_ADVISED);
	page_scene_check(scene);
}

/* The system refuses to take the rest: what had gone before is not filled again. */
SIM_TEST(block_that_does_not_go_has_no_advice_back, .events = SIM_MEMORY | SIM_REFUSE,
	 .refusals = 1, .enters = { "allow_whole" })
{
	struct page_scene *scene = scene_of_huge(sim, UINT64_C(8) << 20);

	scene->block = take(scene, 9, 0);
	frees_and_releases(scene);
	sim_cpu(sim, 0, frees_the_rest_and_releases, scene);
	sim_cpu(sim, 1, frees_one_beside_another, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void blocks_around_the_witness_go(void *arg)
{
	struct pages *p = pages_of(((struct page_scene *)arg)->q);
	struct page_witness *witness = &p->witness;

	page_advise_empty(p, witness->first - 1, witness->first);
	page_advise_empty(p, witness->end, witness->end + 1);
	SIM_CHECK(witness->first != witness->end);
	page_advise_empty(p, witness->first, witness->end);
	check_u64_eq(witness->first, witness->end);
}

/* Only its own blocks make a witness worthless. */
SIM_TEST(witness_outlives_its_neighbours, .cpus_nr = 1, .enters = { "forget_witness_locked" })
{
	struct page_scene *scene = scene_of_huge(sim, UINT64_C(16) << 20);

	pages_of(scene->q)->witness.first = 4;
	pages_of(scene->q)->witness.end = 5;
	sim_cpu(sim, 0, blocks_around_the_witness_go, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void take_and_write(struct page_scene *scene, unsigned i)
{
	scene->page[i] = take(scene, 0, 0);
	SIM_CHECK(scene->page[i] != NULL);
	store_relaxed((uint32_t *)scene->page[i], 5);
}

static void visits(void *arg)
{
	struct page_scene *scene = arg;

	giveback_visit(pages_of(scene->q), 0);
}

/* Blocks that lost their advice are full again. */
static void fill(struct page_scene *scene)
{
	uint32_t *page = take(scene, 0, 0);

	for (; page != NULL; page = take(scene, 0, 0))
		store_relaxed(page, 5);
	scene->refused = 0;
	give(scene, scene->page[6], 0);
	quire_release(scene->q);
	take_and_write(scene, 6);
	check_u64_eq(kind_of(scene, scene->page[6]), HUGE_PLAIN);
}

/* The worker has found them written once. */
static struct page_scene *scene_of_full(struct sim *sim)
{
	struct page_scene *scene = scene_of_huge(sim, UINT64_C(4) << 20);

	fill(scene);
	visits(scene);
	check_u64_eq(kind_of(scene, scene->page[6]), HUGE_FULL);
	return scene;
}

/* The worker makes a huge page of a block while a part of it goes: the block is full, or is left alone. */
SIM_TEST(full_block_is_left_alone_while_a_part_goes, .events = SIM_MEMORY)
{
	struct page_scene *scene = scene_of_full(sim);

	sim_cpu(sim, 0, frees_and_releases, scene);
	sim_cpu(sim, 1, visits, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void give_some(struct page_scene *scene, uint32_t block, unsigned nr)
{
	const struct pages *p = pages_of_const(scene->q);

	for (unsigned i = 0; i < nr; i++)
		give(scene, page_addr(p, block_frame(p, block) + 64 + i), 0);
	quire_release(scene->q);
}

/* A block is to be found written twice in a row.  Here a part went in between, and was taken again but not written,
 * so the looks begin anew. */
SIM_TEST(full_block_that_is_sparse_again_begins_anew, .cpus_nr = 1, .events = SIM_MEMORY)
{
	struct page_scene *scene = scene_of_full(sim);
	struct pages *p = pages_of(scene->q);
	uint32_t block = page_block(p, page_frame(p, scene->page[6]));

	give_some(scene, 1 - block, 64); /* so that the last free pages are there */
	give_some(scene, block, 48);
	while (p->block[block].free_pages != 0)
		SIM_CHECK(take(scene, 0, 0) != NULL);
	check_u64_eq(huge_kind(&p->huge, block), HUGE_FULL);
	visits(scene);
	check_u64_eq(huge_kind(&p->huge, block), HUGE_PLAIN);
	page_scene_check(scene);
}

/* The worker looks for full blocks in private memory alone: those of shared memory stay as they are. */
SIM_TEST(full_block_that_is_shared_is_left_alone, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "page_advise_full" })
{
	struct page_scene *scene = scene_backed_by(sim, UINT64_C(4) << 20, QUIRE_BACKING_MEMFD);

	fill(scene);
	sim_cpu(sim, 0, visits, scene);
	sim_run(sim);
	check_u64_eq(kind_of(scene, scene->page[6]), HUGE_PLAIN);
	page_scene_check(scene);
}
