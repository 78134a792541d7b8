/* SPDX-License-Identifier: MIT */
/* page_nested_sim.c - calls of a thread that holds a lock: they only try locks, and what they free may be deferred */
#include "sim/page/page_scene.h"

/* A lock of another module's, whose holder is as a handler that interrupted it: its calls are nested. */
struct holder {
	struct page_scene *scene;
	struct lock lock;
};

static struct holder holder_make(struct sim *sim)
{
	struct holder holder = { .scene = page_scene_make(sim, false) };

	lock_init(&holder.lock, RANK_PERCPU_CPU);
	return holder;
}

static void gives_three(void *arg)
{
	struct holder *holder = arg;
	lock_token token = lock_acquire(&holder->lock);

	for (unsigned i = 0; i < 3; i++)
		give(holder->scene, holder->scene->page[i], 0);
	lock_release(&holder->lock, token);
}

static void isolates(void *arg)
{
	struct page_scene *scene = arg;

	check_u64_eq(quire_isolate_pageblock(scene->q, scene->page[7]), 0);
}

static void disables(void *arg)
{
	quire_pcp_disable(((struct page_scene *)arg)->q);
}

/* B9: a nested free reads its block's tag once more under the lock of the lists on which it puts the page. */
SIM_TEST(nested_free_against_isolate, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "put_nested_locked" })
{
	struct holder holder = holder_make(sim);

	sim_cpu(sim, 0, gives_three, &holder);
	sim_cpu(sim, 1, isolates, holder.scene);
	sim_run(sim);
	check_u64_eq(page_scene_strays(holder.scene, holder.scene->page[7]), 0);
	page_take_deferred(pages_of(holder.scene->q));
	page_scene_check(holder.scene);
}

/* B7: a nested free puts nothing on lists that are switched off. */
SIM_TEST(nested_free_against_disable, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "put_nested_locked" })
{
	struct holder holder = holder_make(sim);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	sim_cpu(sim, 0, gives_three, &holder);
	sim_cpu(sim, 1, disables, holder.scene);
	sim_run(sim);
	quire_page_stat_read(holder.scene->q, &stat);
	check_u64_eq(stat.cached_pages, 0);
	page_take_deferred(pages_of(holder.scene->q));
	page_scene_check(holder.scene);
}

/* ---- the deferred list ------------------------------------------------------------------------ */

static void takes_nolock(void *arg)
{
	struct holder *holder = arg;
	lock_token token = lock_acquire(&holder->lock);

	holder->scene->far_page = take(holder->scene, 0, QUIRE_NOLOCK);
	lock_release(&holder->lock, token);
}

/* B9: a page of an isolated block that is taken off the deferred list goes neither to a caller nor on a list. */
SIM_TEST(deferred_page_of_an_isolated_block_stays, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .enters = { "page_take_deferred_one" })
{
	struct holder holder = holder_make(sim);
	struct page_scene *scene = holder.scene;
	struct pages *p = pages_of(scene->q);
	lock_token token;

	isolates(scene);
	quire_drain_all(scene->q);
	token = lock_acquire(&p->zone[0].lock);
	give(scene, scene->page[0], 0);
	lock_release(&p->zone[0].lock, token);
	check_u64_eq(p->deferred, page_frame(p, scene->page[0]));
	p->zone[0].mark_min = UINT64_C(1) << 40; /* the buddy gives nothing */
	sim_cpu(sim, 0, takes_nolock, &holder);
	sim_run(sim);
	SIM_CHECK(scene->far_page == NULL);
	check_u64_eq(page_scene_strays(scene, scene->page[0]), 0);
}

static void defers_two(void *arg)
{
	struct page_scene *scene = arg;
	struct pages *p = pages_of(scene->q);
	lock_token door = lock_acquire(&p->pcp[0].door.lock);
	lock_token zone = lock_acquire(&p->zone[0].lock);

	give(scene, scene->page[0], 0);
	give(scene, scene->page[1], 0);
	lock_release(&p->zone[0].lock, zone);
	lock_release(&p->pcp[0].door.lock, door);
}

