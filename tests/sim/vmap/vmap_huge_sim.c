/* SPDX-License-Identifier: MIT */
/*
 * vmap_huge_sim.c - advice about huge pages against purges
 *
 * The machine fails a run where khugepaged could fill again what went back (src/machine/sim/huge.c).
 */
#include "machine/clock.h"
#include "sim/vmap/vmap_scene.h"
#include "vmap/decay.h"
#include "vmap/layout.h"

#define AREA_PAGES 100u /* of the middle region, where areas share a section */

/* Every page, or one of @each. */
static void write_each(char *area, uint32_t pages, uint32_t each)
{
	for (uint32_t i = 0; area != NULL && i < pages; i += each)
		store_relaxed((uint32_t *)(void *)(area + ((size_t)i << 12)), 7);
}

/* Areas in sections that are advised to have huge pages. */
static struct vmap_scene *scene_with_areas(struct sim *sim, unsigned nr, uint32_t pages,
					   uint32_t each)
{
	struct vmap_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20, .thp = QUIRE_ON,
				   .vmap_span_bytes = UINT64_C(128) << 20,
				   .worker = QUIRE_WORKER_OFF, .guard = QUIRE_GUARD_OFF,
				   .cache = QUIRE_OFF);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	vmap_scene_fill(scene, nr, pages);
	for (unsigned i = 0; i < nr; i++)
		write_each(scene->area[i], pages, each);
	scene->v = scene->q->vmap;
	return scene;
}

static struct vmap_scene *scene_of_huge(struct sim *sim)
{
	return scene_with_areas(sim, 2, AREA_PAGES, 1);
}

static void frees_one_and_purges(void *arg)
{
	struct vmap_scene *scene = arg;

	vmap_scene_give(scene, 0);
	quire_vmap_purge(scene->q);
}

static void takes_and_writes(void *arg)
{
	char *area = vtake(arg, AREA_PAGES, 0);

	if (area != NULL)
		store_relaxed((uint32_t *)(void *)area, 7);
}

static void takes_and_writes_atomically(void *arg)
{
	char *area = vtake(arg, AREA_PAGES, QUIRE_ATOMIC);

	if (area != NULL)
		store_relaxed((uint32_t *)(void *)area, 7);
}

