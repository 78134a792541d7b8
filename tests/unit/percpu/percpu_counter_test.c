/* SPDX-License-Identifier: MIT */
/* percpu_counter_test.c - counters: exact sums, bounded reads, and threads that add and move */
#include "quire_test.h"

#include <unistd.h>

#include <quire/percpu_counter.h>

#include "machine/process.h"

static struct quire_percpu_counter counter;
static unsigned cpus[64], cpus_nr;

static int make_counter(void **state)
{
	(void)state;
	return quire_percpu_counter_init(quire_default(), &counter, 0, 0);
}

static int destroy_counter(void **state)
{
	(void)state;
	quire_percpu_counter_destroy(&counter);
	return 0;
}

static int64_t default_error(void)
{
	int64_t batch = 2 * (int64_t)process_cpus_possible();

	return (batch > 32 ? batch : 32) * (int64_t)process_cpus_possible();
}

static void sum_is_exact_and_read_within_its_bound(void **state)
{
	int64_t expected = 0;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		int64_t amount = i % 3 == 0 ? -7 : i % 50;

		quire_percpu_counter_add(&counter, amount);
		expected += amount;
		assert_int_equal(quire_percpu_counter_sum(&counter), expected);
		assert_true(llabs(quire_percpu_counter_read(&counter) - expected) <
			    default_error());
	}
	quire_percpu_counter_sync(&counter);
	assert_int_equal(quire_percpu_counter_read(&counter), expected);
}

static void read_moves_only_at_a_batch(void **state)
{
	(void)state;
	assert_true(pin_to_cpu(cpus[0]));
	for (int i = 0; i < 99; i++)
		quire_percpu_counter_add_batch(&counter, 1, 100);
	assert_int_equal(quire_percpu_counter_read(&counter), 0);
	quire_percpu_counter_add_batch(&counter, 1, 100);
	assert_int_equal(quire_percpu_counter_read(&counter), 100);
	for (int i = 0; i < 99; i++)
		quire_percpu_counter_add_batch(&counter, -1, 100);
	assert_int_equal(quire_percpu_counter_read(&counter), 100);
	quire_percpu_counter_add_batch(&counter, -1, 100);
	assert_int_equal(quire_percpu_counter_read(&counter), 0);
	quire_percpu_counter_add_batch(&counter, INT64_MIN, 1);
	assert_int_equal(quire_percpu_counter_read(&counter), INT64_MIN);
}

static void set_replaces_the_count(void **state)
{
	(void)state;
	quire_percpu_counter_add(&counter, 12345);
	quire_percpu_counter_set(&counter, -3);
	assert_int_equal(quire_percpu_counter_sum(&counter), -3);
	quire_percpu_counter_add_batch(&counter, 1, 1);
	assert_int_equal(quire_percpu_counter_sum(&counter), -2);
}

static void a_read_after_set_is_exact(void **state)
{
	(void)state;
	for (unsigned i = 0; i < cpus_nr; i++) {
		assert_true(pin_to_cpu(cpus[i]));
		for (int n = 0; n < 20; n++)
			quire_percpu_counter_add(&counter, 1); /* less than a batch */
	}
	quire_percpu_counter_set(&counter, 0);
	assert_int_equal(quire_percpu_counter_read(&counter), 0);
	assert_int_equal(quire_percpu_counter_sum(&counter), 0);
	quire_percpu_counter_sync(&counter);
	assert_int_equal(quire_percpu_counter_read(&counter), 0);
	quire_percpu_counter_add_batch(&counter, -5, 1);
	quire_percpu_counter_set(&counter, INT64_MIN);
	assert_int_equal(quire_percpu_counter_read(&counter), INT64_MIN);
	assert_int_equal(quire_percpu_counter_sum(&counter), INT64_MIN);
}

static void destroying_twice_is_harmless(void **state)
{
	struct quire_percpu_counter other = { { 0 } };

	(void)state;
	quire_percpu_counter_destroy(&other);
	assert_int_equal(quire_percpu_counter_init(quire_default(), &other, 7, 0), 0);
	quire_percpu_counter_destroy(&other);
	quire_percpu_counter_destroy(&other);
}

