/* SPDX-License-Identifier: MIT */
/*
 * percpu_worker_sim.c - callers that may not wait live on a reserve: whoever needs more of it asks for the worker
 *
 * The next call may come in hours, or be one that may not wait, too.
 */
#include "instance/worker.h"
#include "machine/clock.h"
#include "percpu/cache.h"
#include "sim/percpu/percpu_scene.h"

/* Nothing is due, and nobody believes that something is. */
static void nothing_is_due(struct percpu_scene *scene)
{
	scene->q->work.due_ns = WORK_IDLE;
	store_relaxed(&scene->pc->due_ns, WORK_IDLE);
}

/* The reserve is full. */
static struct percpu_scene *scene_at_rest(struct sim *sim)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_balance(scene, false);
	check_u64_eq(scene->pc->empty_pages, EMPTY_HIGH);
	nothing_is_due(scene);
	return scene;
}

static void takes_from_the_reserve(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned i = EMPTY_HIGH; i >= EMPTY_LOW; i--) {
		check_u64_eq(scene->q->work.due_ns, WORK_IDLE);
		SIM_CHECK(percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC) != NULL);
	}
}

SIM_TEST(percpu_reserve_that_is_low_calls_the_worker, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "balance_reserve_low", "balance_kick" })
{
	struct percpu_scene *scene = scene_at_rest(sim);

	sim_cpu(sim, 0, takes_from_the_reserve, scene);
	sim_run(sim);
	SIM_CHECK(scene->q->work.due_ns != WORK_IDLE);
	percpu_scene_check(scene);
}

static void is_refused(void *arg)
{
	struct percpu_scene *scene = arg;

	/* Page by page as many as there are, and one more; the reserve has been reported. */
	while (percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC) != NULL)
		scene->pc->due_ns = scene->q->work.due_ns = WORK_IDLE;
	SIM_CHECK(scene->q->work.due_ns != WORK_IDLE);
	SIM_CHECK(scene->pc->atomic_failed);
}

/* The worker then populates more than the reserve. */
SIM_TEST(percpu_refusal_without_waiting_calls_the_worker, .cpus_nr = 1,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 1, .enters = { "note_refusal" })
{
	struct percpu_scene *scene = scene_at_rest(sim);
	uint64_t charged = percpu_use_up_limit(scene, QUIRE_ATOMIC);

	sim_cpu(sim, 0, is_refused, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 1);
	page_uncharge(scene->q, charged);
	percpu_scene_check(scene);
}

static void is_refused_once(void *arg)
{
	SIM_CHECK(percpu_take(arg, PAGE_BYTES, QUIRE_ATOMIC) == NULL);
}

static void visits(void *arg)
{
	percpu_balance(arg, false);
}

/* A refusal notes what the worker's visit looks for: the visit finds all of the note, or leaves it to the next. */
SIM_TEST(percpu_refusal_beside_a_visit, .enters = { "note_refusal", "fill_reserve" })
{
	struct percpu_scene *scene = scene_at_rest(sim);
	uint64_t charged = percpu_use_up_limit(scene, QUIRE_ATOMIC);

	while (percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC) != NULL)
		;
	sim_cpu(sim, 0, is_refused_once, scene);
	sim_cpu(sim, 1, visits, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 2);
	page_uncharge(scene->q, charged);
	percpu_scene_check(scene);
}

static void takes_small(void *arg)
{
	SIM_CHECK(percpu_take(arg, 8, 0) != NULL);
}

static void takes_small_unwaited(void *arg)
{
	SIM_CHECK(percpu_take(arg, 8, QUIRE_NOWAIT) != NULL);
}

/* The worker has a thread as soon as there is a reason. */
static struct percpu_scene *thread_scene(struct sim *sim)
{
	return percpu_scene_make_empty(
		sim, (struct quire_options)QUIRE_OPTIONS_INIT(.rseq = QUIRE_OFF,
							      .worker = QUIRE_WORKER_THREAD));
}

static void use_up_the_reserve(struct percpu_scene *scene)
{
	while (scene->pc->empty_pages >= EMPTY_LOW)
		SIM_CHECK(percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC) != NULL);
}

static void be_worth_a_worker(struct percpu_scene *scene)
{
	while (!page_is_worth_a_worker(scene->q, 0))
		SIM_CHECK(percpu_take(scene, 8 * PAGE_BYTES, QUIRE_ATOMIC) != NULL);
	check_u64_eq(scene->q->work.state, 0);
}

