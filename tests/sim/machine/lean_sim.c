/* SPDX-License-Identifier: MIT */
/*
 * lean_sim.c - lean stacks: sequences that restart, and a whole set closed by one store and a fence
 *
 * The scene has one class in use on each slot, with a small place of 4 entries and a large one of 8.  Entries
 * are numbers that are taken for pointers; what was pushed is what was popped, taken by closers, or is left.
 */
#include "machine/atomic.h"
#include "machine/lean.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/sim/sim.h"

#define CLASS 1u
#define SMALL (LEAN_CLASSES_NR) /* the sentinel of each place */
#define LARGE (SMALL + 5u)
#define ROOM  4u

struct lean_scene {
	struct lean_stacks stacks;
	struct lock closing;
	uint32_t pushed, popped, closed; /* sums of entries, by whom */
};

static struct lean_header header_at(uint32_t sentinel, uint32_t room)
{
	return (struct lean_header){ .top = sentinel, .high = sentinel + room };
}

static struct lean_scene *scene_make(struct sim *sim)
{
	struct lean_scene *scene = sim_zalloc(sim, sizeof(*scene));
	size_t bytes;

	lean_setup(&scene->stacks, 0, false, true);
	bytes = scene->stacks.slots_open * LEAN_STRIDE;
	scene->stacks.base = mem_reserve(bytes, LEAN_STRIDE, "lean");
	lock_init(&scene->closing, RANK_PCP);
	for (unsigned slot = 0; slot < scene->stacks.slots_open; slot++) {
		mem_commit(scene->stacks.base + slot * LEAN_STRIDE, 4096);
		*lean_header(&scene->stacks, slot, CLASS) = header_at(SMALL, ROOM);
	}
	return scene;
}

static void *entry_of(uint32_t number)
{
	return (void *)(uintptr_t)number;
}

static uint32_t number_of(const void *entry)
{
	return (uint32_t)(uintptr_t)entry;
}

/* Whichever place top is in: words below it down to the sentinel. */
static uint32_t sum_of(struct lean_scene *scene, unsigned slot)
{
	void **words = lean_words(&scene->stacks, slot);
	uint32_t sum = 0;

	for (uint32_t i = lean_header(&scene->stacks, slot, CLASS)->top; words[i] != NULL; i--)
		sum += number_of(words[i]);
	return sum;
}

static void close_and_empty(void *arg)
{
	struct lean_scene *scene = arg;
	lock_token token = lock_acquire(&scene->closing);

	store_relaxed(&scene->stacks.slots_nr, 0u); /* the fence orders it */
	lean_fence(&scene->stacks, NULL);
	for (unsigned slot = 0; slot < scene->stacks.slots_open; slot++) {
		scene->closed += sum_of(scene, slot);
		*lean_header(&scene->stacks, slot, CLASS) = header_at(SMALL, ROOM);
	}
	store_release(&scene->stacks.slots_nr, scene->stacks.slots_open);
	lock_release(&scene->closing, token);
}

static void push_two_pop_one(void *arg)
{
	struct lean_scene *scene = arg;
	void *got;

	for (uint32_t entry = 1; entry <= 2; entry++)
		if (lean_push(&scene->stacks, CLASS, entry_of(entry)))
			fetch_add_relaxed(&scene->pushed, entry);
	got = lean_pop(&scene->stacks, CLASS);
	fetch_add_relaxed(&scene->popped, number_of(got));
}

static void check_sums(struct lean_scene *scene)
{
	uint32_t left = 0;

	for (unsigned slot = 0; slot < scene->stacks.slots_open; slot++)
		left += sum_of(scene, slot);
	check_u64_eq(scene->pushed, scene->popped + scene->closed + left);
}

/* Without the fence a sequence that found the set open commits after the close, and an entry is taken twice. */
SIM_TEST(lean_close_owns_what_it_closed, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_ABORT | SIM_RACE)
{
	struct lean_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 1, close_and_empty, scene);
	sim_run(sim);
	check_sums(scene);
}

/* The same where loads get earlier values: a sequence that finds the set open gets the headers that the closer left, or later
 * ones. */
SIM_TEST(lean_close_owns_what_it_closed_beside_late_loads, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2, .events = SIM_ABORT, .model = SIM_ARM)
{
	struct lean_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 1, close_and_empty, scene);
	sim_run(sim);
	check_sums(scene);
}

/* A sequence that begins on the closed set is refused, or sees all of what the closer left. */
SIM_TEST(lean_opening_shows_what_the_closer_left, .events = SIM_ABORT | SIM_RACE | SIM_MIGRATE,
	 .cpus_nr = 3)
{
	struct lean_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 1, close_and_empty, scene);
	sim_cpu(sim, 2, push_two_pop_one, scene);
	sim_cpu(sim, 2, close_and_empty, scene);
	sim_run(sim);
	check_sums(scene);
}

SIM_TEST(lean_sequence_restarts_after_handler, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2)
{
	struct lean_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_irq(sim, 0, push_two_pop_one, scene, 1);
	sim_run(sim);
	check_sums(scene);
}

SIM_TEST(lean_sequence_restarts_after_preemption, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 3)
{
	struct lean_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_run(sim);
	check_sums(scene);
}

