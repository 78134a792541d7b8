/* SPDX-License-Identifier: MIT */
/* malloc_heap_sim.c - the heap: who makes it, what serves meanwhile, and the cold paths of calls and handlers */
#include "machine/work.h"
#include "sim/malloc/malloc_scene.h"
#include "stat/figures.h"

#define CONF  "limit:8m,worker:off,thp:off"
#define SMALL 64u
#define LARGE 40000u
#define HUGE  300000u /* more than the boot arena has */

/* ---- making the heap ---- */

static void first_calls(void *arg)
{
	struct malloc_scene *scene = arg;
	uint32_t place = fetch_add_relaxed(&scene->turn, 4); /* its own four */

	scene_keep(scene, place, block_take(scene, SMALL));
	scene_keep(scene, place + 1, block_take(scene, HUGE));
	SIM_CHECK(scene->block[place].words != NULL && scene->block[place + 1].words != NULL);
	SIM_CHECK(!boot_has(scene->block[place + 1].words));
	block_resize(scene, &scene->block[place], 2 * SMALL + 16);
}

/* One makes it; meanwhile the boot arena serves the other, who waits only for what is large. */
SIM_TEST(malloc_heap_is_made_once)
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	sim_cpu(sim, 0, first_calls, scene);
	sim_cpu(sim, 1, first_calls, scene);
	sim_run(sim);
	SIM_CHECK(malloc_begin());
	malloc_scene_end(scene);
}

static void first_call(void *arg)
{
	struct malloc_scene *scene = arg;

	scene_keep(scene, 0, block_take(scene, SMALL));
	scene_keep(scene, 1, block_take(scene, SMALL));
}

static void handler_calls(void *arg)
{
	struct malloc_scene *scene = arg;
	struct malloc_block block;
	int error = process_errno();

	/* Otherwise it is a call like others, which may wait. */
	if (!lock_nested() && (load_relaxed(&malloc_heap.state) == 0 || malloc_begin()))
		return;
	block = block_take(scene, SMALL);
	SIM_CHECK(block.words != NULL);
	block_give(scene, &block);
	block = block_take(scene, HUGE); /* none, if the heap is the interrupted frame's to make */
	block_give(scene, &block);
	process_set_errno(error);
}

/* A handler that interrupts the maker does not wait for it. */
SIM_TEST(malloc_heap_is_made_beside_a_handler, .cpus_nr = 1)
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	sim_cpu(sim, 0, first_call, scene);
	sim_irq(sim, 0, handler_calls, scene, 2);
	sim_run(sim);
	SIM_CHECK(malloc_begin());
	malloc_scene_end(scene);
}

static void child_calls(void *arg)
{
	struct malloc_scene *scene = arg;

	sim_fork_child();
	scene_keep(scene, 4, block_take(scene, SMALL));
	scene_keep(scene, 5, block_take(scene, LARGE));
	SIM_CHECK(scene->block[4].words != NULL && scene->block[5].words != NULL);
	SIM_CHECK(malloc_begin());
	check_u64_eq((uint64_t)quire_verify(malloc_heap.q), 0);
	store_relaxed(&scene->turn, 1); /* read at the end */
}

/* The maker has vanished at any step: the child makes its own heap, or has its parent's whole. */
SIM_TEST(malloc_heap_of_a_child_is_whole)
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	sim_cpu(sim, 0, first_call, scene);
	sim_cpu(sim, 1, child_calls, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* What the system refuses it may grant to the next call. */
SIM_TEST(malloc_heap_is_tried_again, .cpus_nr = 1, .events = SIM_REFUSE, .refusals = 1)
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	sim_cpu(sim, 0, first_call, scene);
	sim_run(sim);
	SIM_CHECK(scene->block[0].words != NULL);
	SIM_CHECK(malloc_begin());
	scene_keep(scene, 2, block_take(scene, LARGE));
	SIM_CHECK(scene->block[2].words != NULL);
	malloc_scene_end(scene);
}

static void calls_twice(void *arg)
{
	struct malloc_scene *scene = arg;
	uint32_t place = fetch_add_relaxed(&scene->turn, 2); /* its own two */

	scene_keep(scene, place, block_take(scene, SMALL));
	scene_keep(scene, place + 1, block_take(scene, SMALL));
}

