/* SPDX-License-Identifier: MIT */
/*
 * sampled_sim.c - blocks on pages of their own (sample:N), of three slots
 *
 * A slot that two have at once shows itself twice over: whoever frees first spoils the block and makes its page a guard, so
 * the other finds other words in it, or its access ends the run.  A slot that got lost shows at the end, when no task
 * uses any and all can be had.
 */
#include "malloc/sampled.h"
#include "sim/malloc/malloc_scene.h"

#define CONF  "limit:8m,worker:off,thp:off,"
#define SLOTS 3u
#define BYTES 72u

/* All slots can be had, and no fourth one. */
static void check_slots(struct malloc_scene *scene)
{
	struct malloc_block block[SLOTS + 1];

	for (unsigned i = 0; i <= SLOTS; i++) {
		struct malloc_block one = block_take(scene, BYTES);

		SIM_CHECK(block_is_sampled(&one) == (i < SLOTS));
		block[i] = one;
	}
	malloc_scene_check(scene);
	for (unsigned i = 0; i <= SLOTS; i++)
		block_give(scene, &block[i]);
}

/* The first @live blocks of the scene are in slots. */
static struct malloc_scene *scene_make(struct sim *sim, unsigned live)
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF "sample:1");

	for (unsigned i = 0; i < SLOTS; i++)
		scene_keep(scene, i, block_take(scene, BYTES + i));
	for (unsigned i = 0; i < SLOTS; i++)
		SIM_CHECK(block_is_sampled(&scene->block[i]));
	for (unsigned i = live; i < SLOTS; i++)
		block_give(scene, &scene->block[i]);
	return scene;
}

static void scene_end(struct malloc_scene *scene)
{
	malloc_scene_end(scene);
	check_slots(scene);
}

static void frees_and_takes(struct malloc_scene *scene, unsigned i)
{
	struct malloc_block block;

	block_give(scene, &scene->block[i]);
	block = block_take(scene, BYTES);
	SIM_CHECK(block.words != NULL);
	block_give(scene, &block);
}

static void frees_first(void *arg)
{
	frees_and_takes(arg, 0);
}

static void frees_second(void *arg)
{
	frees_and_takes(arg, 1);
}

static void takes_two(void *arg)
{
	struct malloc_scene *scene = arg;

	scene_keep(scene, 4, block_take(scene, BYTES));
	scene_keep(scene, 5, block_take_zeroed(scene, BYTES));
}

/* Slots are claimed while others free theirs. */
SIM_TEST(sampled_block_against_frees, .cpus_nr = 3, .events = SIM_RACE | SIM_MEMORY,
	 .enters = { "sampled_alloc", "sampled_free", "malloc/sampled.c:claim",
		     "malloc/sampled.c:release" })
{
	struct malloc_scene *scene = scene_make(sim, 2);

	sim_cpu(sim, 0, frees_first, scene);
	sim_cpu(sim, 1, frees_second, scene);
	sim_cpu(sim, 2, takes_two, scene);
	sim_run(sim);
	scene_end(scene);
}

static void moves(void *arg)
{
	struct malloc_scene *scene = arg;

	block_resize(scene, &scene->block[0], 3 * BYTES);
	block_resize(scene, &scene->block[0], 2 * BYTES); /* there */
	block_resize(scene, &scene->block[0], 8192);	  /* to where no sample is */
	SIM_CHECK(!block_is_sampled(&scene->block[0]));
}

/* A block moves from slot to slot, or out of them, while another CPU wants slots. */
SIM_TEST(sampled_block_moves_beside_frees, .events = SIM_RACE | SIM_MEMORY,
	 .enters = { "sampled_resize", "sampled_usable" })
{
	struct malloc_scene *scene = scene_make(sim, 2);

	sim_cpu(sim, 0, moves, scene);
	sim_cpu(sim, 1, frees_second, scene);
	sim_run(sim);
	scene_end(scene);
}

static void handler_takes(void *arg)
{
	struct malloc_scene *scene = arg;
	int error = process_errno();
	struct malloc_block block = block_take_aligned(scene, 64, BYTES);

	SIM_CHECK(block.words != NULL);
	block_give(scene, &block);
	process_set_errno(error);
}

/* A handler takes and frees blocks of the sample in the middle of the same. */
SIM_TEST(sampled_block_beside_a_handler, .cpus_nr = 1, .events = SIM_MEMORY,
	 .enters = { "sampled_alloc", "sampled_free", "alloc_aligned" })
{
	struct malloc_scene *scene = scene_make(sim, 1);

	sim_cpu(sim, 0, frees_first, scene);
	sim_irq(sim, 0, handler_takes, scene, 2);
	sim_run(sim);
	scene_end(scene);
}

