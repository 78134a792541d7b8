/* SPDX-License-Identifier: MIT */
/* percpu_cache_sim.c - offsets on per-CPU stacks, and what they read when they come back */
#include "percpu/cache.h"
#include "sim/percpu/percpu_scene.h"

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
	struct percpu_scene *scene = percpu_scene_make_warm(sim);

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
	struct percpu_scene *scene = percpu_scene_make_warm(sim);

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
	struct turns turns[2] = { { .scene = percpu_scene_make_warm(sim) } };

	turns[1].scene = turns[0].scene;
	for (unsigned cpu = 0; cpu < 2; cpu++)
		sim_cpu(sim, cpu, takes_in_turns, &turns[cpu]);
	sim_run(sim);
	SIM_CHECK((uintptr_t)turns[0].last / 64 != (uintptr_t)turns[1].last / 64);
	percpu_scene_check(turns[0].scene);
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
	struct percpu_scene *scene = percpu_scene_make_warm(sim);

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

static void visits_twice(void *arg)
{
	struct percpu_scene *scene = arg;
	uint64_t decay_ns = scene->q->decay_base_ns;

	balance_tick(&scene->pc->module, decay_ns);
	percpu_open_stack(scene->pc, 1);
	check_u64_eq(cache_count(scene->pc), 0);
	check_u64_eq(balance_tick(&scene->pc->module, decay_ns + 1), 2 * decay_ns + 1);
}

