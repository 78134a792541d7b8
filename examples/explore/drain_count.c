/* SPDX-License-Identifier: MIT */
/*
 * drain_count.c - may a drain read a CPU's count without the CPU's lock?
 *
 * Asked on linux-mm in April 2022, when the per-CPU lists got a lock of their own: drain_pages_zone() reads
 * pcp->count first, and takes the lock only if it is not 0.  Quire reads it under the lock.
 *
 *     quire explore --scenario drain_count.c                             as it is: nothing found
 *     quire explore --scenario drain_count.c --patch drain_count.diff    as asked: a counterexample
 *
 * What a drain promises: pages that had left the buddy for the CPU's list before the drain began are in the
 * buddy again when it returns, or somebody's.  Isolating a block needs just that.
 */
#include <quire/page.h>

#include "machine/atomic.h"
#include "machine/sim/sim.h"
#include "page/pages.h"

struct scene {
	struct quire *q;
	uint64_t buddy_pages; /* before the tasks start */
	void *page;
	bool drained;
};

/* The CPU's list is empty, so a batch of pages leaves the buddy; one of them is for the caller. */
static void owner_allocates(void *arg)
{
	struct scene *scene = arg;

	scene->page = quire_alloc_pages(scene->q, 0, 0);
}

static void peer_drains(void *arg)
{
	struct scene *scene = arg;

	/* Fewer pages in the buddy: the batch is under way.  Schedules in which it is not are not asked about. */
	if (load_relaxed(&pages_of(scene->q)->zone[0].free_pages) == scene->buddy_pages)
		return;
	quire_drain_slot(scene->q, 0);
	scene->drained = true;
}

SIM_TEST(drain_finds_what_has_left_the_buddy, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .enters = { "drain_hold" })
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(4) << 20, .rseq = QUIRE_OFF,
				   .worker = QUIRE_WORKER_OFF);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	struct scene *scene = sim_zalloc(sim, sizeof(*scene));

	check_u64_eq(quire_create(&options, &scene->q), 0);
	/* Each CPU's list has been used, and the memory is there. */
	quire_pcp_disable(scene->q);
	quire_pcp_enable(scene->q);
	quire_free_pages(scene->q, quire_alloc_pages(scene->q, 0, 0), 0);
	quire_drain_all(scene->q);
	scene->buddy_pages = pages_of(scene->q)->zone[0].free_pages;

	sim_cpu(sim, 0, owner_allocates, scene);
	sim_cpu(sim, 1, peer_drains, scene);
	sim_run(sim);

	quire_page_stat_read(scene->q, &stat);
	if (scene->drained)
		check_u64_eq(stat.cached_pages, 0);
	quire_free_pages(scene->q, scene->page, 0);
	check_u64_eq(quire_verify(scene->q), 0);
}
