/* SPDX-License-Identifier: MIT */
/* percpu_refill_sim.c - batches between stacks and maps, and objects of whole pages on stacks */
#include "percpu/map.h"
#include "sim/percpu/percpu_scene.h"

#define ROOM 4u

/* Stacks of 8 bytes that keep ROOM objects, and as much owed as they can take. */
static struct percpu_scene *small_stacks_scene(struct sim *sim)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);
	struct percpu *pc = scene->pc;

	for (unsigned i = 0; i < 8; i++)
		scene->small[i] = percpu_take(scene, 8, 0);
	pc->learn[0].room = ROOM;
	pc->learn[0].owed = OWED_MAX;
	pc->learn[0].count = COUNT_WARM;
	store_relaxed(&pc->warm, 1);
	return scene;
}

static void gives_and_takes(struct percpu_scene *scene, unsigned first)
{
	for (unsigned i = first; i < first + 4; i++)
		percpu_give(scene, scene->small[i], 8);
	for (unsigned i = first; i < first + 4; i++)
		scene->small[i] = percpu_take(scene, 8, 0);
	percpu_give(scene, percpu_take(scene, 8, 0), 8);
}

static void gives_and_takes_first(void *arg)
{
	gives_and_takes(arg, 0);
}

static void gives_and_takes_others(void *arg)
{
	gives_and_takes(arg, 4);
}

static void gives_small(struct percpu_scene *scene)
{
	for (unsigned i = 0; i < 8; i++)
		percpu_give(scene, scene->small[i], 8);
}

/* Stacks overflow, are emptied, and are refilled: each object is in one place, and marked before a thread can
 * pop it.  Threads are moved meanwhile, so a batch reaches another CPU's stack than it was meant for. */
SIM_TEST(percpu_batches_keep_every_object, .cpus_nr = 3,
	 .events = SIM_MIGRATE | SIM_ABORT | SIM_MEMORY)
{
	struct percpu_scene *scene = small_stacks_scene(sim);

	sim_cpu(sim, 0, gives_and_takes_first, scene);
	sim_cpu(sim, 1, gives_and_takes_others, scene);
	sim_cpu(sim, 2, percpu_drains, scene);
	sim_run(sim);
	percpu_drains(scene);
	gives_small(scene);
	percpu_scene_check(scene);
}

static void overflows(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned i = 0; i < 8; i++)
		percpu_give(scene, scene->small[i], 8);
}

/* A full stack returns half of what it keeps, in one hold of the lock; one that is found empty after
 * that was too small. */
SIM_TEST(percpu_capacity_follows_the_batch, .cpus_nr = 1, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = small_stacks_scene(sim);
	const struct stacks_door *door = &scene->pc->cpu[0].door;

	sim_cpu(sim, 0, overflows, scene);
	sim_run(sim);
	SIM_CHECK(scene->pc->learn[0].overflowed);
	check_u64_eq(cache_count(scene->pc), ROOM);
	for (unsigned i = 0; i < 8; i++)
		scene->small[i] = percpu_take(scene, 8, 0);
	check_u64_eq(scene->pc->learn[0].room, 2 * ROOM);
	check_u64_eq(stack_header(&scene->pc->stacks.cpu, door->slot, 0)->keeps, 2 * ROOM);
	gives_small(scene);
	percpu_scene_check(scene);
}

/* An empty stack is filled with no more than full ones gave back: what nobody had freed is not taken ahead. */
SIM_TEST(percpu_refill_takes_what_is_owed, .cpus_nr = 1)
{
	struct percpu_scene *scene = small_stacks_scene(sim);

	gives_small(scene);
	percpu_drains(scene);
	cache_after_free(scene->pc, 1);
	scene->pc->learn[0].owed = 1;
	scene->small[0] = percpu_take(scene, 8, 0);
	check_u64_eq(cache_count(scene->pc), 1);
	for (unsigned i = 1; i < 3; i++)
		scene->small[i] = percpu_take(scene, 8, 0);
	check_u64_eq(cache_count(scene->pc), 0);
	percpu_scene_check(scene);
}

