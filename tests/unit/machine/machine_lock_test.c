/* SPDX-License-Identifier: MIT */
#include "quire_test.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lock.h"

#define ROUNDS 20000u

/* Two numbers that only a holder changes, by plain accesses: they differ if two ever hold. */
struct guarded {
	struct lock lock;
	struct mutex mutex;
	uint64_t first, second;
	uint64_t broken_nr; /* atomic */
	uint64_t tries_nr;  /* atomic: tries that were let in */
};

static void guarded_init(struct guarded *guarded)
{
	*guarded = (struct guarded){ .first = 0 };
	lock_init(&guarded->lock, RANK_ZONE);
	mutex_init(&guarded->mutex, RANK_GIVEBACK);
}

static void change(struct guarded *guarded)
{
	volatile uint64_t *first = &guarded->first, *second = &guarded->second;

	if (*first != *second)
		fetch_add_relaxed(&guarded->broken_nr, 1);
	*first = *first + 1;
	*second = *second + 1;
}

static void change_under_lock(unsigned index, void *arg)
{
	struct guarded *guarded = arg;

	(void)index;
	for (unsigned i = 0; i < ROUNDS; i++) {
		lock_token token = lock_acquire(&guarded->lock);

		change(guarded);
		lock_release(&guarded->lock, token);
	}
}

static void change_under_mutex(unsigned index, void *arg)
{
	struct guarded *guarded = arg;

	(void)index;
	for (unsigned i = 0; i < ROUNDS; i++) {
		mutex_acquire(&guarded->mutex);
		change(guarded);
		mutex_release(&guarded->mutex);
	}
}

static void change_if_let_in(unsigned index, void *arg)
{
	struct guarded *guarded = arg;
	lock_token token;

	(void)index;
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (!lock_try(&guarded->lock, &token))
			continue;
		fetch_add_relaxed(&guarded->tries_nr, 1);
		change(guarded);
		lock_release(&guarded->lock, token);
	}
}

static void lock_excludes_threads(void **state)
{
	struct guarded guarded;

	(void)state;
	guarded_init(&guarded);
	team_run(4, change_under_lock, &guarded);
	assert_u64_eq(guarded.broken_nr, 0);
	assert_u64_eq(guarded.first, 4 * ROUNDS);
	assert_false(lock_is_held(&guarded.lock));
}

static void mutex_excludes_threads(void **state)
{
	struct guarded guarded;

	(void)state;
	guarded_init(&guarded);
	team_run(4, change_under_mutex, &guarded);
	assert_u64_eq(guarded.broken_nr, 0);
	assert_u64_eq(guarded.first, 4 * ROUNDS);
	assert_false(mutex_is_held(&guarded.mutex));
}

static void try_excludes_threads(void **state)
{
	struct guarded guarded;

	(void)state;
	guarded_init(&guarded);
	team_run(4, change_if_let_in, &guarded);
	assert_u64_eq(guarded.broken_nr, 0);
	assert_u64_eq(guarded.first, guarded.tries_nr);
	assert_true(guarded.tries_nr != 0);
}

static void try_fails_while_held(void **state)
{
	struct guarded guarded;
	lock_token held, tried;

	(void)state;
	guarded_init(&guarded);
	held = lock_acquire(&guarded.lock);
	assert_true(lock_is_held(&guarded.lock));
	assert_false(lock_try(&guarded.lock, &tried));
	lock_release(&guarded.lock, held);
	assert_true(lock_try(&guarded.lock, &tried));
	lock_release(&guarded.lock, tried);

	mutex_acquire(&guarded.mutex);
	assert_false(mutex_try(&guarded.mutex));
	mutex_release(&guarded.mutex);
	assert_true(mutex_try(&guarded.mutex));
	mutex_release(&guarded.mutex);
}

static void *acquire_once(void *arg)
{
	struct guarded *guarded = arg;
	lock_token token = lock_acquire(&guarded->lock);

	change(guarded);
	lock_release(&guarded->lock, token);
	return NULL;
}

/* Holds the lock, and has a thread that wants it. */
static lock_token hold_before_waiter(struct guarded *guarded, pthread_t *thread)
{
	lock_token token;

	guarded_init(guarded);
	token = lock_acquire(&guarded->lock);
	assert_int_equal(load_relaxed(&guarded->lock.waited), 0);
	assert_int_equal(pthread_create(thread, NULL, acquire_once, guarded), 0);
	return token;
}

