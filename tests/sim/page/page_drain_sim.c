/* SPDX-License-Identifier: MIT */
/* page_drain_sim.c - one CPU's lists and stacks, used by their owner and emptied by a peer */
#include "page/drain.h"
#include "page/stacks.h"
#include "sim/page/page_scene.h"

static void owner_frees_two(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, scene->page[0], 0);
	give(scene, scene->page[1], 0);
}

static void owner_takes_one(void *arg)
{
	take(arg, 0, 0);
}

static void owner_takes_and_frees(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, take(scene, 0, 0), 0);
}

static void peer_drains(void *arg)
{
	quire_drain_slot(((struct page_scene *)arg)->q, 0);
}

static void drain_against(struct sim *sim, bool stacks, void (*owner)(void *))
{
	struct page_scene *scene = page_scene_make(sim, stacks);

	sim_cpu(sim, 0, owner, scene);
	sim_cpu(sim, 1, peer_drains, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

/* A page freed on CPU 0 while CPU 1 drains CPU 0's lists ends up free exactly once. */
SIM_TEST(list_drain_by_peer_keeps_every_page, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	drain_against(sim, false, owner_frees_two);
}

SIM_TEST(stack_drain_by_peer_keeps_every_page, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_ABORT)
{
	drain_against(sim, true, owner_frees_two);
}

static void owner_is_held(void *arg)
{
	struct pages *p = pages_of(((struct page_scene *)arg)->q);

	page_pcp_unhold(p, page_pcp_hold(p, 0));
	owner_frees_two(arg);
}

/* A CPU that is held for a bench is drained afterwards: its stacks are closed as often as they are opened. */
SIM_TEST(stack_drain_against_a_hold, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .enters = { "page_pcp_unhold" })
{
	drain_against(sim, true, owner_is_held);
}

/* R12's window: the buddy's pages are out, the list's count is not yet up. */
SIM_TEST(list_drain_against_refill, .events = SIM_TRYFAIL)
{
	drain_against(sim, false, owner_takes_one);
}

SIM_TEST(stack_drain_against_refill, .events = SIM_ABORT | SIM_TRYFAIL)
{
	drain_against(sim, true, owner_takes_one);
}

static void owner_spills(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < 4; i++)
		give(scene, scene->page[i], 0);
}

/* high is lowered in the scene, and kept from rising, so that the second free already spills. */
SIM_TEST(list_drain_against_spill)
{
	struct page_scene *scene = page_scene_make(sim, false);
	struct pages *p = pages_of(scene->q);

	give(scene, scene->page[7], 0);
	p->pcp[0].high = p->pcp[0].count + 2;
	p->zone[0].pcp_high_max = p->pcp[0].high;
	sim_cpu(sim, 0, owner_spills, scene);
	sim_cpu(sim, 1, peer_drains, scene);
	sim_run(sim);
	page_scene_check(scene);
}

SIM_TEST(stack_drain_against_spill, .events = SIM_ABORT)
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, owner_spills, scene);
	sim_cpu(sim, 1, peer_drains, scene);
	sim_cpu(sim, 0, owner_takes_and_frees, scene);
	sim_run(sim);
	page_scene_check(scene);
}

/* The same without a third who takes pages up again. */
SIM_TEST(stack_drain_while_owner_spills, .events = SIM_ABORT)
{
	drain_against(sim, true, owner_spills);
}

static void peer_drains_what_has_left_the_buddy(void *arg)
{
	struct page_scene *scene = arg;

	/* A hint without the zone's lock: fewer means that the refill has begun to take. */
	if (load_relaxed(&pages_of(scene->q)->zone[0].free_pages) == scene->buddy_pages)
		return;
	quire_drain_slot(scene->q, 0);
	store_release(&scene->turn, 1); /* read when all has ended */
}

/* R12: a drain that begins when a refill has the pages, but not yet counted them, waits for it and
 * leaves none; an unlocked look at the count would pass the CPU over. */
SIM_TEST(list_drain_waits_for_refill, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct page_scene *scene = page_scene_make(sim, false);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	quire_drain_all(scene->q);
	scene->buddy_pages = pages_of(scene->q)->zone[0].free_pages;
	sim_cpu(sim, 0, owner_takes_one, scene);
	sim_cpu(sim, 1, peer_drains_what_has_left_the_buddy, scene);
	sim_run(sim);
	quire_page_stat_read(scene->q, &stat);
	if (scene->turn != 0)
		check_u64_eq(stat.cached_pages, 0);
	page_scene_check(scene);
}