static void takes_the_first(void *arg)
{
	struct percpu_scene *scene = arg;

	scene->small[0] = percpu_take(scene, 8, 0);
}

/* An object that was placed ahead does not pin its page for ever: an allocation that opens a stack calls the worker, as a
 * free does. */
SIM_TEST(percpu_stack_opened_by_a_refill_calls_the_worker, .cpus_nr = 1,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 1, .enters = { "refill_locked" })
{
	struct percpu_scene *scene = small_stacks_scene(sim);

	gives_small(scene);
	percpu_drains(scene);
	scene->pc->learn[0].owed = 1;
	store_relaxed(&scene->pc->due_ns, WORK_IDLE);
	sim_cpu(sim, 0, takes_the_first, scene);
	sim_run(sim);
	check_u64_eq(cache_count(scene->pc), 1);
	SIM_CHECK(scene->pc->due_ns != WORK_IDLE);
	percpu_scene_check(scene);
}

/* Much is owed, but the first use of a CPU's stacks is behind a fence: a free's. */
SIM_TEST(percpu_refill_does_not_begin_stacks, .cpus_nr = 1, .events = SIM_MEMORY,
	 .enters = { "cache_refill" })
{
	struct percpu_scene *scene = small_stacks_scene(sim);

	sim_cpu(sim, 0, takes_the_first, scene);
	sim_run(sim);
	check_u64_eq(scene->pc->opened, OPENED_NOT);
	check_u64_eq(scene->pc->learn[0].owed, OWED_MAX);
}

static void takes_while_closed(void *arg)
{
	struct percpu_scene *scene = arg;
	struct percpu *pc = scene->pc;
	struct stacks_door *door = &pc->cpu[0].door;
	lock_token token = lock_acquire(&door->lock);

	stacks_close_locked(&pc->stacks, door);
	lock_release(&door->lock, token);
	takes_the_first(scene);
	check_u64_eq(pc->learn[0].owed, OWED_MAX);
	token = lock_acquire(&door->lock);
	stacks_fence_slot(&pc->stacks, 0);
	stacks_open_locked(&pc->stacks, door);
	lock_release(&door->lock, token);
}

/* What is owed to stacks is not used up for one that takes nothing, since it is being emptied. */
SIM_TEST(percpu_refill_leaves_closed_stacks, .cpus_nr = 1, .enters = { "cache_refill" })
{
	struct percpu_scene *scene = small_stacks_scene(sim);

	gives_small(scene);
	percpu_drains(scene);
	cache_after_free(scene->pc, 1);
	scene->pc->learn[0].owed = OWED_MAX;
	sim_cpu(sim, 0, takes_while_closed, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void takes_the_next(void *arg)
{
	struct percpu_scene *scene = arg;

	scene->small[1] = percpu_take(scene, 8, 0);
	scene->small[2] = percpu_take(scene, 8, 0);
}

/* Whoever pops an object that another task placed ahead finds it marked: a mark that came later would be written
 * into his object. */
SIM_TEST(percpu_placed_ahead_is_marked_first, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .events = SIM_MEMORY | SIM_PLAIN)
{
	struct percpu_scene *scene = small_stacks_scene(sim);

	gives_small(scene);
	percpu_drains(scene);
	cache_after_free(scene->pc, 1);
	sim_cpu(sim, 0, takes_the_first, scene);
	sim_cpu(sim, 0, takes_the_next, scene);
	sim_run(sim);
	for (unsigned i = 0; i < 3; i++)
		percpu_give(scene, scene->small[i], 8);
	percpu_scene_check(scene);
}

/* ---- which sizes are warm ---- */

static void pairs_at(struct percpu_scene *scene, uint64_t every_ns, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		sim_pass_ns(every_ns);
		percpu_give(scene, percpu_take(scene, 8, 0), 8);
	}
}

/* A size that comes and goes seldom pins nothing on stacks; one that does so often is cached. */
SIM_TEST(percpu_seldom_sizes_are_not_cached, .cpus_nr = 1)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	pairs_at(scene, PAIR_NS + PAIR_NS / 4, 4 * COUNT_WARM);
	check_u64_eq(cache_count(scene->pc), 0);
	pairs_at(scene, PAIR_NS / 2, 2 * COUNT_WARM);
	check_u64_eq(cache_count(scene->pc), 1);
	percpu_scene_check(scene);
}

