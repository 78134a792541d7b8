/* SPDX-License-Identifier: MIT */
/* malloc_boot_sim.c - the boot arena, whose blocks are cut and taken back by one compare-and-swap each */
#include "sim/malloc/malloc_scene.h"

#define EARLY_BYTES 48u

/* A block of the arena, which reads zero. */
static struct malloc_block cut(void)
{
	struct malloc_block block = { .words = boot_alloc(EARLY_BYTES, MALLOC_ALIGN),
				      .bytes = EARLY_BYTES };

	SIM_CHECK(block.words != NULL && boot_has(block.words));
	for (unsigned i = 0; i < EARLY_BYTES / sizeof(uint64_t); i++) {
		check_u64_eq(load_relaxed(&block.words[i]), 0);
		store_relaxed(&block.words[i], (uintptr_t)block.words);
	}
	check_u64_eq(boot_usable(block.words), EARLY_BYTES);
	return block;
}

/* Nobody else has had it. */
static void take_back(const struct malloc_block *block)
{
	for (unsigned i = 0; i < EARLY_BYTES / sizeof(uint64_t); i++)
		check_u64_eq(load_relaxed(&block->words[i]), (uintptr_t)block->words);
	check_u64_eq(boot_usable(block->words), EARLY_BYTES);
	boot_free(block->words);
}

static void cuts_and_takes_back(void *arg)
{
	struct malloc_scene *scene = arg;
	struct malloc_block one = cut(), two = cut(), three;

	take_back(&two);
	three = cut();
	take_back(&one);
	scene->block[fetch_add_relaxed(&scene->turn, 1)] = three; /* read at the end */
}

/* Bytes have one owner, and their mark is the last owner's, whoever cuts them again while they are taken back. */
SIM_TEST(malloc_boot_blocks_have_one_owner, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct malloc_scene *scene = malloc_scene_make(sim, "");

	sim_cpu(sim, 0, cuts_and_takes_back, scene);
	sim_cpu(sim, 1, cuts_and_takes_back, scene);
	sim_run(sim);
	for (unsigned i = 0; i < 2; i++)
		take_back(&scene->block[i]);
}

static void cuts_one(void *arg)
{
	struct malloc_block block = cut();

	take_back(&block);
	(void)arg;
}

/* A handler that interrupts a cut cuts behind it. */
SIM_TEST(malloc_boot_serves_a_handler, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct malloc_scene *scene = malloc_scene_make(sim, "");

	sim_cpu(sim, 0, cuts_and_takes_back, scene);
	sim_irq(sim, 0, cuts_one, scene, 2);
	sim_run(sim);
	take_back(&scene->block[0]);
}

static void takes_back_twice(void *arg)
{
	struct malloc_block block = cut();

	take_back(&block);
	sim_end_by("misuse");
	malloc_free_cold(block.words, "free");
	sim_fail("misuse unseen", "it was freed twice");
	(void)arg;
}

SIM_TEST(malloc_boot_block_is_not_freed_twice, .cpus_nr = 1)
{
	struct malloc_scene *scene = malloc_scene_make(sim, "");

	sim_cpu(sim, 0, takes_back_twice, scene);
	sim_run(sim);
}
