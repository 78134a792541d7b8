/* SPDX-License-Identifier: MIT */
/*
 * stacks_sim.c - a set of per-CPU stacks, and the rules of its doors (stacks/stacks.h)
 *
 * The scene is a set of two classes.  Entries are numbers from 1 to ENTRIES; each has a mark that is
 * set before it is pushed and cleared after it was popped, as a page's state byte is.  Their headers
 * are followed by so many unused ones that entries begin on another page.
 */
#include "machine/atomic.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "machine/sim/sim.h"
#include "stacks/stacks.h"

#define CLASSES	 2u
#define HEADERS	 300u /* 4,800 bytes */
#define ROOM	 4u
#define CPUS_MAX 4u
#define ENTRIES	 8u

struct stacks_scene {
	struct stacks stacks;
	struct stacks_class class[CLASSES];
	struct stacks_door door[CPUS_MAX];
	struct process_member member;
	uint8_t guard;
	uint8_t marked[ENTRIES + 1];
	uint32_t pushed, popped, taken; /* sums of entries */
	uint32_t held, turn;
};

static struct stacks_scene *scene_make(struct sim *sim, bool committed)
{
	struct stacks_scene *scene = sim_zalloc(sim, sizeof(*scene));
	struct stacks *s = &scene->stacks;
	size_t bytes;

	s->class = scene->class;
	s->classes_nr = CLASSES;
	s->committed = committed;
	for (unsigned i = 0; i < CLASSES; i++)
		s->class[i] = (struct stacks_class){ .header = (uint16_t)i, .room = ROOM };
	stack_setup(&s->cpu, 0, true, true);
	stacks_lay_out(s, HEADERS);
	SIM_CHECK(s->cpu.slots_nr <= CPUS_MAX);
	bytes = s->cpu.slots_nr * STACKS_STRIDE;
	s->cpu.base = mem_reserve(bytes, STACKS_STRIDE, "stacks");
	if (committed)
		SIM_CHECK(mem_commit(s->cpu.base, bytes) == 0);
	else
		SIM_CHECK(stacks_commit_readable(s, s->cpu.base + bytes) == 0);
	for (unsigned slot = 0; slot < s->cpu.slots_nr; slot++)
		stacks_door_init(&scene->door[slot], RANK_PCP, slot, 0, CLASSES);
	return scene;
}

static void begin(struct stacks_scene *scene, unsigned slot)
{
	struct stacks_door *door = &scene->door[slot];
	lock_token token = lock_acquire(&door->lock);

	if (!door->ready)
		SIM_CHECK(stacks_begin_locked(&scene->stacks, door) == 0);
	for (unsigned i = 0; i < CLASSES; i++)
		stacks_set_keeps_locked(&scene->stacks, door, i, ROOM);
	lock_release(&door->lock, token);
}

/* Every slot is in use, and its classes keep what they have room for. */
static struct stacks_scene *scene_make_used(struct sim *sim)
{
	struct stacks_scene *scene = scene_make(sim, true);

	for (unsigned slot = 0; slot < scene->stacks.cpu.slots_nr; slot++)
		begin(scene, slot);
	return scene;
}

/* ---- what tasks do ---- */

static void push(struct stacks_scene *scene, uint32_t entry)
{
	store_relaxed(&scene->marked[entry], 1);
	if (stack_push(&scene->stacks.cpu, 0, entry, &scene->guard, 0))
		fetch_add_relaxed(&scene->pushed, entry);
	else
		store_relaxed(&scene->marked[entry], 0);
}

static void pop(struct stacks_scene *scene)
{
	uint32_t entry = stack_pop(&scene->stacks.cpu, 0);

	if (entry == STACK_NONE)
		return;
	SIM_CHECK(entry >= 1 && entry <= ENTRIES); /* nothing but entries is ever popped */
	store_relaxed(&scene->marked[entry], 0);
	fetch_add_relaxed(&scene->popped, entry);
}

static void pushes_two_pops_one(void *arg)
{
	push(arg, 1);
	push(arg, 2);
	pop(arg);
}