/* R7: the CPU that was looked up is not the CPU whose lists are locked; the lock is what counts. */
SIM_TEST(migration_between_lookup_and_lock, .cpus_nr = 3, .events = SIM_MIGRATE | SIM_ABORT)
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, owner_frees_two, scene);
	sim_cpu(sim, 1, owner_takes_and_frees, scene);
	sim_cpu(sim, 2, peer_drains, scene);
	sim_run(sim);
	page_scene_check(scene);
}

SIM_TEST(migration_without_stacks, .cpus_nr = 3, .events = SIM_MIGRATE)
{
	struct page_scene *scene = page_scene_make(sim, false);

	sim_cpu(sim, 0, owner_frees_two, scene);
	sim_cpu(sim, 1, owner_takes_and_frees, scene);
	sim_cpu(sim, 2, peer_drains, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void owner_uses_exact_sizes(void *arg)
{
	struct page_scene *scene = arg;
	const size_t bytes = 3 * quire_page_bytes(scene->q);
	void *addr = quire_alloc_pages_exact(scene->q, bytes, 0);

	SIM_CHECK(addr != NULL);
	sim_own(addr, bytes);
	sim_disown(addr, bytes);
	quire_free_pages_exact(scene->q, addr, bytes);
}

/* What is left over of an order is freed page by page, and the rest later: each page once. */
SIM_TEST(stack_drain_against_exact_sizes, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .events = SIM_ABORT,
	 .enters = { "quire_alloc_pages_exact", "quire_free_pages_exact", "page_split_to" })
{
	drain_against(sim, true, owner_uses_exact_sizes);
}

static void owner_takes_and_frees_many(void *arg)
{
	struct page_scene *scene = arg;
	void *pages[6] = { NULL };

	check_u64_eq(quire_alloc_pages_bulk(scene->q, pages, 6, 0), 6);
	for (unsigned i = 0; i < 6; i++)
		sim_own(pages[i], quire_page_bytes(scene->q));
	for (unsigned i = 0; i < 6; i++)
		sim_disown(pages[i], quire_page_bytes(scene->q));
	quire_free_pages_bulk(scene->q, pages, 6);
}

/* Many pages are popped and pushed by one sequence each, or refilled and spilled where that is refused. */
SIM_TEST(stack_drain_against_bulk_calls, .cpus_nr = 3, .events = SIM_ABORT | SIM_MIGRATE,
	 .enters = { "quire_alloc_pages_bulk", "group_put_away" })
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, owner_takes_and_frees_many, scene);
	sim_cpu(sim, 1, owner_takes_and_frees_many, scene);
	sim_cpu(sim, 2, peer_drains, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void disable(void *arg)
{
	struct page_scene *scene = arg;

	quire_pcp_disable(scene->q);
	store_release(&scene->turn, 1); /* read when all has ended */
}

static void disable_against_free(struct sim *sim, bool stacks)
{
	struct page_scene *scene = page_scene_make(sim, stacks);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	sim_cpu(sim, 0, owner_frees_two, scene);
	sim_cpu(sim, 1, disable, scene);
	sim_run(sim);
	quire_page_stat_read(scene->q, &stat);
	check_u64_eq(stat.cached_pages, 0);
	page_scene_check(scene);
}

/* R13: a free that began before the lists were switched off leaves nothing on them afterwards. */
SIM_TEST(list_disable_against_free, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	disable_against_free(sim, false);
}

SIM_TEST(stack_disable_against_free, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	disable_against_free(sim, true);
}

static void forks(void *arg)
{
	(void)arg;
	sim_fork_parent();
}

/* Two reasons to be closed: the fork that ends opens nothing while the other lasts. */
static void disable_while(struct sim *sim, void (*closes)(void *))
{
	struct page_scene *scene = page_scene_make(sim, true);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	sim_cpu(sim, 0, owner_frees_two, scene);
	sim_cpu(sim, 1, disable, scene);
	sim_cpu(sim, 2, closes, scene);
	sim_run(sim);
	quire_page_stat_read(scene->q, &stat);
	check_u64_eq(stat.cached_pages, 0);
	page_scene_check(scene);
}

SIM_TEST(stack_disable_against_drain, .cpus_nr = 3)
{
	disable_while(sim, peer_drains);
}

SIM_TEST(stack_disable_against_fork, .cpus_nr = 3)
{
	disable_while(sim, forks);
}

static void disable_and_enable(void *arg)
{
	struct page_scene *scene = arg;

	quire_pcp_disable(scene->q);
	quire_pcp_enable(scene->q);
}

/* Two that switch off and on, one that drains, one that works: holders nest, all is on at the end. */
SIM_TEST(disable_nests_with_drain, .cpus_nr = 3, .events = SIM_ABORT)
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, owner_takes_and_frees, scene);
	sim_cpu(sim, 1, disable_and_enable, scene);
	sim_cpu(sim, 2, disable_and_enable, scene);
	sim_cpu(sim, 2, peer_drains, scene);
	sim_run(sim);
	check_u64_eq(pages_of(scene->q)->pcp_disabled.nr, 0);
	check_u64_eq(pages_of(scene->q)->pcp[0].door.closed_nr, 0);
	page_scene_check(scene);
}

