/* SPDX-License-Identifier: MIT */
/* page_handler_sim.c - interrupts and signals that allocate and free, wherever they come */
#include "sim/page/page_scene.h"

static void frees_and_takes(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, scene->page[0], 0);
	scene->page[0] = take(scene, 0, 0);
}

static void handler_frees(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, scene->page[1], 0);
	scene->page[1] = NULL;
}

static void handler_takes(void *arg)
{
	struct page_scene *scene = arg;

	if (scene->page[2] != NULL)
		give(scene, scene->page[2], 0);
	scene->page[2] = take(scene, 0, QUIRE_NOLOCK);
	if (scene->page[2] == NULL)
		fetch_sub_relaxed(&scene->refused, 1); /* a handler may be refused */
}

static void peer_drains(void *arg)
{
	quire_drain_slot(((struct page_scene *)arg)->q, 0);
}

static void handler_against(struct sim *sim, bool stacks, void (*handler)(void *), bool peer)
{
	struct page_scene *scene = page_scene_make(sim, stacks);

	if (!stacks)
		pages_of(scene->q)->pcp[0].high =
			1; /* every free spills: the zone lock is held too */
	sim_cpu(sim, 0, frees_and_takes, scene);
	if (peer)
		sim_cpu(sim, 1, peer_drains, scene);
	sim_irq(sim, 0, handler, scene, 1);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	quire_drain_all(scene->q);
	page_scene_check(scene);
}

/* R8: a handler frees inside the fast path, under pcp->door.lock, under zone->lock. */
SIM_TEST(handler_frees_inside_list_path, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2)
{
	handler_against(sim, false, handler_frees, false);
}

SIM_TEST(handler_frees_inside_stack_path, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2)
{
	handler_against(sim, true, handler_frees, false);
}

/* The handler's peer wants what the interrupted frame holds: a handler that waited would be the
 * end of both. */
SIM_TEST(handler_frees_against_drain, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	handler_against(sim, false, handler_frees, true);
}

SIM_TEST(handler_takes_against_drain, .events = SIM_ABORT)
{
	handler_against(sim, true, handler_takes, true);
}

SIM_TEST(handler_takes_inside_list_path, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1)
{
	handler_against(sim, false, handler_takes, false);
}

/* R9: one CPU, where taking a spin lock keeps handlers away. */
SIM_TEST(handler_on_up_sees_no_list_half_changed, .cpus_nr = 1, .config = SIM_UP,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 1, .events = SIM_PLAIN)
{
	handler_against(sim, false, handler_frees, false);
}

SIM_TEST(handler_as_thread_on_up_rt, .cpus_nr = 1, .config = SIM_UP_RT,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	handler_against(sim, false, handler_frees, false);
}

SIM_TEST(handler_as_thread_on_smp_rt, .config = SIM_SMP_RT)
{
	handler_against(sim, true, handler_frees, true);
}

/* No list keeps order 4: the zone lock is taken, and no CPU's. */
static void takes_order_4(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, take(scene, 4, 0), 4);
}

/* The handler gets its CPU's lists, which are over high; spilling them would wait for the zone. */
SIM_TEST(handler_frees_under_zone_lock, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2)
{
	struct page_scene *scene = page_scene_make(sim, false);

	for (unsigned i = 3; i < 8; i++)
		give(scene, scene->page[i], 0);
	pages_of(scene->q)->pcp[0].high = 1;
	sim_cpu(sim, 0, takes_order_4, scene);
	sim_irq(sim, 0, handler_frees, scene, 1);
	sim_run(sim);
	quire_drain_all(scene->q);
	page_scene_check(scene);
}

static void ordinary_free(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, scene->page[3], 0);
	scene->page[3] = take(scene, 0, 0);
}

/* Frees that got no lock wait on the deferred list; the next ordinary call takes them in. */
SIM_TEST(deferred_free_is_taken_in_once, .cpus_nr = 3)
{
	struct page_scene *scene = page_scene_make(sim, false);

	for (unsigned i = 0; i < 3; i++)
		pages_of(scene->q)->pcp[i].high = 1;
	sim_cpu(sim, 0, frees_and_takes, scene);
	sim_cpu(sim, 1, ordinary_free, scene);
	sim_cpu(sim, 2, peer_drains, scene);
	sim_irq(sim, 0, handler_frees, scene, 1);
	sim_run(sim);
	quire_drain_all(scene->q);
	check_u64_eq(pages_of(scene->q)->deferred, FRAME_NONE);
	page_scene_check(scene);
}