/* One area of a section goes, one stays, and a third is made in its place or beside it. */
SIM_TEST(purged_part_goes_without_advice, .events = SIM_MEMORY)
{
	struct vmap_scene *scene = scene_of_huge(sim);

	sim_cpu(sim, 0, frees_one_and_purges, scene);
	sim_cpu(sim, 1, takes_and_writes, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

SIM_TEST(purged_part_goes_without_advice_past_the_budget, .events = SIM_MEMORY | SIM_REFUSE,
	 .refusals = 2)
{
	struct vmap_scene *scene = scene_of_huge(sim);

	sim_cpu(sim, 0, frees_one_and_purges, scene);
	sim_cpu(sim, 1, takes_and_writes_atomically, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

static void frees_the_third_and_purges(void *arg)
{
	struct vmap_scene *scene = arg;

	vmap_scene_give(scene, 2);
	quire_vmap_purge(scene->q);
}

/* Of four sections the inner two lose a part.  Alone they would be mappings of their own, for which there may
 * be no room: then the outer ones are denied, too. */
SIM_TEST(inner_sections_go_without_advice_past_the_budget, .events = SIM_MEMORY | SIM_REFUSE,
	 .refusals = 2)
{
	struct vmap_scene *scene = scene_with_areas(sim, 4, 400, 50);

	sim_cpu(sim, 0, frees_the_third_and_purges, scene);
	sim_cpu(sim, 1, takes_and_writes_atomically, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* The last three share a section that is committed by a caller that may not wait. */
static void takes_atomically_frees_one_and_purges(void *arg)
{
	static const uint32_t pages[] = { 200, 200, AREA_PAGES, AREA_PAGES };
	struct vmap_scene *scene = arg;

	for (unsigned i = 0; i < 4; i++) {
		scene->pages[i] = pages[i];
		scene->area[i] = vtake(scene, pages[i], QUIRE_ATOMIC);
		if (scene->area[i] != NULL)
			store_relaxed((uint32_t *)(void *)scene->area[i], 7);
	}
	if (scene->area[2] != NULL)
		vmap_scene_give(scene, 2);
	quire_vmap_purge(scene->q);
}

/* A section that was advised while nobody could count the mapping is denied like any other. */
SIM_TEST(uncounted_section_is_denied_before_a_part_goes, .cpus_nr = 1,
	 .events = SIM_MEMORY | SIM_TRYFAIL)
{
	struct vmap_scene *scene = scene_of_huge(sim);

	sim_cpu(sim, 0, takes_atomically_frees_one_and_purges, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

static enum huge_kind kind_of(const struct vmap_scene *scene, const char *area)
{
	return huge_kind(&scene->v->advice,
			 page_at(scene->v, area) >> section_page_shift(scene->v));
}

static void frees_the_other_and_purges(void *arg)
{
	struct vmap_scene *scene = arg;

	vmap_scene_give(scene, 1);
	quire_vmap_purge(scene->q);
}

/* Far from the others, so that something is in use. */
static void takes_a_large_area(void *arg)
{
	char *area = vtake(arg, 512, 0);

	if (area != NULL)
		store_relaxed((uint32_t *)(void *)area, 7);
}

/* A section that went in part is advised again when all of it has gone. */
SIM_TEST(section_that_is_free_has_its_advice_back, .events = SIM_MEMORY)
{
	struct vmap_scene *scene = scene_of_huge(sim);
	const char *area = scene->area[0];

	takes_a_large_area(scene);
	frees_one_and_purges(scene);
	check_u64_eq(kind_of(scene, area), HUGE_PLAIN);
	sim_cpu(sim, 0, frees_the_other_and_purges, scene);
	sim_cpu(sim, 1, takes_a_large_area, scene);
	sim_run(sim);
	quire_vmap_purge(scene->q);
	check_u64_eq(kind_of(scene, area), HUGE_ADVISED);
	vmap_scene_check(scene);
}

static void works(void *arg)
{
	struct vmap_scene *scene = arg;

	decay_tick(&scene->v->module, clock_now_ns() + UINT64_C(2000000000));
}

/* A section that lost its advice is full again, and the worker has found it written once. */
static struct vmap_scene *scene_of_full(struct sim *sim)
{
	struct vmap_scene *scene = scene_with_areas(sim, 4, 128, 1);
	uint32_t section = page_at(scene->v, scene->area[0]) >> section_page_shift(scene->v);

	frees_one_and_purges(scene);
	scene->area[0] = vtake(scene, 128, 0);
	write_each(scene->area[0], 128, 1);
	check_u64_eq(huge_kind(&scene->v->advice, section), HUGE_PLAIN);
	works(scene);
	check_u64_eq(huge_kind(&scene->v->advice, section), HUGE_FULL);
	return scene;
}

/* The worker makes a huge page of a section while one of its areas goes. */
SIM_TEST(full_section_is_left_alone_while_a_part_goes, .events = SIM_MEMORY)
{
	struct vmap_scene *scene = scene_of_full(sim);

	/* So that the next look is due. */
	scene->v->looked_ms -= 2000;
	scene->v->ticked_ms -= 2000;
	sim_cpu(sim, 0, frees_one_and_purges, scene);
	sim_cpu(sim, 1, works, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* ---- which areas get huge pages, with thp:auto ---------------------------------------------------- */

#define LARGE_PAGES 1024u /* two sections, and none beside them is another's */

static struct vmap_scene *scene_of_regions(struct sim *sim, enum quire_switch thp,
					   enum quire_switch cache)
{
	struct vmap_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(32) << 20, .thp = thp,
				   .vmap_span_bytes = UINT64_C(128) << 20,
				   .worker = QUIRE_WORKER_OFF, .guard = QUIRE_GUARD_OFF,
				   .cache = cache);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	vgive(scene, vtake(scene, 1, 0), 1);
	scene->v = scene->q->vmap;
	return scene;
}

static struct dense *large_ones(const struct vmap_scene *scene)
{
	return &scene->v->dense[REGION_LARGE];
}

/* All sections of an area of @pages. */
static void check_kinds(const struct vmap_scene *scene, const char *area, uint32_t pages,
			enum huge_kind kind)
{
	for (uint32_t page = 0; page < pages; page += scene->v->block_pages)
		check_u64_eq(kind_of(scene, area + ((size_t)page << 12)), kind);
}

static void run_alone(struct sim *sim, struct vmap_scene *scene, void (*body)(void *))
{
	sim_cpu(sim, 0, body, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

static void takes_with_half_a_section(void *arg)
{
	struct vmap_scene *scene = arg;
	char *area;

	large_ones(scene)->was_dense = true;
	large_ones(scene)->until_probe = 8;
	area = vtake(scene, LARGE_PAGES + 256, 0);
	check_kinds(scene, area, LARGE_PAGES + 256, HUGE_ADVISED);
	vgive(scene, area, LARGE_PAGES + 256);
}

/* A large area is advised to its end: what its last section wastes is little beside the others. */
SIM_TEST(large_area_is_advised_to_its_end, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "covered_pages" })
{
	run_alone(sim, scene_of_regions(sim, QUIRE_AUTO, QUIRE_OFF), takes_with_half_a_section);
}

static void takes_one_page_of_the_middle_region(void *arg)
{
	struct vmap_scene *scene = arg;
	struct dense *middle = &scene->v->dense[REGION_MIDDLE];
	char *much = quire_vmalloc(scene->q, (size_t)10 * scene->v->block_pages << 16, 0), *one;

	middle->witness_pages = 0;
	middle->was_dense = true;
	middle->until_probe = 8;
	one = quire_vmalloc(scene->q, (size_t)1 << 16, 0);
	SIM_CHECK(much != NULL && one != NULL);
	check_u64_eq(kind_of(scene, one), HUGE_ADVISED);
	quire_vfree(scene->q, one);
	quire_vfree(scene->q, much);
}

/* An area is advised although its guard is as large as it is: where so much is in use, other areas will fill the section. */
SIM_TEST(area_of_a_page_of_64k_is_advised_for_its_neighbours, .cpus_nr = 1, .page_shift = 16,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 1, .enters = { "covered_pages" })
{
	struct vmap_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(64) << 20, .thp = QUIRE_AUTO,
				   .vmap_span_bytes = UINT64_C(128) << 20,
				   .worker = QUIRE_WORKER_OFF, .cache = QUIRE_OFF);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	quire_vfree(scene->q, quire_vmalloc(scene->q, 1, 0));
	quire_vmap_purge(scene->q);
	scene->v = scene->q->vmap;
	run_alone(sim, scene, takes_one_page_of_the_middle_region);
}

static void takes_one_to_be_written(void *arg)
{
	struct vmap_scene *scene = arg;
	const char *witness = vtake(scene, LARGE_PAGES, 0);

	check_kinds(scene, witness, LARGE_PAGES, HUGE_PLAIN);
	check_u64_eq(large_ones(scene)->witness_pages, LARGE_PAGES);
	check_kinds(scene, vtake(scene, LARGE_PAGES, QUIRE_HUGE), LARGE_PAGES, HUGE_ADVISED);
	check_u64_eq(large_ones(scene)->witness_pages, LARGE_PAGES);
	vtake(scene, LARGE_PAGES, 0);
	check_u64_eq(large_ones(scene)->witness_start,
		     page_at(scene->v, witness) + 2 * LARGE_PAGES);
}

/* The witness is looked at when an area is taken of which nothing else is known. */
SIM_TEST(witness_is_looked_at_when_it_decides, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "advise_run", "set_witness", "ask_system" })
{
	run_alone(sim, scene_of_regions(sim, QUIRE_AUTO, QUIRE_OFF), takes_one_to_be_written);
}

/* Of one section to two. */
static void grows_full(struct vmap_scene *scene, char *area)
{
	write_each(area, 512, 1);
	SIM_CHECK(quire_vrealloc(scene->q, area, (size_t)LARGE_PAGES << 12, 0) == area);
}

static void grows_when_a_probe_is_due(void *arg)
{
	struct vmap_scene *scene = arg;
	char *area = vtake(scene, 512, 0);

	large_ones(scene)->witness_pages = 0;
	large_ones(scene)->until_probe = 0;
	grows_full(scene, area);
	check_u64_eq(kind_of(scene, area + ((size_t)512 << 12)), HUGE_ADVISED);
	check_u64_eq(large_ones(scene)->until_probe, 0);
}

/* A written area that grows is no probe: the probe stays due for the next fresh area. */
SIM_TEST(probe_stays_due_while_areas_grow, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "dense_is_full", "dense_advise" })
{
	run_alone(sim, scene_of_regions(sim, QUIRE_AUTO, QUIRE_OFF), grows_when_a_probe_is_due);
}

static void grows_into_the_middle_region(void *arg)
{
	struct vmap_scene *scene = arg;
	uint32_t middle = scene->v->region_start[REGION_MIDDLE];
	char *area = vtake_at(scene, middle - 512, 512, 0);

	grows_full(scene, area);
	check_u64_eq(kind_of(scene, area + ((size_t)512 << 12)), HUGE_PLAIN);
}

/* That an area is written in full says nothing of the region that it grows into. */
SIM_TEST(area_that_grows_out_of_the_small_region_is_plain, .cpus_nr = 1,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 1, .enters = { "dense_is_full" })
{
	run_alone(sim, scene_of_regions(sim, QUIRE_AUTO, QUIRE_OFF), grows_into_the_middle_region);
}

/* The area is pooled, and is had again with its memory. */
static void uses_again(struct vmap_scene *scene, unsigned i)
{
	vmap_scene_give(scene, i);
	cpu_pool_own(scene->v);
	SIM_CHECK(vtake(scene, LARGE_PAGES, 0) == scene->area[i]);
}

static void uses_three_again(void *arg)
{
	struct vmap_scene *scene = arg;
	struct dense *large = large_ones(scene);

	vmap_scene_fill(scene, 3, LARGE_PAGES);
	uses_again(scene,
		   2); /* the witness, which nobody looks at while nothing would be advised */
	check_u64_eq(large->witness_pages, LARGE_PAGES);
	large->was_dense = true;
	large->witness_start = page_at(scene->v, scene->area[1]);
	large->witness_pages = LARGE_PAGES;
	for (unsigned i = 0; i < 3; i += 2) {
		check_kinds(scene, scene->area[i], LARGE_PAGES, HUGE_PLAIN);
		uses_again(scene, i);
		check_kinds(scene, scene->area[i], LARGE_PAGES, HUGE_ADVISED);
		check_u64_eq(large->witness_pages, LARGE_PAGES);
	}
	uses_again(scene, 1); /* which was not written */
	check_u64_eq(large->witness_pages, 0);
	check_kinds(scene, scene->area[1], LARGE_PAGES, HUGE_PLAIN);
}

/* Areas that are used again are advised while witnesses are dense, and the one that is the witness is looked at first. */
SIM_TEST(area_used_again_is_advised_as_a_fresh_one, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "dense_reuse", "has_witness" })
{
	run_alone(sim, scene_of_regions(sim, QUIRE_AUTO, QUIRE_ON), uses_three_again);
}

static void uses_a_denied_one_again(void *arg)
{
	struct vmap_scene *scene = arg;

	scene->pages[0] = LARGE_PAGES;
	scene->area[0] = vtake(scene, LARGE_PAGES, QUIRE_NOHUGE);
	check_kinds(scene, scene->area[0], LARGE_PAGES, HUGE_PLAIN);
	uses_again(scene, 0);
	check_kinds(scene, scene->area[0], LARGE_PAGES, HUGE_ADVISED);
}

/* With thp:on an area whose last user denied it huge pages is advised for the next. */
SIM_TEST(area_used_again_is_advised_where_all_are, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "dense_reuse", "next_plain" })
{
	run_alone(sim, scene_of_regions(sim, QUIRE_ON, QUIRE_ON), uses_a_denied_one_again);
}

static void uses_some_of_the_middle_region_again(void *arg)
{
	struct vmap_scene *scene = arg;
	uint32_t middle = scene->v->region_start[REGION_MIDDLE];
	char *area = vtake_at(scene, middle, LARGE_PAGES, 0);

	vgive(scene, area, LARGE_PAGES);
	check_u64_eq(purge_rescue(scene->v, 1), 1);
	vtake_at(scene, middle, LARGE_PAGES, QUIRE_ZERO);
	check_kinds(scene, area, LARGE_PAGES, HUGE_PLAIN);
}

/* Where areas share sections, one that is used again does not decide for them. */
SIM_TEST(area_used_again_where_sections_are_shared_is_plain, .cpus_nr = 1,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 1, .enters = { "dense_reuse" })
{
	run_alone(sim, scene_of_regions(sim, QUIRE_AUTO, QUIRE_ON),
		  uses_some_of_the_middle_region_again);
}

static void purges_beside_two(void *arg)
{
	struct vmap_scene *scene = arg;
	const char *huge = vtake(scene, LARGE_PAGES, QUIRE_HUGE), *plain;

	plain = vtake(scene, LARGE_PAGES, 0);
	vgive(scene, vtake(scene, 1, 0), 1);
	quire_vmap_purge(scene->q);
	check_kinds(scene, huge, LARGE_PAGES, HUGE_ADVISED);
	check_kinds(scene, plain, LARGE_PAGES, HUGE_PLAIN);
}

/* A purge makes the advice of all mappings the same only when no area is in use. */
SIM_TEST(purge_leaves_the_advice_of_what_is_in_use, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "dense_settle" })
{
	run_alone(sim, scene_of_regions(sim, QUIRE_AUTO, QUIRE_OFF), purges_beside_two);
}
