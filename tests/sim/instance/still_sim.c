/* SPDX-License-Identifier: MIT */
/*
 * still_sim.c - queries on an instance while the worker runs
 *
 * The worker is not one of the program's threads.  If no thread of the program uses an instance,
 * queries give the same answers whatever the worker does: every rule holds, and sums miss nothing
 * and count nothing twice.
 */
#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/vmap.h>

#include "instance/instance.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/sim/sim.h"
#include "page/giveback.h"

#define PAGES_NR   3u
#define AREAS_NR   3u
#define OBJECTS_NR 3u

struct still_scene {
	struct quire *q;
	uint64_t held_pages; /* that the page allocator handed out */
};

/* Something of every module has been used and freed, so that a visit moves all kinds of things. */
static void leave_work(struct quire *q)
{
	void *page[PAGES_NR], *area[AREAS_NR], *object[OBJECTS_NR];

	for (unsigned i = 0; i < PAGES_NR; i++)
		page[i] = quire_alloc_pages(q, 0, 0);
	for (unsigned i = 0; i < AREAS_NR; i++)
		area[i] = quire_vmalloc(q, (size_t)4096 << i, 0);
	for (unsigned i = 0; i < OBJECTS_NR; i++)
		object[i] = quire_alloc_percpu(q, 4096, 0, 0);
	for (unsigned i = 1; i < PAGES_NR; i++)
		quire_free_pages(q, page[i], 0);
	for (unsigned i = 1; i < AREAS_NR; i++)
		quire_vfree(q, area[i]);
	for (unsigned i = 1; i < OBJECTS_NR; i++)
		quire_free_percpu(q, object[i]);
}

static uint64_t allocated(struct quire *q)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	quire_page_stat_read(q, &stat);
	return stat.allocated_pages;
}

static struct still_scene *scene_make(struct sim *sim)
{
	struct still_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20,
				   .vmap_span_bytes = UINT64_C(2) << 20, .units = 2,
				   .thp = QUIRE_OFF, .guard = QUIRE_GUARD_OFF,
				   .worker = QUIRE_WORKER_OFF);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	leave_work(scene->q);
	scene->held_pages = allocated(scene->q);
	check_u64_eq(quire_verify(scene->q), 0);
	return scene;
}

/* Two visits a decay apart: the first drains, the second gives back. */
static void worker(void *arg)
{
	struct still_scene *scene = arg;

	for (unsigned visit = 0; visit < 2; visit++) {
		sim_pass_ns(2 * scene->q->decay_base_ns);
		worker_run(scene->q, clock_now_ns());
	}
}

static void verifies(void *arg)
{
	struct still_scene *scene = arg;

	check_u64_eq(quire_verify(scene->q), 0);
}

/* No rule appears violated between two steps of a visit. */
SIM_TEST(verify_waits_for_the_worker)
{
	struct still_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, verifies, scene);
	sim_cpu(sim, 1, worker, scene);
	sim_run(sim);
	check_u64_eq(quire_verify(scene->q), 0);
}

static void reads(void *arg)
{
	struct still_scene *scene = arg;

	check_u64_eq(allocated(scene->q), scene->held_pages);
}

/* What goes from stacks to the buddy is on one of the two, not on both or on none. */
SIM_TEST(stat_waits_for_the_worker)
{
	struct still_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, reads, scene);
	sim_cpu(sim, 1, worker, scene);
	sim_run(sim);
	check_u64_eq(allocated(scene->q), scene->held_pages);
}
