/* SPDX-License-Identifier: MIT */
/* lock_sim.c - guarantees of locks, and detection of violated rules */
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/sim/sim.h"

struct counter {
	struct lock lock, other;
	struct mutex mutex;
	uint32_t value;
	uint32_t refused, tried;
};

static struct counter *counter_make(struct sim *sim)
{
	struct counter *counter = sim_zalloc(sim, sizeof(*counter));

	lock_init(&counter->lock, RANK_PCP);
	lock_init(&counter->other, RANK_ZONE);
	mutex_init(&counter->mutex, RANK_GROW);
	return counter;
}

static void count_under_lock(void *arg)
{
	struct counter *counter = arg;
	lock_token token = lock_acquire(&counter->lock);

	counter->value++;
	lock_release(&counter->lock, token);
}

static void count_if_free(void *arg)
{
	struct counter *counter = arg;
	lock_token token;

	fetch_add_relaxed(&counter->tried, 1); /* pairs with nothing: read at the end */
	if (lock_try(&counter->lock, &token)) {
		counter->value++;
		lock_release(&counter->lock, token);
	} else {
		fetch_add_relaxed(&counter->refused, 1); /* pairs with nothing: read at the end */
	}
}

/* Three CPUs add one each; a lost update would make the sum short, an unordered one is a race. */
SIM_TEST(lock_orders_what_it_guards, .cpus_nr = 3, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3,
	 .events = SIM_RACE | SIM_PLAIN)
{
	struct counter *counter = counter_make(sim);

	for (unsigned cpu = 0; cpu < 3; cpu++)
		sim_cpu(sim, cpu, count_under_lock, counter);
	sim_run(sim);
	check_u64_eq(counter->value, 3);
}

/* A try that fails leaves no trace; each of the two either counted or was refused. */
SIM_TEST(lock_try_counts_or_refuses, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3,
	 .events = SIM_RACE | SIM_TRYFAIL)
{
	struct counter *counter = counter_make(sim);

	sim_cpu(sim, 0, count_if_free, counter);
	sim_cpu(sim, 1, count_if_free, counter);
	sim_run(sim);
	check_u64_eq(counter->value + counter->refused, 2);
}

/* R9: on one CPU a trylock may always say yes because it keeps handlers away. */
SIM_TEST(lock_try_on_up_excludes_handlers, .cpus_nr = 1, .config = SIM_UP,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 2, .events = SIM_PLAIN)
{
	struct counter *counter = counter_make(sim);

	sim_cpu(sim, 0, count_if_free, counter);
	sim_irq(sim, 0, count_if_free, counter, 1);
	sim_run(sim);
	check_u64_eq(counter->refused, 0);
	check_u64_eq(counter->value + counter->refused, counter->tried);
}

/* The same where the handler interrupts between load and store: two counts, or one was refused. */
static void count_twice(void *arg)
{
	count_if_free(arg);
	count_if_free(arg);
}

SIM_TEST(lock_try_on_up_loses_no_count, .cpus_nr = 1, .config = SIM_UP,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 2, .events = SIM_PLAIN)
{
	struct counter *counter = counter_make(sim);

	sim_cpu(sim, 0, count_twice, counter);
	sim_cpu(sim, 0, count_if_free, counter);
	sim_run(sim);
	check_u64_eq(counter->value, 3);
}

/* A nested call may only try, whichever thread holds the lock. */
static void handler_asks_first(void *arg)
{
	if (lock_nested())
		count_if_free(arg);
	else
		count_under_lock(arg);
}

static void hold_both(void *arg)
{
	struct counter *counter = arg;
	lock_token token = lock_acquire(&counter->lock);
	lock_token inner = lock_acquire(&counter->other);

	counter->value++;
	lock_release(&counter->other, inner);
	lock_release(&counter->lock, token);
}

