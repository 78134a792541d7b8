/* SPDX-License-Identifier: MIT */
/* vmap_life_sim.c - areas and handlers, first use, fork, growing in place, lookups */
#include "sim/vmap/vmap_scene.h"
#include "vmap/layout.h"
#include "vmap/mapped.h"

/* ---- handlers ------------------------------------------------------------------------------------ */

static void takes_and_gives_sizes(void *arg)
{
	struct vmap_scene *scene = arg;

	vgive(scene, vtake(scene, 30, 0), 30); /* from the tree, while the stack of 4 is full */
	vmap_scene_give(scene, 0);
	vgive(scene, vtake(scene, 4, 0), 4);
}

static void handler_frees(void *arg)
{
	struct vmap_scene *scene = arg;

	vmap_scene_give(scene, 1);
	scene->area[1] = NULL;
}

static void handler_takes(void *arg)
{
	struct vmap_scene *scene = arg;
	uint32_t refused = load_relaxed(&scene->refused);

	vgive(scene, scene->had[0], 4);
	scene->had[0] = vtake(scene, 4, QUIRE_NOLOCK);
	store_relaxed(&scene->refused, refused); /* it may be refused */
}

static void purges(void *arg)
{
	quire_vmap_purge(((struct vmap_scene *)arg)->q);
}

static void handler_against(struct sim *sim, enum quire_switch rseq, void (*task)(void *),
			    void (*handler)(void *), bool peer)
{
	struct vmap_scene *scene = vmap_scene_make(
		sim, (struct quire_options){ .rseq = rseq, .lazy_max_bytes = 4096 });

	vmap_scene_fill(scene, 5, 4);
	vmap_scene_give(scene, 2);
	vmap_scene_give(scene, 3);
	sim_cpu(sim, 0, task, scene);
	if (peer)
		sim_cpu(sim, 1, purges, scene);
	sim_irq(sim, 0, handler, scene, 1);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* R21: a free is legal wherever it comes, also inside the lock that it would want, and it neither
 * waits nor spills. */
SIM_TEST(handler_frees_area_inside_alloc_and_free, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1)
{
	handler_against(sim, QUIRE_ON, takes_and_gives_sizes, handler_frees, false);
}

SIM_TEST(handler_frees_area_inside_list_paths, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1)
{
	handler_against(sim, QUIRE_OFF, takes_and_gives_sizes, handler_frees, false);
}

SIM_TEST(handler_frees_area_inside_purge, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1)
{
	handler_against(sim, QUIRE_ON, purges, handler_frees, false);
}

SIM_TEST(handler_takes_area_against_purge, .events = SIM_ABORT)
{
	handler_against(sim, QUIRE_ON, takes_and_gives_sizes, handler_takes, true);
}

static void handler_grows(void *arg)
{
	struct vmap_scene *scene = arg;
	char *addr;

	sim_disown(scene->area[1], 4 << 12);
	addr = quire_vrealloc(scene->q, scene->area[1], 6 << 12, QUIRE_NOLOCK);
	scene->pages[1] = addr != NULL ? 6 : 4;
	if (addr != NULL)
		scene->area[1] = addr;
	sim_own(scene->area[1], (size_t)scene->pages[1] << 12);
}

static void asks_for_the_last(void *arg)
{
	struct vmap_scene *scene = arg;

	check_u64_eq(quire_vmalloc_size(scene->q, scene->area[4]), (size_t)4 << 12);
}

/* The interrupted frame may hold the lock, so a handler that grows an area does not pool what its CPU caches. */
SIM_TEST(handler_grows_area_inside_a_lookup, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "grow_after_merge", "busy_around" })
{
	handler_against(sim, QUIRE_OFF, asks_for_the_last, handler_grows, false);
}

SIM_TEST(handler_frees_area_on_up, .cpus_nr = 1, .config = SIM_UP, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1)
{
	handler_against(sim, QUIRE_OFF, takes_and_gives_sizes, handler_frees, false);
}

SIM_TEST(handler_frees_area_on_smp_rt, .config = SIM_SMP_RT)
{
	handler_against(sim, QUIRE_ON, takes_and_gives_sizes, handler_frees, true);
}

/* ---- first use ----------------------------------------------------------------------------------- */

