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

static void takes_small(void *arg)
{
	SIM_CHECK(percpu_take(arg, 8, 0) != NULL);
}

/* As long as an instance is worth no worker, callers that may wait fill the reserve, from what is committed. */
SIM_TEST(percpu_reserve_is_filled_by_two_without_a_worker, .enters = { "fill_from_committed" })
{
	struct percpu_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20, .units = 2, .rseq = QUIRE_OFF,
				   .worker = QUIRE_WORKER_THREAD);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	quire_free_percpu(scene->q, quire_alloc_percpu(scene->q, 8, 0, 0));
	scene->pc = scene->q->percpu;
	while (scene->pc->empty_pages >= EMPTY_LOW)
		SIM_CHECK(percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC) != NULL);
	sim_cpu(sim, 0, takes_small, scene);
	sim_cpu(sim, 1, takes_small, scene);
	sim_run(sim);
	check_u64_eq(scene->pc->empty_pages, EMPTY_HIGH);
	check_u64_eq(scene->q->work.state, 0);
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
