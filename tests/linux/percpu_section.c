// SPDX-License-Identifier: MIT
/* percpu_section.c - threads that change copies between get_cpu_ptr() and put_cpu_ptr(), by plain stores */
#include <linux/module.h>
#include <linux/percpu.h>

#include "expect.h"

static int rounds = 20000;
module_param(rounds, int, 0444);
MODULE_PARM_DESC(rounds, "of each thread");

struct account {
	long given, taken;
};

static DEFINE_PER_CPU(struct account, account);

static void *give_and_take(void *arg)
{
	for (int i = 0; i < rounds; i++) {
		struct account *here = get_cpu_ptr(&account);

		EXPECT_EQ(here->given, here->taken);
		here->given++;
		EXPECT(here == this_cpu_ptr(&account));
		here->taken++;
		put_cpu_ptr(&account);
	}
	return arg;
}

struct pair {
	unsigned long first, second;
} __aligned(16);

static DEFINE_PER_CPU(struct pair, pair);

/* By the operations on one word, which are sequences. */
static void *add_twos(void *arg)
{
	for (int i = 0; i < 100 * rounds; i++)
		this_cpu_add(pair.first, 2);
	return arg;
}

static void *add_to_both(void *arg)
{
	for (int i = 0; i < rounds; i++) {
		struct pair old;

		do {
			old.first = this_cpu_read(pair.first);
			old.second = this_cpu_read(pair.second);
		} while (!this_cpu_cmpxchg_double(pair.first, pair.second, old.first, old.second,
						  old.first + 1, old.second + 1));
	}
	return arg;
}

/* Nothing is lost of either: an addition that is interrupted by an exchange begins again. */
static void exchanges_of_pairs_and_operations_exclude_each_other(void)
{
	void *(*const work[])(void *) = { add_twos, add_to_both, add_twos, add_to_both };
	unsigned long first = 0, second = 0;
	pthread_t threads[4];
	unsigned cpu;

	for (int i = 0; i < 4; i++)
		BUG_ON(pthread_create(&threads[i], NULL, work[i], NULL) != 0);
	for (int i = 0; i < 4; i++)
		BUG_ON(pthread_join(threads[i], NULL) != 0);
	for_each_possible_cpu (cpu) {
		first += per_cpu(pair, cpu).first;
		second += per_cpu(pair, cpu).second;
	}
	EXPECT_EQ(second, 2L * rounds);
	EXPECT_EQ(first, 2L * rounds + 2 * 2 * 100L * rounds);
}

static int __init section_init(void)
{
	pthread_t threads[3];
	unsigned cpu;
	long sum = 0;

	for (int i = 0; i < 3; i++)
		BUG_ON(pthread_create(&threads[i], NULL, give_and_take, NULL) != 0);
	for (int i = 0; i < 3; i++)
		BUG_ON(pthread_join(threads[i], NULL) != 0);
	for_each_possible_cpu (cpu)
		sum += per_cpu(account, cpu).taken;
	EXPECT_EQ(sum, 3L * rounds);
	exchanges_of_pairs_and_operations_exclude_each_other();
	return 0;
}

module_init(section_init);
