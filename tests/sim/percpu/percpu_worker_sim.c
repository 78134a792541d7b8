/* SPDX-License-Identifier: MIT */
/*
 * percpu_worker_sim.c - callers that may not wait live on a reserve: whoever needs more of it asks for the worker
 *
 * The next call may come in hours, or be one that may not wait, too.
 */
#include "instance/worker.h"
#include "machine/clock.h"
#include "sim/percpu/percpu_scene.h"

/* Nothing is due, and nobody believes that something is. */
static struct percpu_scene *scene_at_rest(struct sim *sim)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_balance(scene, false);
	check_u64_eq(scene->pc->empty_pages, EMPTY_HIGH);
	scene->q->work.due_ns = WORK_IDLE;
	scene->pc->due_ns = WORK_IDLE;
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
