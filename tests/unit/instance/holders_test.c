/* SPDX-License-Identifier: MIT */
/*
 * holders_test.c - whose holds end in a child of fork, and which drops may still come
 *
 * No process forks here: holders_fork_child() is called as the child would call it, by the thread that
 * would have forked.
 */
#include "quire_test.h"

#include <pthread.h>

#include "base/check.h"
#include "instance/holders.h"

struct other {
	struct holders *holders;
	unsigned adds_nr, drops_nr;
};

static void *other_main(void *arg)
{
	struct other *other = arg;

	for (unsigned i = 0; i < other->adds_nr; i++)
		(void)holders_add(other->holders);
	for (unsigned i = 0; i < other->drops_nr; i++)
		(void)holders_drop(other->holders, NULL, __func__);
	return NULL;
}

/* Another thread that lives at the same time as this one. */
static void another(struct holders *holders, unsigned adds_nr, unsigned drops_nr)
{
	struct other other = { .holders = holders, .adds_nr = adds_nr, .drops_nr = drops_nr };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, other_main, &other), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void first_and_last_hold_are_told(void **state)
{
	struct holders holders = { .nr = 0 };

	(void)state;
	assert_true(holders_add(&holders));
	assert_false(holders_add(&holders));
	another(&holders, 1, 0);
	assert_false(holders_drop(&holders, NULL, __func__));
	assert_false(holders_drop(&holders, NULL, __func__));
	assert_true(holders_drop(&holders, NULL, __func__));
}

static void holds_of_other_threads_end_in_a_child(void **state)
{
	struct holders holders = { .nr = 0 };

	(void)state;
	another(&holders, 2, 0);
	assert_true(holders_fork_child(&holders));
	assert_u64_eq(holders.nr, 0);
	assert_false(holders_fork_child(&holders)); /* there were none */
}

static void own_holds_stay_in_a_child(void **state)
{
	struct holders holders = { .nr = 0 };

	(void)state;
	another(&holders, 2, 0);
	(void)holders_add(&holders);
	assert_false(holders_fork_child(&holders));
	assert_u64_eq(holders.nr, 1);
	assert_true(holders_drop(&holders, NULL, __func__));
}

static void a_hold_that_another_thread_ended_is_over_in_a_child(void **state)
{
	struct holders holders = { .nr = 0 };

	(void)state;
	(void)holders_add(&holders);
	another(&holders, 0, 1); /* it has none: it ends ours */
	another(&holders, 1, 0);
	assert_true(holders_fork_child(&holders));
	assert_u64_eq(holders.nr, 0);
}

/* Code that switches off and on without knowing of forks: each pair is complete, once in a generation. */
static void drops_of_every_generation_may_still_come(void **state)
{
	struct holders holders = { .nr = 0 };

	(void)state;
	another(&holders, 2, 0);
	assert_true(holders_fork_child(&holders));
	another(&holders, 1, 0);
	assert_true(holders_fork_child(&holders));
	for (unsigned i = 0; i < 3; i++)
		assert_false(holders_drop(&holders, NULL, __func__));
	assert_u64_eq(holders.ended_nr, 0);
}

static void drops_once_too_often(void *arg)
{
	struct holders holders = { .nr = 0 };

	(void)arg;
	another(&holders, 1, 0);
	(void)holders_fork_child(&holders);
	(void)holders_drop(&holders, NULL, "a_call");
	(void)holders_drop(&holders, (const struct quire *)(uintptr_t)0x1230, "a_call");
}

static void a_drop_without_a_hold_is_misuse(void **state)
{
	(void)state;
	expect_death(drops_once_too_often, NULL, "quire: misuse: without its pair: address 0x1230");
}

/* More threads than there are records: their holds count, and end in every child. */
static void holds_without_a_record_end_in_a_child(void **state)
{
	struct holders holders = { .nr = 0 };

	(void)state;
	for (unsigned i = 0; i < HOLDERS_NR; i++) {
		holders.thread[i] = i + 1;
		holders.nr_of[i] = 1;
	}
	holders.nr = HOLDERS_NR;
	assert_false(holders_add(&holders));
	assert_u64_eq(holders.nr, HOLDERS_NR + 1);
	assert_true(holders_fork_child(&holders));
	assert_u64_eq(holders.nr, 0);
	assert_u64_eq(holders.ended_nr, HOLDERS_NR + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_and_last_hold_are_told),
		cmocka_unit_test(holds_of_other_threads_end_in_a_child),
		cmocka_unit_test(own_holds_stay_in_a_child),
		cmocka_unit_test(a_hold_that_another_thread_ended_is_over_in_a_child),
		cmocka_unit_test(drops_of_every_generation_may_still_come),
		cmocka_unit_test(a_drop_without_a_hold_is_misuse),
		cmocka_unit_test(holds_without_a_record_end_in_a_child),
	};

	return cmocka_run_group_tests_name("holders", tests, NULL, NULL);
}