static void compare_is_exact_near_and_far(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		quire_percpu_counter_add(&counter, 1); /* that a read may not know of */
	assert_int_equal(quire_percpu_counter_compare(&counter, 19), 1);
	assert_int_equal(quire_percpu_counter_compare(&counter, 20), 0);
	assert_int_equal(quire_percpu_counter_compare(&counter, 21), -1);
	assert_int_equal(quire_percpu_counter_compare(&counter, INT64_MAX), -1);
	assert_int_equal(quire_percpu_counter_compare(&counter, INT64_MIN), 1);
	for (int i = 0; i < 999; i++)
		quire_percpu_counter_add_batch(&counter, 1, 1000);
	assert_int_equal(quire_percpu_counter_compare(&counter, 1018), 1);
	assert_int_equal(quire_percpu_counter_compare(&counter, 1019), 0);
}

static void a_limited_add_stops_at_its_limit(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++)
		quire_percpu_counter_add(&counter, 1); /* that a read may not know of */
	assert_false(quire_percpu_counter_limited_add(&counter, 10, 3));
	assert_true(quire_percpu_counter_limited_add(&counter, 10, 2));
	assert_false(quire_percpu_counter_limited_add(&counter, 10, 1));
	assert_false(quire_percpu_counter_limited_add(&counter, 10, INT64_MAX));
	assert_true(quire_percpu_counter_limited_add(&counter, 9, 0));
	assert_int_equal(quire_percpu_counter_sum(&counter), 10);
	assert_false(quire_percpu_counter_limited_add(&counter, -5, -16));
	assert_false(quire_percpu_counter_limited_add(&counter, -5, INT64_MIN));
	assert_true(quire_percpu_counter_limited_add(&counter, -5, -15));
	assert_int_equal(quire_percpu_counter_sum(&counter), -5);
	assert_true(quire_percpu_counter_limited_add(&counter, INT64_MAX, INT64_MAX));
	assert_int_equal(quire_percpu_counter_sum(&counter), INT64_MAX - 5);
	quire_percpu_counter_sync(&counter);
	assert_int_equal(quire_percpu_counter_read(&counter), INT64_MAX - 5);
}

static void add_up_to_limit(unsigned index, void *arg)
{
	(void)arg;
	(void)pin_to_cpu(cpus[index % cpus_nr]);
	while (quire_percpu_counter_limited_add(&counter, 10001, 1 + index))
		;
}

static void threads_together_stop_at_the_limit(void **state)
{
	(void)state;
	team_run(3, add_up_to_limit, NULL);
	assert_true(quire_percpu_counter_sum(&counter) == 10001);
}

#define ADDS 200000

static void add_and_move(unsigned index, void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ADDS; i++) {
		if (i % 512 == 0)
			(void)pin_to_cpu(cpus[(i / 512 + index) % cpus_nr]);
		quire_percpu_counter_add(&counter, i % 2 == 0 ? 3 : -1);
	}
}

static void every_add_is_counted_while_threads_migrate(void **state)
{
	(void)state;
	team_run(3, add_and_move, NULL);
	assert_int_equal(quire_percpu_counter_sum(&counter), 3 * ADDS);
	assert_true(llabs(quire_percpu_counter_read(&counter) - 3 * ADDS) < 3 * default_error());
}

static void child_of_fork_counts_on(void **state)
{
	pid_t child;

	(void)state;
	quire_percpu_counter_add(&counter, 40);
	child = child_fork();
	if (child == 0) {
		quire_percpu_counter_add(&counter, 2);
		_exit(quire_percpu_counter_sum(&counter) == 42 ? 0 : 1);
	}
	assert_int_equal(child_wait(child), 0);
	assert_int_equal(quire_percpu_counter_sum(&counter), 40);
}

int main(void)
{
#define WITH_COUNTER(test) cmocka_unit_test_setup_teardown(test, make_counter, destroy_counter)
	const struct CMUnitTest tests[] = {
		WITH_COUNTER(sum_is_exact_and_read_within_its_bound),
		WITH_COUNTER(set_replaces_the_count),
		cmocka_unit_test(destroying_twice_is_harmless),
		WITH_COUNTER(compare_is_exact_near_and_far),
		WITH_COUNTER(every_add_is_counted_while_threads_migrate),
		WITH_COUNTER(child_of_fork_counts_on),
		WITH_COUNTER(read_moves_only_at_a_batch),
		WITH_COUNTER(a_limited_add_stops_at_its_limit),
		WITH_COUNTER(threads_together_stop_at_the_limit),
		WITH_COUNTER(a_read_after_set_is_exact), /* pins */
	};

	for (int cpu = allowed_cpu_next(0); cpu >= 0 && cpus_nr < 64;
	     cpu = allowed_cpu_next((unsigned)cpu + 1))
		cpus[cpus_nr++] = (unsigned)cpu;
	return cmocka_run_group_tests_name("percpu_counter", tests, NULL, NULL);
}
