/* SPDX-License-Identifier: MIT */
/* percpu_cache_sim.c - offsets on per-CPU stacks, and what they read when they come back */
#include "sim/percpu/percpu_scene.h"

static struct percpu_scene *warm_scene(struct sim *sim)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	for (unsigned i = 0; i < 8; i++)
		scene->small[i] = percpu_take(scene, i < 6 ? 8 : 16, 0);
	for (unsigned i = 0; i < 2 * COUNT_WARM; i++)
		percpu_give(scene, percpu_take(scene, 8, 0), 8);
	for (unsigned i = 0; i < 2 * COUNT_WARM; i++)
		percpu_give(scene, percpu_take(scene, 16, 0), 16);
	return scene;
}

static void gives_and_takes(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[0], 8);
	percpu_give(scene, scene->small[1], 8);
	scene->small[0] = percpu_take(scene, 8, 0);
	percpu_give(scene, percpu_take(scene, 8, 0), 8);
}

static void gives_others(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[2], 8);
	percpu_give(scene, percpu_take(scene, 8, 0), 8);
}

/* An offset is with its user, on one stack, or free in the maps: exactly one of them. */
SIM_TEST(percpu_drain_takes_every_offset_once, .cpus_nr = 3,
	 .events = SIM_MIGRATE | SIM_ABORT | SIM_MEMORY)
{
	struct percpu_scene *scene = warm_scene(sim);

	sim_cpu(sim, 0, gives_and_takes, scene);
	sim_cpu(sim, 1, gives_others, scene);
	sim_cpu(sim, 2, percpu_drains, scene);
	sim_run(sim);
	percpu_drains(scene);
	percpu_give(scene, scene->small[0], 8);
	for (unsigned i = 3; i < 6; i++)
		percpu_give(scene, scene->small[i], 8);
	percpu_scene_check(scene);
}

/* An object that was used and freed is zero on every CPU when it is handed out again. */
SIM_TEST(percpu_reused_offset_reads_zero, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = warm_scene(sim);

	sim_cpu(sim, 0, gives_and_takes, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

struct turns {
	struct percpu_scene *scene;
	void *last;
};

static void takes_in_turns(void *arg)
{
	struct turns *turns = arg;

	for (unsigned i = 0; i < 3; i++)
		percpu_give(turns->scene, percpu_take(turns->scene, 8, 0), 8);
	turns->last = percpu_take(turns->scene, 8, 0);
}

/* A mark is written at each turn: two CPUs that take and give back small objects do not write the same
 * line. */
SIM_TEST(percpu_stacks_have_lines_of_their_own, .events = SIM_MEMORY)
{
	struct turns turns[2] = { { .scene = warm_scene(sim) } };

	turns[1].scene = turns[0].scene;
	for (unsigned cpu = 0; cpu < 2; cpu++)
		sim_cpu(sim, cpu, takes_in_turns, &turns[cpu]);
	sim_run(sim);
	SIM_CHECK((uintptr_t)turns[0].last / 64 != (uintptr_t)turns[1].last / 64);
	percpu_scene_check(turns[0].scene);
}

static void gives_small(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[0], 8);
}

/* A free reads the map of its page while that map moves into another's place and its old one is
 * written anew: it looks again before it believes what it read. */
SIM_TEST(percpu_free_meets_a_moving_map, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY)
{
	struct percpu_scene *scene = warm_scene(sim);

	store_relaxed(&scene->pc->warm, UINT64_C(1) << 7);
	store_relaxed(&scene->pc->learn[7].count, COUNT_WARM);
	cache_after_free(scene->pc, 8);
	sim_cpu(sim, 0, gives_small, scene);
	sim_cpu(sim, 1, percpu_empties_a_page_and_fills_another, scene);
	sim_run(sim);
	percpu_take(scene, 64, 0);
	percpu_take(scene, 64, 0);
	for (unsigned i = 1; i < 6; i++)
		percpu_give(scene, scene->small[i], 8);
	percpu_scene_check(scene);
}

static void gives_the_next_one(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[1], 8); /* to the maps: the first free on its CPU */
}

/* Two objects of 8 bytes side by side: one is freed while the maps forget the other.  It must not go on
 * the stack of objects of 16 bytes. */
SIM_TEST(percpu_free_beside_a_free, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY)
{
	struct percpu_scene *scene = warm_scene(sim);
	void *large[2];

	SIM_CHECK((char *)scene->small[1] == (char *)scene->small[0] + 8);
	sim_cpu(sim, 0, gives_small, scene);
	sim_cpu(sim, 1, gives_the_next_one, scene);
	sim_run(sim);
	/* In a stack of 16 bytes' hands there is nothing that begins where one of 8 did. */
	for (unsigned i = 0; i < 2; i++) {
		large[i] = percpu_take(scene, 16, 0);
		SIM_CHECK(quire_percpu_bytes(scene->q, large[i]) == 16);
	}
	for (unsigned i = 0; i < 2; i++)
		percpu_give(scene, large[i], 16);
	for (unsigned i = 2; i < 6; i++)
		percpu_give(scene, scene->small[i], 8);
	percpu_scene_check(scene);
}

