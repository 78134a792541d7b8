/* SPDX-License-Identifier: MIT */
/* worker_sim.c - an instance's worker: due work is always done by some thread */
#include <quire/vmap.h>

#include "instance/module.h"
#include "instance/relief.h"
#include "instance/worker.h"
#include "machine/clock.h"
#include "page/giveback.h"
#include "sim/page/page_scene.h"

#define DECAY_NS   UINT64_C(1000000000)
#define AREA_PAGES 16u

/* Nothing was taken yet, so there is no worker. */
static struct page_scene *scene_without_worker(struct sim *sim, enum quire_worker worker)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(4) << 20, .worker = worker);
	struct page_scene *scene = sim_zalloc(sim, sizeof(*scene));

	check_u64_eq(quire_create(&options, &scene->q), 0);
	return scene;
}

static void calls(void *arg)
{
	worker_ensure(((struct page_scene *)arg)->q, 0);
}

/* When the system may be asked again. */
static void calls_later(void *arg)
{
	sim_pass_ns(2 * DECAY_NS);
	calls(arg);
}

/*
 * The system refuses one call, possibly the creation of the thread.  A caller that learns of the
 * refusal and a caller that gets a thread run in any order; at the end allocations check for due
 * work exactly if there is no thread.
 */
SIM_TEST(refused_thread_leaves_work_to_callers, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3,
	 .events = SIM_REFUSE, .refusals = 1)
{
	struct page_scene *scene = scene_without_worker(sim, QUIRE_WORKER_THREAD);

	sim_cpu(sim, 0, calls, scene);
	sim_cpu(sim, 1, calls_later, scene);
	sim_run(sim);
	check_u64_eq(scene->q->looks, scene->q->work.refused != 0);
	check_u64_eq(pages_of(scene->q)->fast_flags_end,
		     scene->q->looks ? 0 : pages_of(scene->q)->fast_flags_most);
	SIM_CHECK(scene->q->work.state != 0 || scene->q->looks);
}

/* A module that notes whether callers look for due work, and what it is told it for. */
struct told_module {
	struct quire_module module;
	struct quire *q;
	uint32_t looks;
};

static void is_told(struct quire_module *module, bool looks)
{
	store_relaxed(&((struct told_module *)module)->looks, looks);
}

static struct told_module *told_module_make(struct sim *sim)
{
	struct told_module *told = sim_zalloc(sim, sizeof(*told));

	told->module = (struct quire_module){ .rank = RANK_VMAP_PURGE, .set_looks = is_told };
	told->q = scene_without_worker(sim, QUIRE_WORKER_THREAD)->q;
	return told;
}

static void joins(void *arg)
{
	struct told_module *told = arg;

	mutex_acquire(&told->q->modules_mutex);
	module_register_locked(told->q, &told->module);
	mutex_release(&told->q->modules_mutex);
}

static void loses_the_thread(void *arg)
{
	struct told_module *told = arg;

	(void)exchange_acq_rel(&told->q->work.refused, 1);
	worker_follow(told->q);
}

static void has_the_thread_again(void *arg)
{
	struct told_module *told = arg;

	(void)exchange_acq_rel(&told->q->work.refused, 0);
	worker_follow(told->q);
}

/* Either the walk over the modules finds the new one, or that one finds what the walk tells: both store first and then
 * load, and without a fence between these both may miss the other's store. */
SIM_TEST(module_that_joins_is_told_who_looks, .model = SIM_TSO,
	 .enters = { "module_follow", "set_looks" })
{
	struct told_module *told = told_module_make(sim);

	sim_cpu(sim, 0, joins, told);
	sim_cpu(sim, 1, loses_the_thread, told);
	sim_run(sim);
	check_u64_eq(told->looks, 1);
}

static size_t gives_up_nothing(struct quire_module *module)
{
	(void)module;
	return 0;
}

static void completes_and_joins(void *arg)
{
	struct told_module *told = arg;

	told->module = (struct quire_module){ .rank = RANK_VMAP_PURGE, .shrink = gives_up_nothing };
	joins(told);
}

