/* SPDX-License-Identifier: MIT */
/*
 * percpu_place_sim.c - where objects are placed: holes, the end of a page, and what is not searched again
 *
 * The first chunk has seven pages for objects, populated from the start.
 */
#include "sim/percpu/percpu_scene.h"

#define ROW_BYTES  512u /* eight fill a page */
#define ROWS_NR	   (PAGE_BYTES / ROW_BYTES)
#define NEAR_BYTES 504u /* eight leave 64 bytes of a page */

static struct percpu_scene *empty_scene(struct sim *sim)
{
	return percpu_scene_make_empty(
		sim, (struct quire_options)QUIRE_OPTIONS_INIT(.rseq = QUIRE_OFF,
							      .worker = QUIRE_WORKER_OFF));
}

/* @body is the only task. */
static void run_alone(struct sim *sim, struct percpu_scene *scene, void (*body)(void *arg))
{
	sim_cpu(sim, 0, body, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static bool begins_a_page(const void *ptr)
{
	return (uintptr_t)ptr % PAGE_BYTES == 0;
}

/* ---- older holes ---- */

static void uses_holes_when_they_are_many(void *arg)
{
	struct percpu_scene *scene = arg;
	void *row[4 * ROWS_NR];

	for (unsigned i = 0; i < 4 * ROWS_NR; i++)
		row[i] = percpu_take(scene, ROW_BYTES, 0);
	percpu_give(scene, row[0], ROW_BYTES); /* one of 32: no more than a twentieth */
	SIM_CHECK(begins_a_page(percpu_take(scene, ROW_BYTES, 0)));
	for (unsigned i = 1; i < 4; i++)
		percpu_give(scene, row[i], ROW_BYTES);
	for (unsigned i = 1; i < ROWS_NR; i++)
		percpu_take(scene, ROW_BYTES, 0);
	SIM_CHECK(percpu_take(scene, ROW_BYTES, 0) == row[0]);
}

/* A few are left for what is freed beside them, so that the page becomes empty. */
SIM_TEST(percpu_few_holes_are_left, .cpus_nr = 1, .enters = { "in_holes" })
{
	run_alone(sim, empty_scene(sim), uses_holes_when_they_are_many);
}

/* ---- across the end of a page ---- */

/* Fills the stream's page, which is new, but for @left bytes. */
static void fill_page_but_for(struct percpu_scene *scene, uint32_t left, unsigned flags)
{
	SIM_CHECK(begins_a_page(percpu_take(scene, ROW_BYTES, flags)));
	for (unsigned i = 1; i < ROWS_NR - 1; i++)
		percpu_take(scene, ROW_BYTES, flags);
	percpu_take(scene, ROW_BYTES - left, flags);
}

static void is_left_over(void *arg)
{
	struct percpu_scene *scene = arg;

	fill_page_but_for(scene, 64, 0);
	SIM_CHECK(begins_a_page(percpu_take(scene, ROW_BYTES, 0)));
}

static void goes_across(void *arg)
{
	struct percpu_scene *scene = arg;

	fill_page_but_for(scene, 128, 0);
	check_u64_eq((uintptr_t)percpu_take(scene, ROW_BYTES, 0) % PAGE_BYTES, PAGE_BYTES - 128);
}

SIM_TEST(percpu_little_room_at_the_end_of_a_page_is_left, .cpus_nr = 1, .enters = { "across" })
{
	run_alone(sim, empty_scene(sim), is_left_over);
}

/* Its next page is empty, and there are more than the reserve. */
SIM_TEST(percpu_object_goes_across_into_an_empty_page, .cpus_nr = 1, .enters = { "can_go_on" })
{
	struct percpu_scene *scene = empty_scene(sim);

	sim_cpu(sim, 0, goes_across, scene);
	sim_run(sim);
	SIM_CHECK(scene->pc->empty_pages > EMPTY_HIGH);
	percpu_scene_check(scene);
}

/* Its next page is populated for it. */
SIM_TEST(percpu_object_goes_across_into_a_new_page, .cpus_nr = 1, .enters = { "can_go_on" })
{
	struct percpu_scene *scene = empty_scene(sim);

	while (scene->pc->empty_pages != 0)
		percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
	sim_cpu(sim, 0, goes_across, scene);
	sim_run(sim);
	check_u64_eq(scene->pc->empty_pages, 0);
	percpu_scene_check(scene);
}

static void leaves_the_next_page(void *arg)
{
	struct percpu_scene *scene = arg;
	void *page = percpu_take(scene, PAGE_BYTES, 0);
	void *next = percpu_take(scene, 2 * (size_t)PAGE_BYTES, QUIRE_ATOMIC);

	SIM_CHECK((char *)next == (char *)page + PAGE_BYTES);
	percpu_take(scene, 2 * (size_t)PAGE_BYTES, QUIRE_ATOMIC);
	percpu_give(scene, page, PAGE_BYTES);
	fill_page_but_for(scene, 128, QUIRE_ATOMIC);
	percpu_give(scene, next, 2 * (size_t)PAGE_BYTES);
	check_u64_eq(scene->pc->empty_pages, EMPTY_HIGH);
	SIM_CHECK(begins_a_page(percpu_take(scene, ROW_BYTES, 0)));
	check_u64_eq(scene->pc->empty_pages, EMPTY_HIGH);
}

/* Its next page belongs to the reserve, which a caller that may wait leaves. */
SIM_TEST(percpu_object_does_not_go_across_into_the_reserve, .cpus_nr = 1, .enters = { "can_go_on" })
{
	run_alone(sim, empty_scene(sim), leaves_the_next_page);
}

/* ---- searches that failed ---- */

/* All pages are full but for 64 bytes each, and there is no memory for more. */
static struct percpu_scene *full_scene(struct sim *sim)
{
	struct percpu_scene *scene = empty_scene(sim);

	percpu_use_up_limit(scene, 0);
	scene->small[0] = percpu_take(scene, NEAR_BYTES, 0);
	while (percpu_take(scene, NEAR_BYTES, 0) != NULL)
		;
	SIM_CHECK(percpu_take(scene, 64, 0) !=
		  NULL); /* at the end of the last page, which is no hole */
	check_u64_eq(scene->pc->missed.n, NEAR_BYTES / 8);
	return scene;
}

static void takes_64(void *arg)
{
	struct percpu_scene *scene = arg;
	void *ptr = quire_alloc_percpu(scene->q, 64, 0, 0);

	SIM_CHECK(ptr != NULL);
	quire_free_percpu(scene->q, ptr);
}

/* After a search that failed, a smaller object is searched for again. */
SIM_TEST(percpu_failed_search_is_repeated_for_less, .cpus_nr = 1,
	 .enters = { "placement_is_missed_locked" })
{
	run_alone(sim, full_scene(sim), takes_64);
}

static void misses_an_alignment(void *arg)
{
	struct percpu_scene *scene = arg;

	SIM_CHECK(quire_alloc_percpu(scene->q, 64, 128, 0) == NULL);
	takes_64(scene);
}

/* So is one that may lie anywhere, after one with an alignment. */
SIM_TEST(percpu_failed_search_is_repeated_without_alignment, .cpus_nr = 1,
	 .enters = { "placement_is_missed_locked" })
{
	run_alone(sim, full_scene(sim), misses_an_alignment);
}

static void misses_small_ones(void *arg)
{
	struct percpu_scene *scene = arg;

	SIM_CHECK(quire_alloc_percpu(scene->q, 8, 0, 0) == NULL);
	takes_64(scene);
}

/* So is one of another kind. */
SIM_TEST(percpu_failed_search_is_repeated_for_another_kind, .cpus_nr = 1,
	 .enters = { "placement_is_missed_locked" })
{
	struct percpu_scene *scene = full_scene(sim);

	sim_cpu(sim, 0, misses_small_ones, scene);
	sim_run(sim);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

static void frees_one_and_takes_it(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[0], NEAR_BYTES);
	SIM_CHECK(percpu_take(scene, NEAR_BYTES, 0) == scene->small[0]);
}

/* So is the same, once something was freed. */
SIM_TEST(percpu_failed_search_is_repeated_after_a_free, .cpus_nr = 1,
	 .enters = { "placement_is_missed_locked" })
{
	run_alone(sim, full_scene(sim), frees_one_and_takes_it);
}

/* ---- objects of 4 bytes ---- */

static void takes_a_four(void *arg)
{
	percpu_take(arg, 4, 0);
}

/* The page that took the last object of 4 bytes is full: the next begins another. */
SIM_TEST(percpu_full_page_of_fours_is_left, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "placement_fours_locked" })
{
	struct percpu_scene *scene = empty_scene(sim);

	for (unsigned i = 0; i < PAGE_BYTES / 4; i++)
		percpu_take(scene, 4, 0);
	run_alone(sim, scene, takes_a_four);
}
