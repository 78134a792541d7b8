/* SPDX-License-Identifier: MIT */
/* vmap_grow_sim.c - sections and records that are committed while others want areas */
#include "vmap_scene.h"

/* ---- sections ---------------------------------------------------------------------------------- */

#define AREA_PAGES 640u /* of a class, and more than a section: two of them meet in one */

static struct vmap_scene *scene_of(struct sim *sim, uint64_t span_bytes)
{
	struct vmap_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options = { .limit_bytes = UINT64_C(16) << 20,
					       .vmap_span_bytes = span_bytes,
					       .worker = QUIRE_WORKER_OFF,
					       .guard = QUIRE_GUARD_OFF };

	check_u64_eq(quire_create(&options, &scene->q), 0);
	SIM_CHECK(vtake(scene, 1, 0) != NULL);
	scene->v = scene->q->vmap;
	return scene;
}

/* Eight sections, of which one is committed. */
static struct vmap_scene *scene_mostly_unused(struct sim *sim)
{
	return scene_of(sim, UINT64_C(16) << 20);
}

static void writes_both_ends(char *area)
{
	if (area == NULL)
		return;
	store_relaxed((uint32_t *)(void *)area, 7);
	store_relaxed((uint32_t *)(void *)(area + ((size_t)(AREA_PAGES - 1) << 12)), 7);
}

static void takes_area(void *arg)
{
	writes_both_ends(vtake(arg, AREA_PAGES, 0));
}

static void takes_area_atomically(void *arg)
{
	char *area;

	sim_forbid_wait(true);
	area = vtake(arg, AREA_PAGES, QUIRE_ATOMIC);
	sim_forbid_wait(false);
	writes_both_ends(area);
}