/* Objects of 8 bytes until the next granule is the one at @in_word of its word. */
static void fill_up_to(struct percpu_scene *scene, uint32_t in_word)
{
	const void *last = percpu_take(scene, 8, 0);

	while (((uintptr_t)last / 8 + 1) % 64 != in_word)
		last = percpu_take(scene, 8, 0);
}

static void open_stack(struct percpu *pc, uint32_t granules)
{
	store_relaxed(&pc->warm, pc->warm | UINT64_C(1) << (granules - 1));
	store_relaxed(&pc->learn[granules - 1].count, COUNT_WARM);
	cache_after_free(pc, granules);
}

static void gives_24(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[6], 24);
}

/* An object that goes on in the next word is no object of the granules that it has in this one. */
SIM_TEST(percpu_object_across_words_keeps_its_class, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	fill_up_to(scene, 63);
	scene->small[6] = percpu_take(scene, 24, 0);
	SIM_CHECK((uintptr_t)scene->small[6] / 8 % 64 == 63);
	for (uint32_t granules = 1; granules <= 3; granules++)
		open_stack(scene->pc, granules);
	sim_cpu(sim, 0, gives_24, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* As above where the neighbour's granule is its word's last: that there is no end in the word must hold
 * when the next word is read. */
SIM_TEST(percpu_free_beside_a_free_at_a_words_end, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY)
{
	struct percpu_scene *scene = warm_scene(sim);

	percpu_give(scene, scene->small[0], 8);
	percpu_give(scene, scene->small[1], 8);
	open_stack(scene->pc, 2);
	percpu_drains(scene);
	fill_up_to(scene, 62);
	scene->small[0] = percpu_take(scene, 8, 0);
	scene->small[1] = percpu_take(scene, 8, 0);
	percpu_take(scene, 8, 0);
	SIM_CHECK((uintptr_t)scene->small[1] / 8 % 64 == 63);
	open_stack(scene->pc, 1);
	open_stack(scene->pc, 2);
	sim_cpu(sim, 0, gives_small, scene);
	sim_cpu(sim, 1, gives_the_next_one, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void ticks_until_idle(void *arg)
{
	struct percpu_scene *scene = arg;
	uint64_t now_ns = 0, due_ns = 0;

	for (unsigned i = 0; i < 10 && due_ns != WORK_IDLE; i++) {
		now_ns += scene->pc->q->decay_base_ns;
		due_ns = balance_tick(&scene->pc->module, now_ns);
	}
	SIM_CHECK(due_ns == WORK_IDLE);
}

/* Cached objects do not pin pages for ever: opening a stack wakes the worker, which keeps running until
 * the CPU is idle, and then closes the stack. */
SIM_TEST(percpu_open_stack_keeps_the_worker, .cpus_nr = 1, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = warm_scene(sim);

	sim_cpu(sim, 0, ticks_until_idle, scene);
	sim_run(sim);
	check_u64_eq(cache_count(scene->pc), 0);
	SIM_CHECK(!cache_is_open(scene->pc));
	for (unsigned i = 0; i < 2 * COUNT_WARM; i++)
		percpu_give(scene, percpu_take(scene, 8, 0), 8);
	SIM_CHECK(cache_count(scene->pc) != 0);
	SIM_CHECK(load_relaxed(&scene->pc->due_ns) != WORK_IDLE);
	for (unsigned i = 0; i < 6; i++)
		percpu_give(scene, scene->small[i], 8);
	percpu_scene_check(scene);
}

static void takes_from_cold(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, percpu_take(scene, 40, 0), 40);
	percpu_give(scene, percpu_take(scene, 40, 0), 40);
}

/* The first use of a CPU's stacks opens them behind a fence, like any other. */
SIM_TEST(percpu_first_use_of_stacks, .events = SIM_MIGRATE | SIM_ABORT | SIM_MEMORY | SIM_RACE)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	sim_cpu(sim, 0, takes_from_cold, scene);
	sim_cpu(sim, 1, takes_from_cold, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* ---- who writes, where units are many ---- */

static struct percpu_scene *holes_scene(struct sim *sim)
{
	struct percpu_scene *scene = percpu_scene_make_sparse(sim);

	for (unsigned i = 0; i < 8; i++) {
		scene->small[i] = quire_alloc_percpu(scene->q, 16, 0, 0);
		*(uint64_t *)quire_per_cpu_ptr(scene->small[i], 1) = 1;
	}
	return scene;
}

static void takes_a_hole(void *arg)
{
	struct percpu_scene *scene = arg;
	uint64_t *ptr = quire_alloc_percpu(scene->q, 16, 0, 0);

	check_u64_eq(*(uint64_t *)quire_per_cpu_ptr(ptr, 1), 0);
}

static void frees_one_and_takes_it(void *arg)
{
	struct percpu_scene *scene = arg;

	quire_free_percpu(scene->q, scene->small[2]);
	takes_a_hole(scene);
}

/* Two take holes of one page: the second may rely on the first's look only when that has ended. */
SIM_TEST(percpu_look_is_for_all_when_it_has_ended, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct percpu_scene *scene = holes_scene(sim);

	quire_free_percpu(scene->q, scene->small[0]);
	quire_free_percpu(scene->q, scene->small[1]);
	sim_cpu(sim, 0, takes_a_hole, scene);
	sim_cpu(sim, 1, takes_a_hole, scene);
	sim_run(sim);
	SIM_CHECK(!scene->pc->looking);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

static void writes_another_and_frees_it(void *arg)
{
	struct percpu_scene *scene = arg;

	*(uint64_t *)quire_per_cpu_ptr(scene->small[3], 2) = 1;
	quire_free_percpu(scene->q, scene->small[3]);
}

/* A free that comes while a look is under way: the page was seen before it, not after. */
SIM_TEST(percpu_free_during_a_look_is_not_seen, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct percpu_scene *scene = holes_scene(sim);
	uint64_t *ptr;

	quire_free_percpu(scene->q, scene->small[0]);
	sim_cpu(sim, 0, frees_one_and_takes_it, scene);
	sim_cpu(sim, 1, writes_another_and_frees_it, scene);
	sim_run(sim);
	for (unsigned i = 0; i < 3; i++) {
		ptr = quire_alloc_percpu(scene->q, 16, 0, 0);
		for (unsigned unit = 0; unit < scene->pc->units; unit++)
			check_u64_eq(*(uint64_t *)quire_per_cpu_ptr(ptr, unit), 0);
	}
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

/* ---- a drain and what comes between ----------------------------------------------------------- */

/* A free that found a mark looks through all stacks: here, if it can, while they are emptied. */
static void looks_during_the_drain(void *arg)
{
	struct percpu_scene *scene = arg;
	struct percpu *pc = scene->pc;
	bool closed = false;

	for (unsigned i = 0; i < 300 && !closed; i++) /* what it reads is only when to look */
		closed = load_relaxed(&stack_header(&pc->stacks.cpu, 0, 0)->low) == UINT32_MAX;
	SIM_CHECK(!cache_holds(pc, place_of(pc, scene->small[5])));
}

static void gives_and_takes_often(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned i = 0; i < 6; i++) {
		percpu_give(scene, scene->small[0], 8);
		scene->small[0] = percpu_take(scene, 8, 0);
	}
}

/* Who looks through stacks that are being emptied leaves them closed: opened early, a sequence could
 * commit what top was before they were emptied. */
SIM_TEST(percpu_look_during_a_drain, .cpus_nr = 3, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = warm_scene(sim);

	sim_cpu(sim, 0, gives_and_takes_often, scene);
	sim_cpu(sim, 1, looks_during_the_drain, scene);
	sim_cpu(sim, 2, percpu_drains, scene);
	sim_run(sim);
	percpu_drains(scene);
	for (unsigned i = 0; i < 6; i++)
		percpu_give(scene, scene->small[i], 8);
	percpu_scene_check(scene);
}

static void balances(void *arg)
{
	percpu_balance(arg, false);
}

/* An offset on a stack keeps no page: before a chunk loses its pages all stacks are emptied. */
SIM_TEST(percpu_cached_offset_keeps_no_page, .cpus_nr = 1, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	while (scene->pc->empty_pages != 0)
		percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
	for (unsigned i = 0; i < 2 * COUNT_WARM; i++)
		percpu_give(scene, percpu_take(scene, 64, 0), 64);
	SIM_CHECK(cache_count(scene->pc) != 0);
	balances(scene);
	for (unsigned i = 0; i < 2 * COUNT_WARM; i++)
		percpu_give(scene, percpu_take(scene, 64, 0), 64);
	SIM_CHECK(cache_count(scene->pc) != 0);
	percpu_isolate(scene, 14, 20);
	sim_cpu(sim, 0, balances, scene);
	sim_run(sim);
	check_u64_eq(cache_count(scene->pc), 0);
	percpu_scene_check(scene);
}
