/* SPDX-License-Identifier: MIT */
/* percpu_depopulate_sim.c - chunks that lose their pages while they are used */
#include "page/pages.h"
#include "sim/percpu/percpu_scene.h"

static void balances(void *arg)
{
	percpu_balance(arg, false);
}

static void takes_pages(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned i = 0; i < 7; i++)
		percpu_take(scene, PAGE_BYTES, i == 1 ? QUIRE_ATOMIC : 0);
}

static void flush_scene(struct sim *sim)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_isolate(scene, 12, 22);
	sim_cpu(sim, 0, balances, scene);
	sim_cpu(sim, 1, takes_pages, scene);
	sim_run(sim);
	for (unsigned i = 0; i < 12; i++)
		SIM_CHECK(percpu_take(scene, PAGE_BYTES, 0) != NULL);
	percpu_scene_check(scene);
}

/* Both CPUs have written the pages and keep translations of them.  What is populated again reads
 * zero on both and keeps what is written: no CPU reaches the old memory any more (R1). */
SIM_TEST(percpu_depopulate_flushes_before_reuse, .events = SIM_MEMORY)
{
	flush_scene(sim);
}

/* The same where translations are evicted often: a missing flush hides here most of the time. */
SIM_TEST(percpu_depopulate_with_evictions, .events = SIM_MEMORY, .tlb = SIM_TLB_X86)
{
	flush_scene(sim);
}

/* The same where a gather is full after each range. */
SIM_TEST(percpu_depopulate_in_full_gathers, .batch_max = 1, .events = SIM_MEMORY,
	 .enters = { "unback_run" })
{
	flush_scene(sim);
}

/* Exactly the empty pages go, in every unit, whatever lies between them (R4). */
SIM_TEST(percpu_depopulates_what_is_empty, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);
	uint64_t used, populated;

	for (unsigned i = 9; i < 20; i += i % 3 + 1) {
		percpu_give(scene, scene->object[i], PAGE_BYTES);
		scene->object[i] = NULL;
	}
	percpu_isolate(scene, 0, 0);
	used = scene->pc->chunk[1].populated & ~scene->pc->chunk[1].free;
	sim_cpu(sim, 0, balances, scene);
	sim_run(sim);
	populated = scene->pc->chunk[1].populated;
	SIM_CHECK((used & ~populated) == 0);
	percpu_balance(scene, true);
	check_u64_eq(scene->pc->chunk[1].populated, used);
	percpu_take(scene, PAGE_BYTES, 0);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_ACTIVE);
	scene->pc->depopulate = false; /* and it stays so */
	for (unsigned i = 0; i < OBJECTS_NR; i++)
		percpu_give(scene, scene->object[i], PAGE_BYTES);
	for (unsigned i = 0; i < 2 * OBJECTS_NR; i++)
		percpu_take(scene, PAGE_BYTES, 0);
	percpu_scene_check(scene);
}

/* Its last object goes before its pages do. */
SIM_TEST(percpu_depopulated_chunk_without_objects_is_free, .cpus_nr = 1,
	 .enters = { "settle_locked" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_isolate(scene, 0, OBJECTS_NR - 1);
	percpu_give(scene, scene->object[OBJECTS_NR - 1], PAGE_BYTES);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_TO_DEPOPULATE);
	sim_cpu(sim, 0, balances, scene);
	sim_run(sim);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_FREE);
	percpu_scene_check(scene);
}

static void frees_and_takes_all_sizes(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->object[10], PAGE_BYTES);
	percpu_take(scene, 4, 0);
	percpu_take(scene, 24, QUIRE_ATOMIC);
	percpu_take(scene, 2000, 0);
	percpu_give(scene, scene->object[23], PAGE_BYTES);
	percpu_take(scene, 2 * PAGE_BYTES, 0);
}

/* The lock is dropped while the pages go: frees of the chunk's other objects, allocations of every
 * size and a second round of the worker find it in a state they can deal with (R2). */
SIM_TEST(percpu_chunk_is_safe_while_unlocked, .cpus_nr = 3, .events = SIM_MEMORY | SIM_RACE)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_isolate(scene, 12, 22);
	sim_cpu(sim, 0, balances, scene);
	sim_cpu(sim, 1, frees_and_takes_all_sizes, scene);
	sim_cpu(sim, 2, balances, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void frees_one_more(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->object[22], PAGE_BYTES);
}

/* A page that is emptied while others are on their way out is seen before the chunk is sidelined, or
 * brings it back to the worker (R3). */