/* So does one that holds nothing: it would take what is freed at any time, without a call of the worker. */
SIM_TEST(percpu_open_stack_without_objects_keeps_the_worker, .cpus_nr = 1,
	 .enters = { "cache_is_open" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	sim_cpu(sim, 0, visits_twice, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void gives_and_takes_twice(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned i = 0; i < 2; i++)
		percpu_give(scene, percpu_take(scene, 8, 0), 8);
}

/* A size is warm, and no CPU's stacks have been used: their first use opens them behind a fence, like any other. */
SIM_TEST(percpu_first_use_of_stacks, .events = SIM_MIGRATE | SIM_ABORT | SIM_MEMORY | SIM_RACE,
	 .enters = { "cache_after_free", "stacks_begin_locked", "keep_more_locked" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	scene->pc->learn[0].count = COUNT_WARM;
	store_relaxed(&scene->pc->warm, 1);
	sim_cpu(sim, 0, gives_and_takes_twice, scene);
	sim_cpu(sim, 1, gives_and_takes_twice, scene);
	sim_cpu(sim, 0, gives_and_takes_twice, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* ---- the first class and the last, on every CPU ------------------------------------------------- */

static const uint32_t end_class[2] = { 0, CACHE_CLASSES_NR - 1 };

struct ends {
	struct percpu_scene *scene;
	void *object[2];
};

static size_t end_bytes(const struct percpu *pc, unsigned i)
{
	return (size_t)cache_granules(pc, end_class[i]) << GRANULE_SHIFT;
}

/* Each class's stack holds an object in the end, which has come back once. */
static void fills_stacks(void *arg)
{
	struct ends *ends = arg;
	struct percpu_scene *scene = ends->scene;

	for (unsigned i = 0; i < 2; i++) {
		size_t bytes = end_bytes(scene->pc, i);

		cache_after_free(scene->pc, cache_granules(scene->pc, end_class[i]));
		percpu_give(scene, ends->object[i], bytes);
		SIM_CHECK(percpu_take(scene, bytes, 0) == ends->object[i]);
		percpu_give(scene, ends->object[i], bytes);
	}
}

static void check_forgotten(struct percpu *pc)
{
	check_u64_eq(cache_count(pc), 0);
	for (unsigned i = 0; i < 2; i++)
		check_u64_eq(pc->learn[end_class[i]].count, 0);
}

/* What stacks hold is counted, found by whoever frees it again, and gone after two visits in which nobody used it; after a
 * drain nobody looks for objects of these sizes on stacks. */
SIM_TEST(percpu_stacks_of_all_classes_and_cpus_are_drained, .cpus_nr = 3, .events = SIM_MEMORY,
	 .enters = { "cache_after_free", "alloc_large" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);
	struct percpu *pc = scene->pc;
	struct ends ends[3];

	for (unsigned cpu = 0; cpu < 3; cpu++) {
		ends[cpu].scene = scene;
		for (unsigned i = 0; i < 2; i++)
			ends[cpu].object[i] = percpu_take(scene, end_bytes(pc, i), 0);
		SIM_CHECK((uintptr_t)ends[cpu].object[1] % PAGE_BYTES == 0);
		sim_cpu(sim, cpu, fills_stacks, &ends[cpu]);
	}
	for (unsigned i = 0; i < 2; i++)
		pc->learn[end_class[i]].count = COUNT_WARM;
	store_relaxed(&pc->warm, 1);
	sim_run(sim);
	check_u64_eq(cache_count(pc), 6);
	for (unsigned cpu = 0; cpu < 3; cpu++)
		for (unsigned i = 0; i < 2; i++)
			SIM_CHECK(cache_holds(pc, place_of(pc, ends[cpu].object[i])));
	mutex_acquire(&pc->alloc_mutex);
	check_u64_eq(cache_drain(pc, true), 0);
	check_u64_eq(cache_drain(pc, true), 6);
	check_forgotten(pc);
	(void)cache_drain(pc, false);
	mutex_release(&pc->alloc_mutex);
	for (unsigned i = 0; i < 2; i++)
		check_u64_eq(pc->learn[end_class[i]].opened, OPENED_NOT);
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

/* It reads zero on every CPU. */
static void takes_a_zero_hole(void *arg)
{
	struct percpu_scene *scene = arg;
	uint64_t *ptr = quire_alloc_percpu(scene->q, 16, 0, 0);

	for (unsigned unit = 0; unit < scene->pc->units; unit++)
		check_u64_eq(*(uint64_t *)quire_per_cpu_ptr(ptr, unit), 0);
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

	quire_free_percpu(scene->q, scene->small[0]);
	sim_cpu(sim, 0, frees_one_and_takes_it, scene);
	sim_cpu(sim, 1, writes_another_and_frees_it, scene);
	sim_run(sim);
	for (unsigned i = 0; i < 3; i++)
		takes_a_zero_hole(scene);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

static void writes_another_frees_it_and_takes_two(void *arg)
{
	writes_another_and_frees_it(arg);
	takes_a_zero_hole(arg);
	takes_a_zero_hole(arg);
}

/* A second look on behalf of all, beside the first, would end with the first's end: what was freed meanwhile would
 * be taken for seen. */
SIM_TEST(percpu_one_looks_for_all_at_a_time, .cpus_nr = 3, .enters = { "percpu/sparse.c:begin" })
{
	struct percpu_scene *scene = holes_scene(sim);

	quire_free_percpu(scene->q, scene->small[0]);
	quire_free_percpu(scene->q, scene->small[1]);
	quire_free_percpu(scene->q, scene->small[5]);
	sim_cpu(sim, 0, takes_a_zero_hole, scene);
	sim_cpu(sim, 1, writes_another_frees_it_and_takes_two, scene);
	sim_cpu(sim, 2, takes_a_zero_hole, scene);
	sim_run(sim);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

/* Takes an object's place again, where @nr units from @first on are known to have written its page. */
static void check_looks(struct percpu_scene *scene, void *object, unsigned first, unsigned nr,
			bool looks)
{
	struct percpu *pc = scene->pc;
	uint32_t page = place_page(pc, place_of(pc, object));
	uint64_t *written = pc->written + (size_t)page_chunk(pc, page) * pc->units;
	uint64_t bit = page_bit(pc, page);

	for (unsigned unit = 0; unit < pc->units; unit++)
		store_relaxed(&written[unit],
			      (written[unit] & ~bit) | (unit - first < nr ? bit : 0));
	quire_free_percpu(scene->q, object);
	SIM_CHECK(quire_alloc_percpu(scene->q, 16, 0, 0) == object);
	check_u64_eq(pc->page[page].seen == PAGE_SEEN, looks);
}

static void takes_with_some_written(void *arg)
{
	struct percpu_scene *scene = arg;
	unsigned units = scene->pc->units, most = units / 2 + 1;

	check_looks(scene, scene->small[0], 0, most - 1, true);
	check_looks(scene, scene->small[1], 0, most, false);
	check_looks(scene, scene->small[2], units - most, most, false);
}

/* The system is asked who writes unless more than half of all units are known to. */
SIM_TEST(percpu_look_is_spared_where_most_write, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "sparse_zero" })
{
	struct percpu_scene *scene = holes_scene(sim);

	sim_cpu(sim, 0, takes_with_some_written, scene);
	sim_run(sim);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

static void takes_from_the_stack(void *arg)
{
	struct percpu_scene *scene = arg;
	struct percpu *pc = scene->pc;
	uint32_t page = place_page(pc, place_of(pc, scene->small[0]));
	const uint64_t *written = pc->written + (size_t)page_chunk(pc, page) * pc->units;

	percpu_open_stack(pc, 1);
	quire_free_percpu(scene->q, scene->small[0]);
	check_u64_eq(cache_count(pc), 1);
	SIM_CHECK(quire_alloc_percpu(scene->q, 8, 0, 0) == scene->small[0]);
	for (unsigned unit = 0; unit < pc->units; unit++) /* the mark was in the home CPU's copy */
		check_u64_eq((written[unit] & page_bit(pc, page)) != 0, unit == pc->home);
}

/* Where reading takes memory, the system is asked which copies were written of an object that comes back from a stack. */
SIM_TEST(percpu_writers_of_an_object_from_a_stack_are_asked_for, .cpus_nr = 1,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 1, .enters = { "finish_popped" })
{
	struct percpu_scene *scene = percpu_scene_make_sparse_stacks(sim);

	scene->small[0] = quire_alloc_percpu(scene->q, 8, 0, 0);
	sim_cpu(sim, 0, takes_from_the_stack, scene);
	sim_run(sim);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

static void takes_a_new_page(void *arg)
{
	struct percpu_scene *scene = arg;
	struct percpu *pc = scene->pc;
	const void *ptr = quire_alloc_percpu(scene->q, PAGE_BYTES, 0, 0);
	uint32_t page = place_page(pc, place_of(pc, ptr));
	const uint64_t *written = pc->written + (size_t)page_chunk(pc, page) * pc->units;

	for (unsigned unit = 0; unit < pc->units; unit++)
		check_u64_eq(written[unit] & page_bit(pc, page), 0);
}

/* Whatever was in a page before, nobody has written to it when it is populated anew: its copies are not read. */
SIM_TEST(percpu_new_page_is_not_written, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "sparse_populate_locked" })
{
	struct percpu_scene *scene = percpu_scene_make_sparse(sim);
	struct percpu *pc = scene->pc;

	while (pc->empty_pages != 0)
		percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
	for (uint32_t i = 0; i < pc->chunks_end * pc->units; i++)
		pc->written[i] = ~(uint64_t)0;
	sim_cpu(sim, 0, takes_a_new_page, scene);
	sim_run(sim);
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
	struct percpu_scene *scene = percpu_scene_make_warm(sim);

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
