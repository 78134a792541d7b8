/* SPDX-License-Identifier: MIT */
/*
 * percpu_grow_sim.c - callers that may not wait, while other threads create or return what they
 * need
 *
 * The second chunk is full up to seven pages at most, so an object of eight needs another chunk.
 */
#include "page/pages.h"
#include "sim/percpu/percpu_scene.h"

#define LARGE (8 * PAGE_BYTES)

static struct percpu_scene *make_full(struct sim *sim)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	while (scene->pc->chunk[1].free_run >= 8)
		percpu_take(scene, LARGE, 0);
	check_u64_eq(scene->pc->chunks_nr, 2);
	return scene;
}

static void check_charge(struct percpu_scene *scene, uint64_t others)
{
	check_u64_eq(pages_of(scene->q)->zone[0].charged_pages, percpu_charged(scene) + others);
	percpu_scene_check(scene);
}

static void takes_large(void *arg)
{
	percpu_take(arg, LARGE, 0);
}

static void takes_large_atomically(void *arg)
{
	sim_forbid_wait(true);
	percpu_take(arg, LARGE, QUIRE_ATOMIC);
	sim_forbid_wait(false);
}

static void takes_large_unwaited(void *arg)
{
	sim_forbid_wait(true);
	percpu_take(arg, LARGE, QUIRE_NOWAIT);
	sim_forbid_wait(false);
}

static void balances(void *arg)
{
	percpu_balance(arg, false);
}

static void shrinks(void *arg)
{
	quire_percpu_shrink(((struct percpu_scene *)arg)->q);
}

/* ---- the instance ----------------------------------------------------------------------------- */

static void takes_first(void *arg)
{
	SIM_CHECK(quire_alloc_percpu(arg, 64, 0, 0) != NULL);
}

/* The first allocation creates per-CPU memory.  A caller that finds it without a lock, on its way to a
 * stack, finds all of it complete. */
SIM_TEST(percpu_first_use_is_published, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .events = SIM_MEMORY | SIM_RACE)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20, .units = 2, .rseq = QUIRE_ON,
				   .worker = QUIRE_WORKER_OFF);
	struct quire *q;

	check_u64_eq(quire_create(&options, &q), 0);
	sim_cpu(sim, 0, takes_first, q);
	sim_cpu(sim, 1, takes_first, q);
	sim_run(sim);
	check_u64_eq(quire_verify(q), 0);
}

static void gives_nothing(void *arg)
{
	quire_free_percpu(arg, NULL);
}

/* NULL may be freed at any time: what the free looks at before it knows is complete, too. */
SIM_TEST(percpu_free_of_nothing_beside_the_first_use, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "quire_free_percpu" })
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20, .units = 2,
				   .worker = QUIRE_WORKER_OFF);
	struct quire *q;

	check_u64_eq(quire_create(&options, &q), 0);
	sim_cpu(sim, 0, takes_first, q);
	sim_cpu(sim, 1, gives_nothing, q);
	sim_run(sim);
	check_u64_eq(quire_verify(q), 0);
}

/* ---- a chunk ---------------------------------------------------------------------------------- */

/* Three callers need a chunk at the same time: the first one creates it, once, and its arrays are charged
 * once. */
