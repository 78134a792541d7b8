/* SPDX-License-Identifier: MIT */
/* page_fork_sim.c - the child of a fork: copied page by page, without the other threads */
#include "page/charge.h"
#include "page/drain.h"
#include "page/giveback.h"
#include "sim/page/page_scene.h"

static void frees_three(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < 3; i++)
		give(scene, scene->page[i], 0);
}

static void takes_and_frees(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, take(scene, 0, 0), 0);
	give(scene, scene->page[3], 0);
}

static void drains_all(void *arg)
{
	quire_drain_all(((struct page_scene *)arg)->q);
}

static void forks_child(void *arg)
{
	struct page_scene *scene = arg;

	sim_fork_child();
	check_u64_eq(quire_verify(scene->q), 0);
	quire_drain_all(scene->q);
	SIM_CHECK(take(scene, 0, 0) != NULL);
	store_relaxed(&scene->turn, 1);
}

static void child_of(struct sim *sim, void (*first)(void *), void (*second)(void *))
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, first, scene);
	sim_cpu(sim, 1, forks_child, scene);
	sim_cpu(sim, 2, second, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	for (unsigned i = 0; i < 3; i++)
		SIM_CHECK(!pages_of(scene->q)->pcp[i].door.ready ||
			  pages_of(scene->q)->pcp[i].door.closed_nr == 0);
	check_u64_eq(quire_verify(scene->q), 0);
}

SIM_TEST(fork_child_of_two_users, .cpus_nr = 3, .events = SIM_ABORT)
{
	child_of(sim, frees_three, takes_and_frees);
}

static void frees_and_takes(void *arg)
{
	frees_three(arg);
	takes_and_frees(arg);
}

/* Others would push and pop while the kernel copies: header, entries and state bytes are on three
 * pages, and the child would see each at another moment.  Whatever the order of these pages, either a
 * push or a pop is seen in part. */