static void check_served(struct vmap_scene *scene)
{
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* Another is in the middle of committing: a caller that may not wait commits other sections. */
SIM_TEST(vmalloc_beside_a_commit_is_not_refused, .events = SIM_MEMORY)
{
	struct vmap_scene *scene = scene_mostly_unused(sim);

	sim_cpu(sim, 0, takes_area, scene);
	sim_cpu(sim, 1, takes_area_atomically, scene);
	sim_run(sim);
	check_served(scene);
}

SIM_TEST(vmalloc_by_two_that_may_not_wait, .events = SIM_MEMORY | SIM_TRYFAIL)
{
	struct vmap_scene *scene = scene_mostly_unused(sim);

	sim_cpu(sim, 0, takes_area_atomically, scene);
	sim_cpu(sim, 1, takes_area_atomically, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* The same, if the addresses are not all in the hands of others. */
static void may_take_area_atomically(void *arg)
{
	struct vmap_scene *scene = arg;
	char *area;

	sim_forbid_wait(true);
	area = vtake(scene, AREA_PAGES, QUIRE_ATOMIC);
	sim_forbid_wait(false);
	if (area == NULL)
		fetch_sub_relaxed(&scene->refused, 1);
	writes_both_ends(area);
}

/* Addresses that follow each other: a section in which both lie is committed once, whoever has it. */
SIM_TEST(vmalloc_waits_for_who_commits_beside_it, .events = SIM_MEMORY)
{
	struct vmap_scene *scene = scene_of(sim, UINT64_C(6) << 20);

	sim_cpu(sim, 0, may_take_area_atomically, scene);
	sim_cpu(sim, 1, takes_area, scene);
	sim_run(sim);
	check_served(scene);
}

/* The system refuses one of them, or both: their sections are committed by the next caller. */
SIM_TEST(commits_refused_beside_each_other_lose_nothing, .events = SIM_MEMORY | SIM_REFUSE,
	 .refusals = 2)
{
	struct vmap_scene *scene = scene_mostly_unused(sim);

	sim_cpu(sim, 0, takes_area, scene);
	sim_cpu(sim, 1, takes_area_atomically, scene);
	sim_run(sim);
	scene->refused = 0;
	takes_area(scene);
	takes_area_atomically(scene);
	check_served(scene);
}

static void forks_and_commits(void *arg)
{
	struct vmap_scene *scene = arg;

	sim_fork_child();
	check_u64_eq(quire_verify(scene->q), 0);
	takes_area(scene);
	takes_area_atomically(scene);
	check_u64_eq(scene->refused, 0);
	check_u64_eq(quire_verify(scene->q), 0);
	store_relaxed(&scene->turn, 1);
}

/* Fork does not wait for a caller that may not wait, which stays in the parent: what it had claimed is the
 * child's to commit. */
SIM_TEST(fork_child_of_a_claimer_commits)
{
	struct vmap_scene *scene = scene_mostly_unused(sim);

	sim_cpu(sim, 0, takes_area_atomically, scene);
	sim_cpu(sim, 1, forks_and_commits, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* ---- records ----------------------------------------------------------------------------------- */

/* All records are in use but those at hand. */
static struct vmap_scene *scene_without_records(struct sim *sim)
{
	struct vmap_scene *scene = scene_mostly_unused(sim);

	while (pool_take(&scene->v->pool, 0) != POOL_NONE)
		;
	return scene;
}

static uint32_t take_record(struct vmap_scene *scene, unsigned flags)
{
	uint32_t record;

	sim_forbid_wait(flags == QUIRE_ATOMIC);
	record = pool_alloc(&scene->v->pool, flags);
	sim_forbid_wait(false);
	if (record == POOL_NONE)
		fetch_add_relaxed(&scene->refused, 1); /* read at the end */
	return record;
}

static void takes_record(void *arg)
{
	take_record(arg, QUIRE_NORETRY);
}

static void takes_record_atomically(void *arg)
{
	take_record(arg, QUIRE_ATOMIC);
}

/* One record each was had, and the books are right. */
static void check_records(struct vmap_scene *scene, uint32_t before)
{
	const struct pool *pool = &scene->v->pool;

	check_u64_eq(pool->used_nr, before + 2 - scene->refused);
	check_u64_eq(pool->step_nr, 0);
	check_u64_eq(pool_verify(&scene->v->pool), 0);
}

/* Both commit the same step; the first of them that is done opens it. */
SIM_TEST(record_beside_a_grower_is_not_refused, .events = SIM_MEMORY)
{
	struct vmap_scene *scene = scene_without_records(sim);
	uint32_t before = scene->v->pool.used_nr;

	sim_cpu(sim, 0, takes_record, scene);
	sim_cpu(sim, 1, takes_record_atomically, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_records(scene, before);
}

/* One is refused by the system, or both: whoever comes last gives the charge back. */
SIM_TEST(record_steps_refused_are_uncharged_once, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 2)
{
	struct vmap_scene *scene = scene_without_records(sim);
	uint32_t before = scene->v->pool.used_nr;

	sim_cpu(sim, 0, takes_record, scene);
	sim_cpu(sim, 1, takes_record_atomically, scene);
	sim_run(sim);
	check_records(scene, before);
}

static void forks_and_takes_record(void *arg)
{
	struct vmap_scene *scene = arg;

	sim_fork_child();
	check_u64_eq(scene->v->pool.step_nr, 0);
	check_u64_eq(quire_verify(scene->q), 0);
	takes_record(scene);
	check_u64_eq(scene->refused, 0);
	check_u64_eq(quire_verify(scene->q), 0);
	store_relaxed(&scene->turn, 1);
}

/* Whoever committed beside grow_mutex stayed in the parent; its charge is given back. */
SIM_TEST(fork_child_of_a_record_grower_keeps_no_step, .events = SIM_TRYFAIL)
{
	struct vmap_scene *scene = scene_without_records(sim);

	sim_cpu(sim, 0, takes_record_atomically, scene);
	sim_cpu(sim, 1, forks_and_takes_record, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}
