/* SPDX-License-Identifier: MIT */
#include <quire/percpu.h>
#include <quire/percpu_ops.h>
#include <stdio.h>

QUIRE_DEFINE_PER_CPU(long, hits) = 0;

int main(void)
{
	for (int i = 0; i < 1000; i++)
		quire_this_cpu_add(hits, 1); /* on this CPU, whichever it is by then */
	printf("%ld hits\n", quire_per_cpu_sum(hits));
	return quire_per_cpu_sum(hits) != 1000;
}
