/* SPDX-License-Identifier: MIT */
/*
 * stack_sim.c - per-CPU stacks: sequences that restart, and their closing by a fence
 *
 * The scene has one class on each slot, ten entries of room, and a lock that is every slot's door.
 */
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/sim/sim.h"
#include "machine/stack.h"

#define LOW  4u /* one header is four words */
#define HIGH (LOW + 10u)

struct stack_scene {
	struct cpu_stacks stacks;
	struct lock door;
	uint8_t guard;
	uint32_t pushed, popped, closed; /* sums of entries, by whom */
};

static struct stack_scene *scene_make(struct sim *sim, bool by_cpu)
{
	struct stack_scene *scene = sim_zalloc(sim, sizeof(*scene));
	size_t bytes;

	stack_setup(&scene->stacks, 0, by_cpu, true);
	bytes = scene->stacks.slots_nr * STACKS_STRIDE;
	scene->stacks.base = mem_reserve(bytes, STACKS_STRIDE, "stacks");
	mem_commit(scene->stacks.base, bytes);
	lock_init(&scene->door, RANK_PCP);
	for (unsigned slot = 0; slot < scene->stacks.slots_nr; slot++)
		*stack_header(&scene->stacks, slot, 0) =
			(struct stack_header){ .top = LOW, .low = LOW, .high = HIGH };
	return scene;
}

/* low and high are one word: closing and opening are one store each. */
static void set_bounds(struct stack_header *header, uint32_t low, uint32_t high)
{
	store_release((uint64_t *)(void *)&header->low, (uint64_t)high << 32 | low);
}

static void close_and_empty(struct stack_scene *scene, unsigned slot, bool all)
{
	struct stack_header *header = stack_header(&scene->stacks, slot, 0);
	lock_token token = lock_acquire(&scene->door);
	uint32_t top;

	set_bounds(header, UINT32_MAX, 0);
	if (all)
		stack_fence_all(&scene->stacks, NULL);
	else
		stack_fence_slot(&scene->stacks, slot);
	for (top = load_relaxed(&header->top); top > LOW; top--)
		scene->closed += stack_entries(&scene->stacks, slot)[top - 1];
	store_relaxed(&header->top, LOW);
	set_bounds(header, LOW, HIGH);
	lock_release(&scene->door, token);
}

static void push_two_pop_one(void *arg)
{
	struct stack_scene *scene = arg;

	for (uint32_t entry = 1; entry <= 2; entry++)
		if (stack_push(&scene->stacks, 0, entry, &scene->guard, 0))
			fetch_add_relaxed(&scene->pushed, entry);
	uint32_t got = stack_pop(&scene->stacks, 0);

	if (got != STACK_NONE)
		fetch_add_relaxed(&scene->popped, got);
}

static void close_slot_0(void *arg)
{
	close_and_empty(arg, 0, false);
}

static void close_slot_1_with_all(void *arg)
{
	close_and_empty(arg, 1, true);
}

static uint32_t left_on(struct stack_scene *scene, unsigned slot)
{
	const struct stack_header *header = stack_header(&scene->stacks, slot, 0);
	uint32_t sum = 0;

	for (uint32_t i = LOW; i < header->top; i++)
		sum += stack_entries(&scene->stacks, slot)[i];
	return sum;
}

static void check_sums(struct stack_scene *scene)
{
	uint32_t left = 0;

	for (unsigned slot = 0; slot < scene->stacks.slots_nr; slot++)
		left += left_on(scene, slot);
	check_u64_eq(scene->pushed, scene->popped + scene->closed + left);
}

/*
 * Entries that the closing thread takes are taken once, whichever step of a sequence the close
 * interrupts.  Without the fence a sequence that checked its bound before the close commits after
 * it, and an entry is taken twice or lost.
 */
SIM_TEST(stack_close_owns_what_it_closed, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_ABORT | SIM_RACE)
{
	struct stack_scene *scene = scene_make(sim, true);

	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 1, close_slot_0, scene);
	sim_run(sim);
	check_sums(scene);
}

/* The same where loads get earlier values: a sequence that loads the bound of an open stack gets the top that the closer
 * left, or a later one. */
SIM_TEST(stack_close_owns_what_it_closed_beside_late_loads, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2, .events = SIM_ABORT, .model = SIM_ARM)
{
	struct stack_scene *scene = scene_make(sim, true);

	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 1, close_slot_0, scene);
	sim_run(sim);
	check_sums(scene);
}

/* The same where the task may be moved: a sequence belongs to the CPU that commits it. */
SIM_TEST(stack_sequences_survive_migration, .cpus_nr = 3,
	 .events = SIM_ABORT | SIM_MIGRATE | SIM_RACE)
{
	struct stack_scene *scene = scene_make(sim, false);

	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 1, close_slot_0, scene);
	sim_cpu(sim, 2, push_two_pop_one, scene);
	sim_run(sim);
	check_sums(scene);
}

