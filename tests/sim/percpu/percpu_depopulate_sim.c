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
