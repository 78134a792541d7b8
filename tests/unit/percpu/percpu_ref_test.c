/* SPDX-License-Identifier: MIT */
/* percpu_ref_test.c - references: one test for each row of their life, and each misuse */
#include "quire_test.h"

#include <unistd.h>

#include <quire/percpu_ref.h>

#include "machine/cpu.h"

static struct quire_percpu_ref ref;
static unsigned released_nr, confirmed_nr;

static void release(struct quire_percpu_ref *which)
{
	assert_ptr_equal(which, &ref);
	released_nr++;
}

static void confirm(struct quire_percpu_ref *which)
{
	assert_false(quire_percpu_ref_tryget_live(which));
	assert_int_equal(released_nr, 0);
	confirmed_nr++;
}

static void make(unsigned flags)
{
	released_nr = confirmed_nr = 0;
	assert_int_equal(quire_percpu_ref_init(quire_default(), &ref, release, flags), 0);
}

static void kill_drops_the_owners_reference(void **state)
{
	(void)state;
	make(0);
	assert_false(quire_percpu_ref_is_zero(&ref));
	assert_false(quire_percpu_ref_is_dying(&ref));
	quire_percpu_ref_kill(&ref);
	assert_int_equal(released_nr, 1);
	assert_true(quire_percpu_ref_is_zero(&ref));
	assert_true(quire_percpu_ref_is_dying(&ref));
	assert_false(quire_percpu_ref_tryget(&ref));
	quire_percpu_ref_exit(&ref);
}

static void many_are_taken_or_none(void **state)
{
	(void)state;
	make(0);
	assert_true(quire_percpu_ref_tryget_many(&ref, 3)); /* on this CPU */
	quire_percpu_ref_kill(&ref);
	assert_true(quire_percpu_ref_tryget_many(&ref, 4)); /* in the word */
	quire_percpu_ref_put_many(&ref, 6);
	assert_int_equal(released_nr, 0);
	quire_percpu_ref_put(&ref);
	assert_int_equal(released_nr, 1);
	assert_false(quire_percpu_ref_tryget_many(&ref, 2));
	assert_true(quire_percpu_ref_is_zero(&ref));
	quire_percpu_ref_exit(&ref);
}

static void last_put_after_kill_releases(void **state)
{
	(void)state;
	make(0);
	quire_percpu_ref_get(&ref);
	quire_percpu_ref_get_many(&ref, 5);
	assert_true(quire_percpu_ref_tryget(&ref));
	assert_true(quire_percpu_ref_tryget_live(&ref));
	quire_percpu_ref_kill_and_confirm(&ref, confirm);
	assert_int_equal(confirmed_nr, 1);
	assert_int_equal(released_nr, 0);
	assert_false(quire_percpu_ref_tryget_live(&ref));
	assert_true(quire_percpu_ref_tryget(&ref));
	quire_percpu_ref_put_many(&ref, 8);
	assert_int_equal(released_nr, 0);
	quire_percpu_ref_put(&ref);
	assert_int_equal(released_nr, 1);
	quire_percpu_ref_exit(&ref);
}

/* Taken on one CPU and dropped on the other: one slot is negative. */
static void slots_may_be_negative(void **state)
{
	int here = allowed_cpu_next(0), there = allowed_cpu_next((unsigned)here + 1);

	(void)state;
	if (there < 0)
		skip_because("it takes two CPUs");
	make(0);
	assert_true(pin_to_cpu((unsigned)here));
	quire_percpu_ref_get_many(&ref, 100);
	assert_true(pin_to_cpu((unsigned)there));
	quire_percpu_ref_put_many(&ref, 99);
	quire_percpu_ref_kill(&ref);
	assert_int_equal(released_nr, 0);
	quire_percpu_ref_put(&ref);
	assert_int_equal(released_nr, 1);
	quire_percpu_ref_exit(&ref);
}

static void atomic_counts_in_one_word_and_back(void **state)
{
	(void)state;
	make(QUIRE_PERCPU_REF_ATOMIC);
	quire_percpu_ref_get(&ref);
	quire_percpu_ref_switch_to_percpu(&ref);
	quire_percpu_ref_get_many(&ref, 3);
	quire_percpu_ref_switch_to_atomic(&ref);
	quire_percpu_ref_put_many(&ref, 2);
	quire_percpu_ref_switch_to_percpu(&ref);
	quire_percpu_ref_put(&ref);
	quire_percpu_ref_kill(&ref);
	assert_int_equal(released_nr, 0);
	quire_percpu_ref_put(&ref);
	assert_int_equal(released_nr, 1);
	quire_percpu_ref_exit(&ref);
}

static void dead_begins_at_zero_and_is_revived(void **state)
{
	(void)state;
	make(QUIRE_PERCPU_REF_DEAD);
	assert_true(quire_percpu_ref_is_zero(&ref));
	assert_false(quire_percpu_ref_tryget(&ref));
	for (unsigned life = 1; life <= 3; life++) {
		quire_percpu_ref_reinit(&ref);
		assert_true(quire_percpu_ref_tryget_live(&ref));
		quire_percpu_ref_put(&ref);
		assert_int_equal(released_nr, life - 1);
		quire_percpu_ref_kill(&ref);
		assert_int_equal(released_nr, life);
	}
	quire_percpu_ref_exit(&ref);
}