static void has_modules_shrink(void *arg)
{
	(void)modules_shrink(((struct told_module *)arg)->q);
}

/* A walk that meets a new module between two others finds it complete. */
SIM_TEST(module_that_joins_between_others_is_complete, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "next_module", "module_register_locked" })
{
	struct told_module *told = told_module_make(sim);
	struct told_module *first = sim_zalloc(sim, sizeof(*first));

	first->q = told->q;
	first->module = (struct quire_module){ .rank = RANK_PERCPU_ALLOC };
	joins(first);
	sim_cpu(sim, 0, completes_and_joins, told);
	sim_cpu(sim, 1, has_modules_shrink, told);
	sim_run(sim);
}

/* Of two that tell the modules different things the last one tells them what is so. */
SIM_TEST(modules_are_told_by_two_who_looks, .model = SIM_TSO, .enters = { "worker_follow" })
{
	struct told_module *told = told_module_make(sim);

	joins(told);
	sim_cpu(sim, 0, loses_the_thread, told);
	sim_cpu(sim, 1, has_the_thread_again, told);
	sim_run(sim);
	check_u64_eq(told->q->looks, work_needs_callers(&told->q->work));
	check_u64_eq(told->looks, told->q->looks);
}

static void takes_and_gives_fast(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < 4; i++) {
		give(scene, take(scene, 0, 0), 0);
		sim_pass_ns(DECAY_NS);
	}
}

/* Every call is served by a stack; what was freed before goes back all the same. */
SIM_TEST(inline_work_is_found_by_fast_callers, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct page_scene *scene = scene_without_worker(sim, QUIRE_WORKER_INLINE);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	void *block = take(scene, 9, 0);

	give(scene, take(scene, 0, 0), 0);
	give(scene, block, 9);
	sim_cpu(sim, 0, takes_and_gives_fast, scene);
	sim_run(sim);
	quire_page_stat_read(scene->q, &stat);
	SIM_CHECK(stat.reported_total_pages >= 512);
	page_scene_check(scene);
}

static void drains_the_first_slot(void *arg)
{
	quire_drain_slot(((struct page_scene *)arg)->q, 0);
}

/* A free in a handler left something due, and could start no thread: a drain does. */
SIM_TEST(drain_starts_the_worker_that_is_due, .cpus_nr = 1, .enters = { "giveback_call_worker" })
{
	struct page_scene *scene = scene_without_worker(sim, QUIRE_WORKER_THREAD);

	pages_of(scene->q)->worth_pages = 0;
	giveback_kick(pages_of(scene->q));
	sim_cpu(sim, 0, drains_the_first_slot, scene);
	sim_run(sim);
	/* It may have ended by now, since nothing is left to do. */
	SIM_CHECK(scene->q->work.state != 0 || scene->q->work.due_ns >= WORK_EXIT);
	page_scene_check(scene);
}

static void offlines_the_block(void *arg)
{
	struct page_scene *scene = arg;

	scene->refused = quire_offline_pageblock(scene->q, scene->block) != 0;
}

/* The system refuses to take a block offline.  Its memory may go back again, and a thread comes for that. */
SIM_TEST(offline_that_is_refused_starts_the_worker, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .events = SIM_REFUSE, .refusals = 1,
	 .enters = { "put_online", "giveback_call_worker" })
{
	struct page_scene *scene = scene_without_worker(sim, QUIRE_WORKER_THREAD);

	pages_of(scene->q)->worth_pages = UINT32_MAX;
	scene->block = take(scene, 9, 0);
	give(scene, scene->block, 9);
	check_u64_eq(scene->q->work.state, 0);
	pages_of(scene->q)->worth_pages = 0;
	sim_cpu(sim, 0, offlines_the_block, scene);
	sim_run(sim);
	/* As above. */
	SIM_CHECK(scene->refused == 0 || scene->q->work.state != 0 ||
		  scene->q->work.due_ns >= WORK_EXIT);
}

