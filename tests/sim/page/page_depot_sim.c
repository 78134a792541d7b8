/* SPDX-License-Identifier: MIT */
/* page_depot_sim.c - between the CPUs' stacks and the buddy: depot and spares */
#include "sim/page/page_scene.h"

static void frees_seven(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < 7; i++)
		give(scene, scene->page[i], 0);
}

static void takes_three(void *arg)
{
	for (unsigned i = 0; i < 3; i++)
		take(arg, 0, 0);
}

static void drains_all(void *arg)
{
	quire_drain_all(((struct page_scene *)arg)->q);
}

static void disables(void *arg)
{
	quire_pcp_disable(((struct page_scene *)arg)->q);
}

static void isolates(void *arg)
{
	struct page_scene *scene = arg;

	check_u64_eq(quire_isolate_pageblock(scene->q, scene->page[7]), 0);
}

/* Stacks keep four pages, so that the fifth free puts two into the depot. */
static struct page_scene *scene_with_depot(struct sim *sim)
{
	struct page_scene *scene = page_scene_make(sim, true);

	pages_of(scene->q)->zone[0].pcp_high_max = 256;
	return scene;
}

/* Puts the first @nr of the scene's pages into the depot. */
static void stock_depot(struct page_scene *scene, unsigned type, unsigned nr)
{
	struct pages *p = pages_of(scene->q);
	uint32_t frames[8];

	for (unsigned i = 0; i < nr; i++) {
		frames[i] = page_frame(p, scene->page[i]);
		page_set_state(p, frames[i], STATE_CACHED);
		sim_disown(scene->page[i], quire_page_bytes(scene->q));
	}
	scene->held_pages -= nr;
	check_u64_eq(depot_put(&p->zone[0], 0, type, frames, nr), nr);
}

/* The depot has six pages of CPU 0's, and nothing is on its stack or list. */
static struct page_scene *scene_with_stock(struct sim *sim)
{
	struct page_scene *scene = scene_with_depot(sim);

	quire_drain_all(scene->q);
	stock_depot(scene, TYPE_UNMOVABLE, 6);
	return scene;
}

static void stock_against(struct sim *sim, struct page_scene *scene, void (*first)(void *),
			  void (*second)(void *))
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	sim_cpu(sim, 0, first, scene);
	sim_cpu(sim, 1, second, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
	quire_page_stat_read(scene->q, &stat);
	if (pages_of(scene->q)->pcp_disabled.nr != 0)
		check_u64_eq(stat.cached_pages, 0);
}

SIM_TEST(depot_put_against_drain, .events = SIM_ABORT)
{
	stock_against(sim, scene_with_depot(sim), frees_seven, drains_all);
}

SIM_TEST(depot_put_against_take)
{
	struct page_scene *scene = scene_with_depot(sim);

	quire_drain_all(scene->q);
	stock_against(sim, scene, frees_seven, takes_three);
}

/* Two refills at once: no page is given out twice. */
SIM_TEST(depot_take_by_two, .events = SIM_TRYFAIL)
{
	stock_against(sim, scene_with_stock(sim), takes_three, takes_three);
}

SIM_TEST(depot_take_against_drain, .events = SIM_TRYFAIL)
{
	stock_against(sim, scene_with_stock(sim), takes_three, drains_all);
}

/* The same where the depot's six go to the buddy two at a time: each once. */
SIM_TEST(depot_drain_in_full_batches_keeps_every_page, .batch_max = 2,
	 .enters = { "depot_drain", "some_to_buddy" })
{
	stock_against(sim, scene_with_stock(sim), takes_three, drains_all);
}

static void takes_one(void *arg)
{
	take(arg, 0, 0);
}

/* The last pages are in the depot, as many as there are callers.  A drain has them in hand for a moment: until the
 * buddy has them it holds the depot's lock, for which the others wait. */