/* A handler leaves the stack as it was. */
static void push_one_pop_one(void *arg)
{
	struct lean_scene *scene = arg;

	if (lean_push(&scene->stacks, CLASS, entry_of(9)))
		check_u64_eq(number_of(lean_pop(&scene->stacks, CLASS)), 9);
}

static void push_one_twice(void *arg)
{
	struct lean_scene *scene = arg;

	SIM_CHECK(lean_push(&scene->stacks, CLASS, entry_of(4)));
	SIM_CHECK(!lean_push(&scene->stacks, CLASS, entry_of(4)));
	SIM_CHECK(lean_push(&scene->stacks, CLASS, entry_of(5)));
	scene->pushed = 4 + 5;
}

/* What is the newest entry already is not pushed, wherever the sequence restarts. */
SIM_TEST(lean_push_refuses_the_newest_entry, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2, .events = SIM_ABORT)
{
	struct lean_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, push_one_twice, scene);
	sim_irq(sim, 0, push_one_pop_one, scene, 1);
	sim_run(sim);
	check_sums(scene);
}

static void push_three(void *arg)
{
	struct lean_scene *scene = arg;
	void *entries[] = { entry_of(1), entry_of(2), entry_of(3) };
	unsigned n = lean_push_n(&scene->stacks, CLASS, entries, 3);

	for (unsigned i = 0; i < n; i++)
		fetch_add_relaxed(&scene->pushed, number_of(entries[i]));
}

static void pop_two(void *arg)
{
	struct lean_scene *scene = arg;
	void *entries[2];
	unsigned n = lean_pop_n(&scene->stacks, CLASS, entries, 2);

	for (unsigned i = 0; i < n; i++)
		fetch_add_relaxed(&scene->popped, number_of(entries[i]));
}

SIM_TEST(lean_bulk_sequences_lose_nothing, .events = SIM_ABORT | SIM_RACE)
{
	struct lean_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, push_three, scene);
	sim_cpu(sim, 0, pop_two, scene);
	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 1, close_and_empty, scene);
	sim_run(sim);
	check_sums(scene);
}

/* The same where the task may be moved, between any two steps. */
SIM_TEST(lean_bulk_sequences_survive_migration, .cpus_nr = 3, .events = SIM_ABORT | SIM_MIGRATE)
{
	struct lean_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, push_three, scene);
	sim_cpu(sim, 1, pop_two, scene);
	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 2, close_and_empty, scene);
	sim_run(sim);
	check_sums(scene);
}

/* An empty stack moves to its large place by one sequence; the set stays open. */
static void move_if_empty(void *arg)
{
	struct lean_scene *scene = arg;

	lean_replace(&scene->stacks, 0, CLASS, header_at(SMALL, ROOM), header_at(LARGE, 2 * ROOM));
}

/* Another task of the CPU pushes and pops meanwhile: a stack that is not empty stays where it is. */
SIM_TEST(lean_stack_moves_only_while_empty, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 3, .events = SIM_ABORT)
{
	struct lean_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 0, move_if_empty, scene);
	sim_run(sim);
	check_sums(scene);
}

/* The thread was moved since it looked which CPU it is on: no other CPU's stack moves. */
SIM_TEST(lean_stack_of_another_cpu_stays, .cpus_nr = 2, .events = SIM_MIGRATE | SIM_ABORT)
{
	struct lean_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, move_if_empty, scene);
	sim_cpu(sim, 1, push_two_pop_one, scene);
	sim_run(sim);
	SIM_CHECK(lean_header(&scene->stacks, 1, CLASS)->high == SMALL + ROOM);
	check_sums(scene);
}

/* The class keeps less while another CPU pushes: a push under way may still use the old bound, and loses nothing. */
static void keep_one(void *arg)
{
	struct lean_scene *scene = arg;

	store_relaxed(&lean_header(&scene->stacks, 0, CLASS)->high, SMALL + 1);
}

SIM_TEST(lean_class_may_keep_less_while_it_is_open, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3,
	 .events = SIM_ABORT)
{
	struct lean_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 1, keep_one, scene);
	sim_run(sim);
	check_sums(scene);
}

/* Headers of zeroes refuse: class 0, classes that nobody has begun, and slots without memory written. */
static void use_unmade_classes(void *arg)
{
	struct lean_scene *scene = arg;

	for (unsigned class = 0; class < LEAN_CLASSES_NR; class += 85) {
		SIM_CHECK(!lean_push(&scene->stacks, class, scene));
		SIM_CHECK(lean_pop(&scene->stacks, class) == NULL);
	}
}

SIM_TEST(lean_headers_of_zeroes_refuse, .cpus_nr = 1)
{
	struct lean_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, use_unmade_classes, scene);
	sim_run(sim);
}

static void empty_before_the_fence(void *arg)
{
	struct lean_scene *scene = arg;

	lean_fence(&scene->stacks, NULL); /* the wrong way round */
	store_relaxed(&scene->stacks.slots_nr, 0u);
	scene->closed += sum_of(scene, 0);
	*lean_header(&scene->stacks, 0, CLASS) = header_at(SMALL, ROOM);
}

/* A test of the checker: fence, then close, is found out. */
SIM_TEST(checker_sees_lean_close_after_fence, .expect = "check")
{
	struct lean_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 1, empty_before_the_fence, scene);
	sim_run(sim);
	check_sums(scene);
}
