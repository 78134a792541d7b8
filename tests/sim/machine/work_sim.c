/* SPDX-License-Identifier: MIT */
/* work_sim.c - the worker: due work is done once, and no kick is lost */
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/lock.h"
#include "machine/sim/sim.h"
#include "machine/work.h"

struct work_scene {
	struct work work;
	uint32_t queued, done, stopped;
};

static uint64_t do_all(void *arg, uint64_t now_ns)
{
	struct work_scene *scene = arg;
	uint32_t queued = exchange_acq_rel(&scene->queued, 0);

	(void)now_ns;
	SIM_CHECK(load_relaxed(&scene->stopped) == 0);
	fetch_add_relaxed(&scene->done, queued);
	return WORK_IDLE;
}

static struct work_scene *scene_make(struct sim *sim)
{
	const struct work_options options = { .mode = WORK_THREAD, .pause_ns = 1000 };
	struct work_scene *scene = sim_zalloc(sim, sizeof(*scene));

	work_init(&scene->work, &options, do_all, scene);
	work_start(&scene->work, WORK_CALLER_WAITS);
	return scene;
}

static void queue_and_kick(void *arg)
{
	struct work_scene *scene = arg;

	fetch_add_relaxed(&scene->queued, 1);
	work_kick(&scene->work, clock_now_ns());
}

/* Two kicks at any moment of the worker's turn: nothing that was queued stays. */
SIM_TEST(work_kick_is_never_lost, .cpus_nr = 3, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct work_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, queue_and_kick, scene);
	sim_cpu(sim, 1, queue_and_kick, scene);
	sim_run(sim);
	check_u64_eq(scene->done, 2);
}

static void stop(void *arg)
{
	struct work_scene *scene = arg;

	work_stop(&scene->work);
	store_relaxed(&scene->stopped, 1);
}

/* After work_stop() the function does not run, whatever was due. */
SIM_TEST(work_stop_ends_the_worker, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3)
{
	struct work_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, queue_and_kick, scene);
	sim_cpu(sim, 1, stop, scene);
	sim_run(sim);
	SIM_CHECK(scene->done <= 1);
}