static void bursts(struct percpu_scene *scene, unsigned nr)
{
	void *object[4 * COUNT_WARM];

	for (unsigned turn = 0; turn < nr; turn++) {
		for (unsigned i = 0; i < 4 * COUNT_WARM; i++)
			object[i] = percpu_take(scene, 8, 0);
		for (unsigned i = 0; i < 4 * COUNT_WARM; i++)
			percpu_give(scene, object[i], 8);
	}
}

/* A burst of allocations after one of frees is one turn, however long both are: what a program allocates at its
 * start and frees at its end is not cached, and batches that come again and again are. */
SIM_TEST(percpu_bursts_are_not_cached, .cpus_nr = 1)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	bursts(scene, COUNT_WARM / 2);
	check_u64_eq(cache_count(scene->pc), 0);
	bursts(scene, COUNT_WARM);
	SIM_CHECK(cache_count(scene->pc) != 0);
	percpu_scene_check(scene);
}

static void pairs_and_allocations(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned i = 0; i < 4 * COUNT_WARM; i++) {
		pairs_at(scene, PAIR_NS + PAIR_NS / 4, 1);
		for (unsigned j = 0; j < 4; j++)
			percpu_take(scene, 8, 0);
	}
}

/* Allocations of what nobody had freed are no pairs, however many come between. */
SIM_TEST(percpu_allocations_alone_are_no_pairs, .cpus_nr = 1,
	 .enters = { "cache_learn_alloc_locked" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	sim_cpu(sim, 0, pairs_and_allocations, scene);
	sim_run(sim);
	check_u64_eq(scene->pc->warm, 0);
	percpu_scene_check(scene);
}

/* The stack of 8 bytes is open on CPU 0, and empty; nothing is owed to it. */
static struct percpu_scene *open_empty_scene(struct sim *sim)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	percpu_take(scene, 8, 0);
	percpu_open_stack(scene->pc, 1);
	SIM_CHECK(scene->pc->cpu[0].lines[0] != 0);
	return scene;
}

static void takes_neighbours(void *arg)
{
	struct percpu_scene *scene = arg;
	char *first = percpu_take(scene, 8, 0), *second = percpu_take(scene, 8, 0);

	SIM_CHECK(second == first + 8);
}