static void child_uses_slots(void *arg)
{
	struct malloc_scene *scene = arg;

	sim_fork_child();
	/* The slot that the other thread was busy with is lost, no other. */
	for (unsigned i = 4; i < 4 + SLOTS; i++)
		scene_keep(scene, i, block_take(scene, BYTES));
	SIM_CHECK(block_is_sampled(&scene->block[4]));
	for (unsigned i = 4; i < 4 + SLOTS; i++)
		block_give(scene, &scene->block[i]);
	block_give(scene, &scene->block[2]);
	store_relaxed(&scene->turn, 1); /* read at the end */
}

static void takes_one_and_frees_it(void *arg)
{
	struct malloc_scene *scene = arg;
	struct malloc_block block = block_take(scene, BYTES);

	block_give(scene, &block);
}

/* The child's blocks of the sample are whole, and slots are to be had, wherever its parent's other threads were. */
SIM_TEST(sampled_blocks_of_a_child, .events = SIM_MEMORY,
	 .enters = { "sampled_alloc", "sampled_free" })
{
	struct malloc_scene *scene = scene_make(sim, 3);

	block_give(scene, &scene->block[0]);
	block_give(scene, &scene->block[1]);
	sim_cpu(sim, 0, takes_one_and_frees_it, scene);
	sim_cpu(sim, 1, child_uses_slots, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* The system refuses to let a page be used, or to make it a guard again: the block is an ordinary one, or its page stays
 * accessible, and no slot is lost. */
SIM_TEST(sampled_block_refused_is_an_ordinary_one, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 2,
	 .enters = { "sampled_alloc", "sampled_free" })
{
	struct malloc_scene *scene = scene_make(sim, 2);

	sim_cpu(sim, 0, frees_first, scene);
	sim_cpu(sim, 1, frees_second, scene);
	sim_run(sim);
	scene_end(scene);
}

static void takes_all_in_order(void *arg)
{
	struct malloc_scene *scene = arg;
	static const unsigned order[SLOTS] = { 1, 0, 2 };
	uint64_t *words[SLOTS];

	for (unsigned i = 0; i < SLOTS; i++) {
		words[i] = scene->block[order[i]].words;
		block_give(scene, &scene->block[order[i]]);
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		scene_keep(scene, i, block_take(scene, BYTES));
		check_u64_eq((uintptr_t)scene->block[i].words >> 12, (uintptr_t)words[i] >> 12);
	}
}

/* The slot that was free for the longest time is used first, so a block that was freed faults as long as it can. */
SIM_TEST(sampled_slot_is_used_again_last, .cpus_nr = 1, .enters = { "malloc/sampled.c:claim" })
{
	struct malloc_scene *scene = scene_make(sim, SLOTS);

	sim_cpu(sim, 0, takes_all_in_order, scene);
	sim_run(sim);
	scene_end(scene);
}

static void frees_block_0(void *arg)
{
	struct malloc_scene *scene = arg;

	block_give(scene, &scene->block[0]);
}

static void takes_another_slot(void *arg)
{
	struct malloc_scene *scene = arg;

	scene_keep(scene, 4, block_take(scene, BYTES));
	SIM_CHECK((uint32_t)((uintptr_t)scene->block[4].words >> 12) != scene->turn);
}

static void run_free_beside_claim(struct sim *sim)
{
	struct malloc_scene *scene = scene_make(sim, 0);

	scene_keep(scene, 0, block_take(scene, BYTES));
	scene->turn = (uint32_t)((uintptr_t)scene->block[0].words >> 12);
	sim_cpu(sim, 0, frees_block_0, scene);
	sim_cpu(sim, 1, takes_another_slot, scene);
	sim_run(sim);
	scene_end(scene);
}

/* Nor is one used again too early while its block is freed: others have been free before. */
SIM_TEST(sampled_slot_that_is_freed_waits,
	 .enters = { "malloc/sampled.c:release", "malloc/sampled.c:claim" })
{
	run_free_beside_claim(sim);
}

/* The same where loads get earlier values: a slot that is seen free has the time of that. */
SIM_TEST(sampled_slot_is_free_since_it_was_freed, .model = SIM_ARM,
	 .enters = { "malloc/sampled.c:claim" })
{
	run_free_beside_claim(sim);
}

static void asks_for_its_size(void *arg)
{
	struct malloc_scene *scene = arg;
	void *block = scene->block[0].words;

	block_give(scene, &scene->block[0]);
	(void)malloc_usable(block, "malloc_usable_size");
}

SIM_TEST(sampled_block_has_no_size_once_it_is_free, .cpus_nr = 1,
	 .enters = { "malloc/sampled.c:check" })
{
	struct malloc_scene *scene = scene_make(sim, 1);

	sim_cpu(sim, 0, asks_for_its_size, scene);
	sim_end_by("misuse");
	sim_run(sim);
	sim_fail("misuse unseen", "a block that is free passes for one that is not");
}

static void frees_the_same(void *arg)
{
	struct malloc_scene *scene = arg;
	struct malloc_block block = scene->block[0];

	malloc_free_cold(block.words, "free");
}

/* Two free one block at once: one of them is stopped. */
SIM_TEST(sampled_block_freed_by_two_is_seen, .enters = { "sampled_free", "malloc/sampled.c:check" })
{
	struct malloc_scene *scene = scene_make(sim, 1);

	sim_cpu(sim, 0, frees_the_same, scene);
	sim_cpu(sim, 1, frees_the_same, scene);
	sim_end_by("misuse");
	sim_run(sim);
	sim_fail("misuse unseen", "a block that is free passes for one that is not");
}

static void first_calls(void *arg)
{
	struct malloc_scene *scene = arg;
	uint32_t place = fetch_add_relaxed(&scene->turn, 2); /* its own two */

	scene_keep(scene, place, block_take(scene, BYTES));
	scene_keep(scene, place + 1, block_take(scene, 2 * BYTES));
	SIM_CHECK(scene->block[place].words != NULL && scene->block[place + 1].words != NULL);
	block_give(scene, &scene->block[place + 1]);
}

/* The slots are made with the heap, while another thread calls, and frees what the boot arena has served. */
SIM_TEST(sampled_slots_are_made_once, .events = SIM_RACE, .enters = { "sampled_begin" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF "sample:1");

	sim_cpu(sim, 0, first_calls, scene);
	sim_cpu(sim, 1, first_calls, scene);
	sim_run(sim);
	SIM_CHECK(malloc_begin());
	scene_end(scene);
}

static void counts(void *arg)
{
	struct malloc_scene *scene = arg;
	unsigned sampled = 0;

	for (unsigned i = 0; i < 6; i++) {
		struct malloc_block block = block_take(scene, BYTES);

		sampled += block_is_sampled(&block);
		block_give(scene, &block);
	}
	/* At least each third, and at most each. */
	SIM_CHECK(sampled >= 2);
}

static void releases(void *arg)
{
	(void)arg;
	malloc_give_back();
}

/* Each CPU counts in a header of its sheaves, which no drain takes for a sheaf. */
SIM_TEST(sampled_count_beside_a_drain, .events = SIM_ABORT,
	 .enters = { "countdown_pop", "countdown_here", "next_countdown" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF "sample:2");

	for (unsigned i = 0; i < 8; i++)
		scene_keep(scene, i, block_take(scene, BYTES));
	for (unsigned i = 0; i < 8; i++)
		block_give(scene, &scene->block[i]);
	sim_cpu(sim, 0, counts, scene);
	sim_cpu(sim, 1, releases, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

#define PAGE 4096u

/* The block that an access to the first half of the guard behind scene->block[0] is explained by, or to the second. */
static const void *found_behind(const struct malloc_scene *scene, bool second_half)
{
	uintptr_t page = (uintptr_t)scene->block[0].words & ~(uintptr_t)(PAGE - 1);
	struct sampled_place place;

	if (!sampled_find((const char *)page + PAGE + (second_half ? PAGE / 2 : 0), &place))
		return NULL;
	return place.block;
}

static void faults_in_a_guard(void *arg)
{
	struct malloc_scene *scene = arg;
	const void *first = scene->block[0].words, *second = scene->block[1].words;

	SIM_CHECK(first < second);
	SIM_CHECK(found_behind(scene, false) == first);
	SIM_CHECK(found_behind(scene, true) == second);
	block_give(scene, &scene->block[1]);
	SIM_CHECK(found_behind(scene, true) == first);
	scene_keep(scene, 1, block_take(scene, BYTES));
	SIM_CHECK(scene->block[1].words != NULL);
}

/* An access to a guard is explained by the nearer block of two that are in use, and by one that is before another. */
SIM_TEST(sampled_guard_is_the_nearer_blocks, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "sampled_find" })
{
	struct malloc_scene *scene = scene_make(sim, SLOTS);

	sim_cpu(sim, 0, faults_in_a_guard, scene);
	sim_run(sim);
	scene_end(scene);
}

static void frees_first_and_faults(void *arg)
{
	struct malloc_scene *scene = arg;
	const void *second = scene->block[1].words;
	struct sampled_place place;
	const char *guard =
		(const char *)((uintptr_t)scene->block[0].words & ~(uintptr_t)(PAGE - 1)) + PAGE;

	block_give(scene, &scene->block[0]);
	SIM_CHECK(sampled_find(guard, &place));
	SIM_CHECK(place.block == second && !place.freed);
}

SIM_TEST(sampled_guard_behind_a_free_block_is_the_nexts, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "sampled_find" })
{
	struct malloc_scene *scene = scene_make(sim, SLOTS);

	sim_cpu(sim, 0, frees_first_and_faults, scene);
	sim_run(sim);
	scene_end(scene);
}
