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
