/* SPDX-License-Identifier: MIT */
/*
 * vmap_sources_sim.c - where an area comes from, and where it goes
 *
 * An allocation that takes another source than it should is served all the same: what was cached stays unused, or the peak
 * rises.  So these scenarios look at the address.
 */
#include <quire/vmap.h>

#include "base/errno.h"
#include "machine/clock.h"
#include "sim/vmap/vmap_scene.h"
#include "vmap/decay.h"
#include "vmap/lazy.h"
#include "vmap/resort.h"

#define PAGE	    ((size_t)1 << 12)
#define MERGE_NS    UINT64_C(1000000) /* longer than CPUs wait between two merges */
#define LARGE_PAGES 1024u	      /* loses its memory where others are cleared */

static char *page_of(const struct vmap_scene *scene, uint32_t page)
{
	return scene->v->base + page * PAGE;
}

/* CPU 0 has just merged what it caches, and fresh pages do not raise the peak: it does not merge. */
static void merge_is_not_due(struct vmap_scene *scene)
{
	scene->v->cpu[0].merged_ns = clock_now_ns();
}

/* ---- merging ------------------------------------------------------------------------------------- */

/* CPU 0's stack has the first eight pages, one by one. */
static struct vmap_scene *scene_of_eight_pages(struct sim *sim)
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 8, 1);
	for (unsigned i = 0; i < 8; i++)
		vmap_scene_give(scene, i);
	merge_is_not_due(scene);
	return scene;
}

static void takes_three(void *arg)
{
	struct vmap_scene *scene = arg;

	scene->had[0] = vtake(scene, 3, 0);
}

static void takes_three_later(void *arg)
{
	sim_pass_ns(MERGE_NS);
	takes_three(arg);
}

SIM_TEST(cached_areas_are_not_merged_at_once, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "merge_is_due" })
{
	struct vmap_scene *scene = scene_of_eight_pages(sim);

	sim_cpu(sim, 0, takes_three, scene);
	sim_run(sim);
	SIM_CHECK(scene->had[0] == page_of(scene, 8));
	vmap_scene_check(scene);
}

SIM_TEST(cached_areas_are_merged_after_a_while, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "merge_is_due" })
{
	struct vmap_scene *scene = scene_of_eight_pages(sim);

	sim_cpu(sim, 0, takes_three_later, scene);
	sim_run(sim);
	SIM_CHECK(scene->had[0] == page_of(scene, 0));
	vmap_scene_check(scene);
}

SIM_TEST(cached_areas_are_merged_before_the_peak_rises, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "merge_is_due" })
{
	struct vmap_scene *scene = scene_of_eight_pages(sim);

	scene->v->charged_high = scene->v->charged_pages;
	sim_cpu(sim, 0, takes_three, scene);
	sim_run(sim);
	SIM_CHECK(scene->had[0] == page_of(scene, 0));
	check_u64_eq(scene->v->charged_high, 8);
	vmap_scene_check(scene);
}

/* ---- lists and classes ----------------------------------------------------------------------------- */

static void takes_four(void *arg)
{
	struct vmap_scene *scene = arg;

	scene->had[0] = vtake(scene, 4, 0);
}

/* Without sequences, too, the next area of the size is the one that was freed last. */
SIM_TEST(area_on_a_list_is_used_again, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "pick_from_list_locked" })
{
	struct vmap_scene *scene =
		vmap_scene_make(sim, (struct quire_options){ .rseq = QUIRE_OFF });

	vmap_scene_fill(scene, 1, 4);
	vmap_scene_give(scene, 0);
	merge_is_not_due(scene);
	sim_cpu(sim, 0, takes_four, scene);
	sim_run(sim);
	SIM_CHECK(scene->had[0] == scene->area[0]);
	vmap_scene_check(scene);
}

static void frees_first(void *arg)
{
	vmap_scene_give(arg, 0);
}

/* An area of more than a quarter of the span has no class, so no CPU has a list for it. */
SIM_TEST(area_of_no_class_is_lazy_at_once, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "lazy_publish_chain" })
{
	struct vmap_scene *scene =
		vmap_scene_make(sim, (struct quire_options){ .rseq = QUIRE_OFF });

	vmap_scene_fill(scene, 1, 400);
	sim_cpu(sim, 0, frees_first, scene);
	sim_run(sim);
	check_u64_eq(load_relaxed(&scene->v->lazy_pages), 400);
	vmap_scene_check(scene);
}