static void pops_one_pushes_two(void *arg)
{
	pop(arg);
	push(arg, 1);
	push(arg, 2);
}

static void take_locked(struct stacks_scene *scene, struct stacks_door *door)
{
	for (unsigned i = 0; i < CLASSES; i++) {
		const uint32_t *entries;
		unsigned n = stacks_take_locked(&scene->stacks, door, i, ROOM, &entries);

		while (n != 0)
			scene->taken += entries[--n];
	}
}

static void close_door(struct stacks_scene *scene, unsigned slot)
{
	lock_token token = lock_acquire(&scene->door[slot].lock);

	stacks_close_locked(&scene->stacks, &scene->door[slot]);
	lock_release(&scene->door[slot].lock, token);
}

static void empty_and_open(struct stacks_scene *scene, unsigned slot)
{
	lock_token token = lock_acquire(&scene->door[slot].lock);

	take_locked(scene, &scene->door[slot]);
	stacks_open_locked(&scene->stacks, &scene->door[slot]);
	lock_release(&scene->door[slot].lock, token);
}

/* As drains do it: the lock is dropped over the fence. */
static void drains_slot_0(void *arg)
{
	struct stacks_scene *scene = arg;

	close_door(scene, 0);
	stacks_fence_slot(&scene->stacks, 0);
	empty_and_open(scene, 0);
}

static void drains_all(void *arg)
{
	struct stacks_scene *scene = arg;

	for (unsigned slot = 0; slot < scene->stacks.cpu.slots_nr; slot++)
		close_door(scene, slot);
	stacks_fence_all(&scene->stacks);
	for (unsigned slot = 0; slot < scene->stacks.cpu.slots_nr; slot++)
		empty_and_open(scene, slot);
}

/* ---- what is left ---- */

static uint32_t left_on(struct stacks_scene *scene, unsigned slot)
{
	const struct stacks_door *door = &scene->door[slot];
	uint32_t sum = 0;

	for (unsigned i = 0; i < CLASSES; i++)
		for (unsigned n = stacks_held(&scene->stacks, door, i); n-- != 0;)
			sum += stacks_entries(&scene->stacks, door, i)[n];
	return sum;
}

/* Each entry that was pushed is on a stack, or was popped or taken once. */
static void check_sums(struct stacks_scene *scene)
{
	uint32_t left = 0;

	for (unsigned slot = 0; slot < scene->stacks.cpu.slots_nr; slot++) {
		check_u64_eq(scene->door[slot].closed_nr, 0);
		left += left_on(scene, slot);
	}
	check_u64_eq(scene->pushed, scene->popped + scene->taken + left);
}

/* ---- S3, S4: close, fence, take, open ---- */

SIM_TEST(stacks_drain_takes_each_entry_once, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_ABORT | SIM_RACE)
{
	struct stacks_scene *scene = scene_make_used(sim);

	sim_cpu(sim, 0, pushes_two_pops_one, scene);
	sim_cpu(sim, 1, drains_slot_0, scene);
	sim_run(sim);
	check_sums(scene);
}

/* One fence for all slots. */
SIM_TEST(stacks_drain_of_all_slots, .cpus_nr = 3, .events = SIM_ABORT | SIM_MIGRATE | SIM_RACE)
{
	struct stacks_scene *scene = scene_make_used(sim);

	sim_cpu(sim, 0, pushes_two_pops_one, scene);
	sim_cpu(sim, 1, pushes_two_pops_one, scene);
	sim_cpu(sim, 2, drains_all, scene);
	sim_run(sim);
	check_sums(scene);
}

/* Many at once: their caller holds a door, which may be another slot's by then. */
static void pushes_and_pops_many(void *arg)
{
	static const uint32_t some[] = { 1, 2, 3 };
	struct stacks_scene *scene = arg;
	lock_token token = lock_acquire(&scene->door[1].lock);
	unsigned n = stack_push_n(&scene->stacks.cpu, 0, some, 3);
	uint32_t popped[2];

	for (unsigned i = 0; i < n; i++)
		fetch_add_relaxed(&scene->pushed, some[i]);
	n = stack_pop_n(&scene->stacks.cpu, 0, popped, 2);
	for (unsigned i = 0; i < n; i++)
		fetch_add_relaxed(&scene->popped, popped[i]);
	lock_release(&scene->door[1].lock, token);
}

