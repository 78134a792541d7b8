/* SPDX-License-Identifier: MIT */
/* page_misuse_sim.c - frees that are refused: the checks of the fast path and behind it */
#include "page/charge.h"
#include "sim/page/page_scene.h"

static void *const nobodys_page = (void *)(uintptr_t)4096;

static void misuses(struct sim *sim, void (*body)(void *))
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_end_by("misuse");
	sim_cpu(sim, 0, body, scene);
	sim_run(sim);
	SIM_CHECK(false);
}

static void frees_twice(void *arg)
{
	struct page_scene *scene = arg;

	quire_free_pages(scene->q, scene->page[0], 0);
	quire_free_pages(scene->q, scene->page[0], 0);
}

SIM_TEST(second_free_of_a_page_is_seen, .cpus_nr = 1, .enters = { "page_check_free" })
{
	misuses(sim, frees_twice);
}

static void frees_with_another_order(void *arg)
{
	struct page_scene *scene = arg;

	quire_free_pages(scene->q, scene->page[0], 1);
}

SIM_TEST(free_with_another_order_is_seen, .cpus_nr = 1, .enters = { "page_check_free" })
{
	misuses(sim, frees_with_another_order);
}

static void frees_a_foreign_page(void *arg)
{
	quire_free_pages(((struct page_scene *)arg)->q, nobodys_page, 0);
}

SIM_TEST(free_of_a_foreign_page_is_seen, .cpus_nr = 1, .enters = { "page_check_free" })
{
	misuses(sim, frees_a_foreign_page);
}

static void frees_a_page_from_its_middle(void *arg)
{
	struct page_scene *scene = arg;

	quire_free_pages(scene->q, (char *)scene->page[0] + 16, 0);
}

SIM_TEST(free_of_the_middle_of_a_page_is_seen, .cpus_nr = 1, .enters = { "page_check_free" })
{
	misuses(sim, frees_a_page_from_its_middle);
}

static void frees_nothing(void *arg)
{
	struct page_scene *scene = arg;

	quire_free_pages(scene->q, NULL, 0);
}

/* NULL is beyond every span, too. */
SIM_TEST(free_of_null_does_nothing, .cpus_nr = 1, .enters = { "quire_free_pages" })
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, frees_nothing, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void asks_about_foreign_pages(void *arg)
{
	struct page_scene *scene = arg;

	check_u64_eq((uint64_t)quire_block_order(scene->q, nobodys_page), (uint64_t)-EINVAL);
	SIM_CHECK(!page_is_allocated(scene->q, nobodys_page));
}

SIM_TEST(foreign_pages_have_no_order, .cpus_nr = 1, .enters = { "quire_block_order" })
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, asks_about_foreign_pages, scene);
	sim_run(sim);
	page_scene_check(scene);
}
