/* SPDX-License-Identifier: MIT */
/* cache_keep_sim.c - which CPUs have sheaves, where these are, and how much they keep */
#include "sim/slab/cache_scene.h"

static unsigned keeps_of(const struct cache_scene *scene)
{
	return scene->s->cpu[0].sheaf[scene->class].keeps;
}

/* ---- which CPUs ---- */

static void gives_first(void *arg)
{
	object_give_at(arg, 0);
}

static void gives_second(void *arg)
{
	object_give_at(arg, 1);
}

/* What is freed on an isolated CPU goes to the barn, and others have their sheaves. */
SIM_TEST(slab_isolated_cpu_has_no_sheaf, .enters = { "sheaf_cpu_try" })
{
	static const uint64_t isolated = 2;
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	scene->s->isolated = &isolated;
	sim_cpu(sim, 0, gives_first, scene);
	sim_cpu(sim, 1, gives_second, scene);
	sim_run(sim);
	SIM_CHECK(!scene->s->cpu[1].ready);
	check_u64_eq(sheaf_held(scene->s, &scene->s->cpu[0], scene->class), 1);
	check_u64_eq(scene->s->class[scene->class].barn.nr, 1);
	scene->s->isolated = NULL;
	cache_scene_end(scene);
}

static void tries_its_door(void *arg)
{
	struct cache_scene *scene = arg;
	struct slab_cpu *cpu;
	lock_token token;

	SIM_CHECK(sheaf_cpu_try(scene->s, QUIRE_NOLOCK, &token) == NULL);
	object_give_at(scene, 0);
	cpu = sheaf_cpu_try(scene->s, QUIRE_NOLOCK, &token);
	SIM_CHECK(cpu != NULL);
	lock_release(&cpu->lock, token);
}

/* A handler does not ask the system for the memory of its CPU's sheaves, and uses them once they have it. */
SIM_TEST(slab_handler_uses_sheaves_that_have_memory, .enters = { "slab/cpu.c:begin_locked" })
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	sim_cpu(sim, 1, tries_its_door, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

static void tries_a_door(void *arg)
{
	struct cache_scene *scene = arg;
	lock_token token;

	object_give_at(scene, 0);
	SIM_CHECK(sheaf_cpu_try(scene->s, 0, &token) == NULL);
}

/* Where there are none there is no door. */
SIM_TEST(slab_cpu_without_sheaves_has_no_door, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "sheaf_cpu_try" })
{
	struct cache_scene *scene = cache_scene_make(sim, false, 4);

	sim_cpu(sim, 0, tries_a_door, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

static void takes_while_closed(void *arg)
{
	struct cache_scene *scene = arg;
	uint64_t *object;

	sheaves_close(scene->s);
	object = object_take(scene, 0);
	check_u64_eq(scene->s->class[scene->class].barn.nr, 0);
	sheaves_open(scene->s);
	object_give(scene, object);
}

/* A sheaf that accepts nothing is not refilled. */
SIM_TEST(slab_closed_sheaf_is_not_refilled, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "refill_nr_locked" })
{
	cache_scene_run_alone(sim, 8, takes_while_closed);
}

/* ---- where ---- */

static void refills_often(void *arg)
{
	struct cache_scene *scene = arg;
	const struct slab_cpu *cpu = &scene->s->cpu[0];
	void **place;

	object_give_at(scene, 0);
	place = sheaf_objects(scene->s, cpu, scene->class);
	for (unsigned i = 0; i < 8; i++) {
		uint64_t *object[4];

		for (unsigned j = 0; j < 4; j++)
			object[j] = object_take(scene, 0);
		for (unsigned j = 0; j < 4; j++)
			object_give(scene, object[j]);
	}
	SIM_CHECK(sheaf_objects(scene->s, cpu, scene->class) == place);
}

/* A sheaf that keeps a few stays in its small place, which it shares a page with others for. */
SIM_TEST(slab_small_sheaf_does_not_move, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "sheaf_move_locked" })
{
	cache_scene_run_alone(sim, 2, refills_often);
}

#define LARGE_KEEPS 40u

static void overfills_a_large_sheaf(void *arg)
{
	struct cache_scene *scene = arg;
	const struct slab_cpu *cpu = &scene->s->cpu[0];
	uint64_t *object[LARGE_KEEPS + 1];
	lock_token token = lock_acquire(&scene->s->cpu[0].lock);

	sheaf_set_keeps_locked(scene->s, &scene->s->cpu[0], scene->class, LARGE_KEEPS);
	sheaf_move_locked(scene->s, &scene->s->cpu[0], scene->class);
	SIM_CHECK(!sheaf_is_cramped_locked(scene->s, cpu, scene->class));
	lock_release(&scene->s->cpu[0].lock, token);
	for (unsigned i = 0; i <= LARGE_KEEPS; i++)
		object[i] = object_take(scene, 0);
	sheaves_drain(scene->s, scene->class);
	token = lock_acquire(&scene->s->cpu[0].lock);
	sheaf_set_keeps_locked(scene->s, &scene->s->cpu[0], scene->class, LARGE_KEEPS);
	lock_release(&scene->s->cpu[0].lock, token);
	for (unsigned i = 0; i <= LARGE_KEEPS; i++)
		object_give(scene, object[i]);
	check_u64_eq(sheaf_held(scene->s, cpu, scene->class), LARGE_KEEPS / 2 + 1);
}