SIM_TEST(percpu_chunk_is_made_once, .cpus_nr = 3, .events = SIM_MEMORY | SIM_RACE)
{
	struct percpu_scene *scene = make_full(sim);

	sim_cpu(sim, 0, takes_large, scene);
	sim_cpu(sim, 1, takes_large_unwaited, scene);
	sim_cpu(sim, 2, takes_large_atomically, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_u64_eq(scene->pc->chunks_nr, 3);
	check_charge(scene, 0);
}

static void takes_large_and_defers_its_free(void *arg)
{
	struct percpu_scene *scene = arg;
	void *object = percpu_take(scene, LARGE, 0);
	lock_token token = lock_acquire(&scene->pc->lock);

	percpu_give(scene, object, LARGE);
	lock_release(&scene->pc->lock, token);
}

static void takes_deferred(void *arg)
{
	percpu_take_deferred(((struct percpu_scene *)arg)->pc);
}

/* Whoever finds that a free was deferred finds the chunk in which it was, too, however new it is. */
SIM_TEST(percpu_deferred_in_a_new_chunk, .model = SIM_ARM,
	 .enters = { "percpu/free.c:defer", "percpu_take_deferred" })
{
	struct percpu_scene *scene = make_full(sim);

	sim_cpu(sim, 0, takes_large_and_defers_its_free, scene);
	sim_cpu(sim, 1, takes_deferred, scene);
	sim_run(sim);
	percpu_take_deferred(scene->pc);
	percpu_scene_check(scene);
}

/* No call is refused because another thread creates what is needed, or the worker holds the mutex. */
SIM_TEST(percpu_atomic_is_served_beside_a_chunk_being_made, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2)
{
	struct percpu_scene *scene = make_full(sim);

	sim_cpu(sim, 0, takes_large, scene);
	sim_cpu(sim, 1, takes_large_atomically, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_charge(scene, 0);
}

/* A chunk that one caller has created is used, emptied and destroyed while another caller still commits
 * its units: this does not harm the next chunk with that number. */
static void takes_gives_and_shrinks(void *arg)
{
	struct percpu_scene *scene = arg;
	void *object = percpu_take(scene, LARGE, QUIRE_ATOMIC);

	percpu_give(scene, object, LARGE);
	shrinks(scene);
	percpu_take(scene, LARGE, QUIRE_NOWAIT);
}

SIM_TEST(percpu_chunk_goes_beside_its_second_maker, .events = SIM_MEMORY | SIM_RACE)
{
	struct percpu_scene *scene = make_full(sim);

	sim_cpu(sim, 0, takes_gives_and_shrinks, scene);
	sim_cpu(sim, 1, takes_large_unwaited, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_charge(scene, 0);
}

static void takes_two_chunks_unwaited(void *arg)
{
	for (unsigned i = 0; i < 9; i++)
		takes_large_unwaited(arg);
}

/* Of two makers of one chunk the faster goes on to the next chunk, with more of the arrays.  What it counted
 * stays counted when the slower one comes to count what it had begun. */
SIM_TEST(percpu_slower_maker_sets_nothing_back, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .events = SIM_MEMORY)
{
	struct percpu_scene *scene = make_full(sim);

	sim_cpu(sim, 0, takes_large_unwaited, scene);
	sim_cpu(sim, 1, takes_two_chunks_unwaited, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_u64_eq(scene->pc->chunks_ready, 4);
	check_charge(scene, 0);
}

static void forks_child(void *arg)
{
	struct percpu_scene *scene = arg;

	sim_fork_child();
	SIM_CHECK(percpu_take(scene, LARGE, QUIRE_ATOMIC) != NULL);
	SIM_CHECK(percpu_take(scene, LARGE, 0) != NULL);
	store_relaxed(&scene->turn, 1);
}

/* Fork does not wait for a caller that may not wait: what that is making counts as nothing in the child,
 * which makes its own. */
SIM_TEST(percpu_fork_beside_a_maker, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct percpu_scene *scene = make_full(sim);

	sim_cpu(sim, 0, takes_large_atomically, scene);
	sim_cpu(sim, 1, forks_child, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	check_u64_eq(pages_of(scene->q)->zone[0].charged_pages, percpu_charged(scene));
	check_u64_eq(quire_verify(scene->q), 0);
}

/* ---- pages ------------------------------------------------------------------------------------ */

static void takes_many_atomically(void *arg)
{
	struct percpu_scene *scene = arg;

	sim_forbid_wait(true);
	for (unsigned i = 0; i < 8; i++) /* more than the reserve */
		percpu_take(scene, PAGE_BYTES, i % 2 != 0 ? QUIRE_ATOMIC : QUIRE_NOWAIT);
	sim_forbid_wait(false);
}

/* A chunk's pages are given back meanwhile, with the mutex held: pages are populated elsewhere. */
SIM_TEST(percpu_atomic_is_served_beside_a_depopulation, .events = SIM_MEMORY | SIM_RACE)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	percpu_isolate(scene, 12, 22);
	sim_cpu(sim, 0, balances, scene);
	sim_cpu(sim, 1, takes_many_atomically, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_charge(scene, 0);
}

static void takes_small_atomically(void *arg)
{
	percpu_take(arg, 2000, QUIRE_ATOMIC);
}

static void frees_one(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->object[10], PAGE_BYTES);
}

/* Two objects whose page is missing, one page for both: one of them pays for it.  A free beside them may
 * offer another page, and then none is paid for in vain. */
SIM_TEST(percpu_page_is_paid_for_once, .cpus_nr = 3, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);
	uint64_t populated;

	while (scene->pc->empty_pages != 0)
		percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
	populated = scene->pc->populated_pages;
	sim_cpu(sim, 0, takes_small_atomically, scene);
	sim_cpu(sim, 1, takes_small_atomically, scene);
	sim_cpu(sim, 2, frees_one, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	SIM_CHECK(scene->pc->populated_pages <= populated + 1);
	check_charge(scene, 0);
}

/* ---- maps ------------------------------------------------------------------------------------- */

/* Pages are populated when there are maps for them. */
SIM_TEST(percpu_maps_are_made_before_pages, .events = SIM_MEMORY | SIM_RACE)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	while (scene->pc->populated_pages + 2 < scene->pc->maps_ready)
		percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
	sim_cpu(sim, 0, takes_many_atomically, scene);
	sim_cpu(sim, 1, takes_many_atomically, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_charge(scene, 0);
}

/* ---- charges ---------------------------------------------------------------------------------- */

static void takes_one(void *arg)
{
	percpu_take(arg, PAGE_BYTES, 0);
}

static void leaves_a_page_and_frees(void *arg)
{
	struct percpu_scene *scene = arg;

	page_uncharge(scene->q, scene->pc->units);
	for (unsigned i = 16; i < 22; i++)
		percpu_give(scene, scene->object[i], PAGE_BYTES);
}

/* At the limit a caller that may wait charges in advance, so that no other caller takes the room it made.
 * The charge is returned if a page became free meanwhile (R6). */
SIM_TEST(percpu_charge_left_over_is_returned, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);
	uint64_t others;

	others = percpu_use_up_limit(scene, 0);
	sim_cpu(sim, 0, takes_one, scene);
	sim_cpu(sim, 1, leaves_a_page_and_frees, scene);
	sim_run(sim);
	check_charge(scene, others - scene->pc->units);
}

/* At the limit there is room for four pages: those of the second chunk that are empty.  They are the reserve,
 * and not for callers that may wait, unless they are given back. */
static uint64_t leave_the_reserve(struct percpu_scene *scene)
{
	while (scene->pc->empty_pages != 0)
		percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
	for (unsigned i = 12; i < 16; i++)
		percpu_give(scene, scene->object[i], PAGE_BYTES);
	check_u64_eq(scene->pc->empty_pages, EMPTY_HIGH);
	return percpu_use_up_limit(scene, 0);
}

/* One caller returns pages while the other one tries to make room: it is not refused pages that are being
 * returned (R29). */
SIM_TEST(percpu_room_on_its_way_is_waited_for, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);
	uint64_t others = leave_the_reserve(scene);

	sim_cpu(sim, 0, takes_one, scene);
	sim_cpu(sim, 1, takes_one, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_charge(scene, others);
}

static void takes_one_and_frees(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_take(scene, PAGE_BYTES, 0);
	for (unsigned i = 16; i < 22; i++)
		percpu_give(scene, scene->object[i], PAGE_BYTES);
}

/* As above, but the room is made of the chunk's own empty pages, and leaves another caller some too.  The page
 * that this one has populated is no page of the first one's (R6). */
SIM_TEST(percpu_charge_left_over_beside_a_charge, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);
	uint64_t others = leave_the_reserve(scene);

	sim_cpu(sim, 0, takes_one, scene);
	sim_cpu(sim, 1, takes_one_and_frees, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_charge(scene, others);
}
