/* SPDX-License-Identifier: MIT */
/*
 * quarantine_sim.c - freed blocks that wait (malloc/quarantine.h)
 *
 * The scene is a quarantine of PLACES places, in which one block's bytes may wait.  Each block has a word that is written
 * before it comes in, and a count of how often it left.
 */
#include "machine/atomic.h"
#include "machine/sim/sim.h"
#include "malloc/quarantine.h"

#define PLACES	    2u
#define BLOCKS	    6u
#define BLOCK_BYTES 16u
#define POISONED    0x6b6b6b6bu

struct quarantine_scene {
	struct quarantine q;
	void *place[PLACES];
	uint32_t word[BLOCKS]; /* written by whoever frees the block, read by whoever lets it go */
	uint32_t left[BLOCKS]; /* atomic */
	uint32_t next;	       /* atomic: blocks that were freed */
};

static struct quarantine_scene *scene_make(struct sim *sim)
{
	struct quarantine_scene *scene = sim_zalloc(sim, sizeof(*scene));

	quarantine_init(&scene->q, scene->place, PLACES, BLOCK_BYTES);
	return scene;
}

static void let_go(struct quarantine_scene *scene, void *block)
{
	uint32_t *word = block;

	if (block == NULL)
		return;
	check_u64_eq(*word, POISONED);
	check_u64_eq(fetch_add_relaxed(&scene->left[word - scene->word], 1), 0);
	quarantine_left(&scene->q, BLOCK_BYTES);
}

/* As debug:on frees. */
static void free_one(struct quarantine_scene *scene)
{
	uint32_t nr = fetch_add_relaxed(&scene->next, 1);
	void *leaver;

	scene->word[nr] = POISONED;
	leaver = quarantine_put(&scene->q, &scene->word[nr], BLOCK_BYTES);
	do {
		let_go(scene, leaver);
		leaver = quarantine_take(&scene->q, false);
	} while (leaver != NULL);
}

static void frees_two(void *arg)
{
	free_one(arg);
	free_one(arg);
}

static void takes_all(void *arg)
{
	struct quarantine_scene *scene = arg;
	void *leaver;

	while ((leaver = quarantine_take(&scene->q, true)) != NULL)
		let_go(scene, leaver);
}

/* Each block that came in left once, or is there; the bytes are those that are there. */
static void scene_check(const struct quarantine_scene *scene)
{
	int64_t waiting = 0;

	for (uint32_t i = 0; i < scene->next; i++) {
		uint32_t there = 0;

		for (unsigned place = 0; place < PLACES; place++)
			there += scene->place[place] == &scene->word[i];
		check_u64_eq(scene->left[i] + there, 1);
		waiting += there * BLOCK_BYTES;
	}
	check_u64_eq((uint64_t)scene->q.bytes, (uint64_t)waiting);
}

SIM_TEST(quarantine_block_leaves_once)
{
	struct quarantine_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, frees_two, scene);
	sim_cpu(sim, 1, frees_two, scene);
	sim_run(sim);
	scene_check(scene);
}

SIM_TEST(quarantine_take_against_put)
{
	struct quarantine_scene *scene = scene_make(sim);

	free_one(scene);
	sim_cpu(sim, 0, frees_two, scene);
	sim_cpu(sim, 1, takes_all, scene);
	sim_run(sim);
	scene_check(scene);
}

/*
 * A taker that reads an earlier count of those that came in does not move past the latest one, where it would go round the ring
 * for ever (livelock).
 */
SIM_TEST(quarantine_out_never_passes_in, .model = SIM_ARM, .enters = { "quarantine_take" })
{
	struct quarantine_scene *scene = scene_make(sim);

	free_one(scene);
	sim_cpu(sim, 0, frees_two, scene);
	sim_cpu(sim, 1, takes_all, scene);
	sim_run(sim);
	SIM_CHECK(scene->q.out_nr <= scene->q.put_nr);
	scene_check(scene);
}

static void frees_two_in_turn(void *arg)
{
	struct quarantine_scene *scene = arg;

	free_one(scene);
	check_u64_eq(scene->left[0], 0);
	free_one(scene);
	check_u64_eq(scene->left[0], 1);
	check_u64_eq(scene->left[1], 0);
}

/* A block waits as long as no more than may wait does, and no longer. */
SIM_TEST(quarantine_keeps_what_may_wait, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "quarantine_take" })
{
	struct quarantine_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, frees_two_in_turn, scene);
	sim_run(sim);
	scene_check(scene);
}

static void skips_what_waits(void *arg)
{
	struct quarantine_scene *scene = arg;

	quarantine_skip(&scene->q, quarantine_now(&scene->q));
	check_u64_eq(scene->q.out_nr, scene->q.put_nr);
	SIM_CHECK(quarantine_take(&scene->q, true) == NULL);
	quarantine_skip(&scene->q, 0); /* which is past */
	check_u64_eq(scene->q.out_nr, scene->q.put_nr);
}

/* A child passes by what waited in its parent. */
SIM_TEST(quarantine_skips_to_a_place, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "quarantine_skip" })
{
	struct quarantine_scene *scene = scene_make(sim);

	free_one(scene);
	sim_cpu(sim, 0, skips_what_waits, scene);
	sim_run(sim);
}
