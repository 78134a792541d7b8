/* SPDX-License-Identifier: MIT */
/*
 * records_sim.c - the records of areas (malloc/records.h), which are made with the first one
 *
 * The scene has a heap with an area, and no record of one yet.  Each page of the area stands for an area of its own.
 */
#include "malloc/records.h"

#include "sim/malloc/malloc_scene.h"

#define CONF	   "limit:8m,worker:off,thp:off"
#define AREA_BYTES 300000u

struct records_scene {
	char *area;
	uint32_t turn; /* atomic: pages that tasks took, each its own */
};

static struct records_scene *scene_make(struct sim *sim)
{
	struct records_scene *scene = sim_zalloc(sim, sizeof(*scene));

	scene->area = (char *)block_take(malloc_scene_make(sim, CONF), AREA_BYTES).words;
	SIM_CHECK(scene->area != NULL && malloc_is_area(scene->area));
	check_u64_eq((uint64_t)records_init(), 0);
	return scene;
}

static void make_one(void *arg)
{
	struct records_scene *scene = arg;
	uint32_t turn = fetch_add_relaxed(&scene->turn, 1);
	struct record *record = records_make(scene->area + turn * MALLOC_PAGE_BYTES);

	SIM_CHECK(record != NULL);
	if (record != NULL)
		store_relaxed(&record->made, turn + 1); /* read at the end */
}

static void scene_check(const struct records_scene *scene)
{
	for (uint32_t i = 0; i < scene->turn; i++) {
		const struct record *record = records_at(scene->area + i * MALLOC_PAGE_BYTES);

		SIM_CHECK(record != NULL);
		if (record != NULL)
			check_u64_eq(record->made, i + 1);
	}
}

/* Neither goes without a record, and neither's is lost. */
SIM_TEST(records_of_two_first_areas, .enters = { "make_of_areas" })
{
	struct records_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, make_one, scene);
	sim_cpu(sim, 1, make_one, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 2);
	scene_check(scene);
}

SIM_TEST(records_of_a_first_area_beside_a_handler, .cpus_nr = 1, .enters = { "make_of_areas" })
{
	struct records_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, make_one, scene);
	sim_irq(sim, 0, make_one, scene, 2);
	sim_run(sim);
	scene_check(scene);
}

static void make_one_in_a_child(void *arg)
{
	sim_fork_child();
	make_one(arg);
}

/* The other task has vanished at any step. */
SIM_TEST(records_of_a_first_area_in_a_child, .enters = { "make_of_areas" })
{
	struct records_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, make_one, scene);
	sim_cpu(sim, 1, make_one_in_a_child, scene);
	sim_run(sim);
}

static void asks_for_no_block(void *arg)
{
	make_one(arg);
	SIM_CHECK(records_at(arg) == NULL);
}

/* An address that is neither among the pages nor among the areas has no record. */
SIM_TEST(records_have_none_of_foreign_addresses, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "malloc/beside.c:place_of" })
{
	struct records_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, asks_for_no_block, scene);
	sim_run(sim);
}

static void takes_the_first_area(void *arg)
{
	SIM_CHECK(malloc_is_area(block_take(arg, AREA_BYTES).words));
}

static void no_record(const struct record *record, void *arg)
{
	(void)arg;
	sim_fail("check", "nobody made a record, and there is one at %p", (const void *)record);
}

static void walks(void *arg)
{
	(void)arg;
	records_each(no_record, NULL);
}

/* A walk of the records beside the first area finds the areas whole, or none. */
SIM_TEST(records_walk_beside_the_first_area, .enters = { "beside_each" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);
	struct malloc_block first = block_take(scene, sizeof(uint64_t)); /* makes the heap */

	check_u64_eq((uint64_t)records_init(), 0);
	sim_cpu(sim, 0, takes_the_first_area, scene);
	sim_cpu(sim, 1, walks, scene);
	sim_run(sim);
	block_give(scene, &first);
}