static void takes_in(void *arg)
{
	struct pages *p = pages_of(((struct page_scene *)arg)->q);

	page_take_deferred(p);
	page_take_deferred(p);
}

/* What a deferred page's link and state are is written before the list shows it. */
SIM_TEST(deferred_push_against_taking_in, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_RACE, .enters = { "deferred_push", "page_take_deferred" })
{
	struct page_scene *scene = page_scene_make(sim, false);

	sim_cpu(sim, 0, defers_two, scene);
	sim_cpu(sim, 1, takes_in, scene);
	sim_run(sim);
	page_take_deferred(pages_of(scene->q));
	page_scene_check(scene);
}

static void defers_two_on_cpu_0(void *arg)
{
	defers_two(((struct holder *)arg)->scene);
}

/* The same for a nested call that takes one of them for itself: it takes no lock that the other one has released. */
SIM_TEST(deferred_push_against_taking_one, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "deferred_push", "page_take_deferred_one" })
{
	struct holder holder = holder_make(sim);

	sim_cpu(sim, 0, defers_two_on_cpu_0, &holder);
	sim_cpu(sim, 1, takes_nolock, &holder);
	sim_run(sim);
	page_take_deferred(pages_of(holder.scene->q));
	page_scene_check(holder.scene);
}

/* No list keeps order 5: each is taken from the buddy and given back under the zone's lock. */
static void keeps_the_zone_busy(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < 3; i++)
		give(scene, take(scene, 5, 0), 5);
}

/* A nested free that finds the zone busy defers its page: its state is set before it is on the list, from where
 * another takes it at once. */
SIM_TEST(deferred_while_the_zone_is_busy, .cpus_nr = 3, .enters = { "deferred_push" })
{
	struct holder holder = holder_make(sim);

	for (unsigned i = 0; i < 3; i++)
		pages_of(holder.scene->q)->pcp[i].high = 0; /* so that no list takes it */
	sim_cpu(sim, 0, gives_three, &holder);
	sim_cpu(sim, 1, takes_in, holder.scene);
	sim_cpu(sim, 2, keeps_the_zone_busy, holder.scene);
	sim_run(sim);
	page_take_deferred(pages_of(holder.scene->q));
	page_scene_check(holder.scene);
}

/* Nothing is lost that is not counted, and no more than a thread can have in its hands: three pages, or a spare. */
static void check_counts(struct quire *q)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	check_u64_eq(quire_page_stat_read(q, &stat), 0);
	check_u64_eq(stat.free_pages + stat.cached_pages + stat.allocated_pages +
			     stat.deferred_pages + stat.fork_lost_pages,
		     stat.online_pages);
	check_u64_eq(stat.deferred_pages, 0);
	SIM_CHECK(stat.fork_lost_pages <= 1u << (SPARE_ORDERS_NR - 1));
}

static void forks_child_and_takes_in(void *arg)
{
	struct page_scene *scene = arg;

	sim_fork_child();
	check_u64_eq(quire_verify(scene->q), 0);
	page_take_deferred(pages_of(scene->q));
	check_u64_eq(quire_verify(scene->q), 0);
	check_counts(scene->q);
	store_relaxed(&scene->turn, 1);
}

static void defers_block(struct page_scene *scene)
{
	struct pages *p = pages_of(scene->q);
	void *block = take(scene, 5, 0);
	lock_token token = lock_acquire(&p->zone[0].lock);

	give(scene, block, 5);
	lock_release(&p->zone[0].lock, token);
}

/* Frees that are deferred while fork copies one page after the other are lost in the child, and counted.  Its list is whole,
 * and what was deferred before is free there. */
