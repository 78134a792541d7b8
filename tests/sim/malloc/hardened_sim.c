/* SPDX-License-Identifier: MIT */
/* hardened_sim.c - malloc with hardened:on: blocks are checked, filled and wait before they are used again */
#include "malloc/layer.h"
#include "sim/malloc/malloc_scene.h"

#define CONF  "limit:8m,worker:off,thp:off,hardened:on"
#define SMALL 72u
#define LARGE 40000u

static struct malloc_scene *scene_make(struct sim *sim)
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	for (unsigned i = 0; i < 4; i++)
		scene_keep(scene, i, block_take(scene, i < 2 ? SMALL : LARGE));
	return scene;
}

static void calls_all(struct malloc_scene *scene, unsigned small, unsigned large)
{
	struct malloc_block block = block_take(scene, SMALL);

	SIM_CHECK(block.words != NULL);
	block_give(scene, &scene->block[small]);
	block_resize(scene, &block, 4 * SMALL);
	block_give(scene, &scene->block[large]);
	block_resize(scene, &block, LARGE);
	block_give(scene, &block);
	block = block_take_zeroed(scene, SMALL);
	block_give(scene, &block);
}

static void calls_of_first(void *arg)
{
	calls_all(arg, 0, 2);
}

static void calls_of_second(void *arg)
{
	calls_all(arg, 1, 3);
}

/* Blocks are freed on one CPU while they wait, leave and are used again on the other. */
SIM_TEST(malloc_hardened_blocks_of_two, .events = SIM_MEMORY,
	 .enters = { "hardened_layer_alloc", "hardened_layer_free", "hardened_layer_resize",
		     "hardened_layer_usable" })
{
	struct malloc_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, calls_of_first, scene);
	sim_cpu(sim, 1, calls_of_second, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

static void flushes(void *arg)
{
	(void)arg;
	malloc_give_back();
}

/* What waits is let go by another thread's malloc_trim(). */
SIM_TEST(malloc_hardened_free_against_a_trim, .events = SIM_MEMORY,
	 .enters = { "hardened_layer_free", "hardened_layer_flush" })
{
	struct malloc_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, calls_of_first, scene);
	sim_cpu(sim, 1, flushes, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

static void frees_three_large_ones(void *arg)
{
	struct malloc_scene *scene = arg;
	uint32_t place = fetch_add_relaxed(&scene->turn, 3); /* its own three */

	for (unsigned i = 0; i < 3; i++)
		block_give(scene, &scene->block[place + i]);
}

/* Large blocks of both CPUs wait in the same few places: a free lets go what the other CPU freed. */
SIM_TEST(malloc_hardened_large_blocks_of_two_wait, .events = SIM_MEMORY, .enters = { "wait_or_go" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	for (unsigned i = 0; i < 6; i++)
		scene_keep(scene, i, block_take(scene, LARGE));
	sim_cpu(sim, 0, frees_three_large_ones, scene);
	sim_cpu(sim, 1, frees_three_large_ones, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

static void flushes_the_layer(void *arg)
{
	(void)arg;
	malloc_heap.layer->flush(MALLOC_CALL("malloc_trim"));
}

/* A trim takes large blocks from wherever they wait, while others come. */
SIM_TEST(malloc_hardened_trim_takes_large_blocks, .events = SIM_MEMORY,
	 .enters = { "wait_or_go", "release_waiting" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	for (unsigned i = 0; i < 3; i++)
		scene_keep(scene, i, block_take(scene, LARGE));
	sim_cpu(sim, 0, frees_three_large_ones, scene);
	sim_cpu(sim, 1, flushes_the_layer, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

static void handler_calls(void *arg)
{
	struct malloc_scene *scene = arg;
	int error = process_errno();
	struct malloc_block block = block_take(scene, SMALL);

	SIM_CHECK(block.words != NULL);
	block_give(scene, &block);
	process_set_errno(error);
}

/* A handler is served, and frees, in the middle of the same. */
SIM_TEST(malloc_hardened_block_beside_a_handler, .cpus_nr = 1, .events = SIM_TRYFAIL,
	 .enters = { "hardened_layer_alloc", "hardened_layer_free" })
{
	struct malloc_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, calls_of_first, scene);
	sim_irq(sim, 0, handler_calls, scene, 2);
	sim_run(sim);
	malloc_scene_end(scene);
}

static void ends_by_misuse(struct sim *sim, void (*body)(void *arg), const char *words)
{
	struct malloc_scene *scene = scene_make(sim);

	sim_end_by_words("misuse", words);
	sim_cpu(sim, 0, body, scene);
	sim_run(sim);
	sim_fail("misuse unseen", "a block that is free passes for one that is not");
}

static void frees_a_large_one_twice(void *arg)
{
	struct malloc_scene *scene = arg;
	void *words = scene->block[2].words;

	block_give(scene, &scene->block[2]);
	malloc_free_cold(words, "free");
}

/* A large block that waits has its area still. */
SIM_TEST(malloc_hardened_area_is_not_freed_twice, .cpus_nr = 1,
	 .enters = { "malloc/hardened.c:large_free" })
{
	ends_by_misuse(sim, frees_a_large_one_twice, "double free");
}

static void asks_for_the_size_of_a_free_one(void *arg)
{
	struct malloc_scene *scene = arg;
	void *words = scene->block[2].words;

	block_give(scene, &scene->block[2]);
	(void)malloc_usable(words, "malloc_usable_size");
}

SIM_TEST(malloc_hardened_area_has_no_size_once_it_is_free, .cpus_nr = 1, .enters = { "large_at" })
{
	ends_by_misuse(sim, asks_for_the_size_of_a_free_one, "double free");
}

static void frees_what_is_no_block(void *arg)
{
	malloc_free_cold(arg, "free");
}

SIM_TEST(malloc_hardened_free_of_a_foreign_pointer, .cpus_nr = 1, .enters = { "large_at" })
{
	ends_by_misuse(sim, frees_what_is_no_block, "foreign pointer");
}

static void frees_with_a_wrong_size(void *arg)
{
	struct malloc_scene *scene = arg;

	malloc_check_bytes(scene->block[0].words, MALLOC_ALIGN, SMALL - 8, "free_sized");
}

/* It knows each block's size to the byte. */
SIM_TEST(malloc_hardened_size_is_exact, .cpus_nr = 1, .enters = { "may_be_larger" })
{
	ends_by_misuse(sim, frees_with_a_wrong_size, "wrong size");
}