static void resurrected_before_zero_lives_on(void **state)
{
	(void)state;
	make(0);
	quire_percpu_ref_get(&ref);
	quire_percpu_ref_kill(&ref);
	quire_percpu_ref_resurrect(&ref);
	assert_true(quire_percpu_ref_tryget_live(&ref));
	quire_percpu_ref_put_many(&ref, 2);
	assert_int_equal(released_nr, 0);
	quire_percpu_ref_kill(&ref);
	assert_int_equal(released_nr, 1);
	quire_percpu_ref_exit(&ref);
}

static void resurrected_at_zero_lives_on(void **state)
{
	(void)state;
	make(0);
	quire_percpu_ref_kill(&ref);
	assert_int_equal(released_nr, 1);
	quire_percpu_ref_resurrect(&ref);
	assert_true(quire_percpu_ref_tryget_live(&ref));
	quire_percpu_ref_put(&ref);
	assert_int_equal(released_nr, 1);
	quire_percpu_ref_kill(&ref);
	assert_int_equal(released_nr, 2);
	quire_percpu_ref_exit(&ref);
}

static void exit_may_come_twice_and_leaves_the_answers(void **state)
{
	struct quire_percpu_ref never = { { 0 } };

	(void)state;
	quire_percpu_ref_exit(&never);
	make(0);
	quire_percpu_ref_kill(&ref);
	for (unsigned i = 0; i < 2; i++) {
		quire_percpu_ref_exit(&ref);
		assert_true(quire_percpu_ref_is_zero(&ref));
		assert_true(quire_percpu_ref_is_dying(&ref));
	}
	make(0);
	quire_percpu_ref_get(&ref);
	quire_percpu_ref_kill(&ref);
	quire_percpu_ref_exit(&ref);
	assert_false(quire_percpu_ref_is_zero(&ref));
	make(0); /* alive and per-CPU */
	quire_percpu_ref_exit(&ref);
	assert_false(quire_percpu_ref_is_zero(&ref));
	assert_true(quire_percpu_ref_is_dying(&ref));
	quire_percpu_ref_exit(&ref);
}

static void unknown_flag_is_refused(void **state)
{
	(void)state;
	assert_true(quire_percpu_ref_init(quire_default(), &ref, release, 1u << 9) < 0);
	assert_true(quire_percpu_ref_init(quire_default(), &ref, NULL, 0) < 0);
}

static void dropping_none_releases_nothing(void **state)
{
	(void)state;
	make(0);
	quire_percpu_ref_put_many(&ref, 0);
	quire_percpu_ref_kill(&ref);
	assert_int_equal(released_nr, 1);
	quire_percpu_ref_put_many(&ref, 0);
	assert_int_equal(released_nr, 1);
	quire_percpu_ref_exit(&ref);
}

static void put_too_often(void *arg)
{
	(void)arg;
	make(QUIRE_PERCPU_REF_ATOMIC);
	quire_percpu_ref_put_many(&ref, 2);
}

static void get_at_zero(void *arg)
{
	(void)arg;
	make(QUIRE_PERCPU_REF_DEAD);
	quire_percpu_ref_get(&ref);
}

static void kill_twice(void *arg)
{
	(void)arg;
	make(0);
	quire_percpu_ref_get(&ref);
	quire_percpu_ref_kill(&ref);
	quire_percpu_ref_kill(&ref);
}

static void revive_the_living(void *arg)
{
	(void)arg;
	make(0);
	quire_percpu_ref_reinit(&ref);
}

static void misuse_is_named(void **state)
{
	(void)state;
	expect_death(put_too_often, NULL, "quire: misuse: reference put too often: ");
	expect_death(get_at_zero, NULL, "quire: misuse: reference taken at zero: ");
	expect_death(kill_twice, NULL, "quire: misuse: reference killed twice: ");
	expect_death(revive_the_living, NULL, "quire: misuse: reference revived: ");
}

static void again(void *arg)
{
	char *const argv[] = { arg, NULL };

	if (setenv("QUIRE_REF_AGAIN", "1", 1) != 0 ||
	    setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1) != 0)
		_exit(3);
	execv("/proc/self/exe", argv);
	_exit(4);
}

static void all_of_this_holds_without_rseq(void **state)
{
	(void)state;
	if (getenv("QUIRE_REF_AGAIN") != NULL)
		assert_false(cpu_has_sequences());
	else if (cpu_has_sequences())
		expect_life(again, (void *)(uintptr_t) "percpu_ref_test");
	else
		skip_because("this run is the one without sequences");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_this_holds_without_rseq), /* before it is pinned */
		cmocka_unit_test(kill_drops_the_owners_reference),
		cmocka_unit_test(many_are_taken_or_none),
		cmocka_unit_test(last_put_after_kill_releases),
		cmocka_unit_test(atomic_counts_in_one_word_and_back),
		cmocka_unit_test(dead_begins_at_zero_and_is_revived),
		cmocka_unit_test(resurrected_before_zero_lives_on),
		cmocka_unit_test(resurrected_at_zero_lives_on),
		cmocka_unit_test(exit_may_come_twice_and_leaves_the_answers),
		cmocka_unit_test(unknown_flag_is_refused),
		cmocka_unit_test(dropping_none_releases_nothing),
		cmocka_unit_test(misuse_is_named),
		cmocka_unit_test(slots_may_be_negative),
	};

	return cmocka_run_group_tests_name("percpu_ref", tests, NULL, NULL);
}
