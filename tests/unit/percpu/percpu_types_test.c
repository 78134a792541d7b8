/* SPDX-License-Identifier: MIT */
/*
 * percpu_types_test.c - the types of pointers, variables and operands in percpu.h and percpu_ops.h
 *
 * What must not compile, and what C++ makes of the same macros, is in tests/tidy/percpu_types.
 */
#include "unit/percpu/percpu_case.h"

#include <sched.h>

#include <quire/percpu_ops.h>

#include "machine/process.h"

struct shelf {
	char label;
	unsigned short books;
	unsigned pages[4];
	const char *(*title)(int);
	struct {
		long lent, kept;
	} * inner;
};

static QUIRE_DEFINE_PER_CPU(int[4], levels) = { 1, 2, 3, 4 };
static QUIRE_DEFINE_PER_CPU(int (*)(int), reader) = abs;
static QUIRE_DEFINE_PER_CPU(const struct shelf, empty) = { 0 };

#define IS(type, expression) __builtin_types_compatible_p(__typeof__(expression), type)

static void a_copy_has_the_type_of_its_pointer(void **state)
{
	struct shelf *shelf = QUIRE_ALLOC_PERCPU(*state, struct shelf);
	const struct shelf *const read_only = shelf;
	volatile long words[2];
	int(*whole)[4] = NULL;
	void *bytes = shelf;

	assert_true(IS(struct shelf *, quire_per_cpu_ptr(shelf, 1)));
	assert_true(IS(const struct shelf *, quire_per_cpu_ptr(read_only, 1)));
	assert_true(IS(void *, quire_per_cpu_ptr(bytes, 1)));
	assert_true(IS(volatile long *, quire_per_cpu_ptr(words, 1)));
	assert_true(IS(int(*)[4], quire_per_cpu_ptr(whole, 1)));
	assert_true(IS(unsigned *, quire_per_cpu_ptr(&shelf->pages[2], 1)));
	assert_true(IS(struct shelf *, quire_this_cpu_ptr(shelf)));
	assert_true(IS(const unsigned short *, quire_this_cpu_ptr(&read_only->books)));
	assert_true(IS(void *, quire_this_cpu_ptr(bytes)));
	quire_free_percpu(*state, shelf);
}

static void a_field_of_a_copy_is_where_it_is_in_the_copy(void **state)
{
	struct shelf *shelf = QUIRE_ALLOC_PERCPU(*state, struct shelf);

	for (unsigned unit = 0; unit < UNITS; unit++) {
		quire_per_cpu_ptr(shelf, unit)->pages[2] = unit + 1;
		assert_int_equal(*quire_per_cpu_ptr(&shelf->pages[2], unit), unit + 1);
		assert_ptr_equal(quire_per_cpu_ptr(shelf->pages, unit) + 2,
				 &quire_per_cpu_ptr(shelf, unit)->pages[2]);
	}
	quire_free_percpu(*state, shelf);
}

static void a_variable_is_a_pointer_to_its_type(void **state)
{
	(void)state;
	assert_true(IS(int(*)[4], levels));
	assert_true(IS(int (**)(int), reader));
	assert_true(IS(const struct shelf *, empty));
	assert_true(IS(int(*)[4], quire_per_cpu_ptr(levels, 0)));
	assert_true(IS(int(*)[2], QUIRE_ALLOC_PERCPU(NULL, int[2])));
	for (unsigned cpu = 0; cpu < quire_percpu_units(quire_default()); cpu++) {
		assert_int_equal((*quire_per_cpu_ptr(levels, cpu))[3], 4);
		assert_ptr_equal(*quire_per_cpu_ptr(reader, cpu), abs);
		assert_null(quire_per_cpu_ptr(empty, cpu)->title);
	}
}

