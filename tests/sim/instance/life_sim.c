/* SPDX-License-Identifier: MIT */
/* life_sim.c - an instance that is destroyed, and modules that are made, while others look at it */
#include <quire/percpu.h>
#include <quire/vmap.h>

#include "instance/instance.h"
#include "instance/module.h"
#include "instance/worker.h"
#include "sim/page/page_scene.h"
#include "vmap/vmap.h"

/* ---- destroying ---- */

static void destroys_when_the_worker_is_due(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < 3; i++)
		give(scene, scene->page[i], 0);
	sim_pass_ns(2 * scene->q->decay_base_ns);
	quire_destroy(scene->q);
}

/* Wherever the worker is in its visit, the modules stay until it has gone. */
SIM_TEST(destroy_waits_for_the_visit_under_way, .events = SIM_MEMORY)
{
	struct page_scene *scene = page_scene_make_worker(sim);

	sim_cpu(sim, 0, destroys_when_the_worker_is_due, scene);
	sim_run(sim);
	check_u64_eq(sim_reserved_bytes(), 0);
}

static void destroys(void *arg)
{
	quire_destroy(((struct page_scene *)arg)->q);
}

static void forks_parent(void *arg)
{
	(void)arg;
	sim_fork_parent();
}

/* A fork of another thread finds the instance with all of its modules, or does not find it. */
SIM_TEST(destroy_waits_for_a_fork, .events = SIM_MEMORY)
{
	struct page_scene *scene = page_scene_make_worker(sim);

	sim_cpu(sim, 0, destroys, scene);
	sim_cpu(sim, 1, forks_parent, scene);
	sim_run(sim);
	check_u64_eq(sim_reserved_bytes(), 0);
}

/* ---- creating ---- */

static void makes_and_destroys(void *arg)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(4) << 20, .backing = QUIRE_BACKING_MEMFD,
				   .worker = QUIRE_WORKER_OFF);
	struct quire *q = NULL;

	(void)arg;
	if (quire_create(&options, &q) == 0)
		quire_destroy(q);
	else
		SIM_CHECK(q == NULL);
}

/* Frames that can be mapped again have a reservation of their own, after that of their metadata: wherever the
 * system refuses, the next attempt, with half the limit or without stacks, begins with nothing. */
SIM_TEST(create_refused_leaves_no_reservation, .cpus_nr = 1, .events = SIM_MEMORY | SIM_REFUSE,
	 .refusals = 4)
{
	sim_cpu(sim, 0, makes_and_destroys, NULL);
	sim_run(sim);
	check_u64_eq(sim_reserved_bytes(), 0);
}

static void forks_child_that_destroys(void *arg)
{
	struct page_scene *scene = arg;

	sim_fork_child();
	quire_destroy(scene->q);
}

/* The frames did not come along to the child: it neither releases them, nor counts their addresses. */
SIM_TEST(fork_child_counts_no_shared_frames, .cpus_nr = 1)
{
	struct page_scene *scene = page_scene_make_shared(sim);

	sim_cpu(sim, 0, forks_child_that_destroys, scene);
	sim_run(sim);
	check_u64_eq(sim_reserved_bytes(), 0);
}

/* ---- modules made at first use ---- */

static struct quire *instance_make(enum quire_worker worker)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20,
				   .vmap_span_bytes = UINT64_C(2) << 20, .units = 2,
				   .worker = worker);
	struct quire *q = NULL;

	check_u64_eq(quire_create(&options, &q), 0);
	return q;
}

static void takes_and_gives_an_area(void *arg)
{
	void *area = quire_vmalloc(arg, 4096, 0);

	SIM_CHECK(area != NULL);
	quire_vfree(arg, area);
}

/* And the worker's visit, which the free asked for. */
static void uses_areas_if_there_are_some(void *arg)
{
	struct quire *q = arg;

	if (load_acquire(&q->vmap) == NULL)
		return;
	takes_and_gives_an_area(q);
	sim_pass_ns(q->decay_base_ns);
	quire_poll(q);
}

/* A thread that finds areas may cache one and ask for a visit; the visit must find them too. */
SIM_TEST(worker_visits_areas_from_their_first_use, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct quire *q = instance_make(QUIRE_WORKER_OFF);

	sim_cpu(sim, 0, takes_and_gives_an_area, q);
	sim_cpu(sim, 1, uses_areas_if_there_are_some, q);
	sim_run(sim);
	if (q->vmap->kicked)
		SIM_CHECK(q->work.due_ns < WORK_EXIT);
}

static void makes_areas(void *arg)
{
	int error;

	SIM_CHECK(vmap_get(arg, 0, 0, &error) != NULL);
}

static void loses_its_worker(void *arg)
{
	struct quire *q = arg;

	store_relaxed(&q->work.refused, 1); /* as the system's refusal of the thread */
	worker_follow(q);
}

/* Every module is told whether callers look for due work, even one that is registered meanwhile. */
SIM_TEST(module_made_meanwhile_is_told_who_looks, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct quire *q = instance_make(QUIRE_WORKER_THREAD);

	sim_cpu(sim, 0, makes_areas, q);
	sim_cpu(sim, 1, loses_its_worker, q);
	sim_run(sim);
	SIM_CHECK(q->looks);
	check_u64_eq(q->vmap->fast_bytes_end, 0);
}

static void releases_all(void *arg)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	quire_release(arg);
	quire_page_stat_read(arg, &stat);
	check_u64_eq(stat.reported_pages, stat.free_pages);
	check_u64_eq(stat.cached_pages, 0);
}

/* A walk from the right misses a new module, or finds it and the modules on its left. */
SIM_TEST(walk_reaches_pages_beside_a_new_module, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct quire *q = instance_make(QUIRE_WORKER_OFF);

	quire_free_pages(q, quire_alloc_pages(q, 0, 0), 0);
	sim_cpu(sim, 0, makes_areas, q);
	sim_cpu(sim, 1, releases_all, q);
	sim_run(sim);
}

static void takes_an_object(void *arg)
{
	SIM_CHECK(quire_alloc_percpu(arg, 64, 0, 0) != NULL);
}

/* Both allocations are the first; both objects are in the one per-CPU memory that queries see. */
SIM_TEST(percpu_memory_is_made_once, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct quire *q = instance_make(QUIRE_WORKER_OFF);
	struct quire_percpu_stat stat = QUIRE_PERCPU_STAT_INIT;
	unsigned modules_nr = 0;

	sim_cpu(sim, 0, takes_an_object, q);
	sim_cpu(sim, 1, takes_an_object, q);
	sim_run(sim);
	quire_percpu_stat_read(q, &stat);
	check_u64_eq(stat.objects, 2);
	for (const struct quire_module *m = q->modules; m != NULL; m = m->next)
		modules_nr++;
	check_u64_eq(modules_nr, 2);
}
