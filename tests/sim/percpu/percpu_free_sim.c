/* SPDX-License-Identifier: MIT */
/* percpu_free_sim.c - frees that read an object's size from the maps without the lock, while others change them */
#include "percpu/map.h"
#include "sim/percpu/percpu_scene.h"

static void gives_small(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[0], 8);
}

/* A free reads the map of its page while that map moves into another's place and its old one is
 * written anew: it looks again before it believes what it read. */
SIM_TEST(percpu_free_meets_a_moving_map, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make_warm(sim);

	store_relaxed(&scene->pc->warm, UINT64_C(1) << 7);
	store_relaxed(&scene->pc->learn[7].count, COUNT_WARM);
	cache_after_free(scene->pc, 8);
	sim_cpu(sim, 0, gives_small, scene);
	sim_cpu(sim, 1, percpu_empties_a_page_and_fills_another, scene);
	sim_run(sim);
	percpu_take(scene, 64, 0);
	percpu_take(scene, 64, 0);
	for (unsigned i = 1; i < 6; i++)
		percpu_give(scene, scene->small[i], 8);
	percpu_scene_check(scene);
}

static void gives_the_next_one(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[1], 8); /* to the maps: the first free on its CPU */
}

/* Two objects of 8 bytes side by side: one is freed while the maps forget the other.  It must not go on
 * the stack of objects of 16 bytes. */
SIM_TEST(percpu_free_beside_a_free, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make_warm(sim);
	void *large[2];

	SIM_CHECK((char *)scene->small[1] == (char *)scene->small[0] + 8);
	sim_cpu(sim, 0, gives_small, scene);
	sim_cpu(sim, 1, gives_the_next_one, scene);
	sim_run(sim);
	/* In a stack of 16 bytes' hands there is nothing that begins where one of 8 did. */
	for (unsigned i = 0; i < 2; i++) {
		large[i] = percpu_take(scene, 16, 0);
		SIM_CHECK(quire_percpu_bytes(scene->q, large[i]) == 16);
	}
	for (unsigned i = 0; i < 2; i++)
		percpu_give(scene, large[i], 16);
	for (unsigned i = 2; i < 6; i++)
		percpu_give(scene, scene->small[i], 8);
	percpu_scene_check(scene);
}

/* Objects of 8 bytes until the next granule is the one at @in_word of its word. */
static void fill_up_to(struct percpu_scene *scene, uint32_t in_word)
{
	const void *last = percpu_take(scene, 8, 0);

	while (((uintptr_t)last / 8 + 1) % 64 != in_word)
		last = percpu_take(scene, 8, 0);
}

static void gives_24(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[6], 24);
}