/* 16 TiB and four pages: cut to 32 bits, these are the four pages that CPU 0 has. */
static void takes_more_than_there_is(void *arg)
{
	struct vmap_scene *scene = arg;
	const struct quire_vmalloc_options aligned =
		QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = PAGE);
	size_t bytes = ((size_t)1 << 44) + 4 * PAGE;

	SIM_CHECK(quire_vmalloc(scene->q, bytes, 0) == NULL);
	SIM_CHECK(quire_vmalloc_with(scene->q, bytes, &aligned) == NULL);
	SIM_CHECK(quire_vmalloc(scene->q, 0, 0) == NULL);
}

SIM_TEST(vmalloc_of_more_than_the_span_is_refused, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "vmap_request_make" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 1, 4);
	vmap_scene_give(scene, 0);
	sim_cpu(sim, 0, takes_more_than_there_is, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* A hardened instance's areas do not begin at the lowest address. */
SIM_TEST(hardened_area_begins_anywhere, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "random_pages" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	scene->q->hardened = true;
	sim_cpu(sim, 0, takes_four, scene);
	sim_run(sim);
	SIM_CHECK(scene->had[0] > page_of(scene, 0));
	vmap_scene_check(scene);
}

/* ---- what was used ----------------------------------------------------------------------------------- */

static void takes_large_zeroed(void *arg)
{
	const char *area = vtake(arg, LARGE_PAGES, QUIRE_ZERO);

	check_u64_eq(load_relaxed((const uint32_t *)(const void *)area), 0);
	check_u64_eq(
		load_relaxed((const uint32_t *)(const void *)(area + (LARGE_PAGES - 1) * PAGE)), 0);
}

/* A large area loses its memory instead of being cleared; if the system refuses to take that, it is cleared. */
SIM_TEST(large_area_that_keeps_its_memory_is_cleared, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 1,
	 .enters = { "clear_reused" })
{
	struct vmap_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(16) << 20, .thp = QUIRE_OFF,
				   .vmap_span_bytes = UINT64_C(32) << 20,
				   .worker = QUIRE_WORKER_OFF, .guard = QUIRE_GUARD_OFF);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	vmap_scene_fill(scene, 1, LARGE_PAGES);
	store_relaxed((uint32_t *)(void *)(scene->area[0] + (LARGE_PAGES - 1) * PAGE), 7);
	vmap_scene_give(scene, 0);
	sim_cpu(sim, 0, takes_large_zeroed, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* ---- across the end of what is pooled --------------------------------------------------------------- */

/* Pages 4 to 8 are pooled, and free pages follow. */
static struct vmap_scene *scene_of_pooled_end(struct sim *sim)
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);
	char *pooled;

	vmap_scene_fill(scene, 1, 4);
	pooled = vtake(scene, 5, 0);
	SIM_CHECK(pooled == page_of(scene, 4));
	vgive(scene, pooled, 5);
	cpu_pool_own(scene->v);
	merge_is_not_due(scene);
	return scene;
}

static void takes_eight_atomically(void *arg)
{
	struct vmap_scene *scene = arg;

	scene->had[0] = vtake(scene, 8, QUIRE_ATOMIC);
}

SIM_TEST(atomic_area_begins_in_what_is_pooled, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "take_across" })
{
	struct vmap_scene *scene = scene_of_pooled_end(sim);

	sim_cpu(sim, 0, takes_eight_atomically, scene);
	sim_run(sim);
	SIM_CHECK(scene->had[0] == page_of(scene, 4));
	vmap_scene_check(scene);
}

static void takes_eight_with(struct vmap_scene *scene, const struct quire_vmalloc_options *options)
{
	scene->had[0] = quire_vmalloc_with(scene->q, 8 * PAGE, options);
	SIM_CHECK(scene->had[0] != NULL);
	sim_own(scene->had[0], 8 * PAGE);
	scene->held_areas++;
}

static void takes_eight_aligned(void *arg)
{
	const struct quire_vmalloc_options aligned =
		QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = 8 * PAGE);

	takes_eight_with(arg, &aligned);
}

/* The first multiple of eight pages that is free is not where the free pages begin. */
SIM_TEST(aligned_area_leaves_what_is_pooled_before_a_gap, .cpus_nr = 1,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 1, .enters = { "pooled_before" })
{
	struct vmap_scene *scene = scene_of_pooled_end(sim);

	sim_cpu(sim, 0, takes_eight_aligned, scene);
	sim_run(sim);
	SIM_CHECK(scene->had[0] == page_of(scene, 16));
	vmap_scene_check(scene);
}

static void takes_eight_from_page_six(void *arg)
{
	struct vmap_scene *scene = arg;
	const struct quire_vmalloc_options higher =
		QUIRE_VMALLOC_OPTIONS_INIT(.start = page_of(scene, 6));

	takes_eight_with(scene, &higher);
}