/* A full sheaf in its large place spills half, as one in its small place does. */
SIM_TEST(slab_large_sheaf_spills_half, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "spill_locked" })
{
	cache_scene_run_alone(sim, LARGE_KEEPS, overfills_a_large_sheaf);
}

/* ---- how much ---- */

/* One more than it keeps is given, and all are taken again. */
static void overflow(struct cache_scene *scene)
{
	unsigned n = keeps_of(scene) + 2;

	SIM_CHECK(n <= OBJECTS_NR);
	for (unsigned i = 0; i < n; i++)
		object_give_at(scene, i);
	for (unsigned i = 0; i < n; i++)
		scene->object[i] = object_take(scene, 0);
}

static void overflows_beside_a_large_one(void *arg)
{
	struct cache_scene *scene = arg;
	struct slab_cpu *cpu = &scene->s->cpu[0];
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "other", .size = 4096);
	struct quire_cache *other;
	lock_token token;

	scene->s->class[scene->class].sheaf_most = SHEAF_ROOM_MAX;
	object_give_at(scene, 0);
	scene->object[0] = object_take(scene, 0);
	check_u64_eq(keeps_of(scene), 4);
	overflow(scene);
	check_u64_eq(keeps_of(scene), 8);
	check_u64_eq((uint64_t)quire_cache_create(scene->q, &options, &other), 0);
	token = lock_acquire(&cpu->lock);
	sheaf_set_keeps_locked(scene->s, cpu, other->class, 20); /* twenty times 4 KiB */
	lock_release(&cpu->lock, token);
	overflow(scene);
	check_u64_eq(keeps_of(scene), 8);
	check_u64_eq((uint64_t)quire_cache_destroy(other), 0);
}

/* A sheaf that was full and is empty then keeps twice as much: at once if the others keep little, and else not. */
SIM_TEST(slab_sheaf_that_was_too_small_keeps_more, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "keep_more_locked" })
{
	cache_scene_run_alone(sim, 4, overflows_beside_a_large_one);
}

#define ONE_WAY 400u

static void only_takes(void *arg)
{
	struct cache_scene *scene = arg;
	void *objects[ONE_WAY];

	scene->s->class[scene->class].sheaf_most = SHEAF_ROOM_MAX;
	check_u64_eq(quire_cache_alloc_bulk(scene->cache, 0, ONE_WAY, objects), ONE_WAY);
	check_u64_eq(keeps_of(scene), 2 * SHEAF_SMALL_ROOM);
	for (unsigned i = 0; i < ONE_WAY; i++)
		quire_cache_free(scene->cache, objects[i]);
}

/* So does one of a CPU that only allocates, until it keeps what its class lets it keep first. */
SIM_TEST(slab_sheaf_of_one_way_keeps_more, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "keep_more_locked" })
{
	cache_scene_run_alone(sim, LARGE_KEEPS, only_takes);
}

/* ---- what is asked for ---- */

static void asks_for_zeroes(void *arg)
{
	struct cache_scene *scene = arg;
	void *objects[2];

	for (unsigned i = 0; i < 2; i++) {
		scene->object[i][1] = UINT64_MAX;
		object_give_at(scene, i);
	}
	objects[0] = quire_cache_alloc(scene->cache, QUIRE_ZERO);
	check_u64_eq(((uint64_t *)objects[0])[1], 0);
	((uint64_t *)objects[0])[1] = UINT64_MAX;
	quire_cache_free(scene->cache, objects[0]);
	check_u64_eq(quire_cache_alloc_bulk(scene->cache, QUIRE_ZERO, 2, objects), 2);
	for (unsigned i = 0; i < 2; i++) {
		check_u64_eq(((uint64_t *)objects[i])[1], 0);
		quire_cache_free(scene->cache, objects[i]);
	}
}

/* Objects of a sheaf, which have been in use, read zero if that is asked for. */
SIM_TEST(slab_objects_read_zero_on_demand, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "alloc_odd" })
{
	cache_scene_run_alone(sim, 4, asks_for_zeroes);
}

/* ---- an empty barn ---- */

/* A barn's room begins where another class's ends, and what that once had there may be an object of this class now. */
SIM_TEST(slab_empty_barn_has_no_newest_object, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "barn_put" })
{
	struct cache_scene *scene = cache_scene_make(sim, false, 4);

	check_u64_eq(scene->s->class[scene->class].barn.nr, 0);
	scene->s->class[scene->class].barn.object[-1] = scene->object[0];
	sim_cpu(sim, 0, gives_first, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

/* ---- a child without pages ---- */

static void child_has_no_objects(void *arg)
{
	struct cache_scene *scene = arg;

	sim_fork_child();
	quire_cache_free(scene->cache, scene->object[0]);
	SIM_CHECK(quire_cache_alloc(scene->cache, 0) == NULL);
	SIM_CHECK(quire_cache_alloc(scene->cache, QUIRE_ZERO) == NULL);
	store_relaxed(&scene->turn, 1); /* read at the end */
}

/* Pages that stay with the parent have no object of the child's: a free does nothing, and is no misuse. */
SIM_TEST(slab_child_without_pages_frees_nothing, .enters = { "free_odd" })
{
	struct cache_scene *scene = cache_scene_make_shared(sim);

	sim_cpu(sim, 0, gives_second, scene);
	sim_cpu(sim, 1, child_has_no_objects, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}