/* The waiter has gone to sleep when the word says so; nobody but release can wake it. */
static void waiter_sleeps_and_is_woken(void **state)
{
	struct guarded guarded;
	pthread_t thread;
	lock_token token;

	(void)state;
	token = hold_before_waiter(&guarded, &thread);
	while (load_relaxed(&guarded.lock.word) != LOCK_CONTENDED)
		usleep(100);
	usleep(1000);
	assert_u64_eq(guarded.first, 0);
	lock_release(&guarded.lock, token);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_u64_eq(guarded.first, 1);
}

/* Who finds the lock held leaves a note; a loop of holds takes it off. */
static void waiter_leaves_a_note(void **state)
{
	struct guarded guarded;
	pthread_t thread;
	lock_token token;

	(void)state;
	token = hold_before_waiter(&guarded, &thread);
	while (load_relaxed(&guarded.lock.waited) == 0)
		usleep(100);
	lock_release(&guarded.lock, token);
	lock_let_others_in(&guarded.lock);
	assert_int_equal(pthread_join(thread, NULL), 0);
	lock_let_others_in(&guarded.lock); /* it may have spun again */
	assert_int_equal(load_relaxed(&guarded.lock.waited), 0);
	assert_u64_eq(guarded.first, 1);
}

static void count_follows_acquire_try_and_release(void **state)
{
	struct guarded guarded;
	lock_token first, second;

	(void)state;
	guarded_init(&guarded);
	assert_false(lock_nested());
	mutex_acquire(&guarded.mutex);
	assert_true(lock_nested());
	first = lock_acquire(&guarded.lock);
	assert_false(lock_try(&guarded.lock, &second));
	lock_release(&guarded.lock, first);
	assert_true(lock_nested());
	mutex_release(&guarded.mutex);
	assert_false(lock_nested());
}

/* --- signal handlers --- */

static struct guarded *handled;
static volatile sig_atomic_t handler_runs, handler_nested, handler_untold, handler_got;

/* A lock that the interrupted frame of this thread holds must show in the count. */
static void handler(int signal)
{
	lock_token token;

	(void)signal;
	handler_runs++;
	handler_nested += lock_nested();
	if (lock_is_held(&handled->lock) && !lock_nested())
		handler_untold++;
	if (lock_try(&handled->lock, &token)) {
		handler_got++;
		lock_release(&handled->lock, token);
	}
}

static void handler_set(struct guarded *guarded)
{
	const struct sigaction action = { .sa_handler = handler };

	guarded_init(guarded);
	handled = guarded;
	handler_runs = handler_nested = handler_untold = handler_got = 0;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}

static void handler_knows_that_it_interrupted_a_holder(void **state)
{
	struct guarded guarded;
	lock_token token;

	(void)state;
	handler_set(&guarded);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(handler_nested, 0);
	assert_int_equal(handler_got, 1);
	token = lock_acquire(&guarded.lock);
	assert_int_equal(raise(SIGUSR1), 0);
	lock_release(&guarded.lock, token);
	assert_int_equal(handler_nested, 1);
	assert_int_equal(handler_got, 1);
	assert_int_equal(handler_runs, 2);
}

struct victim {
	pthread_t thread;
	uint32_t done; /* atomic */
};

static void *send_signals(void *arg)
{
	struct victim *victim = arg;

	while (!load_acquire(&victim->done)) {
		pthread_kill(victim->thread, SIGUSR1);
		usleep(20);
	}
	return NULL;
}

/* Signals hit a thread that only takes and gives one lock: between raising the count and taking
 * the lock, under it, and between releasing it and lowering the count. */
static void handler_never_meets_a_held_lock_that_is_not_counted(void **state)
{
	struct guarded guarded;
	struct victim victim = { .thread = pthread_self() };
	pthread_t sender;

	(void)state;
	handler_set(&guarded);
	assert_int_equal(pthread_create(&sender, NULL, send_signals, &victim), 0);
	while (handler_runs < 2000) {
		lock_token token = lock_acquire(&guarded.lock);

		change(&guarded);
		lock_release(&guarded.lock, token);
	}
	store_release(&victim.done, 1);
	assert_int_equal(pthread_join(sender, NULL), 0);
	assert_int_equal(handler_untold, 0);
	assert_true(handler_nested > 0);
	assert_u64_eq(guarded.broken_nr, 0);
	assert_false(lock_nested());
}

/* --- ranks --- */