/* With three preemptions: a sequence that begins while its stack is closed ends when it is open again. */
SIM_TEST(stacks_drain_against_many_at_once, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3,
	 .events = SIM_ABORT | SIM_RACE)
{
	struct stacks_scene *scene = scene_make_used(sim);

	sim_cpu(sim, 0, pushes_and_pops_many, scene);
	sim_cpu(sim, 1, drains_slot_0, scene);
	sim_run(sim);
	check_sums(scene);
}

/* Stores leave the closer's queue in any order but for releases: who sees the stack open sees top. */
SIM_TEST(stacks_open_is_seen_after_top, .model = SIM_PSO, .events = SIM_ABORT)
{
	struct stacks_scene *scene = scene_make_used(sim);

	sim_cpu(sim, 0, pushes_two_pops_one, scene);
	sim_cpu(sim, 0, pops_one_pushes_two, scene);
	sim_cpu(sim, 1, drains_slot_0, scene);
	sim_run(sim);
	check_sums(scene);
}

/* ---- S2: closers are counted ---- */

static void looks_through_slot_0(void *arg)
{
	struct stacks_scene *scene = arg;
	struct stacks_door *door = &scene->door[0];
	lock_token token = lock_acquire(&door->lock);

	stacks_close_locked(&scene->stacks, door);
	stacks_fence_slot(&scene->stacks, 0);
	(void)left_on(scene, 0);
	stacks_open_locked(&scene->stacks, door);
	lock_release(&door->lock, token);
}

SIM_TEST(stacks_look_during_a_drain, .cpus_nr = 3, .events = SIM_RACE)
{
	struct stacks_scene *scene = scene_make_used(sim);

	sim_cpu(sim, 0, pushes_two_pops_one, scene);
	sim_cpu(sim, 1, drains_slot_0, scene);
	sim_cpu(sim, 2, looks_through_slot_0, scene);
	sim_run(sim);
	check_sums(scene);
}

/* A class that is made to keep more while its door is closed stays closed. */
static void grows_slot_0(void *arg)
{
	struct stacks_scene *scene = arg;
	lock_token token = lock_acquire(&scene->door[0].lock);

	stacks_grow_locked(&scene->stacks, &scene->door[0], 0, 1, ROOM);
	lock_release(&scene->door[0].lock, token);
}

SIM_TEST(stacks_grow_during_a_drain, .cpus_nr = 3, .events = SIM_RACE)
{
	struct stacks_scene *scene = scene_make_used(sim);
	const struct stack_header *header = stack_header(&scene->stacks.cpu, 0, 0);
	lock_token token = lock_acquire(&scene->door[0].lock);

	stacks_set_keeps_locked(&scene->stacks, &scene->door[0], 0, 1);
	lock_release(&scene->door[0].lock, token);
	sim_cpu(sim, 0, pushes_two_pops_one, scene);
	sim_cpu(sim, 1, drains_slot_0, scene);
	sim_cpu(sim, 2, grows_slot_0, scene);
	sim_run(sim);
	check_u64_eq(header->keeps, 2);
	check_u64_eq(header->high - header->low, 2);
	check_sums(scene);
}

/* ---- S5: first use ---- */

static void begins_slot_0(void *arg)
{
	begin(arg, 0);
}

/* Sequences run on headers of zeroes while the first user lays them out. */
SIM_TEST(stacks_first_use_against_sequences, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_ABORT | SIM_RACE)
{
	struct stacks_scene *scene = scene_make(sim, false);

	sim_cpu(sim, 0, pops_one_pushes_two, scene);
	sim_cpu(sim, 1, begins_slot_0, scene);
	sim_run(sim);
	check_sums(scene);
}

