// SPDX-License-Identifier: MIT
/* percpu_variables.c - a module's per-CPU variables: each kind of definition, and copies apart from each other */
#include <linux/module.h>
#include <linux/percpu.h>

#include "expect.h"
#include "percpu_shared.h"

struct pair {
	int first;
	long second;
};

static DEFINE_PER_CPU(long, counter) = 7;
static DEFINE_PER_CPU(struct pair, pair) = { .first = 1, .second = -2 };
static DEFINE_PER_CPU(int[5], levels) = { 1, 2, 3, 4, 5 };
static DEFINE_PER_CPU(char, odd);
static DEFINE_PER_CPU_ALIGNED(int, line);
static DEFINE_PER_CPU_SHARED_ALIGNED(struct pair, shared_line);
static DEFINE_PER_CPU_READ_MOSTLY(void *, mostly) = &counter;
static DEFINE_PER_CPU_PAGE_ALIGNED(int, page);
DEFINE_PER_CPU(unsigned, of_two_files) = 40;

static void each_copy_begins_as_defined(void)
{
	unsigned cpu;

	for_each_possible_cpu (cpu) {
		EXPECT_EQ(per_cpu(counter, cpu), 7);
		EXPECT_EQ(per_cpu(pair, cpu).first, 1);
		EXPECT_EQ(per_cpu(pair.second, cpu), -2);
		EXPECT_EQ(per_cpu(levels, cpu)[4], 5);
		EXPECT_EQ(per_cpu(levels[3], cpu), 4);
		EXPECT_EQ(per_cpu(odd, cpu), 0);
		EXPECT(per_cpu(mostly, cpu) == &counter);
	}
}

static void copies_are_apart_and_aligned(void)
{
	unsigned cpu;

	for_each_possible_cpu (cpu) {
		per_cpu(counter, cpu) = 100 + (long)cpu;
		*per_cpu_ptr(&pair.second, cpu) = -(long)cpu;
		EXPECT_EQ((uintptr_t)per_cpu_ptr(&line, cpu) % SMP_CACHE_BYTES, 0);
		EXPECT_EQ((uintptr_t)per_cpu_ptr(&shared_line, cpu) % SMP_CACHE_BYTES, 0);
		EXPECT_EQ((uintptr_t)per_cpu_ptr(&page, cpu) % 4096, 0);
	}
	for_each_possible_cpu (cpu) {
		EXPECT_EQ(per_cpu(counter, cpu), 100 + cpu);
		EXPECT_EQ(per_cpu(pair, cpu).second, -(long)cpu);
	}
}

static void the_current_copy_is_one_of_them(void)
{
	long *copy = get_cpu_ptr(&counter);

	EXPECT(smp_processor_id() < nr_cpu_ids);
	EXPECT_EQ(*copy, 100 + smp_processor_id());
	EXPECT(copy == per_cpu_ptr(&counter, smp_processor_id()));
	EXPECT(copy == this_cpu_ptr(&counter) && copy == raw_cpu_ptr(&counter));
	get_cpu_var(counter)++; /* they nest */
	put_cpu_var(counter);
	EXPECT_EQ(this_cpu_read(counter), 101 + smp_processor_id());
	put_cpu_ptr(&counter);
	EXPECT_EQ(preempt_count(), 0);
}

static void another_file_finds_the_same_copies(void)
{
	unsigned cpu, sum = 0;

	add_in_another_file(2);
	for_each_possible_cpu (cpu)
		sum += per_cpu(of_two_files, cpu);
	EXPECT_EQ(sum, 40 * nr_cpu_ids + 2);
	EXPECT(where_another_file_finds_it(0) == &per_cpu(of_two_files, 0));
}

static void an_address_of_none_is_no_variable(void)
{
	int here = 0;
	long __percpu *object = alloc_percpu(long);

	EXPECT(is_kernel_percpu_address((unsigned long)&counter));
	EXPECT(!is_kernel_percpu_address((unsigned long)&here));
	EXPECT(!is_kernel_percpu_address((unsigned long)object));
	free_percpu(object);
}

static int __init variables_init(void)
{
	each_copy_begins_as_defined();
	copies_are_apart_and_aligned();
	the_current_copy_is_one_of_them();
	another_file_finds_the_same_copies();
	an_address_of_none_is_no_variable();
	return 0;
}

static void __exit variables_exit(void)
{
	pr_info("variables: exit\n");
}

module_init(variables_init);
module_exit(variables_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("per-CPU variables");
