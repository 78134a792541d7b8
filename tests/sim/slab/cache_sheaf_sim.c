/* SPDX-License-Identifier: MIT */
/* cache_sheaf_sim.c - sheaves and barns against drains, frees on other CPUs, destruction, handlers and forks */
#include "page/pages.h"
#include "sim/slab/cache_scene.h"

/* Frees the scene's objects [from, end). */
static void give_some(struct cache_scene *scene, unsigned from, unsigned end)
{
	for (unsigned i = from; i < end; i++) {
		object_give_at(scene, i);
	}
}

static void gives_and_takes(void *arg)
{
	struct cache_scene *scene = arg;

	give_some(scene, 0, 3);
	scene->object[0] = object_take(scene, 0);
	scene->object[1] = object_take(scene, 0);
	give_some(scene, 0, 1);
}

static void takes_and_gives(void *arg)
{
	struct cache_scene *scene = arg;
	uint64_t *object = object_take(scene, 0);

	give_some(scene, 4, 7);
	object_give(scene, object);
}

static void drains(void *arg)
{
	struct cache_scene *scene = arg;

	sheaves_drain(scene->s, scene->class);
}

/* ---- sheaves against drains ---- */

/* An object is with its user, on one sheaf, in the barn, or free in its slab: exactly one of them. */
SIM_TEST(slab_drain_takes_every_object_once, .cpus_nr = 3,
	 .events = SIM_MIGRATE | SIM_ABORT | SIM_MEMORY)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 2);

	sim_cpu(sim, 0, gives_and_takes, scene);
	sim_cpu(sim, 1, takes_and_gives, scene);
	sim_cpu(sim, 2, drains, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

SIM_TEST(slab_drain_against_one_cpu, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_ABORT | SIM_RACE)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 2);

	sim_cpu(sim, 0, gives_and_takes, scene);
	sim_cpu(sim, 1, drains, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

/* Any number of drains at once: a door opens when the last has done with it. */
SIM_TEST(slab_two_drains_at_once, .cpus_nr = 3, .events = SIM_ABORT | SIM_RACE)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	sim_cpu(sim, 0, gives_and_takes, scene);
	sim_cpu(sim, 1, drains, scene);
	sim_cpu(sim, 2, drains, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

/* Stores leave the drain's queue in any order but for releases. */
SIM_TEST(slab_drain_with_late_stores, .model = SIM_PSO, .events = SIM_ABORT)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	sim_cpu(sim, 0, gives_and_takes, scene);
	sim_cpu(sim, 1, drains, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

/* ---- freed twice in a row ---- */

static void gives_one_twice(void *arg)
{
	struct cache_scene *scene = arg;
	uint64_t *object = scene->object[0];

	quire_cache_free(scene->cache, object);
	quire_cache_free(scene->cache, object);
}

/* The sheaf's newest object is the one that is freed: no push takes it, and the slow path says why. */
SIM_TEST(slab_second_free_in_a_row_is_seen, .cpus_nr = 1)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	sim_end_by("misuse");
	sim_cpu(sim, 0, gives_one_twice, scene);
	sim_run(sim);
	SIM_CHECK(false);
}

/* Without sequences it is the barn's. */
SIM_TEST(slab_second_free_in_a_row_without_sheaves, .cpus_nr = 1)
{
	struct cache_scene *scene = cache_scene_make(sim, false, 4);

	sim_end_by("misuse");
	sim_cpu(sim, 0, gives_one_twice, scene);
	sim_run(sim);
	SIM_CHECK(false);
}

/* ---- a sheaf that begins ---- */

static void gives_two(void *arg)
{
	give_some(arg, 0, 2);
}

static void gives_two_others(void *arg)
{
	give_some(arg, 2, 4);
}

/* On a CPU that has no sheaf of the class: a push that found none has no effect, whenever the sheaf begins. */
SIM_TEST(slab_first_sheaf_beside_frees, .cpus_nr = 3, .events = SIM_ABORT | SIM_MIGRATE)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	sim_cpu(sim, 1, gives_two, scene);
	sim_cpu(sim, 1, gives_two_others, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

/* ---- a sheaf that moves ---- */

#define SMALL_FULL 31u

/* CPU 0's sheaf is full but for one object, in its small place, and is to keep more. */
static struct cache_scene *cramped_scene(struct sim *sim)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 40);
	struct slab_cpu *cpu = &scene->s->cpu[0];
	uint64_t *object[SMALL_FULL];
	lock_token token;

	scene->s->class[scene->class].sheaf_first = SMALL_FULL;
	for (unsigned i = 0; i < SMALL_FULL; i++)
		object[i] = object_take(scene, 0);
	object_give(scene, scene->object[0]);
	scene->object[0] = object[0];
	sheaves_drain(scene->s, scene->class);
	for (unsigned i = 1; i < SMALL_FULL; i++)
		object_give(scene, object[i]);
	token = lock_acquire(&cpu->lock);
	sheaf_set_keeps_locked(scene->s, cpu, scene->class, 40);
	SIM_CHECK(sheaf_is_cramped_locked(scene->s, cpu, scene->class));
	lock_release(&cpu->lock, token);
	check_u64_eq(sheaf_held(scene->s, cpu, scene->class), SMALL_FULL - 1);
	return scene;
}

static void gives_three(void *arg)
{
	give_some(arg, 1, 4);
}

static void takes_one_gives_one(void *arg)
{
	struct cache_scene *scene = arg;

	scene->object[5] = object_take(scene, 0);
	give_some(scene, 6, 7);
}

/* It is emptied, moves, and is filled again; what another task of the CPU, or a drain, does meanwhile is not lost. */
SIM_TEST(slab_sheaf_moves_beside_others, .cpus_nr = 2, .events = SIM_ABORT | SIM_MIGRATE)
{
	struct cache_scene *scene = cramped_scene(sim);

	give_some(scene, 5, 6);
	sim_cpu(sim, 0, gives_three, scene);
	sim_cpu(sim, 0, takes_one_gives_one, scene);
	sim_cpu(sim, 1, drains, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

/* ---- one allocates, another frees ---- */

static void takes_four(void *arg)
{
	struct cache_scene *scene = arg;

	for (unsigned i = 8; i < 12; i++) {
		object_give(scene, scene->object[i]);
		scene->object[i] = object_take(scene, 0);
	}
}

static void gives_six(void *arg)
{
	give_some(arg, 0, 6);
}

/* Objects pass by the barn from the sheaf of the one who frees to that of the one who allocates. */
SIM_TEST(slab_remote_frees_come_back, .cpus_nr = 3, .events = SIM_MIGRATE | SIM_ABORT | SIM_TRYFAIL)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 2);

	sim_cpu(sim, 0, takes_four, scene);
	sim_cpu(sim, 1, gives_six, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

/* The same without sheaves: the barn's lock is all there is. */
SIM_TEST(slab_barn_serves_two, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2, .events = SIM_RACE)
{
	struct cache_scene *scene = cache_scene_make(sim, false, 4);

	sim_cpu(sim, 0, takes_four, scene);
	sim_cpu(sim, 1, gives_six, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

#define IN_BARN 200u /* objects; a window is 256 puts of this size */

/* One object goes in and out @times. */
static void pass_through_barn(struct cache_scene *scene, unsigned times)
{
	void *object;

	for (unsigned i = 0; i < times; i++) {
		check_u64_eq(barn_take(scene->s, scene->class, &object, 1, 0), 1);
		check_u64_eq(barn_put(scene->s, scene->class, &object, 1, 0), 1);
	}
}

static void fills_a_window(void *arg)
{
	struct cache_scene *scene = arg;
	struct barn *barn = &scene->s->class[scene->class].barn;
	void *objects[IN_BARN];

	check_u64_eq(objects_take(scene->s, scene->class, objects, 1, 0), 1);
	check_u64_eq(barn_put(scene->s, scene->class, objects, 1, 0), 1);
	pass_through_barn(scene, 50);
	check_u64_eq(barn->put_nr,
		     51); /* more than twice what it has, but 256 objects are a window */
	check_u64_eq(quire_cache_alloc_bulk(scene->cache, 0, IN_BARN, objects), IN_BARN);
	quire_cache_free_bulk(scene->cache, IN_BARN, objects);
	check_u64_eq(barn->nr, IN_BARN);
	pass_through_barn(scene, 50);
	check_u64_eq(barn->put_nr, 51 + IN_BARN + 50); /* but twice what it has are 400 */
	check_u64_eq(barn->stale, 0);
	pass_through_barn(scene, 99);
	check_u64_eq(barn->put_nr, 0);
	SIM_CHECK(barn->stale == 0 && barn->low == IN_BARN);
	pass_through_barn(scene, 2 * IN_BARN);
	check_u64_eq(barn->stale, IN_BARN - 1); /* which nobody wanted */
}

/* Nothing is stale before a window of puts, and twice as many as the barn has, have passed. */
SIM_TEST(slab_barn_looks_once_in_a_window, .cpus_nr = 1, .enters = { "give_stale_locked" })
{
	struct cache_scene *scene = cache_scene_make(sim, false, IN_BARN);

	sim_cpu(sim, 0, fills_a_window, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

static void puts_two(void *arg)
{
	give_some(arg, 3, 5);
}

static void takes_three(void *arg)
{
	struct cache_scene *scene = arg;

	for (unsigned i = 0; i < 3; i++)
		scene->object[i] = object_take(scene, 0);
}

/* Two of the barn's three objects were not wanted for long: they go to their slab, or are taken. */
SIM_TEST(slab_stale_objects_leave_beside_takes, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_RACE)
{
	struct cache_scene *scene = cache_scene_make(sim, false, 4);
	struct barn *barn = &scene->s->class[scene->class].barn;

	give_some(scene, 0, 3);
	check_u64_eq(barn->nr, 3);
	barn->low = barn->stale = 2;
	sim_cpu(sim, 0, puts_two, scene);
	sim_cpu(sim, 1, takes_three, scene);
	sim_run(sim);
	check_u64_eq(barn->stale, 0);
	cache_scene_end(scene);
}

/* ---- barn against shrink, destroy against frees ---- */

static void frees_all_then_destroys(void *arg)
{
	struct cache_scene *scene = arg;

	give_some(scene, 0, OBJECTS_NR);
	check_u64_eq((uint64_t)quire_cache_destroy(scene->cache), 0);
	store_relaxed(&scene->turn, 1); /* read at the end */
}

/* What another thread drains has arrived in its slab, or is found where it was: no object seems to be in use although
 * all were freed. */
SIM_TEST(slab_destroy_beside_a_drain, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	give_some(scene, 3, OBJECTS_NR);
	sheaves_drain(scene->s, 0);
	sim_cpu(sim, 0, frees_all_then_destroys, scene);
	sim_cpu(sim, 1, drains, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

SIM_TEST(slab_destroy_beside_a_drain_of_the_barn, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct cache_scene *scene = cache_scene_make(sim, false, 4);

	give_some(scene, 3, OBJECTS_NR);
	sim_cpu(sim, 0, frees_all_then_destroys, scene);
	sim_cpu(sim, 1, drains, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

static void destroys(void *arg)
{
	struct cache_scene *scene = arg;
	int error = quire_cache_destroy(scene->cache);

	SIM_CHECK(error == 0 || error == -16);
	scene->turn = error == 0;
}

static void gives_the_last_one(void *arg)
{
	give_some(arg, 0, 1);
}

/* The last object is freed while the cache is being destroyed: either destroy finds it in use and changes nothing, or
 * nothing of it is left. */
SIM_TEST(slab_destroy_against_a_late_free, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_ABORT)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	give_some(scene, 1, OBJECTS_NR);
	sim_cpu(sim, 0, gives_the_last_one, scene);
	sim_cpu(sim, 1, destroys, scene);
	sim_run(sim);
	if (scene->turn == 0)
		check_u64_eq((uint64_t)quire_cache_destroy(scene->cache), 0);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

/* ---- handlers ---- */

static void handler_gives_and_takes(void *arg)
{
	struct cache_scene *scene = arg;
	uint32_t turn = fetch_add_relaxed(&scene->turn, 1); /* the handler's own */

	if (turn < 3) {
		object_give(scene, scene->object[12 + turn]);
		scene->object[12 + turn] = object_take(scene, QUIRE_NOLOCK);
	}
}

/* At any step: the handler waits for nothing, and no object is lost. */
SIM_TEST(slab_handler_interrupts_everything, .events = SIM_ABORT | SIM_TRYFAIL)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 2);

	sim_cpu(sim, 0, gives_and_takes, scene);
	sim_cpu(sim, 1, drains, scene);
	sim_irq(sim, 0, handler_gives_and_takes, scene, 3);
	sim_run(sim);
	cache_scene_end(scene);
}

SIM_TEST(slab_handler_without_sheaves, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct cache_scene *scene = cache_scene_make(sim, false, 2);

	sim_cpu(sim, 0, gives_and_takes, scene);
	sim_irq(sim, 0, handler_gives_and_takes, scene, 2);
	sim_run(sim);
	cache_scene_end(scene);
}

static void defers(void *arg)
{
	struct cache_scene *scene = arg;

	for (unsigned i = 0; i < 2; i++) {
		fetch_sub_relaxed(&scene->live, 1);
		sheaf_defer(scene->s, scene->class, scene->object[i]);
		scene->object[i] = NULL;
	}
}

static void takes_deferred(void *arg)
{
	for (unsigned i = 0; i < 2; i++)
		sheaf_take_deferred(((struct cache_scene *)arg)->s);
}

/* Bits of one word are set while it is taken: each is taken once, by this call or by the next. */
SIM_TEST(slab_deferred_frees_are_taken_once, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct cache_scene *scene = cache_scene_make(sim, false, 2);

	sheaf_defer(scene->s, scene->class, scene->object[2]);
	scene->object[2] = NULL;
	scene->live--;
	sim_cpu(sim, 0, defers, scene);
	sim_cpu(sim, 1, takes_deferred, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

/* ---- fork ---- */

static void forks_child(void *arg)
{
	struct cache_scene *scene = arg;

	sim_fork_child();
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
	check_u64_eq(scene->s->closed_nr, 0);
	check_u64_eq(scene->s->lean->slots_nr, scene->s->lean->slots_open);
	for (unsigned slot = 0; slot < scene->s->lean->slots_open; slot++)
		SIM_CHECK(!scene->s->cpu[slot].warm);
	object_give(scene, object_take(scene, 0));
	object_give(scene, scene->object[15]);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
	store_relaxed(&scene->turn, 1);
}

/* The others have vanished at any step; what was on their sheaves is valid. */
static void child_of(struct sim *sim, void (*first)(void *), void (*second)(void *))
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	sim_cpu(sim, 0, first, scene);
	sim_cpu(sim, 1, forks_child, scene);
	sim_cpu(sim, 2, second, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

SIM_TEST(slab_fork_child_of_two_users, .cpus_nr = 3, .events = SIM_ABORT)
{
	child_of(sim, gives_and_takes, takes_and_gives);
}

SIM_TEST(slab_fork_child_of_a_drain, .cpus_nr = 3, .events = SIM_ABORT)
{
	child_of(sim, gives_and_takes, drains);
}

/* What was the newest object on the sheaf is the oldest afterwards. */
static void turns_sheaf_over(void *arg)
{
	struct cache_scene *scene = arg;
	uint64_t *newest = object_take(scene, 0);

	scene->object[0] = object_take(scene, 0);
	object_give(scene, newest);
}

static void child_empties_sheaves(void *arg)
{
	struct cache_scene *scene = arg;

	sim_fork_child();
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
	sheaves_drain(scene->s, scene->class);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
	store_relaxed(&scene->turn, 1);
}

/* The child's pages are copied one after the other while others would push and pop, and a sheaf's header is on
 * another page than its objects: an old top over new ones has one of them twice. */
SIM_TEST(slab_fork_copies_whole_sheaves, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	give_some(scene, 0, 2);
	check_u64_eq(sheaf_held(scene->s, &scene->s->cpu[0], scene->class), 2);
	sim_cpu(sim, 0, turns_sheaf_over, scene);
	sim_cpu(sim, 1, child_empties_sheaves, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

static void frees_object_1(void *arg)
{
	struct cache_scene *scene = arg;

	object_give(scene, scene->object[1]);
}

static void child_frees_object_0(void *arg)
{
	struct cache_scene *scene = arg;

	sim_fork_downwards();
	sim_fork_child();
	sheaves_drain(scene->s, scene->class);
	object_give(scene, scene->object[0]);
	sheaves_drain(scene->s, scene->class);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
	store_relaxed(&scene->turn, 1);
}

/* A push that began before the sheaves were closed has ended before the first page is copied: a new top over old objects
 * has one there that is in use. */
SIM_TEST(slab_fork_waits_for_pushes, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .enters = { "fork_close" })
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	give_some(scene, 2, 4);
	object_give(scene, scene->object[0]);
	scene->object[0] = object_take(scene, 0); /* now above the top */
	/* As if the system had refused the memory of pages' stacks: pages do not fence, then. */
	pages_of(scene->q)->stacks.cpu.slots_nr = 0;
	sim_cpu(sim, 0, frees_object_1, scene);
	sim_cpu(sim, 1, child_frees_object_0, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* ---- time ---- */

static void takes_slowly(void *arg)
{
	struct cache_scene *scene = arg;

	scene->object[0] = object_take(scene, 0);
}

/* A slab's pages are given back some time after it was the last to be used. */
SIM_TEST(slab_slow_alloc_calls_the_worker, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "sheaf_alloc_slow", "slabs_kick" })
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	store_relaxed(&scene->s->due_ns, WORK_IDLE);
	scene->q->work.due_ns = WORK_IDLE;
	sim_cpu(sim, 0, takes_slowly, scene);
	sim_run(sim);
	SIM_CHECK(load_relaxed(&scene->s->due_ns) != WORK_IDLE);
	SIM_CHECK(scene->q->work.due_ns != WORK_IDLE);
}

static void ticks_until_idle(void *arg)
{
	struct cache_scene *scene = arg;
	uint64_t now_ns = 0, due_ns = 0;

	for (unsigned i = 0; i < 12 && due_ns < WORK_EXIT; i++) {
		now_ns += scene->s->decay_ns;
		due_ns = slabs_tick(&scene->s->module, now_ns);
	}
	SIM_CHECK(due_ns >= WORK_EXIT);
}

/* What is cached pins pages, so the worker visits until nothing is, and the next free calls it again. */
SIM_TEST(slab_worker_leaves_nothing_cached, .cpus_nr = 1)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	give_some(scene, 0, 3);
	sim_cpu(sim, 0, ticks_until_idle, scene);
	sim_run(sim);
	check_u64_eq(sheaves_count(scene->s, scene->class), 0);
	SIM_CHECK(load_relaxed(&scene->s->due_ns) == WORK_IDLE);
	give_some(scene, 3, 4);
	check_u64_eq(sheaves_count(scene->s, scene->class), 1);
	SIM_CHECK(load_relaxed(&scene->s->due_ns) != WORK_IDLE);
	cache_scene_end(scene);
}

/* The worker takes what is idle while others use it. */
SIM_TEST(slab_visits_beside_users, .cpus_nr = 3, .events = SIM_ABORT)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	sim_cpu(sim, 0, gives_and_takes, scene);
	sim_cpu(sim, 1, takes_and_gives, scene);
	sim_cpu(sim, 2, ticks_until_idle, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

/* ---- many at once ---- */

#define MANY 5u /* more than a sheaf has, and than it has room for */

static void takes_and_gives_many(void *arg)
{
	struct cache_scene *scene = arg;
	void *objects[MANY];
	size_t nr = quire_cache_alloc_bulk(scene->cache, 0, MANY, objects);

	check_u64_eq(nr, MANY);
	for (unsigned i = 0; i < MANY; i++)
		store_relaxed((uint64_t *)objects[i],
			      (uintptr_t)objects[i]); /* a note to ourselves */
	for (unsigned i = 0; i < MANY; i++)
		check_u64_eq(load_relaxed((uint64_t *)objects[i]), (uintptr_t)objects[i]);
	quire_cache_free_bulk(scene->cache, MANY, objects);
}

/* Many objects at once come from the sheaf, the barn and slabs, and go back to them, while all are drained and the thread
 * moves: none is lost, and none is there twice. */
SIM_TEST(slab_many_at_once_against_a_drain, .cpus_nr = 3,
	 .events = SIM_MIGRATE | SIM_ABORT | SIM_TRYFAIL | SIM_MEMORY,
	 .enters = { "quire_cache_alloc_bulk", "quire_cache_free_bulk", "sheaf_alloc_bulk" })
{
	struct cache_scene *scene = cache_scene_make(sim, true, 2);

	sim_cpu(sim, 0, takes_and_gives_many, scene);
	sim_cpu(sim, 1, gives_and_takes, scene);
	sim_cpu(sim, 2, drains, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

static void makes_another_cache(void *arg)
{
	struct cache_scene *scene = arg;
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "other", .size = 1024, .flags = QUIRE_CACHE_OWN);
	struct quire_cache *cache;
	void *object;

	check_u64_eq((uint64_t)quire_cache_create(scene->q, &options, &cache), 0);
	object = quire_cache_alloc(cache, 0);
	SIM_CHECK(object != NULL);
	quire_cache_free(cache, object);
	check_u64_eq((uint64_t)quire_cache_destroy(cache), 0);
}

static void drains_all(void *arg)
{
	struct cache_scene *scene = arg;

	sheaves_drain(scene->s, 0);
}

/* A drain of everything passes by the class that another thread makes: its barn is not there yet. */
SIM_TEST(slab_drain_of_all_beside_a_new_cache, .enters = { "set_up_locked", "barn_drain" })
{
	struct cache_scene *scene = cache_scene_make(sim, true, 2);

	sim_cpu(sim, 0, makes_another_cache, scene);
	sim_cpu(sim, 1, drains_all, scene);
	sim_run(sim);
	cache_scene_end(scene);
}