static void begins_slot_0_in_the_end(void *arg)
{
	struct stacks_scene *scene = arg;
	struct stacks_door *door = &scene->door[0];
	lock_token token = lock_acquire(&door->lock);

	if (stacks_begin_locked(&scene->stacks, door) != 0) {
		SIM_CHECK(!door->ready && !door->usable && door->closed_nr == 0);
		SIM_CHECK(stacks_begin_locked(&scene->stacks, door) == 0);
	}
	stacks_set_keeps_locked(&scene->stacks, door, 0, ROOM);
	lock_release(&door->lock, token);
}

/* A refused commit leaves the door unused, and its region refuses until a later begin has the memory. */
SIM_TEST(stacks_refused_first_use_changes_nothing, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY | SIM_REFUSE, .refusals = 1)
{
	struct stacks_scene *scene = scene_make(sim, false);

	sim_cpu(sim, 0, pops_one_pushes_two, scene);
	sim_cpu(sim, 1, begins_slot_0_in_the_end, scene);
	sim_run(sim);
	SIM_CHECK(scene->door[0].usable);
	check_sums(scene);
}

static void begins_slot_0_unopened(void *arg)
{
	struct stacks_scene *scene = arg;
	struct stacks_door *door = &scene->door[0];
	lock_token token = lock_acquire(&door->lock);

	SIM_CHECK(stacks_begin_unopened_locked(&scene->stacks, door) == 0);
	stacks_close_locked(&scene->stacks, door);
	stacks_set_keeps_locked(&scene->stacks, door, 0, ROOM);
	lock_release(&door->lock, token);
	stacks_fence_slot(&scene->stacks, 0);
	empty_and_open(scene, 0);
}

/* As for lists that are switched off before anybody used them. */
SIM_TEST(stacks_first_use_is_a_close, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_ABORT | SIM_RACE)
{
	struct stacks_scene *scene = scene_make(sim, true);

	sim_cpu(sim, 0, pops_one_pushes_two, scene);
	sim_cpu(sim, 1, begins_slot_0_unopened, scene);
	sim_run(sim);
	check_sums(scene);
}

static void reserves_or_not(void *arg)
{
	struct stacks_scene *scene = arg;
	size_t before = sim_reserved_bytes(), bytes;
	void *records = stacks_reserve(&scene->stacks, 5000, "records", &bytes);

	if (records != NULL)
		mem_release(records, bytes);
	check_u64_eq(sim_reserved_bytes(), before);
}

SIM_TEST(stacks_refused_reserve_leaves_nothing, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .events = SIM_REFUSE, .refusals = 1)
{
	struct stacks_scene *scene = scene_make(sim, false);

	sim_cpu(sim, 0, reserves_or_not, scene);
	sim_run(sim);
}

/* ---- S6: cold and warm ---- */

static void pushes_three(void *arg)
{
	push(arg, 1);
	push(arg, 2);
	push(arg, 3);
}

static void cools_slot_0(void *arg)
{
	struct stacks_scene *scene = arg;
	lock_token token = lock_acquire(&scene->door[0].lock);

	stacks_cool_locked(&scene->stacks, &scene->door[0]);
	lock_release(&scene->door[0].lock, token);
	stacks_fence_slot(&scene->stacks, 0);
	scene->held = stacks_held(&scene->stacks, &scene->door[0], 0);
}

/* Nothing goes onto a cold stack, but for what was under way before the fence. */
SIM_TEST(stacks_cold_ones_refuse_pushes, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_ABORT)
{
	struct stacks_scene *scene = scene_make_used(sim);

	sim_cpu(sim, 0, pushes_three, scene);
	sim_cpu(sim, 1, cools_slot_0, scene);
	sim_run(sim);
	SIM_CHECK(!scene->door[0].warm);
	check_u64_eq(stacks_held(&scene->stacks, &scene->door[0], 0), scene->held);
	check_sums(scene);
}

static void touches_slot_0(void *arg)
{
	struct stacks_scene *scene = arg;
	lock_token token = lock_acquire(&scene->door[0].lock);

	stacks_touch_locked(&scene->stacks, &scene->door[0], 0);
	lock_release(&scene->door[0].lock, token);
}

