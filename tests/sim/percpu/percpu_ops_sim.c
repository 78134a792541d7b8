/* SPDX-License-Identifier: MIT */
/*
 * percpu_ops_sim.c - operations on per-CPU data, and the counters made of them
 *
 * Each scenario lets tasks work on one variable while they are preempted, moved, interrupted and
 * aborted at every step, and then asks whether each operation took effect once.
 */
#include <quire/percpu.h>
#include <quire/percpu_counter.h>
#include <quire/percpu_ops.h>

#include "machine/atomic.h"
#include "machine/mem.h"
#include "machine/sim/sim.h"
#include "sim/page/page_scene.h"

struct ops_scene {
	uint64_t *wide;	 /* on each CPU, as all of these */
	uint32_t *small; /* two neighbours of which only the first is worked on */
	uint64_t done;	 /* what tasks were given back, added up */
	struct quire_percpu_counter counter;
	uint64_t ended; /* adds to the counter that have ended */
};

/* One page a CPU, and nothing behind the last. */
static struct ops_scene *scene_make(struct sim *sim)
{
	struct ops_scene *scene = sim_zalloc(sim, sizeof(*scene));
	size_t units = sim_cpus(sim);
	char *base = mem_reserve((units + 1) * QUIRE_PERCPU_STRIDE, QUIRE_PERCPU_STRIDE, "percpu");

	for (size_t i = 0; i < units; i++)
		mem_commit(base + i * QUIRE_PERCPU_STRIDE, 4096);
	scene->wide = (uint64_t *)(void *)base;
	scene->small = (uint32_t *)(void *)(base + 64);
	return scene;
}

static void add_three(void *arg)
{
	struct ops_scene *scene = arg;

	quire_this_cpu_inc(scene->wide);
	quire_this_cpu_add(scene->wide, 2);
	quire_this_cpu_sub(scene->small, 1);
	fetch_add_relaxed(&scene->done, 3);
}

static void check_added(struct ops_scene *scene, uint64_t tasks_nr)
{
	check_u64_eq(scene->done, 3 * tasks_nr);
	check_u64_eq(quire_per_cpu_sum(scene->wide), 3 * tasks_nr);
	check_u64_eq(quire_per_cpu_sum(scene->small), UINT32_C(0) - (uint32_t)tasks_nr);
	check_u64_eq(quire_per_cpu_sum(scene->small + 1), 0);
}

/* However tasks are moved and aborted, every increment is counted once, somewhere. */
SIM_TEST(percpu_ops_count_every_increment,
	 .events = SIM_ABORT | SIM_MIGRATE | SIM_RACE | SIM_MEMORY)
{
	struct ops_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, add_three, scene);
	sim_cpu(sim, 0, add_three, scene);
	sim_cpu(sim, 1, add_three, scene);
	sim_run(sim);
	check_added(scene, 3);
}

/* A handler that adds between any two steps of the add that it interrupts. */
SIM_TEST(percpu_ops_restart_after_handler, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2)
{
	struct ops_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, add_three, scene);
	sim_irq(sim, 0, add_three, scene, 1);
	sim_run(sim);
	check_u64_eq(quire_per_cpu_sum(scene->wide), scene->done);
}

static void add_without_number(void *arg)
{
	sim_without_number(SIM_NO_NUMBER);
	add_three(arg);
	sim_without_number(SIM_NUMBER);
}

/* A task that has no CPU number works beside one that has, on the same CPU or another. */
SIM_TEST(percpu_ops_without_number, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_ABORT | SIM_MIGRATE | SIM_RACE | SIM_MEMORY)
{
	struct ops_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, add_three, scene);
	sim_cpu(sim, 0, add_without_number, scene);
	sim_run(sim);
	check_added(scene, 2);
}

/* Between any two of its steps: registering, the operation, unregistering. */
SIM_TEST(percpu_ops_handler_of_a_task_without_number, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2, .events = SIM_ABORT)
{
	struct ops_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, add_without_number, scene);
	sim_irq(sim, 0, add_three, scene, 1);
	sim_run(sim);
	check_u64_eq(quire_per_cpu_sum(scene->wide), scene->done);
}

static void add_without_registering(void *arg)
{
	sim_without_number(SIM_NO_REGISTERING);
	add_three(arg);
	sim_without_number(SIM_NUMBER);
}

/* A task that may not register ends sequences, on its own CPU and on others, in any state of theirs. */
SIM_TEST(percpu_ops_end_of_sequences, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_ABORT | SIM_MIGRATE | SIM_RACE | SIM_MEMORY)
{
	struct ops_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, add_three, scene);
	sim_cpu(sim, 1, add_without_registering, scene);
	sim_run(sim);
	check_added(scene, 2);
}

