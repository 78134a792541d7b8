/* SPDX-License-Identifier: MIT */
/* variables_plugin.c - a library that defines variables: opened and closed by percpu_start_test.c */
#include <quire/percpu.h>
#include <quire/percpu_ops.h>

struct pair {
	long count;
	char rest[500];
};

QUIRE_DEFINE_PER_CPU(struct pair, pairs) = { .count = 3 };

long plugin_count(void);

long plugin_count(void)
{
	quire_this_cpu_inc(&pairs->count);
	return quire_per_cpu_sum(&pairs->count);
}