/* The page is written while sequences push to it; what they pushed is what is popped. */
SIM_TEST(stacks_touch_undoes_no_push, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct stacks_scene *scene = scene_make_used(sim);

	sim_cpu(sim, 0, pushes_two_pops_one, scene);
	sim_cpu(sim, 1, touches_slot_0, scene);
	sim_run(sim);
	check_sums(scene);
}

static void warms_slot_0(void *arg)
{
	struct stacks_scene *scene = arg;

	for (unsigned i = 0; i < 2; i++)
		grows_slot_0(scene);
}

/* A class that begins cold and grows beside its users keeps what it says, less than there is room for. */
SIM_TEST(stacks_warming_against_pushes, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_ABORT | SIM_RACE)
{
	struct stacks_scene *scene = scene_make_used(sim);
	lock_token token = lock_acquire(&scene->door[0].lock);

	stacks_cool_locked(&scene->stacks, &scene->door[0]);
	lock_release(&scene->door[0].lock, token);
	sim_cpu(sim, 0, pushes_three, scene);
	sim_cpu(sim, 1, warms_slot_0, scene);
	sim_run(sim);
	SIM_CHECK(scene->door[0].warm);
	check_u64_eq(scene->door[0].keeps_weight, 2);
	SIM_CHECK(stacks_held(&scene->stacks, &scene->door[0], 0) <= 2);
	check_sums(scene);
}

static void grows_each_class(void *arg)
{
	struct stacks_scene *scene = arg;
	struct stacks_door *door = &scene->door[0];

	for (unsigned i = 0; i < CLASSES; i++) {
		lock_token token = lock_acquire(&door->lock);

		stacks_grow_locked(&scene->stacks, door, i, 2, ROOM);
		SIM_CHECK(door->keeps_weight <= scene->stacks.cap);
		lock_release(&door->lock, token);
	}
}

/* The cap is over all classes of a door, by weight, whoever grows them. */
SIM_TEST(stacks_cap_is_over_all_classes, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct stacks_scene *scene = scene_make(sim, true);
	uint32_t keeps = 0;

	scene->stacks.cap = 2 * ROOM;
	scene->class[1].weight = 3;
	begin(scene, 0);
	cools_slot_0(scene);
	sim_cpu(sim, 0, grows_each_class, scene);
	sim_cpu(sim, 1, grows_each_class, scene);
	sim_run(sim);
	for (unsigned i = 0; i < CLASSES; i++) {
		const struct stack_header *header = stack_header(&scene->stacks.cpu, 0, i);

		check_u64_eq(header->high - header->low, header->keeps);
		keeps += header->keeps * scene->class[i].weight;
	}
	check_u64_eq(keeps, scene->door[0].keeps_weight);
	SIM_CHECK(keeps <= scene->stacks.cap);
}

static void fills_and_empties_each(void *arg)
{
	struct stacks_scene *scene = arg;
	const struct cpu_stacks *cpu = &scene->stacks.cpu;

	for (uint32_t i = 0; i < CLASSES * ROOM; i++)
		SIM_CHECK(stack_push(cpu, i / ROOM, i + 1, &scene->guard, 0));
	for (uint32_t i = CLASSES * ROOM; i != 0; i--)
		check_u64_eq(stack_pop(cpu, (i - 1) / ROOM), i);
}

/* The last class has entries of its own, too, and so many as it has room for. */
SIM_TEST(stacks_of_all_classes_are_apart, .cpus_nr = 1)
{
	struct stacks_scene *scene = scene_make_used(sim);

	sim_cpu(sim, 0, fills_and_empties_each, scene);
	sim_run(sim);
	check_sums(scene);
}

/* ---- S8: isolated CPUs ---- */

static void closes_and_opens_isolated(void *arg)
{
	struct stacks_scene *scene = arg;
	struct stacks_door *door = &scene->door[1];
	lock_token token = lock_acquire(&door->lock);

	stacks_close_locked(&scene->stacks, door);
	lock_release(&door->lock, token);
	stacks_fence_slot(&scene->stacks, 1);
	token = lock_acquire(&door->lock);
	check_u64_eq(stacks_held(&scene->stacks, door, 0), 0);
	stacks_open_locked(&scene->stacks, door);
	lock_release(&door->lock, token);
}