/* The system refuses one thread the heap: another one makes it, and both are served meanwhile. */
SIM_TEST(malloc_heap_is_tried_again_by_another, .events = SIM_REFUSE, .refusals = 1,
	 .enters = { "malloc/heap.c:make" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	sim_cpu(sim, 0, calls_twice, scene);
	sim_cpu(sim, 1, calls_twice, scene);
	sim_run(sim);
	SIM_CHECK(malloc_is_ready());
	malloc_scene_end(scene);
}

static void begins(void *arg)
{
	(void)arg;
	/* Whoever was told that it is ready goes through the layer. */
	SIM_CHECK(!malloc_begin() || load_acquire(&malloc_heap.layer) != NULL);
}

/* A thread that is about to make the heap, and finds it made, has all of it, also where loads are late. */
SIM_TEST(malloc_heap_is_found_by_a_late_maker, .cpus_nr = 3, .model = SIM_ARM,
	 .enters = { "malloc/heap.c:make" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	for (unsigned cpu = 0; cpu < 3; cpu++)
		sim_cpu(sim, cpu, begins, scene);
	sim_run(sim);
	SIM_CHECK(malloc_begin());
	malloc_scene_end(scene);
}

static void reads_figures(void *arg)
{
	struct figure_values values = { .vmap = QUIRE_VMAP_STAT_INIT,
					.slab = QUIRE_SLAB_STAT_INIT };
	struct malloc_count small, class;

	(void)arg;
	malloc_count_small(&values, &small);
	malloc_count_class(malloc_table_class(table_place(SMALL)), &class);
	SIM_CHECK(malloc_is_ready() || class.bytes + class.free_bytes == 0);
}

/* A reader of figures beside a thread that makes the heap and its first class finds each of them whole or not at all. */
SIM_TEST(malloc_figures_beside_the_first_call, .enters = { "malloc_count_class", "sampled_count" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF ",sample:2");

	sim_cpu(sim, 0, first_call, scene);
	sim_cpu(sim, 1, reads_figures, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

/* ---- cold paths ---- */

/* A heap, and blocks of it: the first ones of @bytes, as many as a page has. */
static struct malloc_scene *scene_with_blocks(struct sim *sim, size_t bytes, unsigned n)
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	for (unsigned i = 0; i < n; i++)
		scene_keep(scene, i, block_take(scene, bytes));
	return scene;
}

static void calls_all(void *arg)
{
	struct malloc_scene *scene = arg;
	struct malloc_block block = block_take(scene, SMALL);

	block_give(scene, &scene->block[0]);
	block_resize(scene, &block, 4 * SMALL);
	block_resize(scene, &block, LARGE);
	block_resize(scene, &block, SMALL);
	block_give(scene, &block);
	block = block_take_aligned(scene, 128, 100);
	block_give(scene, &scene->block[1]);
	block_give(scene, &block);
	block = block_take_zeroed(scene, LARGE);
	block_give(scene, &block);
}

static void handler_calls_all(void *arg)
{
	struct malloc_scene *scene = arg;
	struct malloc_block block;
	int error = process_errno();

	if (!lock_nested())
		return;
	block = block_take(scene, SMALL);
	SIM_CHECK(block.words != NULL);
	block_resize(scene, &block, 3 * SMALL);
	block_give(scene, &block);
	block = block_take_aligned(scene, 128, 100);
	SIM_CHECK(block.words != NULL);
	block_give(scene, &block);
	block = block_take_zeroed(scene, LARGE);
	block_give(scene, &block);
	process_set_errno(error);
}

static void handler_against_all(struct sim *sim, bool areas)
{
	struct malloc_scene *scene = scene_with_blocks(sim, SMALL, 4);

	if (areas)
		malloc_heap.first_runs =
			UINT32_MAX; /* else the few large blocks are runs of pages */
	/* The class above that of 128 bytes has free blocks, the next of which is at no multiple of 128. */
	scene_keep(scene, 4, block_take(scene, 144));
	sim_cpu(sim, 0, calls_all, scene);
	sim_irq(sim, 0, handler_calls_all, scene, 2);
	sim_run(sim);
	malloc_scene_end(scene);
}

/* A handler that interrupted a holder of locks waits for none, and is served: from a class above, or from the boot
 * arena, and at a multiple of what it asked for. */
SIM_TEST(malloc_handler_is_always_served, .events = SIM_ABORT | SIM_TRYFAIL)
{
	handler_against_all(sim, false);
}

SIM_TEST(malloc_handler_is_served_beside_areas, .events = SIM_ABORT | SIM_TRYFAIL)
{
	handler_against_all(sim, true);
}

/* The same where every call is cold and counted: what is counted is what is in use, and a block that was in use before
 * reads zero if that is asked for. */
SIM_TEST(malloc_counts_what_is_in_use, .events = SIM_ABORT)
{
	struct malloc_scene *scene;

	scene = malloc_scene_make(sim, CONF);
	malloc_scene_count();
	for (unsigned i = 0; i < 6; i++)
		scene_keep(scene, i, block_take(scene, SMALL));
	sim_cpu(sim, 0, calls_all, scene);
	sim_irq(sim, 0, handler_calls_all, scene, 2);
	sim_run(sim);
	scene_keep(scene, 6, block_take_zeroed(scene, SMALL));
	malloc_scene_end(scene);
}

static void shrinks_to_small(void *arg)
{
	struct malloc_scene *scene = arg;
	struct malloc_block large = block_take(scene, LARGE);

	block_give(scene, &scene->block[1]);
	block_resize(scene, &large, SMALL); /* there */
	SIM_CHECK(large.words < scene->block[2].words);
	block_check(&scene->block[2]);
	block_give(scene, &large);
}

/* No more is copied to a smaller block than it has room for. */
SIM_TEST(malloc_resize_leaves_neighbours_alone, .cpus_nr = 1)
{
	struct malloc_scene *scene = scene_with_blocks(sim, SMALL, 4);

	sim_cpu(sim, 0, shrinks_to_small, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

/* Blocks of HOST_BYTES fill their class's slab, and the class of UNALIGNED has earned its own: whoever asks next opens it. */
#define HOST_BYTES 16384u
#define HOST_NR	   16u /* in a slab */
#define UNALIGNED  13000u
#define ALIGN	   1024u /* its class, of 13,824 bytes, has 512 */

static void takes_aligned(void *arg)
{
	struct malloc_scene *scene = arg;

	scene_keep(scene, HOST_NR, block_take_aligned(scene, ALIGN, UNALIGNED));
}

static void takes_two_that_open(void *arg)
{
	struct malloc_scene *scene = arg;

	scene_keep(scene, HOST_NR + 1, block_take(scene, UNALIGNED + ALIGN / 2));
	scene_keep(scene, HOST_NR + 2, block_take(scene, UNALIGNED + ALIGN / 2));
}

/* The class that opens beneath an aligned block does not serve it. */
SIM_TEST(malloc_aligned_block_beside_an_opener, .enters = { "malloc_coarse_grows" })
{
	struct malloc_scene *scene = scene_with_blocks(sim, HOST_BYTES, HOST_NR);
	unsigned class = malloc_table_class(table_place(UNALIGNED + ALIGN / 2));

	check_u64_eq(malloc_table_bytes(class) % ALIGN, ALIGN / 2);
	store_relaxed(&malloc_heap.coarse.grown[class], UINT8_MAX);
	sim_cpu(sim, 0, takes_aligned, scene);
	sim_cpu(sim, 1, takes_two_that_open, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

/* Takes what there is, in blocks of a size. */
static void exhaust(struct malloc_scene *scene, size_t bytes)
{
	while (block_take(scene, bytes).words != NULL)
		;
}

static void shrinks(void *arg)
{
	struct malloc_scene *scene = arg;

	/* Neither is there another block; it stays as large as it is, and may be freed as what was asked for. */
	block_resize(scene, &scene->block[0], 100);
	SIM_CHECK(malloc_usable(scene->block[0].words, "malloc_usable_size") >= 16384);
	malloc_check_bytes(scene->block[0].words, MALLOC_ALIGN, 100, "free_sized");
	block_resize(scene, &scene->block[1], 64000);
	check_u64_eq(scene->block[1].bytes, 16384);
}

SIM_TEST(malloc_shrinks_where_another_block_is_refused, .cpus_nr = 1)
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	scene_keep(scene, 0, block_take(scene, 16384));
	scene_keep(scene, 1, block_take(scene, 16384));
	exhaust(scene, 300000);
	exhaust(scene, 40000);
	exhaust(scene, 16384);
	exhaust(scene, 4096);
	sim_cpu(sim, 0, shrinks, scene);
	sim_run(sim);
	malloc_scene_check(scene);
}

/* ---- areas ---- */

#define AREA  200000u
#define GROWN 1600000u
#define LEAST 30000u /* no area any more */

static void grows_and_shrinks(void *arg)
{
	struct malloc_scene *scene = arg;

	block_resize(scene, &scene->block[0], GROWN);
	block_resize(scene, &scene->block[0], LEAST);
}

static void handler_keeps_an_area(void *arg)
{
	struct malloc_scene *scene = arg;
	int error = process_errno();

	if (!lock_nested())
		return;
	scene_keep(scene, 1 + fetch_add_relaxed(&scene->turn, 1), block_take(scene, AREA));
	process_set_errno(error);
}

static void keeps_areas(void *arg)
{
	struct malloc_scene *scene = arg;

	scene_keep(scene, 1, block_take(scene, AREA));
	scene_keep(scene, 2, block_take(scene, AREA));
}

static struct malloc_scene *scene_with_an_area(struct sim *sim)
{
	struct malloc_scene *scene = malloc_scene_make(sim, "limit:16m,worker:off,thp:off");

	scene_keep(scene, 0, block_take(scene, AREA));
	sim_cpu(sim, 0, grows_and_shrinks, scene);
	return scene;
}

/* What an area grows into, and what it leaves behind, is nobody else's meanwhile: handlers that take areas at any step
 * of it keep what they wrote, and so does it. */
SIM_TEST(malloc_area_is_resized_beside_a_handler, .cpus_nr = 1, .events = SIM_ABORT | SIM_TRYFAIL,
	 .enters = { "space_grow_locked", "take_content" })
{
	struct malloc_scene *scene = scene_with_an_area(sim);

	sim_irq(sim, 0, handler_keeps_an_area, scene, 2);
	sim_run(sim);
	malloc_scene_end(scene);
}

/* The same beside another CPU. */
SIM_TEST(malloc_area_is_resized_beside_a_task, .events = SIM_MIGRATE | SIM_ABORT,
	 .enters = { "space_grow_locked", "take_content" })
{
	struct malloc_scene *scene = scene_with_an_area(sim);

	sim_cpu(sim, 1, keeps_areas, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

#define RUN	100000u /* the first few such blocks are runs of pages */
#define RUNS_NR 8u

static void takes_the_first_large_ones(void *arg)
{
	struct malloc_scene *scene = arg;

	for (unsigned i = 0; i <= RUNS_NR; i++) {
		scene_keep(scene, i, block_take(scene, RUN));
		SIM_CHECK(malloc_is_area(scene->block[i].words) == (i == RUNS_NR));
	}
}

/* A program with few large blocks needs no areas. */
SIM_TEST(malloc_first_large_blocks_are_runs, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "first_alloc" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	sim_cpu(sim, 0, takes_the_first_large_ones, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

static void takes_a_run_beside_an_area(void *arg)
{
	struct malloc_scene *scene = arg;

	scene_keep(scene, 0, block_take(scene, AREA));
	scene_keep(scene, 1, block_take(scene, RUN));
	SIM_CHECK(malloc_is_area(scene->block[1].words));
	SIM_CHECK(!malloc_is_area(scene));
}

/* Nor are there runs once there are areas, which cost less. */
SIM_TEST(malloc_large_blocks_beside_an_area_are_areas, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "first_alloc" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	sim_cpu(sim, 0, takes_a_run_beside_an_area, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

static void frees_the_run(void *arg)
{
	struct malloc_scene *scene = arg;

	block_give(scene, &scene->block[0]);
}

static void takes_an_area(void *arg)
{
	struct malloc_scene *scene = arg;

	scene_keep(scene, 1, block_take(scene, AREA));
}

/* A run of pages is freed while another thread makes the areas: as soon as there are some, the free asks whether it is one. */
SIM_TEST(malloc_run_is_freed_beside_the_first_area, .enters = { "areas_around" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	scene_keep(scene, 0, block_take(scene, RUN));
	sim_cpu(sim, 0, frees_the_run, scene);
	sim_cpu(sim, 1, takes_an_area, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

/* ---- classes and the end ---- */

static void asks_for_classes(void *arg)
{
	struct malloc_scene *scene = arg;
	unsigned class = malloc_class_for(SMALL), unused = malloc_class_for(LARGE / 2);
	struct malloc_count count;

	scene_keep(scene, 0, block_take(scene, SMALL));
	SIM_CHECK(malloc_class_made(class, QUIRE_NOLOCK));
	SIM_CHECK(!malloc_class_made(unused, QUIRE_NOLOCK));
	malloc_count_class(class, &count);
	check_u64_eq(count.blocks, 1);
	check_u64_eq(count.bytes, SMALL);
	malloc_count_class(unused, &count);
	check_u64_eq(count.blocks, 0);
}

/* A handler uses the classes that are made, and makes none. */
SIM_TEST(malloc_handler_has_the_classes_that_are_made, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "malloc_class_made", "malloc_count_class" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	SIM_CHECK(malloc_begin());
	sim_cpu(sim, 0, asks_for_classes, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

static void ends(void *arg)
{
	(void)arg;
	malloc_end();
	malloc_retire_worker();
}

/* The process ends while another thread makes the heap, or has not made it. */
SIM_TEST(malloc_end_beside_the_first_call, .enters = { "malloc_end", "malloc_retire_worker" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	sim_cpu(sim, 0, ends, scene);
	sim_cpu(sim, 1, first_call, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

static void leaves_the_work_to_calls(void *arg)
{
	(void)arg;
	SIM_CHECK(!work_needs_callers(&malloc_heap.q->work));
	malloc_retire_worker();
	SIM_CHECK(work_needs_callers(&malloc_heap.q->work));
}

/* The worker's thread ends with the process's first one. */
SIM_TEST(malloc_worker_ends_with_the_first_thread, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "malloc_retire_worker" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, "limit:8m,thp:off");

	SIM_CHECK(malloc_begin());
	sim_cpu(sim, 0, leaves_the_work_to_calls, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}