/* Two of them at a time: neither may take the other's half-done end for the end. */
SIM_TEST(percpu_ops_end_of_sequences_by_two, .cpus_nr = 3, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2, .events = SIM_ABORT | SIM_MIGRATE)
{
	struct ops_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, add_three, scene);
	sim_cpu(sim, 1, add_without_registering, scene);
	sim_cpu(sim, 2, add_without_registering, scene);
	sim_run(sim);
	check_added(scene, 3);
}

static void add_by_cmpxchg(void *arg)
{
	struct ops_scene *scene = arg;

	for (unsigned i = 0; i < 2; i++) {
		uint64_t old;

		do
			old = quire_this_cpu_read(scene->wide);
		while (quire_this_cpu_cmpxchg(scene->wide, old, old + 1) != old);
	}
	fetch_add_relaxed(&scene->done, 2);
}

/* A value read on one CPU may be compared on another: no update may get lost for all that. */
SIM_TEST(percpu_ops_cmpxchg_loses_nothing, .events = SIM_ABORT | SIM_MIGRATE | SIM_RACE)
{
	struct ops_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, add_by_cmpxchg, scene);
	sim_cpu(sim, 0, add_by_cmpxchg, scene);
	sim_cpu(sim, 1, add_by_cmpxchg, scene);
	sim_run(sim);
	check_u64_eq(quire_per_cpu_sum(scene->wide), 6);
}

static void xchg_two(void *arg)
{
	struct ops_scene *scene = arg;

	fetch_add_relaxed(&scene->done, quire_this_cpu_xchg(scene->wide, 5));
	fetch_add_relaxed(&scene->done, quire_this_cpu_xchg(scene->wide, 7));
}

/* What was put in comes out once, or is still there. */
SIM_TEST(percpu_ops_xchg_keeps_every_value, .events = SIM_ABORT | SIM_MIGRATE | SIM_RACE)
{
	struct ops_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, xchg_two, scene);
	sim_cpu(sim, 0, xchg_two, scene);
	sim_cpu(sim, 1, xchg_two, scene);
	sim_run(sim);
	check_u64_eq(scene->done + quire_per_cpu_sum(scene->wide), 3 * (5 + 7));
}

static void add_and_return(void *arg)
{
	struct ops_scene *scene = arg;

	fetch_add_relaxed(&scene->done, quire_this_cpu_add_return(scene->wide, 1));
	quire_this_cpu_or(scene->small, 6);
	quire_this_cpu_and(scene->small, 3);
}

/* On one CPU two tasks are given 1 and 2; and bits that one sets, only the other's mask takes. */
SIM_TEST(percpu_ops_add_return_gives_each_its_own, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 3, .events = SIM_ABORT)
{
	struct ops_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, add_and_return, scene);
	sim_cpu(sim, 0, add_and_return, scene);
	sim_run(sim);
	check_u64_eq(scene->done, 3);
	check_u64_eq(*scene->small, 2);
}

static void add_from_afar(void *arg)
{
	struct ops_scene *scene = arg;

	fetch_add_relaxed(scene->wide, 3); /* CPU 0's copy, by another CPU: not allowed */
	fetch_add_relaxed(&scene->done, 3);
}

/* A test of the checker: an atomic addition by another CPU gets lost between load and commit. */
SIM_TEST(checker_sees_a_copy_changed_from_afar, .expect = "check")
{
	struct ops_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, add_three, scene);
	sim_cpu(sim, 1, add_from_afar, scene);
	sim_run(sim);
	check_u64_eq(quire_per_cpu_sum(scene->wide), scene->done);
}

/* ---- counters ------------------------------------------------------------------------------- */

static struct ops_scene *counter_scene(struct sim *sim, int64_t amount)
{
	struct ops_scene *scene = sim_zalloc(sim, sizeof(*scene));

	SIM_CHECK(quire_percpu_counter_init(page_scene_make_unused(sim)->q, &scene->counter, amount,
					    0) == 0);
	return scene;
}

static void count_two(void *arg)
{
	struct ops_scene *scene = arg;

	quire_percpu_counter_add_batch(&scene->counter, 5, 1);
	quire_percpu_counter_add_batch(&scene->counter, -2, 1);
}

/* With a batch of 1 every add is told; when all have ended, an estimate that is not the sum was
 * told something twice, or not at all. */
