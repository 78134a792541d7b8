/* SPDX-License-Identifier: MIT */
/* vmap_cached_sim.c - areas on CPUs' stacks and pooled ranges, taken by others and by pressure */
#include <quire/page.h>

#include "machine/clock.h"
#include "sim/vmap/vmap_scene.h"
#include "vmap/decay.h"
#include "vmap/layout.h"

static void takes_and_gives(void *arg)
{
	struct vmap_scene *scene = arg;

	vgive(scene, vtake(scene, 4, 0), 4);
	vgive(scene, scene->area[1], 4);
	vgive(scene, vtake(scene, 4, 0), 4);
}

static void purges(void *arg)
{
	quire_vmap_purge(((struct vmap_scene *)arg)->q);
}

static void against_drain(struct sim *sim, enum quire_switch rseq)
{
	struct vmap_scene *scene = vmap_scene_make(sim, (struct quire_options){ .rseq = rseq });

	vmap_scene_fill(scene, 4, 4);
	vmap_scene_give(scene, 0);
	vmap_scene_give(scene, 2);
	sim_cpu(sim, 0, takes_and_gives, scene);
	sim_cpu(sim, 1, purges, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* A stack is closed, fenced and emptied while its CPU pushes and pops: no area is lost or doubled. */
SIM_TEST(vmalloc_against_drain, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2, .events = SIM_ABORT)
{
	against_drain(sim, QUIRE_ON);
}

SIM_TEST(vmalloc_against_drain_with_lists, .events = SIM_TRYFAIL)
{
	against_drain(sim, QUIRE_OFF);
}

static void takes_aligned(void *arg)
{
	struct vmap_scene *scene = arg;
	const struct quire_vmalloc_options options =
		QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = (size_t)8 << 12);
	char *addr = quire_vmalloc_with(scene->q, (size_t)4 << 12, &options);

	check_u64_eq((uintptr_t)addr % options.align_bytes, 0);
	if (addr != NULL)
		quire_vfree(scene->q, addr);
	scene->refused += addr == NULL;
}

/* Areas that a request with an alignment passes over are neither lost nor doubled when the stack is
 * drained, or when the thread puts them on the stack of another CPU. */
SIM_TEST(aligned_look_against_drain, .cpus_nr = 3, .events = SIM_MIGRATE | SIM_ABORT | SIM_TRYFAIL)
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 6, 4);
	vmap_scene_give(scene, 0);
	vmap_scene_give(scene, 1);
	vmap_scene_give(scene, 3);
	sim_cpu(sim, 0, takes_aligned, scene);
	sim_cpu(sim, 1, purges, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

static void drains_for_poll(void *arg)
{
	struct vmap_scene *scene = arg;

	cpu_drain(scene->v, 0);
	purge_rescue(scene->v, 4);
}

/* What the worker does each turn: to the pooled ranges, where neighbours merge, while the owner takes
 * what it finds there and cuts it. */
SIM_TEST(split_of_a_pooled_range_against_its_merge, .events = SIM_ABORT)
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 6, 4);
	for (unsigned i = 2; i < 6; i++)
		vmap_scene_give(scene, i);
	cpu_drain(scene->v, 0);
	vmap_scene_give(scene, 0);
	sim_cpu(sim, 0, takes_and_gives, scene);
	sim_cpu(sim, 1, drains_for_poll, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

static void cedes(void *arg)
{
	(void)modules_cede(((struct vmap_scene *)arg)->q, (size_t)64 << 12);
}

/* Pages raise the peak, so areas give up what they cache, while their owner takes and frees some.  An area that is
 * in use stays, and so does a quarter of what is in use. */
SIM_TEST(cede_against_alloc_and_free, .events = SIM_ABORT)
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);
	uint64_t purged_before;

	vmap_scene_fill(scene, 8, 4);
	for (unsigned i = 0; i < 8; i += 2)
		vmap_scene_give(scene, i);
	cpu_drain(scene->v, 0);
	purged_before = scene->v->purged_pages;
	sim_cpu(sim, 0, takes_and_gives, scene);
	sim_cpu(sim, 1, cedes, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	SIM_CHECK(scene->v->purged_pages - purged_before <= 16 - 4);
	vmap_scene_check(scene);
}