/* R8: a handler on a CPU that holds the lock, and another CPU that wants it. */
SIM_TEST(lock_nested_handler_only_tries, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3)
{
	struct counter *counter = counter_make(sim);

	sim_cpu(sim, 0, hold_both, counter);
	sim_cpu(sim, 1, hold_both, counter);
	sim_irq(sim, 0, handler_asks_first, counter, 1);
	sim_run(sim);
	SIM_CHECK(counter->value + counter->refused >= 2);
}

/* ---- the checkers --------------------------------------------------------------------------- */

static void wrong_order(void *arg)
{
	struct counter *counter = arg;
	lock_token token = lock_acquire(&counter->other);
	lock_token inner = lock_acquire(&counter->lock);

	lock_release(&counter->lock, inner);
	lock_release(&counter->other, token);
}

SIM_TEST(checker_sees_a_wrong_rank, .cpus_nr = 1, .expect = "lock rank")
{
	sim_cpu(sim, 0, wrong_order, counter_make(sim));
	sim_run(sim);
}

static void sleep_under_spin_lock(void *arg)
{
	struct counter *counter = arg;
	lock_token token;

	/* By a try, so that the rank is not what is seen. */
	lock_init(&counter->lock, RANK_INSTANCES);
	if (!lock_try(&counter->lock, &token))
		return;
	mutex_acquire(&counter->mutex);
	mutex_release(&counter->mutex);
	lock_release(&counter->lock, token);
}

SIM_TEST(checker_sees_sleep_under_spin_lock, .cpus_nr = 1, .expect = "sleeping under a spin lock")
{
	sim_cpu(sim, 0, sleep_under_spin_lock, counter_make(sim));
	sim_run(sim);
}

static void release_untaken(void *arg)
{
	lock_release(&((struct counter *)arg)->lock, 0);
}

SIM_TEST(checker_sees_unlock_not_held, .cpus_nr = 1, .expect = "unlock not held")
{
	sim_cpu(sim, 0, release_untaken, counter_make(sim));
	sim_run(sim);
}

/* Of memory that reads zero. */
static void take_unmade(void *arg)
{
	struct counter *counter = arg;
	lock_token token;

	counter->lock = (struct lock){ .word = 0 };
	token = lock_acquire(&counter->lock);
	lock_release(&counter->lock, token);
}

SIM_TEST(checker_sees_a_lock_that_nobody_made, .cpus_nr = 1, .expect = "lock not made")
{
	sim_cpu(sim, 0, take_unmade, counter_make(sim));
	sim_run(sim);
}

static void try_unmade(void *arg)
{
	struct counter *counter = arg;
	lock_token token;

	counter->lock = (struct lock){ .word = 0 };
	if (lock_try(&counter->lock, &token))
		lock_release(&counter->lock, token);
}

SIM_TEST(checker_sees_a_try_of_a_lock_that_nobody_made, .cpus_nr = 1, .expect = "lock not made")
{
	sim_cpu(sim, 0, try_unmade, counter_make(sim));
	sim_run(sim);
}

static void make_while_held(void *arg)
{
	struct counter *counter = arg;
	lock_token token = lock_acquire(&counter->lock);

	lock_init(&counter->lock, RANK_PCP);
	lock_release(&counter->lock, token);
}

SIM_TEST(checker_sees_a_lock_made_while_it_is_held, .cpus_nr = 1, .expect = "lock made again")
{
	sim_cpu(sim, 0, make_while_held, counter_make(sim));
	sim_run(sim);
}

static void end_with_lock(void *arg)
{
	lock_acquire(&((struct counter *)arg)->lock);
}

SIM_TEST(checker_sees_lock_held_at_end, .cpus_nr = 1, .expect = "lock held at the end")
{
	sim_cpu(sim, 0, end_with_lock, counter_make(sim));
	sim_run(sim);
}

static void lock_then_other(void *arg)
{
	struct counter *counter = arg;
	lock_token token = lock_acquire(&counter->lock), inner = lock_acquire(&counter->other);

	lock_release(&counter->other, inner);
	lock_release(&counter->lock, token);
}

static void wait_under_mutex(void *arg)
{
	struct counter *counter = arg;

	mutex_acquire(&counter->mutex);
	sim_wait(&counter->value, 0);
	mutex_release(&counter->mutex);
}