SIM_TEST(percpu_counter_estimate_is_the_sum, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3,
	 .events = SIM_MIGRATE | SIM_RACE)
{
	struct ops_scene *scene = counter_scene(sim, 100);

	sim_cpu(sim, 0, count_two, scene);
	sim_cpu(sim, 0, count_two, scene);
	sim_run(sim);
	check_u64_eq(quire_percpu_counter_sum(&scene->counter), 106);
	check_u64_eq(quire_percpu_counter_read(&scene->counter), 106);
}

static void count_five(void *arg)
{
	struct ops_scene *scene = arg;

	quire_percpu_counter_add_batch(&scene->counter, 5, 1);
}

/* A thread that is moved after its add tells a total that is old by then, over a newer one: it looks again, and tells the
 * newer. */
SIM_TEST(percpu_counter_add_told_late_is_made_good, .model = SIM_ARM, .events = SIM_MIGRATE,
	 .enters = { "percpu/counter.c:tell" })
{
	struct ops_scene *scene = counter_scene(sim, 100);

	sim_cpu(sim, 0, count_five, scene);
	sim_cpu(sim, 0, count_five, scene);
	sim_run(sim);
	check_u64_eq(quire_percpu_counter_sum(&scene->counter), 110);
	check_u64_eq(quire_percpu_counter_read(&scene->counter), 110);
}

static void count_up(void *arg)
{
	struct ops_scene *scene = arg;

	for (unsigned i = 0; i < 3; i++) {
		quire_percpu_counter_add_batch(&scene->counter, 1, 2);
		__atomic_fetch_add(&scene->ended, 1, __ATOMIC_RELEASE);
	}
}

static void sum_twice(void *arg)
{
	struct ops_scene *scene = arg;
	uint64_t before = load_acquire(&scene->ended);
	uint64_t sum = (uint64_t)quire_percpu_counter_sum(&scene->counter);

	SIM_CHECK(sum >= before);
	SIM_CHECK(sum <= 6);
	before = load_acquire(&scene->ended);
	SIM_CHECK((uint64_t)quire_percpu_counter_sum(&scene->counter) >= before);
}

/* A sum holds every add that had ended, also while others are told and tasks are moved. */
SIM_TEST(percpu_counter_sum_misses_nothing, .cpus_nr = 3, .events = SIM_MIGRATE | SIM_ABORT)
{
	struct ops_scene *scene = counter_scene(sim, 0);

	sim_cpu(sim, 0, count_up, scene);
	sim_cpu(sim, 1, count_up, scene);
	sim_cpu(sim, 2, sum_twice, scene);
	sim_run(sim);
	check_u64_eq(quire_percpu_counter_sum(&scene->counter), 6);
}

static void count_five_untold(void *arg)
{
	quire_percpu_counter_add_batch(&((struct ops_scene *)arg)->counter, 5, 1000);
}

/* Nobody has told what is counted on any CPU: a set, and a sync after it, leave no CPU out. */
SIM_TEST(percpu_counter_is_set_on_every_cpu, .cpus_nr = 3,
	 .enters = { "quire_percpu_counter_add_batch" })
{
	struct ops_scene *scene = counter_scene(sim, 0);

	for (unsigned cpu = 0; cpu < 3; cpu++)
		sim_cpu(sim, cpu, count_five_untold, scene);
	sim_run(sim);
	check_u64_eq(quire_percpu_counter_sum(&scene->counter), 15);
	check_u64_eq(quire_percpu_counter_read(&scene->counter), 0);
	quire_percpu_counter_set(&scene->counter, 50);
	check_u64_eq(quire_percpu_counter_sum(&scene->counter), 50);
	check_u64_eq(quire_percpu_counter_read(&scene->counter), 50);
	quire_percpu_counter_sync(&scene->counter);
	check_u64_eq(quire_percpu_counter_read(&scene->counter), 50);
}

static void set_to_50(void *arg)
{
	struct ops_scene *scene = arg;

	quire_percpu_counter_set(&scene->counter, 50);
}

/* Adds of the moment of a set are before or after it, none by half. */
SIM_TEST(percpu_counter_set_against_add, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct ops_scene *scene = counter_scene(sim, 1000);
	int64_t sum;

	sim_cpu(sim, 0, count_two, scene);
	sim_cpu(sim, 1, set_to_50, scene);
	sim_run(sim);
	sum = quire_percpu_counter_sum(&scene->counter);
	SIM_CHECK(sum == 50 || sum == 48 || sum == 53);
	check_u64_eq(quire_percpu_counter_read(&scene->counter), sum);
}

static void set_to_70(void *arg)
{
	struct ops_scene *scene = arg;

	quire_percpu_counter_set(&scene->counter, 70);
}