static void an_operation_returns_the_type_it_works_on(void **state)
{
	struct shelf *shelf = QUIRE_ALLOC_PERCPU(*state, struct shelf);

	assert_true(IS(int, quire_this_cpu_read(*levels + 3)));
	assert_true(IS(int, quire_this_cpu_xchg(&(*levels)[3], 4)));
	assert_true(IS(int (*)(int), quire_this_cpu_cmpxchg(reader, abs, NULL)));
	assert_true(IS(char, quire_this_cpu_read(&empty->label)));
	assert_true(IS(unsigned short, quire_this_cpu_add_return(&shelf->books, 1)));
	assert_true(IS(const char *(*)(int), quire_this_cpu_read(&shelf->title)));
	quire_free_percpu(*state, shelf);
}

static void operations_reach_fields_and_elements(void **state)
{
	struct shelf *shelf = QUIRE_ALLOC_PERCPU(*state, struct shelf);

	for (int i = 0; i < 1000; i++) {
		quire_this_cpu_inc(&shelf->books);
		quire_this_cpu_add(&shelf->pages[3], 2);
		quire_this_cpu_dec(&shelf->label);
	}
	assert_int_equal(quire_per_cpu_sum(&shelf->books), 1000);
	assert_int_equal(quire_per_cpu_sum(&shelf->pages[3]), 2000);
	assert_int_equal((unsigned char)quire_per_cpu_sum(&shelf->label), 256 - 1000 % 256);
	assert_int_equal(quire_per_cpu_sum(&shelf->pages[2]), 0);
	quire_free_percpu(*state, shelf);
}

static void arguments_are_evaluated_once(void **state)
{
	long *ptr = QUIRE_ALLOC_PERCPU(*state, long), *next = ptr;
	unsigned cpu = 1;

	assert_ptr_equal(quire_per_cpu_ptr(next++, cpu++), (char *)ptr + QUIRE_PERCPU_STRIDE);
	assert_ptr_equal(next, ptr + 1);
	assert_int_equal(cpu, 2);
	(void)quire_this_cpu_ptr(next--);
	assert_ptr_equal(next, ptr);
	quire_free_percpu(*state, ptr);
}

static void run_on(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

/* On each CPU that the process may use; what the program had is set back. */
static void this_cpu_ptr_is_the_copy_of_the_cpu_it_runs_on(void **state)
{
	long *all = QUIRE_ALLOC_PERCPU(quire_default(), long);
	long *few = QUIRE_ALLOC_PERCPU(*state, long);
	cpu_set_t before;

	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	for (unsigned cpu = 0; cpu < process_cpus_possible() && cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &before))
			continue;
		run_on(cpu);
		assert_ptr_equal(quire_this_cpu_ptr(all), quire_per_cpu_ptr(all, cpu));
		assert_ptr_equal(quire_this_cpu_ptr(&few[0]), quire_per_cpu_ptr(few, cpu % UNITS));
	}
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	quire_free_percpu(*state, few);
	quire_free_percpu(quire_default(), all);
}

/* Fewer units than CPUs: a pointer never leaves the object. */
static void this_cpu_ptr_stays_in_the_copies_that_there_are(void **state)
{
	struct quire *q = percpu_make((struct quire_options){ .units = 1 });
	long *ptr = QUIRE_ALLOC_PERCPU(q, long);
	cpu_set_t before;

	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	for (unsigned cpu = 0; cpu < process_cpus_possible() && cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &before))
			continue;
		run_on(cpu);
		assert_ptr_equal(quire_this_cpu_ptr(ptr), ptr);
	}
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	quire_destroy(q);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PERCPU_TEST(a_copy_has_the_type_of_its_pointer),
		PERCPU_TEST(a_field_of_a_copy_is_where_it_is_in_the_copy),
		PERCPU_TEST(a_variable_is_a_pointer_to_its_type),
		PERCPU_TEST(an_operation_returns_the_type_it_works_on),
		PERCPU_TEST(operations_reach_fields_and_elements),
		PERCPU_TEST(arguments_are_evaluated_once),
		PERCPU_TEST(this_cpu_ptr_is_the_copy_of_the_cpu_it_runs_on),
		cmocka_unit_test(this_cpu_ptr_stays_in_the_copies_that_there_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
