/* SPDX-License-Identifier: MIT */
/* vmap_purge_sim.c - publishing and purging freed areas: counts, translations, refusals */
#include "sim/vmap/vmap_scene.h"
#include "vmap/decay.h"

static void frees_two(void *arg)
{
	vmap_scene_give(arg, 0);
	vmap_scene_give(arg, 2);
}

static void purges(void *arg)
{
	quire_vmap_purge(((struct vmap_scene *)arg)->q);
}

static void purge_runs(void *arg)
{
	purge_run(((struct vmap_scene *)arg)->v, EVERYTHING_MS, 0);
}

/* R15, R16: counted first, published last, and never touched afterwards.  A count that comes late is
 * below what the purge takes off it; a late write lands in a range that is free or somebody
 * else's. */
SIM_TEST(vfree_against_purge, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct vmap_scene *scene = vmap_scene_make_lazy(sim);

	vmap_scene_fill(scene, 4, 8);
	sim_cpu(sim, 0, frees_two, scene);
	sim_cpu(sim, 1, purge_runs, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* The same where two publish. */
SIM_TEST(vfree_by_two_against_purge, .cpus_nr = 3, .events = SIM_RACE)
{
	struct vmap_scene *scene = vmap_scene_make_lazy(sim);

	vmap_scene_fill(scene, 4, 8);
	sim_cpu(sim, 0, frees_two, scene);
	sim_cpu(sim, 1, purge_runs, scene);
	sim_cpu(sim, 2, purges, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* V4 holds for every observer at any time: pages neither free nor in use are counted as lazy. */
static void looks_at_the_count(void *arg)
{
	struct vmap_scene *scene = arg;

	for (unsigned i = 0; i < 3; i++) {
		lock_token token = lock_acquire(&scene->v->lock);
		uint64_t lazy = load_relaxed(&scene->v->lazy_pages);
		uint64_t free = scene->v->free.pages;

		lock_release(&scene->v->lock, token);
		SIM_CHECK(lazy + free + 2 * 8 >= SPAN_PAGES);
	}
}

/* R19: the count goes down as ranges become free, not before. */
SIM_TEST(purge_counts_what_is_not_yet_free)
{
	struct vmap_scene *scene = vmap_scene_make_lazy(sim);

	vmap_scene_fill(scene, 4, 8);
	frees_two(scene);
	sim_cpu(sim, 0, looks_at_the_count, scene);
	sim_cpu(sim, 1, purge_runs, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

static void takes_300(void *arg)
{
	vtake(arg, 300, 0);
}

static void takes_200(void *arg)
{
	vtake(arg, 200, 0);
}

static struct vmap_scene *scene_of_lazy_span(struct sim *sim)
{
	struct vmap_scene *scene = vmap_scene_make_lazy(sim);

	vmap_scene_fill(scene, 3, 160);
	for (unsigned i = 0; i < 3; i++)
		vmap_scene_give(scene, i);
	return scene;
}

/* R17, R18, V11: both overflow, and there is room for both once all is purged.  The one that finds
 * the list empty must wait for the one that has it in its hands. */
SIM_TEST(purge_loser_is_not_refused, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct vmap_scene *scene = scene_of_lazy_span(sim);

	sim_cpu(sim, 0, takes_300, scene);
	sim_cpu(sim, 1, takes_200, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* The same against one who only purges, and one who frees meanwhile. */
SIM_TEST(overflow_against_purge, .cpus_nr = 3)
{
	struct vmap_scene *scene = scene_of_lazy_span(sim);

	sim_cpu(sim, 0, takes_300, scene);
	sim_cpu(sim, 1, takes_200, scene);
	sim_cpu(sim, 2, purges, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* Allocates with NOWAIT and ATOMIC, which may be refused: such refusals are not the scene's. */
static void takes_without_waiting(void *arg)
{
	struct vmap_scene *scene = arg;

	sim_forbid_wait(true);
	vgive(scene, vtake(scene, 300, QUIRE_NOWAIT), 300);
	vgive(scene, vtake(scene, 8, QUIRE_ATOMIC), 8);
	sim_forbid_wait(false);
	store_relaxed(&scene->refused, 0);
}

/* It may be refused, but it never waits: not for the purge, not for sections, not for records. */
SIM_TEST(vmalloc_with_nowait_never_waits)
{
	struct vmap_scene *scene = scene_of_lazy_span(sim);

	sim_cpu(sim, 0, takes_without_waiting, scene);
	sim_cpu(sim, 1, purges, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* ---- translations ------------------------------------------------------------------------------ */

static void touch(char *addr, uint32_t pages)
{
	for (uint32_t i = 0; addr != NULL && i < pages; i++)
		store_relaxed((uint32_t *)(void *)(addr + i * 4096u), i + 1);
}

/* Fills this CPU's translations, frees, and takes addresses until it has the same ones again. */
static void frees_and_takes_the_same(void *arg)
{
	struct vmap_scene *scene = arg;
	char *addr;

	touch(scene->area[0], 2);
	vgive(scene, scene->area[0], 200);
	addr = vtake(scene, 200, 0);
	touch(addr, 2);
	vgive(scene, addr, 200);
	addr = vtake(scene, 200, 0);
	touch(addr, 2);
}

static void reissue_scene(struct sim *sim)
{
	struct vmap_scene *scene = vmap_scene_make_lazy(sim);

	vmap_scene_fill(scene, 1, 200);
	sim_cpu(sim, 0, frees_and_takes_the_same, scene);
	sim_cpu(sim, 1, purge_runs, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* V5: an address is handed out again only after the flush that followed its unmapping.  The mips CPU
 * still has the old translation, and uses it. */
SIM_TEST(address_is_reissued_after_its_flush, .events = SIM_MEMORY)
{
	reissue_scene(sim);
}

/* The x86 CPU may have lost it; then it finds a page table without an entry. */
SIM_TEST(address_is_reissued_after_its_flush_on_x86, .events = SIM_MEMORY, .tlb = SIM_TLB_X86)
{
	reissue_scene(sim);
}

static void takes_zeroed(void *arg)
{
	struct vmap_scene *scene = arg;
	char *addr = vtake(scene, 200, QUIRE_ZERO);

	if (addr == NULL)
		return;
	check_u64_eq(load_relaxed((uint32_t *)(void *)addr), 0);
	check_u64_eq(load_relaxed((uint32_t *)(void *)(addr + 4096)), 0);
	touch(addr, 2);
}

/* What the system refused to take away is not zero, and is cleared. */
static void zero_scene(struct sim *sim)
{
	struct vmap_scene *scene = vmap_scene_make_lazy(sim);

	vmap_scene_fill(scene, 1, 200);
	touch(scene->area[0], 2);
	vmap_scene_give(scene, 0);
	sim_cpu(sim, 0, takes_zeroed, scene);
	sim_cpu(sim, 0, takes_zeroed, scene);
	sim_cpu(sim, 1, purge_runs, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

SIM_TEST(refused_purge_passes_nothing_off_as_zero, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 1)
{
	zero_scene(sim);
}

/* ---- the lock's holds ---------------------------------------------------------------------------- */

static struct vmap_scene *scene_of_scattered(struct sim *sim, uint64_t lazy_max_bytes, unsigned nr)
{
	struct vmap_scene *scene =
		vmap_scene_make(sim, (struct quire_options){ .cache = QUIRE_OFF,
							     .rseq = QUIRE_OFF,
							     .lazy_max_bytes = lazy_max_bytes });
	char *one[SPAN_PAGES];

	for (unsigned i = 0; i < 2 * nr; i++)
		one[i] = vtake(scene, 1, 0);
	for (unsigned i = 0; i < 2 * nr; i += 2)
		vgive(scene, one[i], 1);
	return scene;
}

static void takes_and_gives_small(void *arg)
{
	vgive(arg, vtake(arg, 1, 0), 1);
}

/* R20: a bounded number of areas is returned under one hold, so that an allocation comes between. */
SIM_TEST(purge_drops_the_lock_as_it_returns, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct vmap_scene *scene = scene_of_scattered(sim, UINT64_C(1) << 20, 100);
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	sim_cpu(sim, 0, takes_and_gives_small, scene);
	sim_cpu(sim, 1, purge_runs, scene);
	sim_run(sim);
	quire_vmap_stat_read(scene->q, &stat);
	SIM_CHECK(stat.areas_per_hold_max != 0 && stat.areas_per_hold_max <= 32);
	vmap_scene_check(scene);
}

/* Far over the bound it may hold the lock for longer, and yet not for ever. */
SIM_TEST(purge_under_overload_holds_the_lock_longer, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct vmap_scene *scene = scene_of_scattered(sim, 4096, 100);
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	sim_cpu(sim, 0, takes_and_gives_small, scene);
	sim_cpu(sim, 1, purge_runs, scene);
	sim_run(sim);
	quire_vmap_stat_read(scene->q, &stat);
	SIM_CHECK(stat.areas_per_hold_max > 32 && stat.areas_per_hold_max <= 256);
	vmap_scene_check(scene);
}

/* ---- full batches ---------------------------------------------------------------------------------- */

static void takes_and_writes_three(void *arg)
{
	struct vmap_scene *scene = arg;

	for (unsigned i = 0; i < 3; i++) {
		char *area = vtake(scene, 1, QUIRE_NORETRY);

		if (area == NULL)
			continue;
		store_relaxed((uint32_t *)(void *)area, 5);
		check_u64_eq(load_relaxed((uint32_t *)(void *)area), 5);
	}
}

/* All addresses are in use but for those that are being purged, in gathers of two: none is had before its own gather has
 * finished. */
SIM_TEST(purge_in_full_gathers_returns_what_it_flushed, .batch_max = 2, .events = SIM_MEMORY,
	 .enters = { "collect_ranges", "return_some" })
{
	struct vmap_scene *scene = scene_of_scattered(sim, UINT64_C(1) << 20, 5);

	while (vtake(scene, 1, QUIRE_NORETRY | QUIRE_NOWAIT) != NULL)
		;
	sim_cpu(sim, 0, takes_and_writes_three, scene);
	sim_cpu(sim, 1, purge_runs, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* Five pooled ranges that are no neighbours leave the pool two at a time: all five have gone when the purge has ended, beside
 * one who takes some of them. */
SIM_TEST(purge_in_full_batches_leaves_nothing_pooled, .batch_max = 2, .enters = { "add_pooled" })
{
	struct vmap_scene *scene =
		vmap_scene_make(sim, (struct quire_options){ .rseq = QUIRE_OFF });
	char *one[12];

	for (unsigned i = 0; i < 12; i++)
		one[i] = vtake(scene, 1, 0);
	for (unsigned i = 0; i < 10; i += 2)
		vgive(scene, one[i], 1);
	cpu_pool_own(scene->v);
	sim_cpu(sim, 0, takes_and_gives_small, scene);
	sim_cpu(sim, 1, purge_runs, scene);
	sim_run(sim);
	SIM_CHECK(load_relaxed(&scene->v->pooled.pages) <= 1); /* what the other one freed */
	vmap_scene_check(scene);
}

static void cedes_nothing(void *arg)
{
	SIM_CHECK(decay_cede(&((struct vmap_scene *)arg)->v->module, 0));
}

/* Five areas became lazy, for CPU 0's lock was held; a rescue takes two of them.  Whoever moves all that is lazy to the pooled
 * ranges goes on until none is left, beside one who takes some of them. */
SIM_TEST(rescue_in_full_batches_leaves_nothing_lazy, .batch_max = 2,
	 .enters = { "rescue_all", "purge_pool_chain" })
{
	struct vmap_scene *scene =
		vmap_scene_make(sim, (struct quire_options){ .rseq = QUIRE_OFF });
	lock_token token;
	char *one[12];

	for (unsigned i = 0; i < 12; i++)
		one[i] = vtake(scene, 1, 0);
	cpu_lock(scene->v, 0, &token);
	for (unsigned i = 0; i < 10; i += 2)
		vgive(scene, one[i], 1);
	lock_release(&scene->v->cpu[0].door.lock, token);
	check_u64_eq(load_relaxed(&scene->v->lazy_pages), 5);
	sim_cpu(sim, 0, takes_and_gives_small, scene);
	sim_cpu(sim, 1, cedes_nothing, scene);
	sim_run(sim);
	check_u64_eq(load_relaxed(&scene->v->lazy_pages), 0);
	vmap_scene_check(scene);
}
