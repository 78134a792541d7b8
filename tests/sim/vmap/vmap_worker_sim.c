/* SPDX-License-Identifier: MIT */
/*
 * vmap_worker_sim.c - what is freed has a visit of the worker coming
 *
 * An instance may go on for hours without another call, so whoever leaves memory behind that nobody uses asks for a visit, even
 * beside one that ends.
 */
#include <quire/page.h>

#include "instance/worker.h"
#include "machine/clock.h"
#include "page/pages.h"
#include "sim/vmap/vmap_scene.h"
#include "vmap/decay.h"

#define SECOND_NS UINT64_C(1000000000)

/* Nothing is due, and nobody believes that something is. */
static void nothing_is_due(struct vmap_scene *scene)
{
	scene->q->work.due_ns = WORK_IDLE;
	scene->v->kicked = false;
}

static void check_visit_is_due(struct vmap_scene *scene)
{
	SIM_CHECK(scene->q->work.due_ns != WORK_IDLE);
	vmap_scene_check(scene);
}

static void frees_first(void *arg)
{
	vmap_scene_give(arg, 0);
}

/* The first free on a CPU since a visit. */
SIM_TEST(vfree_to_a_cold_stack_calls_the_worker, .cpus_nr = 1, .events = SIM_ABORT,
	 .enters = { "vmap/cpu.c:warm_locked", "decay_kick" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 1, 4);
	cpu_drain(scene->v, 0);
	nothing_is_due(scene);
	sim_cpu(sim, 0, frees_first, scene);
	sim_run(sim);
	check_visit_is_due(scene);
}

static struct vmap_scene *scene_of_lazy_areas(struct sim *sim, uint64_t lazy_max_bytes)
{
	struct vmap_scene *scene =
		vmap_scene_make(sim, (struct quire_options){ .cache = QUIRE_OFF,
							     .rseq = QUIRE_OFF,
							     .lazy_max_bytes = lazy_max_bytes });

	vmap_scene_fill(scene, 2, 4);
	scene->v->live_high_pages = 0;
	nothing_is_due(scene);
	return scene;
}

/* Without caches: some time later, so that a purge has something to do. */
SIM_TEST(lazy_area_calls_the_worker, .cpus_nr = 1,
	 .enters = { "lazy_publish_chain", "decay_check_over" })
{
	struct vmap_scene *scene = scene_of_lazy_areas(sim, UINT64_C(1) << 20);

	sim_cpu(sim, 0, frees_first, scene);
	sim_run(sim);
	SIM_CHECK(scene->q->work.due_ns > clock_now_ns());
	check_visit_is_due(scene);
}

/* Without caches: at once, if it is more than may be lazy. */
SIM_TEST(too_much_that_is_lazy_calls_the_worker_at_once, .cpus_nr = 1,
	 .enters = { "is_over", "decay_check_over" })
{
	struct vmap_scene *scene = scene_of_lazy_areas(sim, 4096);

	scene->v->live_high_pages = 100; /* which would permit more, if that were cached */
	sim_cpu(sim, 0, frees_first, scene);
	sim_run(sim);
	SIM_CHECK(scene->q->work.due_ns <= clock_now_ns());
	check_visit_is_due(scene);
}

static void shrinks_first(void *arg)
{
	struct vmap_scene *scene = arg;

	sim_disown(scene->area[0] + (2 << 12), (size_t)62 << 12);
	SIM_CHECK(quire_vrealloc(scene->q, scene->area[0], 2 << 12, 0) == scene->area[0]);
}

SIM_TEST(vrealloc_that_gives_the_end_calls_the_worker, .cpus_nr = 1, .enters = { "give_tail" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 1, 64);
	nothing_is_due(scene);
	sim_cpu(sim, 0, shrinks_first, scene);
	sim_run(sim);
	check_visit_is_due(scene);
}

static void takes_one(void *arg)
{
	struct vmap_scene *scene = arg;

	scene->area[1] = vtake(scene, 9, 0);
}

static void takes_one_without_purges(void *arg)
{
	struct vmap_scene *scene = arg;

	scene->area[1] = vtake(scene, 9, QUIRE_NORETRY);
}

/* The only area that is free is of the same class, and has its guard elsewhere.  If the system refuses to move it the area
 * goes to the lazy list, where the next purge finds it. */
SIM_TEST(area_put_aside_calls_the_worker, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2, .events = SIM_REFUSE, .refusals = 2, .enters = { "put_aside" })
{
	struct vmap_scene *scene = vmap_scene_make(
		sim, (struct quire_options){ .rseq = QUIRE_ON, .guard = QUIRE_GUARD_ON });

	vmap_scene_fill(scene, 1, 10);
	while (vtake(scene, 7, QUIRE_NORETRY) != NULL)
		;
	vmap_scene_give(scene, 0);
	nothing_is_due(scene);
	sim_cpu(sim, 0, takes_one_without_purges, scene);
	sim_run(sim);
	SIM_CHECK(load_relaxed(&scene->v->lazy_pages) == 0 || scene->q->work.due_ns != WORK_IDLE);
	check_u64_eq(quire_verify(scene->q), 0);
}