static void takes_when_it_is_due(void *arg)
{
	struct page_scene *scene = arg;

	sim_pass_ns(2 * DECAY_NS);
	take(scene, 0, 0);
	SIM_CHECK(scene->q->work.due_ns > clock_now_ns());
}

/* Without stacks, too, and although so little is in use by now that it would be worth no thread. */
SIM_TEST(inline_work_is_done_by_slow_callers, .cpus_nr = 1, .enters = { "page_is_worth_a_worker" })
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(4) << 20, .rseq = QUIRE_OFF,
				   .worker = QUIRE_WORKER_INLINE);
	struct page_scene *scene = sim_zalloc(sim, sizeof(*scene));

	check_u64_eq(quire_create(&options, &scene->q), 0);
	give(scene, take(scene, 9, 0), 9);
	SIM_CHECK(scene->q->looks);
	quire_release(scene->q);
	give(scene, take(scene, 0, 0), 0);
	sim_cpu(sim, 0, takes_when_it_is_due, scene);
	sim_run(sim);
	page_scene_check(scene);
}

/* ---- a visit ---- */

static uint64_t tick_with_work_left(struct quire_module *module, uint64_t now_ns)
{
	(void)module;
	return now_ns + DECAY_NS;
}

static void visits_with_the_zone_locked(void *arg)
{
	struct page_scene *scene = arg;
	struct lock *lock = &pages_of(scene->q)->zone[0].lock;
	lock_token token = lock_acquire(lock);
	uint64_t due_ns = modules_tick(scene->q, clock_now_ns());

	lock_release(lock, token);
	check_u64_eq(due_ns, clock_now_ns() + DECAY_NS);
}

/* Pages have nothing due, and another module wants the next visit: nobody asks whether the worker could
 * end, since counting pages takes every zone's lock.  Here the caller holds it. */
SIM_TEST(visit_for_another_module_counts_no_pages, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1)
{
	struct page_scene *scene = page_scene_make_unused(sim);
	struct quire_module *other = sim_zalloc(sim, sizeof(*other));

	check_u64_eq(modules_tick(scene->q, clock_now_ns()), WORK_EXIT);
	*other = (struct quire_module){ .rank = RANK_VMAP_PURGE, .tick = tick_with_work_left };
	mutex_acquire(&scene->q->modules_mutex);
	module_register_locked(scene->q, other);
	mutex_release(&scene->q->modules_mutex);
	sim_cpu(sim, 0, visits_with_the_zone_locked, scene);
	sim_run(sim);
}

/* A module whose functions must not meet. */
struct lone_module {
	struct quire_module module;
	uint32_t inside; /* a plain word: two at once are a race */
};

static void enters_alone(struct quire_module *module)
{
	struct lone_module *lone = (struct lone_module *)module;

	lone->inside++;
	check_u64_eq(lone->inside, 1);
	lone->inside--;
}

static void looks_alone(struct quire_module *module, struct relief *relief)
{
	relief->exceeding_bytes = 1; /* so that everything free goes back, and it looks again */
	enters_alone(module);
}

static int verifies_alone(struct quire_module *module)
{
	enters_alone(module);
	return 0;
}

static size_t gives_back_alone(struct quire_module *module)
{
	enters_alone(module);
	return 0;
}

static uint64_t ticks_alone(struct quire_module *module, uint64_t now_ns)
{
	(void)now_ns;
	enters_alone(module);
	return WORK_EXIT;
}

static void visits(void *arg)
{
	(void)worker_run(((struct page_scene *)arg)->q, 2 * DECAY_NS);
}

static void verifies_and_releases(void *arg)
{
	struct page_scene *scene = arg;

	check_u64_eq(quire_verify(scene->q), 0);
	(void)quire_release(scene->q);
}

