/* SPDX-License-Identifier: MIT */
/* percpu_handler_sim.c - signal handlers and fork */
#include "sim/percpu/percpu_scene.h"

static void gives_and_takes(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->object[20], PAGE_BYTES);
	percpu_take(scene, 24, 0);
	percpu_give(scene, scene->object[21], PAGE_BYTES);
	percpu_take(scene, 24, 0);
}

static void handler_gives(void *arg)
{
	struct percpu_scene *scene = arg;
	uint32_t turn = fetch_add_relaxed(&scene->turn, 1); /* the handler's own */

	if (turn < 6)
		percpu_give(scene, scene->small[turn], 8);
}

static void takes_deferred(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned i = 0; i < 3; i++)
		percpu_take_deferred(scene->pc);
}

static void takes_new_pages(void *arg)
{
	for (unsigned i = 0; i < 2; i++)
		percpu_take(arg, PAGE_BYTES, 0);
}

/* Objects that a handler frees without getting the lock are processed exactly once.  Their bits are in
 * one word. */
SIM_TEST(percpu_deferred_free_is_never_lost)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	for (unsigned i = 0; i < 6; i++)
		scene->small[i] = percpu_take(scene, 8, 0);
	sim_cpu(sim, 0, takes_new_pages, scene);
	sim_cpu(sim, 1, takes_deferred, scene);
	sim_irq(sim, 0, handler_gives, scene, 4);
	sim_irq(sim, 1, handler_gives, scene, 2);
	sim_run(sim);
	percpu_scene_check(scene);
}

struct holder {
	struct percpu_scene *scene;
	struct lock lock;
	unsigned next;
};

/* As a handler that interrupted a holder: it only tries. */
static void gives_while_holding(void *arg)
{
	struct holder *holder = arg;
	lock_token token = lock_acquire(&holder->lock);

	percpu_give(holder->scene, holder->scene->small[holder->next++], 8);
	lock_release(&holder->lock, token);
}

static void takes_deferred_once(void *arg)
{
	struct holder *holder = arg;

	percpu_take_deferred(holder->scene->pc);
}

/* One object's bit is taken while another's is set in the same word. */
SIM_TEST(percpu_deferred_bits_are_taken_at_once, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct holder holder = { .scene = percpu_scene_make(sim, false) };
	lock_token token;

	lock_init(&holder.lock, RANK_PERCPU_CPU);
	for (unsigned i = 0; i < 3; i++)
		holder.scene->small[i] = percpu_take(holder.scene, 8, 0);
	token = lock_acquire(&holder.scene->pc->lock);
	percpu_give(holder.scene, holder.scene->small[holder.next++], 8);
	lock_release(&holder.scene->pc->lock, token);
	SIM_CHECK(holder.scene->pc->deferred_nr != 0);
	sim_cpu(sim, 0, gives_while_holding, &holder);
	sim_cpu(sim, 1, takes_deferred_once, &holder);
	sim_run(sim);
	percpu_scene_check(holder.scene);
}

static void gives_small_0_locked(void *arg)
{
	struct percpu_scene *scene = arg;
	lock_token token = lock_acquire(&scene->pc->lock);

	percpu_give(scene, scene->small[0], 8);
	lock_release(&scene->pc->lock, token);
}

static void takes_deferred_twice(void *arg)
{
	struct percpu_scene *scene = arg;

	for (unsigned i = 0; i < 2; i++)
		percpu_take_deferred(scene->pc);
}

/* A free is deferred while others are taken in: whoever sees that there is one finds its chunk, and in it the
 * object's bit.  What is found by nobody now is found by the next. */
SIM_TEST(percpu_deferred_free_beside_taking_in, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "percpu/free.c:defer", "take_chunk" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	for (unsigned i = 0; i < 3; i++)
		scene->small[i] = percpu_take(scene, 8, 0);
	sim_cpu(sim, 0, gives_small_0_locked, scene);
	sim_cpu(sim, 1, takes_deferred_twice, scene);
	sim_run(sim);
	percpu_take_deferred(scene->pc);
	percpu_scene_check(scene);
}

static void gives_a_page_of_chunk_0(void *arg)
{
	struct holder *holder = arg;
	lock_token token = lock_acquire(&holder->lock);

	percpu_give(holder->scene, holder->scene->object[0], PAGE_BYTES);
	lock_release(&holder->lock, token);
}

static void gives_a_page_of_chunk_1(struct percpu_scene *scene)
{
	lock_token token = lock_acquire(&scene->pc->lock);

	percpu_give(scene, scene->object[20], PAGE_BYTES);
	lock_release(&scene->pc->lock, token);
}

static void gives_page_9(void *arg)
{
	struct holder *holder = arg;
	lock_token token = lock_acquire(&holder->lock);

	percpu_give(holder->scene, holder->scene->object[9], PAGE_BYTES);
	lock_release(&holder->lock, token);
}