static void wake_under_mutex(void *arg)
{
	struct counter *counter = arg;

	mutex_acquire(&counter->mutex);
	store_relaxed(&counter->value, 1);
	sim_wake(&counter->value);
	mutex_release(&counter->mutex);
}

/* One waits for a word with the mutex held, the other needs the mutex to change the word. */
SIM_TEST(checker_sees_deadlock, .expect = "deadlock")
{
	struct counter *counter = counter_make(sim);

	sim_cpu(sim, 0, wait_under_mutex, counter);
	sim_cpu(sim, 1, wake_under_mutex, counter);
	sim_run(sim);
}

/* The opposite orders of two CPUs agree: no report. */
SIM_TEST(lock_ranks_in_order_end, .explore = SIM_ALL_SCHEDULES, .preempt_max = 4)
{
	struct counter *counter = counter_make(sim);

	sim_cpu(sim, 0, lock_then_other, counter);
	sim_cpu(sim, 1, lock_then_other, counter);
	sim_run(sim);
	SIM_CHECK(!lock_is_held(&counter->lock) && !lock_is_held(&counter->other));
}

static void count_bare(void *arg)
{
	((struct counter *)arg)->value++;
}

SIM_TEST(checker_sees_data_race, .events = SIM_RACE, .expect = "data race")
{
	struct counter *counter = counter_make(sim);

	sim_cpu(sim, 0, count_under_lock, counter);
	sim_cpu(sim, 1, count_bare, counter);
	sim_run(sim);
}

static void set_bare_and_fail_to_release(void *arg)
{
	struct counter *counter = arg;
	uint32_t expected = 7;

	counter->value = 1;
	SIM_CHECK(!cas_release(&counter->refused, &expected, 1));
	store_relaxed(&counter->tried, 1);
}

static void read_bare_after_failed_release(void *arg)
{
	struct counter *counter = arg;

	if (load_relaxed(&counter->tried) == 0)
		return;
	(void)load_acquire(&counter->refused);
	SIM_CHECK(counter->value <= 1);
}

/* A compare-and-exchange that fails is a load: it publishes nothing. */
SIM_TEST(checker_sees_race_past_failed_cas, .events = SIM_RACE, .expect = "data race")
{
	struct counter *counter = counter_make(sim);

	sim_cpu(sim, 0, set_bare_and_fail_to_release, counter);
	sim_cpu(sim, 1, read_bare_after_failed_release, counter);
	sim_run(sim);
}

static void wait_for_two(void *arg)
{
	struct counter *counter = arg;

	while (load_acquire(&counter->value) < 2) /* pairs with nothing: nobody stores 2 */
		;
}

SIM_TEST(checker_sees_livelock, .cpus_nr = 1, .expect = "livelock")
{
	sim_cpu(sim, 0, wait_for_two, counter_make(sim));
	sim_run(sim);
}

static void look_then_wait(void *arg)
{
	struct counter *counter = arg;

	if (load_relaxed(&counter->value) == 0) /* the look is too early: that is the bug */
		sim_wait(&counter->refused, 0);
}

static void set_and_wake(void *arg)
{
	struct counter *counter = arg;

	store_relaxed(&counter->value, 1);
	sim_wake(&counter->refused);
}

SIM_TEST(checker_sees_lost_wakeup, .expect = "lost wake-up")
{
	struct counter *counter = counter_make(sim);

	sim_cpu(sim, 0, look_then_wait, counter);
	sim_cpu(sim, 1, set_and_wake, counter);
	sim_run(sim);
}

static void read_later(void *arg)
{
	(void)load_relaxed(&((struct counter *)arg)->value);
}

static void free_object(void *arg)
{
	sim_free(arg);
}

SIM_TEST(checker_sees_use_after_free, .events = SIM_MEMORY, .expect = "use after free")
{
	struct counter *counter = counter_make(sim);

	sim_cpu(sim, 0, free_object, counter);
	sim_cpu(sim, 1, read_later, counter);
	sim_run(sim);
}