/* look, tick, verify and give_back of a module run one at a time, whoever calls them (instance/module.h). */
SIM_TEST(visit_has_a_module_alone, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "look_if_due", "relief.c:give_back", "modules_tick" })
{
	struct page_scene *scene = page_scene_make_unused(sim);
	struct lone_module *lone = sim_zalloc(sim, sizeof(*lone));

	lone->module = (struct quire_module){
		.rank = RANK_VMAP_PURGE,
		.look = looks_alone,
		.verify = verifies_alone,
		.give_back = gives_back_alone,
		.tick = ticks_alone,
	};
	mutex_acquire(&scene->q->modules_mutex);
	module_register_locked(scene->q, &lone->module);
	mutex_release(&scene->q->modules_mutex);
	sim_cpu(sim, 0, visits, scene);
	sim_cpu(sim, 1, verifies_and_releases, scene);
	sim_run(sim);
}

static void takes_a_batch(void *arg)
{
	struct page_scene *scene = arg;

	SIM_CHECK(take(scene, 0, 0) != NULL);
}

/*
 * Memory that each of two CPUs takes is worth no worker, but what both take is.  Whichever comes last sees
 * both and starts it, though neither waits for the other.
 */
SIM_TEST(worker_comes_when_two_take_enough, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct page_scene *scene = scene_without_worker(sim, QUIRE_WORKER_THREAD);
	struct pages *p = pages_of(scene->q);
	uint64_t batch = pcp_refill_least(p->zone[0].pcp_batch, 0);

	p->worth_pages = 2 * batch;
	check_u64_eq(scene->q->work.state, 0);
	sim_cpu(sim, 0, takes_a_batch, scene);
	sim_cpu(sim, 1, takes_a_batch, scene);
	sim_run(sim);
	/* A thread that was moved to a CPU whose lock is taken gets a single page. */
	SIM_CHECK(p->zone[0].online_pages - p->zone[0].zero_pages < p->worth_pages ||
		  scene->q->work.state != 0);
}

static void takes_an_area(void *arg)
{
	struct page_scene *scene = arg;

	SIM_CHECK(quire_vmalloc(scene->q, (size_t)AREA_PAGES << scene->q->page_shift, 0) != NULL);
}

/* The same where one takes pages and the other an area: what modules charge counts, too. */
SIM_TEST(worker_comes_when_pages_and_an_area_are_enough)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20,
				   .vmap_span_bytes = UINT64_C(2) << 20, .thp = QUIRE_OFF,
				   .guard = QUIRE_GUARD_OFF, .worker = QUIRE_WORKER_THREAD);
	struct page_scene *scene = sim_zalloc(sim, sizeof(*scene));
	struct pages *p;
	uint64_t before;

	check_u64_eq(quire_create(&options, &scene->q), 0);
	p = pages_of(scene->q);
	quire_vfree(scene->q, quire_vmalloc(scene->q, 1, 0)); /* a first use has its own scenario */
	before = p->zone[0].charged_pages;
	p->worth_pages = before + AREA_PAGES + pcp_refill_least(p->zone[0].pcp_batch, 0);
	check_u64_eq(scene->q->work.state, 0);
	sim_cpu(sim, 0, takes_a_batch, scene);
	sim_cpu(sim, 1, takes_an_area, scene);
	sim_run(sim);
	SIM_CHECK(p->zone[0].online_pages - p->zone[0].zero_pages + p->zone[0].charged_pages <
			  p->worth_pages ||
		  scene->q->work.state != 0);
}

/* One alone does not start it. */
SIM_TEST(no_worker_for_a_little, .cpus_nr = 1)
{
	struct page_scene *scene = scene_without_worker(sim, QUIRE_WORKER_THREAD);

	pages_of(scene->q)->worth_pages =
		2 * pcp_refill_least(pages_of(scene->q)->zone[0].pcp_batch, 0);
	sim_cpu(sim, 0, takes_a_batch, scene);
	sim_run(sim);
	check_u64_eq(scene->q->work.state, 0);
}

/* ---- stopped for a moment ---- */

/* sim/work.c: held. */
#define STATE_HELD 4u

