/* SPDX-License-Identifier: MIT */
/* page_types_sim.c - types of blocks: isolation, stealing, mixed lists, the last pages */
#include "page/isolate.h"
#include "sim/page/page_scene.h"

static void frees_four(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < 4; i++)
		give(scene, scene->page[i], 0);
}

static void takes_two(void *arg)
{
	take(arg, 0, 0);
	take(arg, 0, 0);
}

static void isolates(void *arg)
{
	struct page_scene *scene = arg;

	check_u64_eq(quire_isolate_pageblock(scene->q, scene->page[0]), 0);
	store_release(&scene->turn, 1); /* read when all has ended */
}

static void isolate_against(struct sim *sim, bool stacks, void (*user)(void *))
{
	struct page_scene *scene = page_scene_make(sim, stacks);

	sim_cpu(sim, 0, user, scene);
	sim_cpu(sim, 1, isolates, scene);
	sim_run(sim);
	check_u64_eq(page_scene_strays(scene, scene->page[0]), 0);
	page_scene_check(scene);
}

/* B9: once isolation has returned and the frees have ended, the buddy has every free page. */
SIM_TEST(list_isolate_against_free, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	isolate_against(sim, false, frees_four);
}

SIM_TEST(stack_isolate_against_free, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	isolate_against(sim, true, frees_four);
}

/* R12: a refill that has the pages and has not said so yet. */
SIM_TEST(list_isolate_against_refill)
{
	isolate_against(sim, false, takes_two);
}

SIM_TEST(stack_isolate_against_refill, .events = SIM_ABORT)
{
	isolate_against(sim, true, takes_two);
}

static void frees_bulk(void *arg)
{
	struct page_scene *scene = arg;
	void *pages[4];

	for (unsigned i = 0; i < 3; i++)
		pages[i] = scene->page[i];
	pages[3] = scene->far_page;
	for (unsigned i = 0; i < 4; i++)
		sim_disown(pages[i], quire_page_bytes(scene->q));
	fetch_sub_relaxed(&scene->held_pages, 4);
	quire_free_pages_bulk(scene->q, pages, 4);
}

/* R11: a bulk free of pages that are all isolated, or some, or from two blocks, by the moment. */
SIM_TEST(mixed_bulk_free_against_isolate)
{
	struct page_scene *scene = page_scene_make(sim, false);

	scene->far_page = take(scene, 0, QUIRE_MOVABLE);
	sim_cpu(sim, 0, frees_bulk, scene);
	sim_cpu(sim, 1, isolates, scene);
	sim_run(sim);
	check_u64_eq(page_scene_strays(scene, scene->page[0]), 0);
	page_scene_check(scene);
}

static void frees_movable(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, scene->far_page, 0);
}

static void takes_unmovable_order_4(void *arg)
{
	take(arg, 4, 0);
}

/* A claim changes a block's type while a page of it is on its way to a list of the old type. */
SIM_TEST(steal_against_free, .events = SIM_TRYFAIL)
{
	struct page_scene *scene = page_scene_make(sim, false);

	scene->far_page = take(scene, 0, QUIRE_MOVABLE);
	take_all_but(scene, 20);
	sim_cpu(sim, 0, frees_movable, scene);
	sim_cpu(sim, 1, takes_unmovable_order_4, scene);
	sim_cpu(sim, 1, frees_four, scene);
	sim_run(sim);
	quire_drain_all(scene->q);
	page_scene_check(scene);
}