static void grows(void *arg)
{
	struct vmap_scene *scene = arg;
	char *addr = scene->area[3];

	sim_disown(addr, (size_t)4 << 12);
	store_relaxed((uint32_t *)(void *)addr, 7);
	addr = quire_vrealloc(scene->q, addr, (size_t)8 << 12, 0);
	SIM_CHECK(addr != NULL);
	sim_own(addr, (size_t)8 << 12);
	check_u64_eq(load_relaxed((uint32_t *)(void *)addr), 7);
}

static void takes_and_writes(void *arg)
{
	char *addr = vtake(arg, 4, 0);

	if (addr != NULL)
		store_relaxed((uint32_t *)(void *)addr, 9);
}

/* What follows the area is fresh, what lies before it is cached: it is copied there, while another CPU takes areas
 * of its old size. */
SIM_TEST(vrealloc_into_what_is_cached, .events = SIM_ABORT | SIM_TRYFAIL)
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 4, 4);
	scene->v->charged_high = scene->v->charged_pages;
	for (unsigned i = 0; i < 3; i++)
		vmap_scene_give(scene, i);
	sim_cpu(sim, 0, grows, scene);
	sim_cpu(sim, 1, takes_and_writes, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* Migration between the look at the CPU's number and its lock. */
SIM_TEST(vmalloc_on_a_cpu_that_changes, .cpus_nr = 3, .events = SIM_MIGRATE | SIM_ABORT)
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 4, 4);
	sim_cpu(sim, 0, takes_and_gives, scene);
	sim_cpu(sim, 1, drains_for_poll, scene);
	sim_cpu(sim, 2, purges, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* ---- the first class and the last ---------------------------------------------------------------- */

/* Frees two areas of each.  The last class has more addresses than the machine, so areas of a few pages are given it. */
static void frees_smallest_and_largest(struct vmap_scene *scene)
{
	vmap_scene_fill(scene, 4, 1);
	for (unsigned i = 2; i < 4; i++) {
		uint32_t page = (uint32_t)(scene->area[i] - scene->v->base) >> 12;

		range_at(scene->v, scene->v->map[page])->class = CLASSES_NR - 1;
	}
	for (unsigned i = 0; i < 4; i++)
		vmap_scene_give(scene, i);
}

static uint64_t areas_kept(struct vmap_scene *scene)
{
	uint64_t areas = 0;

	cpu_pages(scene->v, 0, &areas);
	return areas;
}

static void keeps_and_pools_own(void *arg)
{
	struct vmap_scene *scene = arg;

	cpu_drain(scene->v, 0);
	frees_smallest_and_largest(scene);
	check_u64_eq(areas_kept(scene), 4);
	cpu_pool_own(scene->v);
	check_u64_eq(areas_kept(scene), 0);
}

static void keeps_until_drained(void *arg)
{
	struct vmap_scene *scene = arg;

	frees_smallest_and_largest(scene);
	check_u64_eq(areas_kept(scene), 4);
	cpu_drain(scene->v, 0);
	check_u64_eq(areas_kept(scene), 0);
}

static void keeps(struct sim *sim, enum quire_switch rseq, void (*task)(void *))
{
	struct vmap_scene *scene = vmap_scene_make(sim, (struct quire_options){ .rseq = rseq });

	sim_cpu(sim, 0, task, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* The first free since a drain has the stacks keep areas of each class, and each is popped to be merged. */
SIM_TEST(areas_of_each_class_are_kept_and_pooled, .cpus_nr = 1,
	 .enters = { "warm_locked", "pop_some", "cpu_pages" })
{
	keeps(sim, QUIRE_ON, keeps_and_pools_own);
}

SIM_TEST(areas_of_each_class_are_kept_and_pooled_with_lists, .cpus_nr = 1,
	 .enters = { "lists_take_all_locked", "cpu_pages" })
{
	keeps(sim, QUIRE_OFF, keeps_and_pools_own);
}

/* A drain leaves no class out. */
SIM_TEST(areas_of_each_class_are_drained, .cpus_nr = 1, .enters = { "vmap/cpu.c:take_all_locked" })
{
	keeps(sim, QUIRE_ON, keeps_until_drained);
}

static void gives_first(void *arg)
{
	struct vmap_scene *scene = arg;

	vmap_scene_give(scene, 0);
	check_u64_eq(areas_kept(scene), 0);
}

/* Where freed areas are guarded each free has guards to set, so none goes straight to a stack. */
SIM_TEST(freed_area_that_is_guarded_is_on_no_stack, .cpus_nr = 1, .enters = { "vmap_free_range" })
{
	struct vmap_scene *scene = vmap_scene_make(
		sim, (struct quire_options){ .rseq = QUIRE_ON, .guard = QUIRE_GUARD_FREED });

	vmap_scene_fill(scene, 1, 4);
	sim_cpu(sim, 0, gives_first, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

static void takes_nine_between(void *arg)
{
	struct vmap_scene *scene = arg;
	char *start = scene->v->base + ((size_t)64 << 12);
	const struct quire_vmalloc_options options =
		QUIRE_VMALLOC_OPTIONS_INIT(.start = start, .end = start + ((size_t)9 << 12));
	char *addr = quire_vmalloc_with(scene->q, (size_t)9 << 12, &options);

	SIM_CHECK(addr == start);
	quire_vfree(scene->q, addr);
}

/* Nine pages of which the class has ten: between two addresses that leave room for nine there is room. */
SIM_TEST(area_between_two_addresses_has_no_more_pages_than_asked, .cpus_nr = 1,
	 .enters = { "constrain" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	sim_cpu(sim, 0, takes_nine_between, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

static uint64_t areas_allocated(struct vmap_scene *scene)
{
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	quire_vmap_stat_read(scene->q, &stat);
	return stat.allocs;
}

static void allocates_two(void *arg)
{
	struct vmap_scene *scene = arg;
	uint64_t before = areas_allocated(scene);

	for (unsigned i = 0; i < 2; i++) {
		vgive(scene, vtake(scene, 4, 0), 4);
		quire_vmap_purge(scene->q);
	}
	check_u64_eq(areas_allocated(scene) - before, 2);
}

/* How often a range was allocated is not forgotten when it goes. */
SIM_TEST(allocations_are_counted_after_a_purge, .cpus_nr = 1, .enters = { "space_free_locked" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	sim_cpu(sim, 0, allocates_two, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* The second of the two is the worker, too. */
static void gives_and_visits(struct vmap_scene *scene, unsigned i)
{
	vmap_scene_give(scene, i);
	if (fetch_add_acq_rel(&scene->turn, 1) == 0) /* pairs with itself */
		return;
	decay_tick(&scene->v->module, clock_now_ns() + UINT64_C(200000000));
	for (unsigned slot = 0; slot < 2; slot++) {
		uint64_t areas = 0;

		cpu_pages(scene->v, slot, &areas);
		check_u64_eq(areas, 0);
	}
}

static void gives_and_visits_0(void *arg)
{
	gives_and_visits(arg, 0);
}

static void gives_and_visits_1(void *arg)
{
	gives_and_visits(arg, 1);
}

/* The worker's visit leaves no CPU out. */
SIM_TEST(worker_drains_each_cpu, .events = SIM_ABORT, .enters = { "drain_cpus" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 2, 4);
	sim_cpu(sim, 0, gives_and_visits_0, scene);
	sim_cpu(sim, 1, gives_and_visits_1, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* ---- the last resort ----------------------------------------------------------------------------- */

static void takes_400(void *arg)
{
	vtake(arg, 400, 0);
}

static void gives_and_takes_on(void *arg)
{
	struct vmap_scene *scene = arg;

	vgive(scene, vtake(scene, 100, 0), 100);
}

/* All that is free stands on another CPU's stack. */
static struct vmap_scene *scene_of_cached_span(struct sim *sim, enum quire_switch rseq)
{
	struct vmap_scene *scene = vmap_scene_make(
		sim, (struct quire_options){ .rseq = rseq, .lazy_max_bytes = UINT64_C(2) << 20 });

	vmap_scene_fill(scene, 4, 100);
	for (unsigned i = 0; i < 4; i++)
		vmap_scene_give(scene, i);
	return scene;
}

/* V11: what another CPU has cached is found before a refusal. */
SIM_TEST(areas_on_other_cpus_are_not_refused, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct vmap_scene *scene = scene_of_cached_span(sim, QUIRE_ON);

	sim_cpu(sim, 1, takes_400, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

static void pools_its_own(void *arg)
{
	cpu_pool_own(((struct vmap_scene *)arg)->v);
}

/* V11: areas on their way from a CPU's stacks to the pool are found before a refusal. */
SIM_TEST(areas_being_pooled_are_not_refused, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .enters = { "cpu_pool_own", "cpus_close" })
{
	struct vmap_scene *scene = scene_of_cached_span(sim, QUIRE_ON);

	sim_cpu(sim, 0, pools_its_own, scene);
	sim_cpu(sim, 1, takes_400, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

static void forks_child(void *arg)
{
	struct vmap_scene *scene = arg;

	sim_fork_child();
	for (unsigned slot = 0; slot < scene->v->stacks.cpu.all_slots_nr; slot++)
		check_u64_eq(scene->v->cpu[slot].door.closed_nr, 0);
}

/* Whoever had closed the stacks does not exist in the child, where all are open. */
SIM_TEST(fork_child_beside_the_last_resort_has_open_stacks, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "cpus_close", "cpus_open", "fork_prepare_mutexes" })
{
	struct vmap_scene *scene = scene_of_cached_span(sim, QUIRE_ON);

	sim_cpu(sim, 0, forks_child, scene);
	sim_cpu(sim, 1, takes_400, scene);
	sim_run(sim);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

static void gives_four_of_100(void *arg)
{
	struct vmap_scene *scene = arg;

	for (unsigned i = 0; i < 4; i++)
		vmap_scene_give(scene, i);
	store_release(&scene->turn, 1); /* pairs with the load below */
	sim_wake(&scene->turn);
}

static void takes_400_then(void *arg)
{
	struct vmap_scene *scene = arg;

	while (load_acquire(&scene->turn) == 0) /* pairs with the store above */
		sim_wait(&scene->turn, 0);
	vtake(scene, 400, 0);
}

/* The same where the other CPU is the last one. */
SIM_TEST(areas_on_the_last_cpu_are_not_refused, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "cpus_close" })
{
	struct vmap_scene *scene =
		vmap_scene_make(sim, (struct quire_options){ .rseq = QUIRE_ON,
							     .lazy_max_bytes = UINT64_C(2) << 20 });

	vmap_scene_fill(scene, 4, 100);
	sim_cpu(sim, 0, takes_400_then, scene);
	sim_cpu(sim, 1, gives_four_of_100, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* The owner puts the last area that is missing on its stack, or on the lazy list, or has it: then it
 * is in use, and there are 412 pages in one piece or the 100 are in their middle. */
static void overflow_against_owner(struct sim *sim, enum quire_switch rseq)
{
	struct vmap_scene *scene = scene_of_cached_span(sim, rseq);

	sim_cpu(sim, 0, gives_and_takes_on, scene);
	sim_cpu(sim, 1, takes_400, scene);
	sim_run(sim);
	scene->refused = 0; /* by either: the other had what it needs */
	vmap_scene_check(scene);
}

SIM_TEST(overflow_against_a_stack_in_use, .events = SIM_ABORT)
{
	overflow_against_owner(sim, QUIRE_ON);
}

SIM_TEST(overflow_against_a_list_in_use, .events = SIM_TRYFAIL)
{
	overflow_against_owner(sim, QUIRE_OFF);
}

static void spills_own(void *arg)
{
	struct vmap_scene *scene = arg;

	cpu_pool_own(scene->v);
}

static void overflow_against(struct sim *sim, void (*takes_off)(void *))
{
	struct vmap_scene *scene = scene_of_cached_span(sim, QUIRE_ON);

	sim_cpu(sim, 0, takes_off, scene);
	sim_cpu(sim, 1, takes_400, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* Areas that are taken off a stack to be merged or spilled stay visible to an allocation (V11): no area
 * is in use here, so no allocation may be refused. */
SIM_TEST(overflow_against_a_merge, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	overflow_against(sim, spills_own);
}

static void pools_one_to_cut(void *arg)
{
	struct vmap_scene *scene = arg;

	cpu_pool_larger(scene->v, 0, CLASSES_NR);
}

/* So does an area that is taken off a stack to be cut. */
SIM_TEST(overflow_against_a_cut, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	overflow_against(sim, pools_one_to_cut);
}

static void takes_a_part(void *arg)
{
	struct vmap_scene *scene = arg;

	vgive(scene, vtake(scene, 2, 0), 2);
	vgive(scene, vtake(scene, 3, 0), 3);
}

static void cut_against_drain(struct sim *sim, enum quire_switch rseq)
{
	struct vmap_scene *scene = vmap_scene_make(sim, (struct quire_options){ .rseq = rseq });

	vmap_scene_fill(scene, 2, 8);
	vmap_scene_give(scene, 0);
	sim_cpu(sim, 0, takes_a_part, scene);
	sim_cpu(sim, 1, purges, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* A larger area is cut while its CPU's stacks are drained, or while the thread migrates: neither it nor
 * its parts are lost or doubled. */
SIM_TEST(cut_of_a_larger_area_against_drain, .cpus_nr = 3,
	 .events = SIM_MIGRATE | SIM_ABORT | SIM_TRYFAIL)
{
	cut_against_drain(sim, QUIRE_ON);
}

SIM_TEST(cut_of_a_larger_area_against_drain_with_lists, .events = SIM_TRYFAIL)
{
	cut_against_drain(sim, QUIRE_OFF);
}

static void drains_0(void *arg)
{
	cpu_drain(((struct vmap_scene *)arg)->v, 0);
}

SIM_TEST(overflow_against_a_drain, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct vmap_scene *scene = scene_of_cached_span(sim, QUIRE_ON);

	sim_cpu(sim, 0, drains_0, scene);
	sim_cpu(sim, 1, takes_400, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

static void frees_last(void *arg)
{
	struct vmap_scene *scene = arg;

	vmap_scene_give(scene, 4);
	store_release(&scene->turn, 1); /* read by the one that is refused */
}

static void takes_400_after_a_free(void *arg)
{
	struct vmap_scene *scene = arg;
	bool was_freed = load_acquire(&scene->turn) != 0; /* pairs with frees_last() */

	if (vtake(scene, 400, 0) == NULL && !was_freed)
		fetch_sub_relaxed(&scene->refused, 1);
}

/* The stack holds two of a size: one more free spills.  Once it has returned, all is to be had. */
SIM_TEST(overflow_against_a_spill, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct vmap_scene *scene = vmap_scene_make(
		sim, (struct quire_options){ .rseq = QUIRE_ON, .lazy_max_bytes = 4096 });

	vmap_scene_fill(scene, 5, 96);
	for (unsigned i = 0; i < 4; i++)
		vmap_scene_give(scene, i);
	sim_cpu(sim, 0, frees_last, scene);
	sim_cpu(sim, 1, takes_400_after_a_free, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* ---- pressure ------------------------------------------------------------------------------------ */

static void takes_pages(void *arg)
{
	struct vmap_scene *scene = arg;
	void *block = quire_alloc_pages(scene->q, 9, 0);

	SIM_CHECK(block != NULL);
	sim_own(block, (size_t)512 << 12);
}

/* Cached areas fill the limit; pages want them, while their CPU frees and takes. */
SIM_TEST(shrink_by_pages_against_vfree, .events = SIM_ABORT)
{
	struct vmap_scene *scene = vmap_scene_make(
		sim, (struct quire_options){ .rseq = QUIRE_ON, .limit_bytes = UINT64_C(4) << 20 });

	vmap_scene_fill(scene, 5, 96);
	for (unsigned i = 0; i < 4; i++)
		vmap_scene_give(scene, i);
	sim_cpu(sim, 0, frees_last, scene);
	sim_cpu(sim, 1, takes_pages, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_u64_eq(quire_verify(scene->q), 0);
}

static void ticks(void *arg)
{
	struct vmap_scene *scene = arg;

	sim_pass_ns(UINT64_C(3000000000));
	quire_poll(scene->q);
	sim_pass_ns(UINT64_C(3000000000));
	quire_poll(scene->q);
}

/* Areas on a stack are returned after the decay even if the stack is in use. */
SIM_TEST(decay_against_alloc_and_free, .events = SIM_ABORT)
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 4, 4);
	vmap_scene_give(scene, 0);
	vmap_scene_give(scene, 2);
	sim_cpu(sim, 0, takes_and_gives, scene);
	sim_cpu(sim, 1, ticks, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}