/* As long as an instance is worth no worker, callers that may wait fill the reserve, from what is committed. */
SIM_TEST(percpu_reserve_is_filled_by_two_without_a_worker, .enters = { "fill_from_committed" })
{
	struct percpu_scene *scene = thread_scene(sim);

	use_up_the_reserve(scene);
	sim_cpu(sim, 0, takes_small, scene);
	sim_cpu(sim, 1, takes_small, scene);
	sim_run(sim);
	check_u64_eq(scene->pc->empty_pages, EMPTY_HIGH);
	check_u64_eq(scene->q->work.state, 0);
	percpu_scene_check(scene);
}

/* A caller that may not wait does not fill it. */
SIM_TEST(percpu_low_reserve_is_a_reason_for_a_worker, .cpus_nr = 1,
	 .enters = { "balance_ensure_worker" })
{
	struct percpu_scene *scene = thread_scene(sim);

	use_up_the_reserve(scene);
	sim_cpu(sim, 0, takes_small_unwaited, scene);
	sim_run(sim);
	SIM_CHECK(scene->q->work.state != 0);
	percpu_scene_check(scene);
}

SIM_TEST(percpu_refusal_is_a_reason_for_a_worker, .cpus_nr = 1,
	 .enters = { "balance_ensure_worker" })
{
	struct percpu_scene *scene = thread_scene(sim);

	store_relaxed(&scene->pc->atomic_refusals, 1);
	sim_cpu(sim, 0, takes_small, scene);
	sim_run(sim);
	SIM_CHECK(scene->q->work.state != 0);
	percpu_scene_check(scene);
}

SIM_TEST(percpu_size_is_a_reason_for_a_worker, .cpus_nr = 1, .enters = { "balance_ensure_worker" })
{
	struct percpu_scene *scene = thread_scene(sim);

	be_worth_a_worker(scene);
	SIM_CHECK(scene->pc->empty_pages >= EMPTY_LOW);
	sim_cpu(sim, 0, takes_small, scene);
	sim_run(sim);
	SIM_CHECK(scene->q->work.state != 0);
	percpu_scene_check(scene);
}

static void takes_small_and_leaves_the_reserve(void *arg)
{
	struct percpu_scene *scene = arg;

	takes_small(scene);
	SIM_CHECK(scene->pc->empty_pages < EMPTY_LOW);
	SIM_CHECK(scene->pc->due_ns != WORK_IDLE);
}