/* The trylock fails, and the page goes to its block's type, not to another (Linux 7b086755fb8c). */
SIM_TEST(refused_free_goes_to_the_right_type, .events = SIM_TRYFAIL)
{
	struct page_scene *scene = page_scene_make(sim, true);

	scene->far_page = take(scene, 0, QUIRE_MOVABLE);
	sim_cpu(sim, 0, frees_movable, scene);
	sim_cpu(sim, 1, frees_four, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void takes_one(void *arg)
{
	take(arg, 0, 0);
}

/* Three CPUs want the last pages, which are on the lists of one of them: none is refused. */
static void last_pages(struct sim *sim, bool stacks)
{
	struct page_scene *scene = page_scene_make(sim, stacks);

	take_all_but(scene, 3);
	for (unsigned cpu = 0; cpu < 3; cpu++)
		sim_cpu(sim, cpu, takes_one, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

SIM_TEST(last_pages_of_lists_are_not_refused, .cpus_nr = 3)
{
	last_pages(sim, false);
}

/* The last pages are in the buddy: the first refill takes them all, and until it has them on its
 * list no other CPU finds them.  A drain has to wait for that list's lock (R12). */
SIM_TEST(last_pages_in_a_refill_are_not_refused, .cpus_nr = 3)
{
	struct page_scene *scene = page_scene_make(sim, false);

	take_all_but(scene, 3);
	quire_drain_all(scene->q);
	for (unsigned cpu = 0; cpu < 3; cpu++)
		sim_cpu(sim, cpu, takes_one, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

SIM_TEST(last_pages_of_stacks_are_not_refused, .cpus_nr = 3)
{
	last_pages(sim, true);
}

/* Two zones: what one cannot give the other does. */
SIM_TEST(last_pages_of_two_zones_are_not_refused, .cpus_nr = 3)
{
	struct page_scene *scene = page_scene_make_zones(sim, true, 2, UINT64_C(8) << 20);

	take_all_but(scene, 3);
	for (unsigned cpu = 0; cpu < 3; cpu++)
		sim_cpu(sim, cpu, takes_one, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

static void takes_and_frees_three_times(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < 3; i++)
		give(scene, take(scene, 0, 0), 0);
}

/* Two pages are left, and another CPU takes and frees one all the time.  The last attempt switches lists off, so
 * that what is freed after its drain arrives in the buddy, where it looks. */
SIM_TEST(last_page_beside_a_churner_is_not_refused, .enters = { "drain_and_take" })
{
	struct page_scene *scene = page_scene_make(sim, false);

	take_all_but(scene, 2);
	quire_drain_all(scene->q);
	sim_cpu(sim, 0, takes_and_frees_three_times, scene);
	sim_cpu(sim, 1, takes_one, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

static bool lists_are_off(struct pages *p)
{
	struct depot *depot = &p->zone[0].depot;
	lock_token token = lock_acquire(&depot->lock);
	bool off = depot->disabled;

	lock_release(&depot->lock, token);
	return off;
}

/* As of a block that was to go offline and turned out to be in use. */
static void isolates_for_moments(void *arg)
{
	struct page_scene *scene = arg;
	struct pages *p = pages_of(scene->q);
	uint32_t block = page_block(p, page_frame(p, scene->page[0]));

	for (unsigned i = 0; i < 16; i++) {
		mutex_acquire(&p->giveback_mutex);
		check_u64_eq((uint64_t)page_set_isolate_locked(p, block, true), 0);
		store_relaxed(&scene->turn, 1);
		sim_wake(&scene->turn);
		/* The first time, as a rule, until the other's last attempt has begun. */
		for (unsigned look = 256 * i; look < 256 && !lists_are_off(p); look++)
			;
		check_u64_eq((uint64_t)page_set_isolate_locked(p, block, false), 0);
		mutex_release(&p->giveback_mutex);
	}
}

static void takes_one_meanwhile(void *arg)
{
	struct page_scene *scene = arg;

	sim_wait(&scene->turn, 0);
	takes_one(scene);
}

/* Who holds giveback_mutex may have the last page out of the buddy: the last attempt looks while nobody does. */
SIM_TEST(last_page_of_a_busy_block_is_not_refused, .enters = { "drain_and_take" })
{
	struct page_scene *scene = page_scene_make(sim, false);

	take_all_but(scene, 0);
	give(scene, scene->page[0], 0);
	quire_drain_all(scene->q);
	sim_cpu(sim, 0, takes_one_meanwhile, scene);
	sim_cpu(sim, 1, isolates_for_moments, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

static void isolates_and_returns(void *arg)
{
	struct page_scene *scene = arg;

	isolates(scene);
	check_u64_eq((uint64_t)quire_unisolate_pageblock(scene->q, scene->page[0]), 0);
}

/* Pages that come back while their block is isolated are found when it is not any more. */
SIM_TEST(unisolate_against_free, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .events = SIM_ABORT, .enters = { "quire_unisolate_pageblock" })
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, frees_four, scene);
	sim_cpu(sim, 1, isolates_and_returns, scene);
	sim_run(sim);
	quire_drain_all(scene->q);
	page_scene_check(scene);
}

/* ---- ranges ---- */

/* The first of four pages that are neighbours, of which tasks hold all. */
static char *four_neighbours(struct page_scene *scene)
{
	char *first = scene->page[0];

	for (unsigned i = 1; i < 4; i++)
		if ((char *)scene->page[i] < first)
			first = scene->page[i];
	for (unsigned i = 0; i < 4; i++)
		SIM_CHECK((size_t)((char *)scene->page[i] - first) <
			  4 * quire_page_bytes(scene->q));
	return first;
}

/* Takes the four pages that frees_four() frees, by their addresses, if it comes late enough. */
static void takes_range(void *arg)
{
	struct page_scene *scene = arg;
	size_t bytes = 4 * quire_page_bytes(scene->q);
	int error = quire_alloc_contig_range(scene->q, scene->block, bytes, 0);

	SIM_CHECK(error == 0 || error == -EBUSY);
	if (error != 0)
		return;
	sim_own(scene->block, bytes);
	fetch_add_relaxed(&scene->held_pages, 4);
	store_release(&scene->turn, 1); /* read when all has ended */
}

static void range_against(struct sim *sim, bool stacks, void (*other)(void *))
{
	struct page_scene *scene = page_scene_make(sim, stacks);

	scene->block = four_neighbours(scene);
	sim_cpu(sim, 0, frees_four, scene);
	sim_cpu(sim, 1, takes_range, scene);
	sim_cpu(sim, 2, other, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_u64_eq(pages_of(scene->q)->zone[0].isolated_pages, 0);
	page_scene_check(scene);
}

/* No page of a range goes to anyone else while it is taken, and none is lost if it is not. */
SIM_TEST(list_range_against_free_and_alloc, .cpus_nr = 3,
	 .enters = { "buddy_take_range_locked", "unisolate_before_locked" })
{
	range_against(sim, false, takes_two);
}

SIM_TEST(stack_range_against_free_and_alloc, .cpus_nr = 3, .events = SIM_ABORT | SIM_TRYFAIL,
	 .enters = { "buddy_take_range_locked", "unisolate_before_locked" })
{
	range_against(sim, true, takes_two);
}

/* Of two that want one range, which is free but on a CPU's lists, exactly one has it. */
SIM_TEST(ranges_do_not_overlap, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct page_scene *scene = page_scene_make(sim, false);

	scene->block = four_neighbours(scene);
	frees_four(scene);
	sim_cpu(sim, 0, takes_range, scene);
	sim_cpu(sim, 1, takes_range, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	page_scene_check(scene);
}

static void ends_isolation_and_takes(void *arg)
{
	struct page_scene *scene = arg;

	(void)quire_unisolate_pageblock(scene->q, scene->block); /* it may not be isolated */
	takes_two(scene);
}

/* A range is not taken if somebody has ended its isolation, since its pages may have got owners after they were found free. */
SIM_TEST(range_whose_isolation_was_ended_is_left, .enters = { "contig_attempt", "is_free_in" })
{
	struct page_scene *scene = page_scene_make(sim, false);

	scene->block = four_neighbours(scene);
	frees_four(scene);
	sim_cpu(sim, 0, takes_range, scene);
	sim_cpu(sim, 1, ends_isolation_and_takes, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void asks_for_ranges_outside(void *arg)
{
	struct quire *q = ((struct page_scene *)arg)->q;
	const struct pages *p = pages_of_const(q);
	size_t page_bytes = quire_page_bytes(q);
	char *end = p->base + p->span_bytes, *last = end - page_bytes;

	SIM_CHECK(quire_alloc_contig_range(q, p->base - page_bytes, page_bytes, 0) == -EINVAL);
	SIM_CHECK(quire_alloc_contig_range(q, end, page_bytes, 0) == -EINVAL);
	SIM_CHECK(quire_alloc_contig_range(q, last, page_bytes + 1, 0) == -EINVAL);
	SIM_CHECK(quire_alloc_contig_range(q, last, SIZE_MAX & ~(page_bytes - 1), 0) == -EINVAL);
	SIM_CHECK(quire_alloc_contig_range(q, last, page_bytes, 0) == 0);
	quire_free_contig_range(q, last, page_bytes);
}

/* A range that begins or ends outside the instance's pages is refused; one that ends with them is not. */
SIM_TEST(range_outside_is_refused, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "quire_alloc_contig_range" })
{
	struct page_scene *scene = page_scene_make(sim, false);

	give(scene, take(scene, 9, 0), 9);
	sim_cpu(sim, 0, asks_for_ranges_outside, scene);
	sim_run(sim);
	page_scene_check(scene);
}

/* ---- blocks for atomic requests ---------------------------------------------------------------- */

static void takes_two_atomically(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < 2; i++) {
		SIM_CHECK(take(scene, 1, QUIRE_ATOMIC) != NULL);
		quire_drain_all(scene->q); /* so that the zone is asked again */
	}
}

static void check_reserves(struct sim *sim, struct page_scene *scene, uint32_t blocks)
{
	sim_cpu(sim, 0, takes_two_atomically, scene);
	sim_run(sim);
	check_u64_eq(pages_of(scene->q)->zone[0].highatomic_blocks, blocks);
	page_scene_check(scene);
}

/* Of fewer than a hundred blocks none is reserved. */
SIM_TEST(small_zone_reserves_no_block, .cpus_nr = 1, .enters = { "reserve_highatomic_locked" })
{
	check_reserves(sim, page_scene_make(sim, false), 0);
}

/* A block of which two were taken is one block. */
SIM_TEST(block_is_reserved_once, .cpus_nr = 1, .enters = { "reserve_highatomic_locked" })
{
	check_reserves(sim, page_scene_make_zones(sim, false, 1, UINT64_C(512) << 20), 1);
}