/* What is in use decides how much may be cached, so a visit notes that it has become more. */
SIM_TEST(vmalloc_calls_the_worker, .cpus_nr = 1, .enters = { "decay_note_alloc" })
{
	struct vmap_scene *scene = vmap_scene_make_lazy(sim);

	nothing_is_due(scene);
	sim_cpu(sim, 0, takes_one, scene);
	sim_run(sim);
	check_visit_is_due(scene);
}

static void visits(void *arg)
{
	struct vmap_scene *scene = arg;
	uint64_t due_ns;

	sim_pass_ns(SECOND_NS);
	due_ns = decay_tick(&scene->v->module, clock_now_ns());
	if (due_ns < WORK_IDLE)
		worker_kick(scene->q, due_ns); /* as the worker does with the answer */
}

static void against_a_visit(struct sim *sim, enum quire_switch cache)
{
	struct vmap_scene *scene = vmap_scene_make(
		sim, (struct quire_options){ .rseq = cache, .cache = cache, .report = QUIRE_OFF });

	vmap_scene_fill(scene, 1, 4);
	scene->v->live_high_pages = 0;
	cpu_drain(scene->v, 0);
	nothing_is_due(scene);
	sim_cpu(sim, 0, frees_first, scene);
	sim_cpu(sim, 1, visits, scene);
	sim_run(sim);
	check_visit_is_due(scene);
}

/* Either the visit finds what was freed, and another one is due, or the free asks for it. */
SIM_TEST(vfree_during_the_workers_visit, .enters = { "decay_tick", "turn" })
{
	against_a_visit(sim, QUIRE_ON);
}

SIM_TEST(lazy_vfree_during_the_workers_visit, .enters = { "decay_tick", "turn" })
{
	against_a_visit(sim, QUIRE_OFF);
}

/* ---- whether there is a thread to come --------------------------------------------------------------- */

/* An area is cached, which is worth no thread, and a visit is due. */
static struct vmap_scene *scene_without_thread(struct sim *sim)
{
	struct vmap_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20, .thp = QUIRE_OFF,
				   .vmap_span_bytes = (uint64_t)SPAN_PAGES << 12,
				   .worker = QUIRE_WORKER_THREAD, .guard = QUIRE_GUARD_OFF);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	vmap_scene_fill(scene, 2, 4);
	vmap_scene_give(scene, 1);
	scene->v = scene->q->vmap;
	SIM_CHECK(scene->q->work.due_ns < WORK_EXIT);
	check_u64_eq(scene->q->work.state, 0);
	return scene;
}

static void takes_it_again_later(void *arg)
{
	sim_pass_ns(SECOND_NS);
	SIM_CHECK(vtake(arg, 4, QUIRE_ZERO) == ((struct vmap_scene *)arg)->area[1]);
}

/* A visit is due, but a call that is served from a cache leaves it to others: it looks at the clock only where there can be no
 * thread. */
SIM_TEST(area_that_is_cached_starts_no_worker, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "vmap_alloc_range", "cpu_take" })
{
	struct vmap_scene *scene = scene_without_thread(sim);

	sim_cpu(sim, 0, takes_it_again_later, scene);
	sim_run(sim);
	check_u64_eq(scene->q->work.state, 0);
	vmap_scene_check(scene);
}

/* It may have ended by the end, since nothing is left to do. */
static void check_worker_came(struct sim *sim, void (*body)(void *))
{
	struct vmap_scene *scene = scene_without_thread(sim);

	cpu_drain(scene->v, 0); /* frees to a warm stack do not look */
	pages_of(scene->q)->worth_pages = 1;
	sim_cpu(sim, 0, body, scene);
	sim_run(sim);
	SIM_CHECK(scene->q->work.state != 0 || scene->q->work.due_ns >= WORK_EXIT);
	vmap_scene_check(scene);
}

static void takes_ten(void *arg)
{
	vtake(arg, 10, 0);
}

SIM_TEST(area_that_is_taken_starts_the_worker, .cpus_nr = 1, .enters = { "is_worth_a_worker" })
{
	check_worker_came(sim, takes_ten);
}

SIM_TEST(area_that_is_freed_starts_the_worker, .cpus_nr = 1, .enters = { "is_worth_a_worker" })
{
	check_worker_came(sim, frees_first);
}

/* ---- when the next visit is due ---------------------------------------------------------------------- */