/* The call does not fill what the worker's thread is there for, here stopped for a while. */
SIM_TEST(percpu_reserve_is_left_to_the_worker, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .enters = { "balance_reserve_low" })
{
	struct percpu_scene *scene = thread_scene(sim);

	be_worth_a_worker(scene);
	use_up_the_reserve(scene);
	SIM_CHECK(quire_worker_stop(scene->q) == 0);
	sim_cpu(sim, 0, takes_small_and_leaves_the_reserve, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* Nor what a program fills that makes the worker's visits itself. */
SIM_TEST(percpu_reserve_is_left_to_the_program, .cpus_nr = 1, .enters = { "balance_reserve_low" })
{
	struct percpu_scene *scene = scene_at_rest(sim);

	use_up_the_reserve(scene);
	sim_cpu(sim, 0, takes_small_and_leaves_the_reserve, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void takes_the_reserve_at_once(void *arg)
{
	struct percpu_scene *scene = arg;
	const struct quire_percpu_request known =
		QUIRE_PERCPU_REQUEST_INIT(.bytes = 8, .flags = QUIRE_ATOMIC);
	void *ptrs[1100];

	/* Three pages of them. */
	check_u64_eq(quire_alloc_percpu_bulk(scene->q, &known, ptrs, 1100), 1100);
	SIM_CHECK(scene->pc->empty_pages < EMPTY_LOW);
	SIM_CHECK(scene->q->work.due_ns != WORK_IDLE);
}

SIM_TEST(percpu_bulk_call_that_leaves_few_calls_the_worker, .cpus_nr = 1,
	 .enters = { "alloc_batch" })
{
	struct percpu_scene *scene = scene_at_rest(sim);

	percpu_take(scene, 8, QUIRE_ATOMIC); /* has a page for the first of them */
	while (scene->pc->empty_pages > EMPTY_LOW)
		SIM_CHECK(percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC) != NULL);
	nothing_is_due(scene);
	sim_cpu(sim, 0, takes_the_reserve_at_once, scene);
	sim_run(sim);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

static void kicks_twice(void *arg)
{
	struct percpu_scene *scene = arg;

	balance_kick(scene->pc, 5);
	balance_kick(scene->pc, 9);
	check_u64_eq(scene->pc->due_ns, 5);
	check_u64_eq(scene->q->work.due_ns, 5);
}

SIM_TEST(percpu_earlier_visit_stays_due, .cpus_nr = 1, .enters = { "balance_kick" })
{
	struct percpu_scene *scene = scene_at_rest(sim);

	sim_cpu(sim, 0, kicks_twice, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

/* Who visits is the program's call, after the due time; here one that is served by a stack. */
static void takes_when_a_visit_is_due(struct percpu_scene *scene, size_t bytes)
{
	uint64_t visited_ns = scene->pc->balanced_ns;

	sim_pass_ns(1);
	nothing_is_due(scene);
	balance_kick(scene->pc, clock_now_ns());
	SIM_CHECK(quire_alloc_percpu(scene->q, bytes, 0, 0) != NULL);
	check_u64_eq(cache_count(scene->pc), 0);
	SIM_CHECK(scene->pc->balanced_ns > visited_ns);
}

static void pops_when_visits_are_due(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_open_stack(scene->pc, 1);
	quire_free_percpu(scene->q, scene->small[0]);
	check_u64_eq(cache_count(scene->pc), 1);
	takes_when_a_visit_is_due(scene, 8);
	store_relaxed(&scene->pc->learn[CACHE_SMALL_NR].count, COUNT_WARM);
	cache_after_free(scene->pc, PAGE_BYTES / 8);
	quire_free_percpu(scene->q, scene->object[0]);
	check_u64_eq(cache_count(scene->pc), 1);
	takes_when_a_visit_is_due(scene, PAGE_BYTES);
}

SIM_TEST(percpu_popped_object_looks_for_a_visit, .cpus_nr = 1,
	 .enters = { "finish_popped", "alloc_large" })
{
	struct percpu_scene *scene = percpu_scene_make_empty(
		sim, (struct quire_options)QUIRE_OPTIONS_INIT(.rseq = QUIRE_ON,
							      .worker = QUIRE_WORKER_INLINE));

	scene->small[0] = quire_alloc_percpu(scene->q, 8, 0, 0);
	scene->object[0] = quire_alloc_percpu(scene->q, PAGE_BYTES, 0, 0);
	SIM_CHECK(scene->q->looks);
	sim_cpu(sim, 0, pops_when_visits_are_due, scene);
	sim_run(sim);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

/* ---- beside a visit, after which nothing is due ---- */

/* Before the decay time is over, so that no stack is looked at. */
static void is_visited(void *arg)
{
	struct percpu_scene *scene = arg;

	balance_tick(&scene->pc->module, 1);
}

static void gives_small(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[0], 8);
}

/* Frees to a stack call nobody.  So whoever opens one asks for a visit, unless the one that is due finds it open. */
SIM_TEST(percpu_stack_opened_beside_a_visit, .model = SIM_ARM, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "keep_more_locked", "balance_tick" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	scene->small[0] = percpu_take(scene, 8, 0);
	percpu_take(scene, 8, 0);
	store_relaxed(&scene->pc->learn[0].count, COUNT_WARM);
	store_relaxed(&scene->pc->due_ns, 1);
	sim_cpu(sim, 0, gives_small, scene);
	sim_cpu(sim, 1, is_visited, scene);
	sim_run(sim);
	SIM_CHECK(cache_is_open(scene->pc));
	SIM_CHECK(scene->pc->due_ns != WORK_IDLE);
	percpu_scene_check(scene);
}

struct deferring {
	struct percpu_scene *scene;
	struct lock lock;
};

/* As a handler that interrupted a holder: it only tries. */
static void gives_small_while_holding(void *arg)
{
	struct deferring *deferring = arg;
	lock_token token = lock_acquire(&deferring->lock);

	gives_small(deferring->scene);
	lock_release(&deferring->lock, token);
}

static void is_visited_beside(void *arg)
{
	is_visited(((struct deferring *)arg)->scene);
}

/* A free is deferred while a visit looks: the visit finds it, or it finds that no visit is due. */
SIM_TEST(percpu_deferred_free_beside_a_visit, .model = SIM_ARM, .events = SIM_TRYFAIL,
	 .enters = { "percpu/free.c:defer", "balance_tick" })
{
	struct deferring deferring = { .scene = percpu_scene_make(sim, false) };
	struct percpu_scene *scene = deferring.scene;

	lock_init(&deferring.lock, RANK_PERCPU_CPU);
	scene->small[0] = percpu_take(scene, 8, 0);
	percpu_take(scene, 8, 0);
	percpu_balance(scene, false);
	store_relaxed(&scene->pc->due_ns, 1);
	sim_cpu(sim, 0, gives_small_while_holding, &deferring);
	sim_cpu(sim, 1, is_visited_beside, &deferring);
	sim_run(sim);
	SIM_CHECK(scene->pc->deferred_nr == 0 || scene->pc->due_ns != WORK_IDLE);
	percpu_scene_check(scene);
}

/* ---- pages that become empty while frees are taken in ---- */

#define SOON_NS UINT64_C(1000000) /* balance.c: PAUSE_NS */

/* The second chunk has lost its empty pages; the next page that is free goes at once. */
static void sideline_second_chunk(struct percpu_scene *scene)
{
	percpu_isolate(scene, 14, 20);
	percpu_balance(scene, false);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_SIDELINED);
	nothing_is_due(scene);
}

/* As a handler does that interrupted a holder of the lock. */
static void defers(struct percpu_scene *scene)
{
	lock_token token = lock_acquire(&scene->pc->lock);

	percpu_give(scene, scene->object[OBJECTS_NR - 1], PAGE_BYTES);
	lock_release(&scene->pc->lock, token);
	nothing_is_due(scene);
}

static void takes_deferred(void *arg)
{
	percpu_take_deferred(((struct percpu_scene *)arg)->pc);
}

SIM_TEST(percpu_deferred_free_that_isolates_calls_the_worker_soon, .cpus_nr = 1,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 1, .enters = { "take_chunk" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	sideline_second_chunk(scene);
	defers(scene);
	sim_cpu(sim, 0, takes_deferred, scene);
	sim_run(sim);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_TO_DEPOPULATE);
	SIM_CHECK(scene->q->work.due_ns <= clock_now_ns() + SOON_NS);
	percpu_scene_check(scene);
}

/* One page has the decay time. */
SIM_TEST(percpu_deferred_free_taken_in_calls_the_worker, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "take_chunk" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	defers(scene);
	sim_cpu(sim, 0, takes_deferred, scene);
	sim_run(sim);
	SIM_CHECK(scene->q->work.due_ns > clock_now_ns() + SOON_NS);
	SIM_CHECK(scene->q->work.due_ns != WORK_IDLE);
	percpu_scene_check(scene);
}

static void frees_to_a_stack_and_drains(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->object[OBJECTS_NR - 1], PAGE_BYTES);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_SIDELINED);
	nothing_is_due(scene);
	percpu_drains(scene);
}

static void frees_the_last_page(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->object[OBJECTS_NR - 1], PAGE_BYTES);
}

/* A sidelined chunk loses its last object: it is not free before its page has been returned. */
SIM_TEST(percpu_last_free_of_a_sidelined_chunk_calls_the_worker, .cpus_nr = 1,
	 .enters = { "chunk_after_free_locked" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_isolate(scene, 0, OBJECTS_NR - 1);
	percpu_balance(scene, false);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_SIDELINED);
	nothing_is_due(scene);
	sim_cpu(sim, 0, frees_the_last_page, scene);
	sim_run(sim);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_TO_DEPOPULATE);
	SIM_CHECK(scene->q->work.due_ns <= clock_now_ns() + SOON_NS);
	percpu_balance(scene, true);
	check_u64_eq(scene->pc->chunks_nr, 1);
	percpu_scene_check(scene);
}

/* The same where the page's object was on a stack. */
SIM_TEST(percpu_drain_that_isolates_calls_the_worker_soon, .cpus_nr = 1,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 1, .enters = { "cache_give" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	for (unsigned i = 0; i < 2 * COUNT_WARM; i++)
		percpu_give(scene, percpu_take(scene, PAGE_BYTES, 0), PAGE_BYTES);
	sideline_second_chunk(scene);
	percpu_give(scene, scene->object[0], PAGE_BYTES); /* opens the stack again */
	sim_cpu(sim, 0, frees_to_a_stack_and_drains, scene);
	sim_run(sim);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_TO_DEPOPULATE);
	SIM_CHECK(scene->q->work.due_ns <= clock_now_ns() + SOON_NS);
	percpu_scene_check(scene);
}
