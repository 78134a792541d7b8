/* SPDX-License-Identifier: MIT */
/* vmap_misuse_sim.c - frees that are refused: the checks of the fast path and behind it */
#include "sim/vmap/vmap_scene.h"

/* One area of eight pages is in use. */
static void misuses(struct sim *sim, void (*body)(void *))
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 1, 8);
	sim_end_by("misuse");
	sim_cpu(sim, 0, body, scene);
	sim_run(sim);
	SIM_CHECK(false);
}

static void frees_twice(void *arg)
{
	struct vmap_scene *scene = arg;

	quire_vfree(scene->q, scene->area[0]);
	quire_vfree(scene->q, scene->area[0]);
}

SIM_TEST(second_free_of_an_area_is_seen, .cpus_nr = 1, .enters = { "vmap_check_free" })
{
	misuses(sim, frees_twice);
}

static void frees_its_second_page(void *arg)
{
	struct vmap_scene *scene = arg;

	quire_vfree(scene->q, scene->area[0] + 4096);
}

SIM_TEST(free_of_the_middle_of_an_area_is_seen, .cpus_nr = 1, .enters = { "vmap_check_free" })
{
	misuses(sim, frees_its_second_page);
}

static void frees_inside_its_first_page(void *arg)
{
	struct vmap_scene *scene = arg;

	quire_vfree(scene->q, scene->area[0] + 16);
}

SIM_TEST(free_of_an_area_from_inside_a_page_is_seen, .cpus_nr = 1, .enters = { "vmap_check_free" })
{
	misuses(sim, frees_inside_its_first_page);
}

static void frees_beyond_the_span(void *arg)
{
	struct vmap_scene *scene = arg;

	quire_vfree(scene->q, scene->v->base + scene->v->span_bytes);
}

SIM_TEST(free_of_a_foreign_area_is_seen, .cpus_nr = 1, .enters = { "vmap_check_free" })
{
	misuses(sim, frees_beyond_the_span);
}

/* 16 TiB above: cut to 32 bits, the number of its page is that of the area. */
static void frees_far_above(void *arg)
{
	struct vmap_scene *scene = arg;

	quire_vfree(scene->q, scene->area[0] + ((size_t)1 << 44));
}

SIM_TEST(free_far_above_an_area_is_seen, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "vmap_check_free" })
{
	misuses(sim, frees_far_above);
}

static void frees_as_an_alias(void *arg)
{
	struct vmap_scene *scene = arg;

	quire_vunmap(scene->q, scene->area[0]);
}

SIM_TEST(free_of_an_area_as_an_alias_is_seen, .cpus_nr = 1, .enters = { "vmap_check_free" })
{
	misuses(sim, frees_as_an_alias);
}

/* In the second step of the span's metadata (meta.c), where nothing ever was. */
static void frees_far_away(void *arg)
{
	struct vmap_scene *scene = arg;

	quire_vfree(scene->q, scene->v->base + (UINT64_C(100) << 20));
}

SIM_TEST(free_where_no_area_ever_was_is_seen, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .events = SIM_MEMORY, .enters = { "vmap_check_free" })
{
	struct vmap_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20,
				   .vmap_span_bytes = UINT64_C(128) << 20,
				   .worker = QUIRE_WORKER_OFF);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	SIM_CHECK(vtake(scene, 1, 0) != NULL);
	scene->v = scene->q->vmap;
	sim_end_by_words("misuse", "no area");
	sim_cpu(sim, 0, frees_far_away, scene);
	sim_run(sim);
	SIM_CHECK(false);
}

static void frees_nothing(void *arg)
{
	struct vmap_scene *scene = arg;

	quire_vfree(scene->q, NULL);
	quire_vunmap(scene->q, NULL);
}

SIM_TEST(vfree_of_null_does_nothing, .cpus_nr = 1, .enters = { "vfree_odd" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	sim_cpu(sim, 0, frees_nothing, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}