SIM_TEST(fork_copies_page_by_page, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct page_scene *scene = page_scene_make(sim, true);

	pages_of(scene->q)->zone[0].pcp_high_max = 256; /* there is room on the stack */
	give(scene, scene->page[7], 0);
	sim_cpu(sim, 1, forks_child, scene);
	sim_cpu(sim, 0, frees_and_takes, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	check_u64_eq(quire_verify(scene->q), 0);
}

static void frees_one(void *arg)
{
	give(arg, ((struct page_scene *)arg)->page[1], 0);
}

/* A push that has read that the stack is open writes its entry and then top.  If it went on while pages are copied,
 * entries first, the child would have the new top over an old entry. */
SIM_TEST(fork_waits_for_a_push, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .enters = { "stacks_fork_prepare", "quire_free_pages" })
{
	struct page_scene *scene = page_scene_make(sim, true);

	pages_of(scene->q)->zone[0].pcp_high_max = 4096; /* there is room on the stack */
	for (unsigned i = 3; i < 8; i++)
		give(scene, scene->page[i], 0);
	sim_fork_downwards();
	sim_cpu(sim, 0, frees_one, scene);
	sim_cpu(sim, 1, forks_child, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	check_u64_eq(quire_verify(scene->q), 0);
}

/* A drain that is not the child's: its stacks are open, its counts are whole. */
SIM_TEST(fork_child_of_a_drain, .cpus_nr = 3, .events = SIM_ABORT)
{
	child_of(sim, frees_three, drains_all);
}

static void forks_without_frames(void *arg)
{
	struct page_scene *scene = arg;

	sim_fork_child();
	SIM_CHECK(quire_alloc_pages(scene->q, 0, 0) == NULL);
	quire_free_pages(scene->q, scene->page[4], 0);
	check_u64_eq(quire_release(scene->q), 0);
	store_relaxed(&scene->turn, 1);
}

/* The memory is the parent's: in whatever step the others were, the child gets and gives none. */
SIM_TEST(fork_child_has_no_shared_frames, .cpus_nr = 3, .events = SIM_ABORT)
{
	struct page_scene *scene = page_scene_make_shared(sim);

	sim_cpu(sim, 0, frees_three, scene);
	sim_cpu(sim, 1, forks_without_frames, scene);
	sim_cpu(sim, 2, takes_and_frees, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

static void handler_frees_shared(void *arg)
{
	struct page_scene *scene = arg;

	quire_free_pages(scene->q, scene->page[5], 0);
}

/* A handler frees at any step of the fork.  In the child its page is the parent's, so the free does
 * nothing; it is never misuse, although the child ends up without a span. */
SIM_TEST(handler_frees_a_shared_frame_during_fork, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1)
{
	struct page_scene *scene = page_scene_make_shared(sim);

	sim_cpu(sim, 0, forks_without_frames, scene);
	sim_irq(sim, 0, handler_frees_shared, scene, 1);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

static void handler_takes_in_the_child(void *arg)
{
	struct page_scene *scene = arg;
	void *page = quire_alloc_pages(scene->q, 0, QUIRE_ATOMIC);

	SIM_CHECK(page == NULL || !scene->q->forked);
	if (page != NULL)
		quire_free_pages(scene->q, page, 0);
}

/* Nor does it get one, although it finds locks free at some step. */
SIM_TEST(handler_takes_no_shared_frame_in_the_child, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1)
{
	struct page_scene *scene = page_scene_make_shared(sim);

	sim_cpu(sim, 0, forks_without_frames, scene);
	sim_irq(sim, 0, handler_takes_in_the_child, scene, 1);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* ---- the worker stays behind ---- */

static bool is_anything_to_give(struct quire *q)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	quire_page_stat_read(q, &stat);
	return stat.free_pages - stat.reported_pages + stat.cached_pages != 0;
}

static void forks_and_frees(void *arg)
{
	struct page_scene *scene = arg;

	sim_fork_child();
	give(scene, scene->page[4], 0);
	/* The child's own worker may have begun already: then it has taken out when to come. */
	SIM_CHECK(scene->q->work.due_ns < WORK_EXIT || scene->q->work.running);
	SIM_CHECK(scene->q->work.state != 0);
	store_relaxed(&scene->turn, 1);
}

/* The parent's stacks were warm and its worker was running.  The child allocates nothing, and its first
 * free makes sure that a worker runs. */
SIM_TEST(freed_by_a_child_is_somebodys_work, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct page_scene *scene = page_scene_make_worker(sim);

	pages_of(scene->q)->zone[0].pcp_high_max = 4096; /* there is room on the stack */
	for (unsigned i = 5; i < 8; i++)
		give(scene, scene->page[i], 0);
	sim_cpu(sim, 0, forks_and_frees, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

static void forks_beside_the_worker(void *arg)
{
	struct page_scene *scene = arg;
	struct quire *q = scene->q;

	sim_fork_child();
	if (is_anything_to_give(q))
		SIM_CHECK(pages_of(q)->giveback_due_ns < WORK_EXIT && q->work.due_ns < WORK_EXIT);
	store_relaxed(&scene->turn, 1);
}

/* In whatever step the parent's worker was: what there is to give back is due in the child. */
SIM_TEST(visit_under_way_at_fork_is_made_in_the_child, .cpus_nr = 2)
{
	struct page_scene *scene = page_scene_make_worker(sim);

	sim_cpu(sim, 0, frees_three, scene);
	sim_cpu(sim, 1, forks_beside_the_worker, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* ---- what another thread had switched off ---- */

static void disables_and_enables(void *arg)
{
	struct page_scene *scene = arg;

	quire_pcp_disable(scene->q);
	give(scene, scene->page[0], 0);
	quire_pcp_enable(scene->q);
}

static void forks_with_lists_on(void *arg)
{
	struct page_scene *scene = arg;
	struct quire *q = scene->q;
	struct pages *p = pages_of(q);

	sim_fork_child();
	check_u64_eq(p->pcp_disabled.nr, 0);
	SIM_CHECK(p->pcp[0].high != 0 && p->pcp[0].door.closed_nr == 0 &&
		  !p->zone[0].depot.disabled);
	quire_pcp_disable(q);
	SIM_CHECK(p->pcp[0].high == 0 && p->pcp[0].door.closed_nr == 1);
	quire_pcp_enable(q);
	SIM_CHECK(p->pcp[0].high != 0);
	store_relaxed(&scene->turn, 1);
}

/* In whatever step of it the other thread was: the child's lists are on. */
SIM_TEST(fork_child_of_a_disable, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, disables_and_enables, scene);
	sim_cpu(sim, 1, forks_with_lists_on, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	check_u64_eq(quire_verify(scene->q), 0);
}

static void forks_with_lists_off(void *arg)
{
	struct page_scene *scene = arg;
	struct quire *q = scene->q;
	struct pages *p = pages_of(q);

	quire_pcp_disable(q);
	quire_pcp_disable(q);
	sim_fork_child();
	check_u64_eq(p->pcp_disabled.nr, 2);
	quire_pcp_enable(q);
	SIM_CHECK(p->pcp[0].high == 0 && p->pcp[0].door.closed_nr == 1 &&
		  p->zone[0].depot.disabled);
	quire_pcp_enable(q);
	SIM_CHECK(p->pcp[0].high != 0 && p->pcp[0].door.closed_nr == 0 &&
		  !p->zone[0].depot.disabled);
	store_relaxed(&scene->turn, 1);
}

/* What the forking thread switched off stays off in its child, beside another's or not. */
SIM_TEST(fork_child_keeps_its_own_disables, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, disables_and_enables, scene);
	sim_cpu(sim, 1, forks_with_lists_off, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	check_u64_eq(quire_verify(scene->q), 0);
}

/* A drain that does not exist there opens nothing that stays off. */
SIM_TEST(fork_child_of_a_drain_keeps_its_own_disables)
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, drains_all, scene);
	sim_cpu(sim, 1, forks_with_lists_off, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	check_u64_eq(quire_verify(scene->q), 0);
}

static void isolates(void *arg)
{
	struct page_scene *scene = arg;

	check_u64_eq(quire_isolate_pageblock(scene->q, scene->page[0]), 0);
}

/* B9 in a child: if the block is isolated there, none of its pages is on a list or stack. */
static void forks_beside_isolation(void *arg)
{
	struct page_scene *scene = arg;
	struct quire *q = scene->q;
	struct pages *p = pages_of(q);
	uint32_t block = page_block(p, page_frame(p, scene->page[0]));

	sim_fork_child();
	for (uint32_t i = 0; i < block_pages(p) && (p->tag[block] & TAG_ISOLATE) != 0; i++)
		SIM_CHECK((p->state[block_frame(p, block) + i] & STATE_KIND) != STATE_CACHED);
	check_u64_eq(quire_verify(q), 0);
	store_relaxed(&scene->turn, 1);
}

SIM_TEST(fork_child_of_an_isolation, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct page_scene *scene = page_scene_make(sim, true);

	give(scene, scene->page[1], 0);
	sim_cpu(sim, 0, isolates, scene);
	sim_cpu(sim, 1, forks_beside_isolation, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

static void fails_to_offline(void *arg)
{
	struct page_scene *scene = arg;

	SIM_CHECK(quire_offline_pageblock(scene->q, scene->page[0]) != 0);
}

static void forks_beside_offlining(void *arg)
{
	struct page_scene *scene = arg;
	struct quire *q = scene->q;
	struct pages *p = pages_of(q);

	sim_fork_child();
	SIM_CHECK((p->tag[page_block(p, page_frame(p, scene->page[0]))] & TAG_ISOLATE) == 0);
	store_relaxed(&scene->turn, 1);
}

/* A block that could not be taken offline is isolated in no child. */
SIM_TEST(fork_child_of_offlining, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct page_scene *scene = page_scene_make(sim, true);

	sim_cpu(sim, 0, fails_to_offline, scene);
	sim_cpu(sim, 1, forks_beside_offlining, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* ---- children of the holders of waiting locks ------------------------------------------------- */

static void gives_free_runs_back(void *arg)
{
	giveback_free_runs(pages_of(((struct page_scene *)arg)->q));
}

static void drains_disabled_twice(void *arg)
{
	struct pages *p = pages_of(((struct page_scene *)arg)->q);

	drain_disabled(p);
	drain_disabled(p);
}

static void forks_and_takes_waiting_locks(void *arg)
{
	struct page_scene *scene = arg;
	struct pages *p = pages_of(scene->q);

	sim_fork_child();
	check_u64_eq(quire_verify(scene->q), 0);
	giveback_free_runs(p);
	SIM_CHECK(take(scene, 10, 0) != NULL);
	quire_pcp_disable(scene->q);
	quire_pcp_enable(scene->q);
	SIM_CHECK(p->pcp[0].high != 0);
	check_u64_eq(quire_verify(scene->q), 0);
	store_relaxed(&scene->turn, 1);
}

static void child_beside(struct sim *sim, void (*holder)(void *))
{
	struct page_scene *scene = page_scene_make_zones(sim, true, 1, UINT64_C(32) << 20);

	sim_cpu(sim, 0, holder, scene);
	sim_cpu(sim, 1, forks_and_takes_waiting_locks, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* Fork waits for the holder of each mutex, so in the child no page is in the hands of a thread that it lacks, and
 * no lock is held. */
SIM_TEST(fork_child_finds_giveback_done, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "giveback_zone" })
{
	child_beside(sim, gives_free_runs_back);
}

SIM_TEST(fork_child_finds_lists_on, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "disable_begin_locked" })
{
	child_beside(sim, drains_disabled_twice);
}

/* ---- a child whose pages stayed with the parent ----------------------------------------------- */

static int has_no_memory(void *arg)
{
	++*(unsigned *)arg;
	return -ENOMEM;
}

static void forks_and_is_refused(void *arg)
{
	struct page_scene *scene = arg;
	unsigned attempts = 0;
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	void *pages[2] = { scene->page[1], scene->page[2] };
	const struct pages *p = pages_of_const(scene->q);

	sim_fork_child();
	check_u64_eq(quire_drain_slot(scene->q, 0), 0);
	check_u64_eq(quire_drain_all(scene->q), 0);
	check_u64_eq(quire_release(scene->q), 0);
	SIM_CHECK(quire_alloc_pages(scene->q, 0, 0) == NULL);
	quire_free_pages(scene->q, pages[0], 0);
	quire_free_pages_bulk(scene->q, pages, 2);
	SIM_CHECK(pages[0] == NULL && pages[1] == NULL);
	quire_free_contig_range(scene->q, scene->page[1], quire_page_bytes(scene->q));
	SIM_CHECK((page_state(p, page_frame(p, scene->page[1])) & STATE_KIND) == STATE_ALLOCATED);
	SIM_CHECK(quire_isolate_pageblock(scene->q, scene->page[1]) == -EOWNERDEAD);
	SIM_CHECK(quire_unisolate_pageblock(scene->q, scene->page[1]) == -EOWNERDEAD);
	SIM_CHECK(quire_block_order(scene->q, scene->page[1]) == -EOWNERDEAD);
	SIM_CHECK(quire_page_stat_read(scene->q, &stat) == -EOWNERDEAD);
	SIM_CHECK(page_charge(scene->q, 1, 0) == -EOWNERDEAD);
	page_make_room(scene->q);
	SIM_CHECK(page_attempt(scene->q, 1, 0, has_no_memory, &attempts) == -ENOMEM);
	check_u64_eq(attempts, 1); /* no room can be made */
	store_relaxed(&scene->turn, 1);
}

/* Each call says so, or does nothing: pages that were cached stay where they are. */
SIM_TEST(child_without_its_pages_is_refused, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "quire_drain_slot", "page_make_room" })
{
	struct page_scene *scene = page_scene_make_shared(sim);

	give(scene, scene->page[0], 0);
	sim_cpu(sim, 0, takes_and_frees, scene);
	sim_cpu(sim, 1, forks_and_is_refused, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

static void forks_and_destroys(void *arg)
{
	struct page_scene *scene = arg;

	sim_fork_child();
	quire_destroy(scene->q);
	store_relaxed(&scene->turn, 1);
}

/* The addresses of its frames went with the fork, and may be somebody else's. */
SIM_TEST(child_without_its_pages_destroys_the_rest, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "page/instance.c:release" })
{
	struct page_scene *scene = page_scene_make_shared(sim);

	sim_cpu(sim, 0, takes_and_frees, scene);
	sim_cpu(sim, 1, forks_and_destroys, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	check_u64_eq(sim_reserved_bytes(), 0);
}