static void stops_and_starts(void *arg)
{
	struct page_scene *scene = arg;

	check_u64_eq(quire_worker_stop(scene->q), 0);
	check_u64_eq(scene->q->work.state, STATE_HELD);
	give(scene, scene->page[0], 0);
	calls(scene);
	check_u64_eq(scene->q->work.state, STATE_HELD);
	quire_worker_start(scene->q);
}

static void stops_and_starts_too(void *arg)
{
	struct page_scene *scene = arg;

	check_u64_eq(quire_worker_stop(scene->q), 0);
	calls(scene);
	check_u64_eq(scene->q->work.state, STATE_HELD);
	quire_worker_start(scene->q);
}

/* It stays stopped, whatever calls are made, until the last caller that stopped it has started it. */
SIM_TEST(stopped_worker_stays_stopped, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct page_scene *scene = page_scene_make_worker(sim);

	sim_cpu(sim, 0, stops_and_starts, scene);
	sim_cpu(sim, 1, stops_and_starts_too, scene);
	sim_run(sim);
	check_u64_eq(scene->q->worker_stopped.nr, 0);
	SIM_CHECK(scene->q->work.state != STATE_HELD);
}

static void starts_with_work_due(void *arg)
{
	struct page_scene *scene = arg;

	check_u64_eq(quire_worker_stop(scene->q), 0);
	work_kick(&scene->q->work, 2 * DECAY_NS);
	quire_worker_start(scene->q);
	SIM_CHECK(scene->q->work.state != 0);
}

SIM_TEST(stopped_worker_comes_back, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct page_scene *scene = page_scene_make_worker(sim);

	sim_cpu(sim, 0, starts_with_work_due, scene);
	sim_run(sim);
}

static void stops_again_if_refused(void *arg)
{
	struct page_scene *scene = arg;

	calls(scene);
	if (quire_worker_stop(scene->q) != 0) {
		check_u64_eq(scene->q->worker_stopped.nr, 0);
		calls(scene);
		check_u64_eq(quire_worker_stop(scene->q), 0);
	}
	check_u64_eq(scene->q->work.state, STATE_HELD);
	quire_worker_start(scene->q);
	check_u64_eq(scene->q->worker_stopped.nr, 0);
}

/* The system may count the thread still: then nothing is stopped, and a later call stops it. */
SIM_TEST(refused_stop_holds_nothing, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_REFUSE, .refusals = 1)
{
	struct page_scene *scene = page_scene_make_worker(sim);

	sim_cpu(sim, 0, stops_again_if_refused, scene);
	sim_run(sim);
}

static void retires(void *arg)
{
	worker_retire(((struct page_scene *)arg)->q);
}

/* The process ends while another thread has the worker stopped: it stays stopped for that thread, whichever
 * comes first, and callers do the work if it was retired. */
SIM_TEST(worker_retires_beside_a_stop, .enters = { "worker_retire" })
{
	struct page_scene *scene = page_scene_make_worker(sim);

	sim_cpu(sim, 0, stops_and_starts, scene);
	sim_cpu(sim, 1, retires, scene);
	sim_run(sim);
	check_u64_eq(scene->q->worker_stopped.nr, 0);
	SIM_CHECK(scene->q->work.state != STATE_HELD);
	check_u64_eq(scene->q->looks, work_needs_callers(&scene->q->work));
}

static void forks_beside_a_stop(void *arg)
{
	struct page_scene *scene = arg;

	sim_fork_child();
	check_u64_eq(scene->q->work.state, 0);
	calls(scene);
	SIM_CHECK(scene->q->work.state != 0);
	store_relaxed(&scene->turn, 1);
}

/* In whatever step of it the other thread was: the child may have a worker. */
SIM_TEST(fork_child_of_a_stopped_worker, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct page_scene *scene = page_scene_make_worker(sim);

	sim_cpu(sim, 0, stops_and_starts, scene);
	sim_cpu(sim, 1, forks_beside_a_stop, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}