/* As many lines as the stack has grown. */
SIM_TEST(percpu_objects_share_lines_that_no_stack_needs, .cpus_nr = 1,
	 .enters = { "cache_alignment" })
{
	struct percpu_scene *scene = open_empty_scene(sim);

	store_relaxed(&scene->pc->cpu[0].lines[0], 0);
	sim_cpu(sim, 0, takes_neighbours, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* Lines that are left are not needed when the stack has been closed. */
SIM_TEST(percpu_objects_share_lines_without_a_stack, .cpus_nr = 1, .enters = { "cache_alignment" })
{
	struct percpu_scene *scene = open_empty_scene(sim);

	percpu_drains(scene);
	SIM_CHECK(scene->pc->cpu[0].lines[0] != 0);
	sim_cpu(sim, 0, takes_neighbours, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void takes_one_small(void *arg)
{
	percpu_take(arg, 8, 0);
}

/* Two that had the last line count it once. */
SIM_TEST(percpu_lines_are_counted_down_to_none, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "cache_had_alignment" })
{
	struct percpu_scene *scene = open_empty_scene(sim);

	store_relaxed(&scene->pc->cpu[0].lines[0], 1);
	sim_cpu(sim, 0, takes_one_small, scene);
	sim_cpu(sim, 0, takes_one_small, scene);
	sim_run(sim);
	check_u64_eq(scene->pc->cpu[0].lines[0], 0);
	percpu_scene_check(scene);
}

static void ticks(struct percpu_scene *scene, unsigned visit)
{
	balance_tick(&scene->pc->module, visit * 2 * scene->pc->q->decay_base_ns);
}

/* What a stack holds goes back when nobody uses it, though the CPU is busy with another size. */
SIM_TEST(percpu_idle_size_goes_back_beside_a_busy_one, .cpus_nr = 1)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);
	void *busy;

	pairs_at(scene, 0, 2 * COUNT_WARM);
	for (unsigned i = 0; i < 2 * COUNT_WARM; i++)
		percpu_give(scene, percpu_take(scene, 64, 0), 64);
	check_u64_eq(cache_count(scene->pc), 2);
	ticks(scene, 1);
	busy = percpu_take(scene, 64, 0);
	ticks(scene, 2);
	check_u64_eq(cache_count(scene->pc), 0);
	check_u64_eq(scene->pc->learn[0].count, 0);
	percpu_give(scene, busy, 64);
	check_u64_eq(cache_count(scene->pc), 1);
	ticks(scene, 3);
	ticks(scene, 4);
	check_u64_eq(cache_count(scene->pc), 0);
	percpu_scene_check(scene);
}

/* A caller that may wait fills the pages in use and then new ones; a refill for it leaves the reserve, too. */
SIM_TEST(percpu_refill_leaves_the_reserve, .cpus_nr = 1)
{
	struct percpu_scene *scene = small_stacks_scene(sim);
	struct percpu *pc = scene->pc;
	uint64_t populated;

	cache_after_free(pc, 1);
	percpu_balance(scene, false);
	check_u64_eq(pc->empty_pages, EMPTY_HIGH);
	populated = pc->populated_pages;
	for (unsigned i = 0; i < 2 * PAGE_BYTES / 8 && pc->populated_pages == populated; i++) {
		percpu_take(scene, 8, 0);
		check_u64_eq(pc->empty_pages, EMPTY_HIGH);
	}
	SIM_CHECK(pc->populated_pages != populated);
	percpu_scene_check(scene);
}

static void gives_the_first(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[0], 8);
}

static void check_searched(struct percpu *pc)
{
	SIM_CHECK(cache_count(pc) == 0 ||
		  (load_relaxed(&pc->opened) != 0 && load_relaxed(&pc->learn[0].opened) != 0));
}

static void gives_the_second_and_looks(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[1], 8);
	check_searched(scene->pc);
}

/* Once an object is on a stack, a second free of it searches the stacks, even if the thread that opens the
 * stack has not come back yet. */
SIM_TEST(percpu_first_cached_object_is_searched_for, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct percpu_scene *scene = small_stacks_scene(sim);

	sim_cpu(sim, 0, gives_the_first, scene);
	sim_cpu(sim, 0, gives_the_second_and_looks, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* ---- objects of whole pages ---- */

/* Stacks of one and of two pages are open on CPU 0. */
static struct percpu_scene *pages_scene(struct sim *sim)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	for (uint32_t pages = 1; pages <= 2; pages++) {
		store_relaxed(&scene->pc->learn[CACHE_SMALL_NR + pages - 1].count, COUNT_WARM);
		cache_after_free(scene->pc, page_granule(scene->pc, pages));
	}
	return scene;
}

static void gives_a_page(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->object[10], PAGE_BYTES);
}

static void gives_the_next_page_and_takes_one(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->object[11], PAGE_BYTES);
	scene->object[11] = percpu_take(scene, PAGE_BYTES, QUIRE_NOWAIT);
}

static void gives_the_next_page(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->object[11], PAGE_BYTES);
	scene->object[11] = NULL;
}

/* The next page becomes empty, and the last map moves into the place of its own, while the first is freed: a word of
 * the one map and a word of the other say that the first goes on there. */