/* Of two sets one is the last, whatever was not told before. */
SIM_TEST(percpu_counter_set_against_set, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3)
{
	struct ops_scene *scene = counter_scene(sim, 1000);
	int64_t sum;

	quire_percpu_counter_add(&scene->counter, 1);
	sim_cpu(sim, 0, set_to_50, scene);
	sim_cpu(sim, 1, set_to_70, scene);
	sim_run(sim);
	sum = quire_percpu_counter_sum(&scene->counter);
	SIM_CHECK(sum == 50 || sum == 70);
	check_u64_eq(quire_percpu_counter_read(&scene->counter), sum);
}

static void add_two_up_to_ten(void *arg)
{
	struct ops_scene *scene = arg;

	if (quire_percpu_counter_limited_add(&scene->counter, 10, 2))
		fetch_add_relaxed(&scene->ended, 1);
}

/* Room for one: of two limited adds one is refused. */
SIM_TEST(percpu_counter_limited_adds_share_the_rest, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct ops_scene *scene = counter_scene(sim, 7);

	quire_percpu_counter_add(&scene->counter, 1);
	sim_cpu(sim, 0, add_two_up_to_ten, scene);
	sim_cpu(sim, 1, add_two_up_to_ten, scene);
	sim_run(sim);
	check_u64_eq(scene->ended, 1);
	check_u64_eq((uint64_t)quire_percpu_counter_sum(&scene->counter), 10);
}

/* Adds that are not told: 31 is less than the batch. */
static void count_31_and_set(void *arg)
{
	struct ops_scene *scene = arg;

	for (unsigned i = 0; i < 4; i++) {
		quire_percpu_counter_add(&scene->counter, 31);
		quire_percpu_counter_set(&scene->counter, 50);
	}
}

/* Who finds a total told finds that total, too, or would tell one that is older than several sets. */
SIM_TEST(percpu_counter_set_tells_what_others_find, .model = SIM_ARM,
	 .enters = { "quire_percpu_counter_set" })
{
	struct ops_scene *scene = counter_scene(sim, 0);
	int64_t untold;

	sim_cpu(sim, 0, count_31_and_set, scene);
	sim_cpu(sim, 1, set_to_50, scene);
	sim_run(sim);
	untold = quire_percpu_counter_sum(&scene->counter) -
		 quire_percpu_counter_read(&scene->counter);
	SIM_CHECK(untold > -96 && untold < 96); /* three batches of 32 */
}

static void count_without_number(void *arg)
{
	sim_without_number(SIM_NO_NUMBER);
	count_two(arg);
	sim_without_number(SIM_NUMBER);
}

/* Threads without a CPU number count too. */
SIM_TEST(percpu_counter_without_number, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct ops_scene *scene = counter_scene(sim, 0);

	sim_cpu(sim, 0, count_two, scene);
	sim_cpu(sim, 1, count_without_number, scene);
	sim_run(sim);
	check_u64_eq(quire_percpu_counter_sum(&scene->counter), 6);
	check_u64_eq(quire_percpu_counter_read(&scene->counter), 6);
}

static void count_500_in_a_large_batch(void *arg)
{
	quire_percpu_counter_add_batch(&((struct ops_scene *)arg)->counter, 500, 1000);
}

/* The estimate may lag by more than what the counter's own batch allows; who compares knows that by then. */
static void compare_with_250(void *arg)
{
	struct ops_scene *scene = arg;

	if (quire_percpu_counter_sum(&scene->counter) == 500)
		check_u64_eq((uint64_t)quire_percpu_counter_compare(&scene->counter, 250), 1);
}

SIM_TEST(percpu_counter_compare_knows_the_largest_batch, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2, .enters = { "note_batch", "quire_percpu_counter_compare" })
{
	struct ops_scene *scene = counter_scene(sim, 0);

	sim_cpu(sim, 0, count_500_in_a_large_batch, scene);
	sim_cpu(sim, 1, compare_with_250, scene);
	sim_run(sim);
	check_u64_eq((uint64_t)quire_percpu_counter_sum(&scene->counter), 500);
}

/* The same where loads get earlier values, and the store of the swap that notes the batch waits beside what is added. */
SIM_TEST(percpu_counter_batch_is_known_with_the_sum, .model = SIM_ARM, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 3)
{
	struct ops_scene *scene = counter_scene(sim, 0);

	sim_cpu(sim, 0, count_500_in_a_large_batch, scene);
	sim_cpu(sim, 1, compare_with_250, scene);
	sim_run(sim);
	check_u64_eq((uint64_t)quire_percpu_counter_sum(&scene->counter), 500);
}
