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
	return 0;
}

module_init(section_init);