SIM_TEST(stack_fence_all_reaches_every_slot, .cpus_nr = 2, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2)
{
	struct stack_scene *scene = scene_make(sim, true);

	sim_cpu(sim, 1, push_two_pop_one, scene);
	sim_cpu(sim, 0, close_slot_1_with_all, scene);
	sim_run(sim);
	check_sums(scene);
}

/* A handler that pushes and pops between any two steps of the sequence that it interrupts. */
SIM_TEST(stack_sequence_restarts_after_handler, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2)
{
	struct stack_scene *scene = scene_make(sim, true);

	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_irq(sim, 0, push_two_pop_one, scene, 1);
	sim_run(sim);
	check_sums(scene);
	check_u64_eq(scene->pushed, scene->popped + left_on(scene, 0));
}

/* Two tasks of one CPU, the first preempted in mid-sequence by the second. */
SIM_TEST(stack_sequence_restarts_after_preemption, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 3)
{
	struct stack_scene *scene = scene_make(sim, true);

	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_run(sim);
	check_sums(scene);
}

static void mark_then_empty(void *arg)
{
	struct stack_scene *scene = arg;

	store_relaxed(&scene->guard, 1); /* seen by every sequence that begins after the fence */
	close_and_empty(scene, 0, false);
	store_relaxed(&scene->popped, 100 + load_relaxed(&scene->pushed));
}

static void push_one(void *arg)
{
	struct stack_scene *scene = arg;

	stack_push(&scene->stacks, 0, 1, &scene->guard, 0);
}

/* Once the block is marked and the stack was closed, no page of it can be on the stack. */
SIM_TEST(stack_push_refuses_a_marked_block, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3)
{
	struct stack_scene *scene = scene_make(sim, true);

	sim_cpu(sim, 0, push_one, scene);
	sim_cpu(sim, 1, mark_then_empty, scene);
	sim_run(sim);
	check_u64_eq(stack_header(&scene->stacks, 0, 0)->top, LOW);
}

static void push_three(void *arg)
{
	static const uint32_t entries[] = { 1, 2, 3 };
	struct stack_scene *scene = arg;
	lock_token token = lock_acquire(&scene->door);
	unsigned n = stack_push_n(&scene->stacks, 0, entries, 3);

	for (unsigned i = 0; i < n; i++)
		fetch_add_relaxed(&scene->pushed, entries[i]);
	lock_release(&scene->door, token);
}

static void pop_two(void *arg)
{
	struct stack_scene *scene = arg;
	lock_token token = lock_acquire(&scene->door);
	uint32_t entries[2];
	unsigned n = stack_pop_n(&scene->stacks, 0, entries, 2);

	for (unsigned i = 0; i < n; i++)
		fetch_add_relaxed(&scene->popped, entries[i]);
	lock_release(&scene->door, token);
}

/* Many at once against one by one, on one CPU and with a closer. */
SIM_TEST(stack_bulk_sequences_lose_nothing, .events = SIM_ABORT | SIM_RACE)
{
	struct stack_scene *scene = scene_make(sim, true);

	sim_cpu(sim, 0, push_three, scene);
	sim_cpu(sim, 0, pop_two, scene);
	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 1, close_slot_0, scene);
	sim_run(sim);
	check_sums(scene);
}

/* The same where the task may be moved, between any two steps. */
SIM_TEST(stack_bulk_sequences_survive_migration, .cpus_nr = 3, .events = SIM_ABORT | SIM_MIGRATE)
{
	struct stack_scene *scene = scene_make(sim, true);

	sim_cpu(sim, 0, push_three, scene);
	sim_cpu(sim, 1, pop_two, scene);
	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 2, close_slot_0, scene);
	sim_run(sim);
	check_sums(scene);
}

static void close_after_fence(void *arg)
{
	struct stack_scene *scene = arg;
	struct stack_header *header = stack_header(&scene->stacks, 0, 0);
	uint32_t top;

	stack_fence_slot(&scene->stacks, 0); /* the wrong way round */
	set_bounds(header, UINT32_MAX, 0);
	for (top = load_relaxed(&header->top); top > LOW; top--)
		scene->closed += stack_entries(&scene->stacks, 0)[top - 1];
	store_relaxed(&header->top, LOW);
}

/* A test of the checker: fence, then close, is found out. */
SIM_TEST(checker_sees_close_after_fence, .expect = "check")
{
	struct stack_scene *scene = scene_make(sim, true);

	sim_cpu(sim, 0, push_two_pop_one, scene);
	sim_cpu(sim, 1, close_after_fence, scene);
	sim_run(sim);
	check_sums(scene);
}