SIM_TEST(area_does_not_begin_below_its_bound, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "pooled_before" })
{
	struct vmap_scene *scene = scene_of_pooled_end(sim);

	sim_cpu(sim, 0, takes_eight_from_page_six, scene);
	sim_run(sim);
	SIM_CHECK(scene->had[0] >= page_of(scene, 6));
	vmap_scene_check(scene);
}

static void frees_and_pools_first(void *arg)
{
	struct vmap_scene *scene = arg;

	frees_first(scene);
	cpu_pool_own(scene->v);
}

/* More than is wanted may be pooled before the free pages that an allocation has found. */
SIM_TEST(vmalloc_while_what_lies_before_it_is_pooled, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2)
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 1, 8);
	merge_is_not_due(scene);
	sim_cpu(sim, 0, takes_four, scene);
	sim_cpu(sim, 1, frees_and_pools_first, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

static void takes_seventeen(void *arg)
{
	struct vmap_scene *scene = arg;

	scene->had[0] = vtake(scene, 17, 0);
}

/* 19 pages are pooled, 18 behind them are free, and all others are in use.  An area of 17, whose class would have 20, begins where
 * the free pages do: it would end before them if it began in those that are pooled. */
SIM_TEST(area_that_needs_no_free_page_does_not_reach_into_them, .cpus_nr = 1,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 1, .enters = { "pooled_before" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);
	char *pooled = vtake_at(scene, 0, 19, 0), *free = vtake_at(scene, 19, 18, 0);

	vtake_at(scene, 37, SPAN_PAGES - 37, 0);
	vgive(scene, free, 18);
	quire_vmap_purge(scene->q);
	vgive(scene, pooled, 19);
	check_u64_eq(purge_rescue(scene->v, 1), 1);
	sim_cpu(sim, 0, takes_seventeen, scene);
	sim_run(sim);
	SIM_CHECK(scene->had[0] == page_of(scene, 19));
	vmap_scene_check(scene);
}

/* ---- regions --------------------------------------------------------------------------------------- */

static void takes_small_and_large(void *arg)
{
	struct vmap_scene *scene = arg;

	scene->had[0] = vtake(scene, 1, 0);
	scene->had[1] = vtake(scene, 640, 0);
}

static void one_region(struct sim *sim, uint64_t span_bytes, enum quire_switch thp)
{
	struct vmap_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20, .thp = thp,
				   .vmap_span_bytes = span_bytes, .worker = QUIRE_WORKER_OFF,
				   .guard = QUIRE_GUARD_OFF);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	sim_cpu(sim, 0, takes_small_and_large, scene);
	sim_run(sim);
	SIM_CHECK(scene->had[1] == scene->had[0] + PAGE);
	vmap_scene_check(scene);
}

/* A quarter of a small span would soon be full of large areas. */
SIM_TEST(small_span_is_one_region, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "set_regions" })
{
	one_region(sim, UINT64_C(32) << 20, QUIRE_ON);
}

/* Areas of all sizes are neighbours, for no block of them will be a huge page. */
SIM_TEST(span_without_huge_pages_is_one_region, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "set_regions" })
{
	one_region(sim, UINT64_C(128) << 20, QUIRE_OFF);
}

/* ---- growing --------------------------------------------------------------------------------------- */

static void grows_to_eight(void *arg)
{
	struct vmap_scene *scene = arg;

	sim_disown(scene->area[3], 4 * PAGE);
	scene->had[0] = quire_vrealloc(scene->q, scene->area[3], 8 * PAGE, 0);
	SIM_CHECK(scene->had[0] != NULL);
	sim_own(scene->had[0], 8 * PAGE);
}

/* Twelve pages are cached, and the area behind them grows. */
static struct vmap_scene *scene_of_growth(struct sim *sim)
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 4, 4);
	for (unsigned i = 0; i < 3; i++)
		vmap_scene_give(scene, i);
	return scene;
}

SIM_TEST(vrealloc_below_the_peak_grows_in_place, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "space_grow_locked" })
{
	struct vmap_scene *scene = scene_of_growth(sim);

	sim_cpu(sim, 0, grows_to_eight, scene);
	sim_run(sim);
	SIM_CHECK(scene->had[0] == scene->area[3]);
	vmap_scene_check(scene);
}

SIM_TEST(vrealloc_at_the_peak_moves_into_what_is_cached, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "space_grow_locked", "grow_after_merge" })
{
	struct vmap_scene *scene = scene_of_growth(sim);

	scene->v->charged_high = scene->v->charged_pages;
	sim_cpu(sim, 0, grows_to_eight, scene);
	sim_run(sim);
	SIM_CHECK(scene->had[0] == scene->area[0]);
	check_u64_eq(scene->v->charged_high, 16);
	vmap_scene_check(scene);
}

