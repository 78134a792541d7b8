/* SPDX-License-Identifier: MIT */
/* percpu_maps_sim.c - maps are returned while other callers need more than are left */
#include "page/pages.h"
#include "sim/percpu/percpu_scene.h"

#define LARGE (8 * PAGE_BYTES)
#define MAPS  (PAGE_BYTES / 128) /* in a page of theirs */
#define READY (8 * MAPS)

static void trims(void *arg)
{
	struct percpu_scene *scene = arg;

	mutex_acquire(&scene->pc->alloc_mutex);
	maps_trim(scene->pc, true);
	mutex_release(&scene->pc->alloc_mutex);
}

/* There are maps for far more than is populated: 64 of them are to stay.  No chunk is missing. */
static struct percpu_scene *make_trimmable(struct sim *sim)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	while (scene->pc->populated_pages % MAPS != 0)
		percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
	check_u64_eq(maps_ready_for(scene->pc, READY, 0), 0);
	check_u64_eq(chunk_create(scene->pc, 2, 0), 0);
	return scene;
}

static void check(struct percpu_scene *scene)
{
	check_u64_eq(pages_of(scene->q)->zone[0].charged_pages, percpu_charged(scene));
	percpu_scene_check(scene);
}

static void takes_large(struct percpu_scene *scene, unsigned nr, unsigned flags)
{
	for (unsigned i = 0; i < nr; i++)
		percpu_take(scene, LARGE, flags);
}

static void takes_ten_unwaited(void *arg)
{
	sim_forbid_wait(true);
	takes_large(arg, 10, QUIRE_NOWAIT);
	sim_forbid_wait(false);
}

/* A caller that may not wait and needs more maps than are left may be refused until the return is done,
 * but never gets a map that is being returned.  The spare maps are enough for eight of ten
 * objects of eight pages. */
SIM_TEST(percpu_trim_beside_who_may_not_wait, .events = SIM_MEMORY | SIM_RACE)
{
	struct percpu_scene *scene = make_trimmable(sim);

	sim_cpu(sim, 0, trims, scene);
	sim_cpu(sim, 1, takes_ten_unwaited, scene);
	sim_run(sim);
	SIM_CHECK(scene->refused <= 2);
	check(scene);
}

static void takes_ten(void *arg)
{
	takes_large(arg, 10, 0);
}

/* A caller that may wait does so, and is not refused. */
SIM_TEST(percpu_trim_beside_who_may_wait, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .events = SIM_MEMORY | SIM_RACE)
{
	struct percpu_scene *scene = make_trimmable(sim);

	sim_cpu(sim, 0, trims, scene);
	sim_cpu(sim, 1, takes_ten, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check(scene);
}

/* As an allocation does that found maps missing when more pages were populated than are now. */
static void makes_maps_and_takes_ten(void *arg)
{
	struct percpu_scene *scene = arg;

	if (maps_ready_for(scene->pc, READY + MAPS, QUIRE_NOWAIT) == 0)
		takes_ten_unwaited(scene);
}

/* Who comes to count new maps while others leave that are below them, has none of those.  On one CPU there
 * is no switch under the lock, so few schedules. */
SIM_TEST(percpu_trim_beside_who_makes_maps, .cpus_nr = 1, .config = SIM_UP,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 2, .events = SIM_MEMORY)
{
	struct percpu_scene *scene = make_trimmable(sim);

	sim_cpu(sim, 0, trims, scene);
	sim_cpu(sim, 0, makes_maps_and_takes_ten, scene);
	sim_run(sim);
	check(scene);
}

static void balances(void *arg)
{
	percpu_balance(arg, false);
}

/* A visit returns maps if there are far more than pages. */
SIM_TEST(percpu_visit_returns_maps, .cpus_nr = 1, .enters = { "maps_trim" })
{
	struct percpu_scene *scene = make_trimmable(sim);

	check_u64_eq(scene->pc->maps_ready, READY);
	sim_cpu(sim, 0, balances, scene);
	sim_run(sim);
	SIM_CHECK(scene->pc->maps_ready < READY);
	check(scene);
}