/* What a thread does that is the first to need every CPU's lists, while another begins to use its
 * own: headers that were never laid out must not be seen half done.  CPU 0 made the instance, and its lists
 * are ready. */
SIM_TEST(first_use_of_lists_by_a_peer)
{
	struct page_scene *scene = page_scene_make_unused(sim);

	sim_cpu(sim, 1, owner_takes_and_frees, scene);
	sim_cpu(sim, 0, disable_and_enable, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void uses_lists_of_cpu_1(void *arg)
{
	struct page_scene *scene = arg;
	void *addr = page_alloc_on(pages_of(scene->q), 1, 0, 0);

	if (addr != NULL)
		page_free_on(pages_of(scene->q), 1, addr, 0);
}

/* The same by one who uses a given CPU's lists and opens its stacks. */
SIM_TEST(first_use_of_lists_by_number)
{
	struct page_scene *scene = page_scene_make_unused(sim);

	sim_cpu(sim, 1, owner_takes_and_frees, scene);
	sim_cpu(sim, 0, uses_lists_of_cpu_1, scene);
	sim_run(sim);
	page_scene_check(scene);
}

/* Pages of 16 and 64 KiB: blocks are of other orders, all else is the same. */
SIM_TEST(stack_drain_with_16k_pages, .page_shift = 14, .events = SIM_ABORT)
{
	drain_against(sim, true, owner_takes_and_frees);
}

SIM_TEST(stack_drain_with_64k_pages, .page_shift = 16, .events = SIM_ABORT)
{
	drain_against(sim, true, owner_takes_and_frees);
}

/* ---- by number -------------------------------------------------------------------------------- */

static void frees_three_on_the_first_slot(struct page_scene *scene, void **pages)
{
	for (unsigned i = 0; i < 3; i++)
		sim_disown(pages[i], quire_page_bytes(scene->q));
	fetch_sub_relaxed(&scene->held_pages, 3u); /* read at the end */
	page_free_bulk_on(pages_of(scene->q), 0, 3, pages);
}

static void frees_the_first_three(void *arg)
{
	frees_three_on_the_first_slot(arg, ((struct page_scene *)arg)->page);
}

static void frees_the_next_three(void *arg)
{
	frees_three_on_the_first_slot(arg, ((struct page_scene *)arg)->page + 3);
}

/* A slot's list takes a whole batch in one hold of its lock, whichever CPU frees it. */
SIM_TEST(list_bulk_frees_by_number, .enters = { "page_free_bulk_on" })
{
	struct page_scene *scene = page_scene_make(sim, false);

	sim_cpu(sim, 0, frees_the_first_three, scene);
	sim_cpu(sim, 1, frees_the_next_three, scene);
	sim_run(sim);
	page_scene_check(scene);
}

/* ---- full batches ----------------------------------------------------------------------------- */

static void owner_frees_the_fourth(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, scene->page[3], 0);
}

/* CPU 0 keeps three pages, and a hold moves one: all three have gone, beside what CPU 0 frees meanwhile. */
static void drain_in_full_batches(struct sim *sim, bool stacks)
{
	struct page_scene *scene = page_scene_make(sim, stacks);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	pages_of(scene->q)->zone[0].pcp_high_max = 256; /* stacks keep four */
	quire_drain_all(scene->q);
	for (unsigned i = 0; i < 3; i++)
		give(scene, scene->page[i], 0);
	quire_page_stat_read(scene->q, &stat);
	check_u64_eq(stat.cached_pages, 3);
	sim_cpu(sim, 0, owner_frees_the_fourth, scene);
	sim_cpu(sim, 1, peer_drains, scene);
	sim_run(sim);
	quire_page_stat_read(scene->q, &stat);
	SIM_CHECK(stat.cached_pages <= 1);
	page_scene_check(scene);
}

SIM_TEST(list_drain_in_full_batches_leaves_nothing, .batch_max = 1,
	 .enters = { "drain_hold", "pcp_spill_locked" })
{
	drain_in_full_batches(sim, false);
}

SIM_TEST(stack_drain_in_full_batches_leaves_nothing, .batch_max = 1, .events = SIM_ABORT,
	 .enters = { "drain_hold", "pcp_stacks_take_locked" })
{
	drain_in_full_batches(sim, true);
}

/* ---- how many pages a list keeps --------------------------------------------------------------- */

/* CPU 0's list is empty, and keeps up to four pages. */
static struct page_scene *scene_of_four_kept(struct sim *sim)
{
	struct page_scene *scene = page_scene_make(sim, false);
	struct pages *p = pages_of(scene->q);

	quire_drain_all(scene->q);
	p->zone[0].pcp_high_min = 1;
	p->zone[0].pcp_high_max = 64;
	p->pcp[0].high = 4;
	p->pcp[0].free_count = 0;
	return scene;
}

static uint32_t high_after(struct sim *sim, struct page_scene *scene, void (*frees)(void *))
{
	sim_cpu(sim, 0, frees, scene);
	sim_run(sim);
	page_scene_check(scene);
	return pages_of(scene->q)->pcp[0].high;
}

/* As many frees in a row as it keeps raise that by a batch. */
SIM_TEST(list_that_is_full_keeps_more, .cpus_nr = 1, .enters = { "tune_after_free_locked" })
{
	check_u64_eq(high_after(sim, scene_of_four_kept(sim), owner_spills), 4 + 1);
}

/* Not before it is full, however many were freed in a row; nor does it spill. */
SIM_TEST(list_that_is_not_full_keeps_no_more, .cpus_nr = 1, .enters = { "tune_after_free_locked" })
{
	struct page_scene *scene = scene_of_four_kept(sim);

	pages_of(scene->q)->pcp[0].free_count = 10;
	check_u64_eq(high_after(sim, scene, owner_frees_two), 4);
	check_u64_eq(pages_of(scene->q)->pcp[0].count, 2);
}

/* Where the zone has little left, it keeps less. */
SIM_TEST(full_list_of_a_low_zone_keeps_less, .cpus_nr = 1, .enters = { "tune_after_free_locked" })
{
	struct page_scene *scene = scene_of_four_kept(sim);

	pages_of(scene->q)->zone[0].below_high = true;
	check_u64_eq(high_after(sim, scene, owner_spills), 3);
}

/* The stacks are closed, as beside a drain, and the list is full: what is left of a refill goes back to the buddy, and no stack
 * begins to keep more. */
SIM_TEST(refill_beside_a_full_list_leaves_it_so, .cpus_nr = 1, .enters = { "stow_locked" })
{
	struct page_scene *scene = page_scene_make(sim, true);
	struct pages *p = pages_of(scene->q);
	void *movable = take(scene, 0, QUIRE_MOVABLE);
	lock_token token;

	quire_drain_all(scene->q);
	sim_disown(movable, quire_page_bytes(scene->q));
	scene->held_pages--;
	page_free_on(p, 0, movable, 0);
	check_u64_eq(p->pcp[0].count, 1);
	p->pcp[0].high = 1;
	token = lock_acquire(&p->pcp[0].door.lock);
	stacks_close_locked(&p->stacks, &p->pcp[0].door);
	lock_release(&p->pcp[0].door.lock, token);
	sim_cpu(sim, 0, owner_takes_one, scene);
	sim_run(sim);
	check_u64_eq(p->pcp[0].count, 1);
	token = lock_acquire(&p->pcp[0].door.lock);
	check_u64_eq(pcp_stack_keeps_locked(p, &p->pcp[0], 0, TYPE_UNMOVABLE), 0);
	lock_release(&p->pcp[0].door.lock, token);
	page_scene_check(scene);
}

/* ---- slots that there are not ------------------------------------------------------------------ */

static void drains_a_slot_that_there_is_not(void *arg)
{
	check_u64_eq(quire_drain_slot(((struct page_scene *)arg)->q, 1u << 20), 0);
}

SIM_TEST(drain_of_no_slot_does_nothing, .cpus_nr = 1, .enters = { "quire_drain_slot" })
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, drains_a_slot_that_there_is_not, scene);
	sim_run(sim);
	page_scene_check(scene);
}