/* QUIRE_NOLOCK: these do not take in what was deferred, or its announcement would order the two users. */
static void takes_deferred_and_uses_them(void *arg)
{
	struct holder *holder = arg;

	percpu_take_deferred(holder->scene->pc);
	percpu_take(holder->scene, PAGE_BYTES, QUIRE_NOLOCK);
	percpu_take(holder->scene, PAGE_BYTES, QUIRE_NOLOCK);
}

/* A bit that is found before its free was announced is a free like another: what the object's last user did comes
 * before what the next one does.  Another free of its chunk was announced, and the search comes to the bit soon. */
SIM_TEST(percpu_deferred_object_is_used_again, .events = SIM_RACE | SIM_TRYFAIL,
	 .enters = { "percpu/free.c:defer", "take_chunk" })
{
	struct holder holder = { .scene = percpu_scene_make(sim, false) };
	struct percpu_scene *scene = holder.scene;

	lock_init(&holder.lock, RANK_PERCPU_CPU);
	while (scene->pc->empty_pages != 0)
		percpu_take(scene, PAGE_BYTES, QUIRE_ATOMIC);
	gives_a_page_of_chunk_1(scene);
	SIM_CHECK(place_chunk(scene->pc, place_of(scene->pc, scene->object[9])) == 1);
	sim_cpu(sim, 0, gives_page_9, &holder);
	sim_cpu(sim, 1, takes_deferred_and_uses_them, &holder);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void takes_small(void *arg)
{
	percpu_take(arg, 24, 0);
}

static void keeps_the_lock_busy(void *arg)
{
	for (unsigned i = 0; i < 3; i++)
		percpu_give(arg, percpu_take(arg, 24, 0), 24);
}

/* A free is deferred in a chunk that has been searched, while the last one is: it is not forgotten that there is
 * one. */
SIM_TEST(percpu_deferred_in_a_chunk_that_was_searched, .cpus_nr = 3,
	 .enters = { "percpu/free.c:defer", "take_chunk" })
{
	struct holder holder = { .scene = percpu_scene_make(sim, false) };
	struct percpu_scene *scene = holder.scene;

	lock_init(&holder.lock, RANK_PERCPU_CPU);
	gives_a_page_of_chunk_1(scene);
	sim_cpu(sim, 0, gives_a_page_of_chunk_0, &holder);
	sim_cpu(sim, 1, takes_deferred_twice, scene);
	sim_cpu(sim, 2, keeps_the_lock_busy, scene);
	sim_run(sim);
	percpu_take_deferred(scene->pc);
	percpu_scene_check(scene);
}

static void gives_two(void *arg)
{
	struct percpu_scene *scene = arg;

	gives_a_page_of_chunk_1(scene);
	SIM_CHECK(scene->pc->deferred_nr != 0);
	percpu_give(scene, scene->object[0], PAGE_BYTES);
	check_u64_eq(scene->pc->deferred_nr, 0);
}

static void gives_many_at_once(void *arg)
{
	struct percpu_scene *scene = arg;

	gives_a_page_of_chunk_1(scene);
	SIM_CHECK(scene->pc->deferred_nr != 0);
	quire_free_percpu_bulk(scene->q, scene->object, 16);
	check_u64_eq(scene->pc->deferred_nr, 0);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

/* The next free takes in what was deferred, whether it frees one object or many. */
SIM_TEST(percpu_free_takes_in_what_was_deferred, .cpus_nr = 1, .enters = { "free_slow" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	sim_cpu(sim, 0, gives_two, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

SIM_TEST(percpu_bulk_free_takes_in_what_was_deferred, .cpus_nr = 1,
	 .enters = { "quire_free_percpu_bulk" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	sim_cpu(sim, 0, gives_many_at_once, scene);
	sim_run(sim);
}

/* Deferring a free wakes the worker: the next ordinary call may come much later. */
SIM_TEST(percpu_deferred_free_calls_the_worker)
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	scene->small[0] = percpu_take(scene, 8, 0);
	percpu_take(scene, 24, 0);
	percpu_balance(scene, false);
	store_relaxed(&scene->pc->due_ns, WORK_IDLE);
	sim_cpu(sim, 0, takes_small, scene);
	sim_irq(sim, 0, handler_gives, scene, 1);
	sim_run(sim);
	SIM_CHECK(scene->pc->deferred_nr == 0 || scene->pc->due_ns != WORK_IDLE);
	percpu_scene_check(scene);
}

static void handler_takes(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, percpu_take(scene, 16, QUIRE_NOLOCK), 16);
}

/* A handler allocates and frees whatever it interrupted, or is refused; nothing waits. */
SIM_TEST(percpu_handler_only_tries, .events = SIM_TRYFAIL)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	sim_cpu(sim, 0, gives_and_takes, scene);
	sim_irq(sim, 0, handler_takes, scene, 2);
	sim_irq(sim, 1, handler_takes, scene, 1);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void gives_and_takes_pages(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->object[20], PAGE_BYTES);
	percpu_take(scene, 3 * PAGE_BYTES, 0);
}

static void forks_child(void *arg)
{
	struct percpu_scene *scene = arg;

	sim_fork_child();
	SIM_CHECK(percpu_take(scene, 24, 0) != NULL);
	percpu_give(scene, scene->object[9], PAGE_BYTES);
	store_relaxed(&scene->turn, 1);
}

/* The child finds every lock free and every map whole. */
SIM_TEST(percpu_fork_copies_whole_maps, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	sim_cpu(sim, 0, gives_and_takes_pages, scene);
	sim_cpu(sim, 1, forks_child, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	check_u64_eq(quire_verify(scene->q), 0);
}

static void forks_child_and_takes_deferred(void *arg)
{
	struct holder *holder = arg;

	sim_fork_child();
	percpu_take_deferred(holder->scene->pc);
}

/* A thread that takes in deferred frees does not exist in the child, which takes them in itself: none is lost. */
SIM_TEST(percpu_fork_beside_who_takes_deferred_frees, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "take_chunk", "percpu_fork_child_deferred" })
{
	struct holder holder = { .scene = percpu_scene_make(sim, false) };
	lock_token token;

	holder.scene->small[0] = percpu_take(holder.scene, 8, 0);
	token = lock_acquire(&holder.scene->pc->lock);
	percpu_give(holder.scene, holder.scene->small[0], 8);
	lock_release(&holder.scene->pc->lock, token);
	sim_cpu(sim, 0, takes_deferred_once, &holder);
	sim_cpu(sim, 1, forks_child_and_takes_deferred, &holder);
	sim_run(sim);
	percpu_scene_check(holder.scene);
}

/* ---- stacks and fork -------------------------------------------------------------------------- */

#define SIZE 200u /* of a class whose entries are on another page than the stack's header */

/* What was the newest entry is the oldest afterwards. */
static void turns_stack_over(void *arg)
{
	struct percpu_scene *scene = arg;
	void *newest = percpu_take(scene, SIZE, 0);

	percpu_take(scene, SIZE, 0);
	percpu_give(scene, newest, SIZE);
}

static void child_empties_stacks(void *arg)
{
	struct percpu_scene *scene = arg;

	sim_fork_child();
	quire_percpu_shrink(scene->q);
	check_u64_eq(quire_verify(scene->q), 0);
	store_relaxed(&scene->turn, 1);
}

/* The child's pages are copied one after the other while others would push and pop, and a stack's
 * header is on another page than its entries: an old top over new entries has one of them twice. */
SIM_TEST(percpu_fork_copies_whole_stacks, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	for (unsigned i = 0; i < 2; i++)
		scene->small[i] = percpu_take(scene, SIZE, 0);
	for (unsigned i = 0; i < 2 * COUNT_WARM; i++)
		percpu_give(scene, percpu_take(scene, SIZE, 0), SIZE);
	for (unsigned i = 0; i < 2; i++)
		percpu_give(scene, scene->small[i], SIZE);
	SIM_CHECK(cache_count(scene->pc) >= 2);
	sim_cpu(sim, 0, turns_stack_over, scene);
	sim_cpu(sim, 1, child_empties_stacks, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	check_u64_eq(quire_verify(scene->q), 0);
}

static void frees_small_1(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->small[1], SIZE);
}

static void child_frees_small_0(void *arg)
{
	struct percpu_scene *scene = arg;

	sim_fork_downwards();
	sim_fork_child();
	quire_percpu_shrink(scene->q);
	percpu_give(scene, scene->small[0], SIZE);
	check_u64_eq(quire_verify(scene->q), 0);
	store_relaxed(&scene->turn, 1);
}

/* A push that began before the stacks were closed has ended before the first page is copied: a new top over old entries
 * has an object there that is in use. */
SIM_TEST(percpu_fork_waits_for_pushes, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .enters = { "cache_close_all" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	for (unsigned i = 0; i < 2; i++)
		scene->small[i] = percpu_take(scene, SIZE, 0);
	for (unsigned i = 0; i < 2 * COUNT_WARM; i++)
		percpu_give(scene, percpu_take(scene, SIZE, 0), SIZE);
	percpu_give(scene, scene->small[0], SIZE);
	scene->small[0] = percpu_take(scene, SIZE, 0); /* now above the top */
	sim_cpu(sim, 0, frees_small_1, scene);
	sim_cpu(sim, 1, child_frees_small_0, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}
