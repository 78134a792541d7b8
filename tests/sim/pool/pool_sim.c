/* SPDX-License-Identifier: MIT */
/* pool_sim.c - records that several callers take and free while a pool grows and gives memory back */
#include "pool/pool.h"
#include "sim/page/page_scene.h"

#define RECORD_BYTES  1024u
#define GROUP_RECORDS 64u
#define STEP_GROUPS   16u /* pool.c: GROW_GROUPS */

struct pool_scene {
	struct page_scene *pages;
	struct pool pool;
	uint32_t refused;
	bool freed; /* by a shrinker */
};

static struct pool_scene *scene_make(struct sim *sim, uint32_t groups)
{
	struct pool_scene *scene = sim_zalloc(sim, sizeof(*scene));

	scene->pages = page_scene_make(sim, false);
	check_u64_eq(pool_init(&scene->pool, scene->pages->q, RECORD_BYTES, groups * GROUP_RECORDS,
			       "records"),
		     0);
	sim_name(&scene->pool, sizeof(scene->pool), "pool");
	return scene;
}

/* Writes to a record, so that two owners are a race; keeps it. */
static uint32_t takes(struct pool_scene *scene, unsigned flags)
{
	uint32_t index = pool_alloc(&scene->pool, flags);

	if (index == POOL_NONE)
		fetch_add_relaxed(&scene->refused, 1); /* read at the end */
	else
		*(uint32_t *)pool_record(&scene->pool, index) = index;
	return index;
}

static void takes_and_frees(void *arg)
{
	struct pool_scene *scene = arg;
	uint32_t index = takes(scene, 0);

	if (index == POOL_NONE)
		return;
	check_u64_eq(*(uint32_t *)pool_record(&scene->pool, index), index);
	pool_free(&scene->pool, index);
}

static void shrinks(void *arg)
{
	struct pool_scene *scene = arg;

	check_u64_eq(pool_shrink(&scene->pool) % scene->pool.group_bytes, 0);
}

static void counts(void *arg)
{
	struct pool_scene *scene = arg;
	uint64_t bytes = pool_bytes(&scene->pool);

	SIM_CHECK(bytes <= (uint64_t)scene->pool.groups_max * scene->pool.group_bytes);
}

/* No record is used, and what is charged is what has memory. */
static void check_unused(struct pool_scene *scene)
{
	struct pool *pool = &scene->pool;

	check_u64_eq(pool->used_nr, 0);
	check_u64_eq(pool->charged_pages << pool->q->page_shift, pool_bytes(pool));
	check_u64_eq(pool_verify(pool), 0);
	check_u64_eq(quire_verify(pool->q), 0);
}

/* Groups that go back to the system serve nobody meanwhile, and their charge goes with them; one that the system
 * refuses to take back can still be taken. */
SIM_TEST(pool_shrink_against_alloc_and_free, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 1,
	 .enters = { "pool/pool.c:give_back", "warm_one_locked", "pool_bytes" })
{
	struct pool_scene *scene = scene_make(sim, 2);

	takes_and_frees(scene);
	sim_cpu(sim, 0, takes_and_frees, scene);
	sim_cpu(sim, 1, shrinks, scene);
	sim_cpu(sim, 1, counts, scene);
	sim_run(sim);
	check_unused(scene);
}

static void takes_at_once(void *arg)
{
	(void)takes(arg, QUIRE_NORETRY);
}

/* Two find no record and commit some, one after the other: the second sees what the first has opened.  It would
 * be refused otherwise, since there is only one group. */
SIM_TEST(pool_grown_by_two_serves_both, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct pool_scene *scene = scene_make(sim, 1);

	sim_cpu(sim, 0, takes_at_once, scene);
	sim_cpu(sim, 1, takes_at_once, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_u64_eq(scene->pool.used_nr, 2);
	check_u64_eq(pool_verify(&scene->pool), 0);
}

/* The same with room for more: what one step has committed is enough for both. */
SIM_TEST(pool_grown_by_two_commits_one_step, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct pool_scene *scene = scene_make(sim, 2 * STEP_GROUPS);

	sim_cpu(sim, 0, takes_at_once, scene);
	sim_cpu(sim, 1, takes_at_once, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_u64_eq(pool_bytes(&scene->pool), (uint64_t)STEP_GROUPS * scene->pool.group_bytes);
}

static void takes_without_waiting(void *arg)
{
	sim_forbid_wait(true);
	(void)takes(arg, QUIRE_NOWAIT);
	sim_forbid_wait(false);
}

/* Both commit the same step, and the system refuses one of them: the other opens it, and it stays charged. */
SIM_TEST(pool_step_refused_to_one_serves_the_other, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3,
	 .events = SIM_REFUSE, .refusals = 1)
{
	struct pool_scene *scene = scene_make(sim, 1);

	sim_cpu(sim, 0, takes_without_waiting, scene);
	sim_cpu(sim, 1, takes_without_waiting, scene);
	sim_run(sim);
	SIM_CHECK(scene->refused <= 1);
	check_u64_eq(scene->pool.used_nr + scene->refused, 2);
	check_u64_eq(scene->pool.charged_pages << scene->pool.q->page_shift,
		     pool_bytes(&scene->pool));
	check_u64_eq(pool_verify(&scene->pool), 0);
}

/* ---- a pool that is full ---- */

static struct pool_scene *scene_make_full(struct sim *sim)
{
	struct pool_scene *scene = scene_make(sim, 1);

	for (unsigned i = 0; i < GROUP_RECORDS; i++)
		SIM_CHECK(takes(scene, 0) != POOL_NONE);
	return scene;
}

static void takes_one(void *arg)
{
	(void)takes(arg, 0);
}

/* A caller that may wait makes room, which is none here, and is then refused: it does not try for ever. */
SIM_TEST(pool_that_is_full_refuses, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "page_make_room" })
{
	struct pool_scene *scene = scene_make_full(sim);

	sim_cpu(sim, 0, takes_one, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 1);
	check_u64_eq(pool_verify(&scene->pool), 0);
}

static size_t frees_the_first(size_t bytes, void *arg)
{
	struct pool_scene *scene = arg;

	(void)bytes;
	if (scene->freed)
		return 0;
	scene->freed = true;
	pool_free(&scene->pool, 0);
	return RECORD_BYTES;
}

/* Before it is refused, the program's caches are asked, and what they free serves it. */
SIM_TEST(pool_that_is_full_asks_shrinkers, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "shrinkers_step" })
{
	struct pool_scene *scene = scene_make_full(sim);
	const struct quire_shrinker shrinker =
		QUIRE_SHRINKER_INIT(.name = "records", .scan = frees_the_first, .arg = scene);
	uint64_t id;

	check_u64_eq(quire_shrinker_register(scene->pages->q, &shrinker, &id), 0);
	sim_cpu(sim, 0, takes_one, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_u64_eq(scene->pool.used_nr, GROUP_RECORDS);
	check_u64_eq(pool_verify(&scene->pool), 0);
}
