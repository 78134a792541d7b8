/* SPDX-License-Identifier: MIT */
/* cache_visit_sim.c - what the worker's visits leave, what they take, and when the next one is due */
#include "sim/slab/cache_scene.h"
#include "slab/record.h"

/* A visit a decay after the last one.  Returns when the next one is due. */
static uint64_t visit(struct cache_scene *scene)
{
	return slabs_tick(&scene->s->module, scene->s->ticked_ns + scene->s->decay_ns);
}

/* ---- when ---- */

static void frees_twice_in_a_decay(void *arg)
{
	struct cache_scene *scene = arg;
	uint64_t due_ns;

	store_relaxed(&scene->s->due_ns, WORK_IDLE);
	object_give_at(scene, 0);
	due_ns = load_relaxed(&scene->s->due_ns);
	SIM_CHECK(due_ns < WORK_EXIT);
	sim_pass_ns(scene->s->decay_ns / 2);
	sheaves_drain(scene->s, 0);
	object_give_at(scene, 1);
	check_u64_eq(load_relaxed(&scene->s->due_ns), due_ns);
}

/* A program that takes slow paths all the time does not put the visit off. */
SIM_TEST(slab_kick_leaves_a_visit_when_it_is_due, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "slabs_kick" })
{
	cache_scene_run_alone(sim, 4, frees_twice_in_a_decay);
}

static void visits_with_another_module(void *arg)
{
	struct cache_scene *scene = arg;
	uint64_t last_ns, due_ns;

	(void)visit(scene);
	last_ns = scene->s->ticked_ns;
	due_ns = last_ns + 3 * scene->s->decay_ns;
	store_relaxed(&scene->s->due_ns, due_ns);
	check_u64_eq(slabs_tick(&scene->s->module, last_ns + scene->s->decay_ns - 1), due_ns);
	check_u64_eq(scene->s->ticked_ns, last_ns);
	(void)visit(scene);
	check_u64_eq(scene->s->ticked_ns, last_ns + scene->s->decay_ns);
}

/* Another module's visit is one of slabs, too, if their last was a decay ago, so that the worker wakes once for both. */
SIM_TEST(slab_visit_comes_with_another_modules, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "slabs_tick" })
{
	cache_scene_run_alone(sim, 4, visits_with_another_module);
}

static void frees_all_and_shrinks(void *arg)
{
	struct cache_scene *scene = arg;

	for (unsigned i = 0; i < OBJECTS_NR; i++)
		object_give_at(scene, i);
	sheaves_drain(scene->s, 0);
	objects_shrink(scene->s, scene->class);
	check_u64_eq(visit(scene), WORK_EXIT);
}

/* Without slabs nothing will be due, and the worker's thread ends. */
SIM_TEST(slab_worker_ends_without_slabs, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "slabs_tick" })
{
	cache_scene_run_alone(sim, 4, frees_all_and_shrinks);
}

static void uses_fast_paths_only(void *arg)
{
	struct cache_scene *scene = arg;

	object_give_at(scene, 0);
	for (unsigned i = 0; i < 8; i++) {
		SIM_CHECK(visit(scene) < WORK_EXIT);
		if (i % 2 == 0)
			scene->object[0] = object_take(scene, 0);
		else
			object_give_at(scene, 0);
	}
}

/* A sheaf that accepts objects without a slow path is visited, also if it is empty just now. */
SIM_TEST(slab_warm_sheaf_is_visited, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "is_anything_left" })
{
	cache_scene_run_alone(sim, 4, uses_fast_paths_only);
}

static void takes_when_a_visit_is_due(void *arg)
{
	struct cache_scene *scene = arg;
	uint64_t last_ns = scene->s->ticked_ns;

	sim_pass_ns(4 * scene->s->decay_ns);
	scene->object[0] = object_take(scene, 0);
	SIM_CHECK(scene->s->ticked_ns != last_ns);
}

/* Without a thread an allocation makes the visit that is due, also if its sheaf has an object. */
SIM_TEST(slab_visit_is_made_by_an_allocation, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "alloc_odd" })
{
	struct cache_scene *scene = cache_scene_make_inline(sim);

	object_give_at(scene, 0);
	SIM_CHECK(scene->q->looks);
	check_u64_eq(sheaves_count(scene->s, scene->class), 1);
	sim_cpu(sim, 0, takes_when_a_visit_is_due, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

/* ---- what ---- */

static void frees_between_visits(void *arg)
{
	struct cache_scene *scene = arg;
	const struct sheaf *sheaf = &scene->s->cpu[0].sheaf[scene->class];
	unsigned keeps;

	object_give_at(scene, 0);
	keeps = sheaf->keeps;
	for (unsigned i = 1; i < 6; i++) {
		(void)visit(scene);
		object_give_at(scene, i);
		check_u64_eq(sheaf->keeps, keeps);
	}
	check_u64_eq(sheaves_count(scene->s, scene->class), 6);
}

/* A sheaf that holds more objects each time is not idle. */
SIM_TEST(slab_visit_leaves_what_is_used, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "choose_idle_locked" })
{
	cache_scene_run_alone(sim, 40, frees_between_visits);
}

static void uses_one_and_is_idle(void *arg)
{
	struct cache_scene *scene = arg;
	uint64_t due_ns = 0;

	object_give_at(scene, 0);
	scene->object[0] = object_take(scene, 0);
	SIM_CHECK(load_relaxed(&scene->s->cpu[0].warm));
	for (unsigned i = 0; i < 12 && due_ns < WORK_EXIT; i++)
		due_ns = visit(scene);
	SIM_CHECK(due_ns >= WORK_EXIT);
	SIM_CHECK(!load_relaxed(&scene->s->cpu[0].warm));
}

/* A sheaf that is empty is made cold all the same, or visits would have no end. */
SIM_TEST(slab_visit_cools_an_empty_sheaf, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "slab/drain.c:empty_sheaf" })
{
	cache_scene_run_alone(sim, 40, uses_one_and_is_idle);
}

static void is_idle_for_three_visits(void *arg)
{
	struct cache_scene *scene = arg;
	struct object_place place =
		object_place(scene->s, &scene->s->class[scene->class], scene -> object[0]);
	const struct slab *slab = slab_at(scene->s, place.record);

	for (unsigned i = 0; i < 3; i++) {
		check_u64_eq(slab->unbacked, 0);
		(void)visit(scene);
	}
	SIM_CHECK(slab->unbacked != 0);
}

/* Free pages of a slab lose their memory when its class was idle for three visits, and not before. */
SIM_TEST(slab_pages_go_with_the_third_visit, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .events = SIM_MEMORY, .enters = { "visit_class", "objects_unback" })
{
	cache_scene_run_alone(sim, 4, is_idle_for_three_visits);
}