SIM_TEST(last_pages_of_depot_are_not_refused, .cpus_nr = 3, .enters = { "depot_drain" })
{
	struct page_scene *scene = page_scene_make(sim, true);

	take_all_but(scene, 0);
	quire_drain_all(scene->q);
	stock_depot(scene, TYPE_MOVABLE, 3);
	for (unsigned cpu = 0; cpu < 3; cpu++)
		sim_cpu(sim, cpu, takes_one, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

/* A free whose CPU's lock is refused puts its page into the depot by itself. */
SIM_TEST(depot_put_one_against_drain, .events = SIM_TRYFAIL)
{
	stock_against(sim, scene_with_depot(sim), frees_seven, drains_all);
}

SIM_TEST(depot_put_one_against_disable, .events = SIM_TRYFAIL)
{
	stock_against(sim, scene_with_depot(sim), frees_seven, disables);
}

/* Switched off: what was there has gone, and nothing comes after. */
SIM_TEST(depot_put_against_disable, .events = SIM_ABORT)
{
	stock_against(sim, scene_with_depot(sim), frees_seven, disables);
}

SIM_TEST(depot_take_against_disable)
{
	stock_against(sim, scene_with_stock(sim), takes_three, disables);
}

static void frees_while_isolated(struct sim *sim)
{
	struct page_scene *scene = scene_with_depot(sim);

	sim_cpu(sim, 0, frees_seven, scene);
	sim_cpu(sim, 1, isolates, scene);
	sim_run(sim);
	check_u64_eq(page_scene_strays(scene, scene->page[7]), 0);
	page_scene_check(scene);
}

/* B9, through the depot: pages pass it on their way while their block is isolated. */
SIM_TEST(depot_isolate_against_free, .events = SIM_ABORT)
{
	frees_while_isolated(sim);
}

/* The same for pages that come one by one, past a lock that was refused. */
SIM_TEST(depot_isolate_against_put_one, .events = SIM_TRYFAIL)
{
	frees_while_isolated(sim);
}

/* ---- spares ---- */

static void takes_nolock(void *arg)
{
	struct page_scene *scene = arg;

	if (take(scene, 0, QUIRE_NOLOCK) == NULL)
		fetch_sub_relaxed(&scene->refused, 1); /* it may be refused */
}

/* Spares are filled; stacks and lists are off, so that nested calls come to the spares. */
static struct page_scene *scene_with_spares(struct sim *sim)
{
	struct page_scene *scene = page_scene_make(sim, false);

	nested_fill(pages_of(scene->q));
	SIM_CHECK(nested_pages(pages_of(scene->q)) != 0);
	for (unsigned cpu = 0; cpu < sim_cpus(sim); cpu++)
		quire_drain_slot(scene->q, cpu);
	return scene;
}

/* Two that may only try locks, and find the lists' locks held: each spare goes to one of them. */
SIM_TEST(spares_are_taken_once, .cpus_nr = 3, .events = SIM_TRYFAIL)
{
	struct page_scene *scene = scene_with_spares(sim);

	sim_cpu(sim, 0, takes_nolock, scene);
	sim_cpu(sim, 1, takes_nolock, scene);
	sim_cpu(sim, 2, drains_all, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	/* What the calls cut off while every lock was held waits for the next ordinary call. */
	page_take_deferred(pages_of(scene->q));
	page_scene_check(scene);
}

/* B9 for spares: what nested calls leave of the block, the last drain takes. */
SIM_TEST(spares_isolate_against_nested_takes, .events = SIM_TRYFAIL)
{
	struct page_scene *scene = scene_with_spares(sim);

	sim_cpu(sim, 0, takes_nolock, scene);
	sim_cpu(sim, 1, isolates, scene);
	sim_run(sim);
	check_u64_eq(page_scene_strays(scene, scene->page[7]), 0);
	page_take_deferred(
		pages_of(scene->q)); /* what the call cut off while every lock was held */
	page_scene_check(scene);
}

/* ---- without stacks ---- */

/* Nobody takes pages out of the depot then, so nobody puts any there. */
SIM_TEST(free_without_stacks_leaves_the_depot_empty, .events = SIM_TRYFAIL,
	 .enters = { "page_put_frame" })
{
	struct page_scene *scene = page_scene_make(sim, false);

	sim_cpu(sim, 0, frees_seven, scene);
	sim_cpu(sim, 1, takes_three, scene);
	sim_run(sim);
	check_u64_eq(depot_pages(&pages_of(scene->q)->zone[0].depot), 0);
	page_scene_check(scene);
}
