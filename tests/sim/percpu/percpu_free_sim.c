/* SPDX-License-Identifier: MIT */
/* percpu_free_sim.c - frees that read an object's size from the maps without the lock, while others change them */
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

/* As above where the neighbour's granule is its word's last: that there is no end in the word must hold
 * when the next word is read. */
SIM_TEST(percpu_free_beside_a_free_at_a_words_end, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY)
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
	sim_cpu(sim, 0, gives_small, scene);
	sim_cpu(sim, 1, gives_the_next_one, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* ---- beside an allocation --------------------------------------------------------------------- */

static void gives_16(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[6], 16);
}

/* Places an object of 16 bytes at small[7]. */
static void takes_the_next_one(void *arg)
{
	const struct quire_percpu_request known = QUIRE_PERCPU_REQUEST_INIT(.bytes = 16);
	struct percpu_scene *scene = arg;
	struct percpu *pc = scene->pc;
	struct percpu_request request;
	struct placed placed;
	lock_token token;

	check_u64_eq((uint64_t)percpu_request_make(pc, &known, &request), 0);
	token = lock_acquire(&pc->lock);
	object_put_locked(pc, place_of(pc, scene->small[7]), &request, &placed);
	lock_release(&pc->lock, token);
	fetch_add_relaxed(&scene->live, 1);
}

/* The granules behind an object are allocated while it is freed: seen as used without their boundary, they would be
 * a part of it. */
SIM_TEST(percpu_free_beside_a_take, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY, .enters = { "map_set", "quire_free_percpu" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	fill_up_to(scene, 12);
	scene->small[6] = percpu_take(scene, 16, 0);
	scene->small[7] = percpu_take(scene, 16, 0);
	SIM_CHECK((char *)scene->small[7] == (char *)scene->small[6] + 16);
	percpu_give(scene, scene->small[7], 16); /* to the maps */
	percpu_open_stack(scene->pc, 2);
	percpu_open_stack(scene->pc, 4);
	sim_cpu(sim, 0, gives_16, scene);
	sim_cpu(sim, 1, takes_the_next_one, scene);
	sim_run(sim);
	percpu_scene_check(scene);
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

/* An object goes on in the next page, whose map moves, and its old place is written anew: the free looks again
 * before it believes that the object ends with its page. */
SIM_TEST(percpu_free_across_pages_meets_a_moving_map, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2, .events = SIM_MEMORY, .enters = { "ends_with_page", "map_give_locked" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);
	uint32_t near;

	do {
		scene->small[0] = percpu_take(scene, ACROSS, 0);
		near = (PAGE_BYTES - (uint32_t)((uintptr_t)scene->small[0] % PAGE_BYTES)) / 8;
	} while (near >= ACROSS / 8);
	percpu_open_stack(scene->pc, near);
	percpu_open_stack(scene->pc, ACROSS / 8);
	sim_cpu(sim, 0, gives_across, scene);
	sim_cpu(sim, 1, empties_a_page_and_takes_one, scene);
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