/* An object that goes on in the next word is no object of the granules that it has in this one. */
SIM_TEST(percpu_object_across_words_keeps_its_class, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	fill_up_to(scene, 63);
	scene->small[6] = percpu_take(scene, 24, 0);
	SIM_CHECK((uintptr_t)scene->small[6] / 8 % 64 == 63);
	for (uint32_t granules = 1; granules <= 3; granules++)
		percpu_open_stack(scene->pc, granules);
	sim_cpu(sim, 0, gives_24, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* small[1] is the last granule of its word, and small[0] the one before. */
static struct percpu_scene *words_end_scene(struct sim *sim)
{
	struct percpu_scene *scene = percpu_scene_make_warm(sim);

	percpu_give(scene, scene->small[0], 8);
	percpu_give(scene, scene->small[1], 8);
	percpu_open_stack(scene->pc, 2);
	percpu_drains(scene);
	fill_up_to(scene, 62);
	scene->small[0] = percpu_take(scene, 8, 0);
	scene->small[1] = percpu_take(scene, 8, 0);
	percpu_take(scene, 8, 0);
	SIM_CHECK((uintptr_t)scene->small[1] / 8 % 64 == 63);
	percpu_open_stack(scene->pc, 1);
	percpu_open_stack(scene->pc, 2);
	return scene;
}

/* As above where the neighbour's granule is its word's last: that there is no end in the word must hold
 * when the next word is read. */
SIM_TEST(percpu_free_beside_a_free_at_a_words_end, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY)
{
	struct percpu_scene *scene = words_end_scene(sim);

	sim_cpu(sim, 0, gives_small, scene);
	sim_cpu(sim, 1, gives_the_next_one, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* Places an object where one was. */
static void take_at(struct percpu_scene *scene, const void *ptr, size_t bytes)
{
	const struct quire_percpu_request known = QUIRE_PERCPU_REQUEST_INIT(.bytes = bytes);
	struct percpu *pc = scene->pc;
	struct percpu_request request;
	struct placed placed;
	lock_token token;

	check_u64_eq((uint64_t)percpu_request_make(pc, &known, &request), 0);
	token = lock_acquire(&pc->lock);
	object_put_locked(pc, place_of(pc, ptr), &request, &placed);
	lock_release(&pc->lock, token);
	fetch_add_relaxed(&scene->live, 1);
}

/* Frees an object to the maps. */
static void free_at(struct percpu_scene *scene, const void *ptr)
{
	struct percpu *pc = scene->pc;
	struct place place = place_of(pc, ptr);
	lock_token token = lock_acquire(&pc->lock);

	object_free_locked(pc, place);
	(void)chunk_after_free_locked(pc, place_chunk(pc, place));
	lock_release(&pc->lock, token);
	fetch_sub_relaxed(&scene->live, 1);
}

static void frees_small(void *arg)
{
	struct percpu_scene *scene = arg;

	quire_free_percpu(scene->q, scene->small[0]);
}

static void next_place_is_used_again(void *arg)
{
	struct percpu_scene *scene = arg;
	struct percpu *pc = scene->pc;
	uint32_t granule = place_granule(place_of(pc, scene->small[1]));
	lock_token token = lock_acquire(&pc->lock);

	for (unsigned i = 0; i < 2; i++) { /* more is seen less often */
		map_clear(pc, granule, granule + 1);
		map_set(pc, granule, granule + 1, true);
	}
	lock_release(&pc->lock, token);
}

/* The neighbour's granule is its word's last, is freed and used again: when the free reads the word again, it does not see
 * the granule as used without its boundary.  Only the maps change, which leaves few steps. */
SIM_TEST(percpu_free_beside_a_place_used_again, .model = SIM_ARM, .events = SIM_MEMORY,
	 .enters = { "quire_free_percpu" })
{
	struct percpu_scene *scene = words_end_scene(sim);

	scene->live--;
	sim_cpu(sim, 0, frees_small, scene);
	sim_cpu(sim, 1, next_place_is_used_again, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* ---- beside another of its size --------------------------------------------------------------- */

static void gives_16(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[6], 16);
}

static void frees_the_next_16(void *arg)
{
	struct percpu_scene *scene = arg;

	free_at(scene, scene->small[7]);
}

static void takes_the_next_16(void *arg)
{
	struct percpu_scene *scene = arg;

	take_at(scene, scene->small[7], 16);
}

/* Three objects of 16 bytes side by side, the first from this granule of a word on: small[6], small[7] if it is still
 * there, and another.  Stacks are open for one of them and for two together. */
static struct percpu_scene *pair_scene(struct sim *sim, uint32_t in_word, bool second)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	fill_up_to(scene, in_word);
	scene->small[6] = percpu_take(scene, 16, 0);
	scene->small[7] = percpu_take(scene, 16, 0);
	percpu_take(scene, 16, 0);
	SIM_CHECK((char *)scene->small[7] == (char *)scene->small[6] + 16);
	if (!second)
		free_at(scene, scene->small[7]);
	percpu_open_stack(scene->pc, 2);
	percpu_open_stack(scene->pc, 4);
	return scene;
}

static void gives_16_beside(struct sim *sim, struct percpu_scene *scene, void (*body)(void *arg))
{
	sim_cpu(sim, 0, gives_16, scene);
	sim_cpu(sim, 1, body, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* The granules behind an object are allocated while it is freed: seen as used without their boundary, they would be
 * a part of it. */
SIM_TEST(percpu_free_beside_a_take, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY, .enters = { "map_set", "quire_free_percpu" })
{
	gives_16_beside(sim, pair_scene(sim, 12, false), takes_the_next_16);
}

/* The granules behind an object are in the next word of the map, which is read after the object's own, and are allocated
 * while it is freed: they are no part of it. */
SIM_TEST(percpu_free_beside_a_take_in_the_next_word, .model = SIM_ARM, .events = SIM_MEMORY,
	 .enters = { "map_set", "granules_past_word" })
{
	gives_16_beside(sim, pair_scene(sim, 62, false), takes_the_next_16);
}

/* The granules behind an object are freed while it is: they are no part of it. */
SIM_TEST(percpu_free_beside_a_free_in_the_word, .model = SIM_ARM, .events = SIM_MEMORY,
	 .enters = { "map_clear", "quire_free_percpu" })
{
	gives_16_beside(sim, pair_scene(sim, 12, true), frees_the_next_16);
}

/* The granules behind an object are in the next word of the map, and are freed while it is: they are no part of it. */
SIM_TEST(percpu_free_beside_a_free_in_the_next_word, .model = SIM_ARM, .events = SIM_MEMORY,
	 .enters = { "map_clear", "granules_past_word" })
{
	gives_16_beside(sim, pair_scene(sim, 62, true), frees_the_next_16);
}

/* The granules behind an object are free, and the map moves to where they were used in another: they are no part of it. */
SIM_TEST(percpu_free_meets_a_map_that_moved, .model = SIM_ARM, .events = SIM_MEMORY,
	 .enters = { "map_give_locked", "quire_free_percpu" })
{
	struct percpu_scene *scene = pair_scene(sim, 12, false);

	SIM_CHECK(percpu_has_last_map(scene, scene->small[6]));
	gives_16_beside(sim, scene, percpu_moves_the_last_map);
}

/* ---- a map that moves ------------------------------------------------------------------------- */

/* A map is shown at its new place when all of it is there.  A free that read the used bits before they arrive, and
 * the boundaries after, would find an end behind the first granule. */
SIM_TEST(percpu_free_meets_a_map_that_arrives, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY, .enters = { "map_give_locked" })
{
	struct percpu_scene *scene = percpu_scene_make_warm(sim);

	percpu_open_stack(scene->pc, 8);
	sim_cpu(sim, 0, gives_16, scene);
	sim_cpu(sim, 1, percpu_empties_a_page_and_fills_another, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void gives_the_full_pages_map(void *arg)
{
	const struct percpu_scene *scene = arg;
	struct percpu *pc = scene->pc;
	lock_token token = lock_acquire(&pc->lock);

	map_give_locked(pc, place_page(pc, place_of(pc, scene->small[0])));
	lock_release(&pc->lock, token);
}

/* A map moves to where an object of 8 bytes began in every granule, and its stores may leave in any order: an object of 16 bytes
 * is not taken for one of 8.  Only the maps change, which leaves few steps. */
SIM_TEST(percpu_free_meets_a_map_in_anothers_place, .model = SIM_ARM, .events = SIM_MEMORY,
	 .enters = { "map_give_locked", "quire_free_percpu" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);
	struct percpu *pc = scene->pc;

	do
		scene->small[0] = percpu_take(scene, 8, 0);
	while (((uintptr_t)scene->small[0] + 8) % PAGE_BYTES != 0);
	scene->small[6] = percpu_take(scene, 16, 0);
	SIM_CHECK((uintptr_t)scene->small[6] % PAGE_BYTES == 0);
	SIM_CHECK(percpu_has_last_map(scene, scene->small[6]));
	percpu_open_stack(pc, 1);
	percpu_open_stack(pc, 2);
	sim_cpu(sim, 0, gives_16, scene);
	sim_cpu(sim, 1, gives_the_full_pages_map, scene);
	sim_run(sim);
	check_u64_eq(stacks_held(&pc->stacks, &pc->cpu[0].door, 0), 0);
}

#define ACROSS 200u /* bytes; a page has 96 more than it has room for */

static void gives_across(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[0], ACROSS);
}

static void empties_a_page_and_takes_one(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->object[2], PAGE_BYTES);
	percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
}

/* small[0] reaches into the next page, whose map is the last. */
static struct percpu_scene *across_scene(struct sim *sim)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);
	uint32_t near;

	do {
		scene->small[0] = percpu_take(scene, ACROSS, 0);
		near = (PAGE_BYTES - (uint32_t)((uintptr_t)scene->small[0] % PAGE_BYTES)) / 8;
	} while (near >= ACROSS / 8);
	percpu_open_stack(scene->pc, near);
	percpu_open_stack(scene->pc, ACROSS / 8);
	return scene;
}

/* An object goes on in the next page, whose map moves, and its old place is written anew: the free looks again
 * before it believes that the object ends with its page. */
SIM_TEST(percpu_free_across_pages_meets_a_moving_map, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2, .events = SIM_MEMORY, .enters = { "ends_with_page", "map_give_locked" })
{
	struct percpu_scene *scene = across_scene(sim);

	sim_cpu(sim, 0, gives_across, scene);
	sim_cpu(sim, 1, empties_a_page_and_takes_one, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* An object goes on in the next page, whose map moves, and loads may get earlier values: its size is still right.  Only the
 * maps change, which leaves few steps. */
SIM_TEST(percpu_free_across_pages_meets_a_map_that_moved, .model = SIM_ARM, .events = SIM_MEMORY,
	 .enters = { "ends_with_page", "map_give_locked" })
{
	struct percpu_scene *scene = across_scene(sim);

	SIM_CHECK(percpu_has_last_map(scene, (char *)scene->small[0] + ACROSS));
	sim_cpu(sim, 0, gives_across, scene);
	sim_cpu(sim, 1, percpu_moves_the_last_map, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* ---- memory ---- */

/* Has the page of an object memory on a CPU? */
static bool is_touched(struct percpu *pc, const void *ptr)
{
	struct place place = place_of(pc, ptr);
	const struct mem_stretches stretches = { .addr = chunk_ptr(pc, place_chunk(pc, place)),
						 .stride_bytes = QUIRE_PERCPU_STRIDE,
						 .page_bytes = PAGE_BYTES,
						 .nr = 2,
						 .pages = unit_pages(pc) };
	uint64_t masks[2];

	check_u64_eq((uint64_t)mem_find_written(&stretches, masks), 0);
	return ((masks[0] | masks[1]) & page_bit(pc, place_page(pc, place))) != 0;
}

static void takes_and_frees_untouched(void *arg)
{
	struct percpu_scene *scene = arg;

	scene->small[6] = quire_alloc_percpu(scene->q, 64, 0, 0);
	quire_free_percpu(scene->q, scene->small[6]);
}

/* A copy that is neither marked nor looked at for a mark takes no memory. */
SIM_TEST(percpu_free_of_a_size_without_stacks_touches_no_copy, .cpus_nr = 1,
	 .enters = { "quire_free_percpu" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	percpu_open_stack(scene->pc, 1);
	sim_cpu(sim, 0, takes_and_frees_untouched, scene);
	sim_run(sim);
	SIM_CHECK(!is_touched(scene->pc, scene->small[6]));
	percpu_scene_check(scene);
}