static void zone_then_pcp(void *arg)
{
	struct lock zone, pcp;
	lock_token token;

	(void)arg;
	lock_init(&zone, RANK_ZONE);
	lock_init(&pcp, RANK_PCP);
	token = lock_acquire(&zone);
	(void)lock_acquire(&pcp);
	lock_release(&zone, token);
}

static void mutex_under_spin(void *arg)
{
	struct lock zone;
	struct mutex report;

	(void)arg;
	lock_init(&zone, RANK_ZONE);
	mutex_init(&report, RANK_GIVEBACK);
	(void)lock_acquire(&zone);
	mutex_acquire(&report);
}

static void same_rank_twice(void *arg)
{
	struct lock pcps[2];

	(void)arg;
	lock_init(&pcps[0], RANK_PCP);
	lock_init(&pcps[1], RANK_PCP);
	(void)lock_acquire(&pcps[0]);
	(void)lock_acquire(&pcps[1]);
}

static void ordered_downwards(void *arg)
{
	struct lock pcps[2];

	(void)arg;
	lock_init(&pcps[0], RANK_PCP);
	lock_init(&pcps[1], RANK_PCP);
	(void)lock_acquire_ordered(&pcps[1]);
	(void)lock_acquire_ordered(&pcps[0]);
}

static void in_order(void *arg)
{
	struct mutex report;
	struct lock pcps[2], zone;
	lock_token tokens[4];

	(void)arg;
	mutex_init(&report, RANK_GIVEBACK);
	lock_init(&pcps[0], RANK_PCP);
	lock_init(&pcps[1], RANK_PCP);
	lock_init(&zone, RANK_ZONE);
	mutex_acquire(&report);
	tokens[0] = lock_acquire_ordered(&pcps[0]);
	tokens[1] = lock_acquire_ordered(&pcps[1]);
	tokens[2] = lock_acquire(&zone);
	lock_release(&zone, tokens[2]);
	lock_release(&pcps[1], tokens[1]);
	lock_release(&pcps[0], tokens[0]);
	mutex_release(&report);
	/* A try is exempt. */
	tokens[2] = lock_acquire(&zone);
	CHECK(lock_try(&pcps[0], &tokens[3]));
	lock_release(&pcps[0], tokens[3]);
	lock_release(&zone, tokens[2]);
}

static void ranks_in_order_are_accepted(void **state)
{
	(void)state;
	expect_life(in_order, NULL);
}

static void rank_violation_dies_with_both_names(void **state)
{
	(void)state;
	if (!QUIRE_DEBUG)
		skip_because("ranks are checked in builds with -Ddebug_checks=true");
	expect_death(zone_then_pcp, NULL,
		     "quire: bug: lock order: PCP wanted while holding ZONE, CPU ");
	expect_death(mutex_under_spin, NULL,
		     "quire: bug: lock order: GIVEBACK wanted while holding ZONE, CPU ");
	expect_death(same_rank_twice, NULL,
		     "quire: bug: lock order: PCP wanted while holding PCP, CPU ");
	expect_death(ordered_downwards, NULL,
		     "quire: bug: lock order: PCP wanted while holding PCP, CPU ");
}

static void mutex_of_spin_rank(void *arg)
{
	struct mutex mutex;

	(void)arg;
	mutex_init(&mutex, RANK_ZONE);
}

static void init_refuses_a_rank_of_the_other_kind(void **state)
{
	(void)state;
	expect_death(mutex_of_spin_rank, NULL, "quire: bug: CHECK(rank < RANK_SPIN_FIRST)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lock_excludes_threads),
		cmocka_unit_test(mutex_excludes_threads),
		cmocka_unit_test(try_excludes_threads),
		cmocka_unit_test(try_fails_while_held),
		cmocka_unit_test(waiter_sleeps_and_is_woken),
		cmocka_unit_test(waiter_leaves_a_note),
		cmocka_unit_test(count_follows_acquire_try_and_release),
		cmocka_unit_test(handler_knows_that_it_interrupted_a_holder),
		cmocka_unit_test(handler_never_meets_a_held_lock_that_is_not_counted),
		cmocka_unit_test(ranks_in_order_are_accepted),
		cmocka_unit_test(rank_violation_dies_with_both_names),
		cmocka_unit_test(init_refuses_a_rank_of_the_other_kind),
	};

	return cmocka_run_group_tests_name("machine_lock", tests, NULL, NULL);
}