SIM_TEST(percpu_page_freed_while_the_next_ones_map_is_replaced, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2, .events = SIM_MEMORY, .enters = { "map_give_locked", "push_pages" })
{
	struct percpu_scene *scene = pages_scene(sim);

	sim_cpu(sim, 0, gives_a_page, scene);
	sim_cpu(sim, 1, gives_the_next_page, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void frees_a_page(void *arg)
{
	struct percpu_scene *scene = arg;

	quire_free_percpu(scene->q, scene->object[10]);
}

static void gives_the_next_pages_map(void *arg)
{
	struct percpu_scene *scene = arg;
	struct percpu *pc = scene->pc;
	lock_token token = lock_acquire(&pc->lock);

	map_give_locked(pc, place_page(pc, place_of(pc, scene->object[11])));
	lock_release(&pc->lock, token);
}

/* The same, and no more of it than the end, where stores may leave in any order.  All eight used words of the map that moves
 * would have to be seen, and neither that the other is hidden nor the boundary: one run in 40,000 would find it. */
SIM_TEST(percpu_page_freed_while_the_next_ones_map_is_hidden, .model = SIM_PSO, .keep_model = true,
	 .enters = { "map_give_locked", "push_pages" })
{
	struct percpu_scene *scene = pages_scene(sim);
	struct percpu *pc = scene->pc;
	uint32_t granule = place_granule(place_of(pc, scene->object[11]));

	map_clear(pc, granule, granule + page_granules(pc));
	sim_cpu(sim, 0, frees_a_page, scene);
	sim_cpu(sim, 1, gives_the_next_pages_map, scene);
	sim_run(sim);
	check_u64_eq(stacks_held(&pc->stacks, &pc->cpu[0].door, CACHE_SMALL_NR + 1), 0);
}

static void frees_page_1(void *arg)
{
	struct percpu_scene *scene = arg;

	quire_free_percpu(scene->q, scene->object[1]);
}

/* The next page's map is replaced by that of a page where an object goes on: whoever reads a word of this one sees
 * that it is no longer the next page's. */
SIM_TEST(percpu_page_freed_while_the_next_ones_map_moves, .model = SIM_ARM, .events = SIM_MEMORY,
	 .enters = { "map_give_locked", "push_pages" })
{
	struct percpu_scene *scene = pages_scene(sim);

	SIM_CHECK((char *)scene->object[2] == (char *)scene->object[1] + PAGE_BYTES);
	scene->small[0] = percpu_take(scene, 2 * (size_t)PAGE_BYTES, 0);
	SIM_CHECK(percpu_has_last_map(scene, (char *)scene->small[0] + PAGE_BYTES));
	scene->live--;
	sim_cpu(sim, 0, frees_page_1, scene);
	sim_cpu(sim, 1, percpu_moves_the_last_map, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* A page is freed while the next one is, and is used again: the first must not be taken for two pages. */
SIM_TEST(percpu_pages_freed_side_by_side, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3,
	 .events = SIM_MEMORY)
{
	struct percpu_scene *scene = pages_scene(sim);

	while (scene->pc->empty_pages !=
	       0) /* so that the page that is freed is the one that is taken */
		percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
	SIM_CHECK((char *)scene->object[11] == (char *)scene->object[10] + PAGE_BYTES);
	sim_cpu(sim, 0, gives_a_page, scene);
	sim_cpu(sim, 1, gives_the_next_page_and_takes_one, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void gives_two_pages(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[0], 2 * (size_t)PAGE_BYTES);
}

/* The map of an object's second page moves while a free reads it, and its old place is written anew. */
SIM_TEST(percpu_pages_meet_a_moving_map, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY)
{
	struct percpu_scene *scene = pages_scene(sim);

	scene->small[0] = percpu_take(scene, 2 * (size_t)PAGE_BYTES, 0);
	SIM_CHECK((uintptr_t)scene->small[0] % PAGE_BYTES == 0);
	sim_cpu(sim, 0, gives_two_pages, scene);
	sim_cpu(sim, 1, percpu_empties_a_page_and_fills_another, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

#define ODD_BYTES (2 * PAGE_BYTES - 512)

static void frees_an_odd_one(void *arg)
{
	struct percpu_scene *scene = arg;

	quire_free_percpu(scene->q, scene->small[0]);
}

/* The end of an object's second page is another's: that it begins there is not read in the words where the map was
 * before. */
SIM_TEST(percpu_odd_pages_meet_a_map_that_moved, .model = SIM_ARM, .events = SIM_MEMORY,
	 .enters = { "map_give_locked", "push_pages" })
{
	struct percpu_scene *scene = pages_scene(sim);

	scene->small[0] = quire_alloc_percpu(scene->q, ODD_BYTES, PAGE_BYTES, 0);
	scene->small[1] = percpu_take(scene, 512, 0);
	SIM_CHECK((char *)scene->small[1] == (char *)scene->small[0] + ODD_BYTES);
	SIM_CHECK(percpu_has_last_map(scene, scene->small[1]));
	sim_cpu(sim, 0, frees_an_odd_one, scene);
	sim_cpu(sim, 1, percpu_moves_the_last_map, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void gives_and_takes_pages(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned i = 0; i < 2; i++)
		percpu_give(scene, percpu_take(scene, PAGE_BYTES, 0), PAGE_BYTES);
}

/* Pages whose record says that a stack holds their object: its next free would search for it. */
static unsigned marked_pages(const struct percpu *pc)
{
	unsigned nr = 0;

	for (uint32_t page = 0; page < pc->pages_end; page++)
		nr += pc->page[page].cached != 0;
	return nr;
}

/* They come back from the stack, read zero on every CPU, and keep neither page nor mark when it is emptied. */
SIM_TEST(percpu_pages_on_stacks, .cpus_nr = 3, .events = SIM_MIGRATE | SIM_ABORT | SIM_MEMORY)
{
	struct percpu_scene *scene = pages_scene(sim);

	sim_cpu(sim, 0, gives_and_takes_pages, scene);
	sim_cpu(sim, 1, gives_and_takes_pages, scene);
	sim_cpu(sim, 2, percpu_drains, scene);
	sim_run(sim);
	percpu_drains(scene);
	check_u64_eq(cache_count(scene->pc), 0);
	check_u64_eq(marked_pages(scene->pc), 0);
	percpu_scene_check(scene);
}

/* ---- many in one call, and objects of 4 bytes ---- */

static void takes_and_frees_ten(void *arg)
{
	const struct quire_percpu_request known = QUIRE_PERCPU_REQUEST_INIT(.bytes = 16);
	struct percpu_scene *scene = arg;
	void *ptrs[10];

	check_u64_eq(quire_alloc_percpu_bulk(scene->q, &known, ptrs, 10), 10);
	for (unsigned i = 0; i < 10; i++) {
		uint64_t *copy = quire_per_cpu_ptr(ptrs[i], 1);

		check_u64_eq(*copy, 0);
		*copy = 1;
	}
	quire_free_percpu_bulk(scene->q, ptrs, 10);
}

/* Many objects in one hold of the lock, beside a drain of what stacks hold of them. */
SIM_TEST(percpu_bulk_calls_by_two, .cpus_nr = 3, .events = SIM_MEMORY,
	 .enters = { "alloc_batch", "free_batch" })
{
	struct percpu_scene *scene = percpu_scene_make_warm(sim);

	sim_cpu(sim, 0, takes_and_frees_ten, scene);
	sim_cpu(sim, 1, takes_and_frees_ten, scene);
	sim_cpu(sim, 2, percpu_drains, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void takes_and_frees_fours(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned i = 0; i < 2; i++) {
		void *ptr = percpu_take(scene, 4, 0);

		percpu_give(scene, percpu_take(scene, 4, 0), 4);
		percpu_give(scene, ptr, 4);
	}
}

/* Two objects of 4 bytes share a granule: each reads zero when it is taken, and keeps what is written. */
SIM_TEST(percpu_fours_by_two, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1, .events = SIM_MEMORY,
	 .enters = { "map_find_four", "free_four" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	sim_cpu(sim, 0, takes_and_frees_fours, scene);
	sim_cpu(sim, 1, takes_and_frees_fours, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* ---- a second free ----------------------------------------------------------------------------- */

/* small[0] to small[3] fill the stack of CPU 0; the newest are the first to go back. */
static struct percpu_scene *full_stack_scene(struct sim *sim)
{
	struct percpu_scene *scene = small_stacks_scene(sim);

	cache_after_free(scene->pc, 1);
	for (unsigned i = 0; i < ROOM; i++)
		percpu_give(scene, scene->small[i], 8);
	check_u64_eq(cache_count(scene->pc), ROOM);
	sim_end_by("misuse");
	return scene;
}

static void frees_one_more(void *arg)
{
	struct percpu_scene *scene = arg;

	quire_free_percpu(scene->q, scene->small[ROOM]);
}

/* Frees again what is on the stack, on its way to the maps, or there. */
static void frees_again(void *arg)
{
	struct percpu_scene *scene = arg;

	quire_free_percpu(scene->q, scene->small[ROOM - 1]);
}

/* Were the second free believed, the object would be another's before it arrives in the maps, and the first
 * free would take it away. */
static void frees_again_and_takes(void *arg)
{
	struct percpu_scene *scene = arg;

	frees_again(scene);
	SIM_CHECK(quire_alloc_percpu(scene->q, 8, 0, 0) != NULL);
}

/* The stacks are searched; the search waits for an object that has left one and has not arrived. */
SIM_TEST(percpu_second_free_during_a_spill_is_found, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct percpu_scene *scene = full_stack_scene(sim);

	sim_cpu(sim, 0, frees_one_more, scene);
	sim_cpu(sim, 1, frees_again_and_takes, scene);
	sim_run(sim);
	sim_fail("unseen", "an object was freed twice");
}

/* The same where all stacks are emptied. */
SIM_TEST(percpu_second_free_during_a_drain_is_found, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct percpu_scene *scene = full_stack_scene(sim);

	sim_cpu(sim, 0, percpu_drains, scene);
	sim_cpu(sim, 1, frees_again_and_takes, scene);
	sim_run(sim);
	sim_fail("unseen", "an object was freed twice");
}

static void writes_and_frees_again(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned unit = 0; unit < scene->pc->units; unit++)
		*(uint64_t *)quire_per_cpu_ptr(scene->small[ROOM - 1], unit) = 1;
	frees_again(scene);
}

/* A write to a freed object has removed its mark, so nothing is searched: who brings it to the maps finds that
 * it is no object any more. */
SIM_TEST(percpu_second_free_without_the_mark_is_found, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2)
{
	struct percpu_scene *scene = full_stack_scene(sim);

	sim_cpu(sim, 0, percpu_drains, scene);
	sim_cpu(sim, 1, writes_and_frees_again, scene);
	sim_run(sim);
	percpu_drains(scene); /* the second free may have found a stack */
	sim_fail("unseen", "an object was freed twice");
}

static void gives_two(void *arg)
{
	gives_the_first(arg);
	percpu_give(arg, ((struct percpu_scene *)arg)->small[1], 8);
}

/* A drain forgets which stacks were opened, but not one that is opened again before the drain ends. */
SIM_TEST(percpu_stack_opened_during_a_drain_is_searched, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1)
{
	struct percpu_scene *scene = small_stacks_scene(sim);

	cache_after_free(scene->pc, 1);
	sim_cpu(sim, 0, percpu_drains, scene);
	sim_cpu(sim, 0, gives_two, scene);
	sim_run(sim);
	check_searched(scene->pc);
	percpu_scene_check(scene);
}

static void forgets_small(void *arg)
{
	cache_forget(((struct percpu_scene *)arg)->pc, 0);
}

static void frees_and_takes_small(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[0], 8);
	scene->small[0] = percpu_take(scene, 8, 0);
}

/* What is learnt of a size is forgotten under the lock under which its frees and allocations are counted. */
SIM_TEST(percpu_forgetting_a_size_against_its_frees, .enters = { "cache_forget" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	scene->small[0] = percpu_take(scene, 8, 0);
	sim_cpu(sim, 0, forgets_small, scene);
	sim_cpu(sim, 1, frees_and_takes_small, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}