SIM_TEST(percpu_free_during_the_flush_is_seen, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_isolate(scene, 12, 20);
	sim_cpu(sim, 0, balances, scene);
	sim_cpu(sim, 1, frees_one_more, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* What became empty during the flush has its content still: it is not counted as returned, and reads zero when it is
 * used again. */
SIM_TEST(percpu_page_freed_during_the_flush_reads_zero, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .events = SIM_MEMORY, .enters = { "account_locked" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_isolate(scene, 12, 20);
	sim_cpu(sim, 0, balances, scene);
	sim_cpu(sim, 1, frees_one_more, scene);
	sim_run(sim);
	for (unsigned i = 0; i < 40; i++)
		percpu_take(scene, PAGE_BYTES, 0);
	percpu_scene_check(scene);
}

/* A free that empties a page asks for the worker, who else would not come before another call. */
SIM_TEST(percpu_emptied_page_calls_the_worker, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .enters = { "after_free" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	store_relaxed(&scene->pc->due_ns, WORK_IDLE);
	sim_cpu(sim, 0, frees_one_more, scene);
	sim_run(sim);
	SIM_CHECK(scene->pc->due_ns != WORK_IDLE);
	percpu_scene_check(scene);
}

/* The pending run stays populated if the reserve ran low meanwhile (R5). */
SIM_TEST(percpu_pressure_returns_the_chunk, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_isolate(scene, 12, 20);
	for (unsigned i = 0; i < 4; i++)
		percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
	sim_cpu(sim, 0, balances, scene);
	sim_cpu(sim, 1, takes_pages, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void takes_large(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_take(scene, 8 * PAGE_BYTES, 0);
	percpu_take(scene, 8 * PAGE_BYTES, 0);
}

/* Only one CPU at a time makes chunks and populates; depopulating excludes both. */
SIM_TEST(percpu_populate_excludes_depopulate, .cpus_nr = 3, .events = SIM_MEMORY | SIM_RACE)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_isolate(scene, 12, 22);
	for (unsigned i = 0; i < 4; i++)
		percpu_take(scene, 8 * PAGE_BYTES, 0);
	sim_cpu(sim, 0, takes_large, scene);
	sim_cpu(sim, 1, takes_large, scene);
	sim_cpu(sim, 2, balances, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void takes_until_refused(void *arg)
{
	struct percpu_scene *scene = arg;

	while (scene->refused == 0)
		percpu_take(scene, 8 * PAGE_BYTES, 0);
}

/* What is charged is what is populated, after a refusal too (R6). */
SIM_TEST(percpu_refused_charge_leaves_nothing, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	for (unsigned i = 0; i < 100; i++)
		percpu_take(scene, 8 * PAGE_BYTES, 0);
	sim_cpu(sim, 0, takes_until_refused, scene);
	sim_run(sim);
	check_u64_eq(pages_of(scene->q)->zone[0].charged_pages, percpu_charged(scene));
	percpu_scene_check(scene);
}

/* An allocation that holds the mutex and needs room has every module shrink, this one too (R29). */
SIM_TEST(percpu_alloc_survives_its_own_shrink)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	for (unsigned i = 0; i < 100; i++)
		percpu_take(scene, 8 * PAGE_BYTES, 0);
	sim_cpu(sim, 0, takes_until_refused, scene);
	sim_cpu(sim, 1, balances, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* Of two free chunks one is destroyed.  It is out of reach before its pages go. */
SIM_TEST(percpu_destroy_excludes_allocation, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);
	void *large[8];

	scene->pc->depopulate = false; /* they become free with all their pages */
	for (unsigned i = 0; i < 8; i++)
		large[i] = percpu_take(scene, 8 * PAGE_BYTES, 0);
	for (unsigned i = 0; i < 4; i++)
		percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
	for (unsigned i = 4; i < OBJECTS_NR; i++)
		percpu_give(scene, scene->object[i], PAGE_BYTES);
	percpu_give(scene, scene->object[3], PAGE_BYTES);
	for (unsigned i = 0; i < 8; i++)
		percpu_give(scene, large[i], 8 * PAGE_BYTES);
	sim_cpu(sim, 0, balances, scene);
	sim_cpu(sim, 1, takes_pages, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void takes_atomic(void *arg)
{
	struct percpu_scene *scene = arg;

	balances(scene);
	percpu_use_up_limit(scene, QUIRE_ATOMIC); /* only the reserve is left */
	percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
	percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
}

/* Empty pages of isolated chunks are no reserve: the worker sees to one that can be used (R28). */
SIM_TEST(percpu_atomic_is_not_starved_by_isolation, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	for (unsigned i = 0; i < 4; i++)
		percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
	percpu_isolate(scene, 0, 0);
	sim_cpu(sim, 0, takes_atomic, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	percpu_scene_check(scene);
}

/* The same where objects are placed as Linux does: a run is found across pages, not in a chunk that is on its way. */
SIM_TEST(percpu_linux_placement_beside_a_depopulation, .events = SIM_MEMORY,
	 .enters = { "placement_linux_locked", "fit_between", "depopulate" })
{
	struct percpu_scene *scene = percpu_scene_make_linux(sim);

	percpu_isolate(scene, 12, 22);
	sim_cpu(sim, 0, balances, scene);
	sim_cpu(sim, 1, frees_and_takes_all_sizes, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* ---- beside stacks ---- */

/* The second chunk has objects of 64 bytes, small[0] to small[3], and stacks of that size are open on CPU 0. */
static struct percpu_scene *stacks_scene(struct sim *sim)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);
	struct percpu *pc = scene->pc;

	while (pc->empty_pages != 0)
		percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
	for (unsigned i = 0; i < 4; i++)
		scene->small[i] = percpu_take(scene, 64, 0);
	SIM_CHECK(place_chunk(pc, place_of(pc, scene->small[0])) == 1);
	SIM_CHECK(place_chunk(pc, place_of(pc, scene->small[3])) == 1);
	for (unsigned i = 0; i < 2 * COUNT_WARM; i++)
		percpu_give(scene, percpu_take(scene, 64, 0), 64);
	SIM_CHECK(cache_count(pc) != 0);
	return scene;
}

static void gives_and_takes_64(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[0], 64);
	percpu_give(scene, scene->small[1], 64);
	scene->small[0] = percpu_take(scene, 64, 0);
	scene->small[1] = percpu_take(scene, 64, 0);
}

/* A chunk loses its empty pages while a CPU pushes and pops objects of it: what is popped lies in pages that are
 * populated and keeps its content, and what was on stacks before keeps no page. */
SIM_TEST(percpu_depopulates_beside_stacks, .cpus_nr = 2,
	 .events = SIM_MIGRATE | SIM_ABORT | SIM_MEMORY)
{
	struct percpu_scene *scene = stacks_scene(sim);

	percpu_isolate(scene, 14, 20);
	sim_cpu(sim, 0, gives_and_takes_64, scene);
	sim_cpu(sim, 1, balances, scene);
	sim_run(sim);
	SIM_CHECK(scene->pc->chunk[1].state != CHUNK_TO_DEPOPULATE);
	for (unsigned i = 0; i < 4; i++)
		percpu_give(scene, scene->small[i], 64);
	percpu_scene_check(scene);
}

static void gives_last_pages(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned i = OBJECTS_NR - 4; i < OBJECTS_NR; i++)
		percpu_give(scene, scene->object[i], PAGE_BYTES);
}

static void balances_all(void *arg)
{
	percpu_balance(arg, true);
}

/* The second chunk has a few pages in use, object[20] to object[23], and stacks of pages are open on CPU 0. */
static struct percpu_scene *last_pages_scene(struct sim *sim)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	for (unsigned i = 0; i < 2 * COUNT_WARM; i++)
		percpu_give(scene, percpu_take(scene, PAGE_BYTES, 0), PAGE_BYTES);
	SIM_CHECK(cache_count(scene->pc) != 0);
	for (unsigned i = 0; i < OBJECTS_NR - 4; i++)
		if (place_chunk(scene->pc, place_of(scene->pc, scene->object[i])) == 1)
			percpu_give(scene, scene->object[i], PAGE_BYTES);
	return scene;
}

/* A chunk retreats while its last objects go onto a stack: it is destroyed when they have been taken in, not before,
 * and they do not keep it. */
SIM_TEST(percpu_retreats_beside_stacks, .cpus_nr = 2,
	 .events = SIM_MIGRATE | SIM_ABORT | SIM_MEMORY)
{
	struct percpu_scene *scene = last_pages_scene(sim);
	struct percpu *pc = scene->pc;

	sim_cpu(sim, 0, gives_last_pages, scene);
	sim_cpu(sim, 1, balances_all, scene);
	sim_run(sim);
	percpu_balance(scene, true);
	check_u64_eq(cache_count(pc), 0);
	check_u64_eq(pc->chunks_nr, 1);
	percpu_scene_check(scene);
}

/* A chunk whose last objects come back from stacks is free, like one whose last object was freed to the maps. */
SIM_TEST(percpu_drain_frees_the_chunk, .cpus_nr = 1, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = last_pages_scene(sim);

	sim_cpu(sim, 0, gives_last_pages, scene);
	sim_run(sim);
	SIM_CHECK(scene->pc->chunk[1].objects_nr != 0);
	percpu_drains(scene);
	check_u64_eq(scene->pc->chunk[1].objects_nr, 0);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_FREE);
	percpu_scene_check(scene);
}