static void is_refused_both(void *arg)
{
	struct stacks_scene *scene = arg;

	SIM_CHECK(!stack_push(&scene->stacks.cpu, 0, 1, &scene->guard, 0));
	check_u64_eq(stack_pop(&scene->stacks.cpu, 0), STACK_NONE);
}

/* Its headers stay zero, and have no memory to write to: whoever closes and opens its door touches nothing. */
SIM_TEST(stacks_of_an_isolated_cpu_stay_untouched, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY, .enters = { "stacks_close_locked", "stacks_open_locked" })
{
	static const uint64_t isolated = 2;
	struct stacks_scene *scene = scene_make(sim, false);
	lock_token token;

	scene->stacks.isolated = &isolated;
	SIM_CHECK(stacks_has(&scene->stacks, 0) && !stacks_has(&scene->stacks, 1));
	SIM_CHECK(!stacks_has(&scene->stacks, scene->stacks.cpu.slots_nr)); /* there is no more */
	token = lock_acquire(&scene->door[1].lock);
	check_u64_eq((uint64_t)stacks_begin_locked(&scene->stacks, &scene->door[1]), 0);
	lock_release(&scene->door[1].lock, token);
	SIM_CHECK(scene->door[1].ready && !scene->door[1].usable);
	sim_cpu(sim, 0, closes_and_opens_isolated, scene);
	sim_cpu(sim, 1, is_refused_both, scene);
	sim_run(sim);
	check_u64_eq(scene->door[1].closed_nr, 0);
}

/* ---- S7: fork ---- */

static struct stacks_scene *member_scene(struct process_member *member)
{
	return (struct stacks_scene *)(void *)((char *)member -
					       offsetof(struct stacks_scene, member));
}

static void fork_prepare(struct process_member *member)
{
	struct stacks_scene *scene = member_scene(member);

	for (unsigned slot = 0; slot < scene->stacks.cpu.slots_nr; slot++)
		stacks_fork_prepare(&scene->stacks, &scene->door[slot]);
	stacks_fence_all(&scene->stacks);
}

static void fork_done(struct stacks_scene *scene, bool child)
{
	for (unsigned slot = scene->stacks.cpu.slots_nr; slot-- != 0;)
		stacks_fork_done(&scene->stacks, &scene->door[slot], child);
}

static void fork_parent(struct process_member *member)
{
	fork_done(member_scene(member), false);
}

static void fork_child(struct process_member *member)
{
	fork_done(member_scene(member), true);
}

static void forks(struct stacks_scene *scene)
{
	scene->member = (struct process_member){ .fork_prepare = fork_prepare,
						 .fork_parent = fork_parent,
						 .fork_child = fork_child };
	process_register(&scene->member);
}

static void looks_in_a_child(void *arg)
{
	struct stacks_scene *scene = arg;
	const struct stacks_door *door = &scene->door[0];
	const uint32_t *entries = stacks_entries(&scene->stacks, door, 0);

	sim_fork_child();
	check_u64_eq(door->closed_nr, 0);
	SIM_CHECK(!door->warm);
	for (unsigned n = stacks_held(&scene->stacks, door, 0); n-- != 0;)
		SIM_CHECK(entries[n] <= ENTRIES && scene->marked[entries[n]] != 0);
	SIM_CHECK(!stack_push(&scene->stacks.cpu, 0, ENTRIES, &scene->guard, 0));
	store_relaxed(&scene->turn, 1);
}

/* Headers, entries and marks are on pages of their own, which a child gets one after the other. */
SIM_TEST(stacks_fork_copies_them_whole, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct stacks_scene *scene = scene_make_used(sim);

	forks(scene);
	sim_act_as(0);
	push(scene, 3);
	sim_cpu(sim, 1, looks_in_a_child, scene);
	sim_cpu(sim, 0, pops_one_pushes_two, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}