static void grows_where_others_are(void *arg)
{
	struct vmap_scene *scene = arg;

	sim_disown(scene->area[1], 4 * PAGE);
	scene->had[0] = quire_vrealloc(scene->q, scene->area[1], 8 * PAGE, 0);
	SIM_CHECK(scene->had[0] != NULL && scene->had[0] != scene->area[1]);
	sim_own(scene->had[0], 8 * PAGE);
}

/* The second of five areas of four pages grows while area @i is free. */
static void grows_beside_a_free_area(struct sim *sim, unsigned i)
{
	struct vmap_scene *scene = vmap_scene_make_lazy(sim);

	vmap_scene_fill(scene, 5, 4);
	if (i == 2) { /* half of it, which is not enough */
		vmap_scene_give(scene, 2);
		quire_vmap_purge(scene->q);
		scene->area[2] = vtake_at(scene, 10, 2, 0);
	} else {
		vmap_scene_give(scene, i);
		quire_vmap_purge(scene->q);
	}
	sim_cpu(sim, 0, grows_where_others_are, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* An area does not grow into free pages that lie before it. */
SIM_TEST(vrealloc_does_not_grow_over_its_neighbour, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "space_grow_locked" })
{
	grows_beside_a_free_area(sim, 0);
}

SIM_TEST(vrealloc_does_not_grow_over_too_few_free_pages, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "space_grow_locked" })
{
	grows_beside_a_free_area(sim, 2);
}

/* ---- refusals ---------------------------------------------------------------------------------------- */

static void takes_400(void *arg)
{
	SIM_CHECK(vtake(arg, 400, 0) == NULL);
}

/* purge:counter counts refusals that another purge is to blame for: here is none. */
SIM_TEST(refusal_without_a_purge_is_not_spurious, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "after_purge_of_2016" })
{
	struct vmap_scene *scene =
		vmap_scene_make(sim, (struct quire_options){ .purge = QUIRE_PURGE_COUNTER });

	vmap_scene_fill(scene, 1, 400);
	sim_cpu(sim, 0, takes_400, scene);
	sim_run(sim);
	check_u64_eq(scene->v->refusals, 1);
	check_u64_eq(scene->v->refusals_spurious, 0);
	vmap_scene_check(scene);
}

struct counted {
	struct resort resort;
	unsigned attempts;
};

static int is_refused(struct vmap *v, struct resort *resort)
{
	(void)v;
	((struct counted *)(void *)resort)->attempts++;
	return -ENOMEM;
}

static void resorts(void *arg)
{
	struct vmap_scene *scene = arg;
	struct counted counted = { .resort = { .attempt = is_refused } };

	check_u64_eq(resort_try(scene->v, &counted.resort), -ENOMEM);
	check_u64_eq(counted.attempts, 1);
}

/* An attempt is repeated only if something was freed since the purge before it. */
SIM_TEST(attempt_is_repeated_only_for_what_was_freed, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "resort_try" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 1, 4);
	vmap_scene_give(scene, 0);
	sim_cpu(sim, 0, resorts, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* ---- the lazy list while a fork goes on -------------------------------------------------------------- */

/* A fork holds the mutex, and lends it to calls of its thread. */
static void looks_during_a_fork(void *arg)
{
	struct vmap *v = ((struct vmap_scene *)arg)->v;

	mutex_acquire(&v->purge_mutex);
	lazy_fork_prepare(v);
	store_relaxed(&v->forking, true);
	check_u64_eq(lazy_pop(v, 4), RANGE_NONE);
	check_u64_eq(lazy_splice(v), RANGE_NONE);
	lazy_fork_done(v, false);
	store_relaxed(&v->forking, false);
	mutex_release(&v->purge_mutex);
}

static void frees_second(void *arg)
{
	vmap_scene_give(arg, 1);
}

/* The child is to find the list as it was. */
SIM_TEST(nothing_leaves_the_lazy_list_during_a_fork, .enters = { "lazy_pop", "lazy_splice" })
{
	struct vmap_scene *scene = vmap_scene_make_lazy(sim);

	vmap_scene_fill(scene, 2, 4);
	vmap_scene_give(scene, 0);
	sim_cpu(sim, 0, looks_during_a_fork, scene);
	sim_cpu(sim, 1, frees_second, scene);
	sim_run(sim);
	check_u64_eq(load_relaxed(&scene->v->lazy_pages), 8);
	vmap_scene_check(scene);
}