SIM_TEST(fork_child_has_deferred_frees_in_order,
	 .enters = { "deferred_push", "page_take_deferred" })
{
	struct holder holder = holder_make(sim);
	struct page_scene *scene = holder.scene;

	defers_block(scene);
	sim_cpu(sim, 0, gives_three, &holder);
	sim_cpu(sim, 1, forks_child_and_takes_in, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

static void only_forks_child(void *arg)
{
	(void)arg;
	sim_fork_child();
}

static void handler_takes_during_fork(void *arg)
{
	struct page_scene *scene = arg;
	void *page = NULL;

	if (load_relaxed(&pages_of(scene->q)->forking))
		page = quire_alloc_pages(scene->q, 0, QUIRE_NOLOCK);
	if (page != NULL)
		quire_free_pages(scene->q, page, 0);
}

/* The child's list is torn until the fork is done, so a handler on the forking thread takes nothing off it. */
SIM_TEST(handler_takes_no_deferred_page_during_fork, .enters = { "page_take_deferred_one" })
{
	struct holder holder = holder_make(sim);
	struct page_scene *scene = holder.scene;

	sim_cpu(sim, 0, gives_three, &holder);
	sim_cpu(sim, 1, only_forks_child, NULL);
	sim_irq(sim, 1, handler_takes_during_fork, scene, 8);
	sim_run(sim);
	check_u64_eq(quire_verify(scene->q), 0);
}

/* ---- spares ----------------------------------------------------------------------------------- */

static void takes_and_fills_spares(void *arg)
{
	struct page_scene *scene = arg;

	store_relaxed(&pages_of(scene->q)->spares_wanted, true); /* as a nested call would */
	take(scene, 5, 0);
	take(scene, 5, 0);
}

static struct page_scene *spares_are_filled_beside(struct sim *sim, void (*other)(void *))
{
	struct page_scene *scene = page_scene_make(sim, false);

	sim_cpu(sim, 0, takes_and_fills_spares, scene);
	sim_cpu(sim, 1, other, scene);
	sim_run(sim);
	page_scene_check(scene);
	return scene;
}

/* B9: spares are filled under a door's lock, which isolation takes before it empties them for the last time. */
SIM_TEST(spares_fill_against_isolate, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "fill_locked", "nested_drain" })
{
	struct page_scene *scene = spares_are_filled_beside(sim, isolates);

	check_u64_eq(page_scene_strays(scene, scene->page[7]), 0);
}

/* Lists that are switched off have no spares. */
SIM_TEST(spares_fill_against_disable, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "fill_locked", "nested_drain" })
{
	struct page_scene *scene = spares_are_filled_beside(sim, disables);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	quire_page_stat_read(scene->q, &stat);
	check_u64_eq(stat.cached_pages, 0);
}

static void fills_spares(void *arg)
{
	nested_fill(pages_of(((struct page_scene *)arg)->q));
}

/* As a handler does that interrupted the holder of its CPU's lists. */
static void takes_on_held_lists(void *arg)
{
	struct page_scene *scene = arg;
	struct pcp *pcp = &pages_of(scene->q)->pcp[1];
	lock_token token = lock_acquire(&pcp->door.lock);

	take(scene, 0, QUIRE_NOLOCK);
	lock_release(&pcp->door.lock, token);
}

/* A spare is taken without a lock: only the exchange orders the load of the page's state after the store by the one that
 * filled. */
SIM_TEST(spare_is_had_with_its_state, .model = SIM_ARM, .enters = { "spare_put", "from_spares" })
{
	struct page_scene *scene = page_scene_make(sim, false);

	sim_cpu(sim, 0, fills_spares, scene);
	sim_cpu(sim, 1, takes_on_held_lists, scene);
	sim_run(sim);
	page_scene_check(scene);
}

/* A spare that is taken while fork copies one page after the other is the child's spare, or is in use there, not both. */
SIM_TEST(fork_child_has_no_spare_in_use, .enters = { "from_spares", "nested_fork_done" })
{
	struct holder holder = holder_make(sim);
	struct page_scene *scene = holder.scene;

	nested_fill(pages_of(scene->q));
	sim_cpu(sim, 0, takes_nolock, &holder);
	sim_cpu(sim, 1, forks_child_and_takes_in, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}