static void uses_first(void *arg)
{
	struct vmap_scene *scene = arg;
	char *addr = vtake(scene, 4, 0);

	SIM_CHECK(addr != NULL);
	store_relaxed((uint32_t *)(void *)addr, 1);
	vgive(scene, addr, 4);
	addr = vtake(scene, 4, QUIRE_ZERO);
	SIM_CHECK(addr != NULL);
	check_u64_eq(load_relaxed((uint32_t *)(void *)addr), 0);
	vgive(scene, addr, 4);
}

static struct vmap_scene *scene_unused(struct sim *sim)
{
	struct vmap_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20,
				   .vmap_span_bytes = UINT64_C(4) << 20, .worker = QUIRE_WORKER_OFF,
				   .guard = QUIRE_GUARD_OFF);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	return scene;
}

/* Both calls are the first: vmap is created once, and uncommitted memory is never accessed. */
SIM_TEST(first_use_of_areas_by_two, .events = SIM_MEMORY)
{
	struct vmap_scene *scene = scene_unused(sim);

	sim_cpu(sim, 0, uses_first, scene);
	sim_cpu(sim, 1, uses_first, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

static void uses_first_without_waiting(void *arg)
{
	struct vmap_scene *scene = arg;

	sim_forbid_wait(true);
	vgive(scene, vtake(scene, 4, QUIRE_NOWAIT), 4);
	sim_forbid_wait(false);
}

/* A caller that may not wait makes the areas, too, unless another is just doing so. */
SIM_TEST(first_use_of_areas_without_waiting, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .events = SIM_MEMORY,
	 .enters = { "make_without_waiting", "make_locked" })
{
	struct vmap_scene *scene = scene_unused(sim);

	sim_cpu(sim, 0, uses_first_without_waiting, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* Of an instance that may have no areas yet, or has them just made by another. */
static void frees_null(void *arg)
{
	quire_vfree(((struct vmap_scene *)arg)->q, NULL);
}

static void asks_for_a_size(void *arg)
{
	check_u64_eq(quire_vmalloc_size(((struct vmap_scene *)arg)->q, arg), 0);
}

static void asks_for_the_options(void *arg)
{
	static char text[4096];

	SIM_CHECK(quire_text_options(((struct vmap_scene *)arg)->q, text, sizeof(text)) > 0);
}

static void takes_aligned(void *arg)
{
	const struct quire_vmalloc_options options =
		QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = 8192);
	struct vmap_scene *scene = arg;
	char *addr = quire_vmalloc_with(scene->q, 4096, &options);

	SIM_CHECK(addr != NULL);
	quire_vfree(scene->q, addr);
}

static void beside_the_first_use(struct sim *sim, void (*other)(void *))
{
	struct vmap_scene *scene = scene_unused(sim);

	sim_cpu(sim, 0, uses_first, scene);
	sim_cpu(sim, 1, other, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* Nothing is freed by it, and what it reads of the areas to find that out is made. */
SIM_TEST(vfree_of_null_beside_the_first_use_of_areas, .events = SIM_MEMORY,
	 .enters = { "quire_vfree", "vmap/instance.c:make" })
{
	beside_the_first_use(sim, frees_null);
}

/* An address that is in no area is in none, whether there are areas yet or not. */
SIM_TEST(size_is_asked_for_beside_the_first_use_of_areas, .events = SIM_MEMORY,
	 .enters = { "asked_about", "vmap/instance.c:make" })
{
	beside_the_first_use(sim, asks_for_a_size);
}

/* The size of the span is what is wanted, or what there is. */
SIM_TEST(options_are_read_beside_the_first_use_of_areas, .events = SIM_MEMORY,
	 .enters = { "vmap_span_bytes", "vmap/instance.c:make" })
{
	beside_the_first_use(sim, asks_for_the_options);
}

/* An aligned area is looked for among those that were freed, if there are any. */
SIM_TEST(aligned_area_beside_the_first_use_of_areas, .events = SIM_MEMORY,
	 .enters = { "quire_vmalloc_with", "vmap/instance.c:make" })
{
	beside_the_first_use(sim, takes_aligned);
}

/* A backing call is refused on the way: the call is, or none, and the next one serves. */
static void uses_and_may_be_refused(void *arg)
{
	vgive(arg, vtake(arg, 4, 0), 4);
}

SIM_TEST(first_use_of_areas_refused_leaves_nothing, .events = SIM_MEMORY | SIM_REFUSE,
	 .refusals = 1)
{
	struct vmap_scene *scene = scene_unused(sim);

	sim_cpu(sim, 0, uses_and_may_be_refused, scene);
	sim_cpu(sim, 1, uses_and_may_be_refused, scene);
	sim_run(sim);
	scene->refused = 0;
	uses_and_may_be_refused(scene);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* ---- fork ---------------------------------------------------------------------------------------- */

static void forks_child(void *arg)
{
	struct vmap_scene *scene = arg;
	const char *addr;

	sim_fork_child();
	check_u64_eq(quire_verify(scene->q), 0);
	quire_vmap_purge(scene->q);
	check_u64_eq(quire_verify(scene->q), 0);
	addr = vtake(scene, 4, 0);
	SIM_CHECK(addr != NULL);
	check_u64_eq(quire_vmalloc_size(scene->q, addr), (size_t)4 << 12);
	store_relaxed(&scene->turn, 1);
}

SIM_TEST(fork_child_has_areas_in_order, .cpus_nr = 3, .events = SIM_ABORT)
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 5, 4);
	vmap_scene_give(scene, 2);
	vmap_scene_give(scene, 3);
	sim_cpu(sim, 0, takes_and_gives_sizes, scene);
	sim_cpu(sim, 1, forks_child, scene);
	sim_cpu(sim, 2, purges, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	check_u64_eq(quire_verify(scene->q), 0);
}

static void gives_two(void *arg)
{
	vmap_scene_give(arg, 0);
	vmap_scene_give(arg, 1);
}

/* Areas that become lazy while fork copies one page after the other are on the child's list, or are not: the list ends. */
SIM_TEST(fork_child_has_lazy_areas_in_order, .enters = { "lazy_publish_chain", "lazy_fork_done" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 5, 4);
	vmap_scene_give(scene, 2);
	sim_cpu(sim, 0, gives_two, scene);
	sim_cpu(sim, 1, forks_child, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

static void purge_runs(void *arg)
{
	purge_run(((struct vmap_scene *)arg)->v, EVERYTHING_MS, 0);
}

/* With purge:counter no fork waits for a purge.  The child has the list as it was, and what the purge had in its hands is lost. */
SIM_TEST(fork_child_of_purge_counter_is_in_order, .enters = { "run_counter", "lazy_fork_done" })
{
	struct vmap_scene *scene = vmap_scene_make(
		sim, (struct quire_options){
			     .cache = QUIRE_OFF, .rseq = QUIRE_OFF, .purge = QUIRE_PURGE_COUNTER });

	vmap_scene_fill(scene, 5, 4);
	vmap_scene_give(scene, 2);
	vmap_scene_give(scene, 0);
	vmap_scene_give(scene, 3);
	sim_cpu(sim, 0, purge_runs, scene);
	sim_cpu(sim, 1, forks_child, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

static void forks_parent(void *arg)
{
	(void)arg;
	sim_fork_parent();
}

SIM_TEST(fork_parent_goes_on_with_areas, .cpus_nr = 3, .events = SIM_ABORT)
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 5, 4);
	vmap_scene_give(scene, 2);
	sim_cpu(sim, 0, takes_and_gives_sizes, scene);
	sim_cpu(sim, 1, forks_parent, scene);
	sim_cpu(sim, 2, purges, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* ---- growing in place ---------------------------------------------------------------------------- */

static void grows(void *arg)
{
	struct vmap_scene *scene = arg;
	char *addr = quire_vrealloc(scene->q, scene->area[0], (size_t)100 << 12, 0);

	SIM_CHECK(addr != NULL);
	check_u64_eq(load_relaxed((uint32_t *)(void *)addr), 77);
	store_relaxed((uint32_t *)(void *)(addr + ((size_t)99 << 12)), 5);
	addr = quire_vrealloc(scene->q, addr, (size_t)2 << 12, 0);
	SIM_CHECK(addr != NULL);
	check_u64_eq(load_relaxed((uint32_t *)(void *)addr), 77);
}

/* Into a neighbour that another CPU is about to purge, and back again. */
SIM_TEST(realloc_against_purge, .events = SIM_MEMORY)
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 3, 64);
	store_relaxed((uint32_t *)(void *)scene->area[0], 77);
	vmap_scene_give(scene, 1);
	cpu_drain(scene->v, 0);
	sim_cpu(sim, 0, grows, scene);
	sim_cpu(sim, 1, purges, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* ---- lookups ------------------------------------------------------------------------------------- */

static bool is_sane(const struct quire_vmap_area *area, void *arg)
{
	uint32_t *seen = arg;

	(*seen)++;
	SIM_CHECK(area->bytes != 0 && area->asked_bytes <= area->bytes);
	return true;
}

static void looks(void *arg)
{
	struct vmap_scene *scene = arg;
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;
	uint32_t seen = 0;

	SIM_CHECK(quire_vmap_walk(scene->q, is_sane, &seen) == seen);
	check_u64_eq(quire_vmalloc_size(scene->q, scene->area[4] + 4096 + 5), (size_t)4 << 12);
	SIM_CHECK(quire_vmalloc_start(scene->q, scene->area[4] + 5) == scene->area[4]);
	quire_vmap_stat_read(scene->q, &stat);
}

/* V6: who looks sees areas come and go, and never a dying one's remains. */
SIM_TEST(lookup_against_alloc_and_free, .events = SIM_RACE)
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 5, 4);
	vmap_scene_give(scene, 2);
	sim_cpu(sim, 0, takes_and_gives_sizes, scene);
	sim_cpu(sim, 1, looks, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

static void asks_behind_the_end(void *arg)
{
	struct vmap_scene *scene = arg;
	char *behind = scene->area[0] + ((size_t)9 << 12);

	check_u64_eq(quire_vmalloc_size(scene->q, behind - 1), (size_t)9 << 12);
	check_u64_eq(quire_vmalloc_size(scene->q, behind), 0);
	SIM_CHECK(quire_vmalloc_start(scene->q, behind) == NULL);
}

/* The class adds a tenth page, which is nobody's. */
SIM_TEST(address_behind_an_area_is_in_none, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "busy_around" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 1, 9);
	sim_cpu(sim, 0, asks_behind_the_end, scene);
	sim_run(sim);
	vmap_scene_give(scene, 0);
	vmap_scene_check(scene);
}

static void frees_the_same(void *arg)
{
	quire_vfree(((struct vmap_scene *)arg)->q, ((struct vmap_scene *)arg)->area[0]);
}

/* One of the two is told. */
SIM_TEST(double_vfree_by_two_is_seen, .expect = "misuse")
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 1, 4);
	sim_cpu(sim, 0, frees_the_same, scene);
	sim_cpu(sim, 1, frees_the_same, scene);
	sim_run(sim);
	SIM_CHECK(quire_verify(scene->q) != 0); /* both had looked: the pool of two CPUs holds it */
}

/* ---- guards -------------------------------------------------------------------------------------- */

static void guards_and_unguards(struct vmap_scene *scene, unsigned i)
{
	uint32_t page = page_at(scene->v, scene->area[i]);

	check_u64_eq(mapped_guard(scene->v, page + 1, 2), 0);
	check_u64_eq(mapped_unguard(scene->v, page, 4), 0);
	store_relaxed((uint32_t *)(void *)(scene->area[i] + 4096), 1);
	store_relaxed((uint32_t *)(void *)(scene->area[i] + 8192), 1);
}

static void guards_the_first(void *arg)
{
	guards_and_unguards(arg, 0);
}

static void guards_the_second(void *arg)
{
	guards_and_unguards(arg, 1);
}

/* Neighbours' guards are noted in one word; a note that is lost leaves a guard where the user writes. */
SIM_TEST(guards_of_neighbours_are_all_removed, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY)
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 2, 4);
	sim_cpu(sim, 0, guards_the_first, scene);
	sim_cpu(sim, 1, guards_the_second, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

static struct vmap_scene *scene_with_guards(struct sim *sim, enum quire_guard guard)
{
	struct vmap_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20,
				   .vmap_span_bytes = (uint64_t)SPAN_PAGES << 12,
				   .worker = QUIRE_WORKER_OFF, .guard = guard);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	return scene;
}

static void writes_all(char *area, uint32_t pages)
{
	for (uint32_t i = 0; i < pages; i++)
		store_relaxed((uint32_t *)(void *)(area + ((size_t)i << 12)), i);
}

static void frees_and_takes_again(void *arg)
{
	struct vmap_scene *scene = arg;

	vmap_scene_give(scene, 0);
	purge_rescue(scene->v, 1);
	for (uint32_t pages = 8; pages <= 24; pages += 8) {
		char *area = vtake(scene, pages, 0);

		if (area == NULL)
			continue;
		writes_all(area, pages);
		vgive(scene, area, pages);
	}
}

/* guard:freed.  The system refuses to set a freed area's guards, or to remove them, and has come half way:
 * whoever is given the addresses next finds none of them. */
SIM_TEST(refused_guards_are_not_forgotten, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 2)
{
	struct vmap_scene *scene = scene_with_guards(sim, QUIRE_GUARD_FREED);

	vmap_scene_fill(scene, 2, 8);
	scene->v = scene->q->vmap;
	sim_cpu(sim, 0, frees_and_takes_again, scene);
	sim_run(sim);
	check_u64_eq(quire_verify(scene->q), 0);
}

static void uses_again_for_more_pages(void *arg)
{
	struct vmap_scene *scene = arg;
	char *area;

	for (uint32_t pages = 9; pages <= 10; pages++) {
		area = vtake(scene, pages, 0);
		if (area != NULL)
			vgive(scene, area, pages);
	}
}

/* The guard of an area of the class cannot be moved: the area is put where other requests find it. */
SIM_TEST(area_that_keeps_its_old_guard_is_not_lost, .cpus_nr = 1, .events = SIM_REFUSE,
	 .refusals = 2)
{
	struct vmap_scene *scene = scene_with_guards(sim, QUIRE_GUARD_ON);

	uses_again_for_more_pages(scene); /* the first use commits */
	scene->v = scene->q->vmap;
	sim_cpu(sim, 0, uses_again_for_more_pages, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* The end of an area is where the books say: nothing before it faults, and what follows does if a guard is
 * noted. */
static void check_end(const struct vmap_scene *scene, const char *area)
{
	const struct range *r = range_at(scene->v, scene->v->map[page_at(scene->v, area)]);

	for (uint32_t i = 0; i < r->usable; i++)
		SIM_CHECK(sim_frame_of(0, area + ((size_t)i << 12)) != NULL);
	if (r->flags & RANGE_GUARD)
		SIM_CHECK(sim_frame_of(0, area + ((size_t)r->usable << 12)) == NULL);
}

/* turn: how many pages the areas have, and one more or less. */
static void uses_pooled_ones_again(void *arg)
{
	struct vmap_scene *scene = arg;

	for (unsigned i = 0; i < 3; i++) {
		uint32_t pages = scene->turn + (i == 1 ? 0 : 1);
		char *area = vtake(scene, pages, 0);

		if (area == NULL)
			continue;
		check_end(scene, area);
		vgive(scene, area, pages);
		cpu_pool_own(scene->v);
	}
}

/* The first @nr of three neighbours have been freed and pooled. */
static struct vmap_scene *scene_with_pooled(struct sim *sim, unsigned nr)
{
	struct vmap_scene *scene = scene_with_guards(sim, QUIRE_GUARD_ON);

	vmap_scene_fill(scene, 3, 9);
	scene->v = scene->q->vmap;
	for (unsigned i = 0; i < nr; i++)
		vmap_scene_give(scene, i);
	cpu_pool_own(scene->v);
	scene->turn = nr == 1 ? 9 : 12; /* with the guard of the first in the middle */
	return scene;
}

static void check_pooled(struct vmap_scene *scene, unsigned nr)
{
	uses_pooled_ones_again(scene);
	for (unsigned i = nr; i < 3; i++)
		vmap_scene_give(scene, i);
	vmap_scene_check(scene);
}

/* As above for a range that is pooled, and fits as it is but for its guard: both guards may stand then. */
SIM_TEST(pooled_area_whose_guard_stays_is_looked_at, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 3, .events = SIM_REFUSE, .refusals = 3)
{
	struct vmap_scene *scene = scene_with_pooled(sim, 1);

	sim_cpu(sim, 0, uses_pooled_ones_again, scene);
	sim_run(sim);
	check_pooled(scene, 1);
}

/* And for two that have been joined, with the guard of the first in the middle. */
SIM_TEST(joined_areas_whose_guards_stay_are_looked_at, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 3, .events = SIM_REFUSE, .refusals = 3)
{
	struct vmap_scene *scene = scene_with_pooled(sim, 2);

	sim_cpu(sim, 0, uses_pooled_ones_again, scene);
	sim_run(sim);
	check_pooled(scene, 2);
}

/* ---- a growth that is refused -------------------------------------------------------------------- */

#define SMALL_PAGES 400u
#define OTHER_PAGES 600u /* too many for anything else to find room */
#define LARGE_PAGES                                                                                \
	700u /* more than there are but in place, and in a section that is not committed */

static bool adds_sizes(const struct quire_vmap_area *area, void *arg)
{
	*(uint64_t *)arg += area->bytes * 3 + area->asked_bytes;
	return true;
}

static uint64_t sizes(const struct vmap_scene *scene)
{
	uint64_t sum = 0;

	quire_vmap_walk(scene->q, adds_sizes, &sum);
	return sum;
}

/* An area at the beginning of two sections; everything else is free. */
static struct vmap_scene *scene_with_room_behind(struct sim *sim)
{
	struct vmap_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20,
				   .vmap_span_bytes = UINT64_C(4) << 20, .cache = QUIRE_OFF,
				   .worker = QUIRE_WORKER_OFF);
	struct quire_vmalloc_options here = QUIRE_VMALLOC_OPTIONS_INIT();

	check_u64_eq(quire_create(&options, &scene->q), 0);
	vgive(scene, vtake(scene, 1, 0), 1);
	quire_vmap_purge(scene->q);
	scene->v = scene->q->vmap;
	here.start = scene->v->base;
	here.end = scene->v->base + ((size_t)(SMALL_PAGES + 1) << 12);
	scene->area[0] = quire_vmalloc_with(scene->q, (size_t)SMALL_PAGES << 12, &here);
	SIM_CHECK(scene->area[0] == scene->v->base);
	scene->held_areas++;
	return scene;
}

static bool resizes(struct vmap_scene *scene, uint32_t pages)
{
	uint64_t charged, before = sizes(scene);
	const char *resized;

	quire_vmap_purge(scene->q);
	charged = scene->v->charged_pages;
	resized = quire_vrealloc(scene->q, scene->area[0], (size_t)pages << 12, 0);
	SIM_CHECK(resized == NULL || resized == scene->area[0]); /* nowhere else is room */
	check_end(scene, scene->area[0]);
	if (resized != NULL)
		return true;
	check_u64_eq(sizes(scene), before);
	quire_vmap_purge(scene->q);
	check_u64_eq(scene->v->charged_pages, charged);
	return false;
}

static void check_grows(struct vmap_scene *scene, uint32_t pages)
{
	SIM_CHECK(resizes(scene, pages));
	quire_vfree(scene->q, scene->area[0]);
	scene->held_areas--;
	vmap_scene_check(scene);
}

static void grows_by_much(void *arg)
{
	(void)resizes(arg, LARGE_PAGES);
}

/* The system refuses memory for the added pages, or to remove or to set a guard, again and again: the area, what
 * is charged for it, and where its guard is, are as before, and it can grow when the system does not refuse. */
SIM_TEST(refused_growth_leaves_the_area_as_it_was, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 3, .events = SIM_REFUSE, .refusals = 3)
{
	struct vmap_scene *scene = scene_with_room_behind(sim);

	sim_cpu(sim, 0, grows_by_much, scene);
	sim_run(sim);
	check_grows(scene, LARGE_PAGES);
}

static void shrinks_and_grows_a_little(void *arg)
{
	(void)resizes(arg, SMALL_PAGES - 50);
	(void)resizes(arg, SMALL_PAGES);
	(void)resizes(arg, SMALL_PAGES - 10);
}

/* The same inside what the area has, where only the guard moves, and no tail can be given back. */
SIM_TEST(refused_move_of_a_guard_leaves_the_end, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 3, .events = SIM_REFUSE, .refusals = 3)
{
	struct vmap_scene *scene = scene_with_room_behind(sim);
	char *other = vtake(scene, OTHER_PAGES, 0);

	SIM_CHECK(other != NULL);
	sim_cpu(sim, 0, shrinks_and_grows_a_little, scene);
	sim_run(sim);
	vgive(scene, other, OTHER_PAGES);
	check_grows(scene, LARGE_PAGES);
}

static void grows_within_its_class(void *arg)
{
	struct vmap_scene *scene = arg;
	char *area = scene->area[0];

	SIM_CHECK(quire_vrealloc(scene->q, area, (size_t)10 << 12, 0) == area);
	writes_all(area, 10);
	check_end(scene, area);
}

/* An area of nine pages, whose class has ten, grows to ten: its guard was on the tenth, and is now behind it. */
SIM_TEST(vrealloc_within_a_class_moves_the_guard, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .events = SIM_MEMORY, .enters = { "grow_within", "move_guard" })
{
	struct vmap_scene *scene = scene_with_guards(sim, QUIRE_GUARD_ON);

	vmap_scene_fill(scene, 1, 9);
	scene->v = scene->q->vmap;
	sim_cpu(sim, 0, grows_within_its_class, scene);
	sim_run(sim);
	vmap_scene_give(scene, 0);
	vmap_scene_check(scene);
}

/* A purge clears the notes of guards.  One that stayed would cost the page's next user a system call. */
SIM_TEST(purge_leaves_no_note_of_a_guard, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "guarded_forget" })
{
	struct vmap_scene *scene = scene_with_guards(sim, QUIRE_GUARD_ON);

	vmap_scene_fill(scene, 3, 9);
	scene->v = scene->q->vmap;
	for (unsigned i = 0; i < 3; i++)
		vmap_scene_give(scene, i);
	sim_cpu(sim, 0, purges, scene);
	sim_run(sim);
	for (uint32_t word = 0; word < SPAN_PAGES / 64; word++)
		check_u64_eq(scene->v->guarded[word], 0);
	vmap_scene_check(scene);
}

/* ---- growth across the bounds of the metadata ------------------------------------------------------ */

#define STEP_PAGES (1u << 14) /* of the span, whose metadata is made ready together (meta.c) */

/* An area of four pages before page @end of two steps, of which the second is not ready. */
static struct vmap_scene *scene_before(struct sim *sim, uint32_t end)
{
	struct vmap_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20, .thp = QUIRE_OFF,
				   .vmap_span_bytes = UINT64_C(2) * STEP_PAGES << 12,
				   .cache = QUIRE_OFF, .worker = QUIRE_WORKER_OFF,
				   .guard = QUIRE_GUARD_OFF);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	vgive(scene, vtake(scene, 1, 0), 1);
	quire_vmap_purge(scene->q);
	scene->v = scene->q->vmap;
	scene->area[0] = vtake_at(scene, end - 4, 4, 0);
	return scene;
}

static void grows_to_eight(void *arg)
{
	struct vmap_scene *scene = arg;
	char *addr = quire_vrealloc(scene->q, scene->area[0], (size_t)8 << 12, QUIRE_NORETRY);

	if (addr == NULL)
		return;
	writes_all(addr, 8);
	scene->area[0] = addr;
}

/* What an area grows into may be cut off again, so its metadata is made ready first. */
SIM_TEST(vrealloc_makes_what_it_grows_into_ready, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 3, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 3,
	 .enters = { "grow_in_place", "meta_ready" })
{
	struct vmap_scene *scene = scene_before(sim, STEP_PAGES);

	sim_cpu(sim, 0, grows_to_eight, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

static void grows_beyond_the_span(void *arg)
{
	struct vmap_scene *scene = arg;

	SIM_CHECK(quire_vrealloc(scene->q, scene->area[0], (size_t)(2 * STEP_PAGES - 1) << 12, 0) ==
		  NULL);
}

/* An area does not grow beyond the span, where there is no metadata. */
SIM_TEST(vrealloc_beyond_the_span_is_refused, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "grow_in_place" })
{
	struct vmap_scene *scene = scene_before(sim, 2 * STEP_PAGES);

	sim_cpu(sim, 0, grows_beyond_the_span, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}