#define TURN_NS UINT64_C(100000000)

/* The answer of a visit @after_ns from now: how long after it the next one is due, or WORK_IDLE or WORK_EXIT. */
static uint64_t visit(struct vmap_scene *scene, uint64_t after_ns)
{
	uint64_t now_ns = clock_now_ns() + after_ns;
	uint64_t due_ns = decay_tick(&scene->v->module, now_ns);

	return due_ns < WORK_EXIT ? due_ns - now_ns : due_ns;
}

/* Nothing was found at the visits of the last 20 s. */
static void nothing_was_done(struct vmap_scene *scene)
{
	nothing_is_due(scene);
	scene->v->busy_ms = decay_now_ms() - 20000;
}

static void lets_it_exit(void *arg)
{
	check_u64_eq(visit(arg, SECOND_NS), WORK_EXIT);
}

static void lets_it_sleep(void *arg)
{
	check_u64_eq(visit(arg, SECOND_NS), WORK_IDLE);
}

static void has_it_linger(void *arg)
{
	check_u64_eq(visit(arg, SECOND_NS), SECOND_NS);
}

static void has_it_come_soon(void *arg)
{
	check_u64_eq(visit(arg, SECOND_NS), TURN_NS);
}

static void has_it_come_between_turns(void *arg)
{
	check_u64_eq(visit(arg, TURN_NS / 10), TURN_NS - TURN_NS / 10);
}

static void visit_is_answered(struct sim *sim, struct vmap_scene *scene, void (*body)(void *))
{
	sim_cpu(sim, 0, body, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

SIM_TEST(worker_exits_once_no_area_is_left, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "decay_tick" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	nothing_was_done(scene);
	visit_is_answered(sim, scene, lets_it_exit);
}

SIM_TEST(worker_sleeps_while_nothing_changes, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "decay_tick" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 1, 4);
	nothing_was_done(scene);
	scene->v->live_high_pages = 4;
	visit_is_answered(sim, scene, lets_it_sleep);
}

/* A program that takes more is one that will free. */
SIM_TEST(worker_lingers_after_more_is_in_use, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "decay_tick" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 1, 4);
	nothing_was_done(scene);
	scene->v->live_high_pages = 0;
	visit_is_answered(sim, scene, has_it_linger);
}

/* With report:off areas do not age, but how much may be cached changes with what was in use. */
SIM_TEST(worker_comes_again_while_the_budget_changes, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "turn" })
{
	struct vmap_scene *scene = vmap_scene_make(
		sim, (struct quire_options){ .rseq = QUIRE_ON, .report = QUIRE_OFF });

	vmap_scene_fill(scene, 2, 4);
	vmap_scene_give(scene, 1);
	cpu_pool_own(scene->v);
	nothing_was_done(scene);
	scene->v->live_high_pages = 0;
	visit_is_answered(sim, scene, has_it_come_soon);
}

/* A visit for another module's sake leaves the turn that was asked for due. */
SIM_TEST(visit_between_turns_leaves_the_next_one_due, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "decay_tick" })
{
	struct vmap_scene *scene = vmap_scene_make_cached(sim);

	vmap_scene_fill(scene, 1, 4);
	nothing_was_done(scene);
	scene->v->ticked_ms = decay_now_ms();
	scene->v->kicked = true;
	visit_is_answered(sim, scene, has_it_come_between_turns);
}

static void has_the_mutex_during_the_visit(void *arg)
{
	struct vmap_scene *scene = arg;

	mutex_acquire(&scene->v->purge_mutex);
	store_release(&scene->turn, 1); /* pairs with the load below */
	sim_wake(&scene->turn);
	while (load_acquire(&scene->turn) == 1)
		sim_wait(&scene->turn, 1);
	mutex_release(&scene->v->purge_mutex);
}

static void visits_meanwhile(void *arg)
{
	struct vmap_scene *scene = arg;

	while (load_acquire(&scene->turn) == 0)
		sim_wait(&scene->turn, 0);
	has_it_come_soon(scene);
	store_release(&scene->turn, 2); /* pairs with the load above */
	sim_wake(&scene->turn);
}

/* With report:off, too: what is lazy stays so while another purge goes on. */
SIM_TEST(worker_comes_again_while_areas_are_lazy, .enters = { "turn" })
{
	struct vmap_scene *scene = vmap_scene_make(
		sim, (struct quire_options){ .rseq = QUIRE_OFF, .report = QUIRE_OFF });

	vmap_scene_fill(scene, 2, 200);
	vmap_scene_give(scene, 1);
	nothing_was_done(scene);
	scene->v->live_high_pages = 200;
	sim_cpu(sim, 0, has_the_mutex_during_the_visit, scene);
	sim_cpu(sim, 1, visits_meanwhile, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}
